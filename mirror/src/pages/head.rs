//! A head as lists and search results show it.

use super::conventions::Conventions;
use herd::catalog::CatalogAnimal;
use herd::clock::{WallTime, iso_utc_if_set};
use herd::tables::AnimalStatus;

/// Digits of an identity that stand together: code of the country or manufacturer, and the first half of the number.
const EID_GROUPS: [usize; 2] = [3, 9];

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

    /// Returns the groups of an EID of 15 digits.
    pub(super) fn eid_groups(&self) -> Option<[&str; 3]> {
        let eid = self.animal.lf.as_deref().filter(|_| self.animal.lf_is_identity)?;
        let (code, number) = eid.split_at_checked(EID_GROUPS[0])?;
        let (first, last) = number.split_at_checked(EID_GROUPS[1] - EID_GROUPS[0])?;
        Some([code, first, last])
    }

    /// Returns the time of the last event to the minute.
    pub(super) fn last_read(&self) -> Option<String> {
        self.time(self.animal.last_seen)
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
