//! Carrying commands out.

use super::{Cli, CliError, Command};
use crate::open::{OpenError, Opened, open_keys};
use crate::run::{pair_answer, run};
use crate::settings::{DEFAULT_TEXT, Settings};
use crate::show::{ShowRequest, print_table, show};
use herd::clock::SystemClock;
use herd::control::{ControlError, DirectError, SOCKET_NAME, or_direct};
use herd::door::certificate::{Identity, IdentityFiles};
use herd::lifecycle::start_logging_at;
use herd::store::{Directory, Disk as _, LOG_FILE, Phase, Progress, StoreError, TablesVerdict, verify_disk};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// Tasks that block (a command's reading) may hold up the end of the runtime no longer than this.
const RUNTIME_ENDS_WITHIN: Duration = Duration::from_millis(200);
/// `verify` says so often how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

impl Cli {
    pub(super) fn carry_out(self, out: &mut dyn Write) -> Result<(), CliError> {
        if let Command::Config = self.command {
            return Ok(out.write_all(DEFAULT_TEXT.as_bytes())?);
        }
        let settings = self.settings()?;
        let socket = settings.state_dir.join(SOCKET_NAME);
        match self.command {
            Command::Config => Ok(()),
            Command::Run => run_until_told(settings),
            Command::Check => check(&settings, out),
            Command::Pair { name } => pair(&settings, name.as_deref(), out),
            Command::Key(command) => {
                let open = || open_keys(&settings).map(|(_, keys)| keys).map_err(direct);
                Ok(command.run(&socket, open, out)?)
            }
            Command::Show { what, json } => show_to(&settings, &what.into(), json, out),
            Command::Verify => verify(&settings, out),
        }
    }
}

fn run_until_told(settings: Settings) -> Result<(), CliError> {
    start_logging_at(settings.log.name());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let result = runtime.block_on(run(settings));
    runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
    Ok(result?)
}

fn check(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    if let Some(tls) = &settings.tls {
        Identity::load(IdentityFiles { certificate: tls.certificate.clone(), key: tls.key.clone() })
            .map_err(OpenError::from)?;
    }
    Ok(writeln!(out, "The settings are good.")?)
}

fn pair(settings: &Settings, name: Option<&str>, out: &mut dyn Write) -> Result<(), CliError> {
    let request = json!({"command": "pair", "name": name});
    let answer = or_direct(&settings.state_dir.join(SOCKET_NAME), &request, || {
        let opened = Opened::open(settings, &SystemClock::default()).map_err(direct)?;
        Ok(pair_answer(&opened.keys, opened.barn(settings), name)?)
    })?;
    let line = answer.get("line").and_then(Value::as_str).ok_or(CliError::Incomplete("line"))?;
    writeln!(out, "Give this line to `herdlinx-mirror add` at the office. It holds a key and is not shown again:")?;
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn show_to(settings: &Settings, asked: &ShowRequest, as_json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let mut request = json!(asked);
    request["command"] = "show".into();
    let answer = or_direct(&settings.state_dir.join(SOCKET_NAME), &request, || {
        let reader = open_existing(settings)?.store.reader();
        Ok(show(&reader, asked).map_err(|error| ControlError::new("not_shown", error.to_string()))?)
    })?;
    match (as_json, asked, answer.get("data")) {
        (true, ShowRequest::Change { .. }, Some(change)) => writeln!(out, "{change}")?,
        (true, ..) => writeln!(out, "{}", Value::Object(answer))?,
        (false, ..) => print_table(asked, &answer, out)?,
    }
    Ok(out.flush()?)
}

/// Opens what is there. A question must not make a store.
fn open_existing(settings: &Settings) -> Result<Opened, DirectError> {
    let directory = Directory::new(&settings.state_dir).map_err(DirectError::failed)?;
    if !directory.holds(LOG_FILE) {
        return Err(DirectError::failed(StoreError::Missing { place: directory.place() }));
    }
    Opened::open(settings, &SystemClock::default()).map_err(direct)
}

fn direct(error: OpenError) -> DirectError {
    if error.is_locked() { DirectError::Locked } else { DirectError::failed(error) }
}

/// Proves the store in its files; the tables folded anew lie beside them for so long.
fn verify(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    let disk = Directory::new(&settings.state_dir).map_err(OpenError::from)?;
    let beside = settings.state_dir.join(format!("verify-{}", std::process::id()));
    let scratch = Directory::new(&beside).map_err(OpenError::from)?;
    let proved = verify_disk(&disk, &scratch, &mut progress_to_stderr());
    let removed = std::fs::remove_dir_all(&beside);
    let proved = proved?;
    removed.map_err(|source| CliError::Scratch { path: beside, source })?;
    let head = proved.head;
    writeln!(out, "The log holds: {} changes of history {}, every digest recomputed.", head.sequence, head.store)?;
    writeln!(out, "Chain digest {}.", head.digest)?;
    match proved.tables {
        TablesVerdict::Equal { folded, fold_digest, rows } => {
            writeln!(out, "The tables hold: {rows} rows up to change {folded}, folded again and equal.")?;
            Ok(writeln!(out, "Fold digest {fold_digest}.")?)
        }
        // After a kill, or an upgrade, that is how it must be.
        passing @ (TablesVerdict::Missing | TablesVerdict::OtherFold { .. }) => {
            Ok(writeln!(out, "As to tables: {passing}.")?)
        }
        damage => Err(CliError::Tables(damage)),
    }
}

fn progress_to_stderr() -> impl FnMut(Progress) {
    let mut said = Instant::now();
    move |progress| {
        if said.elapsed() >= PROGRESS_EVERY {
            said = Instant::now();
            let what = match progress.phase {
                Phase::Chain => "digests of the log",
                Phase::Fold => "changes folded again",
                Phase::Rows => "tables compared",
            };
            eprintln!("{what}: {} of {}", progress.done, progress.of);
        }
    }
}
