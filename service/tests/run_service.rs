//! The command `run` of a service, in a process of its own: umask and log are those of a whole process.
//!
//! Catches a service whose files others can read because a person started it from a shell, one that runs without its log, and
//! an end that is reported as another one.

use service::logging::{LogLevel, ServiceLog};
use service::process::{ServiceCommandError, ServiceSettings, StartCheck, run_service};
use service::settings::{SettingsError, TlsSettings};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const NO_TLS: TlsSettings = TlsSettings { certificate: None, key: None };

/// Settings of a service whose state directory does not exist yet.
struct Settings {
    state_dir: PathBuf,
    log_file: PathBuf,
}

impl ServiceSettings for Settings {
    fn log(&self) -> ServiceLog<'_> {
        ServiceLog { program: "test", site: None, level: LogLevel::Error, file: Some(&self.log_file) }
    }

    fn start_check(&self) -> StartCheck<'_> {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        StartCheck { state_dir: &self.state_dir, files: &[], log_file: Some(&self.log_file), listen, tls: &NO_TLS }
    }
}

#[derive(Debug, thiserror::Error)]
enum EndError {
    #[error(transparent)]
    Command(#[from] ServiceCommandError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the radio fails")]
    Radio,
}

#[test]
fn a_service_runs_with_its_settings_its_log_and_files_for_its_owner_alone() {
    let refused = || Err::<Settings, _>(SettingsError::value("keep", "0", "1 or more"));
    let ended = run_service(refused, async |_| Ok::<_, EndError>(()));
    assert!(matches!(ended, Err(EndError::Settings(_))), "{ended:?}");

    let place = tempfile::tempdir().unwrap();
    let (file, log_file) = (place.path().join("file"), place.path().join("log"));
    let settings = Settings { state_dir: place.path().join("state"), log_file: log_file.clone() };
    let ended = run_service(
        || Ok::<_, SettingsError>(settings),
        async |settings: Settings| {
            assert_eq!(settings.log_file, log_file);
            tracing::error!("the radio is gone");
            tracing::info!("a detail");
            fs::write(&file, "").unwrap();
            Err(EndError::Radio)
        },
    );
    assert!(matches!(ended, Err(EndError::Radio)), "{ended:?}");
    for path in [&file, &log_file] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let log = fs::read_to_string(&log_file).unwrap();
    assert!(log.contains("the radio is gone") && !log.contains("a detail"), "{log}");
}
