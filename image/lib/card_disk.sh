# shellcheck shell=bash disable=SC2154  # $cache, $lock: debian.sh, card_packages.sh
# The partitions of a card, and the card itself: plain files, without loop device and mount. Sourced after debian.sh,
# card_packages.sh and slot_state.sh.
#
#     4, 8 MiB   slot state, one sector each
#     16 MiB     p1, FAT32: firmware, U-Boot, herdlinx.toml
#     144 MiB    p2, slot a: kernel, initrd, device trees, root
#     656 MiB    p3, slot b: empty on a new card
#     1168 MiB   p4, /var: grows to the end of the card at the first boot
#
# Identifiers and times are fixed, so that two builds give the same bytes. Files get into ext4 through debugfs, because
# mkfs.ext4 -d takes them in the order of the build's file system.

disk_id=0x48455244
boot_mib=128 slot_mib=512 var_mib=256
boot_start_mib=16
slot_a_start_mib=$((boot_start_mib + boot_mib))
slot_b_start_mib=$((slot_a_start_mib + slot_mib))
var_start_mib=$((slot_b_start_mib + slot_mib))
card_mib=$((var_start_mib + var_mib))

# The device trees of the boards that the card serves, and the path of the SD card's controller in each.
boards=(bcm2837-rpi-3-b:/soc/mmc@7e202000 bcm2837-rpi-3-b-plus:/soc/mmc@7e202000 bcm2837-rpi-zero-2-w:/soc/mmc@7e202000
    bcm2711-rpi-4-b:/emmc2bus/mmc@7e340000 bcm2711-rpi-400:/emmc2bus/mmc@7e340000
    bcm2711-rpi-cm4-io:/emmc2bus/mmc@7e340000)

need_disk_tools() {
    need mkimage=u-boot-tools dtc=device-tree-compiler mksquashfs=squashfs-tools mcopy=mtools mkfs.vfat=dosfstools \
        mkfs.ext4=e2fsprogs debugfs=e2fsprogs sfdisk=fdisk xz=xz-utils
}

# device_trees FROM INTO: copies the boards' device trees, and names the SD card mmc0 in each: Debian's have no such
# alias, so on a Raspberry Pi 4 U-Boot would take the Wi-Fi chip for the card.
device_trees() {
    local board
    mkdir -p "$2"
    for board in "${boards[@]}"; do
        cp "$1/${board%%:*}.dtb" "$2/"
        fdtput -t s "$2/${board%%:*}.dtb" /aliases mmc0 "${board#*:}"
    done
    # U-Boot's name for a Compute Module 4.
    cp "$2/bcm2711-rpi-cm4-io.dtb" "$2/bcm2711-rpi-cm4.dtb"
}

# overlay INTO: compiles the card's device tree overlay.
overlay() {
    mkdir -p "$1"
    dtc -@ -q -I dts -O dtb -o "$1/herdlinx.dtbo" image/card.d/boot/herdlinx.dtso
}

# boot_script COMMANDS SCRIPT: compiles a script for U-Boot. Its header has a time.
boot_script() { SOURCE_DATE_EPOCH=$(locked_epoch) mkimage -A arm64 -T script -C none -n '' -d "$1" "$2" >/dev/null; }

# slot_files ROOT SLOT: moves kernel, initrd and device trees out of ROOT into the directory SLOT, and packs the rest.
slot_files() {
    local root=$1 slot=$2
    mkdir -p "$slot"
    kernel_image "$root"/boot/vmlinuz-* >"$slot/vmlinuz.gz"
    mv "$root"/boot/initrd.img-* "$slot/initrd.img"
    # U-Boot's names of the trees begin with the directory.
    device_trees "$(echo "$root"/usr/lib/linux-image-*/broadcom)" "$slot/dtb/broadcom"
    overlay "$slot/overlays"
    rm -rf "$root"/usr/lib/linux-image-* "$root"/vmlinuz "$root"/initrd.img
    find "$root/boot" -mindepth 1 -not -path "$root/boot/firmware" -delete
    slot_script "$slot"
    SOURCE_DATE_EPOCH=$(locked_epoch) mksquashfs "$root" "$slot/root.squashfs" -comp zstd -Xcompression-level 19 -b 256K \
        -noappend -no-progress -quiet >&2
}

# kernel_image VMLINUZ: prints the kernel as gzip, which U-Boot unpacks.
kernel_image() {
    [ $# -eq 1 ] || fail "the root has $# kernels instead of one"
    case $(head -c 2 "$1" | od -An -tx1 | tr -d ' ') in
    1f8b) cat "$1" ;;
    4d5a)
        [ "$(tail -c +5 "$1" | head -c 4)" != zimg ] || fail "$1 unpacks itself, and only UEFI can start it"
        gzip -9nc "$1"
        ;;
    *) fail "$1 is no kernel that U-Boot can start" ;;
    esac
}

# slot_script SLOT: writes slot.scr with the checksums of the kernel and the initrd.
slot_script() {
    local kernel initrd
    kernel=$(crc32_of "$1/vmlinuz.gz" | od -An -tx1 | tr -d ' \n')
    initrd=$(crc32_of "$1/initrd.img" | od -An -tx1 | tr -d ' \n')
    sed "s/@KCRC@/$(reversed "$kernel")/; s/@KSWP@/$kernel/; s/@ICRC@/$(reversed "$initrd")/; s/@ISWP@/$initrd/" \
        image/card.d/boot/slot.cmd >"$1.cmd"
    boot_script "$1.cmd" "$1/slot.scr"
}
# reversed HEX: prints the four bytes in the other order.
reversed() { sed -E 's/(..)(..)(..)(..)/\4\3\2\1/' <<<"$1"; }

# slot_image SLOT IMAGE: makes the slot's file system from the files in the directory SLOT.
slot_image() {
    truncate -s "${slot_mib}M" "$2"
    fixed_ext4 "$2" 48455244-0000-4000-8000-000000000002 -L "" -m 0 -O '^has_journal,^resize_inode'
    debugfs_script "$1" | debugfs -w -f - "$2" >"$2.log" 2>&1
    ! grep -E '^[a-z_]+: .*(error|exist|No |not )' "$2.log" >&2 || fail "debugfs could not fill $2"
    fsck.ext4 -fn "$2" >"$2.log" 2>&1 || { cat "$2.log" >&2 && fail "the file system of the slot is damaged"; }
    rm "$2.log"
}

# fixed_ext4 IMAGE UUID OPTION...: makes an ext4 file system whose bytes do not depend on time and chance.
fixed_ext4() {
    local image=$1 uuid=$2
    shift 2
    E2FSPROGS_FAKE_TIME=$(locked_epoch) mkfs.ext4 -q -F -b 4096 -T default -U "$uuid" \
        -E "hash_seed=$uuid,root_owner=0:0,lazy_itable_init=1" "$@" "$image" >&2
}

# debugfs_script DIRECTORY: prints debugfs commands that copy it, in the order of names, with fixed times and owner.
debugfs_script() {
    local path now field
    now=$(date --utc --date "@$(locked_epoch)" +%Y%m%d%H%M%S)
    printf 'set_current_time %s\n' "$now"
    (cd "$1" && find . -mindepth 1 -printf '%y %P\n') | LC_ALL=C sort -k2 | while read -r kind path; do
        case $kind in
        d) printf 'mkdir /%s\n' "$path" ;;
        f) printf 'write %s /%s\n' "$1/$path" "$path" ;;
        *) fail "a slot holds only files and directories, not $path" ;;
        esac
        case $kind in d) printf 'sif /%s mode 040755\n' "$path" ;; f) printf 'sif /%s mode 0100644\n' "$path" ;; esac
        for field in atime ctime mtime; do printf 'sif /%s %s %s\n' "$path" "$field" "$now"; done
        printf 'sif /%s uid 0\nsif /%s gid 0\n' "$path" "$path"
    done
}

# boot_image ROOT DIRECTORY IMAGE: makes the boot partition. DIRECTORY keeps the files that it was made from.
boot_image() {
    local firmware=$cache/card-firmware
    rm -rf "$firmware"
    use_card_apt
    # shellcheck disable=SC2046 # a list of names
    unpack_locked "$firmware" $(listed_packages unpacked)
    mkdir -p "$2"
    cp "$firmware"/usr/lib/raspi-firmware/{bootcode.bin,fixup.dat,fixup4.dat,start.elf,start4.elf} "$2/"
    cp "$firmware/usr/lib/u-boot/rpi_arm64/u-boot.bin" image/card.d/boot/config.txt "$2/"
    cp "$1"/dtb/broadcom/* "$2/"
    local tree
    # The firmware's device tree tells U-Boot not to wait for a key: a modem on the UART would stop the boot.
    for tree in "$2"/*.dtb; do fdtput -p -t x "$tree" /config bootdelay fffffffe; done
    grep -v '^#' image/card.d/boot/uboot.env | mkenvimage -s 0x4000 -o "$2/uboot.env" -
    boot_script image/card.d/boot/boot.cmd "$2/boot.scr"
    fat_image "$2" "$3"
}

# fat_image DIRECTORY IMAGE: makes a FAT32 file system with these files and no directories.
fat_image() {
    local epoch
    epoch=$(locked_epoch)
    truncate -s "${boot_mib}M" "$2"
    SOURCE_DATE_EPOCH=$epoch mkfs.vfat -F 32 -s 1 -i 48455244 -n HERDBOOT --invariant "$2" >/dev/null
    find "$1" -type f -exec touch -d "@$epoch" {} +
    (cd "$1" && find . -type f -printf '%P\n' | LC_ALL=C sort |
        SOURCE_DATE_EPOCH=$epoch TZ=UTC xargs -I{} mcopy -m -i "$2" {} ::/)
}

# var_image IMAGE: makes the empty file system of /var. The journal has the size that suits the grown file system.
var_image() {
    truncate -s "${var_mib}M" "$1"
    fixed_ext4 "$1" 48455244-0000-4000-8000-000000000004 -L herdvar -J size=32
}

# assemble BOOT SLOT VAR CARD: puts the images into a new file CARD.
assemble() {
    truncate -s 0 "$4"
    truncate -s "${card_mib}M" "$4"
    sfdisk -q "$4" <<-END
	label: dos
	label-id: $disk_id
	start=${boot_start_mib}MiB, size=${boot_mib}MiB, type=c, bootable
	start=${slot_a_start_mib}MiB, size=${slot_mib}MiB, type=83
	start=${slot_b_start_mib}MiB, size=${slot_mib}MiB, type=83
	start=${var_start_mib}MiB, size=${var_mib}MiB, type=83
	END
    place "$1" "$4" "$boot_start_mib"
    place "$2" "$4" "$slot_a_start_mib"
    place "$3" "$4" "$var_start_mib"
    seed_slot_state "$4"
}
# place IMAGE CARD START_MIB
place() { dd if="$1" of="$2" bs=1M seek="$3" conv=notrunc,sparse status=none; }
