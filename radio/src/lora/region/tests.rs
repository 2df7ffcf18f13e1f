//! The law, rule by rule.

use super::*;
use crate::lora::{AirTimeBudget, Bandwidth, CodingRate, Modulation, SpreadingFactor};
use proptest::prelude::*;

fn emission(frequency_hz: u32, bandwidth: Bandwidth, power_dbm: i8) -> Emission {
    let modulation = Modulation { frequency_hz, bandwidth, ..Modulation::default() };
    Emission { modulation, power_dbm, antenna_gain_dbi: DIPOLE_GAIN_DBI, hop_channels: 1 }
}

fn rules(region: Region, emission: &Emission) -> Vec<Rule> {
    violations(region, emission).into_iter().map(|violation| violation.rule).collect()
}

const AMERICAS: [Region; 2] = [Region::Us902, Region::Ca902];

#[test]
fn a_fixed_channel_of_500_khz_is_lawful_at_full_power_without_an_air_time_limit() {
    for region in AMERICAS {
        let wide = emission(915_000_000, Bandwidth::Khz500, 17);
        assert_eq!(violations(region, &wide), []);
        assert_eq!(limits(region, &wide), []);
    }
}

#[test]
fn a_fixed_channel_of_125_khz_is_lawful_only_if_it_is_weak() {
    for region in AMERICAS {
        let strong = emission(915_000_000, Bandwidth::Khz125, 14);
        assert_eq!(rules(region, &strong), [Rule::Width]);
        // The limit is -1.25 dBm of EIRP: -4 dBm into a dipole keep it, -3 dBm do not.
        let weak = Emission { power_dbm: -4, ..strong };
        assert_eq!(violations(region, &weak), []);
        assert_eq!(limits(region, &weak), []);
        assert_eq!(rules(region, &Emission { power_dbm: -3, ..strong }), [Rule::Width]);
    }
    let text = violations(Region::Us902, &emission(915_000_000, Bandwidth::Khz125, 14))[0].to_string();
    let parts = ["125 kHz", "915 MHz", "47 CFR 15.247(a)(2)", "500 kHz", "50 channels", "-1.25 dBm", "15.249(a)"];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn hopping_needs_enough_channels_and_at_most_400_ms_on_each() {
    let hopping = |bandwidth, hop_channels| Emission { hop_channels, ..emission(915_000_000, bandwidth, 17) };
    for region in AMERICAS {
        assert_eq!(rules(region, &hopping(Bandwidth::Khz125, 49)), [Rule::Hopping]);
        assert_eq!(rules(region, &hopping(Bandwidth::Khz125, 50)), []);
        assert_eq!(rules(region, &hopping(Bandwidth::Khz250, 24)), [Rule::Hopping]);
        assert_eq!(rules(region, &hopping(Bandwidth::Khz250, 25)), []);
        for (bandwidth, channels, window_s) in [(Bandwidth::Khz125, 50, 20), (Bandwidth::Khz250, 25, 10)] {
            let [limit] = limits(region, &hopping(bandwidth, channels))[..] else { panic!("one limit") };
            assert_eq!((limit.allowed.as_millis(), limit.window.as_secs()), (400, window_s));
        }
        let mut slow = hopping(Bandwidth::Khz125, 50);
        slow.modulation.spreading_factor = SpreadingFactor::SF12;
        assert_eq!(rules(region, &slow), [Rule::AirTime], "every packet at SF12 is longer than 400 ms");
    }
}

#[test]
fn north_american_power_is_limited_at_the_connector_less_antenna_gain_beyond_6_dbi() {
    for region in AMERICAS {
        let wide = emission(915_000_000, Bandwidth::Khz500, 30);
        assert_eq!(rules(region, &Emission { antenna_gain_dbi: 6.0, power_dbm: 30, ..wide }), []);
        assert_eq!(rules(region, &Emission { antenna_gain_dbi: 6.0, power_dbm: 31, ..wide }), [Rule::Power]);
        assert_eq!(rules(region, &Emission { antenna_gain_dbi: 9.0, power_dbm: 27, ..wide }), []);
        assert_eq!(rules(region, &Emission { antenna_gain_dbi: 9.0, power_dbm: 28, ..wide }), [Rule::Power]);
        let few = Emission { hop_channels: 30, ..emission(915_000_000, Bandwidth::Khz250, 25) };
        assert_eq!(rules(region, &few), [Rule::Power], "fewer than 50 channels allow 24 dBm");
        assert_eq!(rules(region, &Emission { hop_channels: 50, ..few }), []);
    }
}

#[test]
fn a_channel_must_lie_entirely_within_the_band() {
    for (region, bandwidth, power_dbm, inside_hz, outside_hz) in [
        (Region::Us902, Bandwidth::Khz500, 14, 902_250_000, 902_249_999),
        (Region::Ca902, Bandwidth::Khz500, 14, 927_750_000, 927_750_001),
        (Region::Eu868, Bandwidth::Khz125, 14, 868_062_500, 868_062_499),
        (Region::Eu868, Bandwidth::Khz125, 14, 868_537_500, 868_537_501),
        (Region::Eu868, Bandwidth::Khz250, 14, 869_525_000, 869_526_000),
        (Region::Eu433, Bandwidth::Khz125, 10, 433_112_500, 433_112_499),
    ] {
        assert_eq!(rules(region, &emission(inside_hz, bandwidth, power_dbm)), [], "{region:?} {inside_hz}");
        assert_eq!(rules(region, &emission(outside_hz, bandwidth, power_dbm)), [Rule::Band], "{region:?} {outside_hz}");
    }
    let alarms = violations(Region::Eu868, &emission(869_300_000, Bandwidth::Khz62_5, 0));
    assert!(alarms[0].to_string().contains("869.4 to 869.65 MHz"), "{}", alarms[0]);
}

#[test]
fn each_european_sub_band_has_its_power_and_duty_cycle() {
    for (region, frequency_hz, erp_dbm, allowed_ms) in [
        (Region::Eu868, 864_000_000, 14, 3_600),
        (Region::Eu868, 866_000_000, 14, 36_000),
        (Region::Eu868, 868_100_000, 14, 36_000),
        (Region::Eu868, 869_000_000, 14, 3_600),
        (Region::Eu868, 869_525_000, 27, 360_000),
        (Region::Eu868, 869_850_000, 14, 36_000),
        (Region::Eu433, 434_000_000, 10, 360_000),
    ] {
        let lawful = emission(frequency_hz, Bandwidth::Khz125, erp_dbm);
        assert_eq!(violations(region, &lawful), [], "{frequency_hz}");
        let strong = Emission { power_dbm: erp_dbm + 1, ..lawful };
        assert_eq!(rules(region, &strong), [Rule::Power], "{frequency_hz}");
        let directed = Emission { antenna_gain_dbi: 3.0, ..lawful };
        assert_eq!(rules(region, &directed), [Rule::Power], "antenna gain counts");
        let limit = limits(region, &lawful)[0];
        assert_eq!((limit.allowed.as_millis(), limit.window.as_secs()), (allowed_ms, 3_600), "{frequency_hz}");
    }
}

#[test]
fn powers_are_printed_without_binary_rounding_errors() {
    let strong = Emission { antenna_gain_dbi: 3.3, ..emission(868_100_000, Bandwidth::Khz125, 17) };
    let text = violations(Region::Eu868, &strong)[0].to_string();
    assert!(text.contains("which is 18.15 dBm of ERP, is not allowed by EN 300 220-2"), "{text}");
}

#[test]
fn above_17_dbm_the_chip_limits_air_time_in_every_region() {
    let at = |power_dbm| limits(Region::Us902, &emission(915_000_000, Bandwidth::Khz500, power_dbm));
    assert_eq!(at(17), []);
    assert_eq!(at(18), [CHIP_LIMIT]);
}

#[test]
fn a_packet_that_exceeds_the_duty_cycle_is_a_violation() {
    let mut slow = emission(864_000_000, Bandwidth::Khz7_8, 14);
    slow.modulation.spreading_factor = SpreadingFactor::SF12;
    assert_eq!(rules(Region::Eu868, &slow), [Rule::AirTime]);
}

#[test]
fn settings_use_the_names_of_regions() {
    #[derive(Deserialize)]
    struct Site {
        region: Region,
    }
    for region in Region::ALL {
        let site: Site = toml::from_str(&format!("region = '{}'", region.name())).unwrap();
        assert_eq!(site.region, region);
    }
    let error = toml::from_str::<Site>("region = 'eu'").err().unwrap().to_string();
    assert!(Region::ALL.iter().all(|region| error.contains(region.name())), "{error}");
}

fn any_emission() -> impl Strategy<Value = Emission> {
    let frequency_hz = prop_oneof![433_000_000..435_000_000_u32, 862_000_000..871_000_000_u32, any::<u32>()];
    let choice = (0..6_usize, 0..10_usize, 0..4_usize);
    (frequency_hz, choice, any::<i8>(), -100.0..100.0, 1..100_u16).prop_map(
        |(frequency_hz, (factor, bandwidth, rate), power_dbm, antenna_gain_dbi, hop_channels)| {
            let modulation = Modulation {
                frequency_hz,
                spreading_factor: SpreadingFactor::ALL[factor],
                bandwidth: Bandwidth::ALL[bandwidth],
                coding_rate: CodingRate::ALL[rate],
                ..Modulation::default()
            };
            Emission { modulation, power_dbm, antenna_gain_dbi, hop_channels }
        },
    )
}

proptest! {
    #[test]
    fn less_power_never_violates_a_rule_that_more_power_keeps(emission in any_emission(), region in 0..4_usize, less in 0..60_i8) {
        let region = Region::ALL[region];
        let weaker = Emission { power_dbm: emission.power_dbm.saturating_sub(less), ..emission };
        if violations(region, &emission).is_empty() {
            prop_assert_eq!(violations(region, &weaker), vec![]);
        }
    }

    #[test]
    fn a_lawful_transmission_can_be_sent_at_some_time(emission in any_emission(), region in 0..4_usize) {
        let region = Region::ALL[region];
        if violations(region, &emission).is_empty() {
            let budget = AirTimeBudget::new(limits(region, &emission));
            prop_assert!(budget.earliest_start(Duration::ZERO, emission.modulation.air_time(1)).is_ok());
        }
    }
}
