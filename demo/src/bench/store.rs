//! The store without a network: lone payloads, many in flight, catch-up, first copy, start.

use super::device::Device;
use super::{Samples, ms, rate, ratio, timed};
use daemon::disk::DiskGauge;
use daemon::recorder::{Recorder, RecorderSeams};
use herd::change::Origin;
use herd::clock::{Clock, SystemClock};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{Directory, Incoming, Reader, Receipt, Store};
use radio::simulated::{Payloads, Traffic};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Changes on a page of a catch-up.
const PAGE_CHANGES: usize = 10_000;
/// Bytes on a page of a catch-up.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

type Failed = anyhow::Error;

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
pub async fn recorder_rates(directory: &Path, lone: usize, flood: usize, sync_rate: f64) -> Result<Value, Failed> {
    let (recorder, _writer) = recorder(&directory.join("recorder"))?;
    let device = Device::holding(directory);
    let written = || device.as_ref().map_or(0, Device::written_bytes);
    let mut payloads = chute(1);
    let mut samples = Vec::with_capacity(lone);
    let (before, began) = (written(), Instant::now());
    for payload in payloads.by_ref().take(lone) {
        let sent = Instant::now();
        expect_kept(&recorder.record(incoming(payload)).await?)?;
        samples.push(sent.elapsed());
    }
    let lone_rate = rate(lone as u64, began.elapsed());
    let lone_bytes = (written() - before) / lone as u64;

    let (before, began) = (written(), Instant::now());
    let per_task = flood / 100;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (recorder, own): (_, Vec<_>) = (recorder.clone(), payloads.by_ref().take(per_task).collect());
        tasks.spawn(async move {
            for payload in own {
                expect_kept(&recorder.record(incoming(payload)).await?)?;
            }
            Ok::<_, Failed>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let flood_rate = rate(flood as u64, began.elapsed());
    let flood_bytes = (written() - before) / flood as u64;
    Ok(json!({
        "lone_per_s": lone_rate,
        "lone_of_fdatasync_rate": ratio(lone_rate, sync_rate),
        "lone": Samples::new(samples).to_json(),
        "lone_device_bytes_each": lone_bytes,
        "in_flight_100_per_s": flood_rate,
        "in_flight_100_device_bytes_each": flood_bytes,
    }))
}

fn expect_kept(receipt: &Receipt) -> Result<(), Failed> {
    match receipt {
        Receipt::Kept { .. } => Ok(()),
        other => Err(anyhow::anyhow!("the bench's payload was not kept: {other:?}")),
    }
}

/// A source that holds `changes` changes, filled in groups of a thousand.
pub fn filled(directory: &Path, changes: usize) -> Result<Store, Failed> {
    let mut store = source(directory)?;
    let mut payloads = chute(2);
    let mut left = changes.saturating_sub(1);
    while left > 0 {
        let group: Vec<_> = payloads.by_ref().take(left.min(1_000)).map(incoming).collect();
        left -= group.len();
        for receipt in store.append(&group)? {
            expect_kept(&receipt)?;
        }
    }
    store.settle()?;
    Ok(store)
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

/// Fills a source, copies it, and opens both again.
pub fn copies(directory: &Path, changes: usize) -> Result<Value, Failed> {
    let (source, fill) = timed(|| filled(&directory.join("source"), changes));
    let source = source?;
    let (replica, took) = copy(&source.reader(), &directory.join("replica"))?;
    drop(replica);
    let (reopened, start) = timed(|| {
        let disk = Directory::new(directory.join("replica"))?;
        Store::open_replica(&disk, source.reader().store())
    });
    let reopened = reopened?;
    anyhow::ensure!(reopened.head().position.sequence == Sequence(changes as u64), "the reopened copy is short");
    Ok(json!({
        "changes": changes,
        "fill_in_thousands_per_s": rate(changes as u64, fill),
        "copy_in_process_s": took.as_secs_f64(),
        "copy_in_process_per_s": rate(changes as u64, took),
        "start_after_clean_stop_ms": ms(start),
    }))
}
