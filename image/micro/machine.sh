# shellcheck shell=bash disable=SC2154  # $cache and the toolchain: debian.sh, arm64.sh
# A virtual 64-bit Arm machine with Debian's kernel and our own initramfs. Sourced after debian.sh, arm64.sh and qemu.sh.
#
#     machine_download            downloads what is missing: QEMU, kernel, busybox, glibc
#     machine_image DIRECTORY     packs DIRECTORY and everything that a guest needs into an initramfs
#     machine_run CONSOLE SECONDS WORD...     boots it with these words on the kernel's command line; shows its output
#                                             and saves it to the file CONSOLE

# The only suite whose kernels have gpio-sim. Its packages have the layout expected below since version 7.3.
kernel_suite=trixie-backports
# Loaded by the guest in this order.
kernel_modules=(configfs gpio-sim cuse)
machine_pid=

machine_download() {
    need cpio=cpio xz=xz-utils
    find_qemu
    local tree=$cache/guest version
    use_private_apt "$kernel_suite"
    version=$(depends_on linux-image-arm64:arm64 | sed -n 's/^linux-image-\([0-9].*\):arm64$/\1/p')
    [ -n "$version" ] || fail "$kernel_suite has no linux-image-arm64 that depends on a kernel"
    unpack_packages "$tree" "linux-binary-$version:arm64" "linux-modules-$version:arm64"
    kernel=$tree/usr/lib/modules/$version
    [ -e "$kernel/vmlinuz" ] || fail "linux-binary-$version does not contain vmlinuz any more; find out which package does"
    # From Debian 12, the oldest system that the binaries support.
    use_private_apt bookworm bookworm-security
    unpack_packages "$tree" libc6:arm64 libgcc-s1:arm64 busybox-static:arm64
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

# The guest's clock advances by one nanosecond per instruction, and jumps to the next timer when the guest is idle. Its
# speed therefore does not depend on the load of the host, and its sleeps take no time.
machine_run() {
    local console=$1 seconds=$2 deadline viewer
    shift 2
    # Made here: the process in the background may open it after `tail`.
    : >"$console"
    "${qemu[@]}" -M virt -cpu cortex-a72 -m 1024 -accel tcg -icount shift=0,sleep=off -rtc clock=vm -nographic \
        -nodefaults -no-reboot -serial stdio -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
        -append "console=ttyAMA0 quiet panic=-1 $*" </dev/null >"$console" 2>&1 &
    machine_pid=$!
    # Exits after the machine, once everything is shown.
    tail --pid "$machine_pid" -s 0.2 -n +1 -f "$console" &
    viewer=$!
    deadline=$((SECONDS + seconds))
    while kill -0 "$machine_pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.2; done
    [ "$SECONDS" -lt "$deadline" ] || fail "the machine did not power off within $seconds s; its output is above"
    wait "$machine_pid" || fail "QEMU failed: exit $?"
    machine_pid=
    wait "$viewer"
}

# Kills the running machine, if there is one.
machine_kill() {
    [ -z "$machine_pid" ] || kill -KILL "$machine_pid" 2>/dev/null || true
    machine_pid=
}
