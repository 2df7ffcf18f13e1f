//! The units, as systemd itself reads them: every line is understood, and what a service could reach is little.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::print_stdout, reason = "what could not be tried is said aloud")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// In `systemd-analyze security`; 0 is the best, 10 the worst.
const MOST_EXPOSURE: f64 = 1.5;
const UNITS: [(&str, &str); 2] =
    [("herdlinxd.service", "/usr/bin/herdlinxd"), ("herdlinx-mirror.service", "/usr/bin/herdlinx-mirror")];
/// From systemd 254 on; Debian 12 has 252, says so, and goes on without them.
const UNKNOWN_TO_DEBIAN_12: [&str; 2] = ["RestartSteps", "RestartMaxDelaySec"];

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("systemd").join(name)
}

/// None, said aloud, where the machine has no systemd.
fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: systemd-analyze does not run here ({error}); apt-get install systemd");
            None
        }
    }
}

fn exposure(told: &str) -> Option<f64> {
    let line = told.lines().find(|line| line.contains("Overall exposure level"))?;
    line.split_once(": ")?.1.split(' ').next()?.parse().ok()
}

#[test]
fn what_a_unit_exposes_is_at_most_what_its_page_says_and_never_above_the_bound() {
    let page = std::fs::read_to_string(unit("README.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| exposure")).expect("the page states the figures");
    let stated: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    assert_eq!(stated.len(), UNITS.len(), "a figure for each unit: {row}");
    for ((name, _), stated) in UNITS.into_iter().zip(stated) {
        let Some(output) = analyze(&["--no-pager", "--offline=true", "security"], &unit(name)) else { return };
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let exposure = exposure(&told).unwrap_or_else(|| panic!("{output:?}"));
        assert!(exposure <= MOST_EXPOSURE, "{name}: {told}");
        assert!(exposure <= stated, "{name}: the page says {stated}, systemd {exposure}");
    }
}

/// Catches a misspelled line, which systemd would only warn of, and go on without what it was to take away.
#[test]
fn systemd_knows_each_line() {
    for (name, program) in UNITS {
        // The program and its man page need not be installed here.
        let text = std::fs::read_to_string(unit(name)).unwrap().replace(program, "/bin/true");
        let Some(strays) = lines_not_known(name, &text) else { return };
        assert!(strays.is_empty(), "{strays:?}");
        let misspelled = lines_not_known(name, &text.replace("ProtectHome=", "ProtectHoem=")).unwrap();
        assert!(misspelled.len() == 1 && misspelled[0].contains("ProtectHoem"), "{misspelled:?}");
    }
}

/// What systemd says of the unit. Of others on this machine it may say what it likes.
fn lines_not_known(name: &str, text: &str) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join(name);
    std::fs::write(&copy, text).unwrap();
    let output = analyze(&["--man=no", "verify"], &copy)?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = |line: &str| UNKNOWN_TO_DEBIAN_12.iter().any(|key| line.contains(&format!("'{key}'")));
    Some(told.lines().filter(|line| line.contains(name) && !expected(line)).map(str::to_owned).collect())
}

/// Catches a line whose comment was lost, or a comment that was never written: one to each block at least.
#[test]
fn each_block_of_a_unit_says_why() {
    for (name, _) in UNITS {
        let text = std::fs::read_to_string(unit(name)).unwrap();
        let service = text.split("[Service]\n").nth(1).expect("a service");
        let blocks = service.split("\n\n").filter(|block| !block.trim().is_empty() && !block.contains("[Install]"));
        let mute: Vec<_> = blocks.filter(|block| !block.contains('#')).collect();
        assert!(mute.is_empty(), "{name}: {mute:?}");
    }
}
