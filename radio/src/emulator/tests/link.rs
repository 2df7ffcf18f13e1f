use super::*;
use crate::lora::CodingRate;

fn heard_with(change: impl FnOnce(&mut Transmission)) -> Vec<Fate> {
    let mut host = Host::listening(&Air::default());
    let mut transmission = sent_with(Modulation::default());
    change(&mut transmission);
    host.hear(transmission);
    host.fates()
}

#[test]
fn whatever_both_must_agree_on_is_needed_to_hear_at_all() {
    assert_eq!(heard_with(|_| ()), [Fate::Unread]);
    assert_eq!(heard_with(|sent| sent.modulation.frequency_hz += 200_000), [Fate::OtherSettings]);
    assert_eq!(heard_with(|sent| sent.modulation.spreading_factor = SpreadingFactor::SF12), [Fate::OtherSettings]);
    assert_eq!(heard_with(|sent| sent.modulation.bandwidth = Bandwidth::Khz250), [Fate::OtherSettings]);
    assert_eq!(heard_with(|sent| sent.modulation.sync_word = 0x34), [Fate::OtherSettings]);
    assert_eq!(heard_with(|sent| sent.inverted_iq = true), [Fate::OtherSettings]);
    assert_eq!(heard_with(|sent| sent.explicit_header = false), [Fate::OtherSettings]);
}

#[test]
fn the_header_names_the_coding_rate_so_any_is_heard() {
    for rate in CodingRate::ALL {
        assert_eq!(heard_with(|sent| sent.modulation.coding_rate = rate), [Fate::Unread], "{rate:?}");
    }
}

#[test]
fn inverted_iq_is_heard_by_a_receiver_that_inverts() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::InvertIq, 0x67);
    host.mode(RECEIVE);
    host.hear(Transmission { inverted_iq: true, ..Transmission::default() });
    host.hear(Transmission::default());
    assert_eq!(host.fates(), [Fate::Unread, Fate::OtherSettings]);
}

#[test]
fn senders_that_differ_in_low_data_rate_optimize_leave_wrong_crcs() {
    for (factor, bandwidth) in [(11, Bandwidth::Khz125), (12, Bandwidth::Khz250), (10, Bandwidth::Khz62_5)] {
        let long = modulation(factor, bandwidth);
        let mut host = Host::set_to(&Air::default(), "barn", &long);
        host.write(Register::ModemConfig3, 0x04);
        host.mode(RECEIVE);
        host.hear(sent_with(long));
        host.mode(STANDBY);
        host.write(Register::ModemConfig3, 0x0C);
        host.mode(RECEIVE);
        host.hear(sent_with(long));
        assert_eq!(host.fates(), [Fate::CrcBad, Fate::Unread], "SF{factor} {bandwidth:?}");
    }
}

#[test]
fn each_spreading_factor_needs_its_signal_to_noise_ratio() {
    // 125 kHz and 6 dB of noise figure: -117.03 dBm of noise; 2.5 dB less for each factor (table 13).
    for (factor, lowest_dbm) in [(7, -124.53), (8, -127.03), (9, -129.53), (10, -132.03), (11, -134.53), (12, -137.03)]
    {
        for (rssi_dbm, fate) in [(lowest_dbm + 0.1, Fate::Unread), (lowest_dbm - 0.1, Fate::TooWeak)] {
            let modulation = modulation(factor, Bandwidth::Khz125);
            let mut host = Host::set_to(&Air::default(), "barn", &modulation);
            host.mode(RECEIVE);
            host.hear(Transmission { rssi_dbm, ..sent_with(modulation) });
            assert_eq!(host.fates(), [fate], "SF{factor} at {rssi_dbm} dBm");
        }
    }
}

/// What registers 0x19 and 0x1A say of a packet of so many dBm.
fn readings(frequency_hz: u32, rssi_dbm: f64) -> (i8, u8) {
    let modulation = Modulation { frequency_hz, ..modulation(10, Bandwidth::Khz125) };
    let mut host = Host::set_to(&Air::default(), "barn", &modulation);
    host.mode(RECEIVE);
    host.hear(Transmission { rssi_dbm, ..sent_with(modulation) });
    (host.read(Register::PktSnrValue).cast_signed(), host.read(Register::PktRssiValue))
}

#[test]
fn a_signal_under_the_noise_has_a_negative_ratio_and_its_strength_is_that_of_the_noise() {
    // -122 dBm is 5 dB under the noise: -157 + 40 - 5 = -122.
    assert_eq!(readings(915_000_000, -122.0), (-20, 40));
    // The other port: -164 + 47 - 5 = -122.
    assert_eq!(readings(433_000_000, -122.0), (-20, 47));
}

#[test]
fn a_strong_signal_is_written_with_the_slope_of_the_sheet() {
    // -157 + 16/15 * 72 = -80.2; the ratio saturates at what eight bits hold.
    assert_eq!(readings(915_000_000, -80.0), (127, 72));
    assert_eq!(readings(433_000_000, -80.0), (127, 79));
    assert_eq!(readings(915_000_000, -107.0), (40, 47));
}

#[test]
fn the_strength_of_the_channel_is_noise_or_what_is_on_it() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    for _ in 0..100 {
        let noise_dbm = -157 + i16::from(host.read(Register::RssiValue));
        assert!((-122..=-112).contains(&noise_dbm), "{noise_dbm} dBm");
    }
    air.transmit(Transmission { rssi_dbm: -90.0, ..sent_with(modulation(9, Bandwidth::Khz125)) }, Duration::ZERO)
        .unwrap();
    air.pass(ms(1));
    assert_eq!(host.read(Register::RssiValue), 67, "-90 dBm of another spreading factor");
}

/// The 20 bits of the frequency error.
fn error_steps(host: &mut Host) -> i32 {
    let bytes = host.read_burst(Register::FeiMsb, 3);
    (i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) << 4) >> 12
}

#[test]
fn the_frequency_error_is_the_receivers_own_in_steps_of_the_bandwidth() {
    for (bandwidth, error_hz) in [(Bandwidth::Khz125, 3_000), (Bandwidth::Khz125, -3_000), (Bandwidth::Khz500, 20_000)]
    {
        let modulation = modulation(7, bandwidth);
        let mut host = Host::set_to(&Air::default(), "barn", &modulation);
        host.mode(RECEIVE);
        host.hear(Transmission { frequency_error_hz: error_hz, ..sent_with(modulation) });
        let step_hz = f64::from(1 << 24) / 32e6 * f64::from(bandwidth.hz()) / 500e3;
        let found_hz = f64::from(error_steps(&mut host)) * step_hz;
        assert!((found_hz + f64::from(error_hz)).abs() <= step_hz, "{found_hz} Hz for a sender {error_hz} Hz above");
    }
}

#[test]
fn crystals_too_far_apart_do_not_hear_each_other() {
    assert_eq!(heard_with(|sent| sent.frequency_error_hz = 31_000), [Fate::Unread]);
    assert_eq!(heard_with(|sent| sent.frequency_error_hz = 32_000), [Fate::OtherSettings]);
}

#[test]
fn a_narrow_channel_with_a_fixed_intermediate_frequency_is_received_below_what_is_set() {
    let narrow = modulation(7, Bandwidth::Khz20_8);
    let mut host = Host::set_to(&Air::default(), "barn", &narrow);
    host.write(Register::DetectOptimize, 0x43);
    host.mode(RECEIVE);
    host.hear(sent_with(narrow));
    host.mode(STANDBY);
    host.set(&Modulation { frequency_hz: narrow.frequency_hz + 20_830, ..narrow });
    host.mode(RECEIVE);
    host.hear(sent_with(narrow));
    assert_eq!(host.fates(), [Fate::OtherSettings, Fate::Unread]);
}

#[test]
fn fading_is_drawn_for_each_packet_and_receiver_from_the_seed() {
    let course = |seed| {
        let air = Air::new(super::super::AirOptions { seed, fading_db: 4.0, ..super::super::AirOptions::default() });
        let mut host = Host::listening(&air);
        let readings: Vec<u8> = (0..50)
            .map(|_| {
                host.hear(Transmission { rssi_dbm: -80.0, ..Transmission::default() });
                host.read(Register::PktRssiValue)
            })
            .collect();
        readings
    };
    assert_eq!(course(7), course(7));
    assert_ne!(course(7), course(8));
    let spread = course(7).iter().max().unwrap() - course(7).iter().min().unwrap();
    assert!((8..40).contains(&spread), "{spread} dB between the strongest and the weakest");
}
