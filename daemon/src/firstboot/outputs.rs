//! The files below `/var/lib/herdlinx-card`, to which the read-only root's `/etc` links.
//!
//! They follow from the values and the own certificate alone, so that each boot can make them again.

use super::certificate::OwnCertificate;
use super::durable::{Steps, read, remove_durably, replace, replace_link};
use super::radio::radio_table;
use super::record::{Values, Wifi};
use super::{FirstBootError, Places};
use service::card::is_psk;
use std::fs::metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use toml::{Table, Value};

/// Host name of a barn without a name.
const DEFAULT_HOST: &str = "herdlinx";
const DEFAULT_TIME_ZONE: &str = "Etc/UTC";
const NOTE: &str = "# Written by `herdlinxd firstboot` from the card's herdlinx.toml. Edit that file instead.\n";

/// Trust in a log server with HTTPS: any certificate authority of Debian. Without these lines, systemd-journal-upload
/// shows the server a certificate from a file that does not exist, and fails.
const LOG_SERVER_TRUST: &str = "ServerKeyFile=-\nServerCertificateFile=-\n\
    TrustedCertificateFile=/etc/ssl/certs/ca-certificates.crt\n";

const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

/// A file to keep in place.
pub(super) struct Output {
    pub(super) name: &'static str,
    pub(super) content: Content,
}

/// Content of an [`Output`].
pub(super) enum Content {
    Text { text: String, mode: u32 },
    Link(String),
    Absent,
}

impl Content {
    fn public(text: String) -> Self {
        Self::Text { text, mode: PUBLIC }
    }
}

/// Returns the host name of the machine.
pub(super) fn host_name(values: &Values) -> &str {
    values.host_name.as_deref().unwrap_or(DEFAULT_HOST)
}

/// Returns all files of these values.
pub(super) fn outputs(values: &Values, certificate: &OwnCertificate) -> Vec<Output> {
    let file = |name, content| Output { name, content };
    let zone = values.time_zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE);
    let time = values.time_server.as_ref().map(|server| format!("NTP={server}\n")).unwrap_or_default();
    let keys: String = values.ssh_keys.iter().flat_map(|key| [key, "\n"]).collect();
    let upload = values.log_server.as_ref().map(|url| format!("{NOTE}[Upload]\nURL={url}\n{LOG_SERVER_TRUST}"));
    let wifi = values.wifi.as_ref().map(wpa_supplicant);
    vec![
        file("hostname", Content::public(format!("{}\n", host_name(values)))),
        file("localtime", Content::Link(format!("/usr/share/zoneinfo/{zone}"))),
        file("timesyncd.conf", Content::public(format!("{NOTE}[Time]\n{time}"))),
        file("journal-upload.conf", upload.map_or(Content::Absent, Content::public)),
        file("wpa_supplicant-wlan0.conf", wifi.map_or(Content::Absent, |text| Content::Text { text, mode: SECRET })),
        file("authorized_keys", Content::public(keys)),
        file("herdlinxd.toml", Content::public(daemon_settings(values, certificate))),
    ]
}

/// Returns the daemon's settings file.
pub(super) fn daemon_settings(values: &Values, certificate: &OwnCertificate) -> String {
    let mut table = Table::new();
    if let Some(site) = &values.site {
        table.insert("site".to_owned(), site.clone().into());
    }
    table.insert("radio".to_owned(), Value::Array(vec![Value::Table(radio_table(values.radio.as_ref()))]));
    if let Some(backup) = &values.backup {
        table.insert("backup".to_owned(), backup.clone().into());
    }
    if let Some(tls) = certificate.settings() {
        table.insert("tls".to_owned(), tls.into());
    }
    format!("{NOTE}{table}")
}

/// Returns the settings of one network.
///
/// The name is written in hex, which needs no escapes. A passphrase is quoted: its end is the last quote of the line,
/// so that quotes and `#` inside need no escapes either. It is not turned into a key, because WPA3 needs it as it is.
fn wpa_supplicant(wifi: &Wifi) -> String {
    let Wifi { country, network, password } = wifi;
    let ssid = hex::encode(network);
    let security = match password {
        None => "\tkey_mgmt=NONE\n".to_owned(),
        Some(key) if is_psk(&key.0) => format!("\tpsk={}\n\tkey_mgmt=WPA-PSK WPA-PSK-SHA256\n\tieee80211w=1\n", key.0),
        Some(passphrase) => {
            format!("\tpsk=\"{}\"\n\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n\tieee80211w=1\n", passphrase.0)
        }
    };
    // `scan_ssid` finds networks that do not announce their name.
    format!(
        "{NOTE}ctrl_interface=/run/wpa_supplicant\ncountry={country}\n\nnetwork={{\n\tssid={ssid}\n\tscan_ssid=1\n{security}}}\n"
    )
}

/// Writes the files that differ from the disk. Returns the failures: each file is tried.
pub(super) fn write_outputs(places: &Places, outputs: &[Output], steps: &dyn Steps) -> Vec<FirstBootError> {
    let mut failures = Vec::new();
    for Output { name, content } in outputs {
        let path = places.settings().join(name);
        if is_current(&path, content) {
            continue;
        }
        let written = match content {
            Content::Text { text, mode } => replace(steps, &path, text.as_bytes(), Some(*mode)),
            Content::Link(target) => replace_link(steps, &path, target),
            Content::Absent => remove_durably(steps, &path),
        };
        match written {
            Ok(()) => tracing::info!(file = name, "wrote a file of the card's settings"),
            Err(source) => failures.push(FirstBootError::write(&path, source)),
        }
    }
    failures
}

/// Returns the names of the files that are missing on the disk, or differ.
pub(super) fn missing_outputs(places: &Places, outputs: &[Output]) -> Vec<&'static str> {
    let is_missing = |output: &&Output| !is_current(&places.settings().join(output.name), &output.content);
    outputs.iter().filter(is_missing).map(|output| output.name).collect()
}

fn is_current(path: &Path, content: &Content) -> bool {
    match content {
        Content::Text { text, mode } => {
            let has_mode = metadata(path).is_ok_and(|found| found.permissions().mode() & 0o7777 == *mode);
            has_mode && read(path, text.len()).is_ok_and(|bytes| bytes.as_deref() == Some(text.as_bytes()))
        }
        Content::Link(target) => std::fs::read_link(path).is_ok_and(|found| found == Path::new(target)),
        Content::Absent => path.symlink_metadata().is_err(),
    }
}
