# shellcheck shell=bash disable=SC2154  # $cache, $qemu, $work: the script that sources it, and the files named below
# An emulated machine that starts a card through U-Boot, as a Raspberry Pi does. Sourced after debian.sh, qemu.sh and
# card_packages.sh. Nothing in the image is changed for the test: it is reached over HTTPS and SSH like a real barn.
#
#     copy_card IMAGE                     a copy of the built card
#     virt_start IMAGE CONSOLE            starts it in QEMU's generic machine; returns at once
#     on_card COMMAND...                  runs a command as root on the card, over SSH
#     is_online | no_failed_unit          waits for the log-in, or for the end of the boot
#     machine_stop | machine_kill         ends the machine in order, or like a power cut

# A restart ends the machine. A test that restarts cards empties this list.
on_restart=(-no-reboot)
# Numbers that a second run on the same machine hardly has.
ssh_port=$((20000 + RANDOM % 10000))
https_port=$((30000 + RANDOM % 10000))
# A card that takes longer to start than this hangs, even on a busy host.
boot_seconds=600

# need_card: builds the card if there is none yet.
need_card() { one_at_a_time "$cache/card.lock" build_missing_card; }
build_missing_card() { [ -s "$cache/card.img" ] || image/card >&2; }

# copy_card IMAGE: copies the card without storing its zeros.
copy_card() { cp --sparse=always "$cache/card.img" "$1"; }

# part_offset IMAGE NUMBER: prints where a partition starts, in bytes.
part_offset() { sfdisk -d "$1" | sed -n "s/^${1//\//\\/}$2 : start= *\([0-9]*\),.*/\1/p" | awk '{ print $1 * 512 }'; }

# put_on_boot IMAGE FILE NAME: copies a file to the boot partition.
put_on_boot() { mcopy -o -i "$1@@$(part_offset "$1" 1)" "$2" "::/$3"; }
# get_from_boot IMAGE NAME: prints a file of the boot partition.
get_from_boot() { mtype -i "$1@@$(part_offset "$1" 1)" "::/$2"; }

# put_on_var IMAGE FILE PATH: copies a file to a path below /var, whose directories must exist or be made.
put_on_var() {
    local image=$1 file=$2 path=$3 directory=''
    {
        while [ "${path#*/}" != "$path" ]; do
            directory+=/${path%%/*}
            path=${path#*/}
            printf 'mkdir %s\n' "$directory"
        done
        printf 'write %s %s/%s\nsif %s/%s uid 0\nsif %s/%s gid 0\n' "$file" "$directory" "$path" "$directory" "$path" \
            "$directory" "$path"
    } | debugfs -w -f - "$image?offset=$(part_offset "$image" 4)" >"$work/debugfs.log" 2>&1
}

# let_me_in IMAGE [LINE...]: writes a settings file with a fresh SSH key, for on_card, and these lines as its section
# [radio]; without lines, the barn has no radio.
let_me_in() {
    local image=$1
    shift
    need ssh=openssh-client ssh-keygen=openssh-client
    rm -f "$work/key" "$work/key.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    [ $# -gt 0 ] || set -- 'kind = "none"'
    { printf '[ssh]\nkey = "%s"\n[radio]\n' "$(cat "$work/key.pub")" && printf '%s\n' "$@"; } >"$work/herdlinx.toml"
    put_on_boot "$image" "$work/herdlinx.toml" herdlinx.toml
}

on_card() {
    ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 \
        -i "$work/key" -p "$ssh_port" root@127.0.0.1 "$@"
}

# find_u_boot: unpacks U-Boot for QEMU's generic machine.
find_u_boot() {
    use_card_apt
    unpack_packages "$cache/u-boot-qemu" u-boot-qemu
    u_boot=$cache/u-boot-qemu/usr/lib/u-boot/qemu_arm64/u-boot.bin
}

# virt_start IMAGE CONSOLE [OPTION...]: starts the card; its console goes to the file. The network is cut off, except for
# the two ports. The watchdog is one that the emulator implements.
virt_start() {
    local image=$1 console=$2
    shift 2
    local drive=(-drive "if=none,id=card,file=$image,format=raw,cache=writeback")
    [ -z "${nbd_socket:-}" ] || drive=(-drive "if=none,id=card,driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=$nbd_socket,cache.direct=on,cache.no-flush=off")
    : >"$console"
    "${qemu[@]}" -M virt -cpu cortex-a72 -smp 2 -m 1024 -accel tcg,thread=multi -nographic -nodefaults "${on_restart[@]}" \
        -serial "file:$console" -bios "$u_boot" "${drive[@]}" -device virtio-blk-pci,drive=card \
        -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$https_port-:5001,hostfwd=tcp:127.0.0.1:$ssh_port-:22" \
        -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci -device i6300esb "$@" \
        </dev/null >"$console.qemu" 2>&1 &
    echo $! >"$work/machine"
}

# machine_pid: prints the process id of the running machine; fails if none runs. It is kept in a file, because a claim
# that starts a machine runs in a subshell. A killed one holds its ports and disks until the last of its threads has ended.
machine_pid() {
    local pid
    pid=$(cat "$work/machine" 2>/dev/null) && kill -0 "$pid" 2>/dev/null &&
        [ -n "$(ps -L -o stat= -p "$pid" | sed '/^Z/d')" ] && printf '%s\n' "$pid"
}
machine_runs() { machine_pid >/dev/null; }

# machine_until SECONDS COMMAND...: repeats the command until it succeeds. Fails if the machine ends or time is up.
machine_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        machine_runs || { note "the machine has ended" && return 1; }
        [ "$SECONDS" -lt "$deadline" ] || { note "time is up: $*" && return 1; }
        sleep 1
    done
}

# machine_stop: powers the card off from inside, and waits until the machine has ended.
machine_stop() {
    local deadline=$((SECONDS + 120))
    on_card systemctl --no-block poweroff || true
    while machine_runs; do
        [ "$SECONDS" -lt "$deadline" ] || { note "the card does not power off" && return 1; }
        sleep 1
    done
}

machine_kill() {
    local pid
    pid=$(machine_pid) || return 0
    kill -KILL "$pid"
    while machine_runs; do sleep 0.1; done
}

# barn_health: prints the barn's own word about its health; fails if nothing answers.
barn_health() { curl --silent --show-error --insecure --max-time 20 "https://127.0.0.1:$https_port/api/remote/health"; }

is_online() { machine_until "$boot_seconds" on_card true; }

# no_failed_unit: waits for the end of the boot, and prints the units that failed; fails if there are any.
no_failed_unit() {
    machine_until "$boot_seconds" has_booted || return 1
    [ -z "$(on_card systemctl --failed --plain --no-legend | tee -a /dev/stderr)" ]
}
has_booted() { case $(on_card systemctl is-system-running) in running | degraded) true ;; *) false ;; esac; }

# var_stayed_mounted: checks that nothing took /var away again while the card started.
var_stayed_mounted() { on_card '! journalctl --no-pager -b -g "Unmounted var.mount"'; }
