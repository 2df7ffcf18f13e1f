//! What a page of a list costs at its beginning and at its end.

use crate::herd::{CROWDED, WATCHED, head_after, weighed_in};
use herd::change::{AnimalId, BatchId};
use herd::position::Sequence;
use herd::query::{GapCursor, HistoryCursor, PageLimit, PayloadFilter, PayloadStatus, QueryError};
use herd::store::{ReadCounts, Reader, Snapshot};
use std::time::{Duration, Instant};

/// Entries of a page: a multiple of twelve ends where a round of the herd ends, whatever the list leaves out.
const ENTRIES: u64 = 48;
/// So often a page is made before the middle one of the times is told.
const SAMPLES: usize = 101;

/// A page of a list from a place on; gives how many entries it had.
type Ask = fn(&Snapshot, Option<u64>, PageLimit) -> Result<usize, QueryError>;

/// A list, and where its last full page begins: in a herd of so many rounds, for so many entries.
pub(crate) struct List {
    pub(crate) name: &'static str,
    ask: Ask,
    last_page: fn(u64, u64) -> u64,
}

/// Those that are cut into pages by key.
pub(crate) const LISTS: [List; 10] = [
    List {
        name: "batches",
        ask: |of, before, limit| Ok(of.batches(before.map(BatchId), limit)?.data.len()),
        last_page: |_, entries| weighed_in(entries).0,
    },
    List {
        name: "open batches",
        ask: |of, before, limit| Ok(of.open_batches(before.map(BatchId), limit)?.data.len()),
        last_page: |_, entries| weighed_in(entries * 4).0,
    },
    List {
        name: "animals",
        ask: |of, after, limit| Ok(of.animals(after.map(AnimalId), limit)?.data.len()),
        last_page: |rounds, entries| weighed_in(rounds - entries / 2 - 1).0,
    },
    List {
        name: "members",
        ask: |of, after, limit| Ok(of.members(CROWDED, after.map(AnimalId), limit)?.data.len()),
        last_page: |rounds, entries| weighed_in(rounds - entries - 1).0,
    },
    List {
        name: "payloads",
        ask: |of, before, limit| Ok(of.payloads(before.map(Sequence), limit, PayloadFilter::All)?.data.len()),
        last_page: |_, entries| head_after(entries / 4) + 1,
    },
    List {
        name: "payloads that are events",
        ask: |of, before, limit| {
            let filter = PayloadFilter::Status(PayloadStatus::Processed);
            Ok(of.payloads(before.map(Sequence), limit, filter)?.data.len())
        },
        last_page: |_, entries| head_after(entries / 3) + 1,
    },
    List {
        name: "rejected payloads",
        ask: |of, before, limit| {
            let filter = PayloadFilter::Status(PayloadStatus::Error);
            Ok(of.payloads(before.map(Sequence), limit, filter)?.data.len())
        },
        last_page: |_, entries| head_after(entries) + 1,
    },
    List {
        name: "gaps",
        ask: |of, after, limit| {
            let place: Option<GapCursor> = after.map(|first| format!("main/1/hxbchi/{first}").parse()).transpose()?;
            Ok(of.gaps(place.as_ref(), limit)?.data.len())
        },
        // Round n leaves 3n + 2 to 3n + 3 unheard, but for the last one.
        last_page: |rounds, entries| (rounds - entries - 2) * 3 + 2,
    },
    List {
        name: "a history",
        ask: |of, from, limit| Ok(of.history(WATCHED, place(from)?, limit)?.unwrap().data.len()),
        last_page: |_, entries| weighed_in(entries - 1).0,
    },
    List {
        name: "weights",
        ask: |of, from, limit| Ok(of.weights(WATCHED, place(from)?, limit)?.unwrap().data.len()),
        last_page: |_, entries| weighed_in(entries - 1).0,
    },
];

fn place(from: Option<u64>) -> Result<Option<HistoryCursor>, QueryError> {
    from.map(|sequence| sequence.to_string().parse()).transpose()
}

impl List {
    /// The first and the last full page of a herd of so many rounds, and what was read for each.
    pub(crate) fn cost(&self, of: &Reader, rounds: u64) -> [ReadCounts; 2] {
        self.ends(rounds).map(|from| self.page(of, from))
    }

    /// The middle time of the first and of the last full page.
    pub(crate) fn times(&self, of: &Reader, rounds: u64) -> [Duration; 2] {
        self.ends(rounds).map(|from| {
            let mut samples: Vec<_> = (0..SAMPLES)
                .map(|_| {
                    let began = Instant::now();
                    self.page(of, from);
                    began.elapsed()
                })
                .collect();
            samples.sort_unstable();
            samples[SAMPLES / 2]
        })
    }

    /// Where the first and the last full page begin.
    fn ends(&self, rounds: u64) -> [Option<u64>; 2] {
        [None, Some((self.last_page)(rounds, ENTRIES))]
    }

    fn page(&self, of: &Reader, from: Option<u64>) -> ReadCounts {
        let snapshot = of.snapshot().unwrap();
        let entries = (self.ask)(&snapshot, from, PageLimit::new(ENTRIES).unwrap()).unwrap();
        assert_eq!(entries as u64, ENTRIES, "{} from {from:?}", self.name);
        snapshot.reads()
    }
}
