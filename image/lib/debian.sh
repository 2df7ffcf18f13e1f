# shellcheck shell=bash
# What the scripts of image/ share about Debian: commands that may be missing, packages of other releases and
# architectures without touching the machine's own sources. Sourced, not run; wants `set -euo pipefail`.
#
# Everything that is downloaded or built lies below $cache, so that a second run is fast and `rm -rf` undoes all.

# A function in $(...) ends where a command of it fails, as it would outside.
shopt -s inherit_errexit

cache=$(realpath -m "${HERDLINX_IMAGE_CACHE:-${CARGO_TARGET_DIR:-target}/image}")
mkdir -p "$cache"

# note TEXT...: how far it is, to stderr.
note() { printf '%s\n' "-- $*" >&2; }

# fail TEXT...: says what went wrong and what to do, and ends.
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# again COMMAND...: once more where it failed. Another apt on the machine may hold the lock or clear the archive.
again() { "$@" || { sleep 5 && "$@"; }; }

# need COMMAND=PACKAGE...: installs what is missing where we are root, else says what to type.
need() {
    local pair packages=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || fail "missing here; type: apt-get install ${packages[*]}"
    note "installing ${packages[*]}"
    again install_packages "${packages[@]}"
}

install_packages() {
    apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" >&2
}

# debian_mirror [-security]: the mirror that this machine uses itself.
debian_mirror() {
    local uri
    # Machines write it into different files, and not all of them are there.
    uri=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
        grep -v '^[[:space:]]*#' | grep -oE '(https?|file)://[^ ]*/debian'"${1:-}"'/?( |$)' | sed -n '1{s/ *$//;p}') || true
    [ -n "$uri" ] || fail "no Debian mirror stands in /etc/apt; these scripts want a Debian machine"
    printf '%s\n' "$uri"
}

# source_line SUITE: its line of an apt source, with the mirror that has it.
source_line() {
    local kind=
    case $1 in *-security) kind=-security ;; esac
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$(debian_mirror $kind)" "$1"
}

# private_apt NAME SUITE...: an apt of its own in $cache/apt-NAME that knows these suites, for amd64 and arm64. From
# then on apt_private and apt_private_cache are apt-get and apt-cache with it.
private_apt() {
    local name=$1 suite
    shift
    private=$cache/apt-$name
    mkdir -p "$private"/{lists/partial,archives/partial,etc}
    : >"$private/status"
    for suite in "$@"; do source_line "$suite"; done >"$private/sources.list"
    cat >"$private/apt.conf" <<-END
	Dir::Etc::SourceList "$private/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::Etc::Preferences "/dev/null";
	Dir::Etc::PreferencesParts "/dev/null";
	Dir::State::Lists "$private/lists";
	Dir::State::Status "$private/status";
	Dir::Cache "$private";
	APT::Architectures { "amd64"; "arm64"; };
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "3";
	END
    # Lists of this day will do.
    if ! cmp -s "$private/sources.list" "$private/updated" || [ -z "$(find "$private/updated" -mtime -1)" ]; then
        note "asking for the packages of $*"
        again apt_private -qq update
        cp "$private/sources.list" "$private/updated"
    fi
}
apt_private() { APT_CONFIG=$private/apt.conf apt-get "$@"; }
apt_private_cache() { APT_CONFIG=$private/apt.conf apt-cache "$@"; }

# unpack_packages TREE PACKAGE[:ARCH]...: downloads each and lays its files under TREE, without installing anything.
unpack_packages() {
    local tree=$1 package
    shift
    mkdir -p "$tree"
    touch "$tree/.unpacked"
    for package in "$@"; do
        grep -qxF "$package" "$tree/.unpacked" && continue
        note "unpacking $package"
        rm -rf "$tree/.download"
        mkdir "$tree/.download"
        (cd "$tree/.download" && again apt_private -qq download "$package") >&2
        dpkg -x "$tree"/.download/*.deb "$tree"
        rm -rf "$tree/.download"
        printf '%s\n' "$package" >>"$tree/.unpacked"
    done
}
