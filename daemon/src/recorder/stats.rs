//! Counters of the recorder, for status pages and metrics.

use crate::recorder::RecordError;
use herd::change::Suppressed;
use herd::clock::ClockReading;
use herd::store::{Incoming, LocalError, LocalFile, Receipt};
use prometheus_client::metrics::histogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Namespace in `local.redb` that maps a channel to its [`DuplicateStats`].
const NAMESPACE: &str = "duplicates";
/// Upper bounds of the buckets for the payloads of a group.
const BOUNDS_PAYLOADS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
/// Upper bounds of the buckets for the duration of a commit, in seconds.
const BOUNDS_S: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Totals since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderTotals {
    /// Commit groups, including those in which every payload was a duplicate.
    pub groups: u64,
    /// Payloads judged.
    pub payloads: u64,
    /// Payloads accepted as events.
    #[serde(rename = "kept")]
    pub accepted: u64,
    /// Payloads recorded as rejections.
    pub rejected: u64,
    /// Payloads that were already in the log.
    pub duplicates: u64,
    /// Rejections over the hourly limit, which are counted instead of recorded.
    pub suppressed: u64,
}

/// Duplicates of one channel, over all runs of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateStats {
    /// Number of duplicates.
    pub count: u64,
    /// Arrival of the latest duplicate, in microseconds since the Unix epoch.
    pub last_at_us: i64,
    /// Strongest signal among the duplicates.
    pub best_rssi_dbm: Option<i16>,
}

/// A snapshot that the recorder publishes after each commit group.
#[derive(Clone, Debug, Default)]
pub struct RecorderStatus {
    /// Boot counter of the machine; orders monotonic timestamps across reboots.
    pub boot: u32,
    /// Totals since the process started.
    pub totals: RecorderTotals,
    /// Arrival of the latest payload, in microseconds since the Unix epoch (barn clock).
    pub last_payload_at_us: Option<i64>,
    /// Recorded rejections by reason code.
    pub rejections: BTreeMap<&'static str, u64>,
    /// Duplicates by channel.
    pub duplicates: BTreeMap<String, DuplicateStats>,
    /// Why the last group could not be written, or `None` if it was.
    pub last_error: Option<RecordError>,
}

impl RecorderStatus {
    pub(super) fn count(&mut self, payload: &Incoming, receipt: &Receipt) {
        self.totals.payloads += 1;
        self.last_payload_at_us = Some(payload.at.received_at_us);
        match receipt {
            Receipt::Kept { .. } => self.totals.accepted += 1,
            Receipt::Rejected { reason, .. } => {
                self.totals.rejected += 1;
                *self.rejections.entry(reason.code()).or_default() += 1;
            }
            Receipt::Suppressed => self.totals.suppressed += 1,
            Receipt::Duplicate { .. } => {
                self.totals.duplicates += 1;
                self.duplicates.entry(payload.origin.channel.to_string()).or_default().add(payload);
            }
        }
    }
}

impl DuplicateStats {
    fn add(&mut self, payload: &Incoming) {
        self.count += 1;
        self.last_at_us = payload.at.received_at_us;
        self.best_rssi_dbm = self.best_rssi_dbm.max(payload.origin.rssi_dbm);
    }
}

/// Sizes and durations of the commit groups since the process started. Clones share the histograms.
#[derive(Clone, Debug)]
pub struct CommitTimes {
    /// Payloads of a group, including duplicates.
    pub payloads: Histogram,
    /// Time from the first judgment of a group until the group is durable and in the tables, in seconds.
    pub seconds: Histogram,
}

impl Default for CommitTimes {
    fn default() -> Self {
        Self { payloads: Histogram::new(BOUNDS_PAYLOADS), seconds: Histogram::new(BOUNDS_S) }
    }
}

impl CommitTimes {
    pub(super) fn add(&self, payloads: usize, elapsed: Duration) {
        self.payloads.observe(u32::try_from(payloads).unwrap_or(u32::MAX).into());
        self.seconds.observe(elapsed.as_secs_f64());
    }
}

/// Persists [`DuplicateStats`] in batches.
///
/// Losing them costs a number on a page, so a failed write is logged and retried with the next batch; recording goes on.
#[derive(Debug)]
pub(super) struct DuplicateStatsWriter {
    local: Option<LocalFile>,
    /// Channels whose counts changed since the last write.
    dirty: BTreeSet<String>,
}

impl DuplicateStatsWriter {
    /// Returns the writer and the counts of earlier runs of the process.
    pub(super) fn open(local: Option<LocalFile>) -> Result<(Self, BTreeMap<String, DuplicateStats>), LocalError> {
        let stats = local.as_ref().map_or_else(|| Ok(Vec::new()), |local| local.list(NAMESPACE))?;
        Ok((Self { local, dirty: BTreeSet::new() }, stats.into_iter().collect()))
    }

    pub(super) fn mark_dirty(&mut self, channel: &str) {
        if self.local.is_some() && !self.dirty.contains(channel) {
            self.dirty.insert(channel.to_owned());
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Writes the counts of the dirty channels. A channel whose write failed stays dirty.
    pub(super) fn write(&mut self, stats: &BTreeMap<String, DuplicateStats>) {
        let Some(local) = &self.local else { return };
        for channel in std::mem::take(&mut self.dirty) {
            let Some(channel_stats) = stats.get(&channel) else { continue };
            if let Err(error) = local.put(NAMESPACE, &channel, channel_stats) {
                tracing::warn!(%error, channel, "failed to save the number of duplicates; retrying later");
                self.dirty.insert(channel);
            }
        }
    }
}

/// Rejections over the hourly limit of their channel, until each channel's are written as one change.
#[derive(Debug, Default)]
pub(super) struct SuppressedTally(BTreeMap<String, Suppressed>);

impl SuppressedTally {
    pub(super) fn add(&mut self, payload: &Incoming, boot: u32) {
        let at: ClockReading = payload.at.in_boot(boot);
        let channel = &payload.origin.channel;
        if let Some(tally) = self.0.get_mut(channel.as_str()) {
            (tally.count, tally.last) = (tally.count + 1, at);
        } else {
            let tally = Suppressed { channel: channel.to_string(), count: 1, first: at, last: at };
            self.0.insert(channel.to_string(), tally);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Suppressed> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::store::MemoryDisk;

    /// Catches a count that is given up after a failed write, and one that is written again and again.
    #[test]
    fn a_count_stays_dirty_until_it_is_written() {
        let stats = BTreeMap::from([("gate".to_owned(), DuplicateStats { count: 3, ..DuplicateStats::default() })]);
        let good = LocalFile::open_in(&MemoryDisk::default()).unwrap();
        let failing = LocalFile::closed("local.redb", "a page is missing");
        for (local, before, after) in [(Some(good), true, false), (Some(failing), true, true), (None, false, false)] {
            let mut writer = DuplicateStatsWriter { local, dirty: BTreeSet::new() };
            assert!(!writer.is_dirty());
            writer.mark_dirty("gate");
            assert_eq!(writer.is_dirty(), before);
            writer.write(&stats);
            assert_eq!(writer.is_dirty(), after, "{writer:?}");
        }
    }
}
