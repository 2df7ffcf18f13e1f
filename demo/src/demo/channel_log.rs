//! The log of a barn or an office, read over the sync interface.

use super::DemoError;
use crate::processes::{Client, LogExport};
use herd::change::{Change, Outcome};
use herd::position::Position;

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

impl ChannelLog {
    /// Requests a full export of the changes after `after`, verifies its chain, and returns those of `channel`.
    pub(super) async fn fetch(client: &Client, after: &Position, channel: &str) -> Result<Self, DemoError> {
        let (mut log, mut export) = (Self::default(), LogExport::open(client, after).await?);
        while let Some(page) = export.next().await? {
            page.changes.iter().try_for_each(|change| log.add(change, channel))?;
        }
        Ok(log)
    }

    fn add(&mut self, change: &[u8], channel: &str) -> Result<(), DemoError> {
        match Change::from_bytes(change)? {
            Change::Received(received) if received.origin.channel == channel => {
                self.rejections += u64::from(matches!(received.outcome, Outcome::Rejected(_)));
                self.raw.push(received.raw);
            }
            Change::Received(_) => self.others += 1,
            Change::Suppressed(suppressed) if suppressed.channel == channel => self.suppressed += suppressed.count,
            Change::Suppressed(_)
            | Change::Epoch(_)
            | Change::Reprocessed(_)
            | Change::Corrected(_)
            | Change::EraMove(_) => {}
        }
        Ok(())
    }
}
