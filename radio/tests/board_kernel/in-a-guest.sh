#!/usr/bin/env bash
# The tests of the boards that need kernel modules, in a guest that has them, on a machine that has none and no root.
#
#     radio/tests/board_kernel/in-a-guest.sh DIRECTORY
#
# DIRECTORY is an unpacked /usr/lib/modules/VERSION with `vmlinuz`, `kernel/.../gpio-sim.ko.xz` and `cuse.ko.xz` in it, as
# Debian's linux-binary-VERSION-amd64 and linux-modules-VERSION-amd64 hold it from 7.3 on (apt-get download; dpkg -x).
# Needs qemu-system-x86_64, a static busybox (BUSYBOX, default /bin/busybox), cpio and xz; QEMU_ARGS for more, such as
# `-accel kvm`. Without it the guest is emulated and takes about a minute.
set -euo pipefail
modules=${1:?the directory of a kernel\'s modules}
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
guest=$(mktemp -d)
trap 'rm -rf "$guest"' EXIT
mkdir -p "$guest"/{bin,dev,proc,sys,tmp,mods}
cp "${BUSYBOX:-/bin/busybox}" "$guest/bin/busybox"

# A test program and the libraries that it is linked with.
add() {
    cp "$2" "$guest/bin/$1"
    ldd "$2" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$guest$(dirname "$library")"
        cp -Ln "$library" "$guest$library"
    done
}
for test in lib "test board_kernel"; do
    read -ra target <<<"--$test"
    program=$(cargo test -p herdlinx-radio --features kernel-tests --locked "${target[@]}" --no-run --message-format json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
    add "${target[-1]#--}" "$program"
done
for module in configfs gpio-sim cuse; do
    xz -dc "$(find "$modules/kernel" -name "$module.ko.xz")" >"$guest/mods/$module.ko"
done
cat >"$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for module in configfs gpio-sim cuse; do insmod /mods/$module.ko; done
mount -t configfs configfs /sys/kernel/config
lib board::lines && board_kernel --test-threads 1 && echo "ALL WELL"
poweroff -f
INIT
chmod +x "$guest/init"
(cd "$guest" && find . | cpio --quiet -o -H newc | gzip -1) >"$guest.cpio.gz"
trap 'rm -rf "$guest" "$guest.cpio.gz"' EXIT
read -ra more <<<"${QEMU_ARGS:-}"
timeout 600 qemu-system-x86_64 -M q35 -cpu max -m 512 -nographic -nodefaults -no-reboot -serial stdio "${more[@]}" \
    -kernel "$modules/vmlinuz" -initrd "$guest.cpio.gz" -append 'console=ttyS0 quiet panic=-1' | tee "$guest/console"
grep -q 'ALL WELL' "$guest/console"
