//! The tables as one JSON object, for programs that read a herd and do not fold a log.
//!
//! ```json
//! {"success":true,"position":{},"folded":9,"fold_version":1,"fold_digest":"..",
//!  "tables":{"batches":[],"animals":[],"payloads":[],"gaps":[],"counters":[]},
//!  "count":{"batches":0,"animals":0,"payloads":0,"gaps":0,"counters":0},
//!  "ended_at":{"position":{},"folded":9,"fold_digest":".."}}
//! ```
//! Each entry is what the list of its name shows, in the order of that list. `position` is where the export began: it
//! tells the batches, animals and payloads that were there at change `folded`, each as it is when its page is read,
//! and gaps and counters as they are by then. Where `folded` of `ended_at` is the same, nothing changed meanwhile and
//! all of it is of one moment. Else an entry may already show what a later change did to it; whoever needs one moment
//! asks again, or folds the log.
//!
//! An animal that turned out to be another one meanwhile is told as that other, with its own id in `absorbed`: so none
//! is lost between two pages, and of two entries with one id the later one holds.

use super::{ExportError, Parts};
use herd::change::{AnimalId, BatchId};
use herd::fold::FOLD_VERSION;
use herd::position::Sequence;
use herd::query::{CounterCursor, GapCursor, Page, PageLimit, PayloadFilter};
use herd::store::{Reader, Snapshot, SnapshotState};
use serde::Serialize;

/// A part is sent once it is so long, in bytes; the page that fills it is told to its end.
pub(super) const PART_BYTES: usize = 64 * 1024;

/// Table after table as they were when the export began.
pub(in crate::sync) struct TablesExport {
    reader: Reader,
    /// The last change in the tables when it began.
    through: Sequence,
    /// None once the end was told.
    at: Option<Place>,
    told: Told,
}

/// How many entries of each table were told.
#[derive(Debug, Default, Serialize)]
struct Told {
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
    count: &'a Told,
    ended_at: SnapshotState,
}

/// What is told next.
enum Place {
    Beginning,
    Batches(BatchId),
    Animals(Option<AnimalId>),
    Payloads(Sequence),
    Gaps(Option<GapCursor>),
    Counters(Option<CounterCursor>),
    End,
}

impl TablesExport {
    /// All that is in the tables behind `reader` when the first part is read.
    pub(in crate::sync) fn new(reader: Reader) -> Self {
        Self { reader, through: Sequence::ZERO, at: Some(Place::Beginning), told: Told::default() }
    }

    /// Tells the page at `place`, and gives the place after it.
    fn tell(&mut self, place: Place, of: &Snapshot, to: &mut Vec<u8>) -> Result<Option<Place>, ExportError> {
        let (limit, through, told) = (PageLimit::default(), self.through, &mut self.told);
        Ok(Some(match place {
            Place::Beginning => {
                let at = of.standing()?;
                begin(at, to)?;
                self.through = at.folded;
                Place::Batches(BatchId(at.folded.next().0))
            }
            Place::Batches(before) => {
                let page = of.batches(Some(before), limit)?;
                let next = list(to, page, &mut told.batches, r#"],"animals":["#)?;
                next.map_or(Place::Animals(None), |next| Place::Batches(BatchId(next)))
            }
            Place::Animals(after) => {
                let page = of.animals_through(through, after, limit)?;
                let next = list(to, page, &mut told.animals, r#"],"payloads":["#)?;
                next.map_or(Place::Payloads(through.next()), |next| Place::Animals(Some(AnimalId(next))))
            }
            Place::Payloads(before) => {
                let page = of.payloads(Some(before), limit, PayloadFilter::All)?;
                let next = list(to, page, &mut told.payloads, r#"],"gaps":["#)?;
                next.map_or(Place::Gaps(None), |next| Place::Payloads(Sequence(next)))
            }
            Place::Gaps(after) => {
                let next = list(to, of.gaps(after.as_ref(), limit)?, &mut told.gaps, r#"],"counters":["#)?;
                next.map_or(Place::Counters(None), |next| Place::Gaps(Some(next)))
            }
            Place::Counters(after) => {
                let next = list(to, of.counters(after.as_ref(), limit)?, &mut told.counters, "]}")?;
                next.map_or(Place::End, |next| Place::Counters(Some(next)))
            }
            Place::End => {
                end(told, of.standing()?, to)?;
                return Ok(None);
            }
        }))
    }
}

impl Parts for TablesExport {
    fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
        if self.at.is_none() {
            return Ok(None);
        }
        let snapshot = self.reader.snapshot()?;
        let mut part = Vec::with_capacity(2 * PART_BYTES);
        while part.len() < PART_BYTES
            && let Some(place) = self.at.take()
        {
            self.at = self.tell(place, &snapshot, &mut part)?;
        }
        Ok(Some((part, self)))
    }
}

fn begin(at: SnapshotState, to: &mut Vec<u8>) -> Result<(), ExportError> {
    let beginning = Beginning { success: true, at, fold_version: FOLD_VERSION };
    to.extend_from_slice(members(&serde_json::to_string(&beginning)?, "{").as_bytes());
    to.extend_from_slice(br#","tables":{"batches":["#);
    Ok(())
}

fn end(count: &Told, ended_at: SnapshotState, to: &mut Vec<u8>) -> Result<(), ExportError> {
    to.extend_from_slice(members(&serde_json::to_string(&End { count, ended_at })?, ",").as_bytes());
    to.push(b'}');
    Ok(())
}

/// An object's members behind `before`, without the braces around them.
fn members(object: &str, before: &str) -> String {
    format!("{before}{}", object.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(object))
}

/// Adds the entries of a page to those `told` of its table, and `behind` after its last page. Gives where it goes on.
fn list<T: Serialize, C>(
    to: &mut Vec<u8>,
    page: Page<T, C>,
    told: &mut u64,
    behind: &str,
) -> Result<Option<C>, ExportError> {
    for entry in &page.data {
        if *told > 0 {
            to.push(b',');
        }
        serde_json::to_writer(&mut *to, entry)?;
        *told += 1;
    }
    if page.next.is_none() {
        to.extend_from_slice(behind.as_bytes());
    }
    Ok(page.next)
}
