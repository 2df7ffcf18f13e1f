//! Laying one layer over the other.

use super::merged::Merged;
use super::origin::{Origin, Step, Way};
use super::{MAX_FILE_BYTES, SettingsError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// The layers and what holds for them.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// The lowest layer; none where the user has none. A file that is named must be there.
    pub file: Option<&'a Path>,
    /// What the names of variables begin with, its underscore included: `HERDLINX_`.
    pub env_prefix: &'a str,
    /// Names that begin so belong to somebody else.
    pub ignore_prefixes: &'a [&'a str],
    /// Keys whose value is an array of tables: a layer that has a table there means the first element.
    pub arrays: &'a [&'a str],
    /// The highest layer.
    pub flags: Table,
}

/// The variables of this process. What is not Unicode has its wrong parts replaced, and is then refused by whatever
/// setting it is for.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

impl Layers<'_> {
    /// Lays the layers over each other.
    pub fn merge(self, vars: impl Iterator<Item = (String, String)>) -> Result<Merged, SettingsError> {
        let mut merged = match self.file {
            Some(path) => read_file(path)?,
            None => Merged::default(),
        };
        // In the order of names, so that the same variables always give the same settings.
        let mut vars: Vec<_> = vars.filter(|(name, _)| self.is_ours(name)).collect();
        vars.sort();
        for (name, value) in vars {
            let way = self.way_of(&name)?;
            merged.set(&way, Value::String(value), &Origin::Variable(name))?;
        }
        self.lay_flags(&mut merged, &mut Vec::new(), &self.flags)?;
        Ok(merged)
    }

    fn is_ours(&self, name: &str) -> bool {
        name.starts_with(self.env_prefix) && !self.ignore_prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    fn way_of(&self, name: &str) -> Result<Way, SettingsError> {
        let keys = name.strip_prefix(self.env_prefix).unwrap_or_default().to_ascii_lowercase();
        let mut way = Vec::new();
        let mut keys = keys.split("__").peekable();
        while let Some(key) = keys.next() {
            if key.is_empty() {
                return Err(SettingsError::Variable { name: name.to_owned() });
            }
            self.step(&mut way, key, keys.peek().is_some());
        }
        Ok(way)
    }

    /// Goes on to `key`, and where it is an array and the way goes on, to its first element.
    fn step(&self, way: &mut Way, key: &str, goes_on: bool) {
        let is_array = way.is_empty() && self.arrays.contains(&key);
        way.push(Step::Key(key.to_owned()));
        if is_array && goes_on {
            way.push(Step::Index(0));
        }
    }

    fn lay_flags(&self, merged: &mut Merged, way: &mut Way, flags: &Table) -> Result<(), SettingsError> {
        for (key, value) in flags {
            let before = way.len();
            self.step(way, key, value.is_table());
            match value {
                Value::Table(inner) => self.lay_flags(merged, way, inner)?,
                single => merged.set(way, single.clone(), &Origin::Flag)?,
            }
            way.truncate(before);
        }
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<Merged, SettingsError> {
    let failed = |source| SettingsError::File { path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(std::io::Error::other(format!("the file is longer than {MAX_FILE_BYTES} bytes"))));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let syntax = |error: &toml::de::Error| SettingsError::Syntax {
        path: path.into(),
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    };
    let table = toml::from_str::<Table>(text).map_err(|error| syntax(&error))?;
    let places = DeTable::parse(text).map_err(|error| syntax(&error))?;
    let mut merged = Merged { table, ..Merged::default() };
    let lines = Lines { text, path: Arc::new(path.into()) };
    lines.note_table(places.get_ref(), &mut Vec::new(), &mut merged);
    Ok(merged)
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Notes the line of every key.
struct Lines<'a> {
    text: &'a str,
    path: Arc<std::path::PathBuf>,
}

impl Lines<'_> {
    fn note_table(&self, table: &DeTable<'_>, way: &mut Way, merged: &mut Merged) {
        for (key, value) in table {
            way.push(Step::Key(key.get_ref().to_string()));
            self.note(key.span().start, value, way, merged);
            way.pop();
        }
    }

    fn note(&self, offset: usize, value: &Spanned<DeValue<'_>>, way: &mut Way, merged: &mut Merged) {
        let origin = Origin::File { path: Arc::clone(&self.path), line: line_at(self.text, offset) };
        merged.origins.insert(way.clone(), origin);
        match value.get_ref() {
            DeValue::Table(table) => self.note_table(table, way, merged),
            DeValue::Array(array) => {
                for (index, element) in array.iter().enumerate() {
                    way.push(Step::Index(index));
                    self.note(element.span().start, element, way, merged);
                    way.pop();
                }
            }
            _ => {}
        }
    }
}
