//! The state of a process and of its store.

use super::RemoteApi;
use super::duplicates::DuplicateCounts;
use crate::backup::BackupReport;
use herd::clock::iso_utc;
use herd::fold::FOLD_VERSION;
use herd::position::{Digest, Position, Sequence};
use herd::query::{GapView, ReaderEraProposal, TotalsView};
use herd::store::Head;
use herd::wire::{BarnHead, HealthFinding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// State of a process, by its role in the history.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum ProcessState {
    /// The barn, which writes the log.
    Source(SourceState),
    /// An office, which follows it.
    Replica(ReplicaState),
}

/// State of the barn's process.
#[derive(Clone, Debug, Serialize)]
pub struct SourceState {
    /// Seconds since it began to serve.
    pub uptime_s: u64,
    /// The radios, in the order of the settings.
    pub radios: Vec<RadioView>,
    /// The parts that fail, one word each.
    pub failing: Vec<String>,
    /// The parts that fail or need a look, in sentences.
    pub findings: Vec<HealthFinding>,
    /// The nightly backups; `None` if no directory is set.
    pub backup: Option<BackupReport>,
    /// Reads over HTTPS that were refused or rejected since the start, by the code of their answer; none that is 0.
    pub refused_reads: BTreeMap<&'static str, u64>,
    /// Payloads that are queued or in commit.
    pub queued_payloads: usize,
    /// Maximum of `queued_payloads`; further callers block.
    pub queue_payloads: usize,
}

/// Current state of a radio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioView {
    /// The name of the radio.
    pub name: String,
    /// `listening`, `starting`, `failing` or `ended`.
    pub state: String,
    /// Why the radio does not receive, or a note about one that does; each with its remedy. `None` if there is nothing to
    /// say.
    pub why: Option<String>,
    /// Remaining air time for transmissions; `None` if the radio must not transmit or no law limits it.
    pub air_time_left_ms: Option<u64>,
    /// Packets that wait in the radio for the recorder.
    pub queued_packets: usize,
    /// Maximum of `queued_packets`; further packets are lost.
    pub queue_packets: usize,
    /// Counters since the process started.
    pub counts: RadioCounts,
}

/// Counters of a radio since the process started, the same as in the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioCounts {
    /// Packets that the radio delivered.
    pub received: u64,
    /// Packets dropped because of a wrong CRC.
    pub crc_errors: u64,
    /// Packets that were sent without a CRC. They are dropped, unless the settings make the CRC optional.
    pub without_crc: u64,
    /// Packets and frames dropped: empty, too long, garbage, overwritten, or come to a full queue.
    pub malformed: u64,
    /// Packets found by polling, because their interrupt never came.
    pub rescued: u64,
    /// Number of times that the radio was set up again from the start.
    pub rebuilt: u64,
    /// Restarts of an idle receiver, as a precaution after a long silence.
    pub refreshed: u64,
    /// Payloads of a serial line that lack their end. They are delivered with a mark.
    pub cut: u64,
}

/// State of a replica and of its link to the barn.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaState {
    /// `live`, `pulling`, `unwell`, `away`, `stopped`, `copying` or `opening`.
    pub link: &'static str,
    /// Sentence about what fails at the barn by its own report; `None` if nothing does, or that is unknown.
    pub barn_trouble: Option<String>,
    /// The barn's findings about itself; `None` while they are unknown.
    pub barn_findings: Option<Vec<HealthFinding>>,
    /// The office's own nightly backups of the copy; `None` if no directory is set.
    pub backup: Option<BackupReport>,
    /// Number of changes that the copy is behind the barn's last known head.
    pub lag_changes: Option<u64>,
    /// Number of changes that are stored in the copy and not in its tables yet.
    pub unfolded_changes: Option<u64>,
    /// Arrival of the barn's last heartbeat by the office's clock, ISO 8601 in UTC.
    #[serde(rename = "barn_heard_at")]
    pub last_heartbeat_at: Option<String>,
    /// True if barn and office have equal tables; `None` if they could not be compared, or fold in different versions.
    pub digest_equal: Option<bool>,
    /// Fold version of the barn in its last heartbeat.
    pub barn_fold_version: Option<u32>,
    /// Reason why replication is stopped.
    #[serde(rename = "stopped_because")]
    pub stop_reason: Option<String>,
    /// Progress of a copy in the making: changes copied, and their total.
    #[serde(rename = "copied")]
    pub copy_progress: Option<(u64, u64)>,
    /// Progress of opening the complete copy, until it can be served.
    pub opening: Option<OpeningView>,
}

/// Progress of opening a complete copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningView {
    /// The current step, in words.
    pub text: String,
    /// Percentage of the step that is done, if the step is known.
    pub percent: Option<u8>,
}

/// The status response. `timestamp` and the keys from `batches` to `processing_rate` are those of the original.
#[derive(Debug, Serialize)]
pub(super) struct StatusView {
    timestamp: String,
    site: String,
    version: &'static str,
    #[serde(flatten)]
    process: ProcessState,
    barn: BarnHead,
    duplicates: DuplicateCounts,
    /// The store; `None` while there is none to serve.
    #[serde(flatten)]
    store: Option<StoreView>,
}

/// State of a store.
#[derive(Debug, Serialize)]
pub(super) struct StoreView {
    batches: u64,
    /// Animals on the yard.
    cattle: u64,
    total_payloads: u64,
    processed_payloads: u64,
    error_payloads: u64,
    /// Share of events among the stored payloads, for example `98.0%`.
    processing_rate: String,
    position: Position,
    folded: Sequence,
    fold_version: u32,
    fold_digest: Digest,
    /// Reason why the tables are behind the log, if they are.
    blocked: Option<String>,
    totals: TotalsView,
    missed_events: u64,
    /// A page of the missed events; `next` of the response continues it.
    gaps: Vec<GapView>,
    /// Reader groups that seem to count from 1 again.
    reader_era_proposals: Vec<ReaderEraProposal>,
}

impl StatusView {
    pub(super) fn new(api: &dyn RemoteApi, now_us: i64, store: Option<StoreView>) -> Self {
        Self {
            timestamp: iso_utc(now_us),
            site: api.site_name(),
            version: env!("CARGO_PKG_VERSION"),
            process: api.state(),
            barn: api.barn_head(),
            duplicates: DuplicateCounts::new(api),
            store,
        }
    }
}

impl StoreView {
    pub(super) fn new(
        head: Head,
        totals: TotalsView,
        gaps: Vec<GapView>,
        reader_era_proposals: Vec<ReaderEraProposal>,
    ) -> Self {
        Self {
            batches: totals.batches,
            cattle: totals.active,
            total_payloads: totals.received,
            processed_payloads: totals.accepted,
            error_payloads: totals.rejected,
            processing_rate: percentage(totals.accepted, totals.received),
            position: head.position,
            folded: head.folded,
            fold_version: FOLD_VERSION,
            fold_digest: head.fold_digest,
            blocked: head.blocked.map(|reason| reason.to_string()),
            missed_events: totals.missed_events,
            totals,
            gaps,
            reader_era_proposals,
        }
    }
}

/// Formats a percentage as the original does: with one decimal, and `0%` if there is nothing to count.
fn percentage(part: u64, of: u64) -> String {
    let (part, of) = (u128::from(part), u128::from(of));
    let tenths = (part * 1_000 + of / 2).checked_div(of);
    tenths.map_or_else(|| "0%".to_owned(), |tenths| format!("{}.{}%", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::percentage;

    /// Catches a rate in another form than the original's, and an overflow at large counts.
    #[test]
    fn a_percentage_has_one_decimal() {
        let texts =
            [(0, 0), (0, 7), (2, 3), (98, 100), (9_999, 10_000), (u64::MAX, u64::MAX)].map(|(n, of)| percentage(n, of));
        assert_eq!(texts, ["0%", "0.0%", "66.7%", "98.0%", "100.0%", "100.0%"]);
    }
}
