//! The latest duplicates, one by one: they show which reader repeats which payload.
//!
//! Decision: the last 1,000 duplicates stay in memory and start empty with the process; only their counts are written
//! to `local.redb`. A duplicate makes no change. Writing each one would cost the disk exactly the writes that the repeat
//! window saves.

use herd::position::Sequence;
use herd::query::{Page, PageLimit};
use herd::store::{Incoming, Receipt};
use service::remote::DuplicateView;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of duplicates in memory, of about 100 bytes each.
pub const RECENT_DUPLICATES: usize = 1_000;

/// A payload that was already in the log.
#[derive(Clone, Debug)]
struct Duplicate {
    /// The change that the payload repeats.
    of: Sequence,
    channel: String,
    rssi_dbm: Option<i16>,
    received_at_us: i64,
}

/// The last [`RECENT_DUPLICATES`] of this process. Clones share the same buffer.
#[derive(Clone, Debug, Default)]
pub struct RecentDuplicates {
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Oldest first.
    entries: VecDeque<Duplicate>,
    /// Number of entries that were evicted; the number of the oldest entry is one more.
    evicted: u64,
}

impl RecentDuplicates {
    /// Adds the duplicates of one group. To be called after the commit of the group.
    pub(super) fn add(&self, group: &[Incoming], receipts: &[Receipt]) {
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

    /// Returns a page, latest first, of the duplicates numbered below `before`. Numbers count from 1 in each process.
    pub fn page(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        let ring = self.lock();
        let newest = ring.evicted + ring.entries.len() as u64;
        let mut number = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
        let mut data = Vec::new();
        while data.len() < limit.entries()
            && let Some(duplicate) = ring.get(number)
        {
            data.push(duplicate.view(number));
            number -= 1;
        }
        let next = data.last().map(|oldest| oldest.id).filter(|_| ring.get(number).is_some());
        Page { data, next }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, payload: &Incoming, of: Sequence) {
        if self.entries.len() == RECENT_DUPLICATES {
            self.entries.pop_front();
            self.evicted += 1;
        }
        self.entries.push_back(Duplicate {
            of,
            channel: payload.origin.channel.to_string(),
            rssi_dbm: payload.origin.rssi_dbm,
            received_at_us: payload.at.received_at_us,
        });
    }

    fn get(&self, number: u64) -> Option<&Duplicate> {
        let index = number.checked_sub(self.evicted + 1)?;
        self.entries.get(usize::try_from(index).ok()?)
    }
}

impl Duplicate {
    fn view(&self, number: u64) -> DuplicateView {
        DuplicateView::new(number, self.of, self.channel.clone(), self.rssi_dbm, self.received_at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::change::Origin;
    use herd::clock::RawReading;

    /// Adds `count` groups of one new payload and one duplicate of it.
    fn with_duplicates(count: u64) -> RecentDuplicates {
        let recent = RecentDuplicates::default();
        for n in 1..=count {
            let origin = Origin { channel: "gate".into(), rssi_dbm: Some(-80), ..Origin::default() };
            let payload = Incoming { raw: Vec::new(), origin, at: RawReading::default() };
            let group = [payload.clone(), payload];
            let receipts = [Receipt::Kept { sequence: Sequence(n) }, Receipt::Duplicate { of: Sequence(n + 10) }];
            recent.add(&group, &receipts);
        }
        recent
    }

    fn ids(page: &Page<DuplicateView>) -> Vec<u64> {
        page.data.iter().map(|duplicate| duplicate.id).collect()
    }

    /// Catches new payloads among the duplicates, and a page that skips or repeats an entry.
    #[test]
    fn pages_list_only_duplicates_latest_first_without_gaps() {
        let (recent, two) = (with_duplicates(5), PageLimit::new(2).unwrap());
        let first = recent.page(None, two);
        assert_eq!((ids(&first), first.next, first.data[0].of), (vec![5, 4], Some(4), Sequence(15)));
        let second = recent.page(first.next, two);
        assert_eq!((ids(&second), second.next), (vec![3, 2], Some(2)));
        let last = recent.page(second.next, two);
        assert_eq!((ids(&last), last.next), (vec![1], None));
        assert_eq!(ids(&recent.page(Some(u64::MAX), two)), [5, 4]);
        assert!(recent.page(Some(1), two).data.is_empty() && recent.page(Some(0), two).data.is_empty());
        assert_eq!(with_duplicates(0).page(None, two).data.len(), 0);
    }

    #[test]
    fn a_full_buffer_evicts_the_oldest_and_keeps_counting() {
        let capacity = RECENT_DUPLICATES as u64;
        let (recent, all) = (with_duplicates(capacity + 3), PageLimit::new(capacity).unwrap());
        let page = recent.page(None, all);
        assert_eq!((page.data.len(), page.next), (RECENT_DUPLICATES, None));
        assert_eq!((page.data[0].id, page.data[RECENT_DUPLICATES - 1].id), (capacity + 3, 4));
        assert_eq!(recent.page(Some(4), all).data.len(), 0);
    }
}
