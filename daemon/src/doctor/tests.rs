//! The whole report: complete, read-only, and with advice.

use super::*;
use crate::open::open_local;
use herd::pairing::Fingerprint;
use herd::position::Sequence;
use serde_json::Value;
use service::backup::VerifiedBackup;
use service::process::StateDir;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn settings(state_dir: &Path, radios: &str) -> Settings {
    let text = format!("state_dir = {:?}\n{radios}", state_dir.display().to_string());
    toml::from_str(&text).unwrap()
}

fn finding<'a>(report: &'a Report, part: &str) -> &'a Finding {
    report.findings.iter().find(|finding| finding.part == part).unwrap_or_else(|| panic!("{part}: {report:?}"))
}

#[tokio::test]
async fn before_the_first_start_nothing_fails_and_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().join("state");
    let report = examine(&settings(&state_dir, "")).await;
    assert!(report.passed(), "{report:?}");
    for part in ["radios", "state_dir", "key file", "certificate"] {
        assert_eq!(finding(&report, part).level, Level::Warn, "{part}");
    }
    assert!(!state_dir.exists(), "doctor writes nothing");
}

/// Catches a stick that is not there, reported as a rule of the law that the radios keep.
#[tokio::test]
async fn a_directory_of_backups_that_is_missing_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("[backup]\ndirectory = {:?}", directory.path().join("stick").display().to_string());
    let report = examine(&settings(directory.path(), &text)).await;
    let backup = finding(&report, "backup");
    assert!(backup.level == Level::Warn && backup.found.contains("does not exist now"), "{backup:?}");
    assert!(report.findings.iter().all(|finding| finding.part != "law"), "{report:?}");
}

/// Catches a dead code that nobody is told about, and one that fails a barn which works.
#[test]
fn a_pairing_code_is_reported_and_only_a_dead_one_warns() {
    let office = Fingerprint([0x0f; 32]);
    let level = |pairing| pairing_finding(&pairing).map(|finding| (finding.level, finding.found));
    assert_eq!(level(PairingStatus::None), None);
    let (waiting, found) = level(PairingStatus::Waiting { wrong_proofs: 7 }).unwrap();
    assert!(waiting == Level::Ok && found.contains("7 wrong proofs"), "{found}");
    assert_eq!(level(PairingStatus::Claimed { office }).unwrap().0, Level::Ok);
    let (used, found) = level(PairingStatus::Used { office, key_name: "desk".into() }).unwrap();
    assert!(used == Level::Ok && found.contains("0f0f") && found.contains("`desk`"), "{found}");
    assert_eq!(level(PairingStatus::Disabled { wrong_proofs: 1_000_000 }).unwrap().0, Level::Warn);
}

/// Catches a barn that refuses every read while `doctor` finds nothing, and a finding that stands there twice.
#[test]
fn the_running_daemon_reports_what_only_it_knows() {
    let found = |part: &str, failing| HealthFinding { part: part.into(), failing, text: "no read was taken".into() };
    let parts = ["reads", "disk", "gate", "certificate", "listen"].map(|part| found(part, true));
    let findings = health_findings(&[parts.as_slice(), &[found("clock", false)]].concat());
    assert!(findings.iter().all(|finding| finding.level == Level::Fail), "{findings:?}");
    assert_eq!(
        findings.iter().map(|finding| finding.part.as_str()).collect::<Vec<_>>(),
        ["reads", "certificate", "listen"]
    );
}

/// Catches advice that does not fit the error, and a backup that is missing and passes for a good one.
#[test]
fn a_silent_daemon_and_a_missing_backup_are_told_with_their_reasons() {
    let error = |kind| AskError::NoResponse { path: "/run/control.sock".into(), source: io::Error::from(kind) };
    let denied = no_response_finding(&error(io::ErrorKind::PermissionDenied));
    assert!(denied.level == Level::Fail && denied.advice.unwrap().contains("as root"), "{denied:?}");
    let silent = no_response_finding(&error(io::ErrorKind::TimedOut));
    assert!((silent.level, silent.advice) == (Level::Fail, None) && silent.found.contains("is stuck"), "{silent:?}");

    let last = Some(VerifiedBackup { file: "a.backup".into(), bytes: 7, change: Sequence(3), age_s: Some(60) });
    let good = BackupReport {
        directory: "/media/stick".into(),
        last,
        overdue: false,
        running: false,
        failing: false,
        failure: None,
        verified: 1,
        failed: 0,
        warning: None,
    };
    assert_eq!(backup_finding(&good).level, Level::Ok);
    let warned = backup_finding(&BackupReport { warning: Some("it is on the same disk".to_owned()), ..good.clone() });
    assert_eq!((warned.level, warned.found.as_str()), (Level::Warn, "it is on the same disk"));
    assert_eq!(backup_finding(&BackupReport { last: None, overdue: true, ..good }).level, Level::Warn);
}

/// Catches a report that stops at the first problem.
#[tokio::test]
async fn each_problem_is_reported_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().join("state");
    fs::create_dir(&state_dir).unwrap();
    fs::set_permissions(&state_dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(state_dir.join("local.redb"), "").unwrap();
    fs::set_permissions(state_dir.join("local.redb"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(state_dir.join("tls")).unwrap();
    fs::write(state_dir.join("tls/certificate.pem"), "no certificate").unwrap();
    let radios = "[[radio]]\nkind = 'sx127x'\nsx127x = { board = 'linux', spi = '/nowhere/spi', gpio_chip = '/nowhere/chip' }\n\
                  [[radio]]\nkind = 'serial'\nserial = { path = '/nowhere/tty' }\n[[radio]]\nkind = 'simulated'";
    let report = examine(&settings(&state_dir, radios)).await;
    for (part, text) in [
        ("radio1: bus", "dtparam=spi=on"),
        ("radio1: lines", "gpio_chip"),
        ("radio2: port", "/dev/serial/by-id"),
        ("key file", "open to other users"),
        ("certificate", "certificate.pem"),
    ] {
        let finding = finding(&report, part);
        assert!(finding.level == Level::Fail && finding.found.contains(text), "{finding:?}");
    }
    assert_eq!((finding(&report, "state_dir").level, finding(&report, "radio3").level), (Level::Warn, Level::Ok));
    assert!(!report.passed());
}

#[tokio::test]
async fn the_report_is_lines_or_one_json_object_and_both_include_the_settings() {
    let directory = tempfile::tempdir().unwrap();
    let report = examine(&settings(&directory.path().join("state"), "site = 'north'")).await;
    let printed = |json| {
        let mut out = Vec::new();
        report.print(json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let lines = printed(false);
    assert!(lines.starts_with("ok   daemon: ") && lines.contains("    site = \"north\""), "{lines}");
    assert!(lines.contains("kernel: Linux"), "{lines}");
    assert!(lines.contains("; add a [[radio]] to the settings"), "{lines}");
    let object: Value = serde_json::from_str(&printed(true)).unwrap();
    assert_eq!((&object["well"], &object["findings"][0]["level"]), (&json!(true), &json!("ok")));
    assert!(object["about"]["settings"].as_str().unwrap().contains("state_dir"));
}

/// Catches a chip that is reset while a daemon uses it, because the daemon does not respond.
#[tokio::test]
async fn no_radio_is_tested_while_a_daemon_holds_the_socket_without_responding() {
    let directory = tempfile::tempdir().unwrap();
    let socket = std::os::unix::net::UnixListener::bind(directory.path().join(SOCKET_NAME)).unwrap();
    let hung_up = std::thread::spawn(move || drop(socket.accept().unwrap()));
    let report = examine(&settings(directory.path(), "[[radio]]\nkind = 'serial'")).await;
    hung_up.join().unwrap();
    assert_eq!((finding(&report, "daemon").level, finding(&report, "radio1").level), (Level::Fail, Level::Warn));
    assert!(finding(&report, "radio1").found.contains("not tested"));
}

/// Catches a chip that is reset while a daemon folds its tables: its radios listen, and its socket is not there yet.
#[tokio::test]
async fn no_radio_is_tested_while_a_process_without_a_socket_has_the_files_open() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), "[[radio]]\nkind = 'serial'\nserial = { path = '/nowhere/tty' }");
    let starting = open_local(&StateDir::new(directory.path())).unwrap();
    let report = examine(&settings).await;
    assert_eq!((finding(&report, "daemon").level, finding(&report, "radio1").level), (Level::Warn, Level::Warn));
    assert!(finding(&report, "daemon").found.contains("in use"), "{report:?}");
    assert!(finding(&report, "radio1").found.contains("not tested"), "{report:?}");
    drop(starting);
    let report = examine(&settings).await;
    assert_eq!((finding(&report, "daemon").level, finding(&report, "radio1: port").level), (Level::Ok, Level::Fail));
}
