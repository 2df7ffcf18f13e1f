//! The registers of a listening chip: one list that set-up writes and the health check compares.
//!
//! # Decisions
//!
//! - **Every register that reception depends on is in the list, also those that a reset would set.** RESET may not be
//!   wired, and a chip keeps what an earlier program wrote. A `RegMaxPayloadLength` that is too low discards longer
//!   packets in silence; a symbol timeout of 0 makes some chips deaf in continuous receive
//!   (Lora-net/LoRaMac-node, pull request 885).
//! - **Bits that the chip changes itself are masked:** the gain, which the automatic gain control sets, and reserved
//!   bits.

use super::receive_carrier;
use crate::lora::{Bandwidth, Modulation};
use crate::sx127x::convert::{IrqFlags, high_bandwidth, intermediate_frequency};
use crate::sx127x::register::{RX_BASE, Register, TX_BASE, VERSION, dio0, op_mode};
use crate::sx127x::settings::Settings;

/// `RegModemConfig3` bit 3: LowDataRateOptimize, which both ends must use for long symbols.
const LOW_DATA_RATE_OPTIMIZE: u8 = 0x08;
/// `RegModemConfig3` bit 2: automatic gain control.
const AUTOMATIC_GAIN: u8 = 0x04;
/// `RegModemConfig2` bit 2: send a CRC. A receiver follows the header of the packet.
const CRC_ON: u8 = 0x04;
/// `RegLna` bits 1 and 0: more current for the amplifier above 779 MHz. Bits 4 and 3 are for the other bands and must
/// be 0.
const LNA_BOOST: u8 = 0x1B;
const LNA_BOOST_ON: u8 = 0x03;
/// `RegSymbTimeoutLsb` after a reset. Continuous receive has no timeout, but must not find 0 here.
const SYMBOL_TIMEOUT: u8 = 0x64;
/// Longest payload that the receiver accepts.
const LONGEST_PAYLOAD: u8 = 0xFF;
/// `RegDetectOptimize` bits 2 to 0, and `RegDetectionThreshold`, for SF7 to SF12 (data sheet, section 4.1.1.2).
const DETECTION: u8 = 0x03;
const DETECTION_THRESHOLD: u8 = 0x0A;
/// Bits of `RegDetectOptimize` that are compared: those, and bit 7, the automatic intermediate frequency.
const DETECT_OPTIMIZE: u8 = 0x87;
const AUTOMATIC_IF: u8 = 0x80;
/// `RegInvertIq` bits 6 and 0: the receiver swaps I and Q; the transmitter does *not* swap them.
const INVERT_IQ: u8 = 0x41;
const INVERT_IQ_ON: u8 = 0x40;
const INVERT_IQ_OFF: u8 = 0x01;
/// `RegInvertIq2` for each of the two (data sheet, table 85).
const INVERT_IQ_2_ON: u8 = 0x19;
const INVERT_IQ_2_OFF: u8 = 0x1D;
/// `RegTcxo` bit 4: the crystal pin takes the signal of an oscillator.
pub(super) const TCXO_INPUT: u8 = 0x10;
/// `RegPaConfig` bit 7: the boosted output. Bits 3 to 0 are its power.
const PA_BOOST: u8 = 0x80;
/// Bits of `RegPaConfig` that matter for the boosted output.
const POWER: u8 = 0x8F;
/// `RegPaDac` bits 2 to 0: 3 dB more at the boosted output.
const BOOST: u8 = 0x07;
const BOOST_OFF: u8 = 0x04;
const BOOST_ON: u8 = 0x07;
const WHOLE: u8 = 0xFF;

/// The value of a register, in the bits of `mask`, while the chip listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegisterCheck {
    pub(super) register: Register,
    pub(super) mask: u8,
    pub(super) value: u8,
}

impl RegisterCheck {
    /// Returns true if set-up writes the register in standby. The mode follows later, the version is fixed, and the
    /// oscillator was selected in sleep mode.
    pub(super) fn is_written_in_standby(self) -> bool {
        !matches!(self.register, Register::OpMode | Register::Version | Register::Tcxo)
    }

    pub(super) fn is_whole(self) -> bool {
        self.mask == WHOLE
    }
}

/// Returns the expected registers of a listening chip (data sheet, table 85).
pub(super) fn register_checks(settings: &Settings) -> Vec<RegisterCheck> {
    let Settings { modulation, transmit, tcxo, .. } = settings;
    let tcxo = (Register::Tcxo, TCXO_INPUT, if *tcxo { TCXO_INPUT } else { 0 });
    fixed_registers()
        .into_iter()
        .chain(modem_registers(modulation))
        .chain(errata_registers(modulation))
        .chain([tcxo])
        .chain(transmit.iter().flat_map(|transmit| power_registers(transmit.power_dbm)))
        .map(|(register, mask, value)| RegisterCheck { register, mask, value })
        .collect()
}

/// Returns the registers that are the same for every modulation.
fn fixed_registers() -> [(Register, u8, u8); 12] {
    [
        (Register::OpMode, op_mode::MASK, op_mode::RX_CONTINUOUS),
        (Register::Version, WHOLE, VERSION),
        (Register::Lna, LNA_BOOST, LNA_BOOST_ON),
        (Register::FifoTxBaseAddr, WHOLE, TX_BASE),
        (Register::FifoRxBaseAddr, WHOLE, RX_BASE),
        (Register::IrqFlagsMask, WHOLE, IrqFlags::MASK),
        (Register::SymbTimeoutLsb, WHOLE, SYMBOL_TIMEOUT),
        (Register::MaxPayloadLength, WHOLE, LONGEST_PAYLOAD),
        (Register::HopPeriod, WHOLE, 0),
        (Register::PpmCorrection, WHOLE, 0),
        (Register::DetectionThreshold, WHOLE, DETECTION_THRESHOLD),
        (Register::DioMapping1, dio0::MASK, dio0::RX_DONE),
    ]
}

/// Returns the registers of a modulation.
fn modem_registers(modulation: &Modulation) -> [(Register, u8, u8); 11] {
    let [frf_high, frf_middle, frf_low] = receive_carrier(modulation);
    let [preamble_high, preamble_low] = modulation.preamble_symbols.to_be_bytes();
    let modem_1 = bandwidth_number(modulation.bandwidth) << 4 | (modulation.coding_rate.denominator() - 4) << 1;
    // The lowest two bits belong to the symbol timeout, bit 3 to a test of the transmitter. All must be 0.
    let modem_2 = modulation.spreading_factor.get() << 4 | CRC_ON;
    let long_symbols = if modulation.low_data_rate_optimize() { LOW_DATA_RATE_OPTIMIZE } else { 0 };
    let [invert_iq, invert_iq_2] =
        if modulation.invert_iq { [INVERT_IQ_ON, INVERT_IQ_2_ON] } else { [INVERT_IQ_OFF, INVERT_IQ_2_OFF] };
    [
        (Register::FrfMsb, WHOLE, frf_high),
        (Register::FrfMid, WHOLE, frf_middle),
        (Register::FrfLsb, WHOLE, frf_low),
        (Register::ModemConfig1, WHOLE, modem_1),
        (Register::ModemConfig2, WHOLE, modem_2),
        (Register::ModemConfig3, LOW_DATA_RATE_OPTIMIZE | AUTOMATIC_GAIN, long_symbols | AUTOMATIC_GAIN),
        (Register::PreambleMsb, WHOLE, preamble_high),
        (Register::PreambleLsb, WHOLE, preamble_low),
        (Register::InvertIq, INVERT_IQ, invert_iq),
        (Register::InvertIq2, WHOLE, invert_iq_2),
        (Register::SyncWord, WHOLE, modulation.sync_word),
    ]
}

/// Returns the registers of the errata note 1.1: spurious reception (2.3) and sensitivity at 500 kHz (2.1). The chip
/// chooses those itself that the note does not name for a bandwidth.
fn errata_registers(modulation: &Modulation) -> impl Iterator<Item = (Register, u8, u8)> {
    let intermediate = intermediate_frequency(modulation.bandwidth);
    let automatic = if intermediate.automatic { AUTOMATIC_IF } else { 0 };
    let fixed = intermediate.register.map(|register| [(Register::IfFreq1, register), (Register::IfFreq2, 0)]);
    let (first, second) = high_bandwidth(modulation.bandwidth, modulation.frequency_hz);
    [(Register::DetectOptimize, DETECT_OPTIMIZE, automatic | DETECTION), (Register::HighBwOptimize1, WHOLE, first)]
        .into_iter()
        .chain(fixed.into_iter().flatten().map(|(register, value)| (register, WHOLE, value)))
        .chain(second.map(|value| (Register::HighBwOptimize2, WHOLE, value)))
}

/// Returns the registers of a power at the boosted output, each with its mask. 17 dBm is 15, and so is 20 dBm, for
/// which the second register raises the whole scale (data sheet, sections 5.4.2 and 5.4.3).
fn power_registers(power_dbm: u8) -> [(Register, u8, u8); 2] {
    let boost = if power_dbm > 17 { BOOST_ON } else { BOOST_OFF };
    [(Register::PaConfig, POWER, PA_BOOST | (power_dbm.clamp(2, 17) - 2)), (Register::PaDac, BOOST, boost)]
}

/// Returns the number of a bandwidth in `RegModemConfig1`, bits 7 to 4.
fn bandwidth_number(bandwidth: Bandwidth) -> u8 {
    Bandwidth::ALL.into_iter().zip(0..).find_map(|(each, number)| (each == bandwidth).then_some(number)).unwrap_or(0)
}
