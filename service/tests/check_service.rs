//! The command `check` of a service, in a process of its own: it starts a log, which is that of a whole process.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails by a panic")]

mod place;

use place::{EndError, Settings};
use service::process::{ServiceCommandError, check_service};
use service::settings::SettingsError;
use std::fs;

fn check(settings: Settings) -> (Result<(), EndError>, String) {
    let mut out = Vec::new();
    let load = || Ok::<_, SettingsError>(settings);
    let checked = check_service("herdlinx-no-such-program", false, load, &mut out);
    (checked, String::from_utf8(out).unwrap())
}

/// Catches a check that passes without a look, and one that hides what it found.
#[test]
fn a_check_prints_the_places_the_notes_and_its_result() {
    let place = tempfile::tempdir().unwrap();
    let (checked, text) = check(Settings::new(place.path()));
    checked.unwrap();
    let shown = place.path().display();
    let places = format!("State directory: {shown}/state\nLog file: {shown}/log\n");
    assert_eq!(text, format!("{places}The settings are good.\n"));

    let log_file = place.path().join("none/log");
    let (checked, text) = check(Settings { log_file, ..Settings::new(place.path()) });
    checked.unwrap();
    assert!(text.contains("\nNote: the process would start without its `log_file`: "), "{text}");

    fs::write(place.path().join("state"), "").unwrap();
    let (checked, text) = check(Settings::new(place.path()));
    assert!(matches!(checked, Err(EndError::Command(ServiceCommandError::Start(_)))), "{text}");
    assert!(!text.contains("good"), "{text}");
}
