//! The list `[[radio]]`.

use super::{NAMES, Refused, is_name};
use radio::{AnyRadio, OpenError, SimulatedSettings};
use serde::Deserialize;
use std::collections::BTreeSet;

/// What a radio is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RadioKind {
    /// Nothing: the entry is kept and hears nothing.
    #[default]
    None,
    /// Traffic out of a seed, or a script.
    Simulated,
    /// A Semtech SX1276 and its relatives over SPI.
    Sx127x,
    /// A modem at a serial line.
    Serial,
}

/// One radio.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RadioSettings {
    /// What it is.
    pub kind: RadioKind,
    /// What its packets are filed under; by its place in the list where it is not set.
    pub name: Option<String>,
    /// The readers that it hears.
    pub reader_group: String,
    /// Only for the kind `simulated`.
    pub simulated: Option<SimulatedSettings>,
}

impl Default for RadioSettings {
    fn default() -> Self {
        Self { kind: RadioKind::default(), name: None, reader_group: "main".to_owned(), simulated: None }
    }
}

impl RadioSettings {
    /// Its name, where it is the one at `index` of the list, counted from 0.
    pub(super) fn name_at(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("radio{}", index + 1))
    }

    /// Opens it. What is wrong with a chip or a line is no error here: the radio says so itself, and tries again.
    pub fn open(&self, _name: &str) -> Result<AnyRadio, OpenError> {
        Ok(self.simulated.clone().unwrap_or_default().open()?.into())
    }

    fn validate(&self, name: &str, index: usize) -> Result<(), Refused> {
        let refuse = |key: &str, value: &str, allowed| {
            Err(Refused::Value { key: format!("radio[{index}].{key}"), value: value.to_owned(), allowed })
        };
        if !is_name(name) {
            return refuse("name", name, NAMES);
        }
        if !is_name(&self.reader_group) {
            return refuse("reader_group", &self.reader_group, NAMES);
        }
        let not_here = |kind| Err(Refused::NotInThisBuild { radio: name.to_owned(), kind });
        match self.kind {
            RadioKind::Sx127x => not_here("sx127x"),
            RadioKind::Serial => not_here("serial"),
            RadioKind::None if self.simulated.is_some() => {
                refuse("simulated", "set", "nothing, unless `kind` is \"simulated\"")
            }
            RadioKind::None | RadioKind::Simulated => {
                let simulated = self.simulated.as_ref().map_or(Ok(()), SimulatedSettings::validate);
                simulated.map_err(|source| Refused::Radio { radio: name.to_owned(), source })
            }
        }
    }
}

pub(super) fn validate(radios: &[RadioSettings]) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    for (index, radio) in radios.iter().enumerate() {
        let name = radio.name_at(index);
        radio.validate(&name, index)?;
        if !names.insert(name.clone()) {
            let allowed = "a name of its own for each radio";
            return Err(Refused::Value { key: format!("radio[{index}].name"), value: name, allowed });
        }
    }
    Ok(())
}
