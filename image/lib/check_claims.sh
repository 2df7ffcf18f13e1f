# shellcheck shell=bash disable=SC2154  # $state: the test that sources it
# Checks that `check` by root gives the same verdict as a restart: for the recipes of systemd/README.md, and for mistakes
# in them that root would not notice. Runs in the container `barn`. Sourced after claims.sh.

checks_of_root() {
    barn install -d -o _herdlinx -g _herdlinx -m 700 /srv/barn
    agrees accepted "the installed settings"
    settings 'no_such_setting = 1'
    agrees refused "a misspelled setting" no_such_setting
    privileged_port
    another_directory
    settings_in_the_unit
    certificates
    files_of_root
    settings ''
    drop_in herdlinxd
    claim "after all this the daemon runs" barn systemctl restart herdlinxd
}

privileged_port() {
    settings 'listen = "0.0.0.0:443"'
    agrees refused "port 443 without the capability" CAP_NET_BIND_SERVICE
    drop_in herdlinxd PrivateUsers=no CapabilityBoundingSet=CAP_NET_BIND_SERVICE AmbientCapabilities=CAP_NET_BIND_SERVICE
    agrees accepted "port 443 with the drop-in of systemd/README.md"
    drop_in herdlinxd
    # The office has this port.
    settings 'listen = "0.0.0.0:5000"'
    agrees refused "a port that another program has" 'another program listens'
}

another_directory() {
    settings 'state_dir = "/srv/barn"'
    agrees refused "another state directory that the sandbox does not allow" ReadWritePaths
    drop_in herdlinxd ReadWritePaths=/srv/barn
    agrees accepted "another state directory with the drop-in of systemd/README.md"
    barn chown root /srv/barn
    agrees refused "another state directory that belongs to root" chown
    drop_in herdlinxd ReadWritePaths=/srv/missing
    agrees refused "a drop-in with a directory that does not exist" /srv/missing
    drop_in herdlinxd
}

settings_in_the_unit() {
    settings ''
    drop_in herdlinxd 'Environment=HERDLINX_LISTEN=nowhere'
    agrees refused "an invalid variable in a drop-in" HERDLINX_LISTEN
    barn sh -c 'echo "no_such_setting = 1" >/etc/herdlinx/other.toml'
    drop_in herdlinxd ExecStart= 'ExecStart=/usr/bin/herdlinxd --config /etc/herdlinx/other.toml run'
    agrees refused "invalid settings in a file that a drop-in names" other.toml
    drop_in herdlinxd
    barn rm /etc/herdlinx/other.toml
}

# The recipe of systemd/README.md, and the same files without it.
certificates() {
    local tls=/etc/credstore/herdlinxd.tls at=/run/credentials/herdlinxd.service/tls
    certificate_settings "$at.certificate" "$at.key"
    agrees refused "settings with credentials that do not exist" 'certificate'
    barn sh -ec "install -m 700 -d /etc/credstore
        install -m 600 $state-mirror/tls/certificate.pem $tls.certificate
        install -m 600 $state-mirror/tls/key.pem $tls.key"
    agrees accepted "a certificate and key as credentials"
    barn sh -c "echo damaged >$tls.key"
    agrees refused "a damaged key among the credentials" 'tls.key'
    barn rm -r /etc/credstore
    barn sh -ec "install -m 600 $state-mirror/tls/certificate.pem $state-mirror/tls/key.pem -t /etc/ssl/private"
    certificate_settings /etc/ssl/private/certificate.pem /etc/ssl/private/key.pem
    agrees refused "a key that only root can read" 'Permission denied'
    barn sh -ec 'rm /etc/ssl/private/*.pem'
}
certificate_settings() {
    settings "[tls]
certificate = \"$1\"
key = \"$2\""
}

files_of_root() {
    settings ''
    barn sh -ec "systemctl stop herdlinxd; mv $state /srv/moved; ln -s /srv/moved $state"
    agrees refused "a symbolic link in place of the state directory" STATE_DIRECTORY
    barn sh -ec "systemctl stop herdlinxd; rm $state; mv /srv/moved $state"
    barn chown root "$state/log.redb"
    agrees refused "a log that belongs to root" log.redb
    barn chown _herdlinx "$state/log.redb"
    agrees accepted "a log that belongs to the service again"
}

# agrees VERDICT WHAT [PATTERN]: checks and then restarts the barn; both must have this verdict. What `check` prints must
# contain the pattern.
agrees() { claim "check and restart agree: $2 is $1" verdicts_are "$1" "${3:-}"; }
verdicts_are() {
    local printed checked=refused restarted=refused
    if printed=$(barn herdlinxd check 2>&1); then checked=accepted; fi
    printf '%s\n' "$printed"
    if barn systemctl restart herdlinxd 2>/dev/null; then restarted=accepted; fi
    [ "$checked $restarted" = "$1 $1" ] || { echo "check: $checked; restart: $restarted" && return 1; }
    grep -qF -- "$2" <<<"$printed"
}
