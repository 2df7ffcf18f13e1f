//! A whole history as one answer: as blobs for those who fold, as the tables in JSON for those who do not.
//!
//! Either is sent part after part. Each part is read from a snapshot of its own that is gone before the part is sent,
//! so a slow reader holds up nothing but itself, and memory is a few parts however long the history is. What fails
//! half-way breaks the answer off: its end, which says that nothing is missing, is then not there.

mod blobs;
mod reading;
mod tables;
#[cfg(test)]
mod tests;

pub(super) use blobs::BlobExport;
pub(super) use reading::ExportReader;
pub(super) use tables::TablesExport;

use crate::lifecycle::Shutdown;
use axum::body::Body;
use futures::stream;
use herd::query::QueryError;
use herd::store::StoreError;
use reading::ExportPlace;

/// Why an export breaks off. Whoever asked sees only that it does; the log says why.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// This process ends.
    #[error("the process stops")]
    Stopping,
    /// A page of a list could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A page of the log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry could not be written as JSON.
    #[error("an entry could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no thread to read on.
    #[error("starting the thread that reads for exports: {0}")]
    Thread(#[from] std::io::Error),
    /// The reading itself ended by a panic.
    #[error("the reading was cut")]
    Cut,
}

/// An export on its way.
pub(super) trait Parts: Sized + Send + 'static {
    /// The next part, and what is left; none after the end. May wait for the disk.
    fn next(self) -> Result<Option<(Vec<u8>, Self)>, ExportError>;
}

/// The body that sends the parts, each read when the one before has been taken off; broken off once `stop` turns true.
pub(super) fn body(parts: impl Parts, place: ExportPlace, stop: Shutdown) -> Body {
    let parts = stream::try_unfold((parts, place, stop), async |(parts, place, stop)| {
        let read = tokio::select! {
            biased;
            () = stop.requested() => Err(ExportError::Stopping),
            read = place.read(parts) => read,
        };
        let read = read.inspect_err(|error| tracing::warn!(%error, "an export breaks off"))?;
        Ok::<_, ExportError>(read.map(|(part, rest)| (part, (rest, place, stop))))
    });
    Body::from_stream(parts)
}
