//! The store without a network: single payloads, many in flight, copies, and a start.

use super::device::Device;
use super::{BenchError, Budget, Samples, Sizes, ms, rate, ratio, timed};
use daemon::disk::DiskGauge;
use daemon::recorder::{Recorder, RecorderSeams};
use herd::change::Origin;
use herd::clock::{Clock, SystemClock};
use herd::decide::Rules;
use herd::position::StoreId;
use herd::store::{Directory, Incoming, Reader, Receipt, Store};
use radio::simulated::{Payloads, Traffic};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Maximum number of changes on a page of a copy.
pub const PAGE_CHANGES: usize = 10_000;
/// Maximum size of a page of a copy.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Identity of the sources that the bench makes.
pub const SOURCE_ID: StoreId = StoreId([7; 16]);

/// Number of payloads in flight at the recorder, each in its own task.
const IN_FLIGHT: usize = 100;
/// Number of changes in a commit group while a store is filled.
const FILL_GROUP: usize = 1_000;

/// Returns endless traffic of a chute. It is well-formed, so that the limit on rejections does not apply.
pub fn chute(seed: u64) -> Payloads {
    Traffic { seed, malformed: 0.0, ..Traffic::default() }.payloads()
}

/// Returns a payload as a radio would deliver it now.
pub fn incoming(raw: Vec<u8>) -> Incoming {
    Incoming { raw, origin: origin(), at: SystemClock::default().read() }
}

/// Returns the origin of every payload of the bench: a radio with a good signal.
pub fn origin() -> Origin {
    Origin {
        channel: "radio1".to_owned(),
        rssi_dbm: Some(-87),
        snr_quarter_db: Some(30),
        frequency_error_hz: Some(-512),
        reader_group: "main".to_owned(),
        reader_era: 0,
    }
}

/// Opens or creates a source in `directory`.
pub fn source(directory: &Path) -> Result<Store, BenchError> {
    let clock = SystemClock::default().read().in_boot(1);
    Ok(Store::open_source(&Directory::new(directory)?, Rules::default(), clock, || SOURCE_ID)?)
}

fn recorder(directory: &Path) -> Result<(Recorder, daemon::recorder::WriterThread), BenchError> {
    let seams = RecorderSeams { disk: DiskGauge::plenty(), local: None };
    Ok(Recorder::on_thread(source(directory)?, seams)?)
}

/// Measures single payloads, one after the other, and then many in flight, at the recorder.
pub async fn recorder_rates(
    directory: &Path,
    sizes: &Sizes,
    sync_rate: f64,
    budget: Budget,
) -> Result<Value, BenchError> {
    let (recorder, mut writer) = recorder(&directory.join("recorder"))?;
    let meter = Meter::new(directory);
    let mut payloads = chute(1);

    let before = meter.written();
    let (lone, elapsed) = lone(&recorder, payloads.by_ref().take(sizes.lone), budget.share(40)).await?;
    let lone_rate = rate(lone.len() as u64, elapsed);
    let lone_bytes = meter.per_payload(before, lone.len());

    let before = meter.written();
    let start = Instant::now();
    let kept = flood(&recorder, &mut payloads, sizes.flood, budget).await?;
    let elapsed = start.elapsed();
    drop(recorder);
    // The writer makes the tables durable when it ends. Those bytes count, and the time for them does not.
    writer.ended().await?;
    Ok(json!({
        "lone_per_s": lone_rate,
        "lone_of_fdatasync_rate": ratio(lone_rate, sync_rate),
        "lone": lone.to_json(),
        "lone_device_bytes_each": lone_bytes,
        "in_flight": IN_FLIGHT,
        "in_flight_per_s": rate(kept as u64, elapsed),
        "in_flight_device_bytes_each_with_tables": meter.per_payload(before, kept),
        "cut_short": lone.len() < sizes.lone || kept < sizes.flood,
    }))
}

/// Counts bytes written to the block device of a directory, including those of other processes.
struct Meter(Option<Device>);

impl Meter {
    fn new(directory: &Path) -> Self {
        Self(Device::of_path(directory))
    }

    fn written(&self) -> u64 {
        self.0.as_ref().map_or(0, Device::written_bytes)
    }

    fn per_payload(&self, before: u64, count: usize) -> Value {
        match self.0 {
            Some(_) => json!((self.written() - before) / count.max(1) as u64),
            None => json!("not on a block device"),
        }
    }
}

async fn lone(
    recorder: &Recorder,
    payloads: impl Iterator<Item = Vec<u8>>,
    budget: Budget,
) -> Result<(Samples, Duration), BenchError> {
    let (mut samples, start_of_all) = (Vec::new(), Instant::now());
    for payload in payloads {
        let start = Instant::now();
        expect_kept(&recorder.record(incoming(payload)).await?)?;
        samples.push(start.elapsed());
        if budget.is_spent() {
            break;
        }
    }
    Ok((Samples::new(samples), start_of_all.elapsed()))
}

/// Records up to `count` payloads from parallel tasks and returns the number recorded.
async fn flood(
    recorder: &Recorder,
    payloads: &mut Payloads,
    count: usize,
    budget: Budget,
) -> Result<usize, BenchError> {
    let mut tasks = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (recorder, own): (_, Vec<_>) = (recorder.clone(), payloads.take(count / IN_FLIGHT).collect());
        tasks.spawn(async move {
            let mut kept = 0;
            for payload in own {
                expect_durable(&recorder.record(incoming(payload)).await?)?;
                kept += 1;
                if budget.is_spent() {
                    break;
                }
            }
            Ok::<usize, BenchError>(kept)
        });
    }
    let mut kept = 0;
    while let Some(result) = tasks.join_next().await {
        kept += result??;
    }
    Ok(kept)
}

/// Accepts a rejection, too, which is as durable: tasks overtake each other, so a tag may be removed before it was
/// attached.
pub fn expect_durable(receipt: &Receipt) -> Result<(), BenchError> {
    match receipt {
        Receipt::Rejected { .. } => Ok(()),
        other => expect_kept(other),
    }
}

fn expect_kept(receipt: &Receipt) -> Result<(), BenchError> {
    match receipt {
        Receipt::Kept { .. } => Ok(()),
        other => Err(anyhow::anyhow!("a payload of the bench was not recorded: {other:?}")),
    }
}

/// Creates a source with `changes` changes, or fewer if the budget is spent before.
pub fn filled(directory: &Path, changes: usize, budget: Budget) -> Result<Store, BenchError> {
    let mut store = source(directory)?;
    fill(&mut store, 2, changes.saturating_sub(1), budget)?;
    Ok(store)
}

/// Appends `payloads` payloads in groups of a thousand, or fewer if the budget is spent before.
pub fn fill(store: &mut Store, seed: u64, payloads: usize, budget: Budget) -> Result<(), BenchError> {
    let mut chute = chute(seed);
    let mut left = payloads;
    while left > 0 && !budget.is_spent() {
        let group: Vec<_> = chute.by_ref().take(left.min(FILL_GROUP)).map(incoming).collect();
        left -= group.len();
        for receipt in store.append(&group)? {
            expect_kept(&receipt)?;
        }
    }
    Ok(store.settle()?)
}

/// Copies the source of `from` into an empty replica, page by page. Each page is durable before the next.
pub fn copy(from: &Reader, directory: &Path) -> Result<(Store, Duration), BenchError> {
    let mut replica = Store::open_replica(&Directory::new(directory)?, from.store())?;
    let start = Instant::now();
    let end = from.head().position.sequence;
    while replica.head().position.sequence < end {
        let run = from.run_after(replica.head().position, PAGE_CHANGES, PAGE_BYTES)?;
        replica.apply(&run)?;
    }
    replica.settle()?;
    let elapsed = start.elapsed();
    anyhow::ensure!(replica.head() == from.head(), "the copy differs from its source");
    Ok((replica, elapsed))
}

/// Measures the fill of a source, a copy of it without a network, and a start of the copy.
pub fn copies(directory: &Path, changes: usize, budget: Budget) -> Result<Value, BenchError> {
    let (source, fill) = timed(|| filled(&directory.join("source"), changes, budget.share(50)));
    let source = source?;
    let stored = source.head().position.sequence.0;
    let (replica, elapsed) = copy(&source.reader(), &directory.join("replica"))?;
    drop(replica);
    let (reopened, start) = timed(|| {
        let disk = Directory::new(directory.join("replica"))?;
        Store::open_replica(&disk, source.reader().store())
    });
    anyhow::ensure!(
        reopened?.head().position == source.head().position,
        "the copy differs from its source after it was opened again"
    );
    Ok(json!({
        "changes": stored,
        "fill_in_thousands_per_s": rate(stored, fill),
        "copy_in_process_s": elapsed.as_secs_f64(),
        "copy_in_process_per_s": rate(stored, elapsed),
        "open_after_clean_stop_ms": ms(start),
        "cut_short": stored < changes as u64,
    }))
}
