//! The parts of the bench. Each has a time limit, so that the whole ends within minutes on any disk.

use super::floor::Floor;
use super::rows::{Row, Table};
use super::yard::CopyTimeoutError;
use super::{BenchError, Budget, Figures, Sizes, https, lag, large, recorder, replicas, store};
use crate::processes::Programs;
use serde_json::{Map, Value, json};
use service::lifecycle::print_notice;
use std::path::Path;
use std::time::Duration;

/// Time after its limit at which a part is aborted. It then reports nothing else.
const GRACE: Duration = Duration::from_secs(10);

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The recorder without a network: lone payloads, and 100 in flight in chute order and from 100 pens
    Recorder,
    /// A store without a network: append in groups of 1,000, apply in pages of 10,000
    Copies,
    /// One payload at a time, from the request at the barn to the row in the office's tables
    Lag,
    /// Payloads over HTTPS, against the same server without a store
    Https,
    /// The catch-up of an office that was away, with traffic of new animals
    Away,
    /// Append and catch-up with check-ins of random animals of a large herd
    Scattered,
    /// A large store: first copy, memory, pages, starts, tables folded again
    Large,
}

impl Part {
    /// All parts, in the order in which they run.
    pub const ALL: [Self; 7] =
        [Self::Recorder, Self::Copies, Self::Lag, Self::Https, Self::Away, Self::Scattered, Self::Large];

    /// Returns the key of the part in the figures, which is also the name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Copies => "copies",
            Self::Lag => "lag",
            Self::Https => "https",
            Self::Away => "away",
            Self::Scattered => "scattered",
            Self::Large => "large",
        }
    }

    /// Returns the time limit. The sum of all limits, with [`GRACE`], is below twelve minutes.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Lag => 30,
            Self::Recorder | Self::Copies | Self::Https => 50,
            Self::Away => 80,
            Self::Scattered => 110,
            Self::Large => 240,
        })
    }

    async fn measure(self, plan: &Plan<'_>, floor: &Floor) -> Result<Figures, BenchError> {
        let (directory, budget) = (plan.directory.join(self.name()), Budget::new(self.limit()));
        let (programs, sizes) = (plan.programs, &plan.sizes);
        match self {
            Self::Recorder => recorder::recorder(&directory, sizes, floor, budget).await,
            Self::Copies => tokio::task::block_in_place(|| store::copies(&directory, sizes, floor, budget)),
            Self::Lag => lag::lag(programs, &directory, sizes, floor, budget).await,
            Self::Https => https::https(programs, &directory, sizes, floor, budget).await,
            Self::Away => replicas::away(programs, &directory, sizes, floor, budget).await,
            Self::Scattered => replicas::scattered(programs, &directory, sizes, floor, budget).await,
            Self::Large => large::large(programs, &directory, sizes, floor, budget).await,
        }
    }
}

/// The parts to measure, and the programs and the disk to measure.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// A directory on the disk to measure. The bench owns everything in it.
    pub directory: &'a Path,
    /// Number of samples and changes.
    pub sizes: Sizes,
    /// Executables of barn and office.
    pub programs: &'a Programs,
    /// Parts to measure.
    pub parts: &'a [Part],
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The figures of each part, with the floor before it.
    pub figures: Value,
    /// The rows of all parts, in order.
    pub rows: Vec<Row>,
    /// Parts that have an error in place of their figures.
    pub failed: Vec<Part>,
}

/// Measures the parts of a plan, each right after the floor, because a disk that others use changes within a minute.
///
/// Prints the figures of each part to stderr as soon as they are known, and a table of all rows at the end. A part that
/// fails has its error among the figures; the other parts run all the same.
pub async fn run(plan: &Plan<'_>) -> Result<Outcome, BenchError> {
    let mut outcome = Outcome { figures: Value::Null, rows: Vec::new(), failed: Vec::new() };
    let mut figures = Map::new();
    for part in plan.parts {
        // Of the last minute. Figures of a busy machine look like those of a slow one.
        let load = std::fs::read_to_string("/proc/loadavg")?.split(' ').next().map(str::to_owned);
        let floor = tokio::task::block_in_place(|| Floor::measure(plan.directory, plan.sizes.floor))?;
        print_notice(format_args!("{}: at most {} s", part.name(), (part.limit() + GRACE).as_secs()));
        let measuring = tokio::time::timeout(part.limit() + GRACE, part.measure(plan, &floor));
        let mut rows = Vec::new();
        let details = match measuring.await {
            Ok(Ok(figures)) => {
                rows = figures.rows;
                figures.details
            }
            Ok(Err(error)) if error.is::<CopyTimeoutError>() => json!({ "cut_off": error.to_string() }),
            Ok(Err(error)) => {
                outcome.failed.push(*part);
                json!({ "failed": format!("{error:#}") })
            }
            Err(_) => json!({ "cut_off_after_s": (part.limit() + GRACE).as_secs() }),
        };
        let rows_json: Vec<_> = rows.iter().map(Row::to_json).collect();
        print_notice(format_args!("{}: {details}\n{}", part.name(), Table(&rows)));
        figures.insert(
            part.name().to_owned(),
            json!({ "load": load, "floor": floor.to_json(), "rows": rows_json, "details": details }),
        );
        outcome.rows.extend(rows);
        remove_directory(&plan.directory.join(part.name()))?;
    }
    print_notice(format_args!("{}sizes: {:?}", Table(&outcome.rows), plan.sizes));
    outcome.figures = Value::Object(figures);
    Ok(outcome)
}

/// Removes what a part has left, so that the parts together need no more room than the largest one.
fn remove_directory(directory: &Path) -> Result<(), BenchError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
