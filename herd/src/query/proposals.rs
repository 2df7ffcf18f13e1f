//! Proposals that only a person can decide about.
//!
//! # Decisions
//!
//! - **The barn proposes a new reader era but never starts one.** Readers that were replaced count from 1 again, so
//!   their event ids collide with old ones. A few collisions may also come from a faulty reader, and a wrong era would
//!   let old events in a second time.

use super::QueryError;
use super::counters::CounterCursor;
use crate::fold::{KeyRange, Rows, decode};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{Collisions, ReaderEra, Table};
use serde::{Deserialize, Serialize};

/// Number of event ids reused with other content after which a reader was probably replaced.
pub const MIN_PROPOSAL_COLLISIONS: u64 = 5;
/// Maximum number of reader eras that are read. A yard has a handful.
const MAX_ERAS_READ: usize = 1_000;

/// Proposal of a new era for readers that seem to count from 1 again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderEraProposal {
    /// Readers that share event ids and lids.
    pub reader_group: String,
    /// Their current era.
    pub reader_era: u32,
    /// Number of event ids in that era that were reused with other content.
    pub collisions: u64,
    /// Latest payload with a reused event id.
    pub last: Sequence,
    /// Sentence for people, with the action to take.
    pub text: String,
}

impl Snapshot {
    /// Returns the reader groups for which a new era is proposed.
    pub fn reader_era_proposals(&self) -> Result<Vec<ReaderEraProposal>, QueryError> {
        let range = KeyRange { from: &[], to: None, backwards: false, limit: MAX_ERAS_READ };
        let mut proposals = Vec::new();
        for (key, value) in self.range(Table::Collisions, range)? {
            let Collisions { count, last } = decode(&key, &value)?;
            let (reader_group, reader_era) = CounterCursor::from_key(Table::Collisions, &key)?.reader();
            let current = self.read::<ReaderEra>(&reader_group.as_str().into())?.map_or(1, |era| era.0);
            if count >= MIN_PROPOSAL_COLLISIONS && reader_era == current {
                let text = format!(
                    "readers {reader_group} reused {count} event ids with other content: if a reader was replaced or \
                     reset, start a new reader era"
                );
                proposals.push(ReaderEraProposal { reader_group, reader_era, collisions: count, last, text });
            }
        }
        Ok(proposals)
    }
}
