# shellcheck shell=bash disable=SC2154  # $work: the script that sources it; $https_port: card_machine.sh
# A real office on this machine, for a barn in an emulated one. Sourced after debian.sh and card_machine.sh.

office_pid=
office_key=
office_port=$((40000 + RANDOM % 10000))

# office ARGUMENT...: runs a command of herdlinx-mirror.
office() { (become_office "$@"); }
# In the background, so that the process that is ended is the program and not a shell that waits for it.
become_office() {
    exec "${CARGO_TARGET_DIR:-target}/debug/herdlinx-mirror" --state-dir "$work/office" \
        --listen "127.0.0.1:$office_port" "$@"
}

# office_start: builds and starts the office.
office_start() {
    note "building the office"
    cargo build --quiet --locked -p herdlinx-mirror --bin herdlinx-mirror >&2
    become_office run >"$work/office.log" 2>&1 &
    office_pid=$!
    local deadline=$((SECONDS + 60))
    until office_page /api/remote/health >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || { cat "$work/office.log" >&2 && fail "the office does not start"; }
        sleep 0.5
    done
    [ -n "$office_key" ] || office_key=$(office key add reader --scope read | tail -n 1)
}
office_stop() {
    [ -z "$office_pid" ] || kill "$office_pid" 2>/dev/null || true
    [ -z "$office_pid" ] || wait "$office_pid" 2>/dev/null || true
    office_pid=
}

# office_page PATH: prints a page of the office as JSON.
office_page() {
    curl --silent --show-error --fail --insecure --max-time 20 -H "X-API-Key: $office_key" -H 'Accept: application/json' \
        "https://127.0.0.1:$office_port$1"
}
# office_shows TEXT: checks that the office shows a payload with this text.
office_shows() { office_page /payloads | grep -F "$1"; }

# office_pairs: pairs the office with the barn on the card, by a line that the barn prints.
office_pairs() { on_card herdlinxd pair | tail -n 1 | office add --address "127.0.0.1:$https_port" -; }
