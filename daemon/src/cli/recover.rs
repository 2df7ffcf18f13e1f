//! Runs `recover`.

use super::CliError;
use crate::control::{BarnRequest, BarnResponse};
use crate::recover::{RecoverCommandError, RecoverStep, recover};
use crate::recover_report::RecoverReport;
use crate::settings::Settings;
use herd::backup::BackupProgress;
use herd::clock::SystemClock;
use herd::position::Sequence;
use herd::recover::{Bytes, RecoverProgress};
use rustix::fs::Mode;
use rustix::process::umask;
use service::backup::ProgressLines;
use service::control::{CommandError, DirectError, ask_or_open};
use service::process::StateDir;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes in a megabyte, as progress is printed.
const MEGABYTE: u64 = 1_000_000;

/// Recovers the log. A given file is opened before root becomes the owner of the files, who may not read it.
pub(super) fn recover_log(settings: &Settings, given: Option<&Path>, out: &mut dyn Write) -> Result<(), CliError> {
    let given = given.map(open_given).transpose()?;
    // The new files are for their owner alone, whatever umask the shell has.
    umask(Mode::RWXG | Mode::RWXO);
    let socket = StateDir::new(&settings.state_dir).socket();
    let response = ask_or_open(&socket, &BarnRequest::Recover, || {
        let given = given.as_ref().map(|file| file as &dyn Bytes);
        let mut lines = ProgressLines::new("written");
        let on_step = &mut |step| {
            if let RecoverStep::Working(at) = step {
                show_progress(&mut lines, at);
            }
            ControlFlow::Continue(())
        };
        let recovery = recover(settings, given, &SystemClock::default(), on_step).map_err(DirectError::failed)?;
        Ok(BarnResponse::Recovered(Box::new(recovery)))
    })?;
    let BarnResponse::Recovered(recovery) = response else { return Err(CommandError::UnexpectedResponse.into()) };
    print_recovery(&recovery, out).and_then(|()| out.flush()).map_err(CliError::Print)
}

fn open_given(path: &Path) -> Result<File, RecoverCommandError> {
    let failed = |source| RecoverCommandError::Given { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        Ok(file)
    } else {
        Err(failed(io::Error::other("it is no file; of a copied state directory, name its log.redb")))
    }
}

/// Prints the progress of a recovery, if it is time for a line.
fn show_progress(lines: &mut ProgressLines, at: RecoverProgress) {
    match at {
        RecoverProgress::Reading { done, of } => {
            lines.show_line(format_args!("{} of {} MB searched", done / MEGABYTE, of.div_ceil(MEGABYTE)));
        }
        RecoverProgress::Writing { done, of } => lines.show(BackupProgress { done, of }),
        RecoverProgress::Appending { done } => {
            lines.show_line(format_args!("{done} payloads from behind gaps looked at"));
        }
    }
}

fn print_recovery(recovery: &RecoverReport, out: &mut dyn Write) -> io::Result<()> {
    let RecoverReport { end, head, kept_as, was_whole, unplaced, unreadable, .. } = recovery;
    if *was_whole {
        writeln!(out, "The log is whole up to change {} of epoch {}, and stays as it is.", end.sequence, end.epoch)?;
    } else {
        writeln!(out, "Changes 1 to {} are whole, and are the new log. Epoch {} follows.", end.sequence, head.epoch)?;
    }
    if *unreadable > 0 {
        writeln!(out, "{unreadable} bytes could not be read. Copy what is left to a sound card soon.")?;
    }
    print_gaps(recovery, out)?;
    print_readmitted(recovery, out)?;
    if *unplaced > 0 {
        writeln!(out, "{unplaced} rows may be whole, and nothing shows where they belong: they were left out.")?;
    }
    if let Some(name) = kept_as {
        writeln!(out, "The damaged log is kept as {name}. Delete it when the offices have all they need.")?;
    }
    writeln!(
        out,
        "The log ends at change {} of epoch {}; the chain digest is {}.",
        head.sequence, head.epoch, head.digest
    )?;
    writeln!(out, "Start the service: sudo systemctl start herdlinxd")
}

fn print_gaps(recovery: &RecoverReport, out: &mut dyn Write) -> io::Result<()> {
    let gaps = &recovery.gaps;
    if recovery.was_whole {
        return Ok(());
    }
    if gaps.changes > 0 {
        let named: Vec<_> = gaps.named.iter().map(ToString::to_string).collect();
        let named_changes: u64 = gaps.named.iter().map(|gap| gap.last.0 - gap.first.0 + 1).sum();
        let more = if named_changes < gaps.changes { ", and more" } else { "" };
        let named = named.join(", ");
        writeln!(
            out,
            "{} changes are lost here: {named}{more}. An office that holds them gives them back.",
            gaps.changes
        )?;
    }
    if let Some(doubtful) = gaps.doubtful {
        writeln!(
            out,
            "Only the given file has {doubtful}. If this barn's log had gone another way by then, its own changes with these \
             numbers are lost."
        )?;
    }
    writeln!(out, "Unknown after change {}: what was recorded later, if anything, left no trace here.", gaps.last_known)
}

fn print_readmitted(recovery: &RecoverReport, out: &mut dyn Write) -> io::Result<()> {
    let readmitted = &recovery.readmitted;
    if let Some((first, last)) = readmitted.span {
        let kept = readmitted.kept;
        writeln!(out, "{kept} payloads were appended once more with their old times, as changes {first} to {last}.")?;
    }
    if readmitted.duplicates > 0 {
        writeln!(out, "{} payloads were there already.", readmitted.duplicates)?;
    }
    if readmitted.not_repeated_count > 0 {
        let count = readmitted.not_repeated_count;
        let named: Vec<_> = readmitted.not_repeated.iter().map(Sequence::to_string).collect();
        let more = if (named.len() as u64) < count { ", and more" } else { "" };
        writeln!(
            out,
            "{count} corrections behind a gap were not repeated; make them again: {}{more}.",
            named.join(", ")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::position::{Digest, Epoch, Position, StoreId};
    use herd::store::DamagedRow;

    const END: Position =
        Position { store: StoreId([7; 16]), epoch: Epoch(1), sequence: Sequence(12), digest: Digest([9; 32]) };

    fn printed(recovery: &RecoverReport) -> String {
        let mut out = Vec::new();
        print_recovery(recovery, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn row(first: u64, last: u64) -> DamagedRow {
        DamagedRow { first: Sequence(first), last: Sequence(last) }
    }

    #[test]
    fn a_log_that_was_whole_is_two_lines_and_the_way_on() {
        let expected = format!(
            "The log is whole up to change 12 of epoch 1, and stays as it is.\n\
             The log ends at change 12 of epoch 1; the chain digest is {}.\n\
             Start the service: sudo systemctl start herdlinxd\n",
            END.digest
        );
        assert_eq!(printed(&RecoverReport::of_whole(END)), expected);
    }

    /// Catches a loss that is not told, or told as another one.
    #[test]
    fn everything_that_a_recovery_could_not_save_is_named() {
        let mut recovery = RecoverReport {
            kept_as: Some("log.redb.set-aside-1".to_owned()),
            was_whole: false,
            head: Position { epoch: Epoch(2), sequence: Sequence(17), ..END },
            unplaced: 6,
            unreadable: 4_096,
            ..RecoverReport::of_whole(END)
        };
        recovery.gaps.named = vec![row(13, 15), row(20, 20)];
        recovery.gaps.changes = 4;
        recovery.gaps.last_known = Sequence(22);
        recovery.gaps.doubtful = Some(row(8, 9));
        recovery.readmitted.kept = 3;
        recovery.readmitted.span = Some((Sequence(14), Sequence(16)));
        recovery.readmitted.duplicates = 5;
        recovery.readmitted.not_repeated = vec![Sequence(18), Sequence(19)];
        recovery.readmitted.not_repeated_count = 2;
        let expected = format!(
            "Changes 1 to 12 are whole, and are the new log. Epoch 2 follows.\n\
             4096 bytes could not be read. Copy what is left to a sound card soon.\n\
             4 changes are lost here: changes 13 to 15, change 20. An office that holds them gives them back.\n\
             Only the given file has changes 8 to 9. If this barn's log had gone another way by then, its own changes with \
             these numbers are lost.\n\
             Unknown after change 22: what was recorded later, if anything, left no trace here.\n\
             3 payloads were appended once more with their old times, as changes 14 to 16.\n\
             5 payloads were there already.\n\
             2 corrections behind a gap were not repeated; make them again: 18, 19.\n\
             6 rows may be whole, and nothing shows where they belong: they were left out.\n\
             The damaged log is kept as log.redb.set-aside-1. Delete it when the offices have all they need.\n\
             The log ends at change 17 of epoch 2; the chain digest is {}.\n\
             Start the service: sudo systemctl start herdlinxd\n",
            END.digest
        );
        assert_eq!(printed(&recovery), expected);
        recovery.gaps.changes = 5;
        recovery.readmitted.not_repeated_count = 3;
        let text = printed(&recovery);
        assert!(text.contains("5 changes are lost here: changes 13 to 15, change 20, and more. An office"), "{text}");
        assert!(
            text.contains("3 corrections behind a gap were not repeated; make them again: 18, 19, and more.\n"),
            "{text}"
        );
    }

    /// Catches a recovery that names losses of which there are none.
    #[test]
    fn a_recovery_without_a_loss_names_none() {
        let mut recovery = RecoverReport { was_whole: false, ..RecoverReport::of_whole(END) };
        recovery.gaps.last_known = Sequence(12);
        let text = printed(&recovery);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(lines, ["Changes", "Unknown", "The", "Start"], "{text}");
    }

    #[test]
    fn a_directory_is_no_file_to_recover_from() {
        let directory = tempfile::tempdir().unwrap();
        let refused = open_given(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("it is no file; of a copied state directory, name its log.redb"), "{refused}");
        std::fs::write(directory.path().join("log.redb"), b"").unwrap();
        assert!(open_given(&directory.path().join("log.redb")).is_ok());
    }
}
