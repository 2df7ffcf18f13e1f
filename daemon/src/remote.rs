//! What the barn tells programs that ask: its store, and how its process is.

use crate::health::Health;
use crate::receive::ListenedRadio;
use crate::recorder::{QUEUE_PAYLOADS, Recorder};
use herd::clock::{Clock, iso_utc};
use herd::query::{Page, PageLimit};
use herd::store::Reader;
use herd::wire::BarnHead;
use radio::sx127x::Transmitter;
use service::remote::{ChannelDuplicates, DuplicateView, ProcessState, RadioCounts, RadioView, RemoteApi, SourceState};
use service::sync::{Served, SyncStats};
use std::sync::Arc;

/// The barn, for those who follow it and for those who ask it.
pub struct OwnBarn {
    site: String,
    recorder: Recorder,
    health: Health,
    clock: Arc<dyn Clock>,
    began_since_boot_ms: u64,
    deliveries: SyncStats,
}

impl OwnBarn {
    /// Begins to serve.
    pub fn new(site: String, recorder: Recorder, health: Health, clock: Arc<dyn Clock>) -> Self {
        let began_since_boot_ms = clock.read().since_boot_ms;
        Self { site, recorder, health, clock, began_since_boot_ms, deliveries: SyncStats::default() }
    }
}

impl Served for OwnBarn {
    fn reader(&self) -> Option<Reader> {
        Some(self.health.reader.clone())
    }

    fn barn_head(&self) -> BarnHead {
        let head = self.health.reader.head().position.sequence;
        let duplicates = self.health.recorder.borrow().duplicates.values().map(|channel| channel.count).sum();
        BarnHead { head, age_ms: Some(0), duplicates }
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.deliveries
    }
}

impl RemoteApi for OwnBarn {
    fn site_name(&self) -> String {
        self.site.clone()
    }

    fn process_state(&self) -> ProcessState {
        let up_ms = self.clock.read().since_boot_ms.saturating_sub(self.began_since_boot_ms);
        ProcessState::Source(SourceState {
            uptime_s: up_ms / 1_000,
            radios: self.health.radios.iter().map(radio_view).collect(),
            failing: self.health.failing(),
            queued_payloads: self.recorder.queued(),
            queue_payloads: QUEUE_PAYLOADS,
        })
    }

    fn duplicates_by_channel(&self) -> Vec<ChannelDuplicates> {
        // Cloned, as what is borrowed here holds the writer up.
        let counts = self.health.recorder.borrow().duplicates.clone();
        let told = counts.into_iter().map(|(channel, counted)| ChannelDuplicates {
            channel,
            count: counted.count,
            last_at: iso_utc(counted.last_at_us),
            best_rssi_dbm: counted.best_rssi_dbm,
        });
        told.collect()
    }

    fn recent_duplicates(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        self.recorder.recent_duplicates().page(before, limit)
    }
}

/// A radio, for whoever may read.
pub(crate) fn radio_view(radio: &ListenedRadio) -> RadioView {
    let state = radio.state.borrow().clone();
    let left = radio.transmitter.as_ref().and_then(Transmitter::air_time_left);
    let radio::RadioCounters { received, crc_errors, malformed, rescued, rebuilt } = radio.counters.read();
    RadioView {
        name: radio.name.clone(),
        state: state.word().to_owned(),
        why: state.why().map(str::to_owned),
        air_time_left_ms: left.map(|left| u64::try_from(left.air_time.as_millis()).unwrap_or(u64::MAX)),
        counts: RadioCounts { received, crc_errors, malformed, rescued, rebuilt },
    }
}
