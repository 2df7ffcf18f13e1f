//! The parts of the bench, each with a bound on its time, so that the whole ends within minutes on any disk.

use super::floor::Floor;
use super::yard::Late;
use super::{Budget, Failed, Sizes, https, lag, replicas, store};
use crate::processes::Programs;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// A part that has not ended so long after its time is cut off; what it then tells is that.
const GRACE: Duration = Duration::from_secs(10);

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Lone payloads and a hundred in flight, without a network.
    Recorder,
    /// A store filled and copied without a network.
    Copies,
    /// From the request at the barn to the office's tables.
    Lag,
    /// Payloads over HTTPS.
    Https,
    /// A first copy over TLS, and a replica that was away.
    Away,
    /// The large first copy over TLS, memory, and starts.
    Large,
}

impl Part {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 6] = [Self::Recorder, Self::Copies, Self::Lag, Self::Https, Self::Away, Self::Large];

    /// Its key in the figures, and the name of its directory.
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

    /// So long it may take: together below six minutes.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Recorder | Self::Copies | Self::Lag => 35,
            Self::Https => 50,
            Self::Away => 60,
            Self::Large => 140,
        })
    }

    async fn measure(self, plan: &Plan<'_>, floor: &Floor) -> Result<Value, Failed> {
        let (directory, budget) = (plan.directory.join(self.name()), Budget::of(self.limit()));
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

/// What to measure, with what, and where.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// A directory on the disk to be measured; everything in it is the bench's.
    pub directory: &'a Path,
    /// How much.
    pub sizes: Sizes,
    /// What plays barn and office.
    pub programs: &'a Programs,
    /// Which parts.
    pub parts: &'a [Part],
}

/// Measures each part and, right before it, the floor: a disk that others use is another one a minute later. Tells of each on standard error as soon as it is known. A part that fails
/// stands among the figures with its error, and is the second that is given; the others go on.
pub async fn run(plan: &Plan<'_>) -> Result<(Value, Vec<Part>), Failed> {
    let (mut figures, mut failed) = (Map::new(), Vec::new());
    for part in plan.parts {
        let floor = tokio::task::block_in_place(|| Floor::measure(plan.directory, plan.sizes.floor))?;
        eprintln!("{}: at most {} s", part.name(), (part.limit() + GRACE).as_secs());
        let measuring = tokio::time::timeout(part.limit() + GRACE, part.measure(plan, &floor));
        let told = match measuring.await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) if error.is::<Late>() => json!({ "cut_off": error.to_string() }),
            Ok(Err(error)) => {
                failed.push(*part);
                json!({ "failed": format!("{error:#}") })
            }
            Err(_) => json!({ "cut_off_after_s": (part.limit() + GRACE).as_secs() }),
        };
        let told = json!({ "floor": floor.to_json(), "measured": told });
        eprintln!("{}: {told}", part.name());
        figures.insert(part.name().to_owned(), told);
    }
    Ok((Value::Object(figures), failed))
}
