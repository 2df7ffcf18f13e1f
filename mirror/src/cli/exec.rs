//! Runs the commands.

use super::backup::backup;
use super::files::open_local;
use super::give_back::give_back;
use super::pair::pair;
use super::{Cli, CliError, Command};
use crate::commands::respond_from_files;
use crate::control::{OfficeRequest, OfficeResponse, PairedResponse};
use crate::people::command::{UserRequest, UserResponse};
use crate::people::{People, command as user_command};
use crate::prepare::{NewFile, Preparation, PrepareError, PrepareFlags};
use crate::run::{pages_address, run};
use crate::settings::{DEFAULT_FILE, Settings};
use crate::sites::{SITES_DIRECTORY, SiteFiles};
use herd::clock::{Clock as _, SystemClock};
use herd::pairing::MAX_LINE_BYTES;
use herd::randomness::SystemRandomness;
use service::backup::prove_file;
use service::control::{CommandError, DirectError, ask, ask_or_open};
use service::door::key_command::{self, KeyRequest, KeyResponse};
use service::door::keys::KeyRing;
use service::logging::{ServiceLog, start_logging};
use service::process::{LOCAL_FILE, ServiceSettings, StartCheck, StateDir, TLS_DIRECTORY, check_service, run_service};
use service::verify::{VerifyState, verify_with};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum length of a line that is read from standard input, with its newline.
const MAX_INPUT_BYTES: u64 = MAX_LINE_BYTES as u64 + 1;

/// Name of the program and of its unit.
const PROGRAM: &str = "herdlinx-mirror";
/// Files in the state directory that a start opens for writing.
const FILES: [&str; 3] = [LOCAL_FILE, SITES_DIRECTORY, TLS_DIRECTORY];

impl ServiceSettings for Settings {
    fn log(&self) -> ServiceLog<'_> {
        let Self { log, log_file, .. } = self;
        // Log lines name their site themselves, because the process has several.
        ServiceLog { program: PROGRAM, site: None, level: *log, file: log_file.as_deref() }
    }

    fn start_check(&self) -> StartCheck<'_> {
        let Self { state_dir, log_file, listen, tls, .. } = self;
        StartCheck { state_dir, files: &FILES, log_file: log_file.as_deref(), listen: *listen, tls }
    }

    fn notes(&self) -> Vec<String> {
        self.backup.notes(&self.state_dir)
    }
}

impl Cli {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), CliError> {
        match self.command {
            Command::Config => Ok(out.write_all(DEFAULT_FILE.as_bytes())?),
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
        match self.command {
            Command::Add { line, name, ca, addresses } => {
                let (line, authority) = (read_line(line)?, ca.map(absolute).transpose()?);
                let request = OfficeRequest::Add { line, name, authority, addresses };
                let OfficeResponse::Paired(paired) = send(&settings, &request)? else { return Err(unexpected()) };
                print_paired(&paired, out)?;
            }
            Command::Pair { site, name } => pair(&settings, &site, name.as_deref(), out)?,
            Command::Prepare(flags) => {
                start_logging();
                prepare(&settings, &flags, out)?;
            }
            Command::Remove { site } => {
                let request = OfficeRequest::Remove { site: site.clone() };
                match send(&settings, &request)? {
                    OfficeResponse::Removed { moved_to } => print_removed(&site, moved_to.as_deref(), out)?,
                    OfficeResponse::Canceled => {
                        writeln!(
                            out,
                            "This office waits no more for the barn of `{site}`; the code on its card is void."
                        )?;
                    }
                    _ => return Err(unexpected()),
                }
            }
            Command::Status => print_status(&settings, out)?,
            Command::Key(command) => command.run(|request| ask_about_keys(&settings, request), out)?,
            Command::User(command) => {
                command.run(|request| ask_about_users(&settings, request), &pages_at(&settings)?, out)?;
            }
            Command::Show { request: shown, site } => {
                let request = OfficeRequest::Show { site, request: shown.clone() };
                let OfficeResponse::Shown(response) = send(&settings, &request)? else { return Err(unexpected()) };
                shown.print(&response, out, &mut io::stderr())?;
            }
            Command::Resync { site, cancel: true } => {
                let request = OfficeRequest::CancelResync { site: site.clone() };
                let OfficeResponse::CopyCanceled { copy } = send(&settings, &request)? else {
                    return Err(unexpected());
                };
                writeln!(out, "Canceled {copy} of `{site}`; the current copy goes on.")?;
            }
            Command::Resync { site, cancel: false } => {
                let request = OfficeRequest::Resync { site: site.clone() };
                let OfficeResponse::CopyStarted { copy } = send(&settings, &request)? else { return Err(unexpected()) };
                writeln!(out, "Copying `{site}` into {copy}; the current copy is shown until that is complete.")?;
            }
            Command::Verify { backup: Some(file), .. } => prove_file(&file, out)?,
            Command::Verify { site: Some(site), .. } => {
                start_logging();
                verify_with(|start, progress| verify(&settings, &site, start, progress), out)?;
            }
            Command::GiveBack { site, author, reason } => give_back(&settings, &site, &author, &reason, out)?,
            Command::Backup { site, only_here, args } => {
                start_logging();
                backup(&settings, &site, only_here, &args, out)?;
            }
            // The last one is refused by the command line's definition.
            Command::Config | Command::Run | Command::Check { .. } | Command::Verify { .. } => {}
        }
        Ok(out.flush()?)
    }
}

fn unexpected() -> CliError {
    CommandError::UnexpectedResponse.into()
}

/// Prints the state of the running process.
///
/// Does not fall back to the files. A script that polls this command while the process starts must not lock them.
fn print_status(settings: &Settings, out: &mut dyn Write) -> Result<(), CliError> {
    let socket = StateDir::new(&settings.state_dir).socket();
    let OfficeResponse::Status(status) = ask(&socket, &OfficeRequest::Status).map_err(CommandError::Ask)? else {
        return Err(unexpected());
    };
    Ok(writeln!(out, "{:#}", serde_json::to_value(&status).map_err(io::Error::from)?)?)
}

/// Sends a request to the running mirror, or responds from the files if none runs.
fn send(settings: &Settings, request: &OfficeRequest) -> Result<OfficeResponse, CommandError> {
    send_with_progress(settings, request, &mut |_| {})
}

fn send_with_progress(
    settings: &Settings,
    request: &OfficeRequest,
    progress: &mut dyn FnMut(String),
) -> Result<OfficeResponse, CommandError> {
    let creates = matches!(request, OfficeRequest::Add { .. } | OfficeRequest::Prepare { .. });
    ask_or_open(&StateDir::new(&settings.state_dir).socket(), request, || {
        let files = SiteFiles::new(open_local(settings, creates)?, &settings.state_dir);
        let now_us = SystemClock::default().read().received_at_us;
        respond_from_files(&files, now_us, request.clone(), progress)
    })
}

/// Writes the file of a barn's card, and has the office wait for that barn.
fn prepare(settings: &Settings, flags: &PrepareFlags, out: &mut dyn Write) -> Result<(), CliError> {
    let Preparation { code, addresses, text } = flags.prepare(&mut SystemRandomness)?;
    let site = &flags.site;
    let file = NewFile::open(&flags.out, flags.overwrite).map_err(PrepareError::from)?;
    let shown = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let request = OfficeRequest::Prepare { site: site.clone(), code: code.to_string(), addresses };
    match send(settings, &request) {
        Ok(OfficeResponse::Prepared) => {}
        refused => {
            file.give_up();
            return Err(refused.err().unwrap_or(CommandError::UnexpectedResponse).into());
        }
    }
    if let Err(error) = file.write(&text) {
        // Nobody has the code, so the office need not wait for it.
        send(settings, &OfficeRequest::Remove { site: site.to_string() })?;
        return Err(PrepareError::from(error).into());
    }
    let path = flags.out.display();
    writeln!(
        out,
        "Wrote {path}. Copy it to the boot partition of the card of `{site}`; it holds a secret, so delete it then."
    )?;
    Ok(writeln!(out, "This office looks for that barn at {shown}, and pairs as soon as it answers.")?)
}

fn verify(
    settings: &Settings,
    site: &str,
    start: bool,
    progress: &mut dyn FnMut(String),
) -> Result<VerifyState, CommandError> {
    let request = OfficeRequest::Verify { site: site.to_owned(), start };
    match send_with_progress(settings, &request, progress)? {
        OfficeResponse::Verify(state) => Ok(state),
        _ => Err(CommandError::UnexpectedResponse),
    }
}

fn ask_about_keys(settings: &Settings, request: &KeyRequest) -> Result<KeyResponse, CommandError> {
    let creates = matches!(request, KeyRequest::Add { .. });
    let socket = StateDir::new(&settings.state_dir).socket();
    let response = ask_or_open(&socket, &OfficeRequest::Key(request.clone()), || {
        let (local, clock) = (open_local(settings, creates)?, Arc::new(SystemClock::default()));
        let keys = KeyRing::load(local, clock, SystemRandomness).map_err(DirectError::failed)?;
        Ok(OfficeResponse::Key(key_command::respond(&keys, request)?))
    })?;
    let OfficeResponse::Key(response) = response else { return Err(CommandError::UnexpectedResponse) };
    Ok(response)
}

fn ask_about_users(settings: &Settings, request: &UserRequest) -> Result<UserResponse, CommandError> {
    let creates = matches!(request, UserRequest::Add { .. });
    let socket = StateDir::new(&settings.state_dir).socket();
    let response = ask_or_open(&socket, &OfficeRequest::User(request.clone()), || {
        let (local, clock) = (open_local(settings, creates)?, Arc::new(SystemClock::default()));
        let people = People::load(local, clock, SystemRandomness)?;
        Ok(OfficeResponse::User(user_command::respond(&people, request)?))
    })?;
    let OfficeResponse::User(response) = response else { return Err(CommandError::UnexpectedResponse) };
    Ok(response)
}

/// Returns host and port under which the pages are opened from another machine. The port may be one that the running process
/// was given by the system.
fn pages_at(settings: &Settings) -> Result<String, CliError> {
    let listen = match settings.listen.port() {
        0 => match send(settings, &OfficeRequest::Status)? {
            OfficeResponse::Status(status) => status.listen,
            _ => return Err(unexpected()),
        },
        _ => settings.listen,
    };
    Ok(pages_address(listen))
}

/// Returns the pairing line, from standard input if the argument is `-`.
fn read_line(line: String) -> Result<String, CliError> {
    if line != "-" {
        return Ok(line);
    }
    let mut read = String::new();
    io::BufRead::read_line(&mut io::Read::take(io::stdin().lock(), MAX_INPUT_BYTES), &mut read)?;
    Ok(read)
}

/// Makes a path absolute: the running process has another working directory.
fn absolute(path: PathBuf) -> Result<PathBuf, CliError> {
    path.canonicalize().map_err(|source| CliError::Authority { path, source })
}

fn print_paired(paired: &PairedResponse, out: &mut dyn Write) -> io::Result<()> {
    let PairedResponse { site, is_new, changed, addresses, trust, unusable } = paired;
    for address in unusable {
        writeln!(out, "Skipped: {address}.")?;
    }
    match (is_new, changed.as_slice()) {
        (true, _) => {
            let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            writeln!(out, "Paired with `{site}` at {addresses}, trusting {trust}.")
        }
        (false, []) => writeln!(out, "`{site}` was paired with this line before; nothing changed."),
        (false, changed) => writeln!(out, "`{site}` was paired before; it now uses the new {}.", changed.join(", ")),
    }
}

fn print_removed(site: &str, moved_to: Option<&Path>, out: &mut dyn Write) -> io::Result<()> {
    match moved_to {
        Some(place) => {
            writeln!(out, "Removed `{site}`. Its copy is in {}; delete it when you like.", place.display())?;
        }
        None => writeln!(out, "Removed `{site}`. There was no copy of it.")?,
    }
    writeln!(out, "Its key is still valid at the barn: revoke it there with `herdlinxd key revoke`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Catches a pairing that seems to be new, unchanged or whole although it is not.
    #[test]
    fn a_pairing_says_what_it_changed() {
        let paired = |is_new, changed: &[&str]| PairedResponse {
            site: "north".parse().unwrap(),
            is_new,
            changed: changed.iter().map(ToString::to_string).collect(),
            addresses: vec!["barn:1".parse().unwrap(), "barn:2".parse().unwrap()],
            trust: "the public key 07".to_owned(),
            unusable: if is_new { vec!["`x` is not an address".to_owned()] } else { Vec::new() },
        };
        for (paired, expected) in [
            (
                paired(true, &[]),
                "Skipped: `x` is not an address.\nPaired with `north` at barn:1, barn:2, trusting the public key 07.\n",
            ),
            (paired(false, &[]), "`north` was paired with this line before; nothing changed.\n"),
            (paired(false, &["trust", "key"]), "`north` was paired before; it now uses the new trust, key.\n"),
        ] {
            assert_eq!(text(|out| print_paired(&paired, out)), expected);
        }
    }

    /// Catches a copy that nobody finds again, and a key that stays valid without anybody knowing.
    #[test]
    fn a_removal_says_where_the_copy_is_and_what_is_left_to_do() {
        let moved = text(|out| print_removed("north", Some(Path::new("/removed/north-1")), out));
        assert!(moved.starts_with("Removed `north`. Its copy is in /removed/north-1;"), "{moved}");
        let none = text(|out| print_removed("north", None, out));
        assert!(none.starts_with("Removed `north`. There was no copy of it.\n"), "{none}");
        assert!([moved, none].iter().all(|text| text.ends_with("revoke it there with `herdlinxd key revoke`.\n")));
    }
}
