//! The log of a barn or an office, read over the sync interface.

use super::DemoError;
use crate::processes::Client;
use herd::change::{Change, Outcome};
use herd::position::Position;
use herd::wire::{BlobError, BlobKind, ExportEnd, Heartbeat, Page, Schema, blob_kind, blob_length, from_blob};
use service::sync::link::{BLOB_TYPE, SCHEMA_PATH};
use service::sync::query::position_text;
use service::sync::serve::FULL_EXPORT_PATH;

/// The changes of one channel in a log.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelLog {
    /// Raw bytes of each Received change of the channel, in order.
    pub(super) raw: Vec<Vec<u8>>,
    /// Number of entries in `raw` that are rejections.
    pub(super) rejections: u64,
    /// Rejections of the channel that were counted instead of recorded.
    pub(super) suppressed: u64,
    /// Received changes of other channels.
    pub(super) others: u64,
}

/// Requests the position and the digests of a store.
pub(super) async fn fetch_state(client: &Client) -> Result<Heartbeat, DemoError> {
    let reply = client.get(SCHEMA_PATH, BLOB_TYPE).await?.expect(200)?;
    Ok(from_blob::<Schema>(&reply.body)?.state)
}

impl ChannelLog {
    /// Requests a full export of the changes after `after`, verifies its chain, and returns those of `channel`.
    pub(super) async fn fetch(client: &Client, after: &Position, channel: &str) -> Result<Self, DemoError> {
        let path = format!("{FULL_EXPORT_PATH}?{}", position_text(after));
        let reply = client.get(&path, BLOB_TYPE).await?.expect(200)?;
        let (mut log, mut rest, mut position, mut count) = (Self::default(), &reply.body[..], *after, 0);
        loop {
            let length = blob_length(rest)?.filter(|length| *length <= rest.len());
            let length = length.ok_or(BlobError::Truncated { found: rest.len(), expected: rest.len() + 1 })?;
            let (blob, remainder) = rest.split_at(length);
            rest = remainder;
            if blob_kind(blob)? == BlobKind::ExportEnd {
                let end: ExportEnd = from_blob(blob)?;
                return if end == (ExportEnd { count, end: position }) { Ok(log) } else { Err(DemoError::Export) };
            }
            let page: Page = from_blob(blob)?;
            if page.after != position || page.changes.chain(position.digest, position.sequence) != page.end.end.digest {
                return Err(DemoError::Export);
            }
            (position, count) = (page.end.end, count + page.changes.len() as u64);
            page.changes.iter().try_for_each(|change| log.add(change, channel))?;
        }
    }

    fn add(&mut self, change: &[u8], channel: &str) -> Result<(), DemoError> {
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
