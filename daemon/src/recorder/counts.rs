//! What the writer counts.

use crate::recorder::RecordError;
use herd::change::Suppressed;
use herd::clock::ClockReading;
use herd::store::{Incoming, LocalError, LocalFile, Receipt};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The space of `local.redb` that holds a [`DuplicateCount`] for each channel.
const SPACE: &str = "duplicates";

/// Counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Commit groups, also those that held nothing new.
    pub groups: u64,
    /// Payloads that were judged.
    pub payloads: u64,
    /// Those kept as events.
    pub kept: u64,
    /// Those kept as rejections.
    pub rejected: u64,
    /// Those held already.
    pub duplicates: u64,
    /// Rejections counted in place of being kept.
    pub suppressed: u64,
}

/// Payloads of one channel that were held already; over all starts of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateCount {
    /// How many.
    pub count: u64,
    /// When the last of them came, microseconds since 1970 UTC.
    pub last_at_us: i64,
    /// The strongest that one of them was heard.
    pub best_rssi_dbm: Option<i16>,
}

/// What the writer says about itself after each group.
#[derive(Clone, Debug, Default)]
pub struct RecorderStatus {
    /// The number of the machine's boot that it writes in.
    pub boot: u32,
    /// What it did.
    pub counts: Counts,
    /// When the last payload came that was judged, microseconds since 1970 UTC by the barn's clock.
    pub last_payload_at_us: Option<i64>,
    /// Those of the rejections that were kept, by the name of the reason.
    pub rejections: BTreeMap<&'static str, u64>,
    /// By channel.
    pub duplicates: BTreeMap<String, DuplicateCount>,
    /// Why the last group was not kept; none when it was.
    pub trouble: Option<RecordError>,
}

impl RecorderStatus {
    pub(super) fn count(&mut self, payload: &Incoming, receipt: &Receipt) {
        self.counts.payloads += 1;
        self.last_payload_at_us = Some(payload.at.received_at_us);
        match receipt {
            Receipt::Kept { .. } => self.counts.kept += 1,
            Receipt::Rejected { reason, .. } => {
                self.counts.rejected += 1;
                *self.rejections.entry(reason.code()).or_default() += 1;
            }
            Receipt::Suppressed => self.counts.suppressed += 1,
            Receipt::Duplicate { .. } => {
                self.counts.duplicates += 1;
                self.duplicates.entry(payload.origin.channel.clone()).or_default().add(payload);
            }
        }
    }
}

impl DuplicateCount {
    fn add(&mut self, payload: &Incoming) {
        self.count += 1;
        self.last_at_us = payload.at.received_at_us;
        self.best_rssi_dbm = self.best_rssi_dbm.max(payload.origin.rssi_dbm);
    }
}

/// Writes the counts of duplicates to the local file, those that changed since the last time.
#[derive(Debug)]
pub(super) struct DuplicateKeeper {
    local: Option<LocalFile>,
    changed: BTreeSet<String>,
}

impl DuplicateKeeper {
    /// The keeper, and what it kept when the process last ran.
    pub(super) fn open(local: Option<LocalFile>) -> Result<(Self, BTreeMap<String, DuplicateCount>), LocalError> {
        let kept = local.as_ref().map_or_else(|| Ok(Vec::new()), |local| local.list(SPACE))?;
        Ok((Self { local, changed: BTreeSet::new() }, kept.into_iter().collect()))
    }

    pub(super) fn note(&mut self, channel: &str) {
        if self.local.is_some() && !self.changed.contains(channel) {
            self.changed.insert(channel.to_owned());
        }
    }

    pub(super) fn is_due(&self) -> bool {
        !self.changed.is_empty()
    }

    /// These are counts for people: where they cannot be written, that is said and the payloads go on.
    pub(super) fn write(&mut self, counts: &BTreeMap<String, DuplicateCount>) {
        let Some(local) = &self.local else { return };
        for channel in std::mem::take(&mut self.changed) {
            let Some(count) = counts.get(&channel) else { continue };
            if let Err(error) = local.put(SPACE, &channel, count) {
                tracing::warn!(%error, channel, "the count of duplicates was not written down");
                self.changed.insert(channel);
            }
        }
    }
}

/// Rejections above their channel's bound, until they are written as one change.
#[derive(Debug, Default)]
pub(super) struct SuppressedTally(BTreeMap<String, Suppressed>);

impl SuppressedTally {
    pub(super) fn add(&mut self, payload: &Incoming, boot: u32) {
        let at: ClockReading = payload.at.in_boot(boot);
        let channel = &payload.origin.channel;
        if let Some(tally) = self.0.get_mut(channel) {
            (tally.count, tally.last) = (tally.count + 1, at);
        } else {
            let tally = Suppressed { channel: channel.clone(), count: 1, first: at, last: at };
            self.0.insert(channel.clone(), tally);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Suppressed> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}
