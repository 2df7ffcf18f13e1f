//! A backup as a command writes it: from a process, from files, and onto media that fail.

use super::command::write_backup;
use super::*;
use crate::control::{AskError, CommandError, ControlError, DirectError};
use crate::lifecycle::Exit;
use herd::backup::{BackupError, BackupReader, BackupSummary, copy_log, start_of};
use herd::clock::WallTime;
use herd::store::Reader;
use herd::testing::TestBarn;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const NOW: WallTime = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };

/// A running process, whose responses cross no socket.
struct RunningProcess {
    barn: TestBarn,
    /// Payloads that arrive with each request.
    arriving: u32,
}

impl RunningProcess {
    fn new(payloads: u32) -> Self {
        let mut barn = TestBarn::default();
        for n in 0..payloads {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        Self { barn, arriving: 0 }
    }

    fn respond(&self, request: &BackupRequest) -> Result<BackupResponse, CommandError> {
        let response = respond(&self.barn.reader(), "north", NOW, request)?;
        Ok(serde_json::from_str(&serde_json::to_string(&response).unwrap()).unwrap())
    }
}

impl BackupSource for RunningProcess {
    fn start(&mut self, _write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        self.respond(&BackupRequest::Start)
    }

    fn request(&mut self, request: BackupRequest) -> Result<BackupResponse, CommandError> {
        self.arriving += 1;
        self.barn.record(&format!("hxb:LOT2:LF9{}:UHF9{}", self.arriving, self.arriving));
        self.respond(&request)
    }
}

/// The files of a stopped process.
struct Files(Reader);

impl BackupSource for Files {
    fn start(&mut self, write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        match write(&self.0, "north") {
            Ok(summary) => Ok(BackupResponse::Written(summary)),
            Err(DirectError::Failed(error)) => Err(CommandError::Failed(error)),
            Err(other) => panic!("{other}"),
        }
    }

    fn request(&mut self, _request: BackupRequest) -> Result<BackupResponse, CommandError> {
        Err(CommandError::UnexpectedResponse)
    }
}

/// A process that gives no backup.
struct Unplugged;

impl BackupSource for Unplugged {
    fn start(&mut self, _write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        Err(ControlError::failed("the process has other worries").into())
    }

    fn request(&mut self, _request: BackupRequest) -> Result<BackupResponse, CommandError> {
        Err(CommandError::UnexpectedResponse)
    }
}

fn backup(source: &mut dyn BackupSource, path: &Path, force: bool) -> Result<String, BackupCommandError> {
    let mut out = Vec::new();
    let args = BackupArgs { file: path.to_owned(), force };
    backup_with(&args, Path::new("/proc"), NOW, source, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Catches two ways of writing that make two kinds of files, and payloads that arrive meanwhile and are half in it.
#[test]
fn a_process_and_its_files_make_equal_backups() {
    let mut process = RunningProcess::new(40);
    let (mut from_files, mut from_process) = (Vec::new(), Vec::new());
    write_backup(&mut from_files, NOW, &mut Files(process.barn.reader())).unwrap();
    let (_, summary) = write_backup(&mut from_process, NOW, &mut process).unwrap();
    assert_eq!(summary.payloads, 40);
    assert!(process.arriving > 0 && from_files == from_process);
}

#[test]
fn a_backup_has_its_name_once_it_is_proved_and_tells_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("north.backup");
    let mut process = RunningProcess::new(3);
    let text = backup(&mut process, &path, false).unwrap();
    assert!(text.contains("3 payloads in 4 changes of `north`"), "{text}");
    assert_eq!(names_in(directory.path()), ["north.backup"]);
    let mut proof = Vec::new();
    prove_file(&path, &mut proof).unwrap();
    assert!(String::from_utf8(proof).unwrap().contains("3 payloads in 4 changes of `north`"));
}

/// Catches a backup that replaces an older one which nobody gave up, and a failure that leaves neither.
#[test]
fn an_existing_file_is_overwritten_only_by_force_and_only_by_a_whole_backup() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("north.backup");
    fs::write(&path, "something of a person").unwrap();
    let mut process = RunningProcess::new(3);
    let refused = backup(&mut process, &path, false).unwrap_err();
    assert_eq!(Exit::from(&refused), Exit::Refused);

    assert!(backup(&mut Unplugged, &path, true).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"something of a person");
    assert_eq!(names_in(directory.path()), ["north.backup"]);

    backup(&mut process, &path, true).unwrap();
    prove_file(&path, &mut Vec::new()).unwrap();
}

/// Catches a partial file of a killed command that blocks the next one, or is taken for a part of its backup.
#[test]
fn what_a_killed_backup_left_is_overwritten_and_a_running_one_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("north.backup");
    fs::write(directory.path().join("north.backup.partial"), vec![7; 1_000_000]).unwrap();
    backup(&mut RunningProcess::new(3), &path, false).unwrap();
    assert_eq!(names_in(directory.path()), ["north.backup"]);
    assert!(fs::metadata(&path).unwrap().len() < 100_000);

    let other = directory.path().join("other.backup");
    let _running = BackupTarget::create(&other, false).unwrap();
    let busy = backup(&mut RunningProcess::new(3), &other, false).unwrap_err();
    assert_eq!(Exit::from(&busy), Exit::Locked);
    assert!(directory.path().join("other.backup.partial").exists());
}

/// Catches a backup that is written into a file of somebody else, who may read it then or keeps another name of it.
#[test]
fn a_partial_file_that_was_there_is_replaced_and_never_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other_name) = (directory.path().join("north.backup"), directory.path().join("other name"));
    let partial = directory.path().join("north.backup.partial");
    fs::write(&other_name, "something of a person").unwrap();
    fs::set_permissions(&other_name, fs::Permissions::from_mode(0o644)).unwrap();
    fs::hard_link(&other_name, &partial).unwrap();
    backup(&mut RunningProcess::new(3), &path, false).unwrap();
    assert_eq!(fs::read(&other_name).unwrap(), b"something of a person");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    std::os::unix::fs::symlink(&other_name, &partial).unwrap();
    let refused = backup(&mut RunningProcess::new(3), &path, true).unwrap_err();
    assert!(matches!(&refused, BackupCommandError::Target(TargetError::Io { doing: "open", .. })), "{refused}");
    assert_eq!(fs::read(&other_name).unwrap(), b"something of a person");
}

/// Catches a medium that returns other bytes than it was given, and still has a "backup" on it.
#[test]
fn a_file_that_reads_back_differently_gets_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("north.backup");
    let barn = RunningProcess::new(3).barn;
    let (reader, start) = (barn.reader(), start_of(&barn.reader(), "north", NOW));
    let finish = |spoil: &dyn Fn(&Path), summary_of: &dyn Fn(BackupSummary) -> BackupSummary| {
        let target = BackupTarget::create(&path, false).unwrap();
        let summary = copy_log(&reader, &start, target.file(), &mut |_| {}).unwrap();
        spoil(&directory.path().join("north.backup.partial"));
        target.finish(&summary_of(summary), &mut |_| Ok(()))
    };
    let cut = |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(200).unwrap();
    assert!(matches!(finish(&cut, &|summary| summary), Err(TargetError::ReadBack { .. })));
    let other = finish(&|_| {}, &|summary| BackupSummary { payloads: 9, ..summary });
    assert!(matches!(other, Err(TargetError::OtherContent(_))));
    assert_eq!(names_in(directory.path()), [""; 0]);
    finish(&|_| {}, &|summary| summary).unwrap();
    assert_eq!(BackupReader::open(&*fs::read(&path).unwrap()).unwrap().start(), &start);
}

#[test]
fn a_directory_or_a_place_that_does_not_exist_is_refused_before_anything_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = RunningProcess::new(1);
    let to_directory = backup(&mut process, directory.path(), true).unwrap_err();
    assert_eq!(Exit::from(&to_directory), Exit::Usage);
    fs::write(directory.path().join("file"), "").unwrap();
    for (place, doing_what) in [("none/north.backup", "create"), ("file/north.backup", "look for")] {
        let refused = backup(&mut process, &directory.path().join(place), false).unwrap_err();
        let is_named =
            matches!(&refused, BackupCommandError::Target(TargetError::Io { doing, .. }) if *doing == doing_what);
        assert!(is_named, "{place}: {refused}");
        assert_eq!(Exit::from(&refused), Exit::Failure);
    }
    assert_eq!(process.arriving, 0);
}

/// A process that is too busy to respond some of the time.
struct Busy {
    process: RunningProcess,
    /// Requests that get no response, before each that does.
    unanswered: u32,
    requests: u32,
}

impl BackupSource for Busy {
    fn start(&mut self, write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        self.process.start(write)
    }

    fn request(&mut self, request: BackupRequest) -> Result<BackupResponse, CommandError> {
        self.requests += 1;
        if self.requests.is_multiple_of(self.unanswered + 1) {
            return self.process.request(request);
        }
        let path = "control".into();
        Err(CommandError::Ask(if self.requests.is_multiple_of(2) {
            AskError::NoResponse { path, source: std::io::ErrorKind::WouldBlock.into() }
        } else {
            AskError::Late { path, reason: "no response was ready within 5 s".to_owned() }
        }))
    }
}

/// Catches a backup of an hour that fails because the process was busy for a quarter of a minute.
#[test]
fn a_part_without_a_response_is_requested_again_a_few_times() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("north.backup");
    let busy = |unanswered| Busy { process: RunningProcess::new(3), unanswered, requests: 0 };
    backup(&mut busy(3), &path, false).unwrap();
    prove_file(&path, &mut Vec::new()).unwrap();
    let failed = backup(&mut busy(4), &path, true).unwrap_err();
    assert_eq!(Exit::from(&failed), Exit::NoPeer);
}

/// Catches a damaged log that a running process reports as if the command had been refused.
#[test]
fn a_damaged_log_has_one_exit_code_whether_or_not_the_process_runs() {
    let refused = |code: &str| CommandError::Refused(ControlError::new(code, "the log is damaged"));
    let exit = |error: CommandError| Exit::from(&BackupCommandError::from(error));
    assert_eq!(exit(refused("log_damaged")), Exit::Damaged);
    assert_eq!(exit(refused("diverged")), Exit::Refused);
    let asked = AskError::Refused(ControlError::new("log_damaged", "the log is damaged"));
    assert_eq!(exit(CommandError::Ask(asked)), Exit::Damaged);
}

/// Catches a file that a person throws away although the medium was only pulled, and a damaged one that looks like a failure
/// that passes.
#[test]
fn the_exit_code_tells_a_damaged_backup_from_another_file_and_from_a_failing_medium() {
    let after = herd::position::Sequence(1);
    for (error, code) in [
        (BackupError::NotABackup, Exit::Refused),
        (BackupError::Version { found: 9 }, Exit::Refused),
        (BackupError::Cut { offset: 9, after }, Exit::Damaged),
    ] {
        assert_eq!(Exit::from(&BackupCommandError::from(error)), code);
    }
    let directory = tempfile::tempdir().unwrap();
    let unreadable = prove_file(directory.path(), &mut Vec::new()).unwrap_err();
    assert!(matches!(&unreadable, BackupCommandError::Backup(BackupError::Read { .. })), "{unreadable}");
    assert_eq!(Exit::from(&unreadable), Exit::Failure);
}

/// Catches a log that was swapped during a backup, whose parts would then be of two histories.
#[test]
fn a_position_of_another_log_is_refused() {
    let process = RunningProcess::new(3);
    let other = RunningProcess::new(4);
    let after = other.barn.reader().head().position;
    let request = BackupRequest::Run { after, end: after.sequence };
    let refused = process.respond(&request).unwrap_err();
    assert!(matches!(refused, CommandError::Refused(error) if error.code == "diverged"));
}
