# shellcheck shell=bash disable=SC2034,SC2154  # $cache: debian.sh; $qemu: the script that sources it
# The emulator for arm64 machines. Sourced after debian.sh.

# find_qemu: sets the array $qemu to the command. Uses the machine's own QEMU. If there is none, unpacks one below
# $cache, with the libraries that the machine lacks.
find_qemu() {
    local tree=$cache/qemu release
    if command -v qemu-system-aarch64 >/dev/null; then
        qemu=(qemu-system-aarch64)
        return
    fi
    release=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    if [ ! -e "$tree/complete" ]; then
        use_private_apt "$release" "$release-security" "$release-backports"
        mapfile -t missing < <(private_apt_get -o Dir::State::Status=/var/lib/dpkg/status -s --no-install-recommends \
            -t "$release-backports" install qemu-system-arm |
            sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p' | grep -v '^qemu-user')
        [ ${#missing[@]} -gt 0 ] || fail "apt finds no qemu-system-arm for $release"
        unpack_packages "$tree" "${missing[@]}"
        touch "$tree/complete"
    fi
    qemu=(env LD_LIBRARY_PATH="$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu"
        "$tree/usr/bin/qemu-system-aarch64" -L "$tree/usr/share/qemu")
}
