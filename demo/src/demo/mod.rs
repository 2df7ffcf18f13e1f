//! A simulated chute, a barn and an office on this machine: run, watched, and proved at the end.
//!
//! What the readers send is made from a seed by the barn's own simulated radio, which keeps a list of all that it hands
//! over. At the end every payload of that list is looked for in the office's log, one by one.

mod account;
mod error;
mod follower;
mod held;
mod house;
mod lag;
mod ledger;
mod line;
mod place;

pub use error::Failure;

use crate::processes::Programs;
use account::Account;
use held::log_after;
use house::House;
use ledger::Ledger;
use line::LiveLine;
use place::Place;
use radio::SimulatedSettings;
use radio::simulated::summary_path;
use serde_json::Value;
use service::lifecycle::{Shutdown, shutdown_on_signals};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The chute must have ended so long after the time it was given: a slow disk holds it up.
const CHUTE_ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What can be asked of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The chute's time; without it, it runs until somebody stops it.
    pub seconds: Option<f64>,
    /// Distinct payloads a second; repeats come on top.
    pub rate_per_s: f64,
    /// Where the files are, kept for another run; without it, a temporary directory that is removed.
    pub state: Option<PathBuf>,
    /// Same seed, same traffic; without it, one that this place has not seen.
    pub seed: Option<u64>,
    /// Probability that a transmission fades away on its way, besides those that collide.
    pub loss: f64,
    /// Probability that one that arrives has a wrong CRC.
    pub corruption: f64,
}

impl Default for Options {
    fn default() -> Self {
        let SimulatedSettings { loss, corruption, .. } = SimulatedSettings::default();
        Self { seconds: None, rate_per_s: 20.0, state: None, seed: None, loss, corruption }
    }
}

impl Options {
    /// The first that cannot be, if there is one.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.seconds == Some(0.0) {
            // In a radio's settings that means without end.
            let allowed = "a value above 0, or leave it out to run until Ctrl-C".into();
            return Err(radio::SettingsError { key: "seconds", value: "0".into(), allowed }.into());
        }
        Ok(self.settings().validate()?)
    }

    fn settings(&self) -> SimulatedSettings {
        let &Self { rate_per_s, loss, corruption, .. } = self;
        let seconds = self.seconds.unwrap_or(0.0);
        SimulatedSettings { rate_per_s, loss, corruption, seconds, ..SimulatedSettings::default() }
    }

    fn traffic(&self, place: &Place) -> SimulatedSettings {
        SimulatedSettings { seed: place.seed, ledger: Some(place.ledger()), ..self.settings() }
    }
}

/// How a run came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The counts, as one object.
    pub result: Value,
    /// What does not hold, in words; nothing when all is well.
    pub faults: Vec<String>,
}

/// Runs the demo to its end, or until SIGINT or SIGTERM, and proves it. `say` is given the lines that are for the
/// reader before it begins. Blocks threads of the runtime at times, so that must be one of several threads.
pub async fn run(programs: Programs, options: &Options, say: impl Fn(&str)) -> Result<Outcome, Failure> {
    options.validate()?;
    let trigger = shutdown_on_signals().map_err(|source| Failure::System { doing: "listening to signals", source })?;
    let mut place = Place::begin(options)?;
    let run = in_place(programs, &mut place, options, &say, &trigger.signal()).await;
    if run.as_ref().map_or(true, |outcome| !outcome.faults.is_empty()) {
        place.keep();
        let place = place.path();
        let logs = ["barn", "office"].map(|what| place.join(what).join(format!("{what}.log")).display().to_string());
        eprintln!("The files are kept in {}; look at the ends of {} and {}.", place.display(), logs[0], logs[1]);
    }
    run
}

async fn in_place(
    programs: Programs,
    place: &mut Place,
    options: &Options,
    say: &impl Fn(&str),
    shutdown: &Shutdown,
) -> Result<Outcome, Failure> {
    let mut house = House::open(programs, place, options).await?;
    introduce(&house, place, options, say);
    let ended = watch_chute(&mut house, &place.ledger(), options.seconds, shutdown).await?;
    house.close_chute(place).await?;
    let digest_equal = house.settle().await?;
    let account = account(&house, &place.ledger(), digest_equal).await?;
    let mut result = account.to_json(&house.seen.borrow().lags);
    result["seed"] = place.seed.into();
    house.close().await?;
    let mut faults = account.faults();
    if !ended {
        faults.push(format!(
            "the chute had not sent all of it {CHUTE_ENDS_WITHIN:?} after its time, and was stopped: this machine keeps \
             fewer payloads a second than --rate asks for"
        ));
    }
    Ok(Outcome { result, faults })
}

fn introduce(house: &House, place: &Place, options: &Options, say: &impl Fn(&str)) {
    let (barn, office) = (house.barn(), house.office());
    say(&format!("The office: https://{}/", office.address()));
    say("Deliver a payload to the barn yourself:");
    say(&format!(
        "curl --cacert '{}' -H 'X-API-Key: {}' -H 'Content-Type: application/json' \
         -d '{{\"payload\":\"hxb:BATCH-1:LF1:UHF1\"}}' https://{}/api/lora/receive",
        barn.certificate().display(),
        house.ingest_key,
        barn.address(),
    ));
    let until = options.seconds.map_or_else(|| "until Ctrl-C".to_owned(), |seconds| format!("for {seconds} s"));
    say(&format!(
        "Run {} in {}, seed {}: {} payloads a second and their repeats, {until}.",
        place.run(),
        place.path().display(),
        place.seed,
        options.rate_per_s
    ));
}

/// Shows how it goes until the chute has ended, or somebody stops it. Whether either happened in time.
async fn watch_chute(
    house: &mut House,
    ledger: &Path,
    seconds: Option<f64>,
    shutdown: &Shutdown,
) -> Result<bool, Failure> {
    let (line, ended) = (LiveLine::new(), summary_path(ledger));
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds) + CHUTE_ENDS_WITHIN);
    let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let mut told = false;
    while !told && !ended.exists() && !is_late() {
        let look = house.look()?;
        line.show(&look, &house.seen.borrow());
        told = tokio::select! {
            () = shutdown.requested() => true,
            () = sleep(line.every()) => false,
        };
    }
    let in_time = told || ended.exists();
    line.show(&house.look()?, &house.seen.borrow());
    line.end();
    Ok(in_time)
}

async fn account(house: &House, ledger: &Path, digest_equal: bool) -> Result<Account, Failure> {
    let barn = log_after(&house.at_barn, &house.begin, &house.chute).await?;
    let office = log_after(&house.at_office, &house.begin, &house.chute).await?;
    if office.others > 0 {
        eprintln!("Besides, the office holds {} payloads of this run that others delivered.", office.others);
    }
    Ok(Account::of(&Ledger::read(ledger)?, house.duplicates()?, &barn, &office, digest_equal))
}
