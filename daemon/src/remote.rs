//! The JSON interface of the barn: its store, and the state of its process.

use crate::health::{Health, QueueNote};
use crate::receive::RadioHandle;
use crate::recorder::{QUEUE_PAYLOADS, Recorder};
use herd::clock::{Clock, iso_utc_if_set};
use herd::query::{Page, PageLimit};
use herd::store::Reader;
use herd::wire::{BarnHead, BarnHealth};
use radio::RadioCounters;
use radio::sx127x::Transmitter;
use service::remote::{ChannelDuplicates, DuplicateView, ProcessState, RadioCounts, RadioView, RemoteApi, SourceState};
use service::sync::{NotServedError, Served, SyncStats};
use std::sync::Arc;

/// The barn as seen by followers and API clients.
pub struct BarnApi {
    site: String,
    recorder: Recorder,
    health: Health,
    clock: Arc<dyn Clock>,
    started_since_boot_ms: u64,
    sync_stats: SyncStats,
}

impl BarnApi {
    /// Creates the interface. The uptime counts from this call.
    pub fn new(site: String, recorder: Recorder, health: Health, clock: Arc<dyn Clock>) -> Self {
        let started_since_boot_ms = clock.read().since_boot_ms;
        Self { site, recorder, health, clock, started_since_boot_ms, sync_stats: SyncStats::default() }
    }
}

impl Served for BarnApi {
    fn reader(&self) -> Result<Reader, NotServedError> {
        Ok(self.health.reader.clone())
    }

    fn barn_head(&self) -> BarnHead {
        let head = self.health.reader.head().position.sequence;
        let duplicates = self.health.recorder.borrow().duplicates.values().map(|channel| channel.count).sum();
        BarnHead { head, age_ms: Some(0), duplicates }
    }

    fn barn_health(&self) -> BarnHealth {
        BarnHealth::of_barn(self.health.findings())
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.sync_stats
    }
}

impl RemoteApi for BarnApi {
    fn site_name(&self) -> String {
        self.site.clone()
    }

    fn state(&self) -> ProcessState {
        let up_ms = self.clock.read().since_boot_ms.saturating_sub(self.started_since_boot_ms);
        ProcessState::Source(SourceState {
            uptime_s: up_ms / 1_000,
            radios: radio_views(&self.health),
            failing: self.health.failing(),
            findings: self.health.findings(),
            backup: self.health.backup.report(),
            refused_reads: self.health.refusals.counts().into_iter().filter(|(_, count)| *count > 0).collect(),
            queued_payloads: self.recorder.queued(),
            queue_payloads: QUEUE_PAYLOADS,
        })
    }

    fn duplicates_by_channel(&self) -> Vec<ChannelDuplicates> {
        // Cloned, because a borrow holds up the writer.
        let duplicates = self.health.recorder.borrow().duplicates.clone();
        let channels = duplicates.into_iter().map(|(channel, stats)| ChannelDuplicates {
            channel,
            count: stats.count,
            last_at: iso_utc_if_set(stats.last_at_us),
            best_rssi_dbm: stats.best_rssi_dbm,
        });
        channels.collect()
    }

    fn recent_duplicates(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        self.recorder.recent_duplicates().page(before, limit)
    }
}

/// Returns the views of the radios for API clients and commands.
pub(crate) fn radio_views(health: &Health) -> Vec<RadioView> {
    health.radios.iter().map(|radio| radio_view(radio, health.queue_note(radio))).collect()
}

fn radio_view(radio: &RadioHandle, queue_note: Option<QueueNote>) -> RadioView {
    let state = radio.state.borrow().clone();
    let queue = radio.counters.queue();
    let notes: Vec<_> = state.why().map(str::to_owned).into_iter().chain(queue_note.map(|note| note.text)).collect();
    let remaining = radio.transmitter.as_ref().and_then(Transmitter::air_time_left);
    RadioView {
        name: radio.name.clone(),
        state: state.word().to_owned(),
        why: (!notes.is_empty()).then(|| notes.join("; ")),
        air_time_left_ms: remaining.map(|remaining| u64::try_from(remaining.air_time.as_millis()).unwrap_or(u64::MAX)),
        queued_packets: queue.packets,
        queue_packets: queue.capacity,
        counts: radio_counts(radio.counters.read()),
    }
}

/// Returns all counters of a radio: a new one that is missing here does not compile.
fn radio_counts(counters: RadioCounters) -> RadioCounts {
    let RadioCounters { received, crc_errors, without_crc, malformed, rescued, rebuilt, refreshed, cut } = counters;
    RadioCounts { received, crc_errors, without_crc, malformed, rescued, rebuilt, refreshed, cut }
}
