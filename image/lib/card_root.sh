# shellcheck shell=bash disable=SC2154  # $cache, $lock, $private_apt: debian.sh, card_packages.sh
# The card's root file system: Debian's part with our package and our files. Sourced after debian.sh, emulation.sh,
# card_packages.sh and card_base.sh.

# card_root ROOT DEB UPDATE_KEY: unpacks the base into ROOT, installs our package, and makes a card of it.
card_root() {
    local root=$1
    mkdir -p "$root"
    tar -C "$root" -xf "$(base_root)"
    install_package "$root" "$2"
    add_files "$root"
    [ -z "$3" ] || install -D -m 644 "$3" "$root/usr/share/herdlinx/update.pub"
    enable_units "$root"
    seal "$root"
}

# Users and groups that own files on /var. Their numbers are fixed, because they must be the same in every root that an
# update brings.
card_users='u _herdlinx 900 "HerdLinx barn" /var/lib/herdlinx
g spi 901
g gpio 902'

# install_package ROOT DEB: installs our package.
install_package() {
    register_qemu
    SOURCE_DATE_EPOCH=$(locked_epoch) chroot "$1" systemd-sysusers - <<<"$card_users" >&2
    cp "$2" "$1/herdlinx.deb"
    SOURCE_DATE_EPOCH=$(locked_epoch) DEBIAN_FRONTEND=noninteractive chroot "$1" dpkg --install /herdlinx.deb >&2
    rm "$1/herdlinx.deb"
}

# add_files ROOT: copies our files over the root. Owner and mode do not depend on the clone.
add_files() {
    rm -rf "$1/etc/credstore"
    tar -C image/card.d/root --owner=root:0 --group=root:0 --mode=u=rwX,go=rX -c . | tar -C "$1" -x
    find image/card.d/units -type f ! -name '.*' -exec install -m 644 -t "$1/usr/lib/systemd/system" {} +
    mkdir -p "$1/boot/firmware" "$1/media/stick"
    : >"$1/etc/machine-id"
    chmod 444 "$1/etc/machine-id"
}

# Units that the card starts, besides those that their packages enable; and those that it does not need or must not have.
enabled_units=(herdlinxd.service herdlinx-grow.service herdlinx-identity.service herdlinx-warnings.service nftables.service
    systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-journal-upload.service
    avahi-daemon.service ssh.service)
# Without getty there is no console to log in to. Timers of packages would write to the read-only root.
masked_units=(getty@.service serial-getty@.service console-getty.service container-getty@.service getty.target
    systemd-networkd-wait-online.service systemd-journal-remote.socket
    systemd-firstboot.service ldconfig.service
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
    systemd-pcrphase.service wpa_supplicant.service ssh.socket sshd-keygen.service)

# enable_units ROOT
enable_units() {
    local unit
    for unit in image/card.d/units/*.{service,timer,mount}; do
        [ ! -e "$unit" ] || ! grep -q '^\[Install\]' "$unit" || enabled_units+=("${unit##*/}")
    done
    chroot "$1" systemctl --quiet enable "${enabled_units[@]}" >&2
    for unit in "${masked_units[@]}"; do ln -sf /dev/null "$1/etc/systemd/system/$unit"; done
}

# seal ROOT: removes what must not be on a card: keys and ids, apt with the build's mirror, logs, caches. Everything
# below /var is made at the first boot.
seal() {
    local root=$1
    mkdir -p "$root/usr/lib/herdlinx-card"
    mv "$root/var/lib/dpkg" "$root/usr/lib/herdlinx-card/dpkg"
    rm -rf "$root/usr/lib/herdlinx-card/dpkg/"*-old "$root/usr/lib/herdlinx-card/dpkg/"{lock,lock-frontend,triggers/Lock}
    find "$root/var" "$root/tmp" "$root/run" "$root/root" -mindepth 1 -delete
    rm -rf "$root/etc/apt" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$root"/etc/ssh/ssh_host_* "$root"/etc/*- \
        "$root/etc/.pwd.lock" "$root/etc/mtab" "$root/etc/kernel" "$root"/{boot,}/{vmlinuz,initrd.img}*.old
    ln -s ../proc/self/mounts "$root/etc/mtab"
    # The day of the last change of a password is the day of the build.
    sed -i -E "s/^([^:]*:[^:]*:)[0-9]*:/\1$(($(locked_epoch) / 86400)):/" "$root/etc/shadow"
    find "$root" -xdev -newermt "@$(locked_epoch)" -exec touch -h -d "@$(locked_epoch)" {} +
}
