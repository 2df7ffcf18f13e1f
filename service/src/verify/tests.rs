//! Verifications by a command, by a process, and of files.

use super::*;
use crate::control::CommandError;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::store::{DamagedRow, Store};
use herd::testing::TestBarn;

fn head() -> Position {
    Position { store: StoreId([1; 16]), epoch: Epoch(1), sequence: Sequence(7), digest: Digest([2; 32]) }
}

/// Catches a damaged store that is called sound, a sound one that is called damaged, and a disk that fails and is taken for
/// damage of the store.
#[test]
fn a_store_is_sound_unless_its_log_or_its_rows_are_damaged() {
    let (digest, folded) = (Digest([3; 32]), Sequence(7));
    let tables = [
        (TablesVerdict::Equal { folded, fold_digest: digest, rows: 9 }, true, 4),
        (TablesVerdict::Missing, true, 3),
        (TablesVerdict::OtherFold { found: 1 }, true, 3),
        (TablesVerdict::NoPrefix { folded }, false, 3),
        (TablesVerdict::Unreadable { why: "a bad page".to_owned() }, false, 3),
        (TablesVerdict::OtherDigest { folded, stored: digest, recomputed: digest }, false, 3),
    ];
    for (tables, sound, lines) in tables {
        let report = VerifyReport::new(Ok(VerifyOutcome { head: head(), tables })).unwrap();
        assert_eq!((report.sound, report.lines.len()), (sound, lines), "{report:?}");
        assert!(report.lines[0].starts_with("the log holds 7 changes of history 0101"), "{report:?}");
    }
    let rows = vec![DamagedRow { first: Sequence(1), last: Sequence(2) }];
    let damaged_file = StoreError::DamagedFile { file: "log.redb".to_owned(), why: "a bad page".to_owned() };
    for damage in [VerifyError::Damaged { rows }, VerifyError::Store(damaged_file)] {
        let text = damage.to_string();
        assert_eq!(VerifyReport::new(Err(damage)).unwrap(), VerifyReport { sound: false, lines: vec![text] });
    }
    let locked = VerifyError::Store(StoreError::Locked { file: "log.redb".to_owned() });
    assert!(matches!(VerifyReport::new(Err(locked)), Err(StoreError::Locked { .. })));
}

/// Catches a process that verifies nothing, one that verifies a store several times at once, and one that mixes up stores.
#[test]
fn a_process_verifies_each_store_once_at_a_time_and_keeps_the_result() {
    let (jobs, barn) = (VerifyJobs::default(), TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]));
    assert_eq!(jobs.state("north"), None);
    jobs.start("north", barn.reader()).unwrap();
    let finished = || match jobs.state("north") {
        Some(VerifyState::Finished(report)) => Some(report),
        _ => None,
    };
    let report = crate::harness::wait_until_blocking("the verification", finished).unwrap();
    assert!(report.sound && report.lines[0].starts_with("the log holds 2 changes"), "{report:?}");
    assert_eq!(jobs.state("south"), None);

    let running = VerifyState::Running("the log".to_owned());
    jobs.lock().insert("south".to_owned(), running.clone());
    jobs.start("south", barn.reader()).unwrap();
    assert_eq!(jobs.state("south"), Some(running), "no second run");
}

/// Catches a command that prints no finding, or whose exit code says something else than its lines.
#[test]
fn a_command_waits_for_the_end_and_its_exit_code_tells_the_finding() {
    let report = |sound| VerifyState::Finished(VerifyReport { sound, lines: vec!["a".to_owned(), "b".to_owned()] });
    let cases = [
        (vec![VerifyState::Running("the log".to_owned()), report(true)], "a\nb\n", Exit::Success),
        (vec![report(false)], "a\nb\n", Exit::Damaged),
        (vec![VerifyState::Failed("the disk fails".to_owned())], "", Exit::Failure),
    ];
    for (states, printed, code) in cases {
        let (mut states, mut starts, mut out) = (states.into_iter(), Vec::new(), Vec::new());
        let ask = |start: bool, _: &mut dyn FnMut(String)| {
            starts.push(start);
            states.next().ok_or(CommandError::UnexpectedResponse)
        };
        let found = verify_with(ask, &mut out).map_or_else(|error| Exit::from(&error), |()| Exit::Success);
        assert_eq!((found, String::from_utf8(out).unwrap().as_str()), (code, printed));
        assert!(starts[0] && starts[1..].iter().all(|start| !start), "it is started once: {starts:?}");
    }
}

#[test]
fn files_are_verified_with_their_progress() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Directory::new(directory.path()).unwrap();
    let clock = RawReading::default().in_boot(1);
    drop(Store::open_source(&disk, Rules::default(), clock, || StoreId([1; 16])).unwrap());
    let report = verify_files(&disk, &mut |_| {}).unwrap();
    assert!(report.sound && report.lines[0].starts_with("the log holds 1 changes"), "{report:?}");
    for (phase, text) in [
        (Phase::Chain, "digests of the log: 7 of 9"),
        (Phase::Rows, "tables: 7 of 9"),
        (Phase::Pages, "pages of the log: 7 of 9"),
    ] {
        assert_eq!(progress_text(Progress { phase, done: 7, of: 9 }), text);
    }
}
