# shellcheck shell=bash
# Shared by the scripts in image/: installs missing commands, and uses packages of other Debian releases and
# architectures without touching the machine's own apt sources. Sourced, not run; expects `set -euo pipefail`.
#
# All downloads and build results are below $cache. A second run is therefore fast, and `rm -rf` undoes everything.

# A failing command also ends a function that runs inside $(...).
shopt -s inherit_errexit

cache=$(realpath -m "${HERDLINX_IMAGE_CACHE:-${CARGO_TARGET_DIR:-target}/image}")
mkdir -p "$cache"

# note TEXT...: prints progress to stderr.
note() { printf '%s\n' "-- $*" >&2; }

# fail TEXT...: prints what went wrong and what to do, and exits.
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# Longest wait for another apt on the machine, such as an unattended upgrade, in seconds.
lock_timeout=600

# one_at_a_time FILE COMMAND...: runs the command while no other script holds this lock. Parts of image/test that run at
# once share the directory of downloads.
one_at_a_time() (
    exec 9>"$1"
    shift
    flock 9
    "$@"
)

# when_unlocked COMMAND...: runs an apt command, and waits while another apt holds a lock. apt itself waits for dpkg's lock
# only, and not for those of its lists and its archive.
when_unlocked() {
    local deadline=$((SECONDS + lock_timeout)) output
    until output=$(LC_ALL=C "$@" 2>&1); do
        if ! grep -q 'Could not get lock' <<<"$output" || [ "$SECONDS" -ge "$deadline" ]; then
            printf '%s\n' "$output" >&2
            return 1
        fi
        note "waiting for another apt: $(grep -o 'Could not get lock.*' <<<"$output" | head -n 1)"
        sleep 5
    done
}

# retry_once COMMAND...: runs the command, and once more if it fails. Another apt on the machine may clear the archive.
retry_once() { "$@" || { sleep 5 && "$@"; }; }

# need COMMAND=PACKAGE...: installs the packages of missing commands. Without root, fails and names them.
need() {
    local pair packages=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || fail "missing commands; run: apt-get install ${packages[*]}"
    note "installing ${packages[*]}"
    retry_once install_packages "${packages[@]}"
}

install_packages() {
    when_unlocked apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive when_unlocked apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
            -o DPkg::Lock::Timeout="$lock_timeout" install "$@"
}

# debian_mirror [-security]: prints the mirror that this machine's own apt uses.
debian_mirror() {
    local uri
    # Machines differ in which of these files they have.
    uri=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
        grep -v '^[[:space:]]*#' | grep -oE '(https?|file)://[^ ]*/debian'"${1:-}"'/?( |$)' | sed -n '1{s/ *$//;p}') || true
    [ -n "$uri" ] || fail "no Debian mirror found in /etc/apt; these scripts need a Debian machine"
    printf '%s\n' "$uri"
}

# source_line SUITE: prints an apt source line for the suite, on the machine's own mirror, with the components in
# $apt_components [default: main].
source_line() {
    local kind=
    case $1 in *-security) kind=-security ;; esac
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s %s\n' "$(debian_mirror $kind)" "$1" \
        "${apt_components:-main}"
}

# use_private_apt SUITE...: sets up a separate apt below $cache that knows these suites, for amd64 and arm64. From then on
# private_apt_get and private_apt_cache use it. Its directory is named after all that it knows, so that no other script
# gives it other suites while this one uses it.
use_private_apt() {
    local known="$*${apt_architecture:+ $apt_architecture}${apt_components:+ $apt_components}"
    private_apt=$cache/apt-${known// /_}
    one_at_a_time "$private_apt.lock" prepare_private_apt "$@"
}
prepare_private_apt() {
    local suite
    mkdir -p "$private_apt"/{lists/partial,archives/partial,etc}
    touch "$private_apt/status"
    for suite in "$@"; do source_line "$suite"; done | replace "$private_apt/sources.list"
    replace "$private_apt/apt.conf" <<-END
	Dir::Etc::SourceList "$private_apt/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::Etc::Preferences "/dev/null";
	Dir::Etc::PreferencesParts "/dev/null";
	Dir::State::Lists "$private_apt/lists";
	Dir::State::Status "$private_apt/status";
	Dir::Cache "$private_apt";
	APT::Architectures { "amd64"; "arm64"; };
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "3";
	${apt_architecture:+APT::Architecture \"$apt_architecture\";}
	END
    # Package lists are reused for a day.
    if ! cmp -s "$private_apt/sources.list" "$private_apt/updated" || [ -z "$(find "$private_apt/updated" -mtime -1)" ]; then
        note "updating the package lists of $*"
        retry_once private_apt_get -qq update
        cp "$private_apt/sources.list" "$private_apt/updated"
    fi
}
# replace FILE: writes the file from standard input, whole at once: another script may be reading it.
replace() { cat >"$1.new" && mv "$1.new" "$1"; }
private_apt_get() { APT_CONFIG=$private_apt/apt.conf apt-get "$@"; }
private_apt_cache() { APT_CONFIG=$private_apt/apt.conf apt-cache "$@"; }

# unpack_packages TREE PACKAGE[:ARCH]...: downloads each package and unpacks it into TREE, without installing anything.
unpack_packages() {
    mkdir -p "$1"
    one_at_a_time "$1/.lock" unpack_missing "$@"
}
unpack_missing() {
    local tree=$1 package
    shift
    touch "$tree/.unpacked"
    for package in "$@"; do
        grep -qxF "$package" "$tree/.unpacked" && continue
        note "unpacking $package"
        rm -rf "$tree/.download"
        mkdir "$tree/.download"
        (cd "$tree/.download" && retry_once private_apt_get -qq download "$package") >&2
        dpkg -x "$tree"/.download/*.deb "$tree"
        rm -rf "$tree/.download"
        printf '%s\n' "$package" >>"$tree/.unpacked"
    done
}
