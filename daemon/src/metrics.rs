//! What the barn tells at `/metrics`.

use crate::health::Health;
use crate::ingest::Ingest;
use crate::receive::ListenedRadio;
use crate::recorder::{Recorder, RecorderStatus};
use axum::Router;
use radio::RadioCounters;
use service::door::auth::{Authenticator, require};
use service::door::keys::Scope;
use service::metrics::{
    Collector, DescriptorEncoder, Families, Family, NO_LABELS, ProcessMetrics, RequestTimes, encode_deliveries,
    encode_stores,
};
use service::sync::SyncStats;
use std::fmt;
use std::sync::Arc;

const BOOT: Family = Family::new("boot", "The boot of this machine, counted from 1.");
const COMMITS: Family = Family::new("commits", "Commit groups, those that held nothing new included.");
const GROUPS: Family = Family::new("commit_group", "Payloads that were committed together.").in_unit("payloads");
const COMMIT_TIMES: Family =
    Family::new("commit_duration", "From the first judgement of a group until it was durable and in the tables.")
        .in_unit("seconds");
const QUEUE: Family = Family::new("queue", "Payloads that wait or are being committed.").in_unit("payloads");
const PAYLOADS: Family =
    Family::new("judged", "Payloads that were judged since the start, by what became of them.").in_unit("payloads");
const REJECTIONS: Family = Family::new("rejections", "Payloads kept as rejections since the start, by reason.");
const DUPLICATES: Family =
    Family::new("duplicates", "Payloads that were held already, by channel, over all starts of the process.");
const PACKETS: Family = Family::new("radio_packets", "Packets that a radio handed over.");
const CRC_ERRORS: Family = Family::new("radio_crc_errors", "Packets that a radio dropped for a wrong CRC.");
const MALFORMED: Family =
    Family::new("radio_malformed", "Packets and frames that a radio dropped: without a CRC, overlong, garbage.");
const RESCUES: Family = Family::new("radio_rescues", "Packets found by looking, whose announcement never came.");
const REBUILDS: Family = Family::new("radio_rebuilds", "Times that a radio was set up again from the start.");
const FAILING: Family = Family::new("radio_failing", "1 while a radio does not hear, else 0.");
const DISK_FREE: Family = Family::new("disk_free", "Free for an ordinary user where the log is.").in_unit("bytes");
const DISK_NEEDED: Family = Family::new("disk_needed", "Below so much nothing is taken in.").in_unit("bytes");

/// What is asked at each scrape.
#[derive(Debug)]
struct BarnMetrics {
    health: Health,
    recorder: Recorder,
    deliveries: SyncStats,
}

/// The route, with a key of scope read or from this machine; `times` are those of the whole router.
pub fn router(
    ingest: &Ingest,
    health: &Health,
    deliveries: &SyncStats,
    times: &RequestTimes,
    admits: Arc<dyn Authenticator>,
) -> Router {
    let barn =
        BarnMetrics { health: health.clone(), recorder: ingest.recorder.clone(), deliveries: deliveries.clone() };
    let process = ProcessMetrics::new("herdlinxd", env!("CARGO_PKG_VERSION"));
    let routes = service::metrics::router(vec![Box::new(process), Box::new(barn), Box::new(times.clone())]);
    require(admits, Scope::Read).or_loopback().protect(routes)
}

impl Collector for BarnMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        // Cloned, as what is borrowed here holds the writer up.
        let status = self.health.recorder.borrow().clone();
        families.gauge(BOOT, status.boot)?;
        encode_stores(&mut families, &[(NO_LABELS, self.health.reader.clone())])?;
        self.recorder(&mut families, &status)?;
        radios(&mut families, &self.health.radios)?;
        encode_deliveries(&mut families, &[(NO_LABELS, self.deliveries.counts())])?;
        self.disk(&mut families)
    }
}

impl BarnMetrics {
    fn recorder(&self, families: &mut Families<'_>, status: &RecorderStatus) -> fmt::Result {
        let counts = status.counts;
        let times = self.recorder.commit_times();
        families.counter(COMMITS, counts.groups)?;
        families.metric(GROUPS, &times.payloads)?;
        families.metric(COMMIT_TIMES, &times.seconds)?;
        families.gauge(QUEUE, self.recorder.queued())?;
        let outcomes = [
            ("kept", counts.kept),
            ("rejected", counts.rejected),
            ("duplicate", counts.duplicates),
            ("suppressed", counts.suppressed),
        ];
        families.counters(PAYLOADS, outcomes.map(|(outcome, count)| ([("outcome", outcome)], count)))?;
        families
            .counters(REJECTIONS, status.rejections.iter().map(|(reason, count)| ([("reason", *reason)], *count)))?;
        let duplicates = status.duplicates.iter().map(|(channel, of)| ([("channel", channel.as_str())], of.count));
        families.counters(DUPLICATES, duplicates)
    }

    fn disk(&self, families: &mut Families<'_>) -> fmt::Result {
        // A file system that does not answer has no value here; health says so.
        let room = self.health.disk.room().ok();
        families.gauges(DISK_FREE, room.iter().map(|room| (NO_LABELS, room.free_bytes)))?;
        families.gauges(DISK_NEEDED, room.iter().map(|room| (NO_LABELS, room.needed_bytes)))
    }
}

type CountOfRadio = fn(&RadioCounters) -> u64;

fn radios(families: &mut Families<'_>, radios: &[ListenedRadio]) -> fmt::Result {
    let read: Vec<_> = radios.iter().map(|radio| ([("radio", radio.name.as_str())], radio.counters.read())).collect();
    let counts: [(Family, CountOfRadio); 5] = [
        (PACKETS, |counters| counters.received),
        (CRC_ERRORS, |counters| counters.crc_errors),
        (MALFORMED, |counters| counters.malformed),
        (RESCUES, |counters| counters.rescued),
        (REBUILDS, |counters| counters.rebuilt),
    ];
    for (family, count) in counts {
        families.counters(family, read.iter().map(|(labels, counters)| (*labels, count(counters))))?;
    }
    let failing = |radio: &ListenedRadio| u32::from(radio.state.borrow().why().is_some());
    families.gauges(FAILING, radios.iter().map(|radio| ([("radio", radio.name.as_str())], failing(radio))))
}
