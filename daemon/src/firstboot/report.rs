//! `herdlinx-result.txt`: what a person reads after putting the card back into a computer.
//!
//! The text depends on the card, on what was applied, and on the files of the machine, and on nothing that changes.
//! So each boot gives the same text, and the card is written only if something changed.
//!
//! # Decisions
//!
//! - **A failure is seen, not remembered.** A file that could not be written differs from the values in the record, and
//!   settings that could not be stored differ from the file on the card. Both units see that. To write failures into the
//!   record was rejected: on a full partition, that write fails too. The error itself is in the log.
//! - **Only the state of a one-time code is remembered**, in the record, because nobody but the daemon's owner may look
//!   into `local.redb`, and only while no daemon runs.

use super::FirstBootError;
use super::certificate::OwnCertificate;
use super::judge::{FileState, Judgment};
use super::outputs::host_name;
use super::record::{Access, DeadCode, Record, Values};
use service::card::{CARD_FILE, CardRadioKind};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Name of the file on the card.
pub(super) const RESULT_FILE: &str = "herdlinx-result.txt";

/// First line of the file, and an empty one.
const TITLE: &str = "HerdLinx: result of the settings on this card\n\n";
/// Mend of everything that could not be written.
const TRY_AGAIN: &str =
    "The next start tries again. If this text stays, the card is full or worn out: use another one.";

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

/// Returns the part of the result that does not depend on the network. `missing` names the files that are not as the
/// record wants them.
pub(super) fn head(judgment: &Judgment, applied: &Record, certificate: &OwnCertificate, missing: &[&str]) -> String {
    let exceptions = exceptions(judgment, applied, missing);
    let mut text = format!("{TITLE}{}", file_state(judgment, applied, exceptions.is_empty()));
    for exception in exceptions {
        let _ = writeln!(text, "  {exception}");
    }
    for (file, mistake) in &judgment.imager_mistakes {
        let _ = writeln!(text, "{file} of Raspberry Pi Imager was not applied: {mistake}");
    }
    if let Some(mistake) = certificate.mistake() {
        let _ = writeln!(text, "{mistake}");
    }
    let _ = write!(text, "\nIn effect:\n{}", in_effect(&applied.effective(), applied));
    if let OwnCertificate::Usable(_) = certificate {
        let _ = writeln!(text, "  {:<12} your own", "Certificate:");
    }
    text.push('\n');
    text
}

/// Returns the head of the result if the last record cannot be read. Nothing is applied then.
pub(super) fn unreadable(error: &FirstBootError) -> String {
    format!("{TITLE}Nothing was applied: {error}\n\n")
}

/// Returns what is not as the settings want it, each with its mend.
fn exceptions(judgment: &Judgment, applied: &Record, missing: &[&str]) -> Vec<String> {
    let mut exceptions = Vec::new();
    if !missing.is_empty() {
        exceptions.push(format!("Not written: {}. {TRY_AGAIN}", missing.join(", ")));
    }
    if applied.pending.is_some() {
        exceptions.push(format!("The key or code for the office is not stored yet. {TRY_AGAIN}"));
    }
    if !judgment.has_stored_imager(applied) {
        exceptions.push(format!("The settings of Raspberry Pi Imager could not be stored. {TRY_AGAIN}"));
    }
    exceptions.extend(applied.dead_code.map(|dead| {
        match dead {
            DeadCode::Used => {
                "The one-time code was used before, and pairs no other office. If your office does not show this barn, make \
                 a new file with herdlinx-mirror prepare."
            }
            DeadCode::Disabled => {
                "The one-time code is dead after too many wrong proofs, and pairs no office. Make a new file with \
                 herdlinx-mirror prepare."
            }
        }
        .to_owned()
    }));
    exceptions
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

fn file_state(judgment: &Judgment, applied: &Record, is_complete: bool) -> String {
    let mistakes = match &judgment.file {
        FileState::Applied if !judgment.has_stored_file(applied) => {
            return format!(
                "{CARD_FILE} could not be stored, so nothing of it is in effect. The barn runs with what was applied \
                 before.\n  {TRY_AGAIN}\n"
            );
        }
        FileState::Applied if is_complete => return format!("{CARD_FILE} is applied.\n"),
        FileState::Applied => return format!("{CARD_FILE} is applied, with exceptions:\n"),
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

fn in_effect(values: &Values, applied: &Record) -> String {
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
    let office = match (values.office, applied.dead_code) {
        (Some(Access::ApiKey), _) => "API key `card`",
        (Some(Access::PairingCode), None) => "one-time code",
        (Some(Access::PairingCode), Some(DeadCode::Used)) => "one-time code, used before",
        (Some(Access::PairingCode), Some(DeadCode::Disabled)) => "one-time code, dead",
        (None, _) => "not set",
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
        ("Backup", backup(values)),
        ("Office", office.to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "  {:<12} {value}", format!("{name}:"));
    }
    text
}

fn backup(values: &Values) -> String {
    let Some(backup) = &values.backup else { return "none".to_owned() };
    backup.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

fn radio(values: &Values) -> String {
    let Some(radio) = &values.radio else { return format!("{}, with default settings", CardRadioKind::Sx127x.name()) };
    let settings = radio.settings.iter().map(|(key, value)| format!(", {key} = {value}"));
    std::iter::once(radio.kind.name().to_owned()).chain(settings).collect()
}
