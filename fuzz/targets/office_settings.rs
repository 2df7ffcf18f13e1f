//! Fuzzes the settings of the office: a file, and environment variables above it.
//!
//! An error names the line, the variable or the key of the mistake. The daemon's variables have no effect.
#![no_main]

use fuzz::seeds;
use fuzz::settings::{Variables, check_error, load, split};
use mirror::settings::{DEFAULT_FILE, Settings};
use service::settings::SettingsError;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |input: &[u8]| check(input));

const VARIABLES: &str = "HERDLINX_MIRROR_LISTEN=127.0.0.1:0\nHERDLINX_MIRROR_TLS__KEY=/k\nHERDLINX_LISTEN=1.2.3.4:1\n";

fn seeds() -> Vec<Vec<u8>> {
    let uncommented = DEFAULT_FILE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n");
    let with_variables = format!("listen = '0.0.0.0:1'\n[tls]\nkey = '/k'\n\0{VARIABLES}");
    let packaged = include_str!("../../image/deb/herdlinx-mirror/settings.toml");
    [DEFAULT_FILE.to_owned(), uncommented.collect(), packaged.to_owned(), with_variables].map(String::into_bytes).into()
}

fn check(input: &[u8]) {
    let (file, variables) = split(input);
    match load_settings(file, &variables) {
        Ok(settings) => {
            let ours = variables.into_iter().filter(|(name, _)| mirror::settings::is_variable(name)).collect();
            assert!(load_settings(file, &ours).is_ok_and(|again| again == settings));
        }
        Err(error) => check_error(&error, file, &variables),
    }
}

fn load_settings(file: &[u8], variables: &Variables) -> Result<Settings, SettingsError> {
    load(file, |path| Settings::load(Some(path), variables.iter().cloned(), toml::Table::new()))
}
