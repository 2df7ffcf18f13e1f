# shellcheck shell=bash disable=SC2154  # $cache, $lock, $private_apt: debian.sh, card_packages.sh
# Debian's part of the card's root. Sourced after debian.sh, emulation.sh and card_packages.sh.
#
# Installing the packages takes many minutes, most of them in emulated maintainer scripts. So the result is kept, under
# the hash of everything that went into it. Our package and our files are added later, in seconds (card_root.sh).

# Files that the first step depends on.
base_inputs=(image/card.d/packages.lock image/card.d/packages image/card.d/files image/card.d/root/etc/initramfs-tools
    image/lib/card_base.sh)

# base_root: builds the tar of Debian's part if it does not exist yet, and prints its path.
# shellcheck disable=SC2016 # mmdebstrap's hooks expand $1
base_root() {
    local tar preferences listed sources
    tar=$cache/card-base-$(base_hash).tar
    if [ ! -s "$tar" ]; then
        check_lock
        need mmdebstrap=mmdebstrap arch-test=arch-test
        register_qemu
        preferences=$cache/card.preferences
        lock_preferences >"$preferences"
        listed=$(listed_packages packages | paste -sd,)
        mapfile -t sources <"$private_apt/sources.list"
        note "building the base of the card: $(locked_packages | wc -l) packages"
        # No entry of the tar is newer than the recorded list.
        SOURCE_DATE_EPOCH=$(locked_epoch) TMPDIR=$cache mmdebstrap --logfile="$cache/card-base.log" --mode=root \
            --format=tar --variant=essential --architectures=arm64 --include="$listed" --dpkgopt=image/card.d/files \
            --setup-hook='mkdir -p "$1/etc/apt/preferences.d" "$1/etc/initramfs-tools"' \
            --setup-hook="cp '$preferences' \"\$1/etc/apt/preferences.d/recorded\"" \
            --setup-hook='cp -r image/card.d/root/etc/initramfs-tools/. "$1/etc/initramfs-tools/"' \
            --customize-hook='cp "$1/var/lib/dpkg/status" "'"$cache"'/card.status"' \
            "$card_suite" "$tar.new" "${sources[@]}" >&2 || {
            tail -n 40 "$cache/card-base.log" >&2
            fail "Debian's packages could not be installed; the log is $cache/card-base.log"
        }
        check_installed
        mv "$tar.new" "$tar"
    fi
    printf '%s\n' "$tar"
}

base_hash() {
    find "${base_inputs[@]}" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12
}

# check_installed: fails if the packages that were installed are not the recorded ones.
check_installed() {
    local difference
    difference=$(diff <(awk '/^Package: / { name = $2 } /^Version: / { print name, $2 }' "$cache/card.status" | LC_ALL=C sort) \
        <(locked_packages | cut -d' ' -f1,2 | grep -vE "^($(listed_packages unpacked | paste -sd'|')) " | LC_ALL=C sort)) ||
        fail "the installed packages (<) differ from the recorded ones (>); run image/card --refresh:
$difference"
}
