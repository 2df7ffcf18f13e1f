# shellcheck shell=bash
# Debian with its own systemd as PID 1, in a container: systemd-nspawn on a cgroup2 hierarchy, with a network that has
# a loopback and nothing else. The units' sandboxes are in force there as on a machine. Sourced after debian.sh.
#
#     root=$(debian_root trixie python3-minimal)      a tar of a bootable Debian, built once
#     container_boot NAME "$root"                     a fresh container from it, booted
#     inside NAME COMMAND...                          runs a command in it, as root
#     container_stop NAME                             powers it off and removes it; done for all at the end of the script

: "${cache:?is set by debian.sh}"
declare -A container_pid=() container_supervisor=()
containers=$(mktemp -d "$cache/containers.XXXXXX")
trap 'stop_all_containers' EXIT

# debian_root SUITE [PACKAGE...]: builds it where it is not there yet, and prints the path of the tar.
debian_root() {
    local suite=$1 packages tar
    shift
    need mmdebstrap=mmdebstrap
    packages=$(IFS=,; printf '%s' "systemd-sysv,dbus,udev,kmod,iproute2,procps,$*")
    tar=$cache/root-$suite-$(printf '%s' "$packages" | sha256sum | cut -c1-12).tar
    if [ ! -s "$tar" ]; then
        note "building a Debian $suite of its own: $packages"
        TMPDIR=$cache again mmdebstrap --quiet --mode=root --format=tar --variant=minbase --include="$packages" "$suite" "$tar.new" \
            "$(source_line "$suite")" >&2
        mv "$tar.new" "$tar"
    fi
    printf '%s\n' "$tar"
}

# on_cgroup2 COMMAND...: becomes the command, with a cgroup2 hierarchy at /sys/fs/cgroup and in a cgroup of its own, in a mount namespace
# of its own where the machine has the old hierarchies there.
on_cgroup2() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    exec unshare --mount --propagation private bash -ec '
        if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
            umount -R /sys/fs/cgroup
            mount -t cgroup2 cgroup2 /sys/fs/cgroup
        fi
        mkdir -p "/sys/fs/cgroup/herdlinx-$$"
        echo $$ >"/sys/fs/cgroup/herdlinx-$$/cgroup.procs"
        exec "$@"' - "$@"
}

# container_boot NAME ROOT_TAR: returns once its systemd has started all that it starts by itself.
container_boot() {
    local name=$1 tree=$containers/$1
    need systemd-nspawn=systemd-container nsenter=util-linux
    mkdir "$tree"
    tar -C "$tree" -xf "$2"
    printf '%s\n' "$name" >"$tree/etc/hostname"
    container_start "$name"
}

# container_start NAME: boots the tree that is there, as after a power cut or container_off. Its systemd may load
# filters of devices (bpf), without which the units' DevicePolicy= would say nothing.
container_start() {
    local name=$1 tree=$containers/$1
    on_cgroup2 systemd-nspawn --quiet --register=no --keep-unit --directory="$tree" --machine="$name" --boot \
        --private-network --system-call-filter=bpf --capability=CAP_BPF --console=pipe </dev/null >"$tree.console" 2>&1 &
    container_supervisor[$name]=$!
    until_true 60 container_found "$name" || { cat "$tree.console" >&2; fail "container $name did not start"; }
    until_true 120 container_booted "$name" || {
        inside "$name" systemctl --failed --no-pager >&2 || true
        fail "container $name did not finish booting"
    }
}

# Its PID 1 is the child of systemd-nspawn; an earlier child only prepares.
container_found() {
    container_pid[$1]=$(pgrep -P "${container_supervisor[$1]}" -x systemd)
}
container_booted() {
    case $(inside "$1" systemctl is-system-running 2>/dev/null) in running | degraded) true ;; *) false ;; esac
}

# until_true SECONDS COMMAND...: tries again until it holds, at most for so long.
until_true() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.2
    done
}

# inside NAME COMMAND...: as root in the container, with nothing of our environment.
inside() {
    local name=$1
    shift
    nsenter --target "${container_pid[$name]}" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        LANG=C.UTF-8 "$@"
}

# container_off NAME: powers it off in order, and keeps its files.
container_off() {
    [ -n "${container_supervisor[$1]:-}" ] || return 0
    inside "$1" systemctl --no-block poweroff >/dev/null 2>&1 || kill "${container_supervisor[$1]}" 2>/dev/null || true
    until_true 60 container_gone "$1" || kill -KILL "${container_supervisor[$1]}" 2>/dev/null || true
    wait "${container_supervisor[$1]}" 2>/dev/null || true
    find /sys/fs/cgroup /sys/fs/cgroup/unified -depth -path "*/herdlinx-${container_supervisor[$1]}*" -type d \
        -exec rmdir {} \; 2>/dev/null || true
    unset "container_supervisor[$1]" "container_pid[$1]"
}
container_gone() { ! kill -0 "${container_supervisor[$1]}" 2>/dev/null; }

# container_stop NAME: powers it off and removes its files.
container_stop() {
    container_off "$1"
    rm -rf "${containers:?}/$1" "$containers/$1.console"
}

stop_all_containers() {
    local name
    for name in "${!container_supervisor[@]}"; do container_off "$name"; done
    rm -rf "$containers"
}
