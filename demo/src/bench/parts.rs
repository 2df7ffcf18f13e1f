//! The parts of the bench. Each has a time limit, so that the whole ends within minutes on any disk.

use super::floor::Floor;
use super::yard::CopyTimeoutError;
use super::{BenchError, Budget, Sizes, https, lag, replicas, store};
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
    /// Single payloads and a hundred in flight, without a network.
    Recorder,
    /// A store filled and copied without a network.
    Copies,
    /// The time from a request at the barn to the office's tables.
    Lag,
    /// Payloads over HTTPS.
    Https,
    /// A first copy over TLS, and the catch-up of an office that was away.
    Away,
    /// A large first copy over TLS, memory, and starts.
    Large,
}

impl Part {
    /// All parts, in the order in which they run.
    pub const ALL: [Self; 6] = [Self::Recorder, Self::Copies, Self::Lag, Self::Https, Self::Away, Self::Large];

    /// Returns the key of the part in the figures, which is also the name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Copies => "copies",
            Self::Lag => "lag",
            Self::Https => "https",
            Self::Away => "away",
            Self::Large => "large",
        }
    }

    /// Returns the time limit. The sum of all limits is below six minutes.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Recorder | Self::Copies | Self::Lag => 35,
            Self::Https => 50,
            Self::Away => 60,
            Self::Large => 140,
        })
    }

    async fn measure(self, plan: &Plan<'_>, floor: &Floor) -> Result<Value, BenchError> {
        let (directory, budget) = (plan.directory.join(self.name()), Budget::new(self.limit()));
        let (programs, sizes, sync_rate) = (plan.programs, &plan.sizes, floor.syncs_per_s());
        match self {
            Self::Recorder => store::recorder_rates(&directory, sizes, sync_rate, budget).await,
            Self::Copies => tokio::task::block_in_place(|| store::copies(&directory, sizes.behind, budget)),
            Self::Lag => lag::lag(programs, &directory, sizes, floor, budget).await,
            Self::Https => https::https(programs, &directory, sizes, sync_rate, budget).await,
            Self::Away => replicas::away(programs, &directory, sizes, budget).await,
            Self::Large => replicas::large(programs, &directory, sizes, budget).await,
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

/// Measures the parts of a plan, each right after the floor, because a disk that others use changes within a minute.
///
/// Prints the figures of each part to stderr as soon as they are known. A part that fails has its error among the
/// figures and is in the returned list; the other parts run all the same.
pub async fn run(plan: &Plan<'_>) -> Result<(Value, Vec<Part>), BenchError> {
    let (mut figures, mut failed) = (Map::new(), Vec::new());
    for part in plan.parts {
        let floor = tokio::task::block_in_place(|| Floor::measure(plan.directory, plan.sizes.floor))?;
        print_notice(format_args!("{}: at most {} s", part.name(), (part.limit() + GRACE).as_secs()));
        let measuring = tokio::time::timeout(part.limit() + GRACE, part.measure(plan, &floor));
        let measured = match measuring.await {
            Ok(Ok(measured)) => measured,
            Ok(Err(error)) if error.is::<CopyTimeoutError>() => json!({ "cut_off": error.to_string() }),
            Ok(Err(error)) => {
                failed.push(*part);
                json!({ "failed": format!("{error:#}") })
            }
            Err(_) => json!({ "cut_off_after_s": (part.limit() + GRACE).as_secs() }),
        };
        let figure = json!({ "floor": floor.to_json(), "measured": measured });
        print_notice(format_args!("{}: {figure}", part.name()));
        figures.insert(part.name().to_owned(), figure);
    }
    Ok((Value::Object(figures), failed))
}
