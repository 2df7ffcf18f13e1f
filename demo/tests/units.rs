//! The systemd units, checked with systemd's own tools: every line is understood, and each service has a low exposure.
//!
//! Catches: a misspelled key, a unit that is less confined than its documented figure, and a block without a comment.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stdout, reason = "skipped checks are reported on stdout")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Highest allowed exposure, as reported by `systemd-analyze security`; 0 is the best value, 10 the worst.
const MAX_EXPOSURE: f64 = 1.5;
/// Unit files, each with the program that it starts.
const UNITS: [(&str, &str); 2] =
    [("herdlinxd.service", "/usr/bin/herdlinxd"), ("herdlinx-mirror.service", "/usr/bin/herdlinx-mirror")];

fn unit_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("systemd").join(name)
}

/// Runs `systemd-analyze` on a unit file. Returns `None`, and reports the skip, if this machine has no systemd.
fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: cannot run systemd-analyze ({error}); apt-get install systemd");
            None
        }
    }
}

/// Reads the overall exposure level from the output of `systemd-analyze security`.
fn overall_exposure(report: &str) -> Option<f64> {
    let line = report.lines().find(|line| line.contains("Overall exposure level"))?;
    line.split_once(": ")?.1.split(' ').next()?.parse().ok()
}

/// Catches a unit that gained exposure, and a README whose figures are out of date.
#[test]
fn exposure_is_within_the_readme_figure_and_the_limit() {
    let readme = std::fs::read_to_string(unit_path("README.md")).unwrap();
    let row = readme.lines().find(|line| line.starts_with("| exposure")).expect("the README states the figures");
    let stated: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    assert_eq!(stated.len(), UNITS.len(), "one figure per unit: {row}");
    for ((name, _), stated) in UNITS.into_iter().zip(stated) {
        let Some(output) = analyze(&["--no-pager", "--offline=true", "security"], &unit_path(name)) else { return };
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let exposure = overall_exposure(&report).unwrap_or_else(|| panic!("{output:?}"));
        assert!(exposure <= MAX_EXPOSURE, "{name}: {report}");
        assert!(exposure <= stated, "{name}: the README states {stated}, systemd reports {exposure}");
    }
}

/// Catches a misspelled key: systemd only warns about it and starts the service without the restriction.
#[test]
fn systemd_understands_every_line() {
    for (name, program) in UNITS {
        // The program and its manual page need not be installed here.
        let text = std::fs::read_to_string(unit_path(name)).unwrap().replace(program, "/bin/true");
        let Some(warnings) = warnings_about(name, &text) else { return };
        assert!(warnings.is_empty(), "{warnings:?}");
        let misspelled = warnings_about(name, &text.replace("ProtectHome=", "ProtectHoem=")).unwrap();
        assert!(misspelled.len() == 1 && misspelled[0].contains("ProtectHoem"), "{misspelled:?}");
    }
}

/// Returns systemd's warnings about this unit. Warnings about other units of this machine are ignored. Returns `None` if
/// this machine has no systemd.
fn warnings_about(name: &str, text: &str) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join(name);
    std::fs::write(&copy, text).unwrap();
    let output = analyze(&["--man=no", "verify"], &copy)?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(stderr.lines().filter(|line| line.contains(name)).map(str::to_owned).collect())
}

/// Returns the lines of a unit that begin with one of these keys, in order.
fn lines_about(unit: &str, keys: &[&str]) -> Vec<String> {
    let text = std::fs::read_to_string(unit_path(unit)).unwrap();
    let is_about = |line: &&str| keys.iter().any(|key| line.starts_with(key));
    text.lines().filter(is_about).map(str::to_owned).collect()
}

/// Catches a service that stays down after an ordinary failure, and a barn that is started again and again on a log that
/// only a person can put right. Exit code 3 of the office says that a copy is damaged, which is copied again.
#[test]
fn both_restart_after_every_exit_but_that_of_a_barn_with_a_damaged_or_lost_log() {
    let keys = ["Restart", "StartLimit", "Type", "WatchdogSec", "Timeout"];
    let barn = [
        "StartLimitIntervalSec=0",
        "Type=notify",
        "Restart=always",
        "RestartPreventExitStatus=3",
        "RestartSec=2s",
        "WatchdogSec=30s",
        "TimeoutStopSec=10s",
        "TimeoutAbortSec=2s",
        "TimeoutStartSec=60s",
    ];
    assert_eq!(lines_about("herdlinxd.service", &keys), barn);
    let office: Vec<_> = barn.into_iter().filter(|line| !line.contains("Prevent")).collect();
    assert_eq!(lines_about("herdlinx-mirror.service", &keys), office);
}

/// Catches files that others may read, a radio that the sandbox hides, and a device that no radio uses. The score of
/// `systemd-analyze` moves too little to show any of them.
#[test]
fn files_are_private_and_only_the_devices_of_radios_are_reached() {
    let keys = ["User", "Group", "StateDirectory", "RuntimeDirectory", "UMask", "PrivateDevices", "Device"];
    let barn = [
        "User=_herdlinx",
        "Group=_herdlinx",
        "StateDirectory=herdlinx",
        "StateDirectoryMode=0700",
        "RuntimeDirectory=herdlinxd",
        "RuntimeDirectoryMode=0700",
        "RuntimeDirectoryPreserve=restart",
        "UMask=0077",
        "DevicePolicy=closed",
        "DeviceAllow=char-153 rw",
        "DeviceAllow=char-gpiochip rw",
        "DeviceAllow=/dev/gpiomem rw",
        "DeviceAllow=/dev/gpiomem0 rw",
        "DeviceAllow=char-188 rw",
        "DeviceAllow=char-166 rw",
        "DeviceAllow=char-204 rw",
        "DeviceAllow=/dev/ttyS0 rw",
        "DeviceAllow=/dev/ttyS1 rw",
    ];
    assert_eq!(lines_about("herdlinxd.service", &keys), barn);
    let office = [
        "User=_herdlinx-mirror",
        "Group=_herdlinx-mirror",
        "StateDirectory=herdlinx-mirror",
        "StateDirectoryMode=0700",
        "RuntimeDirectory=herdlinx-mirror",
        "RuntimeDirectoryMode=0700",
        "RuntimeDirectoryPreserve=restart",
        "UMask=0077",
        "PrivateDevices=yes",
        "DevicePolicy=closed",
    ];
    assert_eq!(lines_about("herdlinx-mirror.service", &keys), office);
}

/// Catches a block of lines in `[Service]` without a comment, whether it was lost or never written.
#[test]
fn every_block_of_a_unit_has_a_comment() {
    for (name, _) in UNITS {
        let text = std::fs::read_to_string(unit_path(name)).unwrap();
        let service = text.split("[Service]\n").nth(1).expect("the unit has a [Service] section");
        let blocks = service.split("\n\n").filter(|block| !block.trim().is_empty() && !block.contains("[Install]"));
        let uncommented: Vec<_> = blocks.filter(|block| !block.contains('#')).collect();
        assert!(uncommented.is_empty(), "{name}: {uncommented:?}");
    }
}
