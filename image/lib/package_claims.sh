# shellcheck shell=bash disable=SC2154  # $cache, $containers, $current, $key, $made, $next, $old: the test that sources it
# Checks and actions for image/test.d/packages, one function each. They run in the container `yard`, which has barn and
# office on one machine.

state=/var/lib/herdlinx

yard() { inside yard "$@"; }

# explain: prints the last log lines of the services when a claim fails.
explain() { yard journalctl --no-pager -n 60 -o short-monotonic; }

# dpkg_unattended ARGUMENT...: runs dpkg without DEBIAN_FRONTEND and with stdin closed, so that a question is an error.
dpkg_unattended() { yard dpkg "$@" <&- >"$cache/packages/dpkg.log" 2>&1 || { cat "$cache/packages/dpkg.log" && false; }; }
# dpkg_said PATTERN...: checks that the last dpkg printed a line with each basic regular expression.
dpkg_said() {
    local pattern
    for pattern in "$@"; do
        grep -q -e "$pattern" "$cache/packages/dpkg.log" || { cat "$cache/packages/dpkg.log" && return 1; }
    done
}
# dpkg_refuses VERSION: installs both packages; the configuration of both must fail.
dpkg_refuses() {
    # shellcheck disable=SC2016 # expanded by dpkg-query
    ! dpkg_install "$1" >/dev/null && [ "$(yard dpkg-query -W -f '${db:Status-Status} ' herdlinx herdlinx-mirror)" = \
        "half-configured half-configured " ]
}
dpkg_configure_fails() { ! dpkg_unattended --configure -a >/dev/null && dpkg_said no_such_setting; }
apt_purges_removed() {
    yard apt-get -y purge '?config-files' <&- >"$cache/packages/dpkg.log" 2>&1 || { cat "$cache/packages/dpkg.log" && false; }
}
# dpkg_install VERSION: installs both packages of this version.
dpkg_install() { dpkg_unattended --install "/packages/herdlinx_$1_amd64.deb" "/packages/herdlinx-mirror_$1_amd64.deb"; }

# package_is_complete DEB: checks that the package contains every file it must have.
package_is_complete() {
    local contents program path
    contents=$(dpkg-deb --contents "$1" | awk '{ print $6 }')
    program=herdlinxd
    case $1 in *mirror*) program=herdlinx-mirror ;; esac
    for path in "bin/$program" "lib/systemd/system/$program.service" lib/sysusers.d/ "share/man/man1/$program.1.gz" \
        "bash-completion/completions/$program" "vendor-completions/_$program" "$program.fish" changelog.Debian.gz copyright crates.gz; do
        grep -qF "$path" <<<"$contents" || { echo "$path is missing" && return 1; }
    done
    dpkg-deb --info "$1" conffiles | finds '^/etc/herdlinx' && lists_crates "$1" && settings_file_is_unchanged "$1"
}
# settings_file_is_unchanged DEB: checks that the settings file has the bytes that it has in every version of the
# package. If it changed, dpkg would ask everybody who has edited the file, and an unattended upgrade would fail. For this
# reason the installed file only points to the example, which may change.
settings_file_is_unchanged() {
    local hash
    hash=$(dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './etc/*.toml' | sha256sum | cut -c1-64)
    case $hash in
    80140617486ca51307416d82a54d6e5ff899d12d206c3d5304f06dd7b45db105) ;; # herdlinxd.toml
    f0784fe119022fc99a44e285b1405262d3b3d0925b4d8a6548adf396650d720f) ;; # herdlinx-mirror.toml
    *) echo "the settings file in /etc has changed: $hash; change the example instead" && return 1 ;;
    esac
}
# lists_crates DEB: checks that each linked crate is listed and has a license text, and that the source of each under the
# MPL-2.0 is named.
lists_crates() {
    local list named crate name
    list=$(dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards '*/crates.gz' | gunzip)
    [ "$(grep -c '^[^ ]* v[0-9]' <<<"$list")" -gt 50 ] || { echo "few crates are listed" && return 1; }
    named=$(sed -n 's/^==== \(.*\)/ \1 /p' <<<"$list")
    while read -r crate; do
        [[ $named == *" $crate "* ]] || { echo "$crate has no license text" && return 1; }
    done < <(sed -n 's/^\([^ ]*\) v\([0-9][^,]*\), .*/\1-\2/p' <<<"$list")
    while read -r name; do
        grep -q "^$name .* Its source: https://" <<<"$list" || { echo "the source of $name is not named" && return 1; }
    done < <(sed -n 's/^\([^ ]*\) v.*MPL-2.0.*/\1/p' <<<"$list")
}

# names_no_build_paths DEB: checks that the program does not contain a path of this machine.
names_no_build_paths() {
    local program paths
    program=$cache/packages/program
    dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './usr/bin/*' >"$program"
    paths=$(build_paths "$program")
    rm "$program"
    [ -z "$paths" ] || { echo "$paths" && false; }
}

# installed_state: prints every path with its type, except those that change by themselves, then users and groups.
installed_state() {
    yard find / -xdev \( -path /proc -o -path /sys -o -path /packages -o -path '/var/log/journal/*' \
        -o -path '/tmp/*' -o -path '/var/tmp/systemd-private-*' -o -path /var/lib/dpkg -o -path '/etc/*-' -o -path /etc/.pwd.lock \
        -o -path /var/lib/systemd/deb-systemd-helper-enabled -o -path /var/lib/systemd/deb-systemd-helper-masked \
        -o -path /var/log/dpkg.log -o -path /var/log/apt -o -path /var/cache/apt -o -path /var/lib/apt/lists -o -path /var/lib/private -o -path /var/cache/private \) -prune -o -printf '%y %p\n'
    yard find /var/lib/systemd /run /var/lib/dpkg -name '*herdlinx*'
    yard getent passwd
    yard getent group
} 2>/dev/null
nothing_left() { diff "$cache/packages/before" <(installed_state); }

both_active() { yard systemctl --quiet is-active herdlinxd && yard systemctl --quiet is-active herdlinx-mirror; }
start_both() { yard systemctl start herdlinxd herdlinx-mirror && wait_until 30 both_active; }
# pgrep exits with 1 if no process matches. Any other failure fails the check.
no_process() { yard sh -c "pgrep -f '^/usr/bin/herdlinx'; [ \$? = 1 ]"; }
no_unit() {
    local units
    units=$(yard systemctl list-units --all --full --plain --no-legend '*herdlinx*' &&
        yard systemctl list-unit-files --no-legend '*herdlinx*')
    [ -z "$units" ] || { echo "$units" && false; }
}
no_user() {
    local name
    for name in _herdlinx _herdlinx-mirror; do
        ! yard getent passwd "$name" && ! yard getent group "$name" || return 1
    done
    ! yard getent group spi && ! yard getent group gpio
}

# invocations: prints systemd's id of the current run of each service.
invocations() { yard systemctl show --value --property InvocationID herdlinxd herdlinx-mirror; }
# both_restarted INVOCATIONS: checks that both services are active, in runs other than these.
both_restarted() {
    local now old_invocation
    both_active || return 1
    now=$(invocations)
    for old_invocation in $1; do
        ! grep -qF "$old_invocation" <<<"$now" || return 1
    done
}

# barn_answers PATH [KEY]: requests the path over TLS and checks the certificate that the barn generated.
barn_answers() {
    yard curl --silent --show-error --fail --output /dev/null --cacert "$state/tls/certificate.pem" \
        -H "X-API-Key: ${2:-${key:-none}}" "https://localhost:5001$1"
}

settings_are_valid() { yard herdlinxd check && yard herdlinx-mirror check; }
examples_match_config_output() {
    yard sh -ec 'cd /usr/share/doc; herdlinxd config | cmp - herdlinx/examples/herdlinxd.toml
        herdlinx-mirror config | cmp - herdlinx-mirror/examples/herdlinx-mirror.toml'
}
settings_and_examples_are_valid() { settings_are_valid && examples_match_config_output; }
edit_settings() {
    yard sh -ec 'printf "site = \"north\"\n" >>/etc/herdlinx/herdlinxd.toml
        printf "sync_interval = \"7s\"\n" >>/etc/herdlinx-mirror.toml'
}
# settings_are_refused: writes a setting that neither program knows. settings_are_corrected removes it.
settings_are_refused() {
    yard sh -ec 'echo "no_such_setting = 1" >>/etc/herdlinx/herdlinxd.toml
        echo "no_such_setting = 1" >>/etc/herdlinx-mirror.toml'
}
settings_are_corrected() { yard sed -i '/no_such_setting/d' /etc/herdlinx/herdlinxd.toml /etc/herdlinx-mirror.toml; }
no_start_is_due() { yard sh -c '! ls /var/lib/herdlinx.start /var/lib/herdlinx-mirror.start 2>/dev/null'; }
settings_are_edited() {
    yard grep -qxF 'site = "north"' /etc/herdlinx/herdlinxd.toml &&
        yard grep -qxF 'sync_interval = "7s"' /etc/herdlinx-mirror.toml
}

user_can_open_radios() {
    local groups group
    groups=$(yard id -nG _herdlinx)
    for group in spi gpio dialout; do grep -qw "$group" <<<"$groups" || { echo "$groups" && return 1; }; done
    yard getent passwd _herdlinx | finds -E ':/(usr/)?sbin/nologin$' && yard passwd --status _herdlinx | finds ' L '
}

# manual_is_complete: checks that there is a page for each command that the help lists, and shell completions.
manual_is_complete() {
    local program command commands
    for program in herdlinxd herdlinx-mirror; do
        commands=$(yard "$program" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
        [ "$(wc -w <<<"$commands")" -gt 5 ] || { echo "the help of $program lists no commands" && return 1; }
        for command in $commands; do
            yard test -s "/usr/share/man/man1/$program-$command.1.gz" || { echo "$program-$command" && return 1; }
        done
        yard test -s "/usr/share/bash-completion/completions/$program" || return 1
    done
}

# post TEXT: posts one payload and prints the status code.
post() {
    yard curl --silent --cacert "$state/tls/certificate.pem" --output /dev/null --write-out '%{http_code}\n' \
        -H "X-API-Key: $key" -H 'Content-Type: application/json' -d "{\"payload\":\"$1\"}" \
        https://localhost:5001/api/lora/receive
}
# post_all BATCH COUNT CODE: posts COUNT animals of the batch; each answer must have this status code. Waits first,
# because the daemon may still be starting.
post_all() {
    local number code
    wait_until 20 barn_answers /api/remote/status || return 1
    for number in $(seq "$2"); do
        code=$(post "hxb:$1:L$1$number:U$1$number")
        [ "$code" = "$3" ] || { echo "payload $number: $code" && return 1; }
    done
}
# post_event CODE: posts an event with a fixed event id, so that a repetition is a duplicate however late it comes. The
# answer must have this status code. Sends it again while the barn is not ready, as a sender does.
post_event() {
    local code deadline=$((SECONDS + 60))
    while code=$(post 'event:hxbchi0001|weight:267.3|lid:1'); [ "$code" = 000 ] || [ "$code" = 503 ]; do
        [ "$SECONDS" -lt "$deadline" ] || break
        sleep 1
    done
    [ "$code" = "$1" ] || { note "the event was answered $code instead of $1" && return 1; }
}
# recorded_animals BATCH: prints how many animals of the batch the barn has recorded.
recorded_animals() {
    yard herdlinxd show payloads --json --limit 1000 | grep -o "hxb:$1:L[a-z]*[0-9]*" | sort -u | wc -l
}
# office_key: prints a key for the office's pages, which the first call creates.
office_key() {
    yard sh -c 'test -s /root/office-key || herdlinx-mirror key add reader --scope read | tail -n 1 >/root/office-key
        cat /root/office-key'
}
# office_shows BATCH: checks that the office shows the batch with all its animals.
office_shows() {
    local number
    case $1 in first) number=40 ;; second) number=20 ;; *) number=10 ;; esac
    yard curl --silent --fail --cacert "$state-mirror/tls/certificate.pem" -H 'Accept: application/json' \
        -H "X-API-Key: $(office_key)" "https://localhost:5000/batches/$1" | finds -E "\"cattle_count\": ?$number\b"
}

# programs_differ: checks that the programs of the old and the current packages are not the same.
programs_differ() {
    local package
    for package in herdlinx_ herdlinx-mirror_; do
        ! cmp -s <(programs_of "$package$old") <(programs_of "$package$current") || { echo "$package" && return 1; }
    done
}
programs_of() { dpkg-deb --fsys-tarfile "$cache/packages/$1_amd64.deb" | tar -xO --wildcards './usr/bin/*'; }
root_run_is_refused() {
    local program
    for program in herdlinxd herdlinx-mirror; do
        yard "$program" run 2>"$cache/packages/refused" && return 1
        grep -q 'belongs to user [0-9]*' "$cache/packages/refused" || { cat "$cache/packages/refused" && return 1; }
    done
}

# save_log_digests: saves what `verify` prints: identity of the log, number of changes, digests.
save_log_digests() { yard herdlinxd verify 2>/dev/null >"$cache/packages/log"; }
log_is_as_saved() {
    wait_until 20 barn_answers /api/remote/status && yard herdlinxd verify 2>/dev/null | diff "$cache/packages/log" -
}
# log_continues: checks that the store is intact and has the saved identity. Under load, it has further changes.
log_continues() {
    wait_until 20 barn_answers /api/remote/status && yard herdlinxd verify >"$cache/packages/verified" 2>/dev/null &&
        [ "$(store_id "$cache/packages/log")" = "$(store_id "$cache/packages/verified")" ]
}
store_id() { grep -oE '[0-9a-f]{32}' "$1" | head -n 1; }

# root_uses_barn_commands: runs commands as root on the files of the stopped barn. The tables are deleted before, so the
# first command rebuilds them, and root creates files that the service must be able to open.
root_uses_barn_commands() {
    yard rm "$state/tables.redb"
    yard herdlinxd show animals && yard herdlinxd verify &&
        yard herdlinxd correct --author root --reason test move_pen --animal "$(first_animal)" --pen P9
}
first_animal() { yard herdlinxd show animals --json | grep -o '"id": *[0-9]*' | sed -n '1s/[^0-9]*//p'; }
root_uses_office_commands() {
    yard herdlinx-mirror key add program --scope read && yard herdlinx-mirror show animals &&
        yard herdlinx-mirror verify "$(yard sh -c 'ls /var/lib/herdlinx-mirror/sites' | head -n 1)"
}
# all_files_belong_to USER OFFICE_USER
all_files_belong_to() {
    local strays
    strays=$(yard find $state ! -user "$1" && yard find $state-mirror ! -user "$2") || return 1
    [ -z "$strays" ] || { echo "$strays" && false; }
}
early_key_works() {
    all_files_belong_to _herdlinx _herdlinx-mirror && wait_until 20 barn_answers /api/remote/status "$made"
}

# barn_moves: moves the barn's data to /srv/barn, and has it write a log file.
barn_moves() {
    yard sh -ec 'systemctl stop herdlinxd
        mv /var/lib/herdlinx /srv/barn
        mkdir -p /etc/systemd/system/herdlinxd.service.d
        printf "[Service]\nReadWritePaths=/srv/barn\nLogsDirectory=herdlinx\n" >/etc/systemd/system/herdlinxd.service.d/moved.conf
        printf "%s\n" "state_dir = \"/srv/barn\"" "log_file = \"/var/log/herdlinx/herdlinxd.log\"" >>/etc/herdlinx/herdlinxd.toml
        systemctl daemon-reload
        herdlinxd check
        systemctl start herdlinxd
        test -s /var/log/herdlinx/herdlinxd.log'
}
mount_is_empty() { yard mountpoint -q $state && [ -z "$(yard ls -A $state)" ]; }
purge_with_yes() {
    yard sh -c 'printf "%s %s/delete-records boolean true\n" herdlinx herdlinx herdlinx-mirror herdlinx-mirror |
        debconf-set-selections'
    dpkg_unattended --purge herdlinx herdlinx-mirror
}
