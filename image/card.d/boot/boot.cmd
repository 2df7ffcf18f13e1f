# U-Boot's script on the boot partition: chooses a slot, and runs the script in it. The FAT file system is never written.
#
# The state is kept in two sectors outside all file systems, at 4 and 8 MiB. Each has a checksum, a sequence number
# (seq), the good slot (good), and during an update the new slot (try) with the number of starts that are left (left).
# The valid copy with the higher sequence number counts. A write goes to the other one, so a power cut during the write
# leaves the old state. A good slot is not counted: power cuts must not lead to a downgrade.
test -n "${devtype}" || setenv devtype mmc
test -n "${devnum}" || setenv devnum 0
test -n "${kernel_addr_r}" || setenv kernel_addr_r 0x80000
setenv dev "${devtype} ${devnum}"; ${devtype} dev ${devnum}
setexpr buf ${kernel_addr_r} + 0x3000000; setexpr chk ${buf} + 0x1000; setexpr sbuf ${buf} + 0x2000
setenv best 0; setenv cur
for s in 0x2000 0x4000; do setenv seq
  if ${devtype} read ${buf} ${s} 1 && env import -c ${buf} 0x200 seq && test -n "${seq}"; then
    if itest.l 0x${seq} -gt 0x${best}; then setenv best ${seq}; setenv cur ${s}; fi; fi
done
setenv seq 0; setenv good a; setenv try; setenv left 0; setenv wsec 0x2000
if test -n "${cur}"; then
  ${devtype} read ${buf} ${cur} 1; env import -c ${buf} 0x200 seq good try left
  if test ${cur} = 0x2000; then setenv wsec 0x4000; fi; fi
echo "STATE cur=${cur} seq=${seq} good=${good} try=${try} left=${left}"
setenv slot ${good}; setenv trial 0
# The new slot is started only after its count has been written and read back.
if test -n "${try}"; then if itest.l 0x${left} -gt 0; then
  setexpr left 0x${left} - 1; setexpr seq 0x${seq} + 1
  env export -c -s 0x200 ${buf} seq good try left
  if ${devtype} write ${buf} ${wsec} 1 && ${devtype} read ${chk} ${wsec} 1 && cmp.b ${buf} ${chk} 0x200; then
    setenv slot ${try}; setenv trial 1; fi
fi; fi
setenv start 'setenv part 2; if test ${slot} = b; then setenv part 3; fi; part uuid ${dev}:${part} uuid; echo "SLOT ${slot} trial=${trial}"; if load ${dev}:${part} ${sbuf} slot.scr; then source ${sbuf}; fi'
run start
# The slot is missing or damaged: start the other one.
setenv trial 0
if test ${slot} = a; then setenv slot b; else setenv slot a; fi
run start; sleep 10; reset
