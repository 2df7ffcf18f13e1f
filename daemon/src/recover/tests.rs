//! Recoveries in real directories, interrupted at every step.

use super::*;
use crate::log_position::PositionWriter;
use crate::open::{OpenError, open_store};
use crate::restore::{RestoreError, restore};
use crate::test_world::{clock, scan};
use herd::backup::{BackupReader, copy_log, start_of};
use herd::clock::WallTime;
use herd::position::{Epoch, Sequence};
use herd::store::DamagedRow;
use service::lifecycle::Exit;
use std::fs;
use tempfile::TempDir;

/// Bytes of a page of `log.redb`.
const PAGE: usize = 4_096;

/// A machine with its state directory.
struct Machine {
    settings: Settings,
    _directory: TempDir,
}

impl Machine {
    /// A barn whose log has rows with these numbers of payloads, and that was stopped cleanly.
    fn with(rows: &[usize]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().join("state"), ..Settings::default() };
        StateDir::new(&settings.state_dir).create().unwrap();
        let machine = Self { settings, _directory: directory };
        rows.iter().fold(0, |from, payloads| {
            machine.record(from..from + payloads);
            from + payloads
        });
        machine
    }

    /// Records payloads in a row of their own, notes the position as a clean stop does, and returns it.
    fn record(&self, payloads: std::ops::Range<usize>) -> Position {
        let mut store = open_store(&self.settings, &clock()).unwrap();
        for n in payloads {
            store.append(&[scan(n)]).unwrap();
        }
        store.settle().unwrap();
        let position = store.head().position;
        drop(store);
        let local = open_local(&StateDir::new(&self.settings.state_dir)).unwrap();
        PositionWriter::new(Some(local)).write(&position);
        position
    }

    fn path(&self, file: &str) -> PathBuf {
        self.settings.state_dir.join(file)
    }

    fn start(&self) -> Result<Position, OpenError> {
        open_store(&self.settings, &clock()).map(|store| store.head().position)
    }

    /// Flips a bit in each place where a text is.
    fn damage(&self, text: &str) {
        let mut log = fs::read(self.path(LOG_FILE)).unwrap();
        let places: Vec<_> = log.windows(text.len()).enumerate().filter(|(_, at)| *at == text.as_bytes()).collect();
        let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
        assert!(!places.is_empty(), "{text}");
        for place in places {
            log[place] ^= 1;
        }
        fs::write(self.path(LOG_FILE), log).unwrap();
        // It has the last rows once more.
        fs::remove_file(self.path(JOURNAL_FILE)).unwrap();
    }

    fn lose_header(&self) {
        let mut log = fs::read(self.path(LOG_FILE)).unwrap();
        log[..PAGE].fill(0);
        fs::write(self.path(LOG_FILE), log).unwrap();
    }

    fn backup(&self) -> Vec<u8> {
        let store = open_store(&self.settings, &clock()).unwrap();
        let made = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };
        let mut file = Vec::new();
        copy_log(&store.reader(), &start_of(&store.reader(), "north", made), &mut file, &mut |_| {}).unwrap();
        file
    }

    fn recover(&self, given: Option<&Vec<u8>>) -> Result<RecoverReport, RecoverCommandError> {
        self.recover_until(given, &mut |_| ControlFlow::Continue(()))
    }

    fn recover_until(
        &self,
        given: Option<&Vec<u8>>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RecoverReport, RecoverCommandError> {
        recover(&self.settings, given.map(|given| given as &dyn Bytes), &clock(), on_step)
    }
}

/// Returns a text of the payload.
fn text_of(n: usize) -> String {
    String::from_utf8(scan(n).raw).unwrap()
}

#[test]
fn a_barn_without_the_header_of_its_log_starts_again_with_everything() {
    let machine = Machine::with(&[5, 4]);
    let end = machine.start().unwrap();
    machine.lose_header();
    assert!(machine.start().is_err());
    let recovery = machine.recover(None).unwrap();
    assert_eq!((recovery.end, recovery.gaps.changes, recovery.head.epoch), (end, 0, Epoch(2)));
    assert_eq!(recovery.kept_as.as_deref(), Some("log.redb.set-aside-1"));
    assert!(machine.path("log.redb.set-aside-1").exists() && !machine.path(STAGING_DIR).exists());
    assert_eq!(machine.start().unwrap(), recovery.head);

    let again = machine.recover(None).unwrap();
    assert!(again.was_whole && again.head == recovery.head, "{again:?}");
    assert_eq!(machine.record(9..10).sequence, recovery.head.sequence.next());
}

/// Catches a log that a recovery leaves as it is, because every change in it is whole, although nothing can be written to it.
#[test]
fn a_log_whose_free_space_is_damaged_is_written_anew() {
    let machine = Machine::with(&[5, 4, 3, 6, 2]);
    let (end, whole) = (machine.start().unwrap(), fs::read(machine.path(LOG_FILE)).unwrap());
    let mut places = (PAGE..whole.len()).step_by(PAGE).flat_map(|page| [40, 200, 1_000].map(|offset| page + offset));
    let place = places.find(|place| {
        let mut log = whole.clone();
        log[*place] ^= 0x04;
        fs::write(machine.path(LOG_FILE), &log).unwrap();
        let verified = verify_disk(&Directory::new(&machine.settings.state_dir).unwrap(), &mut |_| {});
        matches!(verified, Err(VerifyError::Pages { .. }))
    });
    assert!(place.is_some(), "no damage leaves every change whole");
    let recovery = machine.recover(None).unwrap();
    assert!(!recovery.was_whole && recovery.end == end && recovery.gaps.changes == 0, "{recovery:?}");
    machine.record(100..110);
}

#[test]
fn what_stands_in_the_way_of_a_recovery_is_named() {
    let machine = Machine::with(&[2]);
    machine.lose_header();
    fs::write(machine.path(STAGING_DIR), "no directory").unwrap();
    let refused = machine.recover(None).unwrap_err();
    assert!(
        matches!(&refused, RecoverCommandError::Staging(StagingError::Remove { path, .. }) if *path == machine.path(STAGING_DIR)),
        "{refused}"
    );
}

/// Catches files of two logs side by side after a power cut, and a command that cannot go on.
#[test]
fn a_recovery_that_is_interrupted_at_any_step_harms_nothing_and_completes() {
    let mut steps = 0;
    loop {
        let machine = Machine::with(&[5, 4, 3]);
        machine.damage(&text_of(6));
        let (damaged, mut seen) = (fs::read(machine.path(LOG_FILE)).unwrap(), 0);
        let interrupted = machine.recover_until(None, &mut |_| {
            seen += 1;
            if seen > steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let recovery = match interrupted {
            Ok(recovery) => recovery,
            Err(RecoverCommandError::Staging(StagingError::Interrupted)) => machine.recover(None).unwrap(),
            Err(other) => panic!("step {steps}: {other}"),
        };
        assert_eq!((recovery.end.sequence, recovery.readmitted.kept), (Sequence(6), 3), "step {steps}: {recovery:?}");
        let lost = DamagedRow { first: Sequence(7), last: Sequence(10) };
        assert_eq!((&recovery.gaps.named[..], recovery.gaps.last_known), (&[lost][..], Sequence(13)));
        assert_eq!(fs::read(machine.path(recovery.kept_as.as_ref().unwrap())).unwrap(), damaged);
        assert_eq!(machine.start().unwrap(), recovery.head);
        if seen <= steps {
            break;
        }
        steps += 1;
    }
    assert!(steps >= 8, "{steps}");
}

/// Catches a barn that starts, or is restored, between two files of a recovery.
#[test]
fn a_recovery_that_exchanges_files_is_completed_before_anything_else() {
    let machine = Machine::with(&[5]);
    let backup = machine.backup();
    machine.lose_header();
    let interrupted = machine.recover_until(None, &mut |step| match step {
        RecoverStep::Exchanged("the damaged log") => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(interrupted, Err(RecoverCommandError::Staging(StagingError::Interrupted))));
    let refused = machine.start().unwrap_err();
    assert!(matches!(refused, OpenError::RecoverInterrupted) && Exit::from(&refused) == Exit::Damaged);
    let mut backup = BackupReader::open(backup.as_slice()).unwrap();
    let on_step = &mut |_| ControlFlow::Continue(());
    let refused = restore(&machine.settings, &mut backup, &clock(), on_step).unwrap_err();
    assert!(matches!(refused, RestoreError::RecoverInterrupted), "{refused}");
    machine.recover(None).unwrap();
    machine.start().unwrap();
}

/// Catches a gap that an office's backup could fill, and a second run that appends everything twice.
#[test]
fn a_backup_fills_the_gap_and_a_whole_log_gets_only_what_it_lacks() {
    let machine = Machine::with(&[5, 4, 3]);
    let (backup, end) = (machine.backup(), machine.start().unwrap());
    machine.damage(&text_of(6));
    let recovery = machine.recover(Some(&backup)).unwrap();
    assert_eq!((recovery.end, recovery.gaps.changes, recovery.readmitted.kept), (end, 0, 0));

    // An old card put back: it went on without the last rows, which the backup has.
    let old = Machine::with(&[5]);
    let log = fs::read(old.path(LOG_FILE)).unwrap();
    old.record(5..9);
    let backup = old.backup();
    fs::write(old.path(LOG_FILE), log).unwrap();
    fs::remove_file(old.path(JOURNAL_FILE)).unwrap();
    fs::remove_file(old.path(TABLES_FILE)).unwrap();
    fs::remove_file(old.path("local.redb")).unwrap();
    old.record(20..24);
    for (kept, duplicates) in [(4, 0), (0, 4), (0, 4)] {
        let recovery = old.recover(Some(&backup)).unwrap();
        assert!(recovery.was_whole, "{recovery:?}");
        assert_eq!((recovery.readmitted.kept, recovery.readmitted.duplicates), (kept, duplicates));
        assert_eq!(old.start().unwrap(), recovery.head);
    }
}

#[test]
fn a_wrong_file_and_a_foreign_history_are_refused_and_change_nothing() {
    let (machine, other) = (Machine::with(&[5]), Machine::with(&[3]));
    let before = machine.start().unwrap();
    for given in [b"PNG".to_vec(), Vec::new(), other.backup(), fs::read(other.path(LOG_FILE)).unwrap()] {
        let refused = machine.recover(Some(&given)).unwrap_err();
        assert_eq!(Exit::from(&refused), Exit::Refused, "{refused}");
        assert_eq!(machine.start().unwrap(), before);
    }
}

/// Catches a log that vanished and is taken for one that never was.
#[test]
fn a_machine_that_lost_its_log_recovers_a_copy_of_it() {
    let machine = Machine::with(&[5, 4]);
    let (end, mut copy) = (machine.start().unwrap(), fs::read(machine.path(LOG_FILE)).unwrap());
    copy[..PAGE].fill(0);
    for file in [LOG_FILE, JOURNAL_FILE, TABLES_FILE] {
        fs::remove_file(machine.path(file)).unwrap();
    }
    let nothing = machine.recover(None).unwrap();
    assert_eq!((nothing.end.sequence, nothing.gaps.changes, nothing.gaps.last_known), (Sequence(0), 10, Sequence(10)));
    fs::remove_file(machine.path(LOG_FILE)).unwrap();
    let recovery = machine.recover(Some(&copy)).unwrap();
    assert_eq!((recovery.end.sequence, recovery.end.digest, recovery.kept_as), (end.sequence, end.digest, None));
}

/// Catches an epoch for each run with a file of an old branch, whose last rows lie behind a hole.
#[test]
fn a_whole_log_stays_whatever_holes_a_given_file_has() {
    let machine = Machine::with(&[5]);
    let log = fs::read(machine.path(LOG_FILE)).unwrap();
    machine.record(5..9);
    machine.record(9..13);
    machine.damage(&text_of(6));
    let copy = fs::read(machine.path(LOG_FILE)).unwrap();
    fs::write(machine.path(LOG_FILE), log).unwrap();
    fs::remove_file(machine.path(TABLES_FILE)).unwrap();
    fs::remove_file(machine.path("local.redb")).unwrap();
    let end = machine.record(20..22);
    for (kept, duplicates) in [(4, 0), (0, 4)] {
        let recovery = machine.recover(Some(&copy)).unwrap();
        assert!(recovery.was_whole && recovery.head.epoch == end.epoch, "{recovery:?}");
        assert_eq!((recovery.readmitted.kept, recovery.readmitted.duplicates), (kept, duplicates));
        assert_eq!(machine.start().unwrap(), recovery.head);
    }
}
