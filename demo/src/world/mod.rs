//! A whole barn and office in one thread, where time, weather and power are made from a seed.
//!
//! Recorder, sync router and follower are the shipped ones; only what they stand on is simulated: the clock, the
//! randomness, the network between them and the disks. A seed replays exactly, so that a failure found once is found
//! again. What it would catch: an acknowledgement before the commit, a page applied twice or in part, a position that
//! skips, a follower that does not come back, tables that depend on where a page or a power cut fell.

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
use weather::{Forecast, Happening};
use wire::{Weather, Wire};

/// How long payloads come and things happen.
const STORMY: Duration = Duration::from_secs(90);
/// So long the office has, once all is well again, to hold what the barn holds.
const SETTLING: Duration = Duration::from_secs(300);
/// How often the office is looked at for the trace.
const LOOK: Duration = Duration::from_millis(500);

/// What a world came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The seed it was made from.
    pub seed: u64,
    /// Payloads whose sender was told that they are kept.
    pub receipted: u64,
    /// Links cut, power cuts and bad weather.
    pub happenings: u64,
    /// The last change at the barn.
    pub changes: u64,
    /// BLAKE3 over everything that happened and when: equal for equal seeds.
    pub trace: String,
}

/// A promise that did not hold in a world. The seed replays it.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A payload that was called stored is not there as it was called.
    #[error("seed {seed}: change {sequence} was called stored and holds another payload or none")]
    Lost {
        /// The world.
        seed: u64,
        /// The change that was named to the sender.
        sequence: u64,
    },
    /// The office did not come to hold what the barn holds.
    #[error("seed {seed}: the office stands at {office}, the barn at {barn}")]
    Unequal {
        /// The world.
        seed: u64,
        /// Its position and fold digest.
        office: String,
        /// Its position and fold digest.
        barn: String,
    },
    /// A store failed.
    #[error("seed {seed}: {source}")]
    Store {
        /// The world.
        seed: u64,
        /// How.
        source: herd::store::StoreError,
    },
}

/// Everything that happened, in order.
#[derive(Clone)]
struct Trace {
    began: Instant,
    hasher: Rc<RefCell<blake3::Hasher>>,
}

impl Trace {
    fn note(&self, what: &str) {
        let mut line = String::new();
        let _ = writeln!(line, "{} {what}", self.began.elapsed().as_micros());
        self.hasher.borrow_mut().update(line.as_bytes());
    }
}

/// Runs the world of `seed`. To be polled on a single-threaded runtime with paused time.
pub async fn run(seed: u64) -> Result<Ending, Broken> {
    let trace = Trace { began: Instant::now(), hasher: Rc::default() };
    let chance = Arc::new(Mutex::new(Chance::new(seed)));
    let (forecasted, weather) = watch::channel(Weather::default());
    let wire = Wire { barn: Arc::default(), weather, chance };
    let store = |source| Broken::Store { seed, source };
    let mut barn = BarnMachine::start(seed, &wire).map_err(store)?;
    let mut office = OfficeMachine::start(seed, &wire, barn.store()).map_err(store)?;

    let mut receipted = BTreeMap::new();
    let mut readers = machines::Readers::new(seed);
    let mut forecast = Forecast::new(seed);
    let mut happenings = 0;
    let end = Instant::now() + STORMY;
    let mut look = tokio::time::interval(LOOK);
    while Instant::now() < end {
        tokio::select! {
            biased;
            happening = forecast.next() => {
                happenings += 1;
                trace.note(&format!("{happening:?}"));
                match happening {
                    Happening::Weather(next) => drop(forecasted.send_replace(next)),
                    Happening::BarnPowerCut => barn.power_cut(&wire).await.map_err(store)?,
                    Happening::OfficePowerCut => office.power_cut(&wire).await.map_err(store)?,
                }
            }
            (payload, outcome) = readers.next(&barn) => {
                trace.note(&format!("{outcome:?}"));
                if let Ok(Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. }) = outcome {
                    receipted.insert(sequence.0, payload);
                }
            }
            _ = look.tick() => trace.note(&office.describe()),
        }
    }
    forecasted.send_replace(Weather::default());
    let changes = wait_until_equal(seed, &barn, &office).await?;
    prove_nothing_lost(seed, &office, &receipted)?;
    trace.note(&office.describe());
    let trace = trace.hasher.borrow().finalize().to_hex().to_string();
    Ok(Ending { seed, receipted: receipted.len() as u64, happenings, changes, trace })
}

async fn wait_until_equal(seed: u64, barn: &BarnMachine, office: &OfficeMachine) -> Result<u64, Broken> {
    let end = Instant::now() + SETTLING;
    while barn.describe() != office.describe() {
        if Instant::now() > end {
            return Err(Broken::Unequal { seed, office: office.describe(), barn: barn.describe() });
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(barn.head().position.sequence.0)
}

/// Every payload that was called stored is in the office's log, under the number that its sender was told.
fn prove_nothing_lost(seed: u64, office: &OfficeMachine, receipted: &BTreeMap<u64, Vec<u8>>) -> Result<(), Broken> {
    for (sequence, payload) in receipted {
        let held = office.payload_at(*sequence).map_err(|source| Broken::Store { seed, source })?;
        if held.as_ref() != Some(payload) {
            return Err(Broken::Lost { seed, sequence: *sequence });
        }
    }
    Ok(())
}
