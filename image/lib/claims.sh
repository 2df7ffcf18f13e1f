# shellcheck shell=bash
# Checks for the tests in image/test.d: prints a line to stdout for each claim. Sourced after debian.sh.

# claim TEXT COMMAND...: the command must succeed. If it fails, its output is shown, then that of `explain` if the test
# defines such a function, and the script exits.
claim() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1 </dev/null); then
        printf 'ok: %s\n' "$text"
        return
    fi
    printf '%s\n' "$output" >&2
    if declare -F explain >/dev/null; then explain >&2 || true; fi
    fail "$text"
}

# finds ARGUMENT...: like grep -q with these arguments, but reads all of its input. grep -q ends at the first match; what
# still writes to it then fails, and with it the pipe: half of the outputs that ssh brought in two pieces.
finds() { grep "$@" | cat >/dev/null; }
