//! The last duplicates, one by one: the counts say how many, these say which reader sends what again.
//!
//! They are in memory only and begin with the process: a duplicate makes no change, and what must outlive the process
//! are the counts.

use herd::position::Sequence;
use herd::query::{Page, PageLimit};
use herd::store::{Incoming, Receipt};
use service::remote::DuplicateView;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many are held; about 100 bytes each.
pub const RECENT_DUPLICATES: usize = 1_000;

/// A payload that was held already.
#[derive(Clone, Debug)]
struct Repeated {
    of: Sequence,
    channel: String,
    rssi_dbm: Option<i16>,
    received_at_us: i64,
}

/// The last [`RECENT_DUPLICATES`] of this process. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct RecentDuplicates {
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The oldest first.
    held: VecDeque<Repeated>,
    /// How many were let go: the number of the oldest is one more.
    gone: u64,
}

impl RecentDuplicates {
    /// Takes in the duplicates of one group, after its commit.
    pub(super) fn note(&self, group: &[Incoming], receipts: &[Receipt]) {
        if !receipts.iter().any(|receipt| matches!(receipt, Receipt::Duplicate { .. })) {
            return;
        }
        let mut ring = self.lock();
        for (payload, receipt) in group.iter().zip(receipts) {
            if let Receipt::Duplicate { of } = receipt {
                ring.push(payload, *of);
            }
        }
    }

    /// The latest first, from below the number `before`. Numbers count from 1 in each process.
    pub fn page(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        let ring = self.lock();
        let newest = ring.gone + ring.held.len() as u64;
        let mut number = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
        let mut data = Vec::new();
        while data.len() < limit.entries()
            && let Some(repeated) = ring.at(number)
        {
            data.push(repeated.view(number));
            number -= 1;
        }
        let next = data.last().map(|oldest| oldest.id).filter(|_| ring.at(number).is_some());
        Page { data, next }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, payload: &Incoming, of: Sequence) {
        if self.held.len() == RECENT_DUPLICATES {
            self.held.pop_front();
            self.gone += 1;
        }
        self.held.push_back(Repeated {
            of,
            channel: payload.origin.channel.clone(),
            rssi_dbm: payload.origin.rssi_dbm,
            received_at_us: payload.at.received_at_us,
        });
    }

    fn at(&self, number: u64) -> Option<&Repeated> {
        let index = number.checked_sub(self.gone + 1)?;
        self.held.get(usize::try_from(index).ok()?)
    }
}

impl Repeated {
    fn view(&self, number: u64) -> DuplicateView {
        DuplicateView::new(number, self.of, self.channel.clone(), self.rssi_dbm, self.received_at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::change::Origin;
    use herd::clock::RawReading;

    fn heard(times: u64) -> RecentDuplicates {
        let recent = RecentDuplicates::default();
        for n in 1..=times {
            let origin = Origin { channel: "gate".into(), rssi_dbm: Some(-80), ..Origin::default() };
            let payload = Incoming { raw: Vec::new(), origin, at: RawReading::default() };
            let group = [payload.clone(), payload];
            recent
                .note(&group, &[Receipt::Kept { sequence: Sequence(n) }, Receipt::Duplicate { of: Sequence(n + 10) }]);
        }
        recent
    }

    fn ids(page: &Page<DuplicateView>) -> Vec<u64> {
        page.data.iter().map(|duplicate| duplicate.id).collect()
    }

    #[test]
    fn duplicates_alone_are_told_the_latest_first_and_in_pages_that_meet() {
        let (recent, two) = (heard(5), PageLimit::new(2).unwrap());
        let first = recent.page(None, two);
        assert_eq!((ids(&first), first.next, first.data[0].of), (vec![5, 4], Some(4), Sequence(15)));
        let second = recent.page(first.next, two);
        assert_eq!((ids(&second), second.next), (vec![3, 2], Some(2)));
        let last = recent.page(second.next, two);
        assert_eq!((ids(&last), last.next), (vec![1], None));
        assert_eq!(ids(&recent.page(Some(u64::MAX), two)), [5, 4]);
        assert!(recent.page(Some(1), two).data.is_empty() && recent.page(Some(0), two).data.is_empty());
        assert_eq!(heard(0).page(None, two).data.len(), 0);
    }

    #[test]
    fn above_the_bound_the_oldest_are_let_go_and_the_numbers_go_on() {
        let held = RECENT_DUPLICATES as u64;
        let (recent, all) = (heard(held + 3), PageLimit::new(held).unwrap());
        let page = recent.page(None, all);
        assert_eq!((page.data.len(), page.next), (RECENT_DUPLICATES, None));
        assert_eq!((page.data[0].id, page.data[RECENT_DUPLICATES - 1].id), (held + 3, 4));
        assert_eq!(recent.page(Some(4), all).data.len(), 0);
    }
}
