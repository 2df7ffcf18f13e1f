//! Runs the commands.

use super::backup::{backup, restore_from};
use super::files::open_existing;
use super::recover::recover_log;
use super::{Cli, CliError, Command, PAIRING_TEXT};
use crate::control::{BarnRequest, BarnResponse, CorrectionOutcome};
use crate::doctor::examine;
use crate::listen::listen;
use crate::open::{self, BarnFiles, OpenError, open_keys, pairing_source};
use crate::pairing_code::respond_about_keys;
use crate::run::{check_order, log_is_complete, run};
use crate::settings::{DEFAULT_TEXT, Settings};
use herd::change::Acceptance;
use herd::clock::{Clock as _, SystemClock};
use herd::correction::{CorrectionForm, CorrectionFormError, CorrectionOrder};
use herd::randomness::{Randomness as _, SystemRandomness};
use herd::store::{Directory, JOURNAL_FILE, LOG_FILE, OpenProgress, Store, StoreError, TABLES_FILE};
use service::backup::prove_file;
use service::control::{CommandError, ControlError, DirectError, ask_or_open};
use service::door::key_command::{KeyRequest, KeyResponse};
use service::door::pair::create_pairing_line;
use service::logging::{LogLevel, ServiceLog, start_logging_at};
use service::process::{
    LOCAL_FILE, ServiceSettings, StartCheck, StateDir, TLS_DIRECTORY, check_service, in_runtime, run_service,
};
use service::show::ShowRequest;
use service::verify::{VerifyState, verify_files, verify_with};
use std::fmt::Display;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Name of the program and of its unit.
const PROGRAM: &str = "herdlinxd";
/// Files in the state directory that a start opens for writing.
const FILES: [&str; 5] = [LOG_FILE, JOURNAL_FILE, TABLES_FILE, LOCAL_FILE, TLS_DIRECTORY];

impl ServiceSettings for Settings {
    fn log(&self) -> ServiceLog<'_> {
        let Self { site, log, log_file, .. } = self;
        ServiceLog { program: PROGRAM, site: Some(site), level: *log, file: log_file.as_deref() }
    }

    fn start_check(&self) -> StartCheck<'_> {
        let Self { state_dir, log_file, listen, tls, .. } = self;
        StartCheck { state_dir, files: &FILES, log_file: log_file.as_deref(), listen: *listen, tls }
    }

    fn notes(&self) -> Vec<String> {
        Settings::notes(self)
    }
}

impl Cli {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), CliError> {
        match self.command {
            Command::Config => out.write_all(DEFAULT_TEXT.as_bytes()).map_err(CliError::Print),
            Command::Update(args) => {
                start_logging_at(LogLevel::Warn);
                Ok(args.run(&slot_socket(self.flags.state_dir), out)?)
            }
            Command::Slot(command) => {
                start_logging_at(if command.is_watch() { LogLevel::Info } else { LogLevel::Warn });
                Ok(command.run(&slot_socket(self.flags.state_dir), out)?)
            }
            Command::FirstBoot(command) => {
                start_logging_at(LogLevel::Info);
                command.run(out)
            }
            Command::Run => run_service(|| self.settings(), async |settings| Ok(run(settings).await?)),
            Command::Check { here } => {
                let as_unit = !here && !self.names_settings();
                check_service(PROGRAM, as_unit, || self.settings(), out)
            }
            _ => self.run_with_settings(out),
        }
    }

    /// Runs a command that needs the settings, and nothing before them.
    fn run_with_settings(self, out: &mut dyn Write) -> Result<(), CliError> {
        let settings = self.settings()?;
        start_logging_at(match self.command {
            // They print what the radios report.
            Command::Listen(_) | Command::Doctor { .. } => LogLevel::Error,
            // Results go to stdout; warnings of the store must not be lost.
            _ => LogLevel::Warn,
        });
        match self.command {
            Command::Pair { name } => pair(&settings, name.as_deref(), out),
            Command::Key(command) => Ok(command.run(|request| ask_about_keys(&settings, request), out)?),
            Command::Show(request) => show(&settings, &request, out),
            Command::Correct { author, reason, idempotency_key, correction } => {
                let idempotency_key = idempotency_key.map_or_else(new_idempotency_key, Ok)?;
                let correction = correction.into();
                correct(&settings, &CorrectionOrder { author, reason, idempotency_key, correction }, out)
            }
            Command::Recover { from, file } => recover_log(&settings, from.or(file).as_deref(), out),
            Command::Restore { file } => restore_from(&settings, &file, out),
            Command::AcceptLog { author, reason } => accept_log(&settings, &author, &reason, out),
            Command::Listen(request) => Ok(in_runtime(listen(&settings, &request, out)).map_err(CliError::Runtime)??),
            Command::Doctor { json } => doctor(&settings, json, out),
            Command::Verify { file: Some(file) } => Ok(prove_file(&file, out)?),
            Command::Verify { file: None } => {
                Ok(verify_with(|start, progress| verify(&settings, start, progress), out)?)
            }
            Command::Backup(args) => backup(&settings, &args, out),
            // Those that need no settings have run before.
            Command::Config
            | Command::Run
            | Command::Check { .. }
            | Command::FirstBoot(_)
            | Command::Update(_)
            | Command::Slot(_) => Ok(()),
        }
    }
}

/// Returns the control socket for commands about slots. They need no settings: those are on `/var`, which may be missing.
fn slot_socket(state_dir: Option<PathBuf>) -> PathBuf {
    StateDir::new(state_dir.unwrap_or_else(|| Settings::default().state_dir)).socket()
}

/// Asks the running daemon, or finds the response in the files.
fn ask(
    settings: &Settings,
    request: &BarnRequest,
    open: impl FnMut() -> Result<BarnResponse, DirectError>,
) -> Result<BarnResponse, CommandError> {
    ask_or_open(&StateDir::new(&settings.state_dir).socket(), request, open)
}

fn ask_about_keys(settings: &Settings, request: &KeyRequest) -> Result<KeyResponse, CommandError> {
    let response = ask(settings, &BarnRequest::Key(request.clone()), || {
        let (local, keys) = open_keys(settings).map_err(DirectError::failed)?;
        Ok(BarnResponse::Key(respond_about_keys(&local, &keys, request)?))
    })?;
    let BarnResponse::Key(response) = response else { return Err(CommandError::UnexpectedResponse) };
    Ok(response)
}

/// Prints the report, and fails if one of its checks did.
fn doctor(settings: &Settings, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let report = in_runtime(examine(settings)).map_err(CliError::Runtime)?;
    report.print(json, out).map_err(CliError::Print)?;
    if report.passed() { Ok(()) } else { Err(CliError::ChecksFailed) }
}

fn pair(settings: &Settings, name: Option<&str>, out: &mut dyn Write) -> Result<(), CliError> {
    let response = ask(settings, &BarnRequest::Pair { name: name.map(str::to_owned) }, || {
        let files = BarnFiles::open(settings).map_err(DirectError::failed)?;
        let on_progress = |_: &OpenProgress<'_>| ControlFlow::Continue(());
        let store = files.open_store(settings, &SystemClock::default(), on_progress).map_err(DirectError::failed)?;
        let barn = pairing_source(settings, &files.identity, store.head().position.store);
        let line = create_pairing_line(&files.keys, barn, name)?;
        Ok(BarnResponse::PairingLine(line))
    })?;
    let BarnResponse::PairingLine(line) = response else { return Err(CommandError::UnexpectedResponse.into()) };
    print(out, format_args!("{PAIRING_TEXT}\n{line}"))
}

fn correct(settings: &Settings, order: &CorrectionOrder, out: &mut dyn Write) -> Result<(), CliError> {
    let mut has_begun = false;
    let response = ask(settings, &BarnRequest::Correct(order.clone()), || {
        let request = check_order(order.clone())?;
        let mut store = open_existing(settings)?;
        let clock = SystemClock::default();
        has_begun = true;
        let receipt = store.correct(&request, clock.read()).map_err(DirectError::failed)?;
        if let Err(error) = complete(&mut store, &clock) {
            tracing::warn!(%error, "the next start of the barn completes what the correction has begun");
        }
        Ok(BarnResponse::Corrected(CorrectionOutcome::try_from(receipt)?))
    });
    let response = response.map_err(|error| match error {
        // The disk may have accepted what it failed to sync.
        error if error.is_in_doubt() || (has_begun && matches!(error, CommandError::Failed(_))) => {
            CliError::InDoubt { error, idempotency_key: order.idempotency_key.clone() }
        }
        error => error.into(),
    })?;
    let text = match response {
        BarnResponse::Corrected(CorrectionOutcome::Applied(change)) => {
            format!("The correction is recorded as change {change}.")
        }
        BarnResponse::Corrected(CorrectionOutcome::AlreadyApplied(change)) => {
            format!("The correction was recorded as change {change} before; nothing was written.")
        }
        _ => return Err(CommandError::UnexpectedResponse.into()),
    };
    print(out, format_args!("{text}\nIts idempotency key is {}.", order.idempotency_key))?;
    match &order.correction {
        CorrectionForm::NewReaderEra { from: Some(from), .. } => {
            let text = "move into the new era, step by step; the status shows how far.";
            print(out, format_args!("The payloads from {from} on {text}"))
        }
        _ => Ok(()),
    }
}

/// Moves payloads into a reader era if a correction has begun one, and makes the tables durable if there is room. The correction
/// itself is durable.
fn complete(store: &mut Store, clock: &SystemClock) -> Result<(), StoreError> {
    while store.step_era_moves(clock.read())?.is_some() {}
    store.settle_if_room().map(drop)
}

fn accept_log(settings: &Settings, author: &str, reason: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let response = ask(settings, &BarnRequest::AcceptLog, || {
        let refused = |error: CorrectionFormError| ControlError::new("bad_request", error.to_string());
        let acceptance = Acceptance::checked(author, reason).map_err(refused)?;
        let accepted = open::accept_log(settings, &acceptance, &SystemClock::default()).map_err(DirectError::failed)?;
        Ok(BarnResponse::LogAccepted(accepted.ok_or_else(log_is_complete)?))
    })?;
    let BarnResponse::LogAccepted(position) = response else { return Err(CommandError::UnexpectedResponse.into()) };
    let text = format_args!(
        "The log is accepted: epoch {} begins at change {}. Start the service, and look at the office: it shows what only \
         its copy holds.",
        position.epoch, position.sequence
    );
    print(out, text)
}

/// Prints a text and flushes it.
fn print(out: &mut dyn Write, text: impl Display) -> Result<(), CliError> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(CliError::Print)
}

/// Generates an idempotency key that no other correction has.
fn new_idempotency_key() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    SystemRandomness.fill(&mut bytes).map_err(OpenError::from)?;
    Ok(hex::encode(bytes))
}

fn show(settings: &Settings, request: &ShowRequest, out: &mut dyn Write) -> Result<(), CliError> {
    let response = ask(settings, &BarnRequest::Show(request.clone()), || {
        let response = request.render(&open_existing(settings)?.reader());
        Ok(BarnResponse::Shown(response.map_err(|error| ControlError::new("not_shown", error.to_string()))?))
    })?;
    let BarnResponse::Shown(response) = response else { return Err(CommandError::UnexpectedResponse.into()) };
    request.print(&response, out, &mut std::io::stderr()).map_err(CliError::Print)
}

/// Has the running daemon verify its store, or verifies the files.
fn verify(settings: &Settings, start: bool, progress: &mut dyn FnMut(String)) -> Result<VerifyState, CommandError> {
    let response = ask(settings, &BarnRequest::Verify { start }, || {
        let place = &settings.state_dir;
        if !place.join(LOG_FILE).exists() {
            return Err(DirectError::failed(StoreError::Missing { place: place.clone() }));
        }
        let disk = Directory::new(place).map_err(DirectError::failed)?;
        let report = verify_files(&disk, progress);
        Ok(BarnResponse::Verify(VerifyState::Finished(report.map_err(DirectError::failed)?)))
    })?;
    let BarnResponse::Verify(state) = response else { return Err(CommandError::UnexpectedResponse) };
    Ok(state)
}
