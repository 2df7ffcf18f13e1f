//! How strong a transmission arrives, and how the chip writes it into its registers.

use super::tuning::Tuning;

/// Thermal noise of one Hz at room temperature.
const THERMAL_NOISE_DBM_HZ: f64 = -174.0;
/// Below this frequency a signal comes in by the other port (data sheet, section 5.5.5 and table 32).
const LOW_BAND_BELOW_HZ: u32 = 525_000_000;
/// Zero of the RSSI registers at the high-frequency port (section 5.5.5).
const RSSI_ZERO_DBM: f64 = -157.0;
/// Zero of the RSSI registers at the low-frequency port.
const RSSI_ZERO_LOW_BAND_DBM: f64 = -164.0;

/// How a transmission arrives at one receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Signal {
    /// Power of the signal alone.
    pub(super) power_dbm: f64,
    pub(super) snr_db: f64,
    /// The receiver's frequency less the sender's: as the chip sees it, the error is its own. Makers of radios found
    /// that it has to be subtracted from the frequency set (sandeepmistry/arduino-LoRa, issue 600).
    pub(super) frequency_error_hz: i32,
}

/// Power of the noise in a channel.
pub(super) fn noise_floor_dbm(bandwidth_hz: u32, noise_figure_db: f64) -> f64 {
    THERMAL_NOISE_DBM_HZ + 10.0 * f64::from(bandwidth_hz).log10() + noise_figure_db
}

/// The lowest SNR at which packets are demodulated (table 13): -5 dB at SF6, 2.5 dB less for each step.
pub(super) fn lowest_snr_db(spreading_factor: u8) -> f64 {
    -5.0 - 2.5 * (f64::from(spreading_factor) - 6.0)
}

fn rssi_zero_dbm(frequency_hz: u32) -> f64 {
    if frequency_hz < LOW_BAND_BELOW_HZ { RSSI_ZERO_LOW_BAND_DBM } else { RSSI_ZERO_DBM }
}

/// Register 0x1B: power in the channel, 1 dB a step.
pub(super) fn rssi_register(power_dbm: f64, frequency_hz: u32) -> u8 {
    saturating_u8(power_dbm - rssi_zero_dbm(frequency_hz))
}

/// Register 0x19: quarters of a dB, signed.
pub(super) fn snr_register(snr_db: f64) -> u8 {
    saturating_i8(snr_db * 4.0).cast_unsigned()
}

/// Register 0x1A (section 5.5.5). Above the noise the register grows by 15 for 16 dB; below it, it stands for signal
/// less SNR.
pub(super) fn packet_rssi_register(signal: &Signal, frequency_hz: u32) -> u8 {
    let over_zero_db = signal.power_dbm - rssi_zero_dbm(frequency_hz);
    if signal.snr_db < 0.0 {
        saturating_u8(over_zero_db - signal.snr_db)
    } else {
        saturating_u8(over_zero_db * 15.0 / 16.0)
    }
}

/// Registers 0x28 to 0x2A (section 4.1.5): 20 bits, signed, in steps of 2^24 / 32 MHz * bandwidth / 500 kHz.
pub(super) fn frequency_error_registers(error_hz: i32, bandwidth_hz: u32) -> [u8; 3] {
    let step = i64::from(bandwidth_hz) << 24;
    // Times 32 MHz and 500 kHz, rounded to the nearest.
    let scaled = i64::from(error_hz) * 32_000_000 * 500_000;
    let value = (scaled + scaled.signum() * step / 2) / step;
    let [.., high, middle, low] = value.clamp(-0x8_0000, 0x7_FFFF).to_be_bytes();
    [high & 0x0F, middle, low]
}

/// What the power amplifier gives for registers 0x09 and 0x4D (section 5.4.2 and 5.4.3).
pub(super) fn power_dbm(pa_config: u8, pa_dac: u8) -> f64 {
    let output = f64::from(pa_config & 0x0F);
    if pa_config & 0x80 != 0 {
        2.0 + output + if pa_dac & 0x07 == 0x07 { 3.0 } else { 0.0 }
    } else {
        10.8 + 0.6 * f64::from((pa_config >> 4) & 0x07) - (15.0 - output)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range before")]
fn saturating_u8(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range before")]
fn saturating_i8(value: f64) -> i8 {
    value.round().clamp(-128.0, 127.0) as i8
}

/// How a signal of such a power arrives.
pub(super) fn arriving(
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
