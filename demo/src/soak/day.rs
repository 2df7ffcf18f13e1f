//! A day of payloads with the office away for most of it, and a slow link afterwards.

use super::fill::SimulatedYard;
use super::pair::{End, NewPair, Pair, Place};
use super::samples::{MEMORY_BOUND_BYTES, Sample, Sampler, Stretch, growth_faults};
use super::tables::size_table;
use super::transfer::{Meter, Transfer, transfer_table};
use super::{Outcome, SoakError};
use crate::bench::memory::{Memory, mib};
use crate::processes::Programs;
use herd::store::grouped;
use service::harness::NarrowSettings;
use service::lifecycle::ShutdownTrigger;
use std::path::Path;
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

/// Payloads of a day: two a second.
const PAYLOADS: usize = 172_800;
/// Payloads of the last 20 hours.
const AWAY_PAYLOADS: usize = 144_000;
/// Time between two payloads.
const PAYLOAD_INTERVAL: Duration = Duration::from_millis(500);
/// The link after the office is back.
const SLOW: NarrowSettings = NarrowSettings::rate(30_000);
/// Maximum time of the first copy, over a link without limit.
const FIRST_LIMIT: Duration = Duration::from_secs(120);
/// Maximum time of the catch-up. The link carries 81 MB in it.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(45 * 60);
/// Time of the samples after the catch-up.
const QUIET: Duration = Duration::from_secs(30);

/// Runs the day.
pub(super) async fn day(programs: &Programs, directory: &Path) -> Result<Outcome, SoakError> {
    let (new, mut yard) = (NewPair::create(programs, directory)?, SimulatedYard::new(1, PAYLOAD_INTERVAL));
    let state_dir = new.barn.state_dir().to_owned();
    block_in_place(|| yard.record(&state_dir, PAYLOADS - AWAY_PAYLOADS))?;
    let mut pair = new.start(NarrowSettings::OPEN).await?;
    let meter = Meter::start(&pair);
    pair.pair("office-1").await?;
    let first = meter.watch(&mut pair, "first copy", FIRST_LIMIT).await?;
    let mut faults: Vec<_> = first.fault("the first copy", FIRST_LIMIT).into_iter().collect();
    for place in [Place::Office, Place::Barn] {
        faults.extend(pair.end(place, End::Stop).await?);
    }
    let before = own_memory();
    block_in_place(|| yard.record(&state_dir, AWAY_PAYLOADS))?;
    let recording = format!(
        "The {} payloads of the last 20 hours were recorded without the office, on a simulated clock. Anonymous memory of the \
         program that did so: {} MiB before, {} MiB after.\n\n",
        grouped(AWAY_PAYLOADS as u64),
        mib(before),
        mib(own_memory()),
    );
    if own_memory() > before + MEMORY_BOUND_BYTES {
        faults.push(format!("the program that recorded the day kept more than {} MiB", mib(MEMORY_BOUND_BYTES)));
    }

    pair.link.set(SLOW);
    pair.start(Place::Barn).await?;
    let (then, samples, took) = catch_up(&mut pair).await?;
    faults.extend(then.fault("the catch-up", CATCH_UP_LIMIT));
    faults.extend(pair.judge(FIRST_LIMIT).await);
    let stretches = Stretch::split(&samples, took, took);
    faults.extend(growth_faults(&stretches, 0));
    let rows = vec![
        first.row("no limit", "first copy", first.head),
        then.row("30 kB/s", "catch-up after 20 h", then.head.saturating_sub(first.head)),
    ];
    Ok(Outcome { text: [recording, transfer_table(rows), size_table(&stretches)].concat(), faults })
}

/// Starts the office, and waits until it has caught up. Returns the samples of both processes, and the time of the
/// catch-up, too.
async fn catch_up(pair: &mut Pair) -> Result<(Transfer, Vec<Sample>, Duration), SoakError> {
    let (meter, start, shutdown) = (Meter::start(pair), Instant::now(), ShutdownTrigger::default());
    pair.start(Place::Office).await?;
    let sampling = tokio::spawn(Sampler::new(pair).run(shutdown.signal(), |_| ()));
    let transfer = meter.watch(pair, "catch-up", CATCH_UP_LIMIT).await?;
    let took = start.elapsed();
    sleep(QUIET).await;
    shutdown.request();
    let samples = sampling.await.map_err(SoakError::panicked)?;
    Ok((transfer, samples, took))
}

/// Returns the anonymous memory of this process.
fn own_memory() -> u64 {
    Memory::of(Some(std::process::id())).map_or(0, |memory| memory.anonymous_bytes)
}
