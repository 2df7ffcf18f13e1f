//! Copies over TLS between real processes: a first copy, and the catch-up of an office that was away.

use super::floor::Floor;
use super::memory::{Memory, mib};
use super::rows::Row;
use super::traffic::{PAYLOADS_PER_HEAD, in_chute_order, large_herd, scattered_check_ins};
use super::yard::{self, Yard};
use super::{BenchError, Budget, Figures, Sizes, ms, rate};
use crate::processes::Programs;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// Time without requests before the memory of a process counts as idle. After a copy, the office flushes its tables for a
/// second or two. It gives free memory back before that or after it, and at the latest ten seconds later what that has freed:
/// after five seconds it had given all of it back in three of ten runs.
pub const IDLE: Duration = Duration::from_secs(20);

/// A first copy.
#[derive(Clone, Copy, Debug)]
pub struct FirstCopy {
    /// Number of changes.
    pub changes: usize,
    /// Time from the start of the office's command `add`, a process of its own, until the office equals the barn.
    pub took: Duration,
    /// Time until that command had ended.
    added: Duration,
    /// Peak of the barn above what it had before, MiB.
    pub barn_above_idle_mib: f64,
    /// Peak of the office above what it had before, MiB.
    pub office_above_idle_mib: f64,
}

impl FirstCopy {
    /// Returns the changes per second.
    pub fn per_s(&self) -> f64 {
        rate(self.changes as u64, self.took)
    }

    /// Returns the figures of the copy.
    pub fn to_json(self) -> Value {
        json!({
            "from": "the start of the office's command `add`, a process of its own",
            "changes": self.changes,
            "add_command_ms": ms(self.added),
            "took_ms": ms(self.took),
            "per_s": self.per_s(),
            "digests_equal": true,
        })
    }
}

/// Starts barn and office, pairs them, and waits until the office shows a complete copy of `changes` changes.
pub async fn first_copy(yard: &mut Yard, changes: usize, budget: Budget) -> Result<FirstCopy, BenchError> {
    yard.barn.start().await?;
    yard.office.start().await?;
    let line = yard.barn.pair()?;
    tokio::time::sleep(IDLE).await;
    let idle = [yard.barn.pid(), yard.office.pid()].map(Memory::of);
    Memory::reset_peak(yard.barn.pid())?;
    Memory::reset_peak(yard.office.pid())?;
    let start = Instant::now();
    yard.office.add(&line)?;
    let added = start.elapsed();
    let took = yard.wait_until_equal(budget).await?.duration_since(start);
    let peak = [yard.barn.pid(), yard.office.pid()].map(Memory::of);
    let [barn_idle, office_idle] = idle;
    let [barn_peak, office_peak] = peak;
    let above = |peak: Memory, idle: Memory| mib(peak.peak_bytes.saturating_sub(idle.resident_bytes));
    Ok(FirstCopy {
        changes,
        took,
        added,
        barn_above_idle_mib: above(barn_peak?, barn_idle?),
        office_above_idle_mib: above(office_peak?, office_idle?),
    })
}

/// A catch-up.
#[derive(Clone, Copy, Debug)]
struct CatchUp {
    /// Number of changes that the office lacked.
    behind: usize,
    /// Time from the start of the office's process until it answers.
    answering: Duration,
    /// Time from the start of the office's process until the office equals the barn.
    took: Duration,
}

impl CatchUp {
    fn row(&self, id: &'static str, name: &'static str, bulk: f64) -> Row {
        Row::new(id, name, rate(self.behind as u64, self.took), "/s").over("bulk over TLS into a file", bulk)
    }

    fn to_json(self) -> Value {
        json!({
            "from": "the start of the office's process",
            "changes_behind": self.behind,
            "office_answers_after_ms": ms(self.answering),
            "took_ms": ms(self.took),
            "digests_equal": true,
        })
    }
}

/// Starts the barn and then the office, which lacks `behind` changes.
async fn catch_up(yard: &mut Yard, behind: usize, budget: Budget) -> Result<CatchUp, BenchError> {
    yard.barn.start().await?;
    let start = Instant::now();
    yard.office.start().await?;
    let answering = start.elapsed();
    let took = yard.wait_until_equal(budget).await?.duration_since(start);
    Ok(CatchUp { behind, answering, took })
}

/// Measures the catch-up with traffic of new animals.
pub async fn away(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let held = in_chute_order(9, sizes.held, 0.0);
    let held = block_in_place(|| yard::fill(&yard.barn, held, budget.share(20)))?;
    let first = first_copy(&mut yard, held.payloads, budget.share(40)).await?;
    yard.office.terminate().await?;
    yard.barn.terminate().await?;
    let payloads = in_chute_order(10, sizes.behind, 0.0);
    let behind = block_in_place(|| yard::fill(&yard.barn, payloads, budget.share(50)))?;
    let caught_up = catch_up(&mut yard, behind.payloads, budget).await?;
    let bulk = behind.bulk_per_s(floor);
    let rows = vec![caught_up.row("catch_up_new_per_s", "catch-up, new traffic", bulk).at_least(300_000.0)];
    let details = json!({
        "first_copy": first.to_json(),
        "catch_up": caught_up.to_json(),
        "cut_short": behind.payloads < sizes.behind,
    });
    Ok(Figures { rows, details })
}

/// Measures append and catch-up with check-ins of random animals of a large herd.
pub async fn scattered(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let herd = block_in_place(|| yard::fill(&yard.barn, large_herd(sizes.herd), budget.share(45)))?;
    let heads = herd.payloads / PAYLOADS_PER_HEAD;
    let first = first_copy(&mut yard, herd.payloads, budget.share(60)).await?;
    yard.office.terminate().await?;
    yard.barn.terminate().await?;
    let payloads = scattered_check_ins(11, heads, sizes.scattered);
    let behind = block_in_place(|| yard::fill(&yard.barn, payloads, budget.share(50)))?;
    let bulk = behind.bulk_per_s(floor);
    let caught_up = catch_up(&mut yard, behind.payloads, budget).await?;
    let rows = vec![
        Row::new("append_scattered_per_s", "append x1,000, scattered check-ins, one process", behind.per_s(), "/s")
            .over("bulk over TLS into a file", bulk),
        caught_up.row("catch_up_scattered_per_s", "catch-up, scattered check-ins", bulk).at_least(80_000.0),
    ];
    let details = json!({
        "animals": heads,
        "herd_filled_per_s": herd.per_s(),
        "first_copy": first.to_json(),
        "catch_up": caught_up.to_json(),
        "cut_short": heads < sizes.herd || behind.payloads < sizes.scattered,
    });
    Ok(Figures { rows, details })
}
