//! The settings of all layers, each with the place it came from, and their way into a type.

use super::SettingsError;
use super::origin::{Origin, Step, Way, shown};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// All layers laid over each other.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    pub(super) table: Table,
    pub(super) origins: BTreeMap<Way, Origin>,
}

/// A refusal by the target: where, and its words.
type Refusal = (Way, String);

impl Merged {
    /// The settings as they are, values of the environment as text.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Where the setting `key` (`listen`, `radio[0].kind`) came from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.iter().find(|(way, _)| shown(way) == key).map_or(&Origin::Unset, |(_, origin)| origin)
    }

    /// The settings as `T`, which should deny unknown fields and know its own defaults.
    pub fn into_settings<T: DeserializeOwned>(mut self) -> Result<T, SettingsError> {
        let mut texts: BTreeSet<Way> = self.texts_of_environment();
        loop {
            let refusal = match read::<T>(&self.table) {
                Ok(settings) => return Ok(settings),
                Err(refusal) => refusal,
            };
            // Each round gives one text up, so the rounds end.
            let Some(way) = self.read_one_text_anew::<T>(&refusal, &texts) else {
                return Err(self.refused(&refusal));
            };
            texts.remove(&way);
        }
    }

    /// Sets one value, and makes the tables and the first elements of arrays on its way.
    pub(super) fn set(&mut self, way: &[Step], value: Value, origin: &Origin) -> Result<(), SettingsError> {
        if let Err(depth) = put(&mut self.table, way, value) {
            let other = self.origins.get(&way[..depth]).cloned().unwrap_or(Origin::Unset);
            return Err(SettingsError::Conflict { key: shown(way), origin: origin.clone(), other });
        }
        // What the value replaced, be it a table, is gone with all its places.
        self.origins.retain(|known, _| !known.starts_with(way));
        for length in 1..=way.len() {
            self.origins.entry(way[..length].to_vec()).or_insert_with(|| origin.clone());
        }
        Ok(())
    }

    fn texts_of_environment(&self) -> BTreeSet<Way> {
        let variables = self.origins.iter().filter(|(_, origin)| matches!(origin, Origin::Variable(_)));
        let ways = variables.map(|(way, _)| way.clone());
        ways.filter(|way| find(&self.table, way).is_some_and(Value::is_str)).collect()
    }

    /// Reads the text that was refused (or one beneath what was refused) as a value of TOML, if the target then says
    /// something else than before.
    fn read_one_text_anew<T: DeserializeOwned>(&mut self, refusal: &Refusal, texts: &BTreeSet<Way>) -> Option<Way> {
        let beneath = texts.iter().filter(|way| way.starts_with(&refusal.0));
        for way in beneath {
            let Some(value) = find(&self.table, way).and_then(Value::as_str).and_then(toml_value) else { continue };
            let mut changed = self.table.clone();
            if put(&mut changed, way, value).is_err() {
                continue;
            }
            if read::<T>(&changed).err().as_ref() != Some(refusal) {
                self.table = changed;
                return Some(way.clone());
            }
        }
        None
    }

    fn refused(&self, (way, reason): &Refusal) -> SettingsError {
        let nearest = (1..=way.len()).rev().find_map(|length| self.origins.get(&way[..length]));
        let key = if way.is_empty() { "the whole".to_owned() } else { shown(way) };
        SettingsError::Refused { key, origin: nearest.cloned().unwrap_or(Origin::Unset), reason: reason.clone() }
    }
}

/// The place at the end of `way`, made where it is missing; or how many steps can be gone before a single value is in the way.
fn place<'a>(mut at: &'a mut Value, way: &[Step]) -> Result<&'a mut Value, usize> {
    for (depth, step) in way.iter().enumerate() {
        at = match (step, at) {
            (Step::Key(key), Value::Table(table)) => {
                let next = match way.get(depth + 1) {
                    Some(Step::Index(_)) => Value::Array(Vec::new()),
                    _ => Value::Table(Table::new()),
                };
                table.entry(key.clone()).or_insert(next)
            }
            (Step::Index(index), Value::Array(array)) => {
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

fn find<'a>(table: &'a Table, way: &[Step]) -> Option<&'a Value> {
    let (Step::Key(first), rest) = way.split_first()? else { return None };
    rest.iter().try_fold(table.get(first)?, |at, step| match step {
        Step::Key(key) => at.get(key),
        Step::Index(index) => at.get(index),
    })
}

/// Puts the value at the end of `way`; the error is that of [`place`].
fn put(table: &mut Table, way: &[Step], value: Value) -> Result<(), usize> {
    let mut root = Value::Table(std::mem::take(table));
    let result = place(&mut root, way).map(|at| *at = value);
    if let Value::Table(changed) = root {
        *table = changed;
    }
    result
}

/// What a text is in TOML where it is something else than text.
fn toml_value(text: &str) -> Option<Value> {
    if text.contains(['\n', '\r', '"', '\'']) && !text.trim_start().starts_with('[') {
        return None;
    }
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    (table.len() == 1).then(|| table.remove("value")).flatten().filter(|value| !value.is_str())
}

fn read<T: DeserializeOwned>(table: &Table) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
        let way = way_of(error.path());
        let reason = error.inner().message().trim().to_owned();
        (way, reason)
    })
}

fn way_of(path: &Path) -> Way {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    };
    path.iter().map_while(step).collect()
}
