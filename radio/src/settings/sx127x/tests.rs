//! Tests of the settings of an SX127x.

use super::*;
use crate::lora::{AirTimeBudget, Rule};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Sx127xSettings, toml::de::Error> {
    toml::from_str(text)
}

fn error_of(text: &str) -> SettingsError {
    parse(text).unwrap().validate().expect_err(text)
}

#[test]
fn an_empty_table_receives_with_factory_settings_and_does_not_transmit() {
    let settings = parse("").unwrap();
    assert_eq!(settings, Sx127xSettings::default());
    assert_eq!(settings.validate(), Ok(Vec::new()));
    assert_eq!(settings.modulation(), Ok(Modulation::default()));
    assert_eq!((settings.board, settings.transmit, settings.region), (BoardKind::Rppal, false, None));
    assert_eq!(settings.limits(), Ok(Vec::new()));
}

#[test]
fn an_unknown_key_is_rejected_by_name() {
    let text = parse("frequency = 915000000").unwrap_err().to_string();
    assert!(text.contains("`frequency`") && text.contains("`frequency_hz`"), "{text}");
}

#[test]
fn an_unknown_board_is_rejected_with_the_known_ones() {
    let text = parse("board = 'pi'").unwrap_err().to_string();
    assert!(text.contains("`rppal`") && text.contains("`linux`"), "{text}");
}

#[test]
fn settings_survive_a_round_trip_through_toml() {
    let settings = Sx127xSettings {
        board: BoardKind::Linux,
        spi: "/dev/spidev3.1".into(),
        region: Some(Region::Eu868),
        frequency_hz: 868_100_000,
        transmit: true,
        ..Sx127xSettings::default()
    };
    assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
}

#[test]
fn values_out_of_range_are_rejected_with_key_value_and_range() {
    for (text, key, value) in [
        ("spi_hz = 99999", "spi_hz", "99999"),
        ("spi_hz = 10000001", "spi_hz", "10000001"),
        ("reset_line = 54", "reset_line", "54"),
        ("dio0_line = 54", "dio0_line", "54"),
        ("board = 'linux'\ndio0_line = 1024", "dio0_line", "1024"),
        ("spi = '/dev/spidev7.0'", "spi", "/dev/spidev7.0"),
        ("spi = '/dev/i2c-1'", "spi", "/dev/i2c-1"),
        ("frequency_hz = 0", "frequency_hz", "0"),
        ("frequency_hz = 136999999", "frequency_hz", "136999999"),
        ("frequency_hz = 175000001", "frequency_hz", "175000001"),
        ("frequency_hz = 409999999", "frequency_hz", "409999999"),
        ("frequency_hz = 525000001", "frequency_hz", "525000001"),
        ("frequency_hz = 778999999", "frequency_hz", "778999999"),
        ("frequency_hz = 1020000001", "frequency_hz", "1020000001"),
        ("frequency_hz = 915", "frequency_hz", "915"),
        ("spreading_factor = 6", "spreading_factor", "6"),
        ("spreading_factor = 13", "spreading_factor", "13"),
        ("preamble_symbols = 5", "preamble_symbols", "5"),
        ("power_dbm = 1", "power_dbm", "1"),
        ("power_dbm = 18", "power_dbm", "18"),
        ("power_dbm = 21", "power_dbm", "21"),
        ("antenna_gain_dbi = -20.5", "antenna_gain_dbi", "-20.5"),
        ("antenna_gain_dbi = nan", "antenna_gain_dbi", "NaN"),
    ] {
        let error = error_of(text);
        assert_eq!((error.key, error.value.as_str()), (key, value), "{text}");
        assert!(error.allowed.contains("..="), "{text}: {error}");
    }
}

#[test]
fn the_three_bands_of_the_chip_include_their_ends() {
    for frequency_hz in [137_000_000, 175_000_000, 410_000_000, 525_000_000, 779_000_000, 1_020_000_000] {
        let settings = Sx127xSettings { frequency_hz, ..Sx127xSettings::default() };
        assert_eq!(settings.validate(), Ok(Vec::new()), "{frequency_hz}");
    }
}

#[test]
fn an_unsupported_bandwidth_is_rejected_with_the_supported_ones() {
    let error = error_of("bandwidth_hz = 125");
    assert_eq!(error.key, "bandwidth_hz");
    assert!(error.allowed.contains("125000, 250000, 500000"), "{error}");
    let error = error_of("frequency_hz = 169000000\nbandwidth_hz = 250000");
    assert_eq!(error.key, "bandwidth_hz");
    assert!(error.allowed.ends_with("62500, 125000"), "{error}");
    assert_eq!(parse("frequency_hz = 169000000").unwrap().validate(), Ok(Vec::new()));
}

#[test]
fn coding_rates_are_written_as_fractions() {
    for rate in CodingRate::ALL {
        let text = format!("coding_rate = '4/{}'", rate.denominator());
        assert_eq!(parse(&text).unwrap().modulation().unwrap().coding_rate, rate);
    }
    for text in ["4/9", "4/4", "5", "4/05", ""] {
        let error = error_of(&format!("coding_rate = '{text}'"));
        assert_eq!((error.key, error.allowed.as_str()), ("coding_rate", "4/5, 4/6, 4/7, 4/8"));
    }
}

#[test]
fn both_lines_on_one_pin_are_rejected() {
    let error = error_of("reset_line = 22");
    assert_eq!((error.key, error.value.as_str()), ("dio0_line", "22"));
    assert!(error.allowed.contains("`reset_line`"), "{error}");
}

#[test]
fn a_line_may_be_missing_and_then_says_none() {
    for (text, reset, dio0) in [
        ("reset_line = 'none'", None, Some(22)),
        ("dio0_line = 'none'", Some(25), None),
        ("reset_line = 'none'\ndio0_line = 'none'", None, None),
        ("reset_line = '17'\ndio0_line = 4", Some(17), Some(4)),
    ] {
        let settings = parse(text).unwrap();
        assert_eq!(settings.validate(), Ok(Vec::new()), "{text}");
        assert_eq!((settings.pins().reset_line, settings.pins().dio0_line), (reset, dio0), "{text}");
        assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings, "{text}");
    }
    for text in ["reset_line = 'no'", "dio0_line = -1", "dio0_line = 4294967296", "reset_line = 1.5", "reset_line = ''"]
    {
        let refused = parse(text).unwrap_err().to_string();
        assert!(refused.contains("\"none\" if it is not wired"), "{text}: {refused}");
    }
}

/// Catches a word that a person would try and that is taken for another.
#[test]
fn words_for_what_readers_send_are_refused_with_the_known_ones() {
    for (text, known) in [
        ("low_data_rate_optimize = 'yes'", ["`auto`", "`on`", "`off`"].as_slice()),
        ("low_data_rate_optimize = 'ON'", &["`auto`", "`on`", "`off`"]),
        ("crc = 'off'", &["`required`", "`optional`"]),
        ("crc = true", &["crc"]),
        ("invert_iq = 'auto'", &["invert_iq", "boolean"]),
        ("tcxo = 1", &["tcxo", "boolean"]),
    ] {
        let refused = parse(text).unwrap_err().to_string();
        assert!(known.iter().all(|word| refused.contains(word)), "{text}: {refused}");
    }
    let settings = parse("low_data_rate_optimize = 'off'\ncrc = 'optional'\ninvert_iq = true\ntcxo = true").unwrap();
    let chip = settings.chip().unwrap();
    assert_eq!((chip.crc, chip.tcxo, chip.modulation.invert_iq), (CrcPolicy::Optional, true, true));
    assert!(!chip.modulation.low_data_rate_optimize());
    assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
}

#[test]
fn a_linux_board_accepts_any_device_path() {
    let settings = parse("board = 'linux'\nspi = '/dev/spidev32766.0'\ndio0_line = 70").unwrap();
    assert_eq!(settings.validate(), Ok(Vec::new()));
}

#[test]
fn transmitting_without_a_region_is_rejected_with_the_known_regions() {
    let error = error_of("transmit = true");
    assert_eq!(error.key, "transmit");
    assert!(["us902", "ca902", "eu868", "eu433"].iter().all(|name| error.allowed.contains(name)), "{error}");
}

#[test]
fn an_unlawful_setting_is_an_error_for_a_transmitter_and_a_note_for_a_receiver() {
    let settings = "region = 'us902'\nbandwidth_hz = 125000";
    let error = error_of(&format!("{settings}\ntransmit = true"));
    assert_eq!(error.key, "transmit");
    assert!(error.allowed.contains("47 CFR 15.247(a)(2)"), "{error}");
    let notes = parse(settings).unwrap().validate().unwrap();
    assert_eq!(notes.iter().map(|note| note.rule).collect::<Vec<_>>(), [Rule::Width]);
}

#[test]
fn all_violations_are_reported_at_once() {
    let error = error_of(
        "transmit = true\nregion = 'eu868'\nfrequency_hz = 864000000\nspreading_factor = 12\nbandwidth_hz = 7800\npower_dbm = 20",
    );
    assert!(
        error.allowed.contains("ERP") && error.allowed.contains("; and ") && error.allowed.contains("one byte"),
        "{error}"
    );
}

#[test]
fn lawful_settings_transmit_within_a_budget() {
    let settings = parse("transmit = true\nregion = 'eu868'\nfrequency_hz = 868100000").unwrap();
    assert_eq!(settings.validate(), Ok(Vec::new()));
    let budget = AirTimeBudget::new(settings.limits().unwrap());
    assert_eq!(budget.remaining(std::time::Duration::ZERO).unwrap().air_time.as_secs(), 36);
}

/// Catches a wiring table that names other pins than the default settings.
#[test]
fn the_wiring_tables_match_the_default_settings() {
    let page = include_str!("../../../../docs/radios.md");
    let Sx127xSettings { reset_line, dio0_line, .. } = Sx127xSettings::default();
    for key in ["`spi`", "`board`", "`gpio_chip`", "`spi_hz`", "`/dev/spidev0.0`", "`header`"] {
        assert!(page.contains(key), "{key}");
    }
    for key in [format!("`reset_line = {reset_line}`"), format!("`dio0_line = {dio0_line}`")] {
        assert!(page.contains(&key), "{key}");
    }
}

proptest! {
    #[test]
    fn valid_settings_can_be_used_and_none_panic(
        numbers in (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()),
        frequency_hz in prop_oneof![any::<u32>(), 137_000_000..1_020_000_000_u32],
        radio in (any::<u8>(), any::<u8>(), any::<u16>(), any::<i8>(), any::<f64>()),
        rate in "4/[4-9]|.*", transmit in any::<bool>(), region in prop::option::of(0..4_usize),
    ) {
        let (spi_hz, reset_line, dio0_line, bandwidth, _) = numbers;
        let (spreading_factor, sync_word, preamble_symbols, power_dbm, antenna_gain_dbi) = radio;
        let settings = Sx127xSettings {
            spi_hz: spi_hz % 12_000_000,
            reset_line: LineSetting::Wired(reset_line % 60),
            dio0_line: LineSetting::Wired(dio0_line % 60),
            frequency_hz,
            spreading_factor: spreading_factor % 14,
            bandwidth_hz: Bandwidth::ALL[bandwidth as usize % 10].hz(),
            coding_rate: rate,
            sync_word,
            preamble_symbols,
            power_dbm: power_dbm % 24,
            antenna_gain_dbi,
            region: region.map(|index| Region::ALL[index]),
            transmit,
            ..Sx127xSettings::default()
        };
        match settings.validate() {
            Ok(notes) => {
                prop_assert!(notes.is_empty() || !transmit);
                prop_assert!(settings.modulation().is_ok() && settings.emission().is_ok() && settings.limits().is_ok());
            }
            Err(error) => prop_assert!(!error.key.is_empty() && !error.allowed.is_empty()),
        }
    }
}
