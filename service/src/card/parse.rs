//! From the text to its values and mistakes.

use super::keys::{self, Form, KEYS, Key, SECTIONS, closest, closest_key};
use super::syntax::{self, Masked};
use super::text::line_at;
use super::values;
use super::{CardError, CardFile, CardMistake, CardRadio, CardRadioKind, CardSecret, CardText, CardWifi};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose values are blanked on the card after they were applied.
const SECRETS: [(&str, &str); 3] = [("wifi", "password"), ("office", "api_key"), ("office", "pairing_code")];

/// Maximum number of SSH keys.
const MAX_SSH_KEYS: usize = 16;

/// Values and mistakes of a file.
#[derive(Clone, Debug, Default)]
pub struct CardReading {
    /// The values. Those of a file with mistakes are incomplete: apply none of them.
    pub file: CardFile,
    /// All mistakes, in the order of their lines.
    pub mistakes: Vec<CardMistake>,
    /// Places of the secrets that are not blank, in order.
    pub secrets: Vec<Range<usize>>,
    lines: BTreeMap<(&'static str, &'static str), usize>,
}

impl CardReading {
    /// Reads the text of a file.
    pub fn of(text: &CardText) -> Self {
        let Masked { text, mistakes, lacks_section } = syntax::mask(&text.text);
        let (table, _) = DeTable::parse_recoverable(&text);
        let is_whole = mistakes.is_empty();
        let mut reader = Reader { text: &text, is_whole, ..Reader::default() };
        reader.read_root(table.get_ref());
        reader.build();
        let mut reading = reader.reading;
        if lacks_section {
            reading.mistakes.clear();
        }
        reading.mistakes.extend(mistakes);
        reading.mistakes.sort_by_key(|mistake| mistake.line);
        reading.secrets.sort_by_key(|range| range.start);
        reading
    }

    /// Returns the line of a key, or of its section if the file does not have the key. `section` is empty above the
    /// first section.
    pub fn line(&self, section: &str, key: &str) -> Option<usize> {
        let line = |key: &str| self.lines.iter().find(|((s, k), _)| *s == section && *k == key).map(|(_, line)| *line);
        line(key).or_else(|| line(""))
    }

    /// Adds a mistake in the value of a key.
    pub fn refuse(&mut self, section: &str, key: &str, error: CardError) {
        let line = self.line(section, key);
        self.mistakes.push(CardMistake { line, error });
        self.mistakes.sort_by_key(|mistake| mistake.line);
    }
}

/// A value in the text.
struct Entry<'t> {
    value: &'t DeValue<'t>,
    span: Range<usize>,
}

/// State of one reading.
#[derive(Default)]
struct Reader<'t> {
    text: &'t str,
    /// Set if every line could be read. Otherwise a key that seems to be missing may stand in a line that could not.
    is_whole: bool,
    /// Known keys that were probably meant by unknown ones.
    meant: BTreeSet<(&'static str, &'static str)>,
    entries: BTreeMap<(&'static str, &'static str), Entry<'t>>,
    reading: CardReading,
}

impl<'t> Reader<'t> {
    fn line(&self, span: &Range<usize>) -> usize {
        line_at(self.text.as_bytes(), span.start)
    }

    fn add(&mut self, line: usize, error: CardError) {
        self.reading.mistakes.push(CardMistake::at(line, error));
    }

    fn read_root(&mut self, table: &'t DeTable<'t>) {
        for (name, value) in table {
            let (line, text) = (self.line(&name.span()), name.get_ref().as_ref());
            let section = keys::section(text);
            match (section, value.get_ref()) {
                (Some(section), DeValue::Table(inner)) => self.read_section(section, line, inner),
                (Some(section), DeValue::Array(_)) => self.add(line, CardError::DoubleBrackets { section }),
                (Some(name), _) => self.add(line, CardError::Form { name, is: "section", other: "key" }),
                (None, DeValue::Table(_)) => self.add(line, unknown_section(text)),
                (None, _) => self.read_key("", name, value),
            }
        }
    }

    fn read_section(&mut self, section: &'static str, line: usize, table: &'t DeTable<'t>) {
        self.reading.lines.insert((section, ""), line);
        for (name, value) in table {
            self.read_key(section, name, value);
        }
    }

    fn read_key(
        &mut self,
        section: &'static str,
        name: &Spanned<std::borrow::Cow<'t, str>>,
        value: &'t Spanned<DeValue<'t>>,
    ) {
        let (line, text) = (self.line(&name.span()), name.get_ref().as_ref());
        let Some(key) = keys::find(section, text) else {
            let error = unknown_key(section, text);
            if let CardError::UnknownKey { closest: Some(key), .. } = error {
                self.meant.insert((section, key));
            }
            return self.add(line, error);
        };
        self.reading.lines.insert((section, key.name), line);
        let (value, span) = (value.get_ref(), value.span());
        if let Some(error) = wrong_form(key, value) {
            return self.add(line, error);
        }
        if is_blank_setting(key, value) {
            return;
        }
        self.entries.insert((section, key.name), Entry { value, span });
    }

    /// Builds the file from the entries.
    fn build(&mut self) {
        self.find_secrets();
        let file = CardFile {
            site: self.checked("", "site", values::check_site),
            time_zone: self.checked("", "time_zone", values::check_time_zone),
            time_server: self.checked("", "time_server", values::check_host),
            log_server: self.checked("", "log_server", values::check_log_server),
            wifi: self.wifi(),
            ssh_keys: self.ssh_keys(),
            radio: self.radio(),
            backup: self.backup(),
            api_key: self.secret("office", "api_key", values::check_api_key),
            pairing_code: self.secret("office", "pairing_code", values::check_pairing_code),
        };
        if let (Some(CardSecret::Given(_)), Some(CardSecret::Given(_))) = (&file.api_key, &file.pairing_code) {
            self.reading.refuse("office", "pairing_code", CardError::BothAccess);
        }
        if file == CardFile::default() && self.reading.mistakes.is_empty() && self.is_whole {
            self.reading.mistakes.push(CardMistake::of_file(CardError::Empty));
        }
        self.reading.file = file;
    }

    fn find_secrets(&mut self) {
        let spans = SECRETS.iter().filter_map(|key| self.entries.get(key));
        let given = spans.filter(|entry| entry.value.as_str().is_some_and(|text| !text.is_empty()));
        self.reading.secrets = given.map(|entry| entry.span.clone()).collect();
    }

    fn text(&self, section: &'static str, key: &'static str) -> Option<&'t str> {
        self.entries.get(&(section, key))?.value.as_str()
    }

    /// Returns the value of a key, if it is there and allowed.
    fn checked(
        &mut self,
        section: &'static str,
        key: &'static str,
        check: fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        let text = self.text(section, key)?;
        // A blank at the end of a password belongs to it.
        match check(if key == "password" { text } else { text.trim() }) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.reading.refuse(section, key, CardError::value(key, reason));
                None
            }
        }
    }

    fn secret(
        &mut self,
        section: &'static str,
        key: &'static str,
        check: fn(&str) -> Result<String, String>,
    ) -> Option<CardSecret> {
        if self.text(section, key)?.is_empty() {
            return Some(CardSecret::Blank);
        }
        self.checked(section, key, check).map(CardSecret::Given)
    }

    /// Refuses a section that lacks a key.
    fn require(&mut self, section: &'static str, key: &'static str, example: &'static str, why: &'static str) {
        let is_there = self.entries.contains_key(&(section, key)) || self.meant.contains(&(section, key));
        if self.is_whole && !is_there {
            self.reading.refuse(section, "", CardError::Missing { section, key, example, why });
        }
    }

    fn wifi(&mut self) -> Option<CardWifi> {
        if !self.entries.keys().any(|(section, _)| *section == "wifi") {
            return None;
        }
        self.require("wifi", "country", "US", " (radio rules differ by country)");
        self.require("wifi", "network", "name of the network", "");
        let country = self.checked("wifi", "country", values::check_country);
        let network = self.entries.get(&("wifi", "network")).and_then(|entry| entry.value.as_str());
        let network = network.and_then(|name| match values::check_network(name) {
            Ok(name) => Some(name),
            Err(reason) => {
                self.reading.refuse("wifi", "network", CardError::value("network", reason));
                None
            }
        });
        let password = self.secret("wifi", "password", values::check_password);
        Some(CardWifi { country: country?, network: network?, password })
    }

    fn ssh_keys(&mut self) -> Vec<String> {
        let Some(entry) = self.entries.get(&("ssh", "key")) else { return Vec::new() };
        let texts: Vec<&str> = match entry.value {
            DeValue::Array(array) => array.iter().filter_map(|element| element.get_ref().as_str()).collect(),
            value => value.as_str().into_iter().collect(),
        };
        let mut keys = Vec::new();
        for text in texts.into_iter().map(str::trim).filter(|text| !text.is_empty()) {
            match values::check_ssh_key(text) {
                Ok(key) => keys.push(key),
                Err(reason) => self.reading.refuse("ssh", "key", CardError::value("key", reason)),
            }
        }
        if keys.len() > MAX_SSH_KEYS {
            let reason = format!("has {} keys: at most {MAX_SSH_KEYS} are allowed", keys.len());
            self.reading.refuse("ssh", "key", CardError::value("key", reason));
        }
        keys
    }

    fn radio(&mut self) -> Option<CardRadio> {
        if !self.entries.keys().any(|(section, _)| *section == "radio") {
            return None;
        }
        self.require("radio", "kind", "sx127x", " (or \"serial\" for a modem)");
        let kind = match values::check_radio_kind(self.text("radio", "kind")?.trim()) {
            Ok(kind) => kind,
            Err(reason) => {
                self.reading.refuse("radio", "kind", CardError::value("kind", reason));
                return None;
            }
        };
        let mut table = toml::Table::new();
        let keys = KEYS.iter().filter(|key| key.section == "radio" && key.name != "kind");
        for key in keys {
            let Some(value) = self.entries.get(&("radio", key.name)).map(|entry| entry.value) else { continue };
            if key.radio != Some(kind) {
                let owner = key.radio.map_or("none", CardRadioKind::name);
                let reason = format!("is only for kind = \"{owner}\": put a `#` in front of the line");
                self.reading.refuse("radio", key.name, CardError::value(key.name, reason));
            } else if let Some(value) = values::plain(value) {
                table.insert(key.name.to_owned(), value);
            } else {
                self.reading.refuse("radio", key.name, CardError::NotNumber { key: key.name });
            }
        }
        Some(CardRadio { kind, settings: table })
    }

    fn backup(&mut self) -> Option<toml::Table> {
        if !self.entries.keys().any(|(section, _)| *section == "backup") {
            return None;
        }
        self.require("backup", "directory", "/media/stick/herdlinx", " (the barn makes none without it)");
        let mut table = toml::Table::new();
        for key in KEYS.iter().filter(|key| key.section == "backup") {
            let Some(value) = self.entries.get(&("backup", key.name)).map(|entry| entry.value) else { continue };
            if let Some(value) = values::plain(value) {
                table.insert(key.name.to_owned(), value);
            } else {
                self.reading.refuse("backup", key.name, CardError::NotNumber { key: key.name });
            }
        }
        Some(table)
    }
}

fn unknown_section(name: &str) -> CardError {
    CardError::UnknownSection { section: name.to_owned(), closest: closest(name, SECTIONS) }
}

fn unknown_key(section: &'static str, name: &str) -> CardError {
    let key = name.to_owned();
    if let Some(other) = KEYS.iter().find(|other| other.name == name) {
        return CardError::Misplacement { key, section, home: other.section };
    }
    CardError::UnknownKey { key, section, closest: closest_key(section, name) }
}

/// Returns the error of a value that has another form than its key.
fn wrong_form(key: &Key, value: &DeValue<'_>) -> Option<CardError> {
    let texts = |array: &toml::de::DeArray<'_>| array.iter().all(|element| element.get_ref().is_str());
    let key_name = key.name;
    match (key.form, value) {
        (Form::Text | Form::Texts, DeValue::String(_)) | (Form::Number, DeValue::Integer(_)) => None,
        (Form::Texts, DeValue::Array(array)) if texts(array) => None,
        (_, DeValue::Table(_)) => Some(CardError::Form { name: key_name, is: "key", other: "section" }),
        (Form::Number, _) => Some(CardError::NotNumber { key: key_name }),
        _ => Some(CardError::NotString { key: key_name }),
    }
}

/// Returns whether the value is an empty text that means the same as no value.
fn is_blank_setting(key: &Key, value: &DeValue<'_>) -> bool {
    !SECRETS.contains(&(key.section, key.name)) && value.as_str().is_some_and(|text| text.trim().is_empty())
}
