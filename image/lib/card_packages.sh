# shellcheck shell=bash disable=SC2154  # $cache: debian.sh
# The recorded list of the card's Debian packages, image/card.d/packages.lock. A card is built from exactly these
# versions, so that two builds give the same bytes. Sourced after debian.sh.
#
# Why a recorded list and not snapshot.debian.org: every mirror has the current packages, few have the snapshots. The
# price is that a point release takes old versions away. The build then names them, and `image/card --refresh` records
# the new ones.

card_suite=trixie
lock=image/card.d/packages.lock

# use_card_apt: sets up the private apt with the card's suites, with arm64 as its own architecture.
use_card_apt() {
    apt_components="main non-free-firmware" apt_architecture=arm64 \
        use_private_apt "$card_suite" "$card_suite-updates" "$card_suite-security"
}

# listed_packages FILE: prints the names in image/card.d/packages or image/card.d/unpacked.
listed_packages() { sed 's/#.*//; /^ *$/d' "image/card.d/$1"; }

# locked_packages: prints the recorded lines: name, version and hash.
locked_packages() { grep -v '^#' "$lock"; }
# locked_epoch: prints when the list was recorded. Files of the root file system have this time.
locked_epoch() { sed -n 's/^# Recorded at \([0-9]*\).*/\1/p' "$lock"; }
# locked_version NAME: prints the recorded version of this package.
locked_version() { locked_packages | awk -v name="$1" '$1 == name { print $2 }'; }

# refresh_lock: resolves the listed packages with the newest versions on the mirror, and records the result.
refresh_lock() {
    local now
    now=$(date +%s)
    use_card_apt
    private_apt_get -qq update
    {
        # shellcheck disable=SC2016 # a name in backquotes
        printf '# Debian packages of the card: name, version, SHA-256 of the package. Written by `image/card --refresh`.\n'
        printf '# Recorded at %d (%s).\n' "$now" "$(date --utc --date "@$now" +%F)"
        resolved_packages | package_hashes | LC_ALL=C sort
    } >"$lock.new"
    mv "$lock.new" "$lock"
    note "recorded $(locked_packages | wc -l) packages in $lock"
}

# resolved_packages: prints NAME=VERSION for each essential package, each listed one and what they depend on; then for
# each package that is only unpacked.
resolved_packages() {
    local packages name
    mapfile -t packages < <(listed_packages packages)
    # apt counts itself as essential, unless told otherwise.
    private_apt_get -s -o pkgCacheGen::ForceEssential=, --no-install-recommends install '?narrow(?architecture(arm64), ?essential)' "${packages[@]}" |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p'
    listed_packages unpacked | while read -r name; do
        printf '%s=%s\n' "$name" "$(private_apt_cache policy "$name" | sed -n 's/^  Candidate: //p')"
    done
}

# package_hashes: for each NAME=VERSION on stdin, prints the name, version and hash, if the mirror has that version.
package_hashes() {
    xargs -r env APT_CONFIG="$private_apt/apt.conf" apt-cache show 2>/dev/null |
        awk '/^Package: / { name = $2 } /^Version: / { version = $2 } /^Architecture: / { arch = $2 } /^SHA256: / { hash = $2 }
            /^$/ { show() } END { show() }
            function show() { if (name && arch != "amd64") print name, version, hash; name = "" }' | LC_ALL=C sort -u
}

# check_lock: fails and names every recorded package that the mirror no longer has in that version, with that hash.
check_lock() {
    local missing
    [ -s "$lock" ] || fail "$lock does not exist; run image/card --refresh"
    use_card_apt
    missing=$(locked_packages | sed 's/ /=/; s/ .*//' | package_hashes |
        LC_ALL=C comm -13 - <(locked_packages | LC_ALL=C sort) | cut -d' ' -f1,2)
    [ -z "$missing" ] || fail "the mirror no longer has these recorded packages; run image/card --refresh and commit
$lock:
$missing"
}

# lock_preferences: prints apt preferences that select the recorded versions.
lock_preferences() { locked_packages | awk '{ printf "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", $1, $2 }'; }

# unpack_locked TREE NAME...: unpacks the recorded versions of these packages into TREE, without installing them.
unpack_locked() {
    local tree=$1 name version
    shift
    for name in "$@"; do
        version=$(locked_version "$name")
        [ -n "$version" ] || fail "$lock has no $name; run image/card --refresh"
        unpack_packages "$tree" "$name=$version"
    done
}
