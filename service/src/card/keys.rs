//! The keys of the file, by section.

use super::CardRadioKind;

/// Form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// One text, or a list of texts.
    Texts,
    Number,
}

/// A key that the file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Section; empty above the first one.
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// The kind of radio that has this setting.
    pub(super) radio: Option<CardRadioKind>,
}

const fn key(section: &'static str, name: &'static str, form: Form) -> Key {
    Key { section, name, form, radio: None }
}

const fn radio(name: &'static str, form: Form, kind: CardRadioKind) -> Key {
    Key { section: "radio", name, form, radio: Some(kind) }
}

pub(super) const SECTIONS: [&str; 5] = ["wifi", "ssh", "radio", "backup", "office"];

pub(super) const KEYS: [Key; 23] = [
    key("", "site", Form::Text),
    key("", "time_zone", Form::Text),
    key("", "time_server", Form::Text),
    key("", "log_server", Form::Text),
    key("wifi", "country", Form::Text),
    key("wifi", "network", Form::Text),
    key("wifi", "password", Form::Text),
    key("ssh", "key", Form::Texts),
    key("radio", "kind", Form::Text),
    radio("region", Form::Text, CardRadioKind::Sx127x),
    radio("frequency_hz", Form::Number, CardRadioKind::Sx127x),
    radio("spreading_factor", Form::Number, CardRadioKind::Sx127x),
    radio("bandwidth_hz", Form::Number, CardRadioKind::Sx127x),
    radio("sync_word", Form::Number, CardRadioKind::Sx127x),
    radio("path", Form::Text, CardRadioKind::Serial),
    radio("baud", Form::Number, CardRadioKind::Serial),
    radio("framing", Form::Text, CardRadioKind::Serial),
    key("backup", "directory", Form::Text),
    key("backup", "at", Form::Text),
    key("backup", "keep", Form::Number),
    key("backup", "max_bytes", Form::Number),
    key("office", "api_key", Form::Text),
    key("office", "pairing_code", Form::Text),
];

/// Names that other programs have for a key of this file.
const SYNONYMS: [(&str, &str); 8] = [
    ("ssid", "network"),
    ("psk", "password"),
    ("passphrase", "password"),
    ("ntp", "time_server"),
    ("ntp_server", "time_server"),
    ("hostname", "site"),
    ("name", "site"),
    ("authorized_keys", "key"),
];

/// Least similarity at which a known word is proposed, from 0 to 1. Below it the proposal is more often wrong than right.
const MIN_SIMILARITY: f64 = 0.75;

/// Returns the key of the section that is most likely meant by an unknown one.
pub(super) fn closest_key(section: &str, wrong: &str) -> Option<&'static str> {
    let names = || KEYS.iter().filter(|key| key.section == section).map(|key| key.name);
    let synonym = SYNONYMS.iter().find(|(other, _)| wrong.eq_ignore_ascii_case(other)).map(|(_, name)| *name);
    synonym.filter(|name| names().any(|known| known == *name)).or_else(|| closest(wrong, names()))
}

/// Returns the word that is spelled most like `wrong`, or `None` if none is alike.
pub fn closest<'a>(wrong: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let scores = words.into_iter().map(|word| (strsim::jaro_winkler(&wrong, &word.to_lowercase()), word));
    let best = scores.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score >= MIN_SIMILARITY).map(|(_, word)| word)
}

pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// Returns the known name of a section.
pub(super) fn section(name: &str) -> Option<&'static str> {
    SECTIONS.into_iter().find(|section| *section == name)
}
