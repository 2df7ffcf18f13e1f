//! Tests of the settings of a simulated radio.

use super::*;
use proptest::prelude::*;
use std::path::Path;

fn parse(text: &str) -> Result<SimulatedSettings, toml::de::Error> {
    toml::from_str(text)
}

#[test]
fn an_empty_table_gives_the_defaults_which_are_valid() {
    let settings = parse("").unwrap();
    assert_eq!(settings, SimulatedSettings::default());
    settings.validate().unwrap();
    assert_eq!(settings.traffic(), Traffic::default());
}

/// Catches a key that is read, checked, and without any effect on the traffic.
#[test]
fn every_key_reaches_the_traffic() {
    let text = "seed = 7\nrate_per_s = 2.5\nrepeats_mean = 1.0\nloss = 0.1\ncorruption = 0.2\nseconds = 60.0";
    let traffic = parse(text).unwrap().traffic();
    let (seed, rate_per_s, repeats_mean, loss, corruption, seconds) = (7, 2.5, 1.0, 0.1, 0.2, Some(60.0));
    let expected = Traffic { seed, rate_per_s, repeats_mean, loss, corruption, seconds, ..Traffic::default() };
    assert_eq!(traffic, expected);
}

#[test]
fn an_unknown_key_is_rejected_by_name() {
    let text = parse("sead = 1").unwrap_err().to_string();
    assert!(text.contains("sead"), "{text}");
}

#[test]
fn settings_survive_a_round_trip_through_toml() {
    let script = Some("/barn/script".into());
    let settings = SimulatedSettings { seed: 7, rate_per_s: 0.25, script, ..SimulatedSettings::default() };
    assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
}

#[test]
fn values_out_of_range_are_rejected_with_key_value_and_range() {
    for (text, key, value) in [
        ("rate_per_s = 0.0", "rate_per_s", "0"),
        ("rate_per_s = 100001.0", "rate_per_s", "100001"),
        ("rate_per_s = nan", "rate_per_s", "NaN"),
        ("repeats_mean = 2.5", "repeats_mean", "2.5"),
        ("loss = 1.1", "loss", "1.1"),
        ("loss = -0.1", "loss", "-0.1"),
        ("corruption = inf", "corruption", "inf"),
        ("seconds = -1.0", "seconds", "-1"),
        ("seconds = nan", "seconds", "NaN"),
        ("seconds = 1e300", "seconds", "1000000"),
    ] {
        let settings = parse(text).unwrap();
        let error = settings.validate().unwrap_err();
        assert_eq!(error.key, key, "{text}");
        assert!(error.value.starts_with(value), "{text}: {error}");
        assert!(error.allowed.contains("..="), "{text}: {error}");
        assert!(matches!(settings.open(), Err(OpenError::Settings(from_open)) if from_open == error), "{text}");
    }
}

/// Catches a `loss` that somebody sets beside a script and that silently does nothing.
#[test]
fn traffic_keys_beside_a_script_are_rejected() {
    let error = parse("script = 'x'\nloss = 0.5").unwrap().validate().unwrap_err();
    assert_eq!(error.key, "loss");
    parse("script = 'x'\nseed = 5\nledger = 'y'").unwrap().validate().unwrap();
}

#[test]
fn errors_name_the_file_that_cannot_be_opened() {
    let settings = SimulatedSettings { script: Some("/nowhere/s".into()), ..SimulatedSettings::default() };
    assert!(matches!(settings.open(), Err(OpenError::Script(error)) if error.to_string().contains("/nowhere/s")));
    let settings = SimulatedSettings { ledger: Some("/nowhere/l".into()), ..SimulatedSettings::default() };
    assert!(matches!(settings.open(), Err(OpenError::Ledger(error)) if error.path == Path::new("/nowhere/l")));
}

#[tokio::test]
async fn a_configured_script_is_played_and_a_configured_ledger_written() {
    use crate::Radio;
    let directory = tempfile::tempdir().unwrap();
    let (script, ledger) = (directory.path().join("script"), directory.path().join("ledger"));
    std::fs::write(&script, "+5 hxb:A:B:C\n").unwrap();
    let settings =
        SimulatedSettings { script: Some(script), ledger: Some(ledger.clone()), ..SimulatedSettings::default() };
    let mut radio = settings.open().unwrap();
    assert_eq!(radio.receive().await.unwrap().bytes, b"hxb:A:B:C");
    assert_eq!(std::fs::read_to_string(ledger).unwrap(), "6878623a413a423a43\n");
}

proptest! {
    #[test]
    fn settings_open_exactly_if_they_are_valid(
        rate_per_s in any::<f64>(), repeats_mean in -1.0..3.0, loss in any::<f64>(), seconds in any::<f64>(),
    ) {
        let settings = SimulatedSettings { rate_per_s, repeats_mean, loss, seconds, ..SimulatedSettings::default() };
        prop_assert_eq!(settings.validate().is_ok(), settings.open().is_ok());
    }
}
