//! Setting the chip up: the upstream driver first, then the calibration, then every register of `expected`, then a
//! read-back that compares them all.

mod calibration;
mod expected;

use super::bus::{Port, SharedPart};
use super::convert::{IrqFlags, carrier_from_hz, intermediate_frequency};
use super::error::ChipError;
use super::register::{Register, VERSION, dio0, op_mode};
use super::settings::{CrcPolicy, Settings};
use super::upstream::UpstreamDriver;
use crate::board::{Board, Wiring};
use crate::lora::Modulation;
pub(super) use calibration::CALIBRATION_TIMEOUT_MS;
use calibration::calibrate;
use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::digital::v2::OutputPin;
use expected::{RegisterCheck, register_checks};

/// Time after a rising RESET until the chip answers (data sheet, section 7.2.2: 5 ms).
const AFTER_RESET_MS: u8 = 10;
/// Timeout of a change of mode, with a wide margin.
const MODE_TIMEOUT_MS: u32 = 5;
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
    /// True if packets without a CRC are delivered.
    pub(super) accepts_without_crc: bool,
    /// True if the receiver was calibrated in time.
    pub(super) is_calibrated: bool,
    checks: Vec<RegisterCheck>,
}

impl<B: Board> Chip<B> {
    /// Sets a chip up from any state and starts to listen. Takes about 60 ms of the board's clock.
    pub(super) fn set_up(wiring: SharedWiring<B>, settings: &Settings) -> Result<Self, ChipError> {
        let Settings { modulation, transmit, crc, .. } = settings;
        let SharedWiring { bus, reset, dio0, mut delay } = wiring;
        let mut port = Port::new(bus.clone());
        Self::probe(&mut port, reset.clone(), delay.clone())?;
        let mut upstream = UpstreamDriver::reset(bus, reset, delay.clone(), modulation.frequency_hz)?;
        let is_calibrated =
            calibrate(&mut port, &mut delay, settings).map_err(ChipError::from_bus("calibrating the receiver"))?;
        upstream.set_modem(modulation)?;
        if let Some(transmit) = transmit {
            upstream.set_power(transmit.power_dbm)?;
        }
        let mut chip = Self {
            port,
            upstream,
            dio0,
            delay,
            modulation: *modulation,
            accepts_without_crc: *crc == CrcPolicy::Optional,
            is_calibrated,
            checks: register_checks(settings),
        };
        chip.write_expected()?;
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

    /// Writes every register that reception depends on: corrects what the upstream driver leaves wrong or unset, and what
    /// an earlier program left if RESET does not work. Called in standby.
    fn write_expected(&mut self) -> Result<(), ChipError> {
        let Self { port, checks, .. } = self;
        for check in checks.iter().filter(|check| check.is_written_in_standby()) {
            let &RegisterCheck { register, mask, value } = check;
            let written =
                if check.is_whole() { port.write(register, value) } else { port.change(register, mask, value) };
            written.map_err(ChipError::from_bus("setting registers"))?;
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

#[cfg(test)]
mod tests;
