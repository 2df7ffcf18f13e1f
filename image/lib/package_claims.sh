# shellcheck shell=bash disable=SC2154  # $cache, $containers, $current, $key, $made, $next, $old: the test that sources it
# What image/test.d/packages claims, one function each, and what it does to the yard in between.

state=/var/lib/herdlinx

yard() { inside yard "$@"; }

# explain: what the services said last, when a claim broke.
explain() { yard journalctl --no-pager -n 60 -o short-monotonic; }

# With no DEBIAN_FRONTEND and nothing on stdin: a question ends in an error.
dpkg_quietly() { yard dpkg "$@" <&- >"$cache/packages/dpkg.log" 2>&1 || { cat "$cache/packages/dpkg.log" && false; }; }
# dpkg_install VERSION
dpkg_install() { dpkg_quietly --install "/packages/herdlinx_$1_amd64.deb" "/packages/herdlinx-mirror_$1_amd64.deb"; }

# whole_package DEB: what must be in it.
whole_package() {
    local listed program path
    listed=$(dpkg-deb --contents "$1" | awk '{ print $6 }')
    program=herdlinxd
    case $1 in *mirror*) program=herdlinx-mirror ;; esac
    for path in "bin/$program" "lib/systemd/system/$program.service" lib/sysusers.d/ "share/man/man1/$program.1.gz" \
        "bash-completion/completions/$program" "vendor-completions/_$program" "$program.fish" changelog.Debian.gz copyright crates.gz; do
        grep -qF "$path" <<<"$listed" || { echo "$path is missing" && return 1; }
    done
    dpkg-deb --info "$1" conffiles | grep -q '^/etc/herdlinx' && names_its_crates "$1" && settings_of_every_version "$1"
}
# settings_of_every_version DEB: its settings file has the bytes that it has for ever. With others dpkg would ask everybody
# who edited his, and where nobody answers the upgrade fails.
settings_of_every_version() {
    local found
    found=$(dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './etc/*.toml' | sha256sum | cut -c1-64)
    case $found in
    5911e93bcb2af98aefbb05817a8c09e8f67399493271d96368e76e25ed28e579) ;; # herdlinxd.toml
    7eacc9c081ac3086903ea941078a68c4cddfe5b7ffcfbde5efaecfd1c8138b2e) ;; # herdlinx-mirror.toml
    *) echo "/etc/*.toml is another file: $found; what changes belongs into the example" && return 1 ;;
    esac
}
# names_its_crates DEB: the list is not an empty one, and has the texts of licenses.
names_its_crates() {
    dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards '*/crates.gz' | gunzip | grep -c -e '^redb v' -e '^==== ' |
        awk '{ exit !($1 > 20) }'
}

# everything_there: each path of the file system with its type, but for what changes by itself.
everything_there() {
    yard find / -xdev \( -path /proc -o -path /sys -o -path /packages -o -path '/var/log/journal/*' \
        -o -path '/tmp/*' -o -path '/var/tmp/systemd-private-*' -o -path /var/lib/dpkg -o -path '/etc/*-' -o -path /etc/.pwd.lock \
        -o -path /var/lib/systemd/deb-systemd-helper-enabled -o -path /var/lib/systemd/deb-systemd-helper-masked \
        -o -path /var/log/dpkg.log -o -path /var/lib/private -o -path /var/cache/private \) -prune -o -printf '%y %p\n'
    yard find /var/lib/systemd /run /var/lib/dpkg -name '*herdlinx*'
    yard getent passwd
    yard getent group
} 2>/dev/null
nothing_left() { diff "$cache/packages/before" <(everything_there); }

both_active() { yard systemctl --quiet is-active herdlinxd && yard systemctl --quiet is-active herdlinx-mirror; }
start_both() { yard systemctl start herdlinxd herdlinx-mirror && until_true 30 both_active; }
# pgrep itself ends with 1 where there is none.
no_process() { yard sh -c "pgrep -f '^/usr/bin/herdlinx'; [ \$? = 1 ]"; }
no_unit() {
    local units
    units=$(yard systemctl list-units --all --full --plain --no-legend '*herdlinx*' &&
        yard systemctl list-unit-files --no-legend '*herdlinx*')
    [ -z "$units" ] || { echo "$units" && false; }
}
no_user() {
    local name
    for name in herdlinx herdlinx-mirror; do
        ! yard getent passwd "$name" && ! yard getent group "$name" || return 1
    done
    ! yard getent group spi && ! yard getent group gpio
}

# Which run of each service this is.
service_runs() { yard systemctl show --value --property InvocationID herdlinxd herdlinx-mirror; }
runs_anew() {
    local now before_run
    both_active || return 1
    now=$(service_runs)
    for before_run in $1; do
        ! grep -qF "$before_run" <<<"$now" || return 1
    done
}

# barn_answers PATH [KEY]: over TLS, checked against the certificate that it made.
barn_answers() {
    yard curl --silent --show-error --fail --output /dev/null --cacert "$state/tls/certificate.pem" \
        -H "X-API-Key: ${2:-${key:-none}}" "https://localhost:5001$1"
}

settings_are_good() { yard herdlinxd check && yard herdlinx-mirror check; }
examples_as_printed() {
    yard sh -ec 'cd /usr/share/doc; herdlinxd config | cmp - herdlinx/examples/herdlinxd.toml
        herdlinx-mirror config | cmp - herdlinx-mirror/examples/herdlinx-mirror.toml'
}
settings_and_examples() { settings_are_good && examples_as_printed; }
edit_settings() {
    yard sh -ec 'printf "site = \"north\"\n" >>/etc/herdlinx/herdlinxd.toml
        printf "sync_interval = \"7s\"\n" >>/etc/herdlinx-mirror.toml'
}
settings_are_edited() {
    yard grep -qxF 'site = "north"' /etc/herdlinx/herdlinxd.toml &&
        yard grep -qxF 'sync_interval = "7s"' /etc/herdlinx-mirror.toml
}

user_for_radios() {
    local groups group
    groups=$(yard id -nG herdlinx)
    for group in spi gpio dialout; do grep -qw "$group" <<<"$groups" || { echo "$groups" && return 1; }; done
    yard getent passwd herdlinx | grep -qE ':/(usr/)?sbin/nologin$' && yard passwd --status herdlinx | grep -q ' L '
}

# manual_is_there: a page for each command that the help lists.
manual_is_there() {
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

# post TEXT: one payload; prints the status code.
post() {
    yard curl --silent --cacert "$state/tls/certificate.pem" --output /dev/null --write-out '%{http_code}\n' \
        -H "X-API-Key: $key" -H 'Content-Type: application/json' -d "{\"payload\":\"$1\"}" \
        https://localhost:5001/api/lora/receive
}
# post_all BATCH COUNT CODE: so many animals into the batch, each answered so. The daemon may just be starting.
post_all() {
    local number code
    until_true 20 barn_answers /api/remote/status || return 1
    for number in $(seq "$2"); do
        code=$(post "hxb:$1:L$1$number:U$1$number")
        [ "$code" = "$3" ] || { echo "payload $number: $code" && return 1; }
    done
}
# post_event CODE: an event with a number of its own, however late it comes again, is answered so.
post_event() { [ "$(post 'event:hxbchi0001|weight:267.3|lid:1')" = "$1" ]; }
# kept BATCH: how many animals the barn holds in it.
kept() {
    yard herdlinxd show payloads --json --limit 1000 | grep -o "hxb:$1:L[a-z]*[0-9]*" | sort -u | wc -l
}
office_shows() {
    local number
    case $1 in first) number=40 ;; second) number=20 ;; *) number=10 ;; esac
    yard curl --silent --fail --cacert "$state-mirror/tls/certificate.pem" -H 'Accept: application/json' \
        "https://localhost:5000/batches/$1" | grep -qE "\"cattle_count\": ?$number\b"
}

# other_programs: the container holds both packages; their programs differ.
other_programs() {
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

# remember_log: its history, count and digests, as the proof prints them.
remember_log() { yard herdlinxd verify 2>/dev/null >"$cache/packages/log"; }
log_as_remembered() {
    until_true 20 barn_answers /api/remote/status && yard herdlinxd verify 2>/dev/null | diff "$cache/packages/log" -
}

# Tables that are lost are folded anew by whoever opens the store next: files that root makes.
root_types_at_the_barn() {
    yard rm "$state/tables.redb"
    yard herdlinxd show animals && yard herdlinxd verify &&
        yard herdlinxd correct --author root --reason test move_pen --animal "$(an_animal)" --pen P9
}
an_animal() { yard herdlinxd show animals --json | grep -o '"id": *[0-9]*' | sed -n '1s/[^0-9]*//p'; }
root_types_at_the_office() {
    yard herdlinx-mirror key add program --scope read && yard herdlinx-mirror show animals &&
        yard herdlinx-mirror verify "$(yard sh -c 'ls /var/lib/herdlinx-mirror/sites' | head -n 1)"
}
all_owned() {
    local strays
    strays=$(yard find $state ! -user herdlinx && yard find $state-mirror ! -user herdlinx-mirror) || return 1
    [ -z "$strays" ] || { echo "$strays" && false; }
}
owned_and_good() { all_owned && until_true 20 barn_answers /api/remote/status "$made"; }
