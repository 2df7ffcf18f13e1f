# shellcheck shell=bash
# Runs Debian in a container with its own systemd as PID 1: systemd-nspawn on a cgroup2 hierarchy, with only a loopback
# network. The units' sandboxes are enforced there as on a real machine. Sourced after debian.sh.
#
#     root=$(debian_root trixie python3-minimal)      a tar of a bootable Debian, built once
#     container_create NAME "$root"                   unpacks it into a new container and boots that
#     inside NAME COMMAND...                          runs a command in the container, as root
#     container_remove NAME                           powers it off and deletes its files
#
# When the script exits, all containers are powered off and removed.

: "${cache:?is set by debian.sh}"
declare -A container_pid=() container_supervisor=()
containers=$(mktemp -d "$cache/containers.XXXXXX")
trap 'remove_all_containers' EXIT

# debian_root SUITE [PACKAGE...]: builds the tar if it does not exist yet, and prints its path.
debian_root() {
    local suite=$1 packages tar
    shift
    need mmdebstrap=mmdebstrap
    packages=$(IFS=,; printf '%s' "systemd-sysv,dbus,udev,kmod,iproute2,procps,$*")
    tar=$cache/root-$suite-$(printf '%s' "$packages" | sha256sum | cut -c1-12).tar
    if [ ! -s "$tar" ]; then
        note "building a Debian $suite root: $packages"
        TMPDIR=$cache retry_once mmdebstrap --quiet --mode=root --format=tar --variant=minbase --include="$packages" \
            "$suite" "$tar.new" "$(source_line "$suite")" >&2
        mv "$tar.new" "$tar"
    fi
    printf '%s\n' "$tar"
}

# exec_on_cgroup2 COMMAND...: replaces this process by the command, in its own mount namespace and cgroup. If the
# machine has the old cgroup hierarchies at /sys/fs/cgroup, the namespace gets cgroup2 there instead.
exec_on_cgroup2() {
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

# container_create NAME ROOT_TAR: returns once the container's systemd has started everything that it starts at boot.
container_create() {
    local name=$1 tree=$containers/$1
    need systemd-nspawn=systemd-container nsenter=util-linux
    mkdir "$tree"
    tar -C "$tree" -xf "$2"
    printf '%s\n' "$name" >"$tree/etc/hostname"
    container_start "$name"
}

# container_start NAME: boots the existing files, as after a power cut or container_power_off. The container's systemd
# may load device filters (bpf); without them, DevicePolicy= in the units would have no effect.
container_start() {
    local name=$1 tree=$containers/$1
    exec_on_cgroup2 systemd-nspawn --quiet --register=no --keep-unit --directory="$tree" --machine="$name" --boot \
        --private-network --system-call-filter=bpf --capability=CAP_BPF --console=pipe </dev/null >"$tree.console" 2>&1 &
    container_supervisor[$name]=$!
    wait_until 60 find_container_init "$name" || { cat "$tree.console" >&2; fail "container $name did not start"; }
    wait_until 120 container_has_booted "$name" || {
        inside "$name" systemctl --failed --no-pager >&2 || true
        fail "container $name did not finish booting"
    }
}

# The container's PID 1 is the child of systemd-nspawn that is named systemd; an earlier child only prepares the boot.
find_container_init() {
    container_pid[$1]=$(pgrep -P "${container_supervisor[$1]}" -x systemd)
}
container_has_booted() {
    case $(inside "$1" systemctl is-system-running 2>/dev/null) in running | degraded) true ;; *) false ;; esac
}

# wait_until SECONDS COMMAND...: repeats the command until it succeeds; fails after this many seconds.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# inside NAME COMMAND...: runs the command as root in the container, without this script's environment.
inside() {
    local name=$1
    shift
    nsenter --target "${container_pid[$name]}" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        LANG=C.UTF-8 "$@"
}

# container_power_off NAME: shuts it down in order, and keeps its files.
container_power_off() {
    [ -n "${container_supervisor[$1]:-}" ] || return 0
    inside "$1" systemctl --no-block poweroff >/dev/null 2>&1 || kill "${container_supervisor[$1]}" 2>/dev/null || true
    wait_until 60 container_has_exited "$1" || kill -KILL "${container_supervisor[$1]}" 2>/dev/null || true
    wait "${container_supervisor[$1]}" 2>/dev/null || true
    find /sys/fs/cgroup /sys/fs/cgroup/unified -depth -path "*/herdlinx-${container_supervisor[$1]}*" -type d \
        -exec rmdir {} \; 2>/dev/null || true
    unset "container_supervisor[$1]" "container_pid[$1]"
}
container_has_exited() { ! kill -0 "${container_supervisor[$1]}" 2>/dev/null; }

# container_remove NAME: powers it off and deletes its files.
container_remove() {
    container_power_off "$1"
    rm -rf "${containers:?}/$1" "$containers/$1.console"
}

remove_all_containers() {
    local name
    for name in "${!container_supervisor[@]}"; do container_power_off "$name"; done
    rm -rf "$containers"
}
