# shellcheck shell=bash disable=SC2154  # $key, $audit, $cache, $containers, $state: the test that sources it
# A program that delivers payloads while packages are upgraded, and checks that none of those that were acknowledged is
# missing. Runs in the container `yard`. Sourced after package_claims.sh.

# start_load: delivers numbered payloads, one after the other, and notes each that the barn has acknowledged. A payload
# that was not acknowledged is sent again; 409 acknowledges one whose first answer was lost.
start_load() {
    # shellcheck disable=SC2016 # expanded inside
    printf '%s\n' 'while [ -e /packages/load ]; do
        number=$((number + 1)) payload="hxb:load:LF$number:UHF$number" code=
        until [ "$code" = 201 ] || [ "$code" = 409 ]; do
            [ -e /packages/load ] || exit 0
            code=$(curl --silent --max-time 5 --cacert /var/lib/herdlinx/tls/certificate.pem --output /dev/null \
                --write-out "%{http_code}" -H "X-API-Key: $1" -H "Content-Type: application/json" \
                -d "{\"payload\":\"$payload\"}" https://localhost:5001/api/lora/receive) || true
        done
        echo "$payload" >>/packages/acknowledged
    done' >"$containers/yard/packages/load.sh"
    yard touch /packages/load /packages/acknowledged
    yard sh /packages/load.sh "$key" &
    load=$!
    claim "a program delivers payloads all the time" wait_until 20 load_proceeds 5
}

stop_load() {
    yard rm /packages/load
    wait "$load"
    note "$(wc -l <"$containers/yard/packages/acknowledged") payloads were acknowledged under load"
}

# load_proceeds COUNT: succeeds once COUNT more payloads were acknowledged than at the first call of this round.
load_proceeds() {
    local now
    now=$(wc -l <"$containers/yard/packages/acknowledged")
    : "${load_began:=$now}"
    [ "$now" -ge $((load_began + $1)) ] || return 1
    unset load_began
}

# nothing_is_missing: checks that the barn's export has every payload that was acknowledged up to now, and that the
# office comes to have the same log.
nothing_is_missing() {
    local missing
    sort -u "$containers/yard/packages/acknowledged" >"$cache/packages/acknowledged"
    wait_until 20 barn_answers /api/remote/status || return 1
    yard curl --silent --fail --cacert "$state/tls/certificate.pem" -H "X-API-Key: $audit" \
        https://localhost:5001/api/sync/full-export >"$cache/packages/export" || return 1
    missing=$(grep -oE 'hxb:load:LF[0-9]+:UHF[0-9]+' "$cache/packages/export" | sort -u |
        comm -13 - "$cache/packages/acknowledged")
    [ -z "$missing" ] || { echo "acknowledged, but missing: $missing" && return 1; }
    wait_until 30 office_has_last
}

# office_has_last: checks that the office shows the payload that was acknowledged last.
office_has_last() {
    local last
    last=$(tail -n 1 "$containers/yard/packages/acknowledged")
    [ -z "$last" ] || yard herdlinx-mirror show payloads --json --limit 1000 | finds -F "$last"
}
