//! Times of changes that were looked up last.
//!
//! The page of missed reads names the times beside each gap. These reads lie far apart in the log, so each look-up reads a row
//! of up to 128 KiB, and the page is fetched again every few seconds while it is open. A change never alters, so its time
//! can be kept.

use crate::clock::WallTime;
use crate::position::Sequence;
use std::sync::{Arc, Mutex, PoisonError};

/// Number of times that are kept: both neighbors of a thousand gaps. They take 96 KiB once there is one.
const KEPT_TIMES: usize = 2_048;

/// A place for each change whose sequence leaves the same rest; empty until the first time is kept.
type Slots = Vec<Option<(Sequence, WallTime)>>;

/// Times of changes. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTimes(Arc<Mutex<Slots>>);

impl KnownTimes {
    /// Returns the time of a change, if it is kept.
    pub(super) fn get(&self, sequence: Sequence) -> Option<WallTime> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = slots.get(slot(sequence)).copied().flatten();
        kept.filter(|(of, _)| *of == sequence).map(|(_, at)| at)
    }

    /// Keeps the time of a change, in the place of another one.
    pub(super) fn keep(&self, sequence: Sequence, at: WallTime) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.is_empty() {
            slots.resize(KEPT_TIMES, None);
        }
        slots[slot(sequence)] = Some((sequence, at));
    }
}

fn slot(sequence: Sequence) -> usize {
    usize::try_from(sequence.0 % KEPT_TIMES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches the time of another change in the same place.
    #[test]
    fn each_time_is_that_of_its_own_change() {
        let times = KnownTimes::default();
        let at = |at_us| WallTime { at_us, synchronized: true };
        assert_eq!(times.get(Sequence(7)), None);
        times.keep(Sequence(7), at(70));
        let other = Sequence(7 + KEPT_TIMES as u64);
        assert_eq!((times.get(Sequence(7)), times.get(other)), (Some(at(70)), None));
        times.clone().keep(other, at(80));
        assert_eq!((times.get(Sequence(7)), times.get(other)), (None, Some(at(80))));
    }
}
