//! Carrying commands out.

use super::tell::{tell_added, tell_removed, tell_verified};
use super::{Cli, CliError, Command};
use crate::commands::{Request, answer_directly, told_progress};
use crate::run::{make_state_dir, run};
use crate::settings::{DEFAULT_FILE, Settings};
use crate::sites::SiteFiles;
use herd::clock::{Clock as _, SystemClock};
use herd::randomness::SystemRandomness;
use herd::store::LocalFile;
use serde_json::{Value, json};
use service::control::{Answer, CommandError, ControlError, DirectError, or_direct, refuse_root_on};
use service::door::certificate::{Identity, IdentityFiles};
use service::door::key_command::KeyCommand;
use service::door::keys::KeyRing;
use service::logging::{ServiceLog, start_logging, start_service_log};
use service::show::print;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks that block (a command's reading) may hold up the end of the runtime no longer than this.
const RUNTIME_ENDS_WITHIN: Duration = Duration::from_millis(200);
/// `verify` asks the running process so often how far it is, and says so that often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// The longest line that is read from standard input.
const MAX_LINE_BYTES: u64 = herd::pairing::MAX_LINE_BYTES as u64 + 1;

impl Cli {
    pub(super) fn carry_out(self, out: &mut dyn Write) -> Result<(), CliError> {
        if let Command::Config = self.command {
            return Ok(out.write_all(DEFAULT_FILE.as_bytes())?);
        }
        let settings = self.settings()?;
        match self.command {
            Command::Config => {}
            Command::Run => {
                refuse_root_on(&settings.state_dir)?;
                run_until_told(settings)?;
            }
            Command::Check => check(&settings, out)?,
            Command::Add { line, name, ca, addresses } => {
                let (line, authority) = (given_line(line)?, ca.map(absolute).transpose()?);
                tell_added(&ask(&settings, &Request::Add { line, name, authority, addresses })?, out)?;
            }
            Command::Remove { site } => tell_removed(&ask(&settings, &Request::Remove { site })?, out)?,
            Command::Status => status(&settings, out)?,
            Command::Key(command) => {
                let makes = matches!(command, KeyCommand::Add { .. });
                command.run(&settings.control_socket(), || open_keys(&settings, makes), out)?;
            }
            Command::Show { asked, site } => {
                let answer = ask(&settings, &Request::Show { site, asked: asked.clone() })?;
                print(&asked, &answer, out, &mut io::stderr())?;
            }
            Command::Resync { site } => {
                let answer = ask(&settings, &Request::Resync { site: site.clone() })?;
                let copy = answer.get("copy").and_then(Value::as_str).ok_or(CliError::Incomplete("copy"))?;
                writeln!(out, "`{site}` is copied anew into {copy}; what is shown stays until that is whole.")?;
            }
            Command::Verify { site } => verify(&settings, &site, out)?,
        }
        Ok(out.flush()?)
    }
}

fn run_until_told(settings: Settings) -> Result<(), CliError> {
    let Settings { log, log_file, .. } = &settings;
    // Each site has a name of its own.
    let log = ServiceLog { program: "herdlinx-mirror", site: None, level: *log, file: log_file.as_deref() };
    start_service_log(&log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let result = runtime.block_on(run(settings));
    runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
    Ok(result?)
}

fn check(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    if let (Some(certificate), Some(key)) = (&settings.tls.certificate, &settings.tls.key) {
        Identity::load(IdentityFiles { certificate: certificate.clone(), key: key.clone() })?;
    }
    Ok(writeln!(out, "The settings are good.")?)
}

/// Only the process itself knows. The files are left alone: whoever waits for a start by asking again and again must
/// not hold them when it comes.
fn status(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    let answer = service::control::ask(&settings.control_socket(), &json!({"command": "status"}));
    let answer = answer.map_err(CommandError::Ask)?;
    Ok(writeln!(out, "{:#}", Value::Object(answer))?)
}

/// Through the running process, or on the files.
fn ask(settings: &Settings, request: &Request) -> Result<Answer, CliError> {
    let crossing = serde_json::to_value(request).map_err(|error| CliError::Io(error.into()))?;
    let mut progress = progress_to_stderr();
    Ok(or_direct(&settings.control_socket(), &crossing, || {
        let makes = matches!(request, Request::Add { .. });
        let files = SiteFiles::new(open_local(settings, makes)?, &settings.state_dir);
        let now_us = SystemClock::default().read().received_at_us;
        answer_directly(&files, &settings.state_dir, now_us, request, &mut |at| progress(&told_progress(at)))
    })?)
}

/// Pairing and keys come before the first start as often as after it, so these may make the files; a question must not.
fn open_local(settings: &Settings, makes: bool) -> Result<LocalFile, DirectError> {
    let path = settings.local_file();
    if makes {
        make_state_dir(&settings.state_dir).map_err(DirectError::failed)?;
    } else if !path.exists() {
        let place = settings.state_dir.display();
        let message = format!("there is no office in {place}: look at `state_dir`, or pair a barn with `add`");
        return Err(ControlError::new("no_office", message).into());
    }
    Ok(LocalFile::open(path)?)
}

fn open_keys(settings: &Settings, makes: bool) -> Result<KeyRing, DirectError> {
    let clock = Arc::new(SystemClock::default());
    KeyRing::load(open_local(settings, makes)?, clock, SystemRandomness).map_err(DirectError::failed)
}

fn given_line(line: String) -> Result<String, CliError> {
    if line != "-" {
        return Ok(line);
    }
    let mut read = String::new();
    io::BufRead::read_line(&mut io::Read::take(io::stdin().lock(), MAX_LINE_BYTES), &mut read)?;
    Ok(read)
}

/// The running process has another working directory.
fn absolute(path: PathBuf) -> Result<PathBuf, CliError> {
    path.canonicalize().map_err(|source| CliError::Authority { path, source })
}

fn verify(settings: &Settings, site: &str, out: &mut dyn Write) -> Result<(), CliError> {
    start_logging();
    let request = |begin| Request::Verify { site: site.to_owned(), begin };
    let mut progress = progress_to_stderr();
    let mut answer = ask(settings, &request(true))?;
    while answer.get("done") == Some(&json!(false)) {
        progress(&Value::Object(answer));
        std::thread::sleep(PROGRESS_EVERY / 4);
        answer = ask(settings, &request(false))?;
    }
    tell_verified(&answer, out)
}

fn progress_to_stderr() -> impl FnMut(&Value) {
    let mut said = Instant::now();
    move |at| {
        if said.elapsed() >= PROGRESS_EVERY {
            said = Instant::now();
            eprintln!("{}: {} of {}", at["phase"].as_str().unwrap_or_default(), at["finished"], at["of"]);
        }
    }
}
