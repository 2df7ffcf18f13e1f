//! What a process is and how it stands.

use super::Remote;
use super::duplicates::Duplicates;
use herd::clock::iso_utc;
use herd::fold::FOLD_VERSION;
use herd::position::{Digest, Position, Sequence};
use herd::query::{GapView, ReaderEraProposal, TotalsView};
use herd::store::Head;
use herd::wire::BarnHead;
use serde::{Deserialize, Serialize};

/// How a process is, by what it is to its history.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Process {
    /// The barn's own: it decides.
    Source(SourceState),
    /// An office's: it follows.
    Replica(ReplicaState),
}

/// How the barn's process is.
#[derive(Clone, Debug, Serialize)]
pub struct SourceState {
    /// Since it began to serve.
    pub uptime_s: u64,
    /// In the order of the settings.
    pub radios: Vec<RadioView>,
    /// The parts that fail, each as a word; empty when all is well.
    pub failing: Vec<String>,
    /// Payloads that wait for their commit or are in it.
    pub queued_payloads: usize,
    /// So many may at most; then whoever delivers waits.
    pub queue_payloads: usize,
}

/// A radio, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioView {
    /// Its name.
    pub name: String,
    /// `listening`, `failing` or `ended`.
    pub state: String,
    /// What is wrong with it and what to do, where something is.
    pub why: Option<String>,
    /// What is left of the air time that the law allows it to transmit for, where it may transmit and the law limits it.
    pub air_time_left_ms: Option<u64>,
    /// What it counted since the start of the process.
    pub counts: RadioCounts,
}

/// What a radio counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioCounts {
    /// Packets that it handed over.
    pub received: u64,
    /// Packets that it dropped for a wrong CRC.
    pub crc_errors: u64,
    /// Packets and frames that it dropped otherwise.
    pub malformed: u64,
    /// Packets found by looking, whose announcement never came.
    pub rescued: u64,
    /// Times that it was set up again from the start.
    pub rebuilt: u64,
}

/// How the following of a barn is.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaState {
    /// `live`, `pulling`, `away`, `stopped` or `copying`.
    pub link: &'static str,
    /// How many changes this copy is behind the barn as it was last heard.
    pub lag_changes: Option<u64>,
    /// When that was by the office's clock, ISO 8601 in UTC.
    pub barn_heard_at: Option<String>,
    /// Whether both made the same tables, where that could be compared.
    pub digest_equal: Option<bool>,
    /// Why it is not followed.
    pub stopped_because: Option<String>,
    /// Of a copy that is being made: changes that came, and how many there are.
    pub copied: Option<(u64, u64)>,
}

/// The answer. The keys from `batches` to `processing_rate` are those of the original, and its `timestamp`.
#[derive(Debug, Serialize)]
pub(super) struct StatusView {
    timestamp: String,
    site: String,
    version: &'static str,
    #[serde(flatten)]
    process: Process,
    barn: BarnHead,
    duplicates: Duplicates,
    /// None while there is no whole copy.
    #[serde(flatten)]
    store: Option<StoreView>,
}

/// What a store holds.
#[derive(Debug, Serialize)]
pub(super) struct StoreView {
    batches: u64,
    /// Animals on the yard.
    cattle: u64,
    total_payloads: u64,
    processed_payloads: u64,
    error_payloads: u64,
    /// Events among what is kept, for example `98.0%`.
    processing_rate: String,
    position: Position,
    folded: Sequence,
    fold_version: u32,
    fold_digest: Digest,
    /// Why the tables stand before the log, where they do.
    blocked: Option<String>,
    totals: TotalsView,
    missed_events: u64,
    /// A page of what was never heard; `next` of the answer goes on in it.
    gaps: Vec<GapView>,
    /// Reader groups that count from 1 again, by the look of it.
    reader_era_proposals: Vec<ReaderEraProposal>,
}

impl StatusView {
    pub(super) fn new(remote: &dyn Remote, now_us: i64, store: Option<StoreView>) -> Self {
        Self {
            timestamp: iso_utc(now_us),
            site: remote.site(),
            version: env!("CARGO_PKG_VERSION"),
            process: remote.process(),
            barn: remote.barn(),
            duplicates: Duplicates::of(remote),
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
            blocked: head.blocked.map(|why| why.to_string()),
            missed_events: totals.missed_events,
            totals,
            gaps,
            reader_era_proposals,
        }
    }
}

/// As the original wrote it: with one decimal, and `0%` of nothing.
fn percentage(part: u64, of: u64) -> String {
    let (part, of) = (u128::from(part), u128::from(of));
    let tenths = (part * 1_000 + of / 2).checked_div(of);
    tenths.map_or_else(|| "0%".to_owned(), |tenths| format!("{}.{}%", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::percentage;

    #[test]
    fn a_rate_has_one_decimal() {
        let told =
            [(0, 0), (0, 7), (2, 3), (98, 100), (9_999, 10_000), (u64::MAX, u64::MAX)].map(|(n, of)| percentage(n, of));
        assert_eq!(told, ["0%", "0.0%", "66.7%", "98.0%", "100.0%", "100.0%"]);
    }
}
