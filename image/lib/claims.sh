# shellcheck shell=bash
# How tests in image/test.d say what holds: a line on stdout for each claim. Sourced after debian.sh.

# claim TEXT COMMAND...: the command must succeed; else what it printed is shown, what `explain` knows, and all ends.
claim() {
    local text=$1 said
    shift
    if said=$("$@" 2>&1 </dev/null); then
        printf 'held: %s\n' "$text"
        return
    fi
    printf '%s\n' "$said" >&2
    if declare -F explain >/dev/null; then explain >&2 || true; fi
    fail "BROKEN: $text"
}
