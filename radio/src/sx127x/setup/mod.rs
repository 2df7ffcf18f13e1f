//! Setting the chip up: the upstream driver first, then our corrections, then a read-back that compares every setting.

use super::bus::{Port, SharedPart};
use super::convert::{IrqFlags, carrier_from_hz, high_bandwidth, intermediate_frequency};
use super::error::ChipError;
use super::register::{RX_BASE, Register, TX_BASE, VERSION, dio0, op_mode};
use super::settings::Settings;
use super::upstream::UpstreamDriver;
use crate::board::{Board, Wiring};
use crate::lora::{Bandwidth, Modulation};
use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::digital::v2::OutputPin;

/// Time after a rising RESET until the chip answers (data sheet, section 7.2.2: 5 ms).
const AFTER_RESET_MS: u8 = 10;
/// `RegModemConfig3` bit 3: LowDataRateOptimize, which both ends must use for long symbols.
const LOW_DATA_RATE_OPTIMIZE: u8 = 0x08;
/// `RegModemConfig3` bit 2: automatic gain control.
const AUTOMATIC_GAIN: u8 = 0x04;
/// `RegModemConfig2` bit 2: send a CRC. A receiver follows the header of the packet.
const CRC_ON: u8 = 0x04;
/// `RegModemConfig2` bits 7 to 4.
const SPREADING_FACTOR: u8 = 0xF0;
/// `RegDetectOptimize` bit 7: automatic intermediate frequency.
const AUTOMATIC_IF: u8 = 0x80;
/// `RegInvertIq` bit 6: the receiver swaps I and Q.
const INVERT_IQ_RX: u8 = 0x40;
/// `RegPaConfig` bit 7: the boosted output. Bits 3 to 0 are its power.
const PA_BOOST: u8 = 0x80;
/// Bits of `RegPaConfig` that matter for the boosted output.
const POWER: u8 = 0x8F;
/// Timeout of a change of mode, with a wide margin.
const MODE_TIMEOUT_MS: u32 = 5;
/// `RegPaDac` bits 2 to 0: 3 dB more at the boosted output.
const BOOST: u8 = 0x07;
const BOOST_OFF: u8 = 0x04;
const BOOST_ON: u8 = 0x07;
/// Length of the burst from `RegOpMode` to `RegPaDac`, which covers every register that is compared.
const CHECKED_BYTES: usize = Register::PaDac.address() as usize;

/// The parts of a board. Those that the upstream driver owns are shared with us.
pub(super) struct SharedWiring<B: Board> {
    pub(super) bus: SharedPart<B::Bus>,
    pub(super) reset: SharedPart<B::Reset>,
    dio0: B::Dio0,
    pub(super) delay: SharedPart<B::Delay>,
}

impl<B: Board> From<Wiring<B>> for SharedWiring<B> {
    fn from(wiring: Wiring<B>) -> Self {
        let Wiring { bus, reset, dio0, delay } = wiring;
        Self { bus: SharedPart::new(bus), reset: SharedPart::new(reset), dio0, delay: SharedPart::new(delay) }
    }
}

/// A connected chip that is set up and listens.
pub(super) struct Chip<B: Board> {
    pub(super) port: Port<B::Bus>,
    pub(super) upstream: UpstreamDriver<B>,
    pub(super) dio0: B::Dio0,
    pub(super) delay: SharedPart<B::Delay>,
    pub(super) modulation: Modulation,
    checks: Vec<RegisterCheck>,
}

/// The value of a register, in the bits of `mask`, while the chip listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RegisterCheck {
    register: Register,
    mask: u8,
    value: u8,
}

impl<B: Board> Chip<B> {
    /// Sets a chip up from any state and starts to listen. Takes about 40 ms of the board's clock.
    pub(super) fn set_up(wiring: SharedWiring<B>, settings: &Settings) -> Result<Self, ChipError> {
        let Settings { modulation, transmit } = settings;
        let SharedWiring { bus, reset, dio0, delay } = wiring;
        let mut port = Port::new(bus.clone());
        Self::probe(&mut port, reset.clone(), delay.clone())?;
        let mut upstream = UpstreamDriver::reset(bus, reset, delay.clone(), modulation.frequency_hz)?;
        upstream.set_modem(modulation)?;
        if let Some(transmit) = transmit {
            upstream.set_power(transmit.power_dbm)?;
        }
        let checks = register_checks(settings);
        let mut chip = Self { port, upstream, dio0, delay, modulation: *modulation, checks };
        chip.correct_settings()?;
        chip.listen()?;
        chip.check("reading the settings back")?;
        Ok(chip)
    }

    /// Checks that a supported chip answers, before the upstream driver is called.
    fn probe(
        port: &mut Port<B::Bus>,
        mut reset: SharedPart<B::Reset>,
        mut delay: SharedPart<B::Delay>,
    ) -> Result<(), ChipError> {
        const CONTEXT: &str = "reading the chip's version";
        let bus_error = ChipError::from_bus(CONTEXT);
        if port.read(Register::Version).map_err(&bus_error)? != VERSION {
            // An earlier program may have left RESET low. Nothing answers until it is released.
            reset.set_high().map_err(|_| ChipError::ResetLine)?;
            delay.delay_ms(AFTER_RESET_MS);
        }
        match port.read(Register::Version).map_err(&bus_error)? {
            VERSION => Ok(()),
            byte @ (0x00 | 0xFF) => Err(ChipError::Dead { context: CONTEXT, byte }),
            version => Err(ChipError::UnsupportedVersion { version }),
        }
    }

    /// Corrects what the upstream driver leaves wrong or unset. Called in standby.
    fn correct_settings(&mut self) -> Result<(), ChipError> {
        let bus_error = ChipError::from_bus("setting registers");
        let Self { port, modulation, .. } = self;
        let long_symbols = if modulation.low_data_rate_optimize() { LOW_DATA_RATE_OPTIMIZE } else { 0 };
        port.change(Register::ModemConfig3, LOW_DATA_RATE_OPTIMIZE | AUTOMATIC_GAIN, long_symbols | AUTOMATIC_GAIN)
            .and_then(|()| port.write(Register::SyncWord, modulation.sync_word))
            .and_then(|()| port.write(Register::FifoRxBaseAddr, RX_BASE))
            .and_then(|()| port.write(Register::FifoTxBaseAddr, TX_BASE))
            .and_then(|()| port.write(Register::IrqFlagsMask, IrqFlags::MASK))
            .map_err(&bus_error)?;
        self.apply_errata()
    }

    /// Applies the errata note 1.1: spurious reception (2.3) and sensitivity at 500 kHz (2.1).
    fn apply_errata(&mut self) -> Result<(), ChipError> {
        let bus_error = ChipError::from_bus("applying the errata");
        let Self { port, modulation, .. } = self;
        let intermediate = intermediate_frequency(modulation.bandwidth);
        let automatic = if intermediate.automatic { AUTOMATIC_IF } else { 0 };
        port.change(Register::DetectOptimize, AUTOMATIC_IF, automatic).map_err(&bus_error)?;
        if let Some(register) = intermediate.register {
            port.write_from(Register::IfFreq1, &[register, 0]).map_err(&bus_error)?;
        }
        let (first, second) = high_bandwidth(modulation.bandwidth, modulation.frequency_hz);
        port.write(Register::HighBwOptimize1, first).map_err(&bus_error)?;
        if let Some(second) = second {
            port.write(Register::HighBwOptimize2, second).map_err(&bus_error)?;
        }
        Ok(())
    }

    /// Goes from standby to continuous receive: sets the receive carrier, maps RxDone to DIO0, and clears all flags.
    pub(super) fn listen(&mut self) -> Result<(), ChipError> {
        let bus_error = ChipError::from_bus("starting to receive");
        let carrier = receive_carrier(&self.modulation);
        self.port.write_from(Register::FrfMsb, &carrier).map_err(&bus_error)?;
        self.port.change(Register::DioMapping1, dio0::MASK, dio0::RX_DONE).map_err(&bus_error)?;
        self.port.write(Register::IrqFlags, IrqFlags::ALL).map_err(&bus_error)?;
        self.upstream.receive()?;
        self.settle(op_mode::RX_CONTINUOUS)
    }

    /// Waits until the chip reports a mode. While its synthesizer locks, it may still report the previous one (data
    /// sheet, section 4.1.4: about 60 us). If the mode never changes, the next look or check finds it.
    pub(super) fn settle(&mut self, mode: u8) -> Result<(), ChipError> {
        for _ in 0..MODE_TIMEOUT_MS {
            let found = self.port.read(Register::OpMode).map_err(ChipError::from_bus("changing the chip's mode"))?;
            if found & op_mode::MASK == mode {
                break;
            }
            self.delay.delay_ms(1);
        }
        Ok(())
    }

    /// Reads all registers back in one burst and compares them. This is the health check.
    pub(super) fn check(&mut self, context: &'static str) -> Result<(), ChipError> {
        let values: [u8; CHECKED_BYTES] =
            self.port.read_from(Register::OpMode).map_err(ChipError::from_bus(context))?;
        refuse_dead(context, &values)?;
        for check in &self.checks {
            let &RegisterCheck { register, mask, value } = check;
            // The burst begins at address 1.
            let found = values[usize::from(register.address()) - 1] & mask;
            if found != value {
                return Err(mismatch(context, register, value, found));
            }
        }
        Ok(())
    }
}

/// Returns the error for a register with a wrong value. A chip that is not even in LoRa mode has been reset.
pub(super) fn mismatch(context: &'static str, register: Register, expected: u8, found: u8) -> ChipError {
    match register {
        Register::OpMode if found & op_mode::LONG_RANGE == 0 => ChipError::UnexpectedReset,
        Register::Version => ChipError::UnsupportedVersion { version: found },
        register => ChipError::Register { context, register, expected, found },
    }
}

/// Rejects a burst of only ones or only zeros, which no stretch of registers holds: nothing answers.
pub(super) fn refuse_dead(context: &'static str, values: &[u8]) -> Result<(), ChipError> {
    match [0xFF, 0x00].into_iter().find(|byte| values.iter().all(|value| value == byte)) {
        Some(byte) => Err(ChipError::Dead { context, byte }),
        None => Ok(()),
    }
}

/// Returns the carrier of the receiver, which differs from the sender's in narrow channels (errata note 1.1, section
/// 2.3).
fn receive_carrier(modulation: &Modulation) -> [u8; 3] {
    let offset_hz = intermediate_frequency(modulation.bandwidth).carrier_offset_hz;
    carrier_bytes(modulation.frequency_hz.saturating_add(offset_hz))
}

/// Returns the three carrier registers, most significant first.
pub(super) fn carrier_bytes(frequency_hz: u32) -> [u8; 3] {
    let [_, high, middle, low] = carrier_from_hz(frequency_hz).to_be_bytes();
    [high, middle, low]
}

/// Returns the expected registers of a listening chip (data sheet, table 85), without those that the chip may change
/// itself.
fn register_checks(settings: &Settings) -> Vec<RegisterCheck> {
    let Settings { modulation, transmit } = settings;
    let [frf_high, frf_middle, frf_low] = receive_carrier(modulation);
    let [preamble_high, preamble_low] = modulation.preamble_symbols.to_be_bytes();
    let modem_1 = bandwidth_number(modulation.bandwidth) << 4 | (modulation.coding_rate.denominator() - 4) << 1;
    let modem_2 = modulation.spreading_factor.get() << 4 | CRC_ON;
    let modem_3 = AUTOMATIC_GAIN | if modulation.low_data_rate_optimize() { LOW_DATA_RATE_OPTIMIZE } else { 0 };
    let whole = 0xFF;
    [
        (Register::OpMode, op_mode::MASK, op_mode::RX_CONTINUOUS),
        (Register::Version, whole, VERSION),
        (Register::FrfMsb, whole, frf_high),
        (Register::FrfMid, whole, frf_middle),
        (Register::FrfLsb, whole, frf_low),
        (Register::FifoTxBaseAddr, whole, TX_BASE),
        (Register::FifoRxBaseAddr, whole, RX_BASE),
        (Register::IrqFlagsMask, whole, IrqFlags::MASK),
        (Register::ModemConfig1, whole, modem_1),
        (Register::ModemConfig2, SPREADING_FACTOR | CRC_ON, modem_2),
        (Register::ModemConfig3, LOW_DATA_RATE_OPTIMIZE | AUTOMATIC_GAIN, modem_3),
        (Register::PreambleMsb, whole, preamble_high),
        (Register::PreambleLsb, whole, preamble_low),
        (Register::InvertIq, INVERT_IQ_RX, 0),
        (Register::SyncWord, whole, modulation.sync_word),
        (Register::DioMapping1, dio0::MASK, dio0::RX_DONE),
    ]
    .into_iter()
    .chain(transmit.iter().flat_map(|transmit| power_registers(transmit.power_dbm)))
    .map(|(register, mask, value)| RegisterCheck { register, mask, value })
    .collect()
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

#[cfg(test)]
mod tests;
