# boot.cmd: chooses the slot that starts, and runs the script of that slot. U-Boot finds it as boot.scr on the boot
# partition; image/card compiles it with mkimage.
#
# A card has two slots, a on partition 2 and b on partition 3. Each is one ext4 file system with slot.scr, kernel,
# initrd, device trees and root. The choice between them lies outside all file systems: one sector, kept twice, 4 MiB
# and 8 MiB into the card. A copy is a U-Boot environment of 512 bytes with its checksum. The copy with the higher seq
# counts, and a change overwrites the other one, so a power cut leaves the old state or the new one. The program writes
# the same sectors; daemon/src/slots/ is their definition.
#
#     seq     number of the state, in hexadecimal, from 1
#     good    the slot that has proved that it works
#     try     the slot on trial; missing if there is none
#     left    starts that the trial has left, in hexadecimal
#
# A trial is counted down before it starts. A root that never comes to serve therefore uses up its starts, whatever
# stops it, and the good slot returns. A confirmed slot is not counted: power cuts must not bring an old version back.
#
# Not saveenv: it rewrites sectors of the FAT that holds the firmware. Not bootcount: Debian builds U-Boot without it.

# The kind of disk is set if U-Boot found this script by itself; otherwise it is the card of a Raspberry Pi.
test -n "${devtype}" || setenv devtype mmc
test -n "${devnum}" || setenv devnum 0
test -n "${kernel_addr_r}" || setenv kernel_addr_r 0x80000
setenv dev "${devtype} ${devnum}"
${devtype} dev ${devnum}

# Memory above the firmware and below the files that slot.cmd loads.
setexpr state_addr ${kernel_addr_r} + 0x3000000
setexpr check_addr ${state_addr} + 0x1000
setexpr script_addr ${state_addr} + 0x2000

# Find the newest copy. Its place is the sector number; best starts at 0, which no written state has.
setenv best 0
setenv current
for sector in 0x2000 0x4000; do
  setenv seq
  if ${devtype} read ${state_addr} ${sector} 1 && env import -c ${state_addr} 0x200 seq && test -n "${seq}"; then
    if itest.l 0x${seq} -gt 0x${best}; then
      setenv best ${seq}
      setenv current ${sector}
    fi
  fi
done

# Read it. Without a valid copy, slot a starts: that is where image/card puts the first root.
setenv seq 0
setenv good a
setenv try
setenv left 0
setenv other_copy 0x2000
if test -n "${current}"; then
  ${devtype} read ${state_addr} ${current} 1
  env import -c ${state_addr} 0x200 seq good try left
  if test ${current} = 0x2000; then
    setenv other_copy 0x4000
  fi
fi
echo "STATE current=${current} seq=${seq} good=${good} try=${try} left=${left}"

# Count a trial down and read the sector back. If that fails, the good slot starts: an uncounted trial might never end.
setenv slot ${good}
setenv trial 0
if test -n "${try}"; then
  if itest.l 0x${left} -gt 0; then
    setexpr left 0x${left} - 1
    setexpr seq 0x${seq} + 1
    env export -c -s 0x200 ${state_addr} seq good try left
    if ${devtype} write ${state_addr} ${other_copy} 1 && ${devtype} read ${check_addr} ${other_copy} 1 && cmp.b ${state_addr} ${check_addr} 0x200; then
      setenv slot ${try}
      setenv trial 1
    fi
  fi
fi

# slot.scr returns only if a file of its slot is missing or damaged. The root is named by the id of its partition,
# because the order of the disks differs between U-Boot and Linux.
setenv find_part 'setenv part 2; if test ${slot} = b; then setenv part 3; fi; part uuid ${dev}:${part} uuid'
setenv run_script 'if load ${dev}:${part} ${script_addr} slot.scr; then source ${script_addr}; fi'
setenv start_slot 'run find_part; echo "SLOT ${slot} trial=${trial}"; run run_script'
run start_slot

# The other slot is better than none. It is no trial, so the state stays as it is.
setenv trial 0
if test ${slot} = a; then
  setenv slot b
else
  setenv slot a
fi
run start_slot

echo "Neither slot can be started; trying again"
sleep 10
reset
