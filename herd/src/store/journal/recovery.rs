//! Recovery: which records of the journal continue `log.redb`.
//!
//! Records lie in the order of generation and offset. Those whose changes `log.redb` holds were taken over; they stay in
//! a segment until it is used again. The others must continue the log, sequence by sequence and digest by digest.
//!
//! | found | verdict |
//! |---|---|
//! | blocks after the last record that hold no whole record | dropped: its commit did not end, so nobody was told |
//! | a record whose predecessor is missing | damage, named by the offset and the sequence that is missing |
//! | a record that does not follow by its digest | damage: `log.redb` or the journal was replaced |
//! | a record that was taken over, and `log.redb` has another digest there | damage of `log.redb`, or it was replaced |
//! | a record of another history | damage: one of the two files belongs to another directory |

use super::super::changes::Changes;
use super::super::error::{DamagedRow, StoreError};
use super::super::row::RowReader;
use super::record::Record;
use crate::position::{Digest, Position, Sequence};

/// Reason why a record is damage that others follow.
pub(super) const MISSING: &str = "it is damaged or missing, and later changes follow it";

/// Returns the changes that continue the log after `body`, the end of `log.redb`.
///
/// `digest_in_body` returns the chain digest of `log.redb` at a sequence that it holds.
pub(super) fn changes_after(
    mut records: Vec<Record>,
    segment_bytes: u64,
    body: &Position,
    digest_in_body: impl Fn(Sequence) -> Result<Option<Digest>, StoreError>,
) -> Result<Changes, StoreError> {
    records.sort_by_key(|record| (record.header.generation, record.offset));
    let mut changes = Changes::default();
    let mut end = (body.sequence, body.digest);
    let mut previous: Option<&Record> = None;
    let mut taken_over = None;
    for record in &records {
        let Record { offset, header, row, .. } = record;
        let damaged = |at, why| StoreError::DamagedJournal { offset: *offset, at, why };
        if header.store != body.store {
            return Err(StoreError::ForeignJournal { journal: header.store, log: body.store });
        }
        let row = RowReader::new(header.first, row).filter(numbers_its_changes);
        let row = row.ok_or(damaged(header.first, "its row has an invalid header"))?;
        if !row.is_intact() {
            return Err(damaged(header.first, "its digest does not match its changes"));
        }
        let after = row.after;
        if row.last() <= body.sequence {
            taken_over = Some((row.last(), after));
        } else if header.first > end.0.next() {
            return Err(StoreError::DamagedJournal {
                offset: missing_offset(previous, record, segment_bytes),
                at: end.0.next(),
                why: MISSING,
            });
        } else if row.digest_at(end.0) == Some(end.1) {
            let new = row.changes().filter(|(sequence, _)| *sequence > end.0);
            new.filter_map(|(_, change)| change).for_each(|change| changes.push(change));
            end = (row.last(), after);
        } else {
            return Err(damaged(end.0.next(), "it does not continue log.redb: one of the two files was replaced"));
        }
        previous = Some(record);
    }
    if let Some((at, after)) = taken_over
        && digest_in_body(at)? != Some(after)
    {
        return Err(StoreError::DamagedLog {
            row: DamagedRow::at(at),
            why: "log.journal has another digest for it, so one of the two was replaced",
        });
    }
    Ok(changes)
}

/// Checks that a row begins at a change and that its last sequence is a number.
fn numbers_its_changes(row: &RowReader<'_>) -> bool {
    row.first > Sequence::ZERO && row.first.0.checked_add(row.count).is_some()
}

/// Returns the offset of what is missing between two records.
fn missing_offset(previous: Option<&Record>, next: &Record, segment_bytes: u64) -> u64 {
    match previous {
        Some(previous) if previous.header.generation == next.header.generation => previous.end,
        // The use of the segment begins with what is missing, or the end of the use before it is missing.
        _ => next.offset - next.offset % segment_bytes.max(1),
    }
}
