//! Finds rows in the bytes of `log.redb`, of a copy of it, or of the journal.

use super::pieces::{Form, MAX_EMBEDDED_BYTES, OpenPiece, Piece, Pieces, Place, Proof, Source};
use super::window::{Bytes, HashBudget, REPORT_BYTES, Window};
use super::{OnProgress, RecoverError, RecoverProgress};
use crate::position::{Epoch, Sequence, StoreId};
use crate::store::raw::{
    AnnouncedRow, MAX_ROW_BYTES, PAGE_BYTES, ROW_HEADER_BYTES, RawRow, announced_rows, may_begin_row, page_lengths,
};
use std::collections::VecDeque;
use std::ops::Range;

/// Number of bytes that are looked at in one step.
const STEP_BYTES: usize = PAGE_BYTES;
/// Number of bytes that a row is recognized by.
const SIGN_BYTES: usize = 5;

/// Announcements of the rows in a file.
pub(super) enum Announcements {
    /// They are in the pages of the file.
    Pages,
    /// They were in front of the rows, in the order of offsets. Only those of one history count, if it is known.
    Known(Vec<AnnouncedRow>, Option<StoreId>),
}

/// Adds the rows of a file to `pieces`. Returns the number of bytes that the medium did not return.
pub(super) fn find_rows(
    from: &dyn Bytes,
    source: Source,
    announcements: Announcements,
    pieces: &mut Pieces,
    progress: &mut OnProgress<'_>,
) -> Result<u64, RecoverError> {
    let window = Window::over(from).map_err(RecoverError::Read)?;
    let (announced, store, has_pages) = match announcements {
        Announcements::Pages => (VecDeque::new(), None, true),
        Announcements::Known(rows, store) => (rows.into(), store, false),
    };
    let budget = HashBudget::for_file(window.length());
    let mut scan =
        Scan { window, source, announced, store, has_pages, pieces, next: 1, doubtful_until: 0, free: 0..0, budget };
    let (mut offset, of) = (0, scan.window.length());
    while offset < of {
        let next = scan.step(offset)?;
        if next / REPORT_BYTES > offset / REPORT_BYTES || next >= of {
            progress(RecoverProgress::Reading { done: next.min(of), of });
        }
        offset = next;
    }
    Ok(scan.window.unreadable)
}

struct Scan<'a> {
    window: Window<'a>,
    source: Source,
    /// Rows that were announced and not come to yet.
    announced: VecDeque<AnnouncedRow>,
    store: Option<StoreId>,
    has_pages: bool,
    pieces: &'a mut Pieces,
    /// The change after the last row that was found.
    next: u64,
    /// End of the damaged rows so far: what looks like a row before it may be a part of one.
    doubtful_until: u64,
    /// The free end of the last page. Rows there are left over from an earlier use of it, and part of no longer row.
    free: Range<u64>,
    /// For rows that nothing announces, and that may follow the last one.
    budget: HashBudget,
}

impl Scan<'_> {
    /// Looks for the next row in the next few bytes, and returns the offset to go on at.
    fn step(&mut self, offset: u64) -> Result<u64, RecoverError> {
        if self.has_pages && offset.is_multiple_of(STEP_BYTES as u64) {
            self.read_page(offset);
        }
        let end = (offset / STEP_BYTES as u64 + 1) * STEP_BYTES as u64;
        let length = usize::try_from(end - offset).unwrap_or_default();
        let bytes = self.window.at(offset, length + SIGN_BYTES - 1);
        let Some(at) = bytes.windows(SIGN_BYTES).position(may_begin_row) else {
            self.pass_to(end);
            return Ok(end);
        };
        self.take(offset + at as u64)
    }

    fn read_page(&mut self, offset: u64) {
        let rows = announced_rows(self.window.at(offset, STEP_BYTES));
        if !rows.is_empty() {
            self.pass_to(offset);
            let (used, length) = page_lengths(&rows);
            self.free = offset + used..offset + length;
            self.announced = rows.into_iter().map(|row| AnnouncedRow { offset: offset + row.offset, ..row }).collect();
        }
    }

    /// Goes on to an offset. Rows that were announced before it are not there.
    fn pass_to(&mut self, offset: u64) {
        for row in self.announced_before(offset) {
            let end = row.offset.saturating_add(row.bytes.min(MAX_ROW_BYTES as u64));
            self.doubtful_until = self.doubtful_until.max(end);
        }
    }

    /// Takes the announcements before an offset out.
    fn announced_before(&mut self, offset: u64) -> VecDeque<AnnouncedRow> {
        let later = self.announced.split_off(self.announced.partition_point(|row| row.offset < offset));
        std::mem::replace(&mut self.announced, later)
    }

    /// Takes the row at an offset, if there is one, and returns the offset after it.
    fn take(&mut self, offset: u64) -> Result<u64, RecoverError> {
        self.pass_to(offset);
        let announced = self.announced.front().copied().filter(|row| row.offset == offset);
        let Some(row) = RawRow::at(self.window.at(offset, MAX_ROW_BYTES)) else { return Ok(offset + 1) };
        let bytes = u32::try_from(row.length()).unwrap_or(u32::MAX);
        let place = Place { offset, bytes, source: self.source, form: Form::Row };
        let (count, before, after) = (row.count, row.before, row.after);
        let next = Some(self.next).filter(|_| !self.budget.is_spent());
        let tried = [announced.map(|row| row.first.0), next];
        let first = tried.into_iter().flatten().find(|first| row.is_intact_from(Sequence(*first)));
        if first.is_none() {
            self.budget.spend(row.length());
        }
        let is_embeddable = place.bytes as usize <= MAX_EMBEDDED_BYTES;
        let is_left_over = self.free.contains(&offset);
        let is_doubtful = offset < self.doubtful_until || announced.is_none() && is_embeddable && !is_left_over;
        let open = |first, is_announced| {
            let stated = Epoch(0);
            OpenPiece { first, count, before, after, place, stated, is_doubtful, is_announced }
        };
        let Some(first) = first else {
            self.pieces.push_open(open(None, announced.is_some()));
            return Ok(offset + 1);
        };
        self.note_embedded(&place);
        let next = first.saturating_add(u64::from(count));
        // The bytes of a payload may look like a page, too.
        let is_announced = !is_doubtful && announced.is_some_and(|row| row.first.0 == first);
        if let (Some(store), Some(found)) = (self.store, announced.and_then(|row| row.store))
            && store != found
        {
            tracing::warn!(first, history = %found, "a row of another history is left out");
        } else if is_announced || !is_embeddable {
            // No payload has a byte where the announcement of a record is.
            let is_certain = !is_embeddable || self.source == Source::Journal;
            let proof = if is_certain { Proof::Certain } else { Proof::Announced };
            self.pieces.push(Piece { first, count, before, after, place, stated: Epoch(0), proof })?;
        } else {
            self.pieces.push_open(open(Some(first), is_announced));
        }
        self.next = next;
        let end = offset + u64::from(bytes);
        self.announced_before(end);
        Ok(end)
    }

    /// Notes what looks like a row within an intact one.
    fn note_embedded(&mut self, place: &Place) {
        let inner = self.window.at(place.offset, place.bytes as usize).get(ROW_HEADER_BYTES..).unwrap_or_default();
        let starts = inner.windows(SIGN_BYTES).enumerate().filter(|(_, bytes)| may_begin_row(bytes));
        for row in starts.filter_map(|(at, _)| RawRow::at(&inner[at..])) {
            self.pieces.embedded.add(row.after);
        }
    }
}
