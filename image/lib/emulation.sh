# shellcheck shell=bash
# Lets this machine run arm64 programs, through qemu-user. Sourced after debian.sh.

binfmt=/proc/sys/fs/binfmt_misc
registered_qemu=

# register_qemu: registers qemu with the kernel, so that arm64 programs start like any other program, also below a
# chroot. The entry belongs to this process, because another one may remove its own at any time.
register_qemu() {
    [ "$(uname -m)" != aarch64 ] && [ -z "$registered_qemu" ] || return 0
    need qemu-aarch64-static=qemu-user-static
    mountpoint -q "$binfmt" || mount -t binfmt_misc binfmt_misc "$binfmt"
    binfmt_registration >"$binfmt/register"
    registered_qemu=$binfmt/herdlinx-arm64-$$
}

# unregister_qemu: removes what register_qemu of this process has registered.
unregister_qemu() { [ -z "$registered_qemu" ] || echo -1 >"$registered_qemu"; }

# Prints a binfmt_misc registration that matches the ELF header of both kinds of arm64 executable.
binfmt_registration() {
    local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":herdlinx-arm64-$$:M::$magic:$mask:$(command -v qemu-aarch64-static):F"
}
