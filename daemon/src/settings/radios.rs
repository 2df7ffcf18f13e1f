//! Settings of the radios: the list `[[radio]]`.

use super::{BarnSettingsError, MAX_NAME_CHARS, NAME_RULE, Settings};
use herd::payload::WeightUnit;
use radio::{AnyRadio, OpenError, SerialSettings, SettingsError, SimulatedSettings, Sx127xSettings};
use serde::{Deserialize, Serialize};
use service::door::keys::is_valid_name;
use std::collections::BTreeSet;

/// Maximum length of what a library adds in front of a payload.
const MAX_STRIP_BYTES: u8 = 16;

/// Kind of a radio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RadioKind {
    /// A disabled entry.
    #[default]
    None,
    /// Traffic from a seed, or a script.
    Simulated,
    /// A Semtech SX1276 to SX1279 on the SPI bus.
    Sx127x,
    /// A modem on a serial port.
    Serial,
}

/// Settings of one radio.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RadioSettings {
    /// Kind of the radio.
    pub kind: RadioKind,
    /// Name that its packets are recorded with. By default it follows from the position in the list.
    pub name: Option<String>,
    /// Group of the readers that it receives.
    pub reader_group: String,
    /// Unit of the weights that these readers send as numbers alone.
    pub weight_unit: WeightUnit,
    /// Number of bytes in front of each payload that the library of the readers adds: 0..=16, 4 with `RadioHead`.
    pub strip_bytes: u8,
    /// Only for kind `simulated`.
    pub simulated: Option<SimulatedSettings>,
    /// Only for kind `sx127x`.
    pub sx127x: Option<Sx127xSettings>,
    /// Only for kind `serial`.
    pub serial: Option<SerialSettings>,
}

impl Default for RadioSettings {
    fn default() -> Self {
        let (kind, reader_group) = (RadioKind::default(), "main".to_owned());
        Self {
            kind,
            name: None,
            reader_group,
            weight_unit: WeightUnit::default(),
            strip_bytes: 0,
            simulated: None,
            sx127x: None,
            serial: None,
        }
    }
}

impl RadioSettings {
    /// Returns the name of the radio at `index` of the list, counted from 0.
    pub(super) fn name_at(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("radio{}", index + 1))
    }

    /// Returns the settings of the chip if the kind is `sx127x`.
    pub fn chip(&self) -> Option<Sx127xSettings> {
        (self.kind == RadioKind::Sx127x).then(|| self.sx127x.clone().unwrap_or_default())
    }

    /// Returns the settings of the modem if the kind is `serial`.
    pub fn modem(&self) -> Option<SerialSettings> {
        (self.kind == RadioKind::Serial).then(|| self.serial.clone().unwrap_or_default())
    }

    /// Opens the radio. Returns `None` if the kind is `none`.
    ///
    /// A broken chip or line is not an error here: the radio reports it in its health, and retries.
    pub fn open(&self, name: &str) -> Result<Option<AnyRadio>, OpenError> {
        Ok(match self.kind {
            RadioKind::None => None,
            RadioKind::Simulated => Some(self.simulated.clone().unwrap_or_default().open()?.into()),
            RadioKind::Sx127x => Some(self.sx127x.clone().unwrap_or_default().open(name)?.into()),
            RadioKind::Serial => Some(self.serial.clone().unwrap_or_default().open()?.into()),
        })
    }

    /// Returns the rules that a chip which only listens would break if it transmitted, each as a sentence.
    pub(super) fn notes(&self) -> Vec<String> {
        let violations = self.chip().filter(|chip| !chip.transmit).and_then(|chip| chip.validate().ok());
        violations.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    fn validate(&self, name: &str, index: usize) -> Result<(), BarnSettingsError> {
        let refuse = |key: &str, value: &str, allowed| {
            Err(service::settings::SettingsError::value(format!("radio[{index}].{key}"), value, allowed).into())
        };
        if !is_valid_name(name, MAX_NAME_CHARS) {
            return refuse("name", name, NAME_RULE);
        }
        if !is_valid_name(&self.reader_group, MAX_NAME_CHARS) {
            return refuse("reader_group", &self.reader_group, NAME_RULE);
        }
        if self.strip_bytes > MAX_STRIP_BYTES {
            return refuse("strip_bytes", &self.strip_bytes.to_string(), "0..=16; RadioHead adds 4 bytes");
        }
        // A table without effect is a mistake, so it is refused.
        match self.kind {
            kind if self.simulated.is_some() && kind != RadioKind::Simulated => {
                refuse("simulated", "set", "left out unless `kind` is \"simulated\"")
            }
            kind if self.sx127x.is_some() && kind != RadioKind::Sx127x => {
                refuse("sx127x", "set", "left out unless `kind` is \"sx127x\"")
            }
            kind if self.serial.is_some() && kind != RadioKind::Serial => {
                refuse("serial", "set", "left out unless `kind` is \"serial\"")
            }
            _ => self.validate_table().map_err(|source| BarnSettingsError::Radio { radio: name.to_owned(), source }),
        }
    }

    fn validate_table(&self) -> Result<(), SettingsError> {
        self.simulated.as_ref().map_or(Ok(()), SimulatedSettings::validate)?;
        self.serial.as_ref().map_or(Ok(()), SerialSettings::validate)?;
        self.sx127x.as_ref().map_or(Ok(()), |chip| chip.chip().map(|_| ()))
    }
}

pub(super) fn validate(settings: &Settings) -> Result<(), BarnSettingsError> {
    let mut names = BTreeSet::new();
    for (index, radio) in settings.radio.iter().enumerate() {
        let name = radio.name_at(index);
        radio.validate(&name, index)?;
        if settings.weight_units(&radio.reader_group).any(|unit| unit != radio.weight_unit) {
            let (key, unit) =
                (format!("radio[{index}].weight_unit"), format!("{:?}", radio.weight_unit).to_lowercase());
            let allowed = "one unit for all readers of a group; `weight_unit` outside of the radios is that for HTTP";
            return Err(service::settings::SettingsError::value(key, unit, allowed).into());
        }
        if !names.insert(name.clone()) {
            let allowed = "unique among the radios";
            let key = format!("radio[{index}].name");
            return Err(service::settings::SettingsError::value(key, name, allowed).into());
        }
    }
    Ok(())
}
