//! The log as page blobs, each complete in itself, and a final blob that proves that none is missing.

use super::{ExportError, ExportParts};
use crate::sync::Served;
use herd::position::Position;
use herd::store::Reader;
use herd::wire::{ExportEnd, MAX_PAGE_CHANGES, Page, to_blob};
use std::sync::Arc;

/// Maximum size of the changes on a page of an export, in bytes: two full rows of the log.
///
/// Larger pages are not faster, and each export holds several copies of one while it is encoded and sent.
const EXPORT_PAGE_BYTES: usize = 512 * 1024;

/// Page after page, up to the head at the moment when the export reaches it.
pub(in crate::sync) struct BlobExport {
    served: Arc<dyn Served>,
    reader: Reader,
    /// End of the last page; `None` once the final blob was returned.
    at: Option<Position>,
    count: u64,
}

impl BlobExport {
    /// Exports the changes after `start`, a position on the history of `reader`.
    pub(in crate::sync) fn new(served: Arc<dyn Served>, reader: Reader, start: Position) -> Self {
        Self { served, reader, at: Some(start), count: 0 }
    }
}

impl ExportParts for BlobExport {
    fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
        let Some(at) = self.at else { return Ok(None) };
        let run = self.reader.run_after(at, MAX_PAGE_CHANGES, EXPORT_PAGE_BYTES)?;
        if run.changes.is_empty() {
            self.at = None;
            return Ok(Some((to_blob(&ExportEnd { count: self.count, end: at }), self)));
        }
        self.served.sync_stats().count_page(run.changes.len());
        self.count += run.changes.len() as u64;
        self.at = Some(run.end);
        let head = self.reader.head().position.sequence;
        Ok(Some((to_blob(&Page::new(run, head, self.served.barn_head())), self)))
    }
}
