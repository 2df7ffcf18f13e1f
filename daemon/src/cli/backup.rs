//! Runs the commands about backups.

use super::files::open_existing;
use super::{CliError, PAIRING_TEXT};
use crate::control::{BarnRequest, BarnResponse, RestoreReport};
use crate::open::{load_keys, open_identity, pairing_source};
use crate::restore::{RestoreOutcome, RestoreStep, restore};
use crate::settings::Settings;
use herd::backup::BackupReader;
use herd::clock::{Clock as _, SystemClock};
use herd::position::StoreId;
use herd::store::LocalFile;
use herd::wire::BackupStart;
use rustix::fs::Mode;
use rustix::process::umask;
use service::backup::{BackupArgs, ProgramStore, ProgressLines, backup_text, backup_with, open_backup};
use service::control::{CommandError, DirectError, ask_or_open};
use service::door::pair::create_pairing_line;
use service::lifecycle::print_notice;
use service::process::StateDir;
use std::fs::File;
use std::io::{BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Writes a backup of the store, whether or not the daemon runs.
pub(super) fn backup(settings: &Settings, args: &BackupArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let now = SystemClock::default().read().wall();
    let mut store = ProgramStore {
        socket: StateDir::new(&settings.state_dir).socket(),
        request: BarnRequest::Backup,
        response: BarnResponse::Backup,
        backup: |response| match response {
            BarnResponse::Backup(response) => Some(response),
            _ => None,
        },
        open: || Ok((open_existing(settings)?.reader(), settings.site.clone())),
    };
    Ok(backup_with(args, &settings.state_dir, now, &mut store, out)?)
}

/// Restores a backup. It is opened before root becomes the owner of the files, who may not read it.
pub(super) fn restore_from(settings: &Settings, file: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let mut backup = open_backup(file)?;
    // The new files are for their owner alone, whatever umask the shell has.
    umask(Mode::RWXG | Mode::RWXO);
    let start = backup.start().clone();
    let socket = StateDir::new(&settings.state_dir).socket();
    let response = ask_or_open(&socket, &BarnRequest::Restore, || {
        let report = restore_and_pair(settings, &mut backup)?;
        Ok(BarnResponse::Restored(Box::new(report)))
    })?;
    let BarnResponse::Restored(report) = response else { return Err(CommandError::UnexpectedResponse.into()) };
    if start.site != settings.site {
        print_notice(format_args!(
            "Note: the backup is of `{}`, and this barn is called `{}`.",
            start.shown_site(),
            settings.site
        ));
    }
    print_restored(&start, &report, out).map_err(CliError::Print)
}

fn restore_and_pair(
    settings: &Settings,
    backup: &mut BackupReader<BufReader<File>>,
) -> Result<RestoreReport, DirectError> {
    let mut lines = ProgressLines::new("restored");
    let on_step = &mut |step| {
        if let RestoreStep::Writing(at) = step {
            lines.show(at);
        }
        ControlFlow::Continue(())
    };
    let (restored, local) = restore(settings, backup, &SystemClock::default(), on_step).map_err(DirectError::failed)?;
    let RestoreOutcome { summary, head, remembered } = restored;
    let remembered = remembered.map(|position| position.sequence);
    let last_recorded = remembered.filter(|last| *last > summary.end.sequence);
    Ok(RestoreReport { summary, head, last_recorded, pairing: pairing_line(settings, &local, head.store) })
}

/// Returns a new pairing line, or why there is none. A certificate may exist only while the service runs.
fn pairing_line(settings: &Settings, local: &LocalFile, store: StoreId) -> Result<String, String> {
    let keys = load_keys(local).map_err(|error| error.to_string())?;
    let identity = open_identity(settings).map_err(|error| error.to_string())?;
    create_pairing_line(&keys, pairing_source(settings, &identity, store), None).map_err(|error| error.to_string())
}

fn print_restored(start: &BackupStart, report: &RestoreReport, out: &mut dyn Write) -> std::io::Result<()> {
    let RestoreReport { summary, head, last_recorded, pairing } = report;
    writeln!(out, "Restored {}", backup_text(start, summary))?;
    writeln!(out, "Epoch {} begins at change {}.", head.epoch, head.sequence)?;
    let end = summary.end.sequence;
    match last_recorded {
        Some(last) => writeln!(
            out,
            "This machine had recorded at least up to change {last}: changes {} to {last} are not in the backup. They are \
             lost unless an office holds them.",
            end.next()
        )?,
        None => writeln!(
            out,
            "What the barn recorded after change {end}, if anything, is not in the backup. An office has only what reached it."
        )?,
    }
    writeln!(out, "Start the service: sudo systemctl start herdlinxd")?;
    match pairing {
        Ok(line) => {
            writeln!(out, "{PAIRING_TEXT}\n{line}")?;
        }
        Err(reason) => writeln!(
            out,
            "Then pair each office again with `sudo herdlinxd pair`. There is no pairing line yet: {reason}"
        )?,
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::backup::BackupSummary;
    use herd::clock::WallTime;
    use herd::position::{Digest, Epoch, Position, Sequence};

    /// Catches a loss that is known and not told, and a pairing line that is not alone on the last line.
    #[test]
    fn the_report_tells_what_the_backup_lacks_and_ends_with_the_pairing_line() {
        let end =
            Position { store: StoreId([7; 16]), epoch: Epoch(1), sequence: Sequence(12), digest: Digest([9; 32]) };
        let made = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };
        let start = BackupStart { site: "north".to_owned(), made, end, epochs: Vec::new() };
        let head = Position { epoch: Epoch(2), sequence: Sequence(13), ..end };
        let summary = BackupSummary { end, payloads: 11, bytes: 7_000 };
        let printed = |last_recorded, pairing| {
            let mut out = Vec::new();
            print_restored(&start, &RestoreReport { summary, head, last_recorded, pairing }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = printed(Some(Sequence(20)), Ok("hxp_line".to_owned()));
        assert!(text.starts_with("Restored 11 payloads in 12 changes of `north`"), "{text}");
        assert!(text.contains("\nEpoch 2 begins at change 13.\n"), "{text}");
        assert!(text.contains("at least up to change 20: changes 13 to 20 are not in the backup"), "{text}");
        assert!(text.ends_with("is not shown again:\nhxp_line\n"), "{text}");
        let text = printed(None, Err("the port is 0".to_owned()));
        assert!(text.contains("after change 12, if anything, is not in the backup"), "{text}");
        assert!(text.ends_with("There is no pairing line yet: the port is 0\n"), "{text}");
    }
}
