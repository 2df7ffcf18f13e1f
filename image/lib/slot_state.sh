# shellcheck shell=bash
# Reads and writes the slot state of a card from outside, as U-Boot's `env import -c` and `env export -c` do: a sector
# with the CRC-32 of its other 508 bytes, then "key=value" entries that end with a zero byte. image/card.d/boot/boot.cmd
# explains the keys. Sourced, not run.

# The sectors of 512 bytes at 4 and 8 MiB.
slot_state_sectors=(8192 16384)

# crc32_of FILE: prints the four bytes of its CRC-32, little endian. They are in the trailer of a gzip file.
crc32_of() { gzip -nc <"$1" | tail -c 8 | head -c 4; }

# write_slot_state DISK SECTOR KEY=VALUE...: writes this copy of the state.
write_slot_state() {
    local disk=$1 sector=$2 body
    shift 2
    body=$(mktemp)
    { printf '%s\0' "$@" && head -c 508 /dev/zero; } | head -c 508 >"$body" || true
    { crc32_of "$body" && cat "$body"; } | dd of="$disk" bs=512 seek="$sector" count=1 iflag=fullblock conv=notrunc,fsync status=none
    rm "$body"
}

# seed_slot_state DISK: writes the state of a new card, twice: slot a is good, and nothing is tried.
seed_slot_state() {
    write_slot_state "$1" "${slot_state_sectors[0]}" good=a seq=1
    write_slot_state "$1" "${slot_state_sectors[1]}" good=a seq=2
}

# read_slot_state DISK SECTOR: prints the entries of this copy, one a line; fails if its checksum is wrong.
read_slot_state() {
    local copy code=0
    copy=$(mktemp -d)
    dd if="$1" of="$copy/sector" bs=512 skip="$2" count=1 status=none
    head -c 4 "$copy/sector" >"$copy/crc"
    tail -c 508 "$copy/sector" >"$copy/body"
    if cmp -s "$copy/crc" <(crc32_of "$copy/body"); then
        tr '\0' '\n' <"$copy/body" | sed '/^$/d'
    else
        code=1
    fi
    rm -r "$copy"
    return $code
}

# slot_state DISK: prints the entries of the copy that counts; fails if both are damaged.
slot_state() {
    local sector entries seq best=0 found=
    for sector in "${slot_state_sectors[@]}"; do
        entries=$(read_slot_state "$1" "$sector") || continue
        seq=$((0x$(sed -n 's/^seq=//p' <<<"$entries")))
        if [ $seq -gt $best ]; then best=$seq found=$entries; fi
    done
    [ -n "$found" ] && printf '%s\n' "$found"
}
