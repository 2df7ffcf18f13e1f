//! `cargo demo`: a simulated chute, a barn and an office on this machine, and a proof at the end that nothing was lost.
//!
//! The barn's simulated radio makes the readers' transmissions from a seed and writes a ledger of every packet that it
//! delivers. At the end the demo looks for every payload of the ledger in the log of the office.
//!
//! # Decisions
//!
//! The radio of the demo is the real driver on an emulated chip. Its summary counts what happened in the emulated air,
//! and at the end the driver must have delivered exactly the packets that the chip flagged as good. A schedule that hands
//! finished packets to the daemon was rejected: it would prove the daemon and leave out the driver, which is where
//! packets are lost in the field.
//!
//! Traffic that exceeds the capacity of a channel is played faster than real time, on a clock that waits for the
//! driver. Readers that share a channel with 38 ms of air time per packet deliver some 15 packets a second. Packing the
//! air more densely was rejected, because collisions would then destroy almost every packet.

mod account;
mod channel_log;
mod deployment;
mod error;
mod follower;
mod lag_histogram;
mod ledger;
mod live_line;
mod run_dir;

pub use error::DemoError;

use crate::processes::Programs;
use account::Account;
use channel_log::ChannelLog;
use deployment::Deployment;
use ledger::Ledger;
use live_line::LiveLine;
use radio::SimulatedSettings;
use radio::simulated::summary_path;
use run_dir::RunDir;
use serde_json::Value;
use service::lifecycle::{Shutdown, print_notice, shutdown_on_signals};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Maximum time that the chute may go on after its `seconds`. A slow disk delays the recorder, and with it the radio.
const CHUTE_GRACE: Duration = Duration::from_secs(30);

/// Options of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Duration of the chute's traffic; `None` runs until a signal.
    pub seconds: Option<f64>,
    /// Distinct payloads per second, without the readers' repeats.
    pub rate_per_s: f64,
    /// State directory, kept for later runs; `None` uses a temporary one that is removed.
    pub state: Option<PathBuf>,
    /// Seed of the traffic; equal seeds give equal traffic. `None` takes one that the state directory has not seen.
    pub seed: Option<u64>,
    /// Probability that a transmission fades, in addition to collisions.
    pub loss: f64,
    /// Probability that a transmission that arrives has a wrong CRC.
    pub corruption: f64,
}

impl Default for Options {
    fn default() -> Self {
        let SimulatedSettings { loss, corruption, .. } = SimulatedSettings::default();
        Self { seconds: None, rate_per_s: 20.0, state: None, seed: None, loss, corruption }
    }
}

impl Options {
    /// Returns an error that names the first value that a simulated radio does not accept.
    pub fn validate(&self) -> Result<(), DemoError> {
        if self.seconds == Some(0.0) {
            // The settings of a radio use 0 for traffic without end.
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

    fn traffic(&self, run_dir: &RunDir) -> SimulatedSettings {
        SimulatedSettings { seed: run_dir.seed, ledger: Some(run_dir.ledger()), ..self.settings() }
    }
}

/// Result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The counts, as one JSON object.
    pub result: Value,
    /// A sentence for each claim that does not hold; empty after a good run.
    pub faults: Vec<String>,
}

/// Runs the demo until its time is over or a SIGINT or SIGTERM arrives, and compares ledger and log at the end.
///
/// The introduction goes to `out`. Some calls block, so the runtime must have several threads.
pub async fn run(programs: Programs, options: &Options, out: &mut dyn Write) -> Result<Outcome, DemoError> {
    options.validate()?;
    let trigger = shutdown_on_signals().map_err(|source| DemoError::System { action: "handle signals", source })?;
    let mut run_dir = RunDir::open(options)?;
    let outcome = run_in(programs, &mut run_dir, options, out, &trigger.signal()).await;
    let deserves_a_look = match &outcome {
        Ok(outcome) => !outcome.faults.is_empty(),
        // Nobody reads what is printed.
        Err(DemoError::Print(_)) => false,
        Err(_) => true,
    };
    if deserves_a_look {
        run_dir.keep();
        let path = run_dir.path();
        let [barn, office] = ["barn", "office"].map(|name| path.join(name).join(format!("{name}.log")));
        print_notice(format_args!(
            "The files are kept in {}; look at the ends of {} and {}.",
            path.display(),
            barn.display(),
            office.display()
        ));
    }
    outcome
}

async fn run_in(
    programs: Programs,
    run_dir: &mut RunDir,
    options: &Options,
    out: &mut dyn Write,
    shutdown: &Shutdown,
) -> Result<Outcome, DemoError> {
    let mut deployment = Deployment::start(programs, run_dir, options).await?;
    introduce(&deployment, run_dir, options, out).map_err(DemoError::Print)?;
    let in_time = watch_chute(&mut deployment, &run_dir.ledger(), options.seconds, shutdown).await?;
    deployment.close_chute(run_dir).await?;
    let digest_equal = deployment.wait_until_equal().await?;
    let account = account(&deployment, &run_dir.ledger(), digest_equal).await?;
    let mut result = account.to_json(&deployment.follower.borrow().lags);
    result["seed"] = run_dir.seed.into();
    deployment.stop().await?;
    let mut faults = account.faults();
    if !in_time {
        faults.push(format!(
            "the chute was stopped {CHUTE_GRACE:?} after its time with payloads left to send: this machine records fewer \
             payloads a second than --rate"
        ));
    }
    Ok(Outcome { result, faults })
}

fn introduce(deployment: &Deployment, run_dir: &RunDir, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let barn = deployment.barn();
    writeln!(out, "Open the office; the link works once, and asks you to choose a password:")?;
    writeln!(out, "{}", deployment.office_link)?;
    writeln!(out, "Deliver a payload to the barn yourself:")?;
    writeln!(
        out,
        "curl --cacert '{}' -H 'X-API-Key: {}' -H 'Content-Type: application/json' \
         -d '{{\"payload\":\"hxb:BATCH-1:LF1:UHF1\"}}' https://{}/api/lora/receive",
        barn.certificate().display(),
        deployment.ingest_key,
        barn.address(),
    )?;
    let until = options.seconds.map_or_else(|| "until Ctrl-C".to_owned(), |seconds| format!("for {seconds} s"));
    writeln!(
        out,
        "Run {} in {}, seed {}: {} payloads a second plus repeats, {until}.",
        run_dir.run(),
        run_dir.path().display(),
        run_dir.seed,
        options.rate_per_s
    )?;
    out.flush()
}

/// Shows the progress until the chute ends or a shutdown is requested. Returns false if neither happens within the time
/// of the chute and [`CHUTE_GRACE`].
async fn watch_chute(
    deployment: &mut Deployment,
    ledger: &Path,
    seconds: Option<f64>,
    shutdown: &Shutdown,
) -> Result<bool, DemoError> {
    // The radio writes its summary when it ends.
    let (line, summary) = (LiveLine::new(), summary_path(ledger));
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds) + CHUTE_GRACE);
    let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let mut interrupted = false;
    while !interrupted && !summary.exists() && !is_late() {
        line.show(&deployment.progress()?, &deployment.follower.borrow());
        interrupted = tokio::select! {
            () = shutdown.requested() => true,
            () = sleep(line.interval()) => false,
        };
    }
    let in_time = interrupted || summary.exists();
    line.show(&deployment.progress()?, &deployment.follower.borrow());
    line.end();
    Ok(in_time)
}

async fn account(deployment: &Deployment, ledger: &Path, digest_equal: bool) -> Result<Account, DemoError> {
    let Deployment { start, chute, .. } = deployment;
    let barn = ChannelLog::fetch(&deployment.barn_client, start, chute).await?;
    let office = ChannelLog::fetch(&deployment.office_client, start, chute).await?;
    if office.others > 0 {
        print_notice(format_args!(
            "The office also holds {} payloads of this run that came over other channels.",
            office.others
        ));
    }
    Ok(Account::new(&Ledger::read(ledger)?, deployment.duplicates()?, &barn, &office, digest_equal))
}
