//! `herdlinx-result.txt`: what a person reads after putting the card back into a computer.
//!
//! The text depends on the card and on what was applied, and on nothing else. So each boot gives the same text, and the
//! card is written only if something changed.

use super::judge::{FileState, Judgment};
use super::outputs::host_name;
use super::record::{Access, Record, Values};
use service::card::{CARD_FILE, CardRadioKind};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Name of the file on the card.
pub(super) const RESULT_FILE: &str = "herdlinx-result.txt";

/// Line that separates the settings from the addresses, which come later.
const ADDRESSES: &str = "Addresses of the barn:\n";

/// Facts that are known only while the machine runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Presence {
    /// Addresses of the HTTPS server, each with its interface.
    pub(super) addresses: Vec<(SocketAddr, String)>,
    /// SHA-256 of the TLS public key.
    pub(super) spki_sha256: Option<[u8; 32]>,
}

impl Presence {
    /// Returns whether nothing is left to wait for.
    pub(super) fn is_complete(&self) -> bool {
        !self.addresses.is_empty() && self.spki_sha256.is_some()
    }
}

/// Returns the part of the result that does not depend on the network.
pub(super) fn head(judgment: &Judgment, applied: &Record) -> String {
    let mut text = format!("HerdLinx: result of the settings on this card\n\n{}", file_state(&judgment.file));
    for (file, mistake) in &judgment.imager_mistakes {
        let _ = writeln!(text, "{file} of Raspberry Pi Imager was not applied: {mistake}");
    }
    if applied.pending.is_some() {
        text.push_str("The key or code for the office is not stored yet; the next start tries again.\n");
    }
    let _ = write!(text, "\nIn effect:\n{}\n", in_effect(&applied.effective()));
    text
}

/// Returns the whole text, with the line ends of Windows: every editor shows them.
pub(super) fn whole(head: &str, presence: Option<&Presence>) -> String {
    let mut text = format!("{head}{ADDRESSES}");
    match presence {
        None => text.push_str("  not known yet; they are written here when the network is up.\n"),
        Some(presence) => {
            if presence.addresses.is_empty() {
                text.push_str(
                    "  none: the barn got no address. Check the cable, or the name and password of the Wi-Fi.\n",
                );
            }
            for (address, interface) in &presence.addresses {
                let _ = writeln!(text, "  https://{address} ({interface})");
            }
        }
    }
    if let Some(spki) = presence.and_then(|presence| presence.spki_sha256) {
        let _ = write!(text, "\nFingerprint of its key (SHA-256 of the TLS public key):\n  {}\n", hex::encode(spki));
    }
    text.replace('\n', "\r\n")
}

/// Returns whether a written result starts with this head, so that only addresses could differ.
pub(super) fn has_head(written: &str, head: &str) -> bool {
    written.strip_prefix(&head.replace('\n', "\r\n")).is_some_and(|rest| rest.starts_with(ADDRESSES.trim_end()))
}

fn file_state(state: &FileState) -> String {
    let mistakes = match state {
        FileState::Applied => return format!("{CARD_FILE} is applied.\n"),
        FileState::Missing { misnamed: Some(name) } => {
            return format!("{CARD_FILE} is missing, but there is a {name}: rename it to {CARD_FILE}.\n");
        }
        FileState::Missing { misnamed: None } => {
            return format!("{CARD_FILE} is missing. The barn runs with what was applied before.\n");
        }
        FileState::Empty => {
            return format!(
                "{CARD_FILE} sets nothing, so nothing was changed. To set a value, remove the # in front of its line.\n"
            );
        }
        FileState::Refused(mistakes) => mistakes,
    };
    let count = if mistakes.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
    let mut text = format!(
        "{CARD_FILE} has {count}. Nothing in it was applied; the barn runs with what was applied before.\n\
         Correct the file and start the barn again:\n"
    );
    for mistake in mistakes {
        let _ = writeln!(text, "  {mistake}");
    }
    text
}

fn in_effect(values: &Values) -> String {
    let or = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
    let wifi = values.wifi.as_ref().map_or("none".to_owned(), |wifi| {
        let security = if wifi.password.is_some() { "with a password" } else { "open, without a password" };
        format!("{} ({}, {security})", wifi.network, wifi.country)
    });
    let ssh = match values.ssh_keys.len() {
        0 => "off, because there is no key".to_owned(),
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    let office = match values.office {
        Some(Access::ApiKey) => "API key `card`",
        Some(Access::PairingCode) => "one-time code",
        None => "not set",
    };
    let lines = [
        ("Site", or(&values.site, "(name of the machine)")),
        ("Host name", format!("{}.local", host_name(values))),
        ("Time zone", or(&values.time_zone, "UTC")),
        ("Time server", or(&values.time_server, "default")),
        ("Log server", or(&values.log_server, "none")),
        ("Wi-Fi", wifi),
        ("SSH", ssh),
        ("Radio", radio(values)),
        ("Office", office.to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "  {:<12} {value}", format!("{name}:"));
    }
    text
}

fn radio(values: &Values) -> String {
    let Some(radio) = &values.radio else { return format!("{}, with default settings", CardRadioKind::Sx127x.name()) };
    let settings = radio.settings.iter().map(|(key, value)| format!(", {key} = {value}"));
    std::iter::once(radio.kind.name().to_owned()).chain(settings).collect()
}
