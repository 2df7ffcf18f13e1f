//! A head as lists and search results show it.

use super::conventions::Conventions;
use super::format;
use herd::catalog::CatalogAnimal;
use herd::clock::{WallTime, iso_utc_if_set};
use herd::tables::AnimalStatus;

/// Characters at the end of a UHF tag that a list shows.
const EPC_TAIL: usize = 8;

/// An animal, with how the office shows weights and times.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) animal: CatalogAnimal,
    conventions: Conventions,
}

impl Head {
    pub(super) fn new(animal: CatalogAnimal, conventions: &Conventions) -> Self {
        Self { animal, conventions: conventions.clone() }
    }

    /// Returns what people call the animal: its visual tag, else a tag, else its number.
    pub(super) fn name(&self) -> String {
        let animal = &self.animal;
        let own = animal.visual_id.as_ref().or(animal.lf.as_ref()).or(animal.epc.as_ref());
        own.map_or_else(|| format!("Animal {}", animal.id), ToString::to_string)
    }

    /// Returns the beginning of the UHF tag, which a list hides, and its end.
    pub(super) fn epc_parts(&self) -> Option<(&str, &str)> {
        let epc = self.animal.epc.as_deref()?;
        let start = epc.char_indices().rev().nth(EPC_TAIL - 1).map_or(0, |(start, _)| start);
        Some(epc.split_at(start))
    }

    /// Returns the latest weight in the unit of the office, to the tenth as scales show it.
    pub(super) fn weight(&self) -> Option<String> {
        self.animal.weight_g.map(|weight_g| format::tenths(weight_g, self.conventions.weight_unit))
    }

    /// Returns the daily gain in the unit of the office, with two decimals.
    pub(super) fn gain(&self) -> Option<String> {
        self.animal.gain_g_per_day.map(|gain_g| format::gain(gain_g.into(), self.conventions.weight_unit))
    }

    /// Returns the time of the last event to the minute.
    pub(super) fn last_read(&self) -> Option<String> {
        self.time(self.animal.last_seen)
    }

    /// Returns the same time as ISO 8601 in UTC.
    pub(super) fn last_read_iso(&self) -> String {
        self.animal.last_seen.and_then(WallTime::iso_utc).unwrap_or_default()
    }

    /// Returns whether the clock followed no time source at the last event.
    pub(super) fn is_last_read_doubtful(&self) -> bool {
        self.animal.last_seen.is_some_and(|at| !at.synchronized)
    }

    fn time(&self, at: Option<WallTime>) -> Option<String> {
        let text = self.conventions.zone.date_time(iso_utc_if_set(at?.at_us)?);
        // The seconds; the name of the zone stays in an hour that comes twice.
        let seconds = text.get(16..19).filter(|seconds| seconds.starts_with(':'));
        Some(seconds.map_or_else(|| text.clone(), |_| format!("{}{}", &text[..16], &text[19..])))
    }

    /// Returns the status in words, for head that is not on the yard.
    pub(super) fn status_words(&self) -> Option<&'static str> {
        match self.animal.status {
            AnimalStatus::Active => None,
            AnimalStatus::Exported => Some("Exported"),
            AnimalStatus::Dead => Some("Dead"),
            AnimalStatus::Voided => Some("Voided"),
        }
    }
}
