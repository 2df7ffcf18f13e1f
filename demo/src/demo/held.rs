//! What a barn or an office holds, asked for over the sync interface.

use super::Failure;
use crate::processes::Client;
use herd::change::{Change, Outcome};
use herd::position::Position;
use herd::wire::{BlobError, BlobKind, ExportEnd, Heartbeat, Page, Schema, blob_kind, blob_length, from_blob};
use service::sync::link::{BLOB_TYPE, SCHEMA_PATH};
use service::sync::query::position_text;
use service::sync::serve::FULL_EXPORT_PATH;

/// What one channel brought, as a log holds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// The raw bytes of each Received change of the channel, in order.
    pub(super) raw: Vec<Vec<u8>>,
    /// As many of them are rejections.
    pub(super) rejections: u64,
    /// Rejections of the channel that were counted in place of being kept.
    pub(super) suppressed: u64,
    /// Received changes of other channels.
    pub(super) others: u64,
}

/// Where it stands.
pub(super) async fn standing(client: &Client) -> Result<Heartbeat, Failure> {
    let answer = client.get(SCHEMA_PATH, BLOB_TYPE).await?.expect(200)?;
    Ok(from_blob::<Schema>(&answer.body)?.state)
}

/// What the log holds after `after`, page by page out of a full export.
pub(super) async fn log_after(client: &Client, after: &Position, channel: &str) -> Result<Log, Failure> {
    let path = format!("{FULL_EXPORT_PATH}?{}", position_text(after));
    let answer = client.get(&path, BLOB_TYPE).await?.expect(200)?;
    let (mut log, mut rest, mut at, mut count) = (Log::default(), &answer.body[..], *after, 0);
    loop {
        let length = blob_length(rest)?.filter(|length| *length <= rest.len());
        let length = length.ok_or(BlobError::Truncated { found: rest.len(), expected: rest.len() + 1 })?;
        let (blob, behind) = rest.split_at(length);
        rest = behind;
        if blob_kind(blob)? == BlobKind::ExportEnd {
            let end: ExportEnd = from_blob(blob)?;
            return if end == (ExportEnd { count, end: at }) { Ok(log) } else { Err(Failure::Export) };
        }
        let page: Page = from_blob(blob)?;
        if page.after != at || page.changes.chain(at.digest, at.sequence) != page.end.end.digest {
            return Err(Failure::Export);
        }
        (at, count) = (page.end.end, count + page.changes.len() as u64);
        page.changes.iter().try_for_each(|change| log.take(change, channel))?;
    }
}

impl Log {
    fn take(&mut self, change: &[u8], channel: &str) -> Result<(), Failure> {
        match Change::from_bytes(change)? {
            Change::Received(received) if received.origin.channel == channel => {
                self.rejections += u64::from(matches!(received.outcome, Outcome::Rejected(_)));
                self.raw.push(received.raw);
            }
            Change::Received(_) => self.others += 1,
            Change::Suppressed(suppressed) if suppressed.channel == channel => self.suppressed += suppressed.count,
            Change::Suppressed(_) | Change::Epoch(_) | Change::Reprocessed(_) | Change::Corrected(_) => {}
        }
        Ok(())
    }
}
