//! The store without a network: lone payloads, many in flight, catch-up, first copy, start.

use super::device::Device;
use super::{Budget, Failed, Samples, Sizes, ms, rate, ratio, timed};
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

/// Changes on a page of a catch-up.
const PAGE_CHANGES: usize = 10_000;
/// Bytes on a page of a catch-up.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Payloads in flight at the Recorder, each in a task of its own.
const IN_FLIGHT: usize = 100;
/// Changes in a group when a store is filled.
const FILL_GROUP: usize = 1_000;

/// Chute traffic without end, all of it well-formed, so that no bound on rejections is met.
pub fn chute(seed: u64) -> Payloads {
    Traffic { seed, malformed: 0.0, ..Traffic::default() }.payloads()
}

/// A payload as a radio would hand it over now.
pub fn incoming(raw: Vec<u8>) -> Incoming {
    let origin = Origin {
        channel: "radio1".to_owned(),
        rssi_dbm: Some(-87),
        snr_quarter_db: Some(30),
        frequency_error_hz: Some(-512),
        reader_group: "main".to_owned(),
        reader_era: 0,
    };
    Incoming { raw, origin, at: SystemClock::default().read() }
}

/// A source in `directory`.
pub fn source(directory: &Path) -> Result<Store, Failed> {
    let clock = SystemClock::default().read().in_boot(1);
    Ok(Store::open_source(&Directory::new(directory)?, Rules::default(), clock, || StoreId([7; 16]))?)
}

fn recorder(directory: &Path) -> Result<(Recorder, daemon::recorder::WriterThread), Failed> {
    let seams = RecorderSeams { disk: DiskGauge::plenty(), local: None };
    Ok(Recorder::on_thread(source(directory)?, seams)?)
}

/// Lone payloads, one after the other, and then many in flight, at the Recorder.
pub async fn recorder_rates(directory: &Path, sizes: &Sizes, sync_rate: f64, budget: Budget) -> Result<Value, Failed> {
    let (recorder, mut writer) = recorder(&directory.join("recorder"))?;
    let meter = Meter::of(directory);
    let mut payloads = chute(1);

    let before = meter.written();
    let (lone, took) = lone(&recorder, payloads.by_ref().take(sizes.lone), budget.share(40)).await?;
    let lone_rate = rate(lone.len() as u64, took);
    let lone_bytes = meter.each(before, lone.len());

    let before = meter.written();
    let began = Instant::now();
    let kept = flood(&recorder, &mut payloads, sizes.flood, budget).await?;
    let took = began.elapsed();
    drop(recorder);
    // The end of the writer makes the tables durable: their bytes count, the time for it does not.
    writer.ended().await?;
    Ok(json!({
        "lone_per_s": lone_rate,
        "lone_of_fdatasync_rate": ratio(lone_rate, sync_rate),
        "lone": lone.to_json(),
        "lone_device_bytes_each": lone_bytes,
        "in_flight": IN_FLIGHT,
        "in_flight_per_s": rate(kept as u64, took),
        "in_flight_device_bytes_each_with_tables": meter.each(before, kept),
        "cut_short": lone.len() < sizes.lone || kept < sizes.flood,
    }))
}

/// What the block device under a directory is told to write; others who write to it meanwhile are counted too.
struct Meter(Option<Device>);

impl Meter {
    fn of(directory: &Path) -> Self {
        Self(Device::holding(directory))
    }

    fn written(&self) -> u64 {
        self.0.as_ref().map_or(0, Device::written_bytes)
    }

    fn each(&self, before: u64, count: usize) -> Value {
        match self.0 {
            Some(_) => json!((self.written() - before) / count.max(1) as u64),
            None => json!("not on a block device of its own"),
        }
    }
}

async fn lone(
    recorder: &Recorder,
    payloads: impl Iterator<Item = Vec<u8>>,
    budget: Budget,
) -> Result<(Samples, Duration), Failed> {
    let (mut samples, began) = (Vec::new(), Instant::now());
    for payload in payloads {
        let sent = Instant::now();
        expect_kept(&recorder.record(incoming(payload)).await?)?;
        samples.push(sent.elapsed());
        if budget.is_spent() {
            break;
        }
    }
    Ok((Samples::new(samples), began.elapsed()))
}

/// Gives how many were kept.
async fn flood(recorder: &Recorder, payloads: &mut Payloads, count: usize, budget: Budget) -> Result<usize, Failed> {
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
            Ok::<usize, Failed>(kept)
        });
    }
    let mut kept = 0;
    while let Some(done) = tasks.join_next().await {
        kept += done??;
    }
    Ok(kept)
}

/// Where tasks overtake each other, a tag may come off before it was put on: a rejection, and kept as durably.
fn expect_durable(receipt: &Receipt) -> Result<(), Failed> {
    match receipt {
        Receipt::Rejected { .. } => Ok(()),
        other => expect_kept(other),
    }
}

fn expect_kept(receipt: &Receipt) -> Result<(), Failed> {
    match receipt {
        Receipt::Kept { .. } => Ok(()),
        other => Err(anyhow::anyhow!("the bench's payload was not kept: {other:?}")),
    }
}

/// A source that holds `changes` changes or, where the time is over before that, fewer.
pub fn filled(directory: &Path, changes: usize, budget: Budget) -> Result<Store, Failed> {
    let mut store = source(directory)?;
    fill(&mut store, 2, changes.saturating_sub(1), budget)?;
    Ok(store)
}

/// Appends so many payloads in groups of a thousand or, where the time is over before that, fewer.
pub fn fill(store: &mut Store, seed: u64, payloads: usize, budget: Budget) -> Result<(), Failed> {
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

/// Copies everything behind `from` into an empty replica, page by page, each page durable.
pub fn copy(from: &Reader, directory: &Path) -> Result<(Store, Duration), Failed> {
    let mut replica = Store::open_replica(&Directory::new(directory)?, from.store())?;
    let began = Instant::now();
    let end = from.head().position.sequence;
    while replica.head().position.sequence < end {
        let run = from.run_after(replica.head().position, PAGE_CHANGES, PAGE_BYTES)?;
        replica.apply(&run)?;
    }
    replica.settle()?;
    let took = began.elapsed();
    anyhow::ensure!(replica.head() == from.head(), "the copy differs from its source");
    Ok((replica, took))
}

/// Fills a source, copies it without a network, and opens the copy again.
pub fn copies(directory: &Path, changes: usize, budget: Budget) -> Result<Value, Failed> {
    let (source, fill) = timed(|| filled(&directory.join("source"), changes, budget.share(50)));
    let source = source?;
    let held = source.head().position.sequence.0;
    let (replica, took) = copy(&source.reader(), &directory.join("replica"))?;
    drop(replica);
    let (reopened, start) = timed(|| {
        let disk = Directory::new(directory.join("replica"))?;
        Store::open_replica(&disk, source.reader().store())
    });
    anyhow::ensure!(reopened?.head().position == source.head().position, "the reopened copy is not the source's");
    Ok(json!({
        "changes": held,
        "fill_in_thousands_per_s": rate(held, fill),
        "copy_in_process_s": took.as_secs_f64(),
        "copy_in_process_per_s": rate(held, took),
        "open_after_clean_stop_ms": ms(start),
        "cut_short": held < changes as u64,
    }))
}
