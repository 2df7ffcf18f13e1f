//! The merged settings of all layers with their origins, and their conversion into a type.

use super::SettingsError;
use super::origin::{KeyPath, KeyStep, Origin, key_text};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// Settings of all layers, merged.
#[derive(Clone, Debug, Default)]
pub struct MergedSettings {
    pub(super) table: Table,
    pub(super) origins: BTreeMap<KeyPath, Origin>,
}

/// A refusal by the target type: the path of the setting, and the reason.
type Refusal = (KeyPath, String);

impl MergedSettings {
    /// Returns the merged settings; values from the environment are text.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Returns the origin of the setting `key`, for example `listen` or `radio[0].kind`.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.iter().find(|(path, _)| key_text(path) == key).map_or(&Origin::Unset, |(_, origin)| origin)
    }

    /// Converts the settings into `T`, which should deny unknown fields and have its own defaults.
    pub fn into_settings<T: DeserializeOwned>(mut self) -> Result<T, SettingsError> {
        let mut texts = self.environment_texts();
        loop {
            let refusal = match read::<T>(&self.table) {
                Ok(settings) => return Ok(settings),
                Err(refusal) => refusal,
            };
            // Each round uses up one text, so the loop ends.
            let Some(path) = self.reinterpret_text::<T>(&refusal, &texts) else {
                return Err(self.error(&refusal));
            };
            texts.remove(&path);
        }
    }

    /// Sets one value, and creates the tables and first array elements on its path.
    pub(super) fn set(&mut self, path: &[KeyStep], value: Value, origin: &Origin) -> Result<(), SettingsError> {
        if let Err(depth) = put(&mut self.table, path, value) {
            let other = self.origins.get(&path[..depth]).cloned().unwrap_or(Origin::Unset);
            return Err(SettingsError::Conflict { key: key_text(path), origin: origin.clone(), other });
        }
        // The value may replace a whole table, so the origins below it go too.
        self.origins.retain(|known, _| !known.starts_with(path));
        for length in 1..=path.len() {
            self.origins.entry(path[..length].to_vec()).or_insert_with(|| origin.clone());
        }
        Ok(())
    }

    fn environment_texts(&self) -> BTreeSet<KeyPath> {
        let variables = self.origins.iter().filter(|(_, origin)| matches!(origin, Origin::Variable(_)));
        let paths = variables.map(|(path, _)| path.clone());
        paths.filter(|path| find(&self.table, path).is_some_and(Value::is_str)).collect()
    }

    /// Replaces a text at or below the refused path by the TOML value that it spells, if that changes the refusal.
    /// Returns the path of that text.
    fn reinterpret_text<T: DeserializeOwned>(
        &mut self,
        refusal: &Refusal,
        texts: &BTreeSet<KeyPath>,
    ) -> Option<KeyPath> {
        let candidates = texts.iter().filter(|path| path.starts_with(&refusal.0));
        for path in candidates {
            let Some(value) = find(&self.table, path).and_then(Value::as_str).and_then(toml_value) else { continue };
            let mut changed = self.table.clone();
            if put(&mut changed, path, value).is_err() {
                continue;
            }
            if read::<T>(&changed).err().as_ref() != Some(refusal) {
                self.table = changed;
                return Some(path.clone());
            }
        }
        None
    }

    fn error(&self, (path, reason): &Refusal) -> SettingsError {
        let nearest = (1..=path.len()).rev().find_map(|length| self.origins.get(&path[..length]));
        let key = if path.is_empty() { "(all settings)".to_owned() } else { key_text(path) };
        SettingsError::Refused { key, origin: nearest.cloned().unwrap_or(Origin::Unset), reason: reason.clone() }
    }
}

/// Returns the value at the end of `path`, created if it is missing.
///
/// If a single value stands where a table is needed, the error is the number of steps to it.
fn entry<'a>(mut at: &'a mut Value, path: &[KeyStep]) -> Result<&'a mut Value, usize> {
    for (depth, step) in path.iter().enumerate() {
        at = match (step, at) {
            (KeyStep::Key(key), Value::Table(table)) => {
                let next = match path.get(depth + 1) {
                    Some(KeyStep::Index(_)) => Value::Array(Vec::new()),
                    _ => Value::Table(Table::new()),
                };
                table.entry(key.clone()).or_insert(next)
            }
            (KeyStep::Index(index), Value::Array(array)) => {
                if array.is_empty() {
                    array.push(Value::Table(Table::new()));
                }
                array.get_mut(*index).ok_or(depth)?
            }
            _ => return Err(depth),
        };
    }
    Ok(at)
}

fn find<'a>(table: &'a Table, path: &[KeyStep]) -> Option<&'a Value> {
    let (KeyStep::Key(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(table.get(first)?, |at, step| match step {
        KeyStep::Key(key) => at.get(key),
        KeyStep::Index(index) => at.get(index),
    })
}

/// Stores the value at the end of `path`; the error is that of [`entry`].
fn put(table: &mut Table, path: &[KeyStep], value: Value) -> Result<(), usize> {
    let mut root = Value::Table(std::mem::take(table));
    let result = entry(&mut root, path).map(|at| *at = value);
    if let Value::Table(changed) = root {
        *table = changed;
    }
    result
}

/// Returns the TOML value that a text spells, or `None` if it is only text.
fn toml_value(text: &str) -> Option<Value> {
    if text.contains(['\n', '\r', '"', '\'']) && !text.trim_start().starts_with('[') {
        return None;
    }
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    (table.len() == 1).then(|| table.remove("value")).flatten().filter(|value| !value.is_str())
}

fn read<T: DeserializeOwned>(table: &Table) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
        let path = key_path(error.path());
        let reason = error.inner().message().trim().to_owned();
        (path, reason)
    })
}

fn key_path(path: &Path) -> KeyPath {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(KeyStep::Key(key.clone())),
        Segment::Seq { index } => Some(KeyStep::Index(*index)),
        Segment::Enum { variant } => Some(KeyStep::Key(variant.clone())),
        Segment::Unknown => None,
    };
    path.iter().map_while(step).collect()
}
