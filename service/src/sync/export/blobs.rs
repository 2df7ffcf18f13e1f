//! The log as page blobs, each complete in itself, and a last one that proves that nothing is missing.

use super::{ExportError, Parts};
use crate::sync::Served;
use herd::position::Position;
use herd::store::Reader;
use herd::wire::{ExportEnd, MAX_PAGE_CHANGES, Page, to_blob};
use std::sync::Arc;

/// A page of an export, in bytes: two full rows of the log. Larger ones are not faster, and each export holds one several
/// times over while it is made and sent.
const EXPORT_PAGE_BYTES: usize = 512 * 1024;

/// Page after page up to the head of the moment at which it gets there.
pub(in crate::sync) struct BlobExport {
    served: Arc<dyn Served>,
    reader: Reader,
    /// None once the end was sent.
    at: Option<Position>,
    count: u64,
}

impl BlobExport {
    /// The changes after `start`, which lies on the history behind `reader`.
    pub(in crate::sync) fn new(served: Arc<dyn Served>, reader: Reader, start: Position) -> Self {
        Self { served, reader, at: Some(start), count: 0 }
    }
}

impl Parts for BlobExport {
    fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
        let Some(at) = self.at else { return Ok(None) };
        let run = self.reader.run_after(at, MAX_PAGE_CHANGES, EXPORT_PAGE_BYTES)?;
        if run.changes.is_empty() {
            self.at = None;
            return Ok(Some((to_blob(&ExportEnd { count: self.count, end: at }), self)));
        }
        self.served.deliveries().count_page(run.changes.len());
        self.count += run.changes.len() as u64;
        self.at = Some(run.end);
        let head = self.reader.head().position.sequence;
        Ok(Some((to_blob(&Page::new(run, head, self.served.barn())), self)))
    }
}
