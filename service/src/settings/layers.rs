//! The layers of settings and their merge.
//!
//! The layering is our own, over TOML. The config crate replaces an array by a table when it meets `radio.kind`, and does
//! not say which layer an unknown key came from.

use super::merged::MergedSettings;
use super::origin::{KeyPath, KeyStep, Origin};
use super::{MAX_FILE_BYTES, SettingsError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// The layers, and the rules for merging them.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// The lowest layer: a settings file, which must exist.
    pub file: Option<&'a Path>,
    /// Prefix of the environment variables, with its underscore: `HERDLINX_`.
    pub env_prefix: &'a str,
    /// Longer prefixes, of variables that belong to another program.
    pub ignore_prefixes: &'a [&'a str],
    /// Keys of arrays of tables. A variable or flag that has a table there sets the first element.
    pub arrays: &'a [&'a str],
    /// The highest layer: a table of the flags on the command line.
    pub flags: Table,
}

/// Returns the environment variables of this process.
///
/// Invalid Unicode is replaced, so the setting of that variable then refuses the value.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

impl Layers<'_> {
    /// Merges the layers; `vars` are the environment variables.
    pub fn merge(self, vars: impl Iterator<Item = (String, String)>) -> Result<MergedSettings, SettingsError> {
        let mut merged = match self.file {
            Some(path) => read_file(path)?,
            None => MergedSettings::default(),
        };
        // Sorted by name, so that the same variables always give the same settings.
        let mut vars: Vec<_> = vars.filter(|(name, _)| self.is_ours(name)).collect();
        vars.sort();
        for (name, value) in vars {
            let path = self.variable_path(&name)?;
            merged.set(&path, Value::String(value), &Origin::Variable(name))?;
        }
        self.merge_flags(&mut merged, &mut Vec::new(), &self.flags)?;
        Ok(merged)
    }

    fn is_ours(&self, name: &str) -> bool {
        name.starts_with(self.env_prefix) && !self.ignore_prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    fn variable_path(&self, name: &str) -> Result<KeyPath, SettingsError> {
        let keys = name.strip_prefix(self.env_prefix).unwrap_or_default().to_ascii_lowercase();
        let mut path = Vec::new();
        let mut keys = keys.split("__").peekable();
        while let Some(key) = keys.next() {
            if key.is_empty() {
                return Err(SettingsError::Variable { name: name.to_owned() });
            }
            self.push_key(&mut path, key, keys.peek().is_some());
        }
        Ok(path)
    }

    /// Appends `key` to the path. If the key is an array and more steps follow, appends its first element too.
    fn push_key(&self, path: &mut KeyPath, key: &str, more_follow: bool) {
        let is_array = path.is_empty() && self.arrays.contains(&key);
        path.push(KeyStep::Key(key.to_owned()));
        if is_array && more_follow {
            path.push(KeyStep::Index(0));
        }
    }

    fn merge_flags(&self, merged: &mut MergedSettings, path: &mut KeyPath, flags: &Table) -> Result<(), SettingsError> {
        for (key, value) in flags {
            let length = path.len();
            self.push_key(path, key, value.is_table());
            match value {
                Value::Table(inner) => self.merge_flags(merged, path, inner)?,
                single => merged.set(path, single.clone(), &Origin::Flag)?,
            }
            path.truncate(length);
        }
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<MergedSettings, SettingsError> {
    let failed = |source| SettingsError::File { path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(std::io::Error::other(format!("the file is larger than {MAX_FILE_BYTES} bytes"))));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let syntax = |error: &toml::de::Error| SettingsError::Syntax {
        path: path.into(),
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    };
    let table = toml::from_str::<Table>(text).map_err(|error| syntax(&error))?;
    let spanned = DeTable::parse(text).map_err(|error| syntax(&error))?;
    let mut merged = MergedSettings { table, ..MergedSettings::default() };
    let lines = LineRecorder { text, path: Arc::new(path.into()) };
    lines.record_table(spanned.get_ref(), &mut Vec::new(), &mut merged);
    Ok(merged)
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Records the line of every key in a file.
struct LineRecorder<'a> {
    text: &'a str,
    path: Arc<std::path::PathBuf>,
}

impl LineRecorder<'_> {
    fn record_table(&self, table: &DeTable<'_>, path: &mut KeyPath, merged: &mut MergedSettings) {
        for (key, value) in table {
            path.push(KeyStep::Key(key.get_ref().to_string()));
            self.record(key.span().start, value, path, merged);
            path.pop();
        }
    }

    fn record(&self, offset: usize, value: &Spanned<DeValue<'_>>, path: &mut KeyPath, merged: &mut MergedSettings) {
        let origin = Origin::File { path: Arc::clone(&self.path), line: line_at(self.text, offset) };
        merged.origins.insert(path.clone(), origin);
        match value.get_ref() {
            DeValue::Table(table) => self.record_table(table, path, merged),
            DeValue::Array(array) => {
                for (index, element) in array.iter().enumerate() {
                    path.push(KeyStep::Index(index));
                    self.record(element.span().start, element, path, merged);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}
