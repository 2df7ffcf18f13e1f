//! A barn and two offices on one thread, where a seed determines time, faults, and what becomes of the barn's card.
//!
//! The loop of the radio, the recorder, the sync routers and the followers are the shipped ones, and so is what restores,
//! recovers and gives back. Only what they stand on is simulated: the clocks, the randomness, the network, the disks, the
//! readers and the operator. A seed replays exactly, so that a failure can be reproduced:
//!
//! ```text
//! cargo world --seed 7                    one world, with its trace
//! cargo world --seeds 1..1000             many of them
//! cargo world --seed 7 --plant same-epoch the same with a bug; a claim must fail
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `barn`, `card`, `radio`, `readers` | a barn, its card and the ways back to a log, the readers |
//! | `office`, `copy`, `give_back` | an office, its copies and its operator |
//! | `wire`, `tamper` | the network, and what plants do to messages |
//! | `weather`, `incident` | which incidents strike when, and what they do |
//! | `ledger` | what was answered, and the claims |
//! | `plant` | bugs that can be built in |
//!
//! A world catches an acknowledgment before the commit, a page that is applied twice or in part, a position that skips
//! changes, a follower that does not reconnect, tables that depend on the place of a page boundary or a power cut, a number
//! that is given twice, a divergence that nobody names, and a read that an office had and that nobody has in the end.
//!
//! # Decisions
//!
//! - **The loops of the writers are async functions, although their commits block.** Production gives each its own OS thread,
//!   and a world polls all of them on one. Loops that own their thread were rejected: the scheduler of the operating
//!   system would then order their steps, and no seed would replay.
//! - **The radio hands over packets.** The driver of the emulated chip is a thread. `radio/src/contract/` checks it.
//! - **A loss is explained or a fault.** A payload that was answered may be lost with a card only if no copy has it at that
//!   moment: nobody can know of it then. A recovery also names the gap that it lies in. Whatever a copy holds is in the
//!   barn's log at the end.

mod barn;
mod card;
mod chance;
mod clock;
mod copy;
mod give_back;
mod incident;
mod ledger;
mod office;
mod plant;
mod radio;
mod readers;
mod seams;
mod tamper;
mod trace;
mod weather;
mod wire;

pub use card::CardError;
pub use ledger::LedgerCounts;
pub use plant::Plant;

use incident::World;
use std::time::Duration;
use tokio::time::Instant;
use trace::Trace;

/// Duration of the phase with payloads and incidents.
const STORM_DURATION: Duration = Duration::from_secs(60);
/// Maximum time until everything is equal after the storm.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Summary of a world that kept its promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldSummary {
    /// Seed of the world.
    pub seed: u64,
    /// Payloads that were answered as stored, and their losses.
    pub payloads: LedgerCounts,
    /// Incidents.
    pub incidents: u64,
    /// Of them, those that replaced the barn's card, or let another barn answer in its place.
    pub cards: u64,
    /// Copies that the offices began after a divergence, and swapped in.
    pub swaps: u64,
    /// Epochs that a barn began because an office showed it what it lost.
    pub epochs: u64,
    /// Sequence of the latest change at the barn.
    pub changes: u64,
    /// BLAKE3 over all events and their times; equal for equal seeds.
    pub trace: String,
}

/// A promise that a world broke. The seed replays it.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A claim does not hold.
    #[error("seed {seed}: {what}")]
    Fault {
        /// Seed of the world.
        seed: u64,
        /// The claim, and what was found.
        what: String,
    },
    /// The machines did not become equal in time.
    #[error("seed {seed}: at rest, they differ: {what}")]
    Unequal {
        /// Seed of the world.
        seed: u64,
        /// Positions and fold digests.
        what: String,
    },
    /// A card could not be opened, restored or recovered.
    #[error("seed {seed}: {source}")]
    Card {
        /// Seed of the world.
        seed: u64,
        /// Cause.
        source: CardError,
    },
}

/// Runs the world of `seed` with this bug, if any. Each event is printed. Needs a single-threaded runtime with paused time.
pub async fn run(seed: u64, plant: Option<Plant>, print: &mut dyn FnMut(&str)) -> Result<WorldSummary, WorldError> {
    let card = |source| WorldError::Card { seed, source };
    let mut trace = Trace::new(print);
    let mut world = World::begin(seed, plant).map_err(card)?;
    let end = Instant::now() + STORM_DURATION;
    while Instant::now() < end {
        let event = world.next_event(true).await.map_err(card)?;
        trace.note(&event);
        world.check(seed)?;
    }
    trace.note("the storm is over");
    world.calm();
    settle(seed, &mut world, &mut trace).await?;
    world.check_at_rest(seed)?;
    trace.note(&world.describe());
    Ok(WorldSummary { trace: trace.digest(), ..world.summary(seed) })
}

/// Waits until all machines are equal, and nothing is left to do.
async fn settle(seed: u64, world: &mut World, trace: &mut Trace<'_>) -> Result<(), WorldError> {
    let end = Instant::now() + SETTLE_TIMEOUT;
    while !world.is_at_rest() {
        if Instant::now() > end {
            return Err(WorldError::Unequal { seed, what: world.describe() });
        }
        let event = world.next_event(false).await.map_err(|source| WorldError::Card { seed, source })?;
        trace.note(&event);
        world.check(seed)?;
    }
    Ok(())
}
