# Shared by .ci/run and .ci/long: the working directory, the display of steps, and settings for a throwaway build.
# Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"

# No incremental data and no debug information: the build is used only once, and they would take a third of the time.
export CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=0
export CARGO_TERM_COLOR=never

current="set-up"
trap 'code=$?; [ "$code" -eq 0 ] || printf "\nFAILED in: %s (exit %d, after %d s)\n" "$current" "$code" "$SECONDS"' EXIT

# step NAME COMMAND...: prints the name, runs the command, prints its time in seconds. A failing command ends the script.
step() {
    current=$1
    shift
    local began=$SECONDS
    printf '\n== %s\n' "$current"
    "$@"
    printf '== %s: %d s\n' "$current" "$((SECONDS - began))"
}

# Prints the only `cargo test ..` line in the README's fenced blocks, so that README and CI cannot diverge.
readme_test_command() {
    local lines
    lines=$(awk '/^```/ { fenced = !fenced; next } fenced && /^cargo test( |$)/' README.md)
    if [ "$(printf '%s\n' "$lines" | grep -c .)" -ne 1 ]; then
        echo "README.md must have exactly one 'cargo test ..' line in its fenced blocks; found: ${lines:-none}" >&2
        return 1
    fi
    printf '%s\n' "$lines"
}

# run_tests LOG COMMAND...: runs tests, saves their output to LOG, and fails if no test passed.
run_tests() {
    local log=$1
    shift
    "$@" 2>&1 | tee "$log"
    count_tests "$log"
}

# count_tests LOG: prints the sum over all test programs; fails if no test passed.
count_tests() {
    awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
         END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit !passed }' "$1"
}
