//! A barn and an office on one thread, where a seed determines time, network faults and power cuts.
//!
//! Recorder, sync router and follower are the shipped ones. Only what they stand on is simulated: the clock, the
//! randomness, the network between them, and the disks. A seed replays exactly, so that a failure can be reproduced.
//!
//! A world catches an acknowledgment before the commit, a page that is applied twice or in part, a position that skips
//! changes, a follower that does not reconnect, and tables that depend on the place of a page boundary or a power cut.
//!
//! # Decision
//!
//! The loops of the writers are async functions, although their commits block. Production gives each its own OS thread,
//! and a world polls all of them on one. Loops that own their thread were rejected: the scheduler of the operating
//! system would then order their steps, and no seed would replay.

mod chance;
mod machines;
mod weather;
mod wire;

use chance::Chance;
use herd::store::Receipt;
use machines::{BarnMachine, OfficeMachine};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use weather::{Forecast, Incident};
use wire::{Weather, Wire};

/// Duration of the phase with payloads and incidents.
const STORM_DURATION: Duration = Duration::from_secs(90);
/// Maximum time until the office equals the barn after the storm.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Interval at which the trace samples the office.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// Summary of a world that kept its promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldSummary {
    /// Seed of the world.
    pub seed: u64,
    /// Payloads that the recorder acknowledged as stored.
    pub receipted: u64,
    /// Power cuts and changes of the weather.
    pub incidents: u64,
    /// Sequence of the latest change at the barn.
    pub changes: u64,
    /// BLAKE3 over all events and their times; equal for equal seeds.
    pub trace: String,
}

/// A promise that a world broke. The seed replays it.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The office has another change, or none, in place of an acknowledged payload.
    #[error("seed {seed}: change {sequence} was acknowledged as stored, and the office has another payload or none")]
    Lost {
        /// Seed of the world.
        seed: u64,
        /// Sequence in the acknowledgment.
        sequence: u64,
    },
    /// The office did not become equal to the barn in time.
    #[error("seed {seed}: the office is at {office}, the barn at {barn}")]
    Unequal {
        /// Seed of the world.
        seed: u64,
        /// Position and fold digest of the office.
        office: String,
        /// Position and fold digest of the barn.
        barn: String,
    },
    /// A store failed.
    #[error("seed {seed}: {source}")]
    Store {
        /// Seed of the world.
        seed: u64,
        /// Cause.
        source: herd::store::StoreError,
    },
}

/// Hash of all events so far, in order.
#[derive(Clone)]
struct Trace {
    start: Instant,
    hasher: Rc<RefCell<blake3::Hasher>>,
}

impl Trace {
    fn note(&self, event: &str) {
        let mut line = String::new();
        let _ = writeln!(line, "{} {event}", self.start.elapsed().as_micros());
        self.hasher.borrow_mut().update(line.as_bytes());
    }
}

/// Runs the world of `seed`. Needs a single-threaded runtime with paused time.
pub async fn run(seed: u64) -> Result<WorldSummary, WorldError> {
    let trace = Trace { start: Instant::now(), hasher: Rc::default() };
    let chance = Arc::new(Mutex::new(Chance::new(seed)));
    let (weather_sender, weather) = watch::channel(Weather::default());
    let wire = Wire { barn: Arc::default(), weather, chance };
    let store = |source| WorldError::Store { seed, source };
    let mut barn = BarnMachine::start(seed, &wire).map_err(store)?;
    let mut office = OfficeMachine::start(seed, &wire, barn.store()).map_err(store)?;

    let mut receipted = BTreeMap::new();
    let mut readers = machines::Readers::new(seed);
    let mut forecast = Forecast::new(seed);
    let mut incidents = 0;
    let end = Instant::now() + STORM_DURATION;
    let mut samples = tokio::time::interval(SAMPLE_INTERVAL);
    while Instant::now() < end {
        tokio::select! {
            biased;
            incident = forecast.next() => {
                incidents += 1;
                trace.note(&format!("{incident:?}"));
                match incident {
                    Incident::Weather(next) => drop(weather_sender.send_replace(next)),
                    Incident::BarnPowerCut => barn.power_cut(&wire).await.map_err(store)?,
                    Incident::OfficePowerCut => office.power_cut(&wire).await.map_err(store)?,
                }
            }
            (payload, outcome) = readers.next(&barn) => {
                trace.note(&format!("{outcome:?}"));
                if let Ok(Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. }) = outcome {
                    receipted.insert(sequence.0, payload);
                }
            }
            _ = samples.tick() => trace.note(&office.describe()),
        }
    }
    weather_sender.send_replace(Weather::default());
    let changes = wait_until_equal(seed, &barn, &office).await?;
    check_receipts(seed, &office, &receipted)?;
    trace.note(&office.describe());
    let trace = trace.hasher.borrow().finalize().to_hex().to_string();
    Ok(WorldSummary { seed, receipted: receipted.len() as u64, incidents, changes, trace })
}

async fn wait_until_equal(seed: u64, barn: &BarnMachine, office: &OfficeMachine) -> Result<u64, WorldError> {
    let end = Instant::now() + SETTLE_TIMEOUT;
    while barn.describe() != office.describe() {
        if Instant::now() > end {
            return Err(WorldError::Unequal { seed, office: office.describe(), barn: barn.describe() });
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
    Ok(barn.head().position.sequence.0)
}

/// Checks that the office's log has each acknowledged payload at the sequence of its acknowledgment.
fn check_receipts(seed: u64, office: &OfficeMachine, receipted: &BTreeMap<u64, Vec<u8>>) -> Result<(), WorldError> {
    for (sequence, payload) in receipted {
        let found = office.payload_at(*sequence).map_err(|source| WorldError::Store { seed, source })?;
        if found.as_ref() != Some(payload) {
            return Err(WorldError::Lost { seed, sequence: *sequence });
        }
    }
    Ok(())
}
