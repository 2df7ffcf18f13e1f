//! Compares the index of readmissions with the log.
//!
//! # Decisions
//!
//! - **Each row is compared, not only their sum.** Nobody else checks these rows: the fold digest does not cover an index, so an
//!   office and its barn do not notice that one of them differs. Without a row, its payload comes back a second time.
//! - **Only the part of the log that has payloads which came back is read again.** Most logs have none.

use super::super::tables::FileReader;
use super::{Log, REFOLD_BYTES, REFOLD_CHANGES, SCAN_ROWS, TablesVerdict, VerifyError};
use crate::change::{Change, ChangeKind};
use crate::fold::{KeyRange, RowsError};
use crate::position::{Digest, Sequence};
use crate::tables::{Key, ReadmittedPayload, Table, after_key, digest_key};

/// Version of the body of a Received change that tells a former place.
const READMITTED: u8 = 2;

/// Returns whether a change holds a payload that came back.
pub(super) fn is_readmission(change: &[u8]) -> bool {
    change.starts_with(&[ChangeKind::Received as u8, READMITTED])
}

/// The index of readmissions, and the log that it is made of.
pub(super) struct ReadmissionIndex<'a> {
    pub(super) log: &'a Log,
    pub(super) rows: &'a FileReader,
    /// The last change in the rows.
    pub(super) folded: Sequence,
}

impl ReadmissionIndex<'_> {
    /// Compares the rows with the changes from `first` on. Before it, the log has no payload that came back.
    pub(super) fn verify(&self, first: Sequence) -> Result<Option<TablesVerdict>, VerifyError> {
        let (mut after, mut count) = (Sequence(first.0.saturating_sub(1)), 0);
        while after < self.folded {
            let limit = usize::try_from(self.folded.0 - after.0).unwrap_or(usize::MAX).min(REFOLD_CHANGES);
            let (changes, _) = self.log.reader()?.changes_after(after, limit, REFOLD_BYTES)?;
            for (sequence, change) in changes.numbered(after).filter(|(_, change)| is_readmission(change)) {
                let Some(former) = former_place(change) else { continue };
                match self.look_up(&former) {
                    Ok(Some(row)) if row == sequence => count += 1,
                    Ok(Some(later)) if later > sequence && self.has_readmitted(later, &former.0)? => {}
                    Ok(row) => return Ok(Some(self.other(&former.0, Some(sequence), row))),
                    Err(error) => return Ok(Some(unreadable(&error))),
                }
            }
            if changes.is_empty() {
                return Err(VerifyError::Gap { after });
            }
            after = Sequence(after.0 + changes.len() as u64);
        }
        self.find_extra(count)
    }

    /// Looks for a row that no change has made, unless there are as many rows as there should be.
    fn find_extra(&self, expected: u64) -> Result<Option<TablesVerdict>, VerifyError> {
        let (mut count, mut extra) = (0, None);
        let scanned = self.each_row(|key, value| {
            count += 1;
            if count > expected && extra.is_none() {
                extra = Some((key.to_vec(), value.to_vec()));
            }
        });
        match scanned {
            Err(error) => Ok(Some(unreadable(&error))),
            Ok(()) if extra.is_none() => Ok(None),
            Ok(()) => self.name_extra(),
        }
    }

    /// Returns the verdict about the first row that no change has made.
    fn name_extra(&self) -> Result<Option<TablesVerdict>, VerifyError> {
        let (mut verdict, mut failure) = (None, None);
        let scanned = self.each_row(|key, value| {
            if verdict.is_some() || failure.is_some() {
                return;
            }
            let named = sequence_in(value);
            match named.map_or(Ok(false), |sequence| self.has_readmitted(sequence, key)) {
                Ok(true) => {}
                Ok(false) => verdict = Some(self.other(key, None, named)),
                Err(error) => failure = Some(error),
            }
        });
        match (scanned, failure) {
            (_, Some(error)) => Err(error),
            (Err(error), None) => Ok(Some(unreadable(&error))),
            (Ok(()), None) => Ok(verdict),
        }
    }

    fn each_row(&self, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), RowsError> {
        let mut from = Key::new();
        loop {
            let range = KeyRange { from: &from, to: None, backwards: false, limit: SCAN_ROWS };
            let found = self.rows.range(Table::Readmissions, range)?;
            for (key, value) in &found {
                each(key, value);
            }
            match found.last() {
                Some((last, _)) if found.len() == SCAN_ROWS => from = after_key(last),
                _ => return Ok(()),
            }
        }
    }

    /// Returns the change that the row of a former place names.
    fn look_up(&self, former: &Digest) -> Result<Option<Sequence>, RowsError> {
        let (from, to) = (digest_key(former), after_key(&digest_key(former)));
        let range = KeyRange { from: &from, to: Some(&to), backwards: false, limit: 1 };
        let found = self.rows.range(Table::Readmissions, range)?;
        Ok(found.first().and_then(|(_, value)| sequence_in(value)))
    }

    /// Returns whether a change that is in the rows brought the payload of a former place back.
    fn has_readmitted(&self, sequence: Sequence, former: &[u8]) -> Result<bool, VerifyError> {
        let Some(before) = sequence.0.checked_sub(1).filter(|_| sequence <= self.folded) else { return Ok(false) };
        let (changes, _) = self.log.reader()?.changes_after(Sequence(before), 1, REFOLD_BYTES)?;
        Ok(changes.get(0).and_then(former_place).is_some_and(|found| found.0 == former))
    }

    fn other(&self, former: &[u8], in_log: Option<Sequence>, in_tables: Option<Sequence>) -> TablesVerdict {
        TablesVerdict::OtherReadmission { folded: self.folded, former: hex::encode(former), in_log, in_tables }
    }
}

fn unreadable(error: &RowsError) -> TablesVerdict {
    TablesVerdict::Unreadable { why: error.to_string() }
}

fn sequence_in(value: &[u8]) -> Option<Sequence> {
    postcard::from_bytes(value).ok().map(|ReadmittedPayload(sequence)| sequence)
}

fn former_place(change: &[u8]) -> Option<Digest> {
    match Change::from_bytes(change).ok().filter(|_| is_readmission(change))? {
        Change::Received(received) => received.readmission.map(|former| former.digest),
        _ => None,
    }
}
