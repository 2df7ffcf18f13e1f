//! The tables as one JSON object, for programs that read a herd and do not fold a log.
//!
//! ```json
//! {"success":true,"position":{},"folded":9,"fold_version":1,"fold_digest":"..",
//!  "tables":{"batches":[],"animals":[],"payloads":[],"gaps":[],"counters":[]},
//!  "count":{"batches":0,"animals":0,"payloads":0,"gaps":0,"counters":0},
//!  "ended_at":{"position":{},"folded":9,"fold_digest":".."}}
//! ```
//! The entries are those of the list with the same name, in the same order.
//!
//! - The export pins its end, not its content. It has the batches, animals and payloads that existed at change `folded`,
//!   each in its state when its page is read, and gaps and counters in their current state. One moment for everything
//!   would hold a read transaction for as long as the slowest client reads, and redb reuses no page meanwhile.
//! - If `ended_at` has the same `folded`, nothing changed meanwhile and everything is from one moment. Otherwise an entry
//!   may already show a later change. A program that needs one moment repeats the request, or folds the log.
//! - If an animal is absorbed by another one during the export, the other animal takes its place, with the first id in
//!   `absorbed`. If it were skipped, it could be missing from both pages. Of two entries with the same id, the later one
//!   is valid.

use super::{ExportError, ExportParts};
use herd::change::{AnimalId, BatchId};
use herd::fold::FOLD_VERSION;
use herd::position::Sequence;
use herd::query::{CounterCursor, GapCursor, Page, PageLimit, PayloadFilter};
use herd::store::{Reader, Snapshot, SnapshotState};
use serde::Serialize;

/// Size at which a part is complete, in bytes. The page that reaches it is still written to its end.
pub(super) const PART_BYTES: usize = 64 * 1024;

/// Table after table, with the entries that existed when the export began.
pub(in crate::sync) struct TablesExport {
    reader: Reader,
    /// The last change in the tables when the export began.
    through: Sequence,
    /// The next section; `None` after the end.
    next: Option<Section>,
    written: EntryCounts,
}

/// Number of entries written of each table.
#[derive(Debug, Default, Serialize)]
struct EntryCounts {
    batches: u64,
    animals: u64,
    payloads: u64,
    gaps: u64,
    counters: u64,
}

#[derive(Serialize)]
struct Beginning {
    success: bool,
    #[serde(flatten)]
    at: SnapshotState,
    fold_version: u32,
}

#[derive(Serialize)]
struct End<'a> {
    count: &'a EntryCounts,
    ended_at: SnapshotState,
}

/// A section of the object: its beginning, a page of a table from a cursor on, or its end.
enum Section {
    Beginning,
    Batches(BatchId),
    Animals(Option<AnimalId>),
    Payloads(Sequence),
    Gaps(Option<GapCursor>),
    Counters(Option<CounterCursor>),
    End,
}

impl TablesExport {
    /// Exports the entries in the tables of `reader` at the time when the first part is read.
    pub(in crate::sync) fn new(reader: Reader) -> Self {
        Self { reader, through: Sequence::ZERO, next: Some(Section::Beginning), written: EntryCounts::default() }
    }

    /// Writes one section and returns the next one.
    fn write(
        &mut self,
        section: Section,
        snapshot: &Snapshot,
        to: &mut Vec<u8>,
    ) -> Result<Option<Section>, ExportError> {
        let (limit, through, written) = (PageLimit::default(), self.through, &mut self.written);
        Ok(Some(match section {
            Section::Beginning => {
                let at = snapshot.state()?;
                write_beginning(at, to)?;
                self.through = at.folded;
                Section::Batches(BatchId(at.folded.next().0))
            }
            Section::Batches(before) => {
                let page = snapshot.batches(Some(before), limit)?;
                let next = write_page(to, page, &mut written.batches, r#"],"animals":["#)?;
                next.map_or(Section::Animals(None), |next| Section::Batches(BatchId(next)))
            }
            Section::Animals(after) => {
                let page = snapshot.animals_through(through, after, limit)?;
                let next = write_page(to, page, &mut written.animals, r#"],"payloads":["#)?;
                next.map_or(Section::Payloads(through.next()), |next| Section::Animals(Some(AnimalId(next))))
            }
            Section::Payloads(before) => {
                let page = snapshot.payloads(Some(before), limit, PayloadFilter::All)?;
                let next = write_page(to, page, &mut written.payloads, r#"],"gaps":["#)?;
                next.map_or(Section::Gaps(None), |next| Section::Payloads(Sequence(next)))
            }
            Section::Gaps(after) => {
                let page = snapshot.gaps(after.as_ref(), limit)?;
                let next = write_page(to, page, &mut written.gaps, r#"],"counters":["#)?;
                next.map_or(Section::Counters(None), |next| Section::Gaps(Some(next)))
            }
            Section::Counters(after) => {
                let page = snapshot.counters(after.as_ref(), limit)?;
                let next = write_page(to, page, &mut written.counters, "]}")?;
                next.map_or(Section::End, |next| Section::Counters(Some(next)))
            }
            Section::End => {
                write_end(written, snapshot.state()?, to)?;
                return Ok(None);
            }
        }))
    }
}

impl ExportParts for TablesExport {
    fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
        if self.next.is_none() {
            return Ok(None);
        }
        let snapshot = self.reader.snapshot()?;
        let mut part = Vec::with_capacity(2 * PART_BYTES);
        while part.len() < PART_BYTES
            && let Some(section) = self.next.take()
        {
            self.next = self.write(section, &snapshot, &mut part)?;
        }
        Ok(Some((part, self)))
    }
}

fn write_beginning(at: SnapshotState, to: &mut Vec<u8>) -> Result<(), ExportError> {
    let beginning = Beginning { success: true, at, fold_version: FOLD_VERSION };
    to.extend_from_slice(members(&serde_json::to_string(&beginning)?, "{").as_bytes());
    to.extend_from_slice(br#","tables":{"batches":["#);
    Ok(())
}

fn write_end(count: &EntryCounts, ended_at: SnapshotState, to: &mut Vec<u8>) -> Result<(), ExportError> {
    to.extend_from_slice(members(&serde_json::to_string(&End { count, ended_at })?, ",").as_bytes());
    to.push(b'}');
    Ok(())
}

/// Returns an object's members after `prefix`, without the braces around them.
fn members(object: &str, prefix: &str) -> String {
    format!("{prefix}{}", object.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(object))
}

/// Writes the entries of a page and counts them in `written`. Writes `suffix` after the table's last page. Returns the
/// cursor of the next page.
fn write_page<T: Serialize, C>(
    to: &mut Vec<u8>,
    page: Page<T, C>,
    written: &mut u64,
    suffix: &str,
) -> Result<Option<C>, ExportError> {
    for entry in &page.data {
        if *written > 0 {
            to.push(b',');
        }
        serde_json::to_writer(&mut *to, entry)?;
        *written += 1;
    }
    if page.next.is_none() {
        to.extend_from_slice(suffix.as_bytes());
    }
    Ok(page.next)
}
