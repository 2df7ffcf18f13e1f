//! The command `run` of a service, in a process of its own: umask and log are those of a whole process.

mod place;

use place::{EndError, Settings};
use service::process::{ServiceCommandError, run_service};
use service::settings::SettingsError;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};

/// Catches a service whose files others can read because a person started it from a shell, one that runs without its log, and
/// an end that is reported as another one.
#[test]
fn a_service_runs_with_its_settings_its_log_and_files_for_its_owner_alone() {
    let refused = || Err::<Settings, _>(SettingsError::value("keep", "0", "1 or more"));
    let ended = run_service(refused, async |_| Ok::<_, EndError>(()));
    assert!(matches!(ended, Err(EndError::Settings(_))), "{ended:?}");

    let place = tempfile::tempdir().unwrap();
    let (file, log_file) = (place.path().join("file"), place.path().join("log"));
    let settings = Settings::new(place.path());
    let ended = run_service(
        || Ok::<_, SettingsError>(settings),
        async |settings: Settings| {
            assert_eq!(settings.log_file, log_file);
            tracing::error!("the radio is gone");
            tracing::info!("a detail");
            fs::write(&file, "").unwrap();
            Err(EndError::Command(io::Error::other("the radio fails").into()))
        },
    );
    assert!(matches!(ended, Err(EndError::Command(ServiceCommandError::Print(_)))), "{ended:?}");
    for path in [&file, &log_file] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let log = fs::read_to_string(&log_file).unwrap();
    assert!(log.contains("the radio is gone") && !log.contains("a detail"), "{log}");
}

/// Catches a log file of root's, which the service cannot write to afterwards.
#[test]
fn a_run_that_is_refused_because_it_is_root_makes_no_log_file() {
    /// A user and group that this test is not.
    const STRANGER: u32 = 12_345;
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give a directory away");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let settings = Settings::new(place.path());
    let (state_dir, log_file) = (settings.state_dir.clone(), settings.log_file.clone());
    fs::create_dir(&state_dir).unwrap();
    chown(&state_dir, Some(STRANGER), Some(STRANGER)).unwrap();
    let run = async |_: Settings| -> Result<(), EndError> { panic!("it runs as root") };
    let refused = run_service(|| Ok::<_, SettingsError>(settings), run);
    assert!(matches!(refused, Err(EndError::Command(ServiceCommandError::Owner(_)))), "{refused:?}");
    assert!(!log_file.exists());
}
