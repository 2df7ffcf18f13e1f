//! Restores into real directories, interrupted at every step.

use super::*;
use crate::open::{OpenError, accept_log, open_keys, open_store};
use crate::test_world::{clock, scan};
use herd::backup::{copy_log, start_of};
use herd::clock::WallTime;
use herd::position::{Epoch, Sequence};
use service::door::keys::Scope;
use service::lifecycle::Exit;
use std::fs;
use tempfile::TempDir;

/// A machine with its state directory.
struct Machine {
    settings: Settings,
    _directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().join("state"), ..Settings::default() };
        Self { settings, _directory: directory }
    }

    /// A machine whose daemon has run once, as that of a card after its first boot.
    fn fresh() -> Self {
        let machine = Self::new();
        machine.record(0..0);
        machine
    }

    /// A machine whose daemon has run once and was killed: the start of its writer is in the journal only.
    fn killed() -> Self {
        let machine = Self::new();
        let store = machine.open_created();
        machine.note_position_of(store);
        assert_eq!(
            LogSurvey::of(&Directory::new(&machine.settings.state_dir).unwrap()).unwrap().unwrap().end().sequence.0,
            1
        );
        machine
    }

    fn open_created(&self) -> Store {
        StateDir::new(&self.settings.state_dir).create().unwrap();
        open_store(&self.settings, &clock()).unwrap()
    }

    /// Records payloads, notes the position as a clean stop does, and returns it.
    fn record(&self, payloads: std::ops::Range<usize>) -> Position {
        let mut store = self.open_created();
        for n in payloads {
            store.append(&[scan(n)]).unwrap();
        }
        store.settle().unwrap();
        self.note_position_of(store)
    }

    fn note_position_of(&self, store: Store) -> Position {
        let position = store.head().position;
        drop(store);
        let local = open_local(&StateDir::new(&self.settings.state_dir)).unwrap();
        crate::log_position::PositionWriter::new(Some(local)).write(&position);
        position
    }

    fn backup(&self) -> Vec<u8> {
        let store = open_store(&self.settings, &clock()).unwrap();
        let made = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };
        let mut file = Vec::new();
        copy_log(&store.reader(), &start_of(&store.reader(), "north", made), &mut file, &mut |_| {}).unwrap();
        file
    }

    fn restore(&self, file: &[u8]) -> Result<RestoreOutcome, RestoreError> {
        self.restore_until(file, &mut |_| ControlFlow::Continue(()))
    }

    fn restore_until(&self, file: &[u8], on_step: &mut OnStep<'_>) -> Result<RestoreOutcome, RestoreError> {
        let mut backup = BackupReader::open(file).unwrap();
        restore(&self.settings, &mut backup, &clock(), on_step).map(|(restored, _)| restored)
    }

    /// Returns the position at which a start finds the barn.
    fn start(&self) -> Result<Position, OpenError> {
        open_store(&self.settings, &clock()).map(|store| store.head().position)
    }

    /// Removes the files of the log, as a person moves them away.
    fn lose_log(&self) {
        for file in [LOG_FILE, JOURNAL_FILE, TABLES_FILE] {
            let removed = fs::remove_file(self.path(file));
            assert!(removed.is_ok() || !self.path(file).exists(), "{removed:?}");
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.settings.state_dir.join(file)
    }
}

fn dead_barn(payloads: usize) -> (Position, Vec<u8>) {
    let barn = Machine::new();
    let end = barn.record(0..payloads);
    (end, barn.backup())
}

fn is_whole(machine: &Machine, end: &Position, restored: &RestoreOutcome) {
    assert_eq!((restored.summary.end, restored.head.sequence), (*end, end.sequence.next()));
    assert!(restored.head.epoch > end.epoch);
    assert_eq!(machine.start().unwrap(), restored.head, "the barn starts where the restore has left it");
    assert!(!machine.path(STAGING_DIR).exists());
    let store = open_store(&machine.settings, &clock()).unwrap();
    assert_eq!(store.reader().position_at(end.sequence).unwrap(), Some(*end));
    assert_eq!(store.head().folded, restored.head.sequence);
}

#[test]
fn an_empty_directory_and_that_of_a_fresh_card_become_the_barn_and_go_on_recording() {
    let (end, file) = dead_barn(5);
    for machine in [Machine::new(), Machine::fresh()] {
        let restored = machine.restore(&file).unwrap();
        assert_eq!((restored.summary.payloads, restored.remembered), (5, None));
        is_whole(&machine, &end, &restored);
        assert_eq!(machine.record(5..7).sequence.0, restored.head.sequence.0 + 2);
    }
}

/// Catches a restore that forgets the keys that devices were given on this machine.
#[test]
fn keys_that_are_there_stay() {
    let (_, file) = dead_barn(5);
    let machine = Machine::fresh();
    let (local, keys) = open_keys(&machine.settings).unwrap();
    let secret = keys.add("chute-1", [Scope::Ingest].into()).unwrap().reveal().to_owned();
    drop((local, keys));
    machine.restore(&file).unwrap();
    let (_local, keys) = open_keys(&machine.settings).unwrap();
    assert_eq!(keys.check(&secret).unwrap().name, "chute-1");
}

/// Catches files of two logs side by side after a power cut, a barn that starts on them, and a command that cannot go on.
#[test]
fn a_restore_that_is_interrupted_at_any_step_harms_nothing_and_completes() {
    for machine in [Machine::fresh, Machine::killed] {
        interrupt_at_every_step(machine);
    }
}

fn interrupt_at_every_step(new_machine: fn() -> Machine) {
    let (end, file) = dead_barn(5);
    let mut steps = 0;
    loop {
        let (machine, mut seen) = (new_machine(), 0);
        let mut is_noted = false;
        let interrupted = machine.restore_until(&file, &mut |step| {
            seen += 1;
            is_noted |= matches!(step, RestoreStep::Noted | RestoreStep::Exchanged(_));
            if seen > steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if interrupted.is_ok() {
            break;
        }
        assert!(matches!(interrupted, Err(RestoreError::Staging(StagingError::Interrupted))), "{interrupted:?}");
        match machine.start() {
            Ok(found) => assert!(!is_noted && found.sequence == Sequence(1), "step {seen}"),
            Err(error @ OpenError::RestoreInterrupted { .. }) => {
                assert!(is_noted, "step {seen}");
                assert_eq!(Exit::from(&error), Exit::Damaged);
            }
            Err(other) => panic!("step {seen}: {other}"),
        }
        let restored = machine.restore(&file).unwrap();
        is_whole(&machine, &end, &restored);
        steps += 1;
    }
    assert!(steps >= 6, "{steps}");
}

/// Catches two interrupted runs in a row, and a note that outlives its log.
#[test]
fn a_restore_that_is_interrupted_again_and_again_completes() {
    let (end, file) = dead_barn(5);
    for new_machine in [Machine::fresh, Machine::killed] {
        let machine = new_machine();
        // None of them completes: the first five write the log again, and the others have three steps left.
        for limit in [1, 3, 2, 3, 4, 1, 0, 2] {
            let mut seen = 0;
            let interrupted = machine.restore_until(&file, &mut |_| {
                seen += 1;
                if seen > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(
                matches!(interrupted, Err(RestoreError::Staging(StagingError::Interrupted))),
                "limit {limit}: {interrupted:?}"
            );
        }
        assert!(matches!(machine.start(), Err(OpenError::RestoreInterrupted { .. })));
        is_whole(&machine, &end, &machine.restore(&file).unwrap());
    }
}

/// Catches a note of one restore that lets a foreign backup replace the barn of another.
#[test]
fn a_note_lets_only_a_backup_of_its_own_history_go_on() {
    let ((_, file), (_, other)) = (dead_barn(5), dead_barn(3));
    let machine = Machine::killed();
    let interrupted = machine.restore_until(&file, &mut |step| match step {
        RestoreStep::Exchanged(JOURNAL_FILE) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(interrupted, Err(RestoreError::Staging(StagingError::Interrupted))));
    assert!(matches!(machine.restore(&other), Err(RestoreError::OtherHistory { .. })));
    machine.restore(&file).unwrap();
}

/// Catches a complete restore that fails over what it cannot clear away, so that nobody gets the pairing line.
#[test]
fn what_cannot_be_removed_does_not_fail_a_complete_restore() {
    let (end, file) = dead_barn(5);
    let machine = Machine::fresh();
    let restored = machine.restore_until(&file, &mut |step| {
        if step == RestoreStep::Exchanged(TABLES_FILE) {
            fs::remove_dir_all(machine.path(STAGING_DIR)).unwrap();
            fs::write(machine.path(STAGING_DIR), "no directory").unwrap();
        }
        ControlFlow::Continue(())
    });
    fs::remove_file(machine.path(STAGING_DIR)).unwrap();
    is_whole(&machine, &end, &restored.unwrap());
}

/// Catches a restore that goes on in a place that it could not clear.
#[test]
fn what_stands_in_the_way_is_named() {
    let (_, file) = dead_barn(5);
    let machine = Machine::fresh();
    fs::write(machine.path(STAGING_DIR), "no directory").unwrap();
    let refused = machine.restore(&file).unwrap_err();
    assert!(
        matches!(&refused, RestoreError::Staging(StagingError::Remove { path, .. }) if *path == machine.path(STAGING_DIR)),
        "{refused}"
    );
}

/// Catches a journal that nobody could read and that a restore throws away: of a later version, or none of it whole.
#[test]
fn a_journal_that_cannot_be_read_is_kept() {
    let (_, file) = dead_barn(5);
    for has_log in [false, true] {
        let machine = Machine::fresh();
        let unreadable = [0x5a; 8_192];
        fs::write(machine.path(JOURNAL_FILE), unreadable).unwrap();
        if has_log {
            machine.restore(&file).unwrap();
            assert_eq!(fs::read(machine.path("log.journal.set-aside-1")).unwrap(), unreadable);
            continue;
        }
        fs::remove_file(machine.path(LOG_FILE)).unwrap();
        fs::remove_file(machine.path("local.redb")).unwrap();
        let refused = machine.restore(&file).unwrap_err();
        assert!(matches!(&refused, RestoreError::Unreadable { .. }), "{refused}");
        assert_eq!(Exit::from(&refused), Exit::Damaged);
        assert_eq!(fs::read(machine.path(JOURNAL_FILE)).unwrap(), unreadable);
    }
}

/// Catches a restore over payloads that nobody else has, and one that repeats itself.
#[test]
fn a_directory_with_payloads_is_refused_and_left_as_it_is() {
    let (_, file) = dead_barn(5);
    let machine = Machine::new();
    let end = machine.record(0..1);
    let refused = machine.restore(&file).unwrap_err();
    assert_eq!(Exit::from(&refused), Exit::Refused);
    assert!(matches!(&refused, RestoreError::HasPayloads { has_backup: false, .. }), "{refused}");
    assert_eq!(machine.start().unwrap(), end);
}

#[test]
fn a_second_run_is_refused_and_says_that_the_barn_has_it_all() {
    let (_, file) = dead_barn(5);
    let machine = Machine::new();
    let restored = machine.restore(&file).unwrap();
    for _ in 0..2 {
        let refused = machine.restore(&file).unwrap_err();
        assert!(matches!(&refused, RestoreError::HasPayloads { has_backup: true, .. }), "{refused}");
        assert_eq!(machine.start().unwrap(), restored.head);
    }
    machine.record(5..6);
    assert!(matches!(machine.restore(&file), Err(RestoreError::HasPayloads { has_backup: true, .. })));
}

/// Catches a cut or altered backup that costs the barn its log, of which a part is restored, or that fills the card.
#[test]
fn a_backup_that_is_not_whole_changes_nothing() {
    let (_, file) = dead_barn(5);
    let machine = Machine::fresh();
    let before = machine.start().unwrap();
    let mut altered = file.clone();
    altered[file.len() / 2] ^= 1;
    for broken in [&file[..file.len() - 1], &altered] {
        let refused = machine.restore(broken).unwrap_err();
        assert_eq!(Exit::from(&refused), Exit::Damaged, "{refused}");
        assert!(!machine.path(STAGING_DIR).exists(), "what was written of it fills the card");
        assert_eq!(machine.start().unwrap(), before);
    }
    machine.restore(&file).unwrap();
}

/// Catches a log that goes on with an epoch that the lost one had, and a loss that is known and not told.
#[test]
fn a_barn_whose_log_is_gone_is_restored_to_its_own_backup_in_an_epoch_of_its_own() {
    let machine = Machine::new();
    machine.record(0..3);
    let file = machine.backup();
    let had = machine.record(3..9);
    machine.lose_log();
    assert!(machine.start().is_err());
    let restored = machine.restore(&file).unwrap();
    assert_eq!((restored.remembered, restored.head.epoch), (Some(had), Epoch(2)));

    // The same once more, with the restored barn.
    machine.lose_log();
    let again = machine.restore(&file).unwrap();
    assert_eq!((again.head.epoch, again.summary.end), (Epoch(3), restored.summary.end));
}

/// Catches a foreign backup in the place of a barn whose log is only mislaid.
#[test]
fn a_barn_whose_log_is_gone_takes_no_backup_of_another_one() {
    let (_, file) = dead_barn(5);
    let machine = Machine::new();
    machine.record(0..3);
    let (log, mislaid) = (machine.path(LOG_FILE), machine.path("mislaid"));
    fs::rename(&log, &mislaid).unwrap();
    assert!(matches!(machine.restore(&file), Err(RestoreError::JournalAlone { .. })));
    fs::remove_file(machine.path(JOURNAL_FILE)).unwrap();
    let refused = machine.restore(&file).unwrap_err();
    assert!(matches!(&refused, RestoreError::OtherHistory { .. }), "{refused}");
    fs::rename(&mislaid, &log).unwrap();
    assert_eq!(machine.start().unwrap().sequence, Sequence(4));
}

/// Catches a journal that is thrown away although it may hold the only copy of changes.
#[test]
fn a_journal_without_its_log_is_no_empty_directory() {
    let (_, file) = dead_barn(5);
    let machine = Machine::new();
    machine.record(0..0);
    let mut store = open_store(&machine.settings, &clock()).unwrap();
    store.append(&[scan(1)]).unwrap();
    // Killed: the payload is in the journal.
    drop(store);
    fs::remove_file(machine.path(LOG_FILE)).unwrap();
    fs::remove_file(machine.path("local.redb")).unwrap();
    let refused = machine.restore(&file).unwrap_err();
    assert!(matches!(&refused, RestoreError::JournalAlone { .. }), "{refused}");
    assert_eq!(Exit::from(&refused), Exit::Damaged);
}

/// Catches a barn with a damaged log that is told to restore a backup, by the command that does it, and one that loses its
/// keys on the way.
#[test]
fn a_log_that_cannot_be_read_is_moved_away_first_and_the_keys_stay() {
    let machine = Machine::new();
    machine.record(0..3);
    let file = machine.backup();
    let (local, keys) = open_keys(&machine.settings).unwrap();
    let secret = keys.add("chute-1", [Scope::Ingest].into()).unwrap().reveal().to_owned();
    drop((local, keys));
    fs::write(machine.path(LOG_FILE), [0x5a; 9_000]).unwrap();
    let refused = machine.restore(&file).unwrap_err();
    assert!(matches!(&refused, RestoreError::Unreadable { .. }), "{refused}");
    assert_eq!(Exit::from(&refused), Exit::Damaged);
    machine.lose_log();
    machine.restore(&file).unwrap();
    let (_local, keys) = open_keys(&machine.settings).unwrap();
    assert_eq!(keys.check(&secret).unwrap().name, "chute-1");
}

/// Catches the restore of one backup that completes that of another, and a log without its epoch that is accepted.
#[test]
fn an_interrupted_restore_is_completed_by_its_own_backup_only() {
    let ((_, file), (_, other)) = (dead_barn(5), dead_barn(3));
    let machine = Machine::fresh();
    let interrupted = machine.restore_until(&file, &mut |step| match step {
        RestoreStep::Exchanged(LOG_FILE) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(interrupted, Err(RestoreError::Staging(StagingError::Interrupted))));
    let refused = machine.restore(&other).unwrap_err();
    assert!(matches!(&refused, RestoreError::OtherBackup { .. }), "{refused}");
    let acceptance = Acceptance { author: "J. Doe".to_owned(), reason: "in a hurry".to_owned() };
    let accepted = accept_log(&machine.settings, &acceptance, &clock());
    assert!(matches!(accepted, Err(OpenError::RestoreInterrupted { .. })));
    machine.restore(&file).unwrap();
}

/// Catches a read of today that passes for a repetition of one that the dead machine heard at the same time since boot.
#[test]
fn a_restored_barn_does_not_take_new_reads_for_repetitions_of_the_last_ones() {
    let (_, file) = dead_barn(1);
    let machine = Machine::fresh();
    let restored = machine.restore(&file).unwrap();
    // The text, the time since boot and the wall clock of the dead barn's last read.
    assert_eq!(machine.record(0..1).sequence, restored.head.sequence.next());
}
