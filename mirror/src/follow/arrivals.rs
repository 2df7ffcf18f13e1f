//! Times at which changes arrived at this office.
//!
//! # Decisions
//!
//! - **The pages count the age of a read from its arrival here.** The barn's clock may be wrong by days, and then an age by
//!   that clock is, too. If the barn sent the change as it recorded it, both clocks show the same moment, and the pages can
//!   tell that they differ.
//! - **In memory, and only the latest.** After a restart the arrival of the last read is unknown. Then the pages show the
//!   barn's time and say that it is the barn's. A durable record was rejected: it would be one more write for every page of
//!   changes.

use herd::position::Sequence;
use std::collections::VecDeque;

/// Maximum number of arrivals that are kept. The last read is in the latest, unless corrections followed it.
pub const MAX_ARRIVALS: usize = 16;

/// The arrival of a page of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Last change of the page.
    pub through: Sequence,
    /// Time at which it was durable here, by this machine's clock, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// `true` if the barn sent the last change as soon as it had recorded it.
    pub is_live: bool,
}

/// The latest arrivals, in the order of their changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Last change before the first arrival that is kept.
    before: Sequence,
    kept: VecDeque<Arrival>,
}

impl Arrivals {
    /// Adds an arrival of this number of changes.
    pub fn add(&mut self, arrival: Arrival, changes: u64) {
        // Whatever lies between two arrivals, such as the changes of another copy, arrived at an unknown time.
        let before = Sequence(arrival.through.0.saturating_sub(changes));
        if self.kept.back().is_none_or(|last| last.through != before) {
            *self = Self { before, kept: VecDeque::new() };
        }
        if self.kept.len() >= MAX_ARRIVALS
            && let Some(oldest) = self.kept.pop_front()
        {
            self.before = oldest.through;
        }
        self.kept.push_back(arrival);
    }

    /// Returns the arrival of a change; `None` if it is unknown.
    pub fn of(&self, change: Sequence) -> Option<Arrival> {
        if change <= self.before {
            return None;
        }
        self.kept.iter().find(|arrival| arrival.through >= change).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(through: u64) -> Arrival {
        Arrival { through: Sequence(through), at_us: i64::try_from(through).unwrap() * 10, is_live: true }
    }

    fn arrivals(pages: &[(u64, u64)]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for (through, changes) in pages {
            arrivals.add(arrival(*through), *changes);
        }
        arrivals
    }

    /// Catches an age of a read that was here before the process started.
    #[test]
    fn a_change_arrived_with_its_page_and_earlier_ones_at_an_unknown_time() {
        let arrivals = arrivals(&[(12, 2), (13, 1), (20, 7)]);
        assert_eq!(arrivals.of(Sequence(10)), None);
        assert_eq!(arrivals.of(Sequence(11)), Some(arrival(12)));
        assert_eq!(arrivals.of(Sequence(13)), Some(arrival(13)));
        assert_eq!(arrivals.of(Sequence(14)), Some(arrival(20)));
        assert_eq!(arrivals.of(Sequence(21)), None);
        assert_eq!(Arrivals::default().of(Sequence(1)), None);
    }

    /// Catches memory that grows with the reads, and an old change that takes the time of a later page.
    #[test]
    fn only_the_latest_are_kept() {
        let pages: Vec<_> = (1..=MAX_ARRIVALS as u64 + 3).map(|through| (through, 1)).collect();
        let arrivals = arrivals(&pages);
        assert_eq!((arrivals.kept.len(), arrivals.of(Sequence(3))), (MAX_ARRIVALS, None));
        assert_eq!(arrivals.of(Sequence(4)), Some(arrival(4)));
    }

    /// Catches changes of another copy that take the time of the page after them.
    #[test]
    fn a_gap_between_two_arrivals_forgets_the_earlier_ones() {
        let arrivals = arrivals(&[(12, 2), (30, 5)]);
        assert_eq!((arrivals.of(Sequence(12)), arrivals.of(Sequence(25))), (None, None));
        assert_eq!(arrivals.of(Sequence(26)), Some(arrival(30)));
    }
}
