//! Animals that were merged into others. There are few, and a void separates them again.

use crate::tables::last_successor;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// The merged animals, by the one that was merged and by the one that remains.
#[derive(Debug, Default)]
pub(super) struct Merges {
    into: BTreeMap<u64, u64>,
    /// `(remains, merged)`.
    of: BTreeSet<(u64, u64)>,
}

impl Merges {
    /// Records what an animal was merged into, or that it was not.
    pub(super) fn set(&mut self, animal: u64, into: Option<u64>) {
        if let Some(before) = self.into.remove(&animal) {
            self.of.remove(&(before, animal));
        }
        if let Some(into) = into {
            self.into.insert(animal, into);
            self.of.insert((into, animal));
        }
    }

    /// Returns the animal that an animal has become.
    pub(super) fn successor(&self, animal: u64) -> u64 {
        let Ok(successor) = last_successor(animal, |animal| Ok::<_, Infallible>(self.into.get(&animal).copied()));
        successor.unwrap_or(animal)
    }

    /// Returns an animal and all that were merged into it.
    pub(super) fn family(&self, animal: u64) -> Vec<u64> {
        let mut family = vec![animal];
        let mut next = 0;
        while let Some(one) = family.get(next).copied() {
            next += 1;
            let merged = self.of.range((one, 0)..=(one, u64::MAX)).map(|(_, merged)| *merged);
            // Damaged rows may lead in a circle.
            let new: Vec<u64> = merged.filter(|merged| !family.contains(merged)).collect();
            family.extend(new);
        }
        family
    }

    /// Returns whether others were merged into an animal.
    pub(super) fn has_merged(&self, animal: u64) -> bool {
        self.of.range((animal, 0)..=(animal, u64::MAX)).next().is_some()
    }

    /// Yields the animals that others were merged into.
    pub(super) fn successors(&self) -> impl Iterator<Item = u64> {
        self.of.iter().map(|(remains, _)| *remains)
    }

    /// Returns the memory of the merges, in bytes.
    pub(super) fn bytes(&self) -> usize {
        (self.into.len() + self.of.len()) * super::MAP_ENTRY_BYTES
    }
}
