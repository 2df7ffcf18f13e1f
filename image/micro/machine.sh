# shellcheck shell=bash disable=SC2154  # $cache and the toolchain: debian.sh, arm64.sh
# A virtual 64-bit Arm machine with Debian's kernel and an initramfs of ours. Sourced after debian.sh and arm64.sh.
#
#     machine_parts               downloads what is not there yet: QEMU, kernel, busybox, glibc
#     machine_image DIRECTORY     packs DIRECTORY and all that a guest needs into an initramfs
#     machine_run CONSOLE SECONDS WORD...     boots it with these words on the kernel's command line, shows and keeps
#                                             what it prints

# The only kernels of Debian with gpio-sim; its packages look as below from 7.3 on.
kernel_suite=trixie-backports
# Those that the guest loads, in this order.
kernel_modules=(configfs gpio-sim cuse)
machine_pid=

machine_parts() {
    need cpio=cpio xz=xz-utils
    machine_qemu
    local tree=$cache/guest version
    private_apt guest-kernel "$kernel_suite"
    version=$(depends_on linux-image-arm64:arm64 | sed -n 's/^linux-image-\([0-9].*\):arm64$/\1/p')
    [ -n "$version" ] || fail "$kernel_suite has no linux-image-arm64 that names a kernel"
    unpack_packages "$tree" "linux-binary-$version:arm64" "linux-modules-$version:arm64"
    kernel=$tree/usr/lib/modules/$version
    [ -e "$kernel/vmlinuz" ] || fail "linux-binary-$version has no vmlinuz any more; look where it went"
    # Debian 12's: what a binary for a Pi with it may ask for.
    private_apt bookworm bookworm bookworm-security
    unpack_packages "$tree" libc6:arm64 libgcc-s1:arm64 busybox-static:arm64
}

# The machine's own QEMU, else one that is unpacked below $cache with those libraries that the machine has not.
machine_qemu() {
    local tree=$cache/qemu release
    if command -v qemu-system-aarch64 >/dev/null; then
        qemu=(qemu-system-aarch64)
        return
    fi
    release=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    if [ ! -e "$tree/whole" ]; then
        private_apt "$release" "$release" "$release-security" "$release-backports"
        mapfile -t missing < <(apt_private -o Dir::State::Status=/var/lib/dpkg/status -s --no-install-recommends \
            -t "$release-backports" install qemu-system-arm |
            sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p' | grep -v '^qemu-user')
        [ ${#missing[@]} -gt 0 ] || fail "apt finds no qemu-system-arm for $release"
        unpack_packages "$tree" "${missing[@]}"
        touch "$tree/whole"
    fi
    qemu=(env LD_LIBRARY_PATH="$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu"
        "$tree/usr/bin/qemu-system-aarch64" -L "$tree/usr/share/qemu")
}

machine_image() {
    local root=$1 tree=$cache/guest module library
    mkdir -p "$root"/{bin,dev,proc,sys,run,var/lib,modules,lib/aarch64-linux-gnu}
    cp "$tree/bin/busybox" "$root/bin/"
    for library in libc.so.6 libm.so.6 libgcc_s.so.1; do
        cp -L "$tree/lib/aarch64-linux-gnu/$library" "$root/lib/aarch64-linux-gnu/"
    done
    cp -L "$tree/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" "$root/lib/"
    for module in "${kernel_modules[@]}"; do
        xz -dc "$(find "$kernel/kernel" -name "$module.ko.xz")" >"$root/modules/$module.ko"
    done
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$root.cpio.gz"
    initramfs=$root.cpio.gz
}

# The guest's clock counts its instructions, a nanosecond each, and leaps to the next timer when all sleep. So the guest
# finds the same machine however busy this one is, and nobody waits for its sleeps.
machine_run() {
    local console=$1 seconds=$2 until shown
    shift 2
    "${qemu[@]}" -M virt -cpu cortex-a72 -m 1024 -accel tcg -icount shift=0,sleep=off -rtc clock=vm -nographic \
        -nodefaults -no-reboot -serial stdio -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
        -append "console=ttyAMA0 quiet panic=-1 $*" </dev/null >"$console" 2>&1 &
    machine_pid=$!
    # Ends with the machine, when all is shown.
    tail --pid "$machine_pid" -s 0.2 -n +1 -f "$console" &
    shown=$!
    until=$((SECONDS + seconds))
    while kill -0 "$machine_pid" 2>/dev/null && [ "$SECONDS" -lt "$until" ]; do sleep 0.2; done
    [ "$SECONDS" -lt "$until" ] || fail "the machine did not end within $seconds s; what it printed stands above"
    wait "$machine_pid" || fail "QEMU failed: exit $?"
    machine_pid=
    wait "$shown"
}

# Ends the machine that runs, if one does.
machine_kill() {
    [ -z "$machine_pid" ] || kill -KILL "$machine_pid" 2>/dev/null || true
    machine_pid=
}
