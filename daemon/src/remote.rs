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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskGauge;
    use crate::receive::RadioState;
    use crate::test_world::{World, scan};
    use herd::decide::Rules;
    use herd::position::Sequence;
    use radio::{Counters, Packet};
    use std::time::Duration;
    use tokio::sync::{mpsc, watch};
    use tokio::time::Instant;

    /// Catches a status of another barn, an uptime in the wrong unit, and duplicates that are not counted.
    #[tokio::test]
    async fn the_status_is_that_of_this_process_and_its_store() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        world.clock.pass(Duration::from_millis(500));
        let health = crate::health::tests::health(&world, Vec::new());
        let api = BarnApi::new("north".into(), world.recorder.clone(), health, world.clock.clone());
        for n in [1, 1, 2, 1] {
            world.recorder.record(scan(n)).await.unwrap();
        }
        world.clock.pass(Duration::from_millis(61_999));
        let ProcessState::Source(state) = api.state() else { panic!("it is no source") };
        assert_eq!((state.uptime_s, state.queued_payloads, state.queue_payloads), (61, 0, QUEUE_PAYLOADS));
        assert!(state.refused_reads.is_empty(), "those that are 0 are left out");
        let head = api.barn_head();
        assert_eq!((api.site_name().as_str(), head.head, head.duplicates), ("north", Sequence(3), 2));
        assert_eq!(api.reader().unwrap().head().position.sequence, Sequence(3));
        let channels = api.duplicates_by_channel();
        assert_eq!((channels.len(), channels[0].channel.as_str(), channels[0].count), (1, "gate", 2));
        assert_eq!(channels[0].last_at.as_deref(), Some("2024-01-15T10:35:20.000Z"));
        let page = api.recent_duplicates(None, PageLimit::new(1).unwrap());
        assert_eq!((page.data.len(), page.data[0].of, page.next), (1, Sequence(2), Some(2)));
    }

    /// Catches a radio whose own note hides that its queue fills.
    #[tokio::test]
    async fn the_view_of_a_radio_has_its_own_note_and_that_of_its_queue() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let (counters, (queue, _packets)) = (Counters::default(), mpsc::channel(4));
        counters.watch_queue(&queue);
        let (own_report, state) = watch::channel(RadioState::Listening);
        let health =
            crate::health::tests::health(&world, vec![crate::health::tests::radio_handle("chute", &state, counters)]);
        let view = || radio_views(&health).remove(0);
        assert_eq!((view().name.as_str(), view().why, view().queue_packets), ("chute", None, 4));
        own_report.send_replace(RadioState::Degraded("no CRC".into()));
        let (rssi_dbm, snr_quarter_db, frequency_error_hz) = (None, None, None);
        let packet =
            Packet { bytes: vec![1], rssi_dbm, snr_quarter_db, frequency_error_hz, received_at: Instant::now() };
        queue.try_send(packet).unwrap();
        let why = view().why.unwrap();
        assert!(why.starts_with("no CRC; 1 packets wait to be recorded"), "{why}");
        assert_eq!((view().queued_packets, view().state.as_str(), view().air_time_left_ms), (1, "listening", None));
    }
}
