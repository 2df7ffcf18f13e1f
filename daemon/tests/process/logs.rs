//! Destinations of the process's log: a file, stderr, and the journal.

use crate::barn::{Barn, wait_until};
use service::harness::Signal;
use std::fs::{File, read_to_string};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Catches a log file that gets less than stderr does, and one that the next start overwrites.
#[test]
fn a_log_file_gets_the_whole_log_and_the_next_start_appends_to_it() {
    let barn = Barn::new();
    let path = barn.path("barn.log");
    for starts in 1..=2 {
        let process = barn.start_with_env(&[("HERDLINX_LOG_FILE", path.to_str().unwrap())]);
        assert_eq!(process.stop(Signal::TERM), Some(0));
        let log = read_to_string(&path).unwrap();
        assert_eq!(log.matches("listening over HTTPS").count(), starts, "{log}");
        assert_eq!(log.matches("stopped; every acknowledged payload is on disk").count(), starts, "{log}");
    }
}

/// Catches a process that SIGHUP ends, and a log that goes on in a file that was rotated away.
#[test]
fn sighup_reopens_the_log_file_and_ends_nothing() {
    let barn = Barn::new();
    let path = barn.path("barn.log");
    let process = barn.start_with_env(&[("HERDLINX_LOG_FILE", path.to_str().unwrap())]);
    // The barn is ready, but may not have said so yet.
    wait_until("the log has its first lines", || {
        read_to_string(&path).is_ok_and(|log| log.contains("listening over HTTPS"))
    });
    let rotated = barn.path("barn.log.old");
    std::fs::rename(&path, &rotated).unwrap();
    process.signal(Signal::HUP);
    wait_until("the file is there again", || read_to_string(&path).is_ok_and(|log| log.contains("SIGHUP")));
    assert!(read_to_string(&rotated).unwrap().contains("listening over HTTPS"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a barn that does not record because its log cannot be written.
#[test]
fn a_log_file_that_cannot_be_written_is_reported_and_the_process_still_runs() {
    let barn = Barn::new();
    let missing = barn.path("none/barn.log");
    let process = barn.launch(&[("HERDLINX_LOG_FILE", missing.to_str().unwrap())]);
    assert!(stderr_until_ready(&barn).contains("`log_file` cannot be written to"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a log that is lost because `JOURNAL_STREAM` names stderr and no journal runs. A log in a real journal is
/// tested by `image/test`, in a container that has one.
#[test]
fn the_log_is_text_and_says_so_if_stderr_is_called_the_journal_and_no_journal_answers() {
    if Path::new("/run/systemd/journal/socket").exists() {
        println!("SKIPPED: this machine has a journal, and the test needs one that does not answer");
        return;
    }
    let barn = Barn::new();
    let stat = File::create(barn.stderr_file()).unwrap().metadata().unwrap();
    let stream = format!("{}:{}", stat.dev(), stat.ino());
    let process = barn.launch(&[("JOURNAL_STREAM", &stream)]);
    assert!(stderr_until_ready(&barn).contains("cannot open the journal's socket"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a process that trusts `JOURNAL_STREAM` although its stderr was redirected: every child in a unit inherits
/// the variable.
#[test]
fn a_journal_stream_that_is_not_stderr_is_ignored() {
    let barn = Barn::new();
    let process = barn.launch(&[("JOURNAL_STREAM", "1:1")]);
    assert!(!stderr_until_ready(&barn).contains("journal"));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Waits until the process serves and returns its stderr. The log is set up, and its problems reported, before that.
fn stderr_until_ready(barn: &Barn) -> String {
    let read = || read_to_string(barn.stderr_file()).unwrap_or_default();
    wait_until("the process serves", || read().contains("listening over HTTPS"));
    read()
}

/// Catches payloads that leave no line in the log, and an array that leaves one for each of its payloads.
#[test]
fn each_packet_and_each_call_leaves_a_line_about_its_payloads() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    std::fs::write(barn.path("script"), "+0 hxb:LOT1:LF9:UHF9\n").unwrap();
    let process = barn.start_with_env(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__SCRIPT", barn.path("script").to_str().unwrap()),
    ]);
    for body in [
        r#"{"payload":"hxb:LOT1:LF1:UHF1"}"#,
        r#"{"payload":"hxb:LOT1:LF1:UHF1"}"#,
        r#"{"payload":"nonsense"}"#,
        r#"{"payloads":["hxb:LOT1:LF2:UHF2","hxb:LOT1:LF3:UHF3"]}"#,
    ] {
        process.post(&key, body);
    }
    wait_until("the packet is recorded", || process.status().sequence.0 == 6);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let log = read_to_string(barn.stderr_file()).unwrap();
    let lines = |parts: [&str; 2]| log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
    for (parts, count) in [
        (["payload recorded ", "chute-1"], 2),
        (["payload recorded but rejected", "chute-1"], 1),
        (["payload recorded ", "radio1"], 1),
        (["array of payloads judged", "chute-1"], 1),
        (["duplicate payload", ""], 0),
    ] {
        assert_eq!(lines(parts), count, "{parts:?}: {log}");
    }
}
