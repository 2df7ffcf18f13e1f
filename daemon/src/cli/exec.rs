//! Carrying commands out.

use super::{Cli, CliError, Command};
use crate::doctor::examine;
use crate::listen::listen;
use crate::open::{OpenError, Opened, open_keys, open_store};
use crate::prove::prove_files;
use crate::run::{corrected, pair_answer, requested, run};
use crate::settings::{DEFAULT_TEXT, Settings};
use herd::clock::{Clock as _, SystemClock};
use herd::correction::CorrectionOrder;
use herd::randomness::{Randomness as _, SystemRandomness};
use herd::store::{LOG_FILE, Store, StoreError};
use serde_json::{Value, json};
use service::control::{ControlError, DirectError, SOCKET_NAME, or_direct, refuse_root_on};
use service::door::certificate::{Identity, IdentityFiles};
use service::logging::{LogLevel, ServiceLog, start_logging_at, start_service_log};
use service::show::{ShowRequest, print, show};
use std::io::Write;
use std::time::{Duration, Instant};

/// Tasks that block (a command's reading) may hold up the end of the runtime no longer than this.
const RUNTIME_ENDS_WITHIN: Duration = Duration::from_millis(200);
/// `verify` says so often how far it is, and asks so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

impl Cli {
    pub(super) fn carry_out(self, out: &mut dyn Write) -> Result<(), CliError> {
        if let Command::Config = self.command {
            return Ok(out.write_all(DEFAULT_TEXT.as_bytes())?);
        }
        let settings = self.settings()?;
        match self.command {
            Command::Run => start_service_log(&service_log(&settings)),
            // They say themselves what the radios say.
            Command::Listen(_) | Command::Doctor { .. } => start_logging_at(LogLevel::Error),
            // What a command is asked for goes to stdout; what the store has to warn of must not be lost.
            _ => start_logging_at(LogLevel::Warn),
        }
        let socket = settings.state_dir.join(SOCKET_NAME);
        match self.command {
            Command::Config => Ok(()),
            Command::Run => {
                refuse_root_on(&settings.state_dir)?;
                run_until_told(settings)
            }
            Command::Check => check(&settings, out),
            Command::Pair { name } => pair(&settings, name.as_deref(), out),
            Command::Key(command) => {
                let open = || open_keys(&settings).map(|(_, keys)| keys).map_err(direct);
                Ok(command.run(&socket, open, out)?)
            }
            Command::Show(asked) => show_to(&settings, &asked, out),
            Command::Correct { author, reason, idempotency_key, correction } => {
                let idempotency_key = idempotency_key.map_or_else(fresh_key, Ok)?;
                correct(
                    &settings,
                    &CorrectionOrder { author, reason, idempotency_key, correction: correction.into() },
                    out,
                )
            }
            Command::Listen(asked) => in_runtime(listen(&settings, &asked, out))?.map_err(CliError::from),
            Command::Doctor { json } => doctor(&settings, json, out),
            Command::Verify => verify(&settings, out),
        }
    }
}

fn service_log(settings: &Settings) -> ServiceLog<'_> {
    let Settings { site, log, log_file, .. } = settings;
    ServiceLog { program: "herdlinxd", site: Some(site), level: *log, file: log_file.as_deref() }
}

fn run_until_told(settings: Settings) -> Result<(), CliError> {
    Ok(in_runtime(run(settings))??)
}

/// With threads of the program's own, until the work ends.
fn in_runtime<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
    Ok(result)
}

/// Looks at everything, and fails where something must be put right.
fn doctor(settings: &Settings, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let report = in_runtime(examine(settings))?;
    report.print(json, out)?;
    if report.is_well() { Ok(()) } else { Err(CliError::Unwell) }
}

fn check(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    if let Some(tls) = &settings.tls {
        Identity::load(IdentityFiles { certificate: tls.certificate.clone(), key: tls.key.clone() })
            .map_err(OpenError::from)?;
    }
    for note in settings.notes() {
        writeln!(out, "Note: {note}")?;
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

/// Has the process make the correction, or makes it in the files.
fn correct(settings: &Settings, order: &CorrectionOrder, out: &mut dyn Write) -> Result<(), CliError> {
    let request = json!({"command": "correct", "order": order});
    let answer = or_direct(&settings.state_dir.join(SOCKET_NAME), &request, || {
        let request = requested(&request)?;
        let mut store = open_existing(settings)?;
        let receipt = store.correct(&request, SystemClock::default().read()).map_err(DirectError::failed)?;
        store.settle().map_err(DirectError::failed)?;
        Ok(corrected(receipt)?)
    })?;
    let message = answer.get("message").and_then(Value::as_str).ok_or(CliError::Incomplete("message"))?;
    writeln!(out, "The correction is {message}.")?;
    writeln!(out, "Its idempotency key is {}.", order.idempotency_key)?;
    Ok(out.flush()?)
}

/// A key that no other correction has.
fn fresh_key() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    SystemRandomness.fill(&mut bytes).map_err(OpenError::from)?;
    Ok(hex::encode(bytes))
}

fn show_to(settings: &Settings, asked: &ShowRequest, out: &mut dyn Write) -> Result<(), CliError> {
    let mut request = json!(asked);
    request["command"] = "show".into();
    let answer = or_direct(&settings.state_dir.join(SOCKET_NAME), &request, || {
        let reader = open_existing(settings)?.reader();
        Ok(show(&reader, asked).map_err(|error| ControlError::new("not_shown", error.to_string()))?)
    })?;
    Ok(print(asked, &answer, out, &mut std::io::stderr())?)
}

/// Opens the store that is there; a question must not make one. The certificate is let be: where it is a credential of
/// the service, it is there only while the service runs, and it is now that the service may not.
fn open_existing(settings: &Settings) -> Result<Store, DirectError> {
    if !settings.state_dir.join(LOG_FILE).exists() {
        return Err(DirectError::failed(StoreError::Missing { place: settings.state_dir.clone() }));
    }
    open_store(settings, &SystemClock::default()).map_err(direct)
}

fn direct(error: OpenError) -> DirectError {
    if error.is_locked() { DirectError::Locked } else { DirectError::failed(error) }
}

/// Has the process prove its store, or proves it in the files; says on stderr how far it is.
fn verify(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    let socket = settings.state_dir.join(SOCKET_NAME);
    let mut command = "verify_start";
    let proved = loop {
        let answer = or_direct(&socket, &json!({ "command": command }), || {
            let mut said = Instant::now();
            let progress = |at| {
                if said.elapsed() >= PROGRESS_EVERY {
                    said = Instant::now();
                    eprintln!("{at}");
                }
            };
            prove_files(&settings.state_dir, progress).map_err(|error| match error {
                StoreError::Locked { .. } => DirectError::Locked,
                other => DirectError::failed(other),
            })
        })?;
        let Some(at) = answer.get("proving").and_then(Value::as_str) else { break answer };
        eprintln!("{at}");
        std::thread::sleep(PROGRESS_EVERY);
        command = "verify_look";
    };
    let lines = proved.get("lines").and_then(Value::as_array).ok_or(CliError::Incomplete("lines"))?;
    for line in lines.iter().filter_map(Value::as_str) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    match proved.get("sound").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        Some(false) => Err(CliError::Unsound),
        None => Err(CliError::Incomplete("sound")),
    }
}
