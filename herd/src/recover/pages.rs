//! Finds pages in the bytes of a backup.

use super::pieces::{Form, MAX_EMBEDDED_BYTES, OpenPiece, Piece, Pieces, Place, Source};
use super::window::{Bytes, REPORT_BYTES, Window};
use super::{OnProgress, RecoverError, RecoverProgress};
use crate::position::StoreId;
use crate::store::ChangeRun;
use crate::wire::{BackupStart, BlobKind, MAX_BLOB_BYTES, Page, blob_kind, blob_length, from_blob};

/// First bytes of a blob.
const SIGN: &[u8] = b"HERDLINX";
/// Number of bytes that are looked at in one step.
const STEP_BYTES: usize = 64 * 1024;
/// Length of a blob's header.
const HEADER_BYTES: usize = 14;
/// Length of the digest at the end of a blob.
const DIGEST_BYTES: usize = 32;

/// Adds the pages of a backup to `pieces`. Returns the history that it is of, if a page or the start names one, and the number
/// of bytes that the medium did not return.
pub(super) fn find_pages(
    from: &dyn Bytes,
    pieces: &mut Pieces,
    progress: &mut OnProgress<'_>,
) -> Result<(Option<StoreId>, u64), RecoverError> {
    let window = Window::over(from).map_err(RecoverError::Read)?;
    let (mut scan, mut offset) = (Scan { window, pieces, store: None, follows_blob: true }, 0);
    let of = scan.window.length();
    while offset < of {
        let next = scan.step(offset)?;
        if next / REPORT_BYTES > offset / REPORT_BYTES || next >= of {
            progress(RecoverProgress::Reading { done: next.min(of), of });
        }
        offset = next;
    }
    Ok((scan.store, scan.window.unreadable))
}

struct Scan<'a> {
    window: Window<'a>,
    pieces: &'a mut Pieces,
    store: Option<StoreId>,
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
        self.follows_blob = end.is_some();
        Ok(end.unwrap_or(offset + 1))
    }

    /// Takes the blob at an offset, if it is whole, and returns the offset after it.
    fn take(&mut self, offset: u64) -> Result<Option<u64>, RecoverError> {
        let header = self.window.at(offset, HEADER_BYTES);
        let Ok(Some(length)) = blob_length(header) else { return Ok(None) };
        if length > HEADER_BYTES + MAX_BLOB_BYTES + DIGEST_BYTES {
            return Ok(None);
        }
        let blob = self.window.at(offset, length);
        let (start, page) = match blob_kind(blob) {
            Ok(BlobKind::Page) => (None, from_blob::<Page>(blob).ok()),
            Ok(BlobKind::BackupStart) => (from_blob::<BackupStart>(blob).ok(), None),
            // An end, or what an export has besides pages. Its digest is not looked at: nothing is taken from it.
            Ok(_) if blob.len() == length => return Ok(Some(offset + length as u64)),
            _ => (None, None),
        };
        if let Some(start) = start {
            self.note_store(start.end.store)?;
            return Ok(Some(offset + length as u64));
        }
        match page {
            Some(page) => Ok(self.take_page(page, offset, length)?.then_some(offset + length as u64)),
            None => Ok(None),
        }
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
        if self.follows_blob || length > MAX_EMBEDDED_BYTES {
            self.note_store(run.after.store)?;
            self.pieces.push(Piece { first, count, before, after, place })?;
        } else {
            let (is_doubtful, is_announced) = (true, false);
            let open = OpenPiece { first: Some(first), count, before, after, place, is_doubtful, is_announced };
            self.pieces.push_open(open)?;
        }
        Ok(true)
    }

    fn note_store(&mut self, found: StoreId) -> Result<(), RecoverError> {
        match self.store {
            Some(store) if store != found => Err(RecoverError::TwoHistories { first: store, second: found }),
            _ => {
                self.store = Some(found);
                Ok(())
            }
        }
    }
}
