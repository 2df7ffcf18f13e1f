//! The card's files against what was applied before: a pure decision, so that it can be made again later.

use super::backup::check_backup;
use super::certificate::OwnCertificate;
use super::imager::{APPLIED_NOTE, ImagerMistake, read_imager};
use super::machine::Machine;
use super::outputs::daemon_settings;
use super::radio::{check_radio, check_settings};
use super::record::{Access, JudgedFile, Password, Pending, Record, Values, Wifi, digest};
use service::card::{CARD_FILE, CardError, CardFile, CardMistake, CardReading, CardSecret, CardText, CardWifi};
use service::door::secret::Secret;

/// The files of the card as they were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) file: Option<Vec<u8>>,
    /// A file that was meant to be `herdlinx.toml`, if that is missing.
    pub(super) misnamed: Option<&'static str>,
    pub(super) user_data: Option<Vec<u8>>,
    pub(super) network_config: Option<Vec<u8>>,
}

/// State of `herdlinx.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    Missing {
        misnamed: Option<&'static str>,
    },
    /// The file sets nothing.
    Empty,
    /// The file is in effect.
    Applied,
    /// Nothing of the file is in effect.
    Refused(Vec<CardMistake>),
}

/// The decision about the card.
#[derive(Clone, Debug)]
pub(super) struct Judgment {
    pub(super) file: FileState,
    pub(super) imager_mistakes: Vec<ImagerMistake>,
    /// The record that is to be in effect; equal to the one before if nothing changed.
    pub(super) next: Record,
    /// Content of `herdlinx.toml` with blanked secrets, if it has secrets that were applied.
    pub(super) blanked_file: Option<Vec<u8>>,
    /// Content of `network-config` without the password, if it has one that was applied.
    pub(super) blanked_network: Option<&'static [u8]>,
}

/// Decides what to take from the card.
pub(super) fn judge(snapshot: &Snapshot, applied: &Record, machine: &Machine) -> Judgment {
    let mut judgment = Judgment {
        file: FileState::Missing { misnamed: snapshot.misnamed },
        imager_mistakes: Vec::new(),
        next: applied.clone(),
        blanked_file: None,
        blanked_network: None,
    };
    if let Some(bytes) = &snapshot.file {
        judgment.judge_file(bytes, machine);
    }
    judgment.judge_imager(snapshot, machine);
    judgment
}

impl Judgment {
    fn judge_file(&mut self, bytes: &[u8], machine: &Machine) {
        let text = match CardText::decode(bytes) {
            Ok(text) => text,
            Err(mistake) => {
                self.file = FileState::Refused(vec![mistake]);
                return;
            }
        };
        let mut reading = CardReading::of(&text);
        let blanked = text.with_blanks(&reading.secrets).encode();
        let is_known = self.next.file.digests.contains(&digest(bytes));
        if !is_known {
            if reading.mistakes == [CardMistake::of_file(CardError::Empty)] {
                self.file = FileState::Empty;
                return;
            }
            let values = self.check_values(&mut reading, machine);
            if !reading.mistakes.is_empty() {
                self.file = FileState::Refused(reading.mistakes);
                return;
            }
            if reading.file.pairing_code != Some(CardSecret::Blank) {
                self.next.dead_code = None;
            }
            self.next.pending = pending(&reading.file).or(self.next.pending.take());
            self.next.file = JudgedFile { digests: vec![digest(bytes), digest(&blanked)], values };
        }
        self.file = FileState::Applied;
        self.blanked_file = (!reading.secrets.is_empty()).then_some(blanked);
    }

    /// Returns the values of the file with the secrets that are kept, and adds the mistakes that only this machine sees.
    fn check_values(&self, reading: &mut CardReading, machine: &Machine) -> Values {
        let before = &self.next.file.values;
        let CardFile { site, time_zone, time_server, log_server, wifi, ssh_keys, radio, backup, api_key, pairing_code } =
            reading.file.clone();
        if let Some(reason) = time_zone.as_deref().and_then(|zone| machine.time_zone_mistake(zone)) {
            reading.refuse("", "time_zone", CardError::value("time_zone", reason));
        }
        if let Some(reason) = wifi.as_ref().and_then(|wifi| machine.country_mistake(&wifi.country)) {
            reading.refuse("wifi", "country", CardError::value("country", reason));
        }
        for (key, error) in radio.iter().flat_map(check_radio) {
            reading.refuse("radio", &key, error);
        }
        for (key, error) in backup.iter().flat_map(check_backup) {
            reading.refuse("backup", &key, error);
        }
        let wifi = wifi.map(|wifi| keep_password(wifi, before.wifi.as_ref(), reading));
        let office = keep_access(api_key.as_ref(), pairing_code.as_ref(), before.office, reading);
        let values =
            Values { site, time_zone, time_server, log_server, wifi, ssh_keys, radio, backup, office, host_name: None };
        if reading.mistakes.is_empty()
            && let Err(reason) = check_settings(&daemon_settings(&values, &OwnCertificate::Absent))
        {
            reading.mistakes.push(CardMistake::of_file(CardError::value("the file", format!("is refused: {reason}"))));
        }
        values
    }

    fn judge_imager(&mut self, snapshot: &Snapshot, machine: &Machine) {
        let Snapshot { user_data, network_config, .. } = snapshot;
        if user_data.is_none() && network_config.is_none() {
            return;
        }
        let content = imager_digest(user_data.as_deref(), network_config.as_deref());
        let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let values = match read_imager(text(user_data).as_deref(), text(network_config).as_deref()) {
            Ok(values) => values,
            Err(mistakes) => {
                self.imager_mistakes = mistakes;
                return;
            }
        };
        let has_password = values.wifi.as_ref().is_some_and(|wifi| wifi.password.is_some());
        if !self.next.imager.digests.contains(&content) {
            if let Some(reason) = values.time_zone.as_deref().and_then(|zone| machine.time_zone_mistake(zone)) {
                let mistake = CardMistake::of_file(CardError::value("timezone", reason));
                self.imager_mistakes.push((super::imager::USER_DATA, mistake));
                return;
            }
            let blanked = imager_digest(user_data.as_deref(), Some(APPLIED_NOTE.as_bytes()));
            // The Wi-Fi of a file that was replaced by the note stays.
            let wifi = values.wifi.clone().or(self.next.imager.values.wifi.take());
            self.next.imager = JudgedFile { digests: vec![content, blanked], values: Values { wifi, ..values } };
        }
        self.blanked_network = has_password.then_some(APPLIED_NOTE.as_bytes());
    }

    /// Returns whether the record has what was judged of `herdlinx.toml`.
    pub(super) fn has_stored_file(&self, applied: &Record) -> bool {
        self.next.file == applied.file
    }

    /// Returns whether the record has what was judged of the files of Raspberry Pi Imager.
    pub(super) fn has_stored_imager(&self, applied: &Record) -> bool {
        self.next.imager == applied.imager
    }

    /// Returns every mistake with the name of its file.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let own = match &self.file {
            FileState::Refused(mistakes) => mistakes.as_slice(),
            _ => &[],
        };
        let own = own.iter().map(|mistake| format!("{CARD_FILE}, {mistake}"));
        let imager = self.imager_mistakes.iter().map(|(file, mistake)| format!("{file}, {mistake}"));
        own.chain(imager).collect()
    }
}

/// Returns the digest of the two files of Imager together.
fn imager_digest(user_data: Option<&[u8]>, network_config: Option<&[u8]>) -> String {
    let one = |bytes: Option<&[u8]>| bytes.map_or_else(String::new, digest);
    digest(format!("{} {}", one(user_data), one(network_config)).as_bytes())
}

/// Returns the network, with the password from before if the file has a blank one.
fn keep_password(wifi: CardWifi, before: Option<&Wifi>, reading: &mut CardReading) -> Wifi {
    let CardWifi { country, network, password } = wifi;
    let password = match password {
        None => None,
        Some(CardSecret::Given(text)) => Some(Password(text)),
        Some(CardSecret::Blank) => {
            let kept = before.filter(|before| before.network == network).and_then(|before| before.password.clone());
            if kept.is_none() {
                let hint = ", or put a `#` in front of the line if the network has none";
                reading.refuse("wifi", "password", CardError::NothingToKeep { key: "password", hint });
            }
            kept
        }
    };
    Wifi { country, network, password }
}

/// Returns the way in which the file lets an office in.
fn keep_access(
    api_key: Option<&CardSecret>,
    pairing_code: Option<&CardSecret>,
    before: Option<Access>,
    reading: &mut CardReading,
) -> Option<Access> {
    let is_given = |secret: Option<&CardSecret>| matches!(secret, Some(CardSecret::Given(_)));
    if is_given(api_key) {
        return Some(Access::ApiKey);
    }
    if is_given(pairing_code) {
        return Some(Access::PairingCode);
    }
    let hint = ", or put a `#` in front of the line";
    if before.is_none() {
        let blank = [("api_key", api_key), ("pairing_code", pairing_code)].into_iter().filter(|(_, it)| it.is_some());
        for (key, _) in blank {
            reading.refuse("office", key, CardError::NothingToKeep { key, hint });
        }
    }
    before
}

/// Returns the key and the code that the file contains.
fn pending(file: &CardFile) -> Option<Pending> {
    let given = |secret: &Option<CardSecret>| match secret {
        Some(CardSecret::Given(text)) => Some(text.clone()),
        _ => None,
    };
    let api_key_hash =
        given(&file.api_key).and_then(|key| key.parse::<Secret>().ok()).map(|key| hex::encode(key.hash()));
    let pairing_code = given(&file.pairing_code).map(Password);
    (api_key_hash.is_some() || pairing_code.is_some()).then_some(Pending { api_key_hash, pairing_code })
}
