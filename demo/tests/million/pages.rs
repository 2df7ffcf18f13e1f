//! Cost of a page at the beginning and at the end of each list.

use crate::herd::{CROWDED, WATCHED, head_after, weighed_in};
use herd::change::{AnimalId, BatchId};
use herd::position::Sequence;
use herd::query::{GapCursor, HistoryCursor, PageLimit, PayloadFilter, PayloadStatus, QueryError};
use herd::store::{ReadCounts, Reader, Snapshot};
use std::time::{Duration, Instant};

/// Entries in a page. A page with a multiple of twelve ends with a round of the herd, whatever the list leaves out.
const ENTRIES: u64 = 48;
/// Times of a page of which the median is reported.
const SAMPLES: usize = 101;

/// Queries a page of a list from a cursor on, and returns its number of entries.
type PageQuery = fn(&Snapshot, Option<u64>, PageLimit) -> Result<usize, QueryError>;

/// A list. `last_page` returns the cursor of its last full page for a number of rounds and a number of entries.
pub(crate) struct List {
    pub(crate) name: &'static str,
    query: PageQuery,
    last_page: fn(u64, u64) -> u64,
}

/// All lists that are paged by key.
pub(crate) const LISTS: [List; 10] = [
    List {
        name: "batches",
        query: |of, before, limit| Ok(of.batches(before.map(BatchId), limit)?.data.len()),
        last_page: |_, entries| weighed_in(entries).0,
    },
    List {
        name: "open batches",
        query: |of, before, limit| Ok(of.open_batches(before.map(BatchId), limit)?.data.len()),
        last_page: |_, entries| weighed_in(entries * 4).0,
    },
    List {
        name: "animals",
        query: |of, after, limit| Ok(of.animals(after.map(AnimalId), limit)?.data.len()),
        last_page: |rounds, entries| weighed_in(rounds - entries / 2 - 1).0,
    },
    List {
        name: "members",
        query: |of, after, limit| Ok(of.members(CROWDED, after.map(AnimalId), limit)?.data.len()),
        last_page: |rounds, entries| weighed_in(rounds - entries - 1).0,
    },
    List {
        name: "payloads",
        query: |of, before, limit| Ok(of.payloads(before.map(Sequence), limit, PayloadFilter::All)?.data.len()),
        last_page: |_, entries| head_after(entries / 4) + 1,
    },
    List {
        name: "payloads that are events",
        query: |of, before, limit| {
            let filter = PayloadFilter::Status(PayloadStatus::Processed);
            Ok(of.payloads(before.map(Sequence), limit, filter)?.data.len())
        },
        last_page: |_, entries| head_after(entries / 3) + 1,
    },
    List {
        name: "rejected payloads",
        query: |of, before, limit| {
            let filter = PayloadFilter::Status(PayloadStatus::Error);
            Ok(of.payloads(before.map(Sequence), limit, filter)?.data.len())
        },
        last_page: |_, entries| head_after(entries) + 1,
    },
    List {
        name: "gaps",
        query: |of, after, limit| {
            let cursor: Option<GapCursor> = after.map(|first| format!("main/1/hxbchi/{first}").parse()).transpose()?;
            Ok(of.gaps(cursor.as_ref(), limit)?.data.len())
        },
        // Round n leaves the gap from 3n + 2 to 3n + 3, except the last round.
        last_page: |rounds, entries| (rounds - entries - 2) * 3 + 2,
    },
    List {
        name: "a history",
        query: |of, from, limit| Ok(of.history(WATCHED, history_cursor(from)?, limit)?.unwrap().data.len()),
        last_page: |_, entries| weighed_in(entries - 1).0,
    },
    List {
        name: "weights",
        query: |of, from, limit| Ok(of.weights(WATCHED, history_cursor(from)?, limit)?.unwrap().data.len()),
        last_page: |_, entries| weighed_in(entries - 1).0,
    },
];

fn history_cursor(from: Option<u64>) -> Result<Option<HistoryCursor>, QueryError> {
    from.map(|sequence| sequence.to_string().parse()).transpose()
}

impl List {
    /// Returns the reads of the first and of the last full page in a herd of this many rounds.
    pub(crate) fn cost(&self, of: &Reader, rounds: u64) -> [ReadCounts; 2] {
        self.ends(rounds).map(|from| self.page(of, from))
    }

    /// Returns the median time of the first and of the last full page.
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

    /// Returns the cursors of the first and of the last full page.
    fn ends(&self, rounds: u64) -> [Option<u64>; 2] {
        [None, Some((self.last_page)(rounds, ENTRIES))]
    }

    fn page(&self, of: &Reader, from: Option<u64>) -> ReadCounts {
        let snapshot = of.snapshot().unwrap();
        let entries = (self.query)(&snapshot, from, PageLimit::new(ENTRIES).unwrap()).unwrap();
        assert_eq!(entries as u64, ENTRIES, "{} from {from:?}", self.name);
        snapshot.reads()
    }
}
