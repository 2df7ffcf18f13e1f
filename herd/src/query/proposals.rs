//! What the daemon proposes and only a person can decide.

use super::QueryError;
use super::counters::CounterCursor;
use crate::fold::{KeyRange, Rows, decode};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{Collisions, Table};
use serde::Serialize;

/// After so many event ids that came again with another content, a reader was probably replaced.
pub const MIN_PROPOSAL_COLLISIONS: u64 = 5;
/// So many reader eras are looked at; a yard has a handful.
const ERAS_LOOKED_AT: usize = 1_000;

/// Readers that count from 1 again, by the look of it: a new reader era is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReaderEraProposal {
    /// The readers that share the count.
    pub reader_group: String,
    /// Their present era.
    pub reader_era: u32,
    /// Event ids of it that came again with another content.
    pub collisions: u64,
    /// The payload that was the last of them.
    pub last: Sequence,
    /// As people say it, with what to do.
    pub text: String,
}

impl Snapshot {
    /// The reader groups for which a new era is proposed.
    pub fn reader_era_proposals(&self) -> Result<Vec<ReaderEraProposal>, QueryError> {
        let range = KeyRange { from: &[], to: None, backwards: false, limit: ERAS_LOOKED_AT };
        let mut proposals = Vec::new();
        for (key, value) in self.range(Table::Collisions, range)? {
            let Collisions { count, last } = decode(Table::Collisions, &key, &value)?;
            let (reader_group, reader_era) = CounterCursor::in_key(Table::Collisions, &key)?.reader();
            let present: u32 = self.read(Table::ReaderEras, reader_group.as_bytes())?.unwrap_or(1);
            if count >= MIN_PROPOSAL_COLLISIONS && reader_era == present {
                let text = format!(
                    "{count} event ids of readers {reader_group} came again with another content: if a reader was \
                     replaced or counts from 1 again, start a new reader era"
                );
                proposals.push(ReaderEraProposal { reader_group, reader_era, collisions: count, last, text });
            }
        }
        Ok(proposals)
    }
}
