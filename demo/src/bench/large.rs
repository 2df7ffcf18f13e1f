//! A large store: its first copy, the memory and the starts of its processes, its tables folded again, and the pages of a large
//! herd.

use super::floor::Floor;
use super::https::{ARRAY_PAYLOADS, arrays};
use super::lag::RECEIVE_PATH;
use super::memory::{Memory, mib};
use super::pages::pages;
use super::replicas::{IDLE, first_copy};
use super::rows::Row;
use super::store::source;
use super::traffic::in_chute_order;
use super::yard::{self, Yard};
use super::{BenchError, Budget, Figures, Samples, Sizes, ms, timed};
use crate::processes::Programs;
use herd::store::TABLES_FILE;
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use tokio::task::block_in_place;

/// Number of starts of each kind. The rows show their median.
const STARTS: usize = 3;
/// Number of payloads that arrive before a kill. Only a process that has written leaves something to repair.
const BEFORE_KILL: usize = 2_000;
/// Goal for the peak of each side during a first copy, above idle.
const COPY_MIB: f64 = 64.0;
/// Goal for the idle memory of each side after a first copy.
const AFTER_COPY_MIB: f64 = 32.0;

/// Ids and names of the rows about idle memory after the first copy.
const AFTER_COPY: [RowName; 4] = [
    ("idle_copied_barn_mib", "idle memory after the copy, daemon"),
    ("idle_copied_office_mib", "idle memory after the copy, mirror"),
    ("idle_copied_barn_anon_mib", "anonymous memory after the copy, daemon"),
    ("idle_copied_office_anon_mib", "anonymous memory after the copy, mirror"),
];
/// Ids and names of the rows about idle memory after a start.
const AFTER_START: [RowName; 4] = [
    ("idle_barn_mib", "idle memory after a start, daemon"),
    ("idle_office_mib", "idle memory after a start, mirror"),
    ("idle_barn_anon_mib", "anonymous memory after a start, daemon"),
    ("idle_office_anon_mib", "anonymous memory after a start, mirror"),
];

/// Id and name of a row.
type RowName = (&'static str, &'static str);

/// The end of a process before it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Terminated,
    Killed,
}

/// Measures the first copy of a large store, and all that depends on the size of a store.
pub async fn large(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let payloads = in_chute_order(12, sizes.large, 0.0);
    let filled = block_in_place(|| yard::fill(&yard.barn, payloads, budget.share(20)))?;
    let copy = first_copy(&mut yard, filled.payloads, budget.share(30)).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
    let bulk_s = copy.changes as f64 / filled.bulk_per_s(floor);
    let mut rows = vec![
        Row::new("first_copy_s", "first copy of the large store", copy.took.as_secs_f64(), "s")
            .over("bulk over TLS into a file", bulk_s)
            .at_most(3.0),
        Row::new("copy_barn_mib", "first copy, barn's peak above idle", copy.barn_above_idle_mib, "MiB")
            .at_most(COPY_MIB),
        Row::new("copy_office_mib", "first copy, office's peak above idle", copy.office_above_idle_mib, "MiB")
            .at_most(COPY_MIB),
    ];
    rows.extend(idle(&yard, AFTER_COPY, [AFTER_COPY_MIB; 2]).await?);
    rows.extend(starts(&mut yard, budget).await?);
    let cut_short = filled.payloads < sizes.large || budget.is_spent();
    if !budget.is_spent() {
        yard.office.terminate().await?;
        yard.barn.terminate().await?;
        rows.push(block_in_place(|| refold(&yard))?);
    }
    drop(yard);
    let pages = pages(programs, &directory.join("season"), sizes, floor, budget).await?;
    rows.extend(pages.rows);
    let details = json!({
        "filled_in_process_per_s": filled.per_s(),
        "first_copy": copy.to_json(),
        "pages": pages.details,
        "start": "daemon: until the control socket answers `status`, which is after the log is open; mirror: until its copy is \
                  open, too. Polled every 10 ms",
        "payloads_before_a_kill": BEFORE_KILL,
        "cut_short": cut_short,
    });
    Ok(Figures { rows, details })
}

/// Measures the memory of barn and office after a time without requests.
///
/// Without `--shipped`, both run the executable of the bench, which is larger than a shipped program, and its pages are most
/// of the resident memory. So anonymous memory has rows of its own.
async fn idle(yard: &Yard, names: [RowName; 4], goals: [f64; 2]) -> Result<[Row; 4], BenchError> {
    tokio::time::sleep(IDLE).await;
    let (barn, office) = (Memory::of(yard.barn.pid())?, Memory::of(yard.office.pid())?);
    let row = |at: usize, bytes: u64| Row::new(names[at].0, names[at].1, mib(bytes), "MiB");
    Ok([
        row(0, barn.resident_bytes).at_most(goals[0]),
        row(1, office.resident_bytes).at_most(goals[1]),
        row(2, barn.anonymous_bytes),
        row(3, office.anonymous_bytes),
    ])
}

/// Measures starts after clean shutdowns and after kills, and the memory after a start.
async fn starts(yard: &mut Yard, budget: Budget) -> Result<Vec<Row>, BenchError> {
    let clean = starts_after(yard, End::Terminated, budget).await?;
    let memory = idle(yard, AFTER_START, [12.0, 16.0]).await?;
    let killed = starts_after(yard, End::Killed, budget).await?;
    let row = |id, name, samples: &Samples, goal| Row::new(id, name, ms(samples.percentile(50)), "ms").at_most(goal);
    let mut rows = vec![
        row("start_barn_clean_ms", "start after a clean stop, daemon", &clean[0], 100.0),
        row("start_office_clean_ms", "start after a clean stop, mirror", &clean[1], 100.0),
        row("start_barn_killed_ms", "start after a kill, daemon", &killed[0], 300.0),
        row("start_office_killed_ms", "start after a kill, mirror", &killed[1], 300.0),
    ];
    rows.extend(memory);
    Ok(rows)
}

/// Measures starts of the barn and of the office.
async fn starts_after(yard: &mut Yard, end: End, budget: Budget) -> Result<[Samples; 2], BenchError> {
    let poster = yard.barn.client(&yard.barn.key(if end == End::Killed { "kill" } else { "stop" }, &["ingest"])?)?;
    let mut bodies = arrays(in_chute_order(13, BEFORE_KILL * STARTS, 0.0))?.into_iter();
    let (mut barn, mut office) = (Vec::new(), Vec::new());
    while barn.len() < STARTS && (barn.is_empty() || !budget.is_spent()) {
        if end == End::Killed {
            for body in bodies.by_ref().take(BEFORE_KILL / ARRAY_PAYLOADS) {
                poster.post_bytes(RECEIVE_PATH, body).await?.expect(200)?;
            }
            yard.wait_until_equal(budget).await?;
            yard.barn.kill();
            yard.office.kill();
        } else {
            yard.barn.terminate().await?;
            yard.office.terminate().await?;
        }
        let start = Instant::now();
        yard.barn.start().await?;
        barn.push(start.elapsed());
        let start = Instant::now();
        yard.office.start().await?;
        office.push(yard.wait_until_shown(budget).await?.duration_since(start));
        yard.wait_until_equal(budget).await?;
    }
    Ok([barn, office].map(Samples::new))
}

/// Measures the start of a store whose tables are gone, as after an upgrade that writes other tables.
fn refold(yard: &Yard) -> Result<Row, BenchError> {
    std::fs::remove_file(yard.barn.state_dir().join(TABLES_FILE))?;
    let (opened, elapsed) = timed(|| source(yard.barn.state_dir()));
    let head = opened?.head();
    anyhow::ensure!(head.folded == head.position.sequence, "the tables were not folded to the end of the log");
    Ok(Row::new("refold_s", "tables folded again, the large store", elapsed.as_secs_f64(), "s").at_most(3.0))
}
