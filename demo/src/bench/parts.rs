//! The parts of the bench. Each has a time limit, so that the whole ends within minutes on any disk.

use super::floor::Floor;
use super::peers::{self, Comparison, JetStream, Package, Postgres, Redis};
use super::rows::{Row, Table};
use super::yard::CopyTimeoutError;
use super::{BenchError, Budget, Figures, Sizes, backups, https, lag, large, recorder, replicas, store, times};
use crate::processes::Programs;
use anyhow::Context as _;
use serde_json::{Map, Value, json};
use service::lifecycle::print_notice;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Time after its limit at which a part is aborted. It then reports nothing else.
const GRACE: Duration = Duration::from_secs(10);
/// Change of the floor during a part up to which its ratios mean something.
const STEADY: RangeInclusive<f64> = 0.8..=1.25;
/// Load before the first part up to which the machine counts as quiet. With more, a thread whose sync is done may wait for
/// the next tick of the scheduler: fdatasync took 4 ms instead of 0.2.
const QUIET: f64 = 0.5;

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
    /// A large store: first copy, memory, starts, tables folded again; and every page of a herd of 100,000
    Large,
    /// A backup of a large store under traffic, a restore, and a rebuild from the office
    Backups,
    /// PostgreSQL with logical replication (needs --peers)
    Postgres,
    /// Redis with appendfsync always and a replica (needs --peers)
    Redis,
    /// NATS JetStream with sync always and a mirror (needs --peers)
    Jetstream,
}

impl Part {
    /// The peers. They run only when they are asked for.
    pub const PEERS: [Self; 3] = [Self::Postgres, Self::Redis, Self::Jetstream];
    /// All parts of ours, in the order in which they run.
    pub const OURS: [Self; 8] =
        [Self::Recorder, Self::Copies, Self::Lag, Self::Https, Self::Away, Self::Scattered, Self::Large, Self::Backups];

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
            Self::Backups => "backups",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Jetstream => "jetstream",
        }
    }

    /// Returns the time limit. The sum of all of ours, with [`GRACE`], is below eighteen minutes.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Lag => 30,
            Self::Recorder | Self::Copies | Self::Https => 50,
            Self::Away | Self::Postgres | Self::Redis | Self::Jetstream => 80,
            Self::Scattered => 110,
            Self::Large => 420,
            Self::Backups => 180,
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
            Self::Backups => backups::backups(programs, &directory, sizes, budget).await,
            Self::Postgres => {
                let package = plan.package("postgres", "usr/lib/postgresql/15/bin/postgres")?;
                peers::measure::<Postgres>(&package, &directory, sizes, floor, budget).await
            }
            Self::Redis => {
                let package = plan.package("redis", "usr/bin/redis-server")?;
                peers::measure::<Redis>(&package, &directory, sizes, floor, budget).await
            }
            Self::Jetstream => {
                let package = plan.package("nats", "usr/sbin/nats-server")?;
                peers::measure::<JetStream>(&package, &directory, sizes, floor, budget).await
            }
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
    /// A directory with the unpacked packages of the peers.
    pub peers: Option<&'a Path>,
}

impl Plan<'_> {
    fn package(&self, name: &str, program: &'static str) -> Result<Package, BenchError> {
        let peers = self.peers.context("where are the programs of the peers? Run .ci/peers, or give --peers")?;
        Package::new(&peers.join(name), program)
    }
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
    let mut all = Map::new();
    for part in plan.parts {
        // Of the last minute. Figures of a busy machine look like those of a slow one.
        let load: f64 = std::fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().parse()?;
        if all.is_empty() && load > QUIET {
            print_notice(format_args!("the load of this machine is {load}; do not quote a busy machine"));
        }
        let measure_floor = || tokio::task::block_in_place(|| Floor::measure(plan.directory, plan.sizes.floor));
        let floor = measure_floor()?;
        print_notice(format_args!("{}: at most {} s", part.name(), (part.limit() + GRACE).as_secs()));
        let Figures { rows, details } = measure_or_explain(*part, plan, &floor, &mut outcome.failed).await;
        print_notice(format_args!("{}: {details}\n{}", part.name(), Table(&rows)));
        remove_directory(&plan.directory.join(part.name()))?;
        let drift = times(measure_floor()?.both_ends(50), floor.both_ends(50));
        if !STEADY.contains(&drift) {
            print_notice(format_args!(
                "{}: the floor became {drift} times as slow; do not quote this part",
                part.name()
            ));
        }
        let rows_json: Vec<_> = rows.iter().map(Row::to_json).collect();
        let figures = json!({
            "load": load, "floor": floor.to_json(), "floor_drift": drift, "rows": rows_json, "details": details,
        });
        all.insert(part.name().to_owned(), figures);
        outcome.rows.extend(rows);
    }
    print_notice(format_args!("{}sizes: {:?}", Table(&outcome.rows), plan.sizes));
    if plan.parts.iter().any(|part| Part::PEERS.contains(part)) {
        print_notice(Comparison(&outcome.rows));
        all.insert("comparison".into(), Comparison(&outcome.rows).to_json());
    }
    outcome.figures = Value::Object(all);
    Ok(outcome)
}

/// Measures a part. If that fails or takes too long, returns the reason as its details.
async fn measure_or_explain(part: Part, plan: &Plan<'_>, floor: &Floor, failed: &mut Vec<Part>) -> Figures {
    let details = match tokio::time::timeout(part.limit() + GRACE, part.measure(plan, floor)).await {
        Ok(Ok(figures)) => return figures,
        Ok(Err(error)) if error.is::<CopyTimeoutError>() => json!({ "cut_off": error.to_string() }),
        Ok(Err(error)) => {
            failed.push(part);
            json!({ "failed": format!("{error:#}") })
        }
        Err(_) => json!({ "cut_off_after_s": (part.limit() + GRACE).as_secs() }),
    };
    Figures { rows: Vec::new(), details }
}

/// Removes what a part has left, so that the parts together need no more room than the largest one.
fn remove_directory(directory: &Path) -> Result<(), BenchError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
