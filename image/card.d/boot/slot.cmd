# slot.cmd: starts the root of one slot. It lies in the slot as slot.scr, and boot.cmd runs it with dev, part, uuid, slot,
# trial and kernel_addr_r set. Each slot has a script of its own, so an update can change how its kernel is started.
#
# It returns if a file is missing or damaged, and boot.cmd then starts the other slot. image/card fills in the CRC-32 of
# kernel and initrd, because U-Boot's unzip does not check that of gzip: a damaged kernel would be started. crc32 stores
# its result in the byte order of the board, so each sum is compared both ways round.
#
#     @KCRC@  @KSWP@    of vmlinuz.gz, and with its bytes reversed
#     @ICRC@  @ISWP@    of initrd.img, and with its bytes reversed

setexpr fdt_at ${kernel_addr_r} + 0x3100000
setexpr overlay_at ${kernel_addr_r} + 0x3200000
setexpr kernel_at ${kernel_addr_r} + 0x4000000
setexpr initrd_at ${kernel_addr_r} + 0x8000000
setexpr gzip_at ${kernel_addr_r} + 0xc000000
setenv fdt_high ffffffffffffffff
setenv initrd_high ffffffffffffffff

# The device tree of this kernel, with our overlays. A board that the slot has no tree for gets the firmware's.
setenv overlays herdlinx
if test -n "${fdtfile}" && load ${dev}:${part} ${fdt_at} dtb/${fdtfile}; then
  fdt addr ${fdt_at}
  fdt resize 0x8000
  for overlay in ${overlays}; do
    if load ${dev}:${part} ${overlay_at} overlays/${overlay}.dtbo; then
      fdt apply ${overlay_at}
    fi
  done
else
  setenv fdt_at ${fdt_addr}
fi

# QEMU's virt board, which the tests use, has another serial port than a Raspberry Pi. Tests on other boards set extra.
if test ${devtype} = virtio; then
  setenv extra console=ttyAMA0
fi
# herd.slot and herd.trial tell herdlinxd what was started. After a panic the kernel reboots, which uses up a trial. No
# console on a serial port: a modem on the pins would transmit what the kernel says. fsck.repair: nobody is there to answer
# its questions about /var, and a mended file system with a barn is better than a damaged one without.
setenv bootargs "console=tty0 root=PARTUUID=${uuid} ro rootwait fsck.repair=yes net.ifnames=0 panic=10 quiet herd.slot=${slot} herd.trial=${trial} ${extra}"

setenv sum_matches 'itest.l *${check_addr} == 0x${sum} || itest.l *${check_addr} == 0x${swapped}'
setenv sum @KCRC@
setenv swapped @KSWP@
if load ${dev}:${part} ${gzip_at} vmlinuz.gz && crc32 ${gzip_at} ${filesize} ${check_addr} && run sum_matches && unzip ${gzip_at} ${kernel_at}; then
  setenv sum @ICRC@
  setenv swapped @ISWP@
  if load ${dev}:${part} ${initrd_at} initrd.img && crc32 ${initrd_at} ${filesize} ${check_addr} && run sum_matches; then
    booti ${kernel_at} ${initrd_at}:${filesize} ${fdt_at}
  fi
fi
echo "SLOT ${slot} damaged"
