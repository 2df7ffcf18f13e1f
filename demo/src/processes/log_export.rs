//! The log of a barn or an office, read and verified as a program reads it over the sync interface.

use super::client::ReplyStream;
use super::{Client, ProcessError};
use bytes::{Bytes, BytesMut};
use herd::position::Position;
use herd::wire::{BlobError, BlobKind, ExportEnd, Heartbeat, Page, Schema, blob_kind, blob_length, from_blob};
use service::sync::link::{BLOB_TYPE, SCHEMA_PATH};
use service::sync::query::position_text;
use service::sync::serve::FULL_EXPORT_PATH;

/// Reason why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogExportError {
    /// The request failed, or its answer broke off.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The answer is malformed, or ends in the middle.
    #[error("malformed answer of the sync interface: {0}")]
    Blob(#[from] BlobError),
    /// The pages do not belong together.
    #[error("incomplete export: a page does not continue the one before, or the end does not match the pages")]
    Broken,
}

impl LogExportError {
    /// Returns true if the export broke off, which a stop of the process explains. Other errors are wrong content.
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Process(_) | Self::Blob(BlobError::Truncated { .. }))
    }
}

/// Requests the position and the digests of a store.
pub async fn fetch_state(client: &Client) -> Result<Heartbeat, LogExportError> {
    let reply = client.get(SCHEMA_PATH, BLOB_TYPE).await?.expect(200)?;
    Ok(from_blob::<Schema>(&reply.body)?.state)
}

/// A full export under way. Its chain is verified page by page.
#[derive(Debug)]
pub struct LogExport {
    reply: ReplyStream,
    received: BytesMut,
    /// Position after the pages so far.
    position: Position,
    /// Number of changes so far.
    count: u64,
}

impl LogExport {
    /// Requests the changes after `after`.
    pub async fn open(client: &Client, after: &Position) -> Result<Self, LogExportError> {
        let reply = client.open(&format!("{FULL_EXPORT_PATH}?{}", position_text(after)), BLOB_TYPE).await?;
        Ok(Self { reply, received: BytesMut::new(), position: *after, count: 0 })
    }

    /// Returns the next page, or `None` after an end that matches the pages.
    pub async fn next(&mut self) -> Result<Option<Page>, LogExportError> {
        let blob = self.next_blob().await?;
        if blob_kind(&blob)? == BlobKind::ExportEnd {
            let end: ExportEnd = from_blob(&blob)?;
            let is_whole = end == ExportEnd { count: self.count, end: self.position };
            return if is_whole { Ok(None) } else { Err(LogExportError::Broken) };
        }
        let (page, before): (Page, _) = (from_blob(&blob)?, self.position);
        if page.after != before || page.changes.chain(before.digest, before.sequence) != page.end.end.digest {
            return Err(LogExportError::Broken);
        }
        (self.position, self.count) = (page.end.end, self.count + page.changes.len() as u64);
        Ok(Some(page))
    }

    async fn next_blob(&mut self) -> Result<Bytes, LogExportError> {
        loop {
            let found = self.received.len();
            if let Some(length) = blob_length(&self.received)?.filter(|length| *length <= found) {
                return Ok(self.received.split_to(length).freeze());
            }
            let Some(bytes) = self.reply.next().await? else {
                return Err(BlobError::Truncated { found, expected: found + 1 }.into());
            };
            self.received.extend_from_slice(&bytes);
        }
    }
}
