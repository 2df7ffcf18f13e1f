//! Runs of changes on their way from the log to the tables.

use super::super::Changes;
use super::super::log::RowEnd;
use crate::change::{Change, ChangeError};
use crate::position::{Digest, Position, Sequence};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Consecutive changes that are folded at once, a part of a commit.
#[derive(Debug)]
pub(in super::super) struct Run {
    commit: Arc<Changes>,
    part: Range<usize>,
    /// The last change.
    pub(super) last: Sequence,
    /// The digest of the chain after it.
    pub(super) digest: Digest,
    /// Filled by whichever thread has the time.
    decoded: OnceLock<DecodedRun>,
}

/// The changes of a run, decoded.
#[derive(Debug)]
pub(super) struct DecodedRun {
    /// The changes up to the first one that this program cannot decode.
    pub(super) changes: Vec<Change>,
    /// Why that one cannot be decoded.
    pub(super) blocked: Option<ChangeError>,
}

/// Size of a run, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunSize {
    pub(super) changes: u64,
    pub(super) bytes: usize,
}

impl RunSize {
    pub(super) fn of(runs: &[Run]) -> Self {
        let add = |sum: Self, run: &Run| {
            let Self { changes, bytes } = run.size();
            Self { changes: sum.changes + changes, bytes: sum.bytes + bytes }
        };
        runs.iter().fold(Self::default(), add)
    }
}

impl Run {
    /// Makes one run of a whole commit that ends at `end`.
    pub(in super::super) fn whole(commit: Changes, end: &Position) -> Self {
        let part = 0..commit.len();
        Self { commit: Arc::new(commit), part, last: end.sequence, digest: end.digest, decoded: OnceLock::new() }
    }

    /// Splits a commit into a run for each of its rows in the log.
    ///
    /// After each run, its rows of tables may be dropped from memory. After a page of 10,000 changes they would be many.
    pub(in super::super) fn split(commit: Changes, rows: impl Iterator<Item = RowEnd>) -> Vec<Self> {
        let (commit, mut start) = (Arc::new(commit), 0);
        let run = |RowEnd { changes, last, digest }| {
            let part = start..start + changes;
            start = part.end;
            Self { commit: commit.clone(), part, last, digest, decoded: OnceLock::new() }
        };
        rows.map(run).collect()
    }

    pub(super) fn size(&self) -> RunSize {
        RunSize { changes: self.part.len() as u64, bytes: self.changes().map(<[u8]>::len).sum() }
    }

    /// Iterates over the changes in order, as they are stored.
    pub(super) fn changes(&self) -> impl Iterator<Item = &[u8]> {
        self.part.clone().filter_map(|index| self.commit.get(index))
    }

    /// Returns whether the changes are decoded.
    pub(super) fn is_decoded(&self) -> bool {
        self.decoded.get().is_some()
    }

    /// Decodes the changes, so that the thread that folds them need not.
    pub(in super::super) fn decode(&self) {
        self.decoded();
    }

    /// Returns the changes, decoded. Decodes them, or waits for the thread that does so already.
    pub(super) fn decoded(&self) -> &DecodedRun {
        self.decoded.get_or_init(|| {
            let mut changes = Vec::with_capacity(self.part.len());
            for bytes in self.changes() {
                match Change::from_bytes(bytes) {
                    Ok(change) => changes.push(change),
                    Err(unreadable) => return DecodedRun { changes, blocked: Some(unreadable) },
                }
            }
            DecodedRun { changes, blocked: None }
        })
    }
}
