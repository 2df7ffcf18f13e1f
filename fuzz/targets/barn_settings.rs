//! Fuzzes the settings of the barn: a file, and environment variables above it.
//!
//! An error names the line, the variable or the key of the mistake. Settings that are accepted are the same when they are
//! written as a file and read again, and their notes and rules can be asked for.
#![no_main]

use daemon::settings::{BarnSettingsError, DEFAULT_TEXT, Settings};
use fuzz::seeds;
use fuzz::settings::{Variables, check_error, load, split};

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |input: &[u8]| check(input));

const PACKAGED: &str = include_str!("../../image/deb/herdlinx/settings.toml");
/// The tests of the settings, whose texts are right and wrong files.
const TESTS: &str = include_str!("../../daemon/src/settings/tests.rs");
const VARIABLES: &str =
    "HERDLINX_LISTEN=127.0.0.1:0\nHERDLINX_RADIO__KIND=serial\nHERDLINX_RADIO__SERIAL__BAUD=0x100\n";

fn seeds() -> Vec<Vec<u8>> {
    let uncommented = DEFAULT_TEXT.lines().map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n");
    let with_variables = format!("site = \"north\"\n[[radio]]\nname = \"a\"\n\0{VARIABLES}");
    let files = [DEFAULT_TEXT.to_owned(), PACKAGED.to_owned(), uncommented.collect(), with_variables];
    let tested = seeds::quoted(TESTS).filter(|text| text.contains('=')).map(str::to_owned);
    files.into_iter().chain(tested).map(String::into_bytes).collect()
}

fn check(input: &[u8]) {
    let (file, variables) = split(input);
    let settings = match load_settings(file, &variables) {
        Ok(settings) => settings,
        Err(BarnSettingsError::Settings(error)) => return check_error(&error, file, &variables),
        Err(BarnSettingsError::Radio { radio, source }) => {
            assert!(!radio.is_empty() && !source.to_string().is_empty());
            return;
        }
    };
    assert!(settings.validate().is_ok());
    assert!(settings.radios().count() <= settings.radio.len());
    assert!(settings.notes().iter().all(|note| !note.is_empty()));
    settings.rules();

    let written = toml::to_string(&settings).unwrap_or_else(|error| panic!("settings cannot be written: {error}"));
    let again = load_settings(written.as_bytes(), &Vec::new());
    assert_eq!(again.unwrap_or_else(|error| panic!("{error} in\n{written}")), settings);
}

fn load_settings(file: &[u8], variables: &Variables) -> Result<Settings, BarnSettingsError> {
    load(file, |path| Settings::load(Some(path), variables.iter().cloned(), toml::Table::new()))
}
