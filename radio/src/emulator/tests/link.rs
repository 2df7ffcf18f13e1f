//! The link between sender and receiver: who hears whom, and the readings of a signal.
//!
//! A link that is too tolerant would hide a driver with wrong settings. Wrong readings would hide its wrong conversions.

use super::*;
use crate::emulator::AirOptions;
use crate::lora::CodingRate;

fn fates_with(change: impl FnOnce(&mut Transmission)) -> Vec<Fate> {
    let mut host = Host::listening(&Air::default());
    let mut transmission = packet_with(Modulation::default());
    change(&mut transmission);
    host.receive(transmission);
    host.fates()
}

#[test]
fn receiver_and_sender_must_agree_on_each_setting() {
    assert_eq!(fates_with(|_| ()), [Fate::Unread]);
    assert_eq!(fates_with(|sent| sent.modulation.frequency_hz += 200_000), [Fate::OtherSettings]);
    assert_eq!(fates_with(|sent| sent.modulation.spreading_factor = SpreadingFactor::SF12), [Fate::OtherSettings]);
    assert_eq!(fates_with(|sent| sent.modulation.bandwidth = Bandwidth::Khz250), [Fate::OtherSettings]);
    assert_eq!(fates_with(|sent| sent.modulation.sync_word = 0x34), [Fate::OtherSettings]);
    assert_eq!(fates_with(|sent| sent.inverted_iq = true), [Fate::OtherSettings]);
    assert_eq!(fates_with(|sent| sent.explicit_header = false), [Fate::OtherSettings]);
}

#[test]
fn every_coding_rate_is_heard_because_the_header_names_it() {
    for rate in CodingRate::ALL {
        assert_eq!(fates_with(|sent| sent.modulation.coding_rate = rate), [Fate::Unread], "{rate:?}");
    }
}

#[test]
fn inverted_iq_is_heard_by_an_inverting_receiver_only() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::InvertIq, 0x67);
    host.set_mode(RECEIVE);
    host.receive(Transmission { inverted_iq: true, ..Transmission::default() });
    host.receive(Transmission::default());
    assert_eq!(host.fates(), [Fate::Unread, Fate::OtherSettings]);
}

#[test]
fn different_low_data_rate_optimize_gives_a_wrong_crc() {
    for (factor, bandwidth) in [(11, Bandwidth::Khz125), (12, Bandwidth::Khz250), (10, Bandwidth::Khz62_5)] {
        let long = modulation(factor, bandwidth);
        let mut host = Host::in_standby(&Air::default(), "barn", &long);
        host.write(Register::ModemConfig3, 0x04);
        host.set_mode(RECEIVE);
        host.receive(packet_with(long));
        host.set_mode(STANDBY);
        host.write(Register::ModemConfig3, 0x0C);
        host.set_mode(RECEIVE);
        host.receive(packet_with(long));
        assert_eq!(host.fates(), [Fate::CrcBad, Fate::Unread], "SF{factor} {bandwidth:?}");
    }
}

#[test]
fn each_spreading_factor_has_its_snr_threshold() {
    // With 125 kHz and a noise figure of 6 dB, the noise is -117.03 dBm; each factor needs 2.5 dB less (table 13).
    for (factor, lowest_dbm) in [(7, -124.53), (8, -127.03), (9, -129.53), (10, -132.03), (11, -134.53), (12, -137.03)]
    {
        for (rssi_dbm, fate) in [(lowest_dbm + 0.1, Fate::Unread), (lowest_dbm - 0.1, Fate::TooWeak)] {
            let modulation = modulation(factor, Bandwidth::Khz125);
            let mut host = Host::in_standby(&Air::default(), "barn", &modulation);
            host.set_mode(RECEIVE);
            host.receive(Transmission { rssi_dbm, ..packet_with(modulation) });
            assert_eq!(host.fates(), [fate], "SF{factor} at {rssi_dbm} dBm");
        }
    }
}

/// Returns registers 0x19 and 0x1A after a packet with this power.
fn readings(frequency_hz: u32, rssi_dbm: f64) -> (i8, u8) {
    let modulation = Modulation { frequency_hz, ..modulation(10, Bandwidth::Khz125) };
    let mut host = Host::in_standby(&Air::default(), "barn", &modulation);
    host.set_mode(RECEIVE);
    host.receive(Transmission { rssi_dbm, ..packet_with(modulation) });
    (host.read(Register::PktSnrValue).cast_signed(), host.read(Register::PktRssiValue))
}

#[test]
fn signal_below_the_noise_reads_as_negative_snr_and_noise_strength() {
    // -122 dBm is 5 dB below the noise: -157 + 40 - 5 = -122.
    assert_eq!(readings(915_000_000, -122.0), (-20, 40));
    // At the low-frequency port: -164 + 47 - 5 = -122.
    assert_eq!(readings(433_000_000, -122.0), (-20, 47));
}

#[test]
fn strong_signal_reads_with_the_slope_of_the_data_sheet() {
    // -157 + 16/15 * 72 = -80.2; the SNR saturates at the limit of eight bits.
    assert_eq!(readings(915_000_000, -80.0), (127, 72));
    assert_eq!(readings(433_000_000, -80.0), (127, 79));
    assert_eq!(readings(915_000_000, -107.0), (40, 47));
}

#[test]
fn channel_strength_is_the_noise_or_the_signal_on_it() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    for _ in 0..100 {
        let noise_dbm = -157 + i16::from(host.read(Register::RssiValue));
        assert!((-122..=-112).contains(&noise_dbm), "{noise_dbm} dBm");
    }
    air.transmit(Transmission { rssi_dbm: -90.0, ..packet_with(modulation(9, Bandwidth::Khz125)) }, Duration::ZERO)
        .unwrap();
    air.pass(ms(1));
    assert_eq!(host.read(Register::RssiValue), 67, "-90 dBm from another spreading factor");
}

/// Reads the 20 bits of the frequency error.
fn error_steps(host: &mut Host) -> i32 {
    let bytes = host.read_burst(Register::FeiMsb, 3);
    (i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) << 4) >> 12
}

#[test]
fn frequency_error_is_the_receivers_own_in_steps_of_the_bandwidth() {
    for (bandwidth, error_hz) in [(Bandwidth::Khz125, 3_000), (Bandwidth::Khz125, -3_000), (Bandwidth::Khz500, 20_000)]
    {
        let modulation = modulation(7, bandwidth);
        let mut host = Host::in_standby(&Air::default(), "barn", &modulation);
        host.set_mode(RECEIVE);
        host.receive(Transmission { frequency_error_hz: error_hz, ..packet_with(modulation) });
        let step_hz = f64::from(1 << 24) / 32e6 * f64::from(bandwidth.hz()) / 500e3;
        let error_read_hz = f64::from(error_steps(&mut host)) * step_hz;
        assert!(
            (error_read_hz + f64::from(error_hz)).abs() <= step_hz,
            "{error_read_hz} Hz for a sender {error_hz} Hz above"
        );
    }
}

#[test]
fn crystals_too_far_apart_prevent_reception() {
    assert_eq!(fates_with(|sent| sent.frequency_error_hz = 31_000), [Fate::Unread]);
    assert_eq!(fates_with(|sent| sent.frequency_error_hz = 32_000), [Fate::OtherSettings]);
}

#[test]
fn fixed_intermediate_frequency_shifts_a_narrow_channel() {
    let narrow = modulation(7, Bandwidth::Khz20_8);
    let mut host = Host::in_standby(&Air::default(), "barn", &narrow);
    host.write(Register::DetectOptimize, 0x43);
    host.set_mode(RECEIVE);
    host.receive(packet_with(narrow));
    host.set_mode(STANDBY);
    host.configure(&Modulation { frequency_hz: narrow.frequency_hz + 20_830, ..narrow });
    host.set_mode(RECEIVE);
    host.receive(packet_with(narrow));
    assert_eq!(host.fates(), [Fate::OtherSettings, Fate::Unread]);
}

#[test]
fn fading_depends_on_the_packet_and_the_seed() {
    let strengths = |seed| {
        let air = Air::new(AirOptions { seed, fading_db: 4.0, ..AirOptions::default() });
        let mut host = Host::listening(&air);
        let readings: Vec<u8> = (0..50)
            .map(|_| {
                host.receive(Transmission { rssi_dbm: -80.0, ..Transmission::default() });
                host.read(Register::PktRssiValue)
            })
            .collect();
        readings
    };
    assert_eq!(strengths(7), strengths(7));
    assert_ne!(strengths(7), strengths(8));
    let spread = strengths(7).iter().max().unwrap() - strengths(7).iter().min().unwrap();
    assert!((8..40).contains(&spread), "{spread} dB between the strongest and the weakest");
}
