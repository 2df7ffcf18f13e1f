# What .ci/run and .ci/long share: where they work, how a step is shown, the settings of a build that is thrown away.
# Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"

# Nothing is built twice and nobody debugs here: both would cost a third of the time.
export CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=0
export CARGO_TERM_COLOR=never

current="the beginning"
trap 'code=$?; [ "$code" -eq 0 ] || printf "\nFAILED in: %s (exit %d, after %d s)\n" "$current" "$code" "$SECONDS"' EXIT

# step NAME COMMAND...: shows the name, runs the command, shows its seconds. A failing command ends the script.
step() {
    current=$1
    shift
    local began=$SECONDS
    printf '\n== %s\n' "$current"
    "$@"
    printf '== %s: %d s\n' "$current" "$((SECONDS - began))"
}

# The one line `cargo test ..` that stands in the README's fenced blocks, so that page and CI cannot part.
readme_test_command() {
    local lines
    lines=$(awk '/^```/ { fenced = !fenced; next } fenced && /^cargo test( |$)/' README.md)
    if [ "$(printf '%s\n' "$lines" | grep -c .)" -ne 1 ]; then
        echo "README.md must have exactly one line 'cargo test ..' in its fenced blocks; it has: ${lines:-none}" >&2
        return 1
    fi
    printf '%s\n' "$lines"
}

# run_tests LOG COMMAND...: runs tests, keeps what they print in LOG, and fails where not one test ran.
run_tests() {
    local log=$1
    shift
    "$@" 2>&1 | tee "$log"
    count_tests "$log"
}

# count_tests LOG: the sum over all test programs; fails where nothing passed.
count_tests() {
    awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
         END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit !passed }' "$1"
}
