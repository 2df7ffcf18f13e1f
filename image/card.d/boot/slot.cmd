# The slot's own script: loads its device tree, kernel and initrd, and starts them if their checksums match. If it
# returns, the slot is damaged. image/card replaces the four words in @; each checksum is there in both byte orders,
# because U-Boot stores it as little endian on a Raspberry Pi and as big endian in QEMU.
setexpr faddr ${kernel_addr_r} + 0x3100000; setexpr oaddr ${kernel_addr_r} + 0x3200000
setexpr kaddr ${kernel_addr_r} + 0x4000000; setexpr raddr ${kernel_addr_r} + 0x8000000; setexpr zaddr ${kernel_addr_r} + 0xc000000
setenv fdt_high ffffffffffffffff; setenv initrd_high ffffffffffffffff
# Without a device tree of this slot, the firmware's is used.
if test -n "${fdtfile}" && load ${dev}:${part} ${faddr} dtb/${fdtfile}; then
  fdt addr ${faddr}; fdt resize 0x8000
  for o in herdlinx; do if load ${dev}:${part} ${oaddr} overlays/${o}.dtbo; then fdt apply ${oaddr}; fi; done
else setenv faddr ${fdt_addr}; fi
# An emulated machine has its console elsewhere.
if test ${devtype} = virtio; then setenv extra console=ttyAMA0; fi
setenv bootargs "console=tty0 console=ttyS1,115200 root=PARTUUID=${uuid} ro rootwait net.ifnames=0 panic=10 quiet herd.slot=${slot} herd.trial=${trial} ${extra}"
setenv ok 'itest.l *${chk} == 0x${w} || itest.l *${chk} == 0x${v}'
setenv w @KCRC@; setenv v @KSWP@
if load ${dev}:${part} ${zaddr} vmlinuz.gz && crc32 ${zaddr} ${filesize} ${chk} && run ok && unzip ${zaddr} ${kaddr}; then
  setenv w @ICRC@; setenv v @ISWP@
  if load ${dev}:${part} ${raddr} initrd.img && crc32 ${raddr} ${filesize} ${chk} && run ok; then
    booti ${kaddr} ${raddr}:${filesize} ${faddr}; fi; fi
echo "SLOT ${slot} damaged"
