//! Strength of a transmission at a receiver, and its encoding in registers.

use super::tuning::Tuning;

/// Thermal noise in 1 Hz at room temperature.
const THERMAL_NOISE_DBM_HZ: f64 = -174.0;
/// Below this frequency the chip receives through its low-frequency port (data sheet, section 5.5.5 and table 32).
const LOW_BAND_BELOW_HZ: u32 = 525_000_000;
/// Offset of the RSSI registers at the high-frequency port (section 5.5.5).
const RSSI_ZERO_DBM: f64 = -157.0;
/// Offset of the RSSI registers at the low-frequency port.
const RSSI_ZERO_LOW_BAND_DBM: f64 = -164.0;

/// A transmission's signal at one receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// Power of the signal without noise.
    pub(super) power_dbm: f64,
    pub(super) snr_db: f64,
    /// The receiver's frequency minus the sender's: the chip reports the error as its own. Radio makers found that it has
    /// to be subtracted from the configured frequency (sandeepmistry/arduino-LoRa, issue 600).
    pub(super) frequency_error_hz: i32,
}

/// Returns the noise power in a channel.
pub(super) fn noise_floor_dbm(bandwidth_hz: u32, noise_figure_db: f64) -> f64 {
    THERMAL_NOISE_DBM_HZ + 10.0 * f64::from(bandwidth_hz).log10() + noise_figure_db
}

/// Returns the lowest SNR at which packets are demodulated (table 13): -5 dB at SF6, and 2.5 dB less for each step.
pub(super) fn lowest_snr_db(spreading_factor: u8) -> f64 {
    -5.0 - 2.5 * (f64::from(spreading_factor) - 6.0)
}

fn rssi_zero_dbm(frequency_hz: u32) -> f64 {
    if frequency_hz < LOW_BAND_BELOW_HZ { RSSI_ZERO_LOW_BAND_DBM } else { RSSI_ZERO_DBM }
}

/// Encodes the power in the channel for register 0x1B, in steps of 1 dB.
pub(super) fn rssi_register(power_dbm: f64, frequency_hz: u32) -> u8 {
    saturating_u8(power_dbm - rssi_zero_dbm(frequency_hz))
}

/// Encodes an SNR for register 0x19, in signed quarters of a dB.
pub(super) fn snr_register(snr_db: f64) -> u8 {
    saturating_i8(snr_db * 4.0).cast_unsigned()
}

/// Encodes a packet's strength for register 0x1A (section 5.5.5). Above the noise the register grows by 15 for every
/// 16 dB. Below the noise it holds the signal power minus the SNR.
pub(super) fn packet_rssi_register(signal: &Signal, frequency_hz: u32) -> u8 {
    let above_zero_db = signal.power_dbm - rssi_zero_dbm(frequency_hz);
    if signal.snr_db < 0.0 {
        saturating_u8(above_zero_db - signal.snr_db)
    } else {
        saturating_u8(above_zero_db * 15.0 / 16.0)
    }
}

/// Encodes a frequency error for registers 0x28 to 0x2A (section 4.1.5): 20 signed bits in steps of
/// 2^24 / 32 MHz * bandwidth / 500 kHz.
pub(super) fn frequency_error_registers(error_hz: i32, bandwidth_hz: u32) -> [u8; 3] {
    let step = i64::from(bandwidth_hz) << 24;
    // Multiplied by 32 MHz and 500 kHz, and rounded to the nearest step.
    let scaled = i64::from(error_hz) * 32_000_000 * 500_000;
    let value = (scaled + scaled.signum() * step / 2) / step;
    let [.., high, middle, low] = value.clamp(-0x8_0000, 0x7_FFFF).to_be_bytes();
    [high & 0x0F, middle, low]
}

/// Returns the output power that registers 0x09 and 0x4D select (sections 5.4.2 and 5.4.3).
pub(super) fn output_power_dbm(pa_config: u8, pa_dac: u8) -> f64 {
    let output = f64::from(pa_config & 0x0F);
    if pa_config & 0x80 != 0 {
        2.0 + output + if pa_dac & 0x07 == 0x07 { 3.0 } else { 0.0 }
    } else {
        10.8 + 0.6 * f64::from((pa_config >> 4) & 0x07) - (15.0 - output)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn saturating_u8(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range first")]
fn saturating_i8(value: f64) -> i8 {
    value.round().clamp(-128.0, 127.0) as i8
}

/// Computes the signal of a sender at a receiver. `offset_hz` is the sender's crystal error minus the receiver's.
pub(super) fn at_receiver(
    power_dbm: f64,
    noise_figure_db: f64,
    sender: &Tuning,
    offset_hz: i32,
    receiver: &Tuning,
) -> Signal {
    let apart_hz = i64::from(receiver.frequency_hz) - i64::from(sender.frequency_hz) - i64::from(offset_hz);
    Signal {
        power_dbm,
        snr_db: power_dbm - noise_floor_dbm(receiver.bandwidth_hz, noise_figure_db),
        frequency_error_hz: i32::try_from(apart_hz).unwrap_or(i32::MAX),
    }
}
