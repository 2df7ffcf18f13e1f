//! Where the log of the real process goes.

use crate::barn::{Barn, until};
use rustix::process::Signal;
use std::fs::{File, read_to_string};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

/// Catches a file that gets less than stderr does, and one that is written over by the next start.
#[test]
fn a_log_file_gets_the_whole_log_and_the_next_start_goes_on_with_it() {
    let barn = Barn::new();
    let path = barn.path("barn.log");
    for starts in 1..=2 {
        let process = barn.start_with(&[("HERDLINX_LOG_FILE", path.to_str().unwrap())]);
        assert_eq!(process.stop(Signal::TERM), Some(0));
        let log = read_to_string(&path).unwrap();
        assert_eq!(log.matches("listening over HTTPS").count(), starts, "{log}");
        assert_eq!(log.matches("stopped; every acknowledged payload is on disk").count(), starts, "{log}");
    }
}

/// Catches a barn that is deaf because of its log.
#[test]
fn a_log_file_that_cannot_be_written_is_said_and_keeps_nothing_from_running() {
    let barn = Barn::new();
    let (log, nowhere) = (barn.path("stderr"), barn.path("none/barn.log"));
    let process = barn.launch(&[("HERDLINX_LOG_FILE", nowhere.to_str().unwrap())], stderr_to(&log));
    assert!(said_until_it_serves(&log).contains("`log_file` cannot be written to"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// The journal itself is met in a container that has one; here its absence is.
#[test]
fn where_stderr_is_called_the_journal_and_no_journal_answers_the_log_is_text_and_says_so() {
    if Path::new("/run/systemd/journal/socket").exists() {
        println!("SKIPPED: this machine has a journal, and the test wants one that does not answer");
        return;
    }
    let barn = Barn::new();
    let log = barn.path("stderr");
    let stderr = stderr_to(&log);
    let stat = log.metadata().unwrap();
    let stream = format!("{}:{}", stat.dev(), stat.ino());
    let process = barn.launch(&[("JOURNAL_STREAM", &stream)], stderr);
    assert!(said_until_it_serves(&log).contains("its socket does not answer"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// The variable is inherited by whatever is started in a unit, also where its stderr was put elsewhere.
#[test]
fn another_stream_than_stderr_is_not_the_journal() {
    let barn = Barn::new();
    let log = barn.path("stderr");
    let process = barn.launch(&[("JOURNAL_STREAM", "1:1")], stderr_to(&log));
    assert!(!said_until_it_serves(&log).contains("journal"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// What the log goes to is settled, and told, before anything is served.
fn said_until_it_serves(log: &Path) -> String {
    until("it serves", || read_to_string(log).unwrap().contains("listening over HTTPS"));
    read_to_string(log).unwrap()
}

fn stderr_to(path: &Path) -> Stdio {
    File::create(path).unwrap().into()
}
