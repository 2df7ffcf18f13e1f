//! Payloads at the recorder, without a network: one after the other, and a hundred in flight.

use super::device::Device;
use super::floor::Floor;
use super::rows::Row;
use super::store::{expect_durable, expect_kept, incoming, source};
use super::traffic::{Feed, Order, in_chute_order};
use super::{BenchError, Budget, Figures, Samples, Sizes, rate};
use daemon::disk::DiskGauge;
use daemon::recorder::{Recorder, RecorderSeams, WriterThread};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Number of payloads in flight at the recorder, each in its own task.
const IN_FLIGHT: usize = 100;

/// A rate, and the bytes that each payload cost the disk.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    payloads: usize,
    per_s: f64,
    /// Until the writer has ended, and so with its tables. `None` on a file system without a device.
    bytes_each: Option<f64>,
}

/// Measures single payloads, and a hundred in flight in both orders. Each has a store of its own.
pub async fn recorder(directory: &Path, sizes: &Sizes, floor: &Floor, budget: Budget) -> Result<Figures, BenchError> {
    let (samples, lone) = lone(&directory.join("lone"), sizes.lone, budget.share(20)).await?;
    let chute = flood(&directory.join("chute"), 1, Order::Chute, sizes.flood, budget.share(50)).await?;
    let pens = flood(&directory.join("pens"), 2, Order::Pens, sizes.flood, budget).await?;
    let syncs_per_s = floor.syncs_per_s();
    // Nobody can commit more than all that are in flight with one sync.
    let groups_per_s = syncs_per_s * 100.0;
    let mut rows = vec![
        Row::new("lone_per_s", "lone at the recorder", lone.per_s, "/s")
            .over("fdatasync, preallocated", syncs_per_s)
            .ratio_at_least(0.6),
        Row::new("in_flight_chute_per_s", "100 in flight, chute order", chute.per_s, "/s")
            .over("100 each fdatasync", groups_per_s)
            .at_least(90_000.0),
        Row::new("in_flight_pens_per_s", "100 in flight, 100 pens at once", pens.per_s, "/s")
            .over("100 each fdatasync", groups_per_s)
            .at_least(60_000.0),
    ];
    let bytes = [
        ("lone_bytes", "lone, bytes to disk with tables", lone, 8_000.0),
        ("in_flight_chute_bytes", "100 in flight, chute order, bytes to disk with tables", chute, 600.0),
        ("in_flight_pens_bytes", "100 in flight, 100 pens, bytes to disk with tables", pens, 600.0),
    ];
    for (id, name, outcome, goal) in bytes {
        rows.extend(outcome.bytes_each.map(|bytes| Row::new(id, name, bytes, "B").at_most(goal)));
    }
    let details = json!({
        "lone": samples.to_json(),
        "in_flight": IN_FLIGHT,
        "payloads": { "lone": lone.payloads, "chute": chute.payloads, "pens": pens.payloads },
        "cut_short": lone.payloads < sizes.lone || chute.payloads.min(pens.payloads) < sizes.flood,
    });
    Ok(Figures { rows, details })
}

fn start(directory: &Path) -> Result<(Recorder, WriterThread), BenchError> {
    let seams = RecorderSeams { disk: DiskGauge::plenty(), local: None };
    Ok(Recorder::on_thread(source(directory)?, seams)?)
}

/// Ends the writer, which makes the tables durable: those bytes count, and the time for them does not.
async fn end(
    (recorder, mut writer): (Recorder, WriterThread),
    meter: &Meter,
    payloads: usize,
    elapsed: Duration,
) -> Result<Outcome, BenchError> {
    drop(recorder);
    writer.ended().await?;
    let per_s = rate(payloads as u64, elapsed);
    Ok(Outcome { payloads, per_s, bytes_each: meter.bytes_each(payloads) })
}

async fn lone(directory: &Path, count: usize, budget: Budget) -> Result<(Samples, Outcome), BenchError> {
    let payloads = in_chute_order(3, count, 0.0);
    let (recorder, writer) = start(directory)?;
    let (meter, mut samples, start_of_all) = (Meter::start(directory), Vec::with_capacity(count), Instant::now());
    for payload in payloads {
        let start = Instant::now();
        expect_kept(&recorder.record(incoming(payload)).await?)?;
        samples.push(start.elapsed());
        if budget.is_spent() {
            break;
        }
    }
    let elapsed = start_of_all.elapsed();
    let outcome = end((recorder, writer), &meter, samples.len(), elapsed).await?;
    Ok((Samples::new(samples), outcome))
}

/// Records up to `count` payloads from parallel tasks.
async fn flood(directory: &Path, seed: u64, order: Order, count: usize, budget: Budget) -> Result<Outcome, BenchError> {
    let feeds = Feed::split(in_chute_order(seed, count, 0.0), IN_FLIGHT, order);
    let (recorder, writer) = start(directory)?;
    let (meter, start) = (Meter::start(directory), Instant::now());
    let mut tasks = JoinSet::new();
    for feed in feeds {
        let recorder = recorder.clone();
        tasks.spawn(async move {
            let mut kept = 0;
            while !budget.is_spent()
                && let Some(payload) = feed.take()
            {
                expect_durable(&recorder.record(incoming(payload)).await?)?;
                kept += 1;
            }
            Ok::<usize, BenchError>(kept)
        });
    }
    let mut kept = 0;
    while let Some(result) = tasks.join_next().await {
        kept += result??;
    }
    let elapsed = start.elapsed();
    end((recorder, writer), &meter, kept, elapsed).await
}

/// Counts bytes written to the block device of a directory, including those of other processes.
struct Meter(Option<(Device, u64)>);

impl Meter {
    fn start(directory: &Path) -> Self {
        Self(Device::of_path(directory).map(|device| {
            let before = device.written_bytes();
            (device, before)
        }))
    }

    fn bytes_each(&self, payloads: usize) -> Option<f64> {
        let (device, before) = self.0.as_ref()?;
        #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
        let each = (device.written_bytes() - before) as f64 / payloads.max(1) as f64;
        Some(each.round())
    }
}
