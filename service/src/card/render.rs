//! The commented file.

use super::keys::section;
use super::{CardFile, CardRadio, CardSecret};
use toml::Value;

/// The file without any value: every key with its explanation, commented out.
const TEMPLATE: &str = include_str!("template.toml");

impl CardFile {
    /// Writes the commented file with the values that are set.
    pub fn render(&self) -> String {
        let mut current = "";
        let lines = TEMPLATE.lines().flat_map(|line| {
            let header = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            current = header.and_then(section).unwrap_or(current);
            let value = example_key(line).and_then(|key| Some((key, self.value(current, key)?)));
            [value.map_or_else(|| line.to_owned(), |(key, value)| format!("{key} = {value}")), "\n".to_owned()]
        });
        lines.collect()
    }

    fn value(&self, section: &str, key: &str) -> Option<Value> {
        let wifi = self.wifi.as_ref();
        match (section, key) {
            ("", "site") => text(self.site.as_ref()),
            ("", "time_zone") => text(self.time_zone.as_ref()),
            ("", "time_server") => text(self.time_server.as_ref()),
            ("", "log_server") => text(self.log_server.as_ref()),
            ("wifi", "country") => text(wifi.map(|wifi| &wifi.country)),
            ("wifi", "network") => text(wifi.map(|wifi| &wifi.network)),
            ("wifi", "password") => secret(wifi.and_then(|wifi| wifi.password.as_ref())),
            ("ssh", "key") => texts(&self.ssh_keys),
            ("radio", key) => radio(self.radio.as_ref()?, key),
            ("backup", key) => self.backup.as_ref()?.get(key).cloned(),
            ("office", "api_key") => secret(self.api_key.as_ref()),
            ("office", "pairing_code") => secret(self.pairing_code.as_ref()),
            _ => None,
        }
    }
}

/// Returns the text before ` = ` in a commented line. The caller finds no value for a text that is no key.
fn example_key(line: &str) -> Option<&str> {
    line.strip_prefix('#')?.split_once(" = ").map(|(key, _)| key)
}

fn text(value: Option<&String>) -> Option<Value> {
    value.cloned().map(Value::String)
}

fn texts(values: &[String]) -> Option<Value> {
    match values {
        [] => None,
        [one] => Some(Value::String(one.clone())),
        several => Some(Value::Array(several.iter().cloned().map(Value::String).collect())),
    }
}

fn secret(secret: Option<&CardSecret>) -> Option<Value> {
    secret.map(|secret| match secret {
        CardSecret::Given(text) => Value::String(text.clone()),
        CardSecret::Blank => Value::String(String::new()),
    })
}

fn radio(radio: &CardRadio, key: &str) -> Option<Value> {
    if key == "kind" { Some(Value::String(radio.kind.name().to_owned())) } else { radio.settings.get(key).cloned() }
}
