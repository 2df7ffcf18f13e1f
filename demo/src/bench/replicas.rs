//! Copies over TLS between real processes: a first copy, and the catch-up of an office that was away.

use super::memory::{Memory, mib};
use super::yard::{self, Yard};
use super::{BenchError, Budget, Samples, Sizes, lag, ms, rate, store};
use crate::processes::Programs;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time without requests before the memory of the processes is read.
const IDLE: Duration = Duration::from_secs(3);
/// Number of starts of each kind. The figures show their median.
const STARTS: usize = 3;

/// Measures a first copy, and then the catch-up with the same number of changes from while the office was away.
pub async fn away(programs: &Programs, directory: &Path, sizes: &Sizes, budget: Budget) -> Result<Value, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let (first, stored) = first_copy(&mut yard, 7, sizes.behind, budget.share(50)).await?;
    yard.office.terminate().await?;
    yard.barn.terminate().await?;
    let filling = budget.share(50);
    let behind = tokio::task::block_in_place(|| yard::fill(&yard.barn, 8, sizes.behind, filling))?;
    yard.barn.start().await?;
    let start = Instant::now();
    yard.office.start().await?;
    let answering = start.elapsed();
    let elapsed = yard.wait_until_equal(budget).await?.duration_since(start);
    Ok(json!({
        "first_copy": first,
        "catch_up": {
            "from": "the start of the office's process",
            "changes_behind": behind,
            "held_before": stored,
            "office_answers_after_ms": ms(answering),
            "took_ms": ms(elapsed),
            "per_s": rate(behind as u64, elapsed),
            "digests_equal": true,
            "cut_short": behind < sizes.behind,
        },
    }))
}

/// Measures a large first copy, and the memory and the start of processes with stores of that size.
pub async fn large(programs: &Programs, directory: &Path, sizes: &Sizes, budget: Budget) -> Result<Value, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let (copy, stored) = first_copy(&mut yard, 9, sizes.large, budget.share(75)).await?;
    tokio::time::sleep(IDLE).await;
    let (barn, office) = (Memory::of(yard.barn.pid())?, Memory::of(yard.office.pid())?);
    Ok(json!({
        "first_copy": copy,
        "changes_held": stored,
        "idle_after_copy_barn_mib": mib(barn.resident_bytes),
        "idle_after_copy_office_mib": mib(office.resident_bytes),
        "starts": starts(&mut yard, budget).await?,
    }))
}

/// Fills the barn's store, starts both processes, pairs them, and waits until the office shows a complete copy.
async fn first_copy(yard: &mut Yard, seed: u64, changes: usize, budget: Budget) -> Result<(Value, usize), BenchError> {
    // A copy takes about 0.6 of the time of the fill, and the office shows it only once it is complete. Half of the
    // budget is therefore always enough for it.
    let filling = budget.share(50);
    let start = Instant::now();
    let stored = tokio::task::block_in_place(|| yard::fill(&yard.barn, seed, changes, filling))?;
    let fill = start.elapsed();
    yard.barn.start().await?;
    yard.office.start().await?;
    let line = yard.barn.pair()?;
    let start = Instant::now();
    yard.office.add(&line)?;
    let added = start.elapsed();
    let elapsed = yard.wait_until_equal(budget).await?.duration_since(start);
    let (barn, office) = (Memory::of(yard.barn.pid())?, Memory::of(yard.office.pid())?);
    let figures = json!({
        "from": "the start of the office's command `add`, a process of its own",
        "changes": stored,
        "filled_in_process_per_s": rate(stored as u64, fill),
        "add_command_ms": ms(added),
        "took_ms": ms(elapsed),
        "per_s": rate(stored as u64, elapsed),
        "digests_equal": true,
        "barn_peak_mib": mib(barn.peak_bytes),
        "office_peak_mib": mib(office.peak_bytes),
        "cut_short": stored < changes,
    });
    Ok((figures, stored))
}

/// Measures starts after clean shutdowns and after kills, and the memory right after a start.
async fn starts(yard: &mut Yard, budget: Budget) -> Result<Value, BenchError> {
    let clean = [barn_starts(yard, false, budget).await?, office_starts(yard, false, budget).await?];
    tokio::time::sleep(IDLE).await;
    let (barn, office) = (Memory::of(yard.barn.pid())?, Memory::of(yard.office.pid())?);
    let killed = [barn_starts(yard, true, budget).await?, office_starts(yard, true, budget).await?];
    let [clean_barn, clean_office] = clean.map(|samples| samples.to_json());
    let [killed_barn, killed_office] = killed.map(|samples| samples.to_json());
    Ok(json!({
        "until": "the control socket answers `status`, polled every 10 ms",
        "barn_after_clean_stop": clean_barn,
        "office_after_clean_stop": clean_office,
        "barn_after_kill": killed_barn,
        "office_after_kill": killed_office,
        "idle_after_start_barn_mib": mib(barn.resident_bytes),
        "idle_after_start_office_mib": mib(office.resident_bytes),
        "cut_short": budget.is_spent(),
    }))
}

async fn barn_starts(yard: &mut Yard, kill: bool, budget: Budget) -> Result<Samples, BenchError> {
    let mut samples = Vec::new();
    let mut payloads = store::chute(10);
    let poster = yard.barn.client(&yard.barn.key(if kill { "kill" } else { "stop" }, &["ingest"])?)?;
    while samples.len() < STARTS && (samples.is_empty() || !budget.is_spent()) {
        if kill {
            // After a kill, only a process that has written leaves something to repair.
            lag::post(&poster, payloads.next().unwrap_or_default()).await?;
            yard.barn.kill();
        } else {
            yard.barn.terminate().await?;
        }
        let start = Instant::now();
        yard.barn.start().await?;
        samples.push(start.elapsed());
    }
    Ok(Samples::new(samples))
}

async fn office_starts(yard: &mut Yard, kill: bool, budget: Budget) -> Result<Samples, BenchError> {
    let mut samples = Vec::new();
    while samples.len() < STARTS && (samples.is_empty() || !budget.is_spent()) {
        if kill {
            yard.office.kill();
        } else {
            yard.office.terminate().await?;
        }
        let start = Instant::now();
        yard.office.start().await?;
        samples.push(start.elapsed());
    }
    Ok(Samples::new(samples))
}
