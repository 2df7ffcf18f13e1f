//! A whole history as one response: blobs for followers that fold, or the tables in JSON for programs that do not.
//!
//! Both are streams of parts. Each part is read from its own snapshot, which is dropped before the part is sent. So a
//! slow client delays nothing but itself, and memory stays at a few parts however long the history is.
//!
//! - One thread reads for all exports of a router (see [`ExportReader`]), at most [`MAX_EXPORTS`](reader::MAX_EXPORTS)
//!   at a time, in blobs of at most 512 KiB. With a pool of threads, each arena of the allocator kept its own page
//!   caches: 84 MiB above the memory at rest instead of 49. Parts of 4 MiB cost 17 MiB more and are no faster.
//! - An export that fails half-way breaks off, although its status was 200. The length is not known when it starts, so
//!   nothing else can signal the failure. The client sees it by the missing end, in JSON and in blobs.

mod blobs;
mod reader;
mod tables;
#[cfg(test)]
mod tests;

pub(super) use blobs::BlobExport;
pub(super) use reader::ExportReader;
pub(super) use tables::TablesExport;

use crate::lifecycle::Shutdown;
use axum::body::Body;
use futures::stream;
use herd::query::QueryError;
use herd::store::StoreError;
use reader::ExportSlot;

/// Reason why an export broke off. The log has it; the client only sees that the response has no end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// This process is shutting down.
    #[error("this process is shutting down")]
    Shutdown,
    /// A page of a list could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A page of the log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry could not be encoded as JSON.
    #[error("cannot encode an entry as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The thread that reads for exports could not be started.
    #[error("cannot start the thread that reads for exports: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread panicked while it read the part.
    #[error("the thread that reads for exports panicked")]
    Panicked,
}

/// The remaining parts of an export.
pub(super) trait ExportParts: Sized + Send + 'static {
    /// Reads the next part and returns it with the rest, or `None` after the last one. May block on the disk.
    fn next(self) -> Result<Option<(Vec<u8>, Self)>, ExportError>;
}

/// Returns a body that streams the parts. A part is read after the client has taken the previous one. `shutdown` breaks
/// the body off.
pub(super) fn body(parts: impl ExportParts, slot: ExportSlot, shutdown: Shutdown) -> Body {
    let parts = stream::try_unfold((parts, slot, shutdown), async |(parts, slot, shutdown)| {
        let read = tokio::select! {
            biased;
            () = shutdown.requested() => Err(ExportError::Shutdown),
            read = slot.read(parts) => read,
        };
        let read = read.inspect_err(|error| tracing::warn!(%error, "export broke off"))?;
        Ok::<_, ExportError>(read.map(|(part, rest)| (part, (rest, slot, shutdown))))
    });
    Body::from_stream(parts)
}
