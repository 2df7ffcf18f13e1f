//! Stores without a network: made, filled, copied and opened in this process.

use super::floor::{Floor, PAGE_BYTES};
use super::rows::Row;
use super::traffic::in_chute_order;
use super::{BenchError, Budget, Figures, Sizes, ms, rate, timed};
use herd::change::Origin;
use herd::clock::{Clock, SystemClock};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{Directory, Incoming, Reader, Receipt, Store};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Maximum number of changes on a page of a copy.
pub const PAGE_CHANGES: usize = 10_000;
/// Identity of the sources that the bench makes.
pub const SOURCE_ID: StoreId = StoreId([7; 16]);
/// Number of payloads in a commit while a store is filled.
pub const FILL_GROUP: usize = 1_000;

/// Returns a payload as a radio would deliver it now.
pub fn incoming(raw: Vec<u8>) -> Incoming {
    Incoming { raw, origin: origin(), at: SystemClock::default().read() }
}

/// Returns the origin of every payload of the bench: a radio with a good signal.
pub fn origin() -> Origin {
    Origin {
        channel: "radio1".into(),
        rssi_dbm: Some(-87),
        snr_quarter_db: Some(30),
        frequency_error_hz: Some(-512),
        reader_group: "main".into(),
        reader_era: 0,
    }
}

/// Accepts a rejection, too, which is as durable: senders overtake each other, so a tag may be removed before it was
/// attached.
pub fn expect_durable(receipt: &Receipt) -> Result<(), BenchError> {
    match receipt {
        Receipt::Rejected { .. } => Ok(()),
        other => expect_kept(other),
    }
}

/// Returns an error unless the payload was recorded as an event.
pub fn expect_kept(receipt: &Receipt) -> Result<(), BenchError> {
    match receipt {
        Receipt::Kept { .. } => Ok(()),
        other => Err(anyhow::anyhow!("a payload of the bench was not recorded: {other:?}")),
    }
}

/// Opens or creates a source in `directory`.
pub fn source(directory: &Path) -> Result<Store, BenchError> {
    let clock = SystemClock::default().read().in_boot(1);
    Ok(Store::open_source(&Directory::new(directory)?, Rules::default(), clock, || SOURCE_ID)?)
}

/// The outcome of filling a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill {
    /// Number of payloads, which is also that of the changes.
    pub payloads: usize,
    /// Time in the store, without that for making the payloads.
    pub elapsed: Duration,
    /// Mean size of the last changes in the log.
    pub change_bytes: f64,
}

impl Fill {
    /// Returns the payloads per second.
    pub fn per_s(self) -> f64 {
        rate(self.payloads as u64, self.elapsed)
    }

    /// Returns the number of such changes per second that go over TLS into a file.
    pub fn bulk_per_s(self, floor: &Floor) -> f64 {
        (floor.bulk_bytes_per_s / self.change_bytes).round()
    }
}

/// Appends payloads in groups of [`FILL_GROUP`] and makes the tables durable. Stops early if the budget is spent.
pub fn fill(
    store: &mut Store,
    payloads: impl IntoIterator<Item = Vec<u8>>,
    budget: Budget,
) -> Result<Fill, BenchError> {
    let mut payloads = payloads.into_iter();
    let (mut appended, mut elapsed) = (0, Duration::ZERO);
    while !budget.is_spent() {
        let group: Vec<_> = payloads.by_ref().take(FILL_GROUP).map(incoming).collect();
        if group.is_empty() {
            break;
        }
        let (receipts, took) = timed(|| store.append(&group));
        for receipt in receipts? {
            expect_kept(&receipt)?;
        }
        (appended, elapsed) = (appended + group.len(), elapsed + took);
    }
    let (settled, took) = timed(|| store.settle());
    settled?;
    Ok(Fill { payloads: appended, elapsed: elapsed + took, change_bytes: change_bytes(&store.reader())? })
}

/// Copies the source of `from` into an empty replica, page by page. Each page is durable before the next.
pub fn copy(from: &Reader, directory: &Path) -> Result<(Store, Duration), BenchError> {
    let mut replica = Store::open_replica(&Directory::new(directory)?, from.store())?;
    let start = Instant::now();
    let end = from.head().position.sequence;
    while replica.head().position.sequence < end {
        let run = from.run_after(replica.head().position, PAGE_CHANGES, PAGE_BYTES)?;
        replica.apply(run)?;
    }
    replica.settle()?;
    let elapsed = start.elapsed();
    anyhow::ensure!(replica.head() == from.head(), "the copy differs from its source");
    Ok((replica, elapsed))
}

/// Returns the mean size of the last changes of a log, at most a page of them.
fn change_bytes(of: &Reader) -> Result<f64, BenchError> {
    let head = of.head().position.sequence;
    let start = Sequence(head.0.saturating_sub(PAGE_CHANGES as u64));
    let start = of.position_at(start)?.ok_or_else(|| anyhow::anyhow!("the log has no change {start}"))?;
    let run = of.run_after(start, PAGE_CHANGES, PAGE_BYTES)?;
    let bytes: usize = run.changes.iter().map(<[u8]>::len).sum();
    #[expect(clippy::cast_precision_loss, reason = "a page is far below 2^52 bytes")]
    Ok(bytes as f64 / run.changes.len().max(1) as f64)
}

/// Measures the fill of a source, a copy of it without a network, and a start of the copy.
pub fn copies(directory: &Path, sizes: &Sizes, floor: &Floor, budget: Budget) -> Result<Figures, BenchError> {
    let payloads = in_chute_order(4, sizes.behind, 0.0);
    let mut source = source(&directory.join("source"))?;
    let filled = fill(&mut source, payloads, budget.share(50))?;
    let stored = source.head().position.sequence.0;
    let (replica, elapsed) = copy(&source.reader(), &directory.join("replica"))?;
    drop(replica);
    let (reopened, opening) = timed(|| {
        let disk = Directory::new(directory.join("replica"))?;
        Store::open_replica(&disk, source.reader().store())
    });
    anyhow::ensure!(
        reopened?.head().position == source.head().position,
        "the copy differs from its source after it was opened again"
    );
    let bulk = filled.bulk_per_s(floor);
    let rows = vec![
        Row::new("append_per_s", "append x1,000, new traffic, one process", filled.per_s(), "/s")
            .over("bulk over TLS into a file", bulk),
        Row::new("apply_per_s", "apply x10,000, new traffic, one process", rate(stored, elapsed), "/s")
            .over("bulk over TLS into a file", bulk),
    ];
    let details = json!({
        "changes": stored,
        "copy_s": elapsed.as_secs_f64(),
        "open_after_clean_stop_ms": ms(opening),
        "cut_short": filled.payloads < sizes.behind,
    });
    Ok(Figures { rows, details })
}
