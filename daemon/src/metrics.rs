//! The metrics of the barn, `/metrics`.
//!
//! Decision: a scrape reads the state that the parts hold anyway. Counters kept beside it would be a second truth. Only
//! values that no part needs (durations, sizes of groups) are collected for the scrape.

use crate::health::Health;
use crate::ingest::Ingest;
use crate::receive::RadioHandle;
use crate::recorder::{Recorder, RecorderStatus};
use axum::Router;
use radio::RadioCounters;
use service::backup::encode_backups;
use service::door::auth::{Authenticator, require};
use service::door::keys::Scope;
use service::door::serve::connections::Connections;
use service::metrics::{
    Collector, DescriptorEncoder, Families, Family, NO_LABELS, ProcessMetrics, RequestTimes, encode_deliveries,
    encode_stores,
};
use service::sync::SyncStats;
use std::fmt;
use std::sync::Arc;

const BOOT: Family = Family::new("boot", "Boot counter of this machine, from 1.");
const COMMITS: Family = Family::new("commits", "Commit groups, including those with duplicates only.");
const GROUPS: Family = Family::new("commit_group", "Payloads per commit group.").in_unit("payloads");
const COMMIT_TIMES: Family =
    Family::new("commit_duration", "Time from the first judgment of a group until it is durable and in the tables.")
        .in_unit("seconds");
const QUEUE: Family = Family::new("queue", "Payloads that are queued or in commit.").in_unit("payloads");
const PAYLOADS: Family = Family::new("judged", "Payloads judged since the start, by outcome.").in_unit("payloads");
const REJECTIONS: Family = Family::new("rejections", "Payloads recorded as rejections since the start, by reason.");
const REFUSED: Family = Family::new(
    "refused_reads",
    "Reads over HTTPS that were refused or rejected since the start, by the code of their answer; a refused call is one.",
);
const DUPLICATES: Family =
    Family::new("duplicates", "Payloads that were already in the log, by channel, over all runs of the process.");
const PACKETS: Family = Family::new("radio_packets", "Packets delivered by a radio.");
const CRC_ERRORS: Family = Family::new("radio_crc_errors", "Packets that a radio dropped because of a wrong CRC.");
const WITHOUT_CRC: Family =
    Family::new("radio_without_crc", "Packets that were sent without a CRC; dropped unless it is optional.");
const MALFORMED: Family = Family::new(
    "radio_malformed",
    "Packets and frames that a radio dropped: empty, too long, garbage, overwritten, or come to a full queue.",
);
const RESCUES: Family = Family::new("radio_rescues", "Packets found by polling, without an interrupt.");
const REBUILDS: Family = Family::new("radio_rebuilds", "Complete set-ups of a radio after the first.");
const REFRESHES: Family =
    Family::new("radio_refreshes", "Restarts of an idle receiver, as a precaution after a long silence.");
const CUT: Family = Family::new("radio_cut", "Payloads of a serial line that lack their end.");
const RADIO_QUEUE: Family =
    Family::new("radio_queue", "Packets that wait in a radio for the recorder.").in_unit("packets");
const DEGRADED: Family =
    Family::new("radio_degraded", "1 while the status has a note about a radio that receives, else 0.");
const FAILING: Family = Family::new("radio_failing", "1 while a radio does not receive, or its queue is full, else 0.");
const DISK_FREE: Family =
    Family::new("disk_free", "Free space for an ordinary user on the disk with the log.").in_unit("bytes");
const DISK_NEEDED: Family =
    Family::new("disk_needed", "Free space below which no payload is accepted.").in_unit("bytes");

/// The parts that are read at each scrape.
#[derive(Debug)]
struct BarnMetrics {
    health: Health,
    recorder: Recorder,
    sync_stats: SyncStats,
}

/// Returns the route, for keys of scope read and for this machine without a key. `times` covers the whole router.
pub fn router(
    ingest: &Ingest,
    health: &Health,
    sync_stats: &SyncStats,
    times: &RequestTimes,
    connections: &Connections,
    authenticator: Arc<dyn Authenticator>,
) -> Router {
    let barn =
        BarnMetrics { health: health.clone(), recorder: ingest.recorder.clone(), sync_stats: sync_stats.clone() };
    let process = ProcessMetrics::new("herdlinxd", env!("CARGO_PKG_VERSION"));
    let routes = service::metrics::router(vec![
        Box::new(process),
        Box::new(barn),
        Box::new(times.clone()),
        Box::new(connections.clone()),
    ]);
    require(authenticator, Scope::Read).protect(routes)
}

impl Collector for BarnMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        // Cloned, because a borrow holds up the writer.
        let status = self.health.recorder.borrow().clone();
        families.gauge(BOOT, status.boot)?;
        encode_stores(&mut families, &[(NO_LABELS, self.health.reader.clone())])?;
        self.encode_recorder(&mut families, &status)?;
        encode_radios(&mut families, &self.health)?;
        let backup: Vec<_> = self.health.backup.report().map(|report| (NO_LABELS, report)).into_iter().collect();
        encode_backups(&mut families, &backup)?;
        encode_deliveries(&mut families, &[(NO_LABELS, self.sync_stats.counts())])?;
        self.encode_disk(&mut families)
    }
}

impl BarnMetrics {
    fn encode_recorder(&self, families: &mut Families<'_>, status: &RecorderStatus) -> fmt::Result {
        let totals = status.totals;
        let times = self.recorder.commit_times();
        families.counter(COMMITS, totals.groups)?;
        families.metric(GROUPS, &times.payloads)?;
        families.metric(COMMIT_TIMES, &times.seconds)?;
        families.gauge(QUEUE, self.recorder.queued())?;
        let outcomes = [
            ("kept", totals.accepted),
            ("rejected", totals.rejected),
            ("duplicate", totals.duplicates),
            ("suppressed", totals.suppressed),
        ];
        families.counters(PAYLOADS, outcomes.map(|(outcome, count)| ([("outcome", outcome)], count)))?;
        families
            .counters(REJECTIONS, status.rejections.iter().map(|(reason, count)| ([("reason", *reason)], *count)))?;
        let refused = self.health.refusals.counts();
        families.counters(REFUSED, refused.into_iter().map(|(code, count)| ([("error", code)], count)))?;
        let duplicates =
            status.duplicates.iter().map(|(channel, stats)| ([("channel", channel.as_str())], stats.count));
        families.counters(DUPLICATES, duplicates)
    }

    fn encode_disk(&self, families: &mut Families<'_>) -> fmt::Result {
        // Without an answer of the file system there is no value; health reports it.
        let space = self.health.disk.space().ok();
        families.gauges(DISK_FREE, space.iter().map(|space| (NO_LABELS, space.free_bytes)))?;
        families.gauges(DISK_NEEDED, space.iter().map(|space| (NO_LABELS, space.needed_bytes)))
    }
}

type RadioCounter = fn(&RadioCounters) -> u64;

fn encode_radios(families: &mut Families<'_>, health: &Health) -> fmt::Result {
    let radios = &health.radios;
    let read: Vec<_> = radios.iter().map(|radio| ([("radio", radio.name.as_str())], radio.counters.read())).collect();
    let counts: [(Family, RadioCounter); 8] = [
        (PACKETS, |counters| counters.received),
        (CRC_ERRORS, |counters| counters.crc_errors),
        (WITHOUT_CRC, |counters| counters.without_crc),
        (MALFORMED, |counters| counters.malformed),
        (RESCUES, |counters| counters.rescued),
        (REBUILDS, |counters| counters.rebuilt),
        (REFRESHES, |counters| counters.refreshed),
        (CUT, |counters| counters.cut),
    ];
    for (family, count) in counts {
        families.counters(family, read.iter().map(|(labels, counters)| (*labels, count(counters))))?;
    }
    let queued = |radio: &RadioHandle| radio.counters.queue().packets as u64;
    families.gauges(RADIO_QUEUE, radios.iter().map(|radio| ([("radio", radio.name.as_str())], queued(radio))))?;
    let degraded = |radio: &RadioHandle| u32::from(health.is_degraded(radio));
    families.gauges(DEGRADED, radios.iter().map(|radio| ([("radio", radio.name.as_str())], degraded(radio))))?;
    let failing = |radio: &RadioHandle| u32::from(health.is_failing(radio));
    families.gauges(FAILING, radios.iter().map(|radio| ([("radio", radio.name.as_str())], failing(radio))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{DiskGauge, DiskSpace};
    use crate::receive::RadioState;
    use crate::test_world::{World, scan};
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use herd::decide::Rules;
    use herd::randomness::SeededRandomness;
    use herd::store::{Incoming, LocalFile};
    use radio::Counters;
    use service::door::keys::KeyRing;
    use service::lifecycle::ShutdownTrigger;
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    /// Catches a metric that is missing, or has the value of another one: an alarm on it would never come.
    #[tokio::test]
    async fn each_metric_has_its_own_value() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let payload = |text: &str| Incoming { raw: text.into(), ..scan(1) };
        let group = ["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF1:UHF1"].map(payload);
        world.recorder.record_all(group.into()).await.unwrap();
        world.recorder.record(payload("noise")).await.unwrap();
        let (_dead, dead) = watch::channel(RadioState::Failing("no chip answers".into()));
        let (_noted, noted) = watch::channel(RadioState::Degraded("no CRC".into()));
        let radio = |name, state| crate::health::tests::radio_handle(name, state, Counters::default());
        let mut health = crate::health::tests::health(&world, vec![radio("dead", &dead), radio("noted", &noted)]);
        health.disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 70, needed_bytes: 30 }));
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = Arc::new(KeyRing::load(local, world.clock.clone(), SeededRandomness::new(1)).unwrap());
        let key = keys.add("office", [Scope::Read].into()).unwrap();
        let shutdown = ShutdownTrigger::default();
        let (stats, times, connections) = (SyncStats::default(), RequestTimes::default(), Connections::default());
        let router = router(&world.ingest(shutdown.signal()), &health, &stats, &times, &connections, keys);
        let request = Request::get("/metrics").header("X-API-Key", key.reveal()).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let text = to_bytes(response.into_body(), 1_000_000).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        for line in [
            "herdlinx_boot 1",
            "herdlinx_head_sequence 4",
            "herdlinx_commits_total 2",
            "herdlinx_commit_group_payloads_count 2",
            "herdlinx_commit_group_payloads_sum 4.0",
            "herdlinx_commit_duration_seconds_count 2",
            "herdlinx_queue_payloads 0",
            "herdlinx_judged_payloads_total{outcome=\"kept\"} 2",
            "herdlinx_judged_payloads_total{outcome=\"rejected\"} 1",
            "herdlinx_judged_payloads_total{outcome=\"duplicate\"} 1",
            "herdlinx_judged_payloads_total{outcome=\"suppressed\"} 0",
            "herdlinx_duplicates_total{channel=\"gate\"} 1",
            "herdlinx_refused_reads_total{error=\"rejected\"} 0",
            "herdlinx_radio_packets_total{radio=\"dead\"} 0",
            "herdlinx_radio_queue_packets{radio=\"noted\"} 0",
            "herdlinx_radio_degraded{radio=\"dead\"} 0",
            "herdlinx_radio_degraded{radio=\"noted\"} 1",
            "herdlinx_radio_failing{radio=\"dead\"} 1",
            "herdlinx_radio_failing{radio=\"noted\"} 0",
            "herdlinx_disk_free_bytes 70",
            "herdlinx_disk_needed_bytes 30",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
