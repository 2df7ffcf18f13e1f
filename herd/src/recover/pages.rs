//! Finds pages in the bytes of a backup.
//!
//! # Decisions
//!
//! - **A blob counts only if its digest matches.** A payload may contain the header of one, and its length would hide the pages
//!   behind it.
//! - **The start of a backup counts only at the start of the file, or behind a whole blob.** A payload may contain a whole one,
//!   and would give the file to another barn.
//! - **A false header costs a bounded time.** A damaged page may contain a hundred thousand of them, each of which announces
//!   megabytes. Those that another blob follows, as in a whole backup, have a bound of their own. Behind a whole blob, the
//!   next one is looked at in any case.

use super::pieces::{Form, MAX_EMBEDDED_BYTES, OpenPiece, Piece, Pieces, Place, Proof, Source};
use super::window::{Bytes, HashBudget, REPORT_BYTES, Window};
use super::{OnProgress, RecoverError, RecoverProgress};
use crate::position::{Epoch, StoreId};
use crate::store::ChangeRun;
use crate::wire::{BackupStart, BlobKind, Page, blob_kind, blob_length, from_blob};

/// First bytes of a blob.
const SIGN: &[u8] = b"HERDLINX";
/// Number of bytes that are looked at in one step.
const STEP_BYTES: usize = 64 * 1024;
/// Length of a blob's header.
const HEADER_BYTES: usize = 14;
/// Length of the digest at the end of a blob.
const DIGEST_BYTES: usize = 32;

/// Facts about a backup besides its pages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FoundPages {
    /// The history that it is of, if a page or the start names one.
    pub(super) store: Option<StoreId>,
    /// Epoch at the end of the backup, as its start states it.
    pub(super) stated: Epoch,
    /// The file begins with a whole blob: it is a backup.
    pub(super) is_backup: bool,
    /// Bytes that the medium did not return.
    pub(super) unreadable: u64,
}

/// Adds the pages of a backup to `pieces`.
pub(super) fn find_pages(
    from: &dyn Bytes,
    pieces: &mut Pieces,
    progress: &mut OnProgress<'_>,
) -> Result<FoundPages, RecoverError> {
    let window = Window::over(from).map_err(RecoverError::Read)?;
    let found = FoundPages::default();
    let budgets = [HashBudget::for_file(window.length()); 2];
    let (mut scan, mut offset) = (Scan { window, pieces, found, budgets, follows_blob: true }, 0);
    let of = scan.window.length();
    while offset < of {
        let next = scan.step(offset)?;
        if next / REPORT_BYTES > offset / REPORT_BYTES || next >= of {
            progress(RecoverProgress::Reading { done: next.min(of), of });
        }
        offset = next;
    }
    Ok(FoundPages { unreadable: scan.window.unreadable, ..scan.found })
}

struct Scan<'a> {
    window: Window<'a>,
    pieces: &'a mut Pieces,
    found: FoundPages,
    /// For headers that another one follows, and for those that none follows.
    budgets: [HashBudget; 2],
    /// A whole blob ends here, or the file begins: what is here is no part of a blob.
    follows_blob: bool,
}

impl Scan<'_> {
    /// Looks for the next blob in the next few bytes, and returns the offset to go on at.
    fn step(&mut self, offset: u64) -> Result<u64, RecoverError> {
        let bytes = self.window.at(offset, STEP_BYTES + SIGN.len() - 1);
        let Some(at) = bytes.windows(SIGN.len()).position(|bytes| bytes == SIGN) else {
            self.follows_blob = false;
            return Ok(offset + STEP_BYTES as u64);
        };
        self.follows_blob &= at == 0;
        let offset = offset + at as u64;
        let end = self.take(offset)?;
        self.found.is_backup |= offset == 0 && end.is_some();
        self.follows_blob = end.is_some();
        Ok(end.unwrap_or(offset + 1))
    }

    /// Takes the blob at an offset, if it is whole, and returns the offset after it.
    fn take(&mut self, offset: u64) -> Result<Option<u64>, RecoverError> {
        let header = self.window.at(offset, HEADER_BYTES);
        let Ok(Some(length)) = blob_length(header) else { return Ok(None) };
        if !self.is_whole(offset, length) {
            return Ok(None);
        }
        let (end, blob) = (Some(offset + length as u64), self.window.at(offset, length));
        match blob_kind(blob) {
            Ok(BlobKind::Page) => {
                let Ok(page) = from_blob::<Page>(blob) else { return Ok(None) };
                let is_true = self.take_page(page, offset, length)?;
                Ok(end.filter(|_| is_true))
            }
            Ok(BlobKind::BackupStart) => {
                let start = from_blob::<BackupStart>(blob).ok();
                if let Some(start) = start.filter(|_| self.follows_blob) {
                    self.note_store(start.end.store)?;
                    self.found.stated = self.found.stated.max(start.end.epoch);
                }
                Ok(end)
            }
            // An end, what an export has besides pages, or what a later program adds.
            _ => Ok(end),
        }
    }

    /// Returns whether the blob of this length is there, and has its digest.
    fn is_whole(&mut self, offset: u64, length: usize) -> bool {
        let has_next = self.window.has_at(offset.saturating_add(length as u64), SIGN);
        let budget = &mut self.budgets[usize::from(has_next)];
        if !self.follows_blob && budget.is_spent() {
            return false;
        }
        let blob = self.window.at(offset, length);
        let digest = blob.len().checked_sub(DIGEST_BYTES).filter(|_| blob.len() == length);
        let Some((signed, digest)) = digest.and_then(|end| blob.split_at_checked(end)) else { return false };
        let is_whole = blake3::hash(signed).as_bytes() == digest;
        if !is_whole {
            budget.spend(length);
        }
        is_whole
    }

    /// Takes a page whose changes lead to the position that it names. Returns whether they do.
    fn take_page(&mut self, page: Page, offset: u64, length: usize) -> Result<bool, RecoverError> {
        let stated = page.into_run();
        let run = ChangeRun::following(stated.after, stated.changes);
        let count = u32::try_from(run.changes.len()).unwrap_or(u32::MAX);
        if (run.end.sequence, run.end.digest) != (stated.end.sequence, stated.end.digest)
            || run.changes.iter().any(<[u8]>::is_empty)
            || count == 0
            || run.after.sequence.0.checked_add(u64::from(count)).is_none()
        {
            return Ok(false);
        }
        let (first, before, after) = (run.after.sequence.next().0, run.after.digest, run.end.digest);
        let bytes = u32::try_from(length).unwrap_or(u32::MAX);
        let place = Place { offset, bytes, source: Source::Given, form: Form::Page };
        let stated = run.after.epoch;
        if self.follows_blob || length > MAX_EMBEDDED_BYTES {
            self.note_store(run.after.store)?;
            self.pieces.push(Piece { first, count, before, after, place, stated, proof: Proof::Certain })?;
        } else {
            let (is_doubtful, is_announced) = (true, false);
            let open = OpenPiece { first: Some(first), count, before, after, place, stated, is_doubtful, is_announced };
            self.pieces.push_open(open);
        }
        Ok(true)
    }

    fn note_store(&mut self, found: StoreId) -> Result<(), RecoverError> {
        match self.found.store {
            Some(store) if store != found => Err(RecoverError::TwoHistories { first: store, second: found }),
            _ => {
                self.found.store = Some(found);
                Ok(())
            }
        }
    }
}
