//! The chip as it is to be: set up by the named driver, put right by us, read back and compared.

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::digital::v2::OutputPin;

use super::Settings;
use super::bus::{Port, Shared};
use super::convert::{IrqFlags, carrier_of_hz, high_bandwidth, intermediate_frequency};
use super::fault::Fault;
use super::named::Named;
use super::register::{RX_BASE, Register, TX_BASE, VERSION, dio0, op_mode};
use crate::board::{Board, Wiring};
use crate::lora::{Bandwidth, Modulation};

/// A chip answers so long after its RESET line rose (data sheet, section 7.2.2: 5 ms).
const AFTER_RESET_MS: u8 = 10;
/// `RegModemConfig3` bit 3: symbols are long, both ends must know.
const LOW_DATA_RATE_OPTIMIZE: u8 = 0x08;
/// `RegModemConfig3` bit 2: the chip sets its own gain.
const AUTOMATIC_GAIN: u8 = 0x04;
/// `RegModemConfig2` bit 2: a CRC is sent; a receiver takes the header's word for it.
const CRC_ON: u8 = 0x04;
/// `RegModemConfig2` bits 7 to 4.
const SPREADING_FACTOR: u8 = 0xF0;
/// `RegDetectOptimize` bit 7: the chip sets its own intermediate frequency.
const AUTOMATIC_IF: u8 = 0x80;
/// `RegInvertIq` bit 6: the receiver takes I for Q.
const INVERT_IQ_RX: u8 = 0x40;
/// `RegPaConfig` bit 7: the boosted output. Bits 3 to 0 are its power.
const PA_BOOST: u8 = 0x80;
/// The bits of `RegPaConfig` that count at the boosted output.
const POWER: u8 = 0x8F;
/// A change of mode is over by then, with a wide margin.
const SETTLES_WITHIN_MS: u32 = 5;
/// `RegPaDac` bits 2 to 0: whether the boosted output gives 3 dB more.
const BOOST: u8 = 0x07;
const BOOST_OFF: u8 = 0x04;
const BOOST_ON: u8 = 0x07;
/// One burst from `RegOpMode` to `RegPaDac` reads all that is compared.
const CHECKED_BYTES: usize = Register::PaDac.address() as usize;

/// A board's parts, those that the named driver wants for itself shared with us.
pub(super) struct Wired<B: Board> {
    pub(super) bus: Shared<B::Bus>,
    pub(super) reset: Shared<B::Reset>,
    dio0: B::Dio0,
    pub(super) delay: Shared<B::Delay>,
}

impl<B: Board> From<Wiring<B>> for Wired<B> {
    fn from(wiring: Wiring<B>) -> Self {
        let Wiring { bus, reset, dio0, delay } = wiring;
        Self { bus: Shared::new(bus), reset: Shared::new(reset), dio0, delay: Shared::new(delay) }
    }
}

/// A connected chip that is set up and listens.
pub(super) struct Chip<B: Board> {
    pub(super) port: Port<B::Bus>,
    pub(super) named: Named<B>,
    pub(super) dio0: B::Dio0,
    pub(super) delay: Shared<B::Delay>,
    pub(super) modulation: Modulation,
    expected: Vec<Expected>,
}

/// What a register holds, in the bits of `mask`, while the chip listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    register: Register,
    mask: u8,
    value: u8,
}

impl<B: Board> Chip<B> {
    /// Sets a chip up from whatever state it is in, and lets it listen. Takes some 40 ms of the board's clock.
    pub(super) fn set_up(wired: Wired<B>, settings: &Settings) -> Result<Self, Fault> {
        let Settings { modulation, transmit } = settings;
        let Wired { bus, reset, dio0, delay } = wired;
        let mut port = Port::new(bus.clone());
        Self::probe(&mut port, reset.clone(), delay.clone())?;
        let mut named = Named::reset(bus, reset, delay.clone(), modulation.frequency_hz)?;
        named.set_modem(modulation)?;
        if let Some(transmit) = transmit {
            named.set_power(transmit.power_dbm)?;
        }
        let expected = expectations(settings);
        let mut chip = Self { port, named, dio0, delay, modulation: *modulation, expected };
        chip.put_right()?;
        chip.listen()?;
        chip.check("reading back what was set up")?;
        Ok(chip)
    }

    /// Looks whether a chip of the right kind answers, before the named driver is called.
    fn probe(port: &mut Port<B::Bus>, mut reset: Shared<B::Reset>, mut delay: Shared<B::Delay>) -> Result<(), Fault> {
        const DOING: &str = "asking the chip for its version";
        let failed = Fault::of_bus(DOING);
        if port.read(Register::Version).map_err(&failed)? != VERSION {
            // Whoever ran before may have left RESET low: then nothing answers until it is let go.
            reset.set_high().map_err(|_| Fault::ResetLine)?;
            delay.delay_ms(AFTER_RESET_MS);
        }
        match port.read(Register::Version).map_err(&failed)? {
            VERSION => Ok(()),
            byte @ (0x00 | 0xFF) => Err(Fault::Dead { doing: DOING, byte }),
            version => Err(Fault::ForeignVersion { version }),
        }
    }

    /// What the named driver leaves wrong or unsaid. In standby.
    fn put_right(&mut self) -> Result<(), Fault> {
        let failed = Fault::of_bus("setting registers");
        let Self { port, modulation, .. } = self;
        let long_symbols = if modulation.low_data_rate_optimize() { LOW_DATA_RATE_OPTIMIZE } else { 0 };
        port.change(Register::ModemConfig3, LOW_DATA_RATE_OPTIMIZE | AUTOMATIC_GAIN, long_symbols | AUTOMATIC_GAIN)
            .and_then(|()| port.write(Register::SyncWord, modulation.sync_word))
            .and_then(|()| port.write(Register::FifoRxBaseAddr, RX_BASE))
            .and_then(|()| port.write(Register::FifoTxBaseAddr, TX_BASE))
            .and_then(|()| port.write(Register::IrqFlagsMask, IrqFlags::MASK))
            .map_err(&failed)?;
        self.follow_errata()
    }

    /// Errata note 1.1: spurious reception (2.3) and sensitivity at 500 kHz (2.1).
    fn follow_errata(&mut self) -> Result<(), Fault> {
        let failed = Fault::of_bus("setting what the errata ask for");
        let Self { port, modulation, .. } = self;
        let intermediate = intermediate_frequency(modulation.bandwidth);
        let automatic = if intermediate.automatic { AUTOMATIC_IF } else { 0 };
        port.change(Register::DetectOptimize, AUTOMATIC_IF, automatic).map_err(&failed)?;
        if let Some(register) = intermediate.register {
            port.write_from(Register::IfFreq1, &[register, 0]).map_err(&failed)?;
        }
        let (first, second) = high_bandwidth(modulation.bandwidth, modulation.frequency_hz);
        port.write(Register::HighBwOptimize1, first).map_err(&failed)?;
        if let Some(second) = second {
            port.write(Register::HighBwOptimize2, second).map_err(&failed)?;
        }
        Ok(())
    }

    /// From standby into continuous receive: carrier of the receiver, DIO0 says RxDone, no flag left of before.
    pub(super) fn listen(&mut self) -> Result<(), Fault> {
        let failed = Fault::of_bus("going over to receive");
        let carrier = receive_carrier(&self.modulation);
        self.port.write_from(Register::FrfMsb, &carrier).map_err(&failed)?;
        self.port.change(Register::DioMapping1, dio0::MASK, dio0::RX_DONE).map_err(&failed)?;
        self.port.write(Register::IrqFlags, IrqFlags::ALL).map_err(&failed)?;
        self.named.receive()?;
        self.settle(op_mode::LISTENING)
    }

    /// Waits until the chip says that it is in a mode. While its synthesizer locks it may still name the mode before
    /// (data sheet, section 4.1.4: some 60 us). That it never does is found by the look or the check behind it.
    pub(super) fn settle(&mut self, mode: u8) -> Result<(), Fault> {
        for _ in 0..SETTLES_WITHIN_MS {
            let named = self.port.read(Register::OpMode).map_err(Fault::of_bus("changing the chip's mode"))?;
            if named & op_mode::MASK == mode {
                break;
            }
            self.delay.delay_ms(1);
        }
        Ok(())
    }

    /// Reads all registers back in one burst and compares: the health check.
    pub(super) fn check(&mut self, doing: &'static str) -> Result<(), Fault> {
        let values: [u8; CHECKED_BYTES] = self.port.read_from(Register::OpMode).map_err(Fault::of_bus(doing))?;
        refuse_dead(doing, &values)?;
        for expected in &self.expected {
            let &Expected { register, mask, value } = expected;
            // The burst begins at address 1.
            let found = values[usize::from(register.address()) - 1] & mask;
            if found != value {
                return Err(changed(doing, register, value, found));
            }
        }
        Ok(())
    }
}

/// A register that is not as it was set; a chip that is not even LoRa's came out of a reset.
pub(super) fn changed(doing: &'static str, register: Register, expected: u8, found: u8) -> Fault {
    match register {
        Register::OpMode if found & op_mode::LONG_RANGE == 0 => Fault::WasReset,
        Register::Version => Fault::ForeignVersion { version: found },
        register => Fault::Register { doing, register, expected, found },
    }
}

/// No stretch of registers is all ones or all zeros: then nothing answers.
pub(super) fn refuse_dead(doing: &'static str, values: &[u8]) -> Result<(), Fault> {
    match [0xFF, 0x00].into_iter().find(|byte| values.iter().all(|value| value == byte)) {
        Some(byte) => Err(Fault::Dead { doing, byte }),
        None => Ok(()),
    }
}

/// The carrier that a receiver listens on, which in narrow channels is not the sender's (errata note 1.1, section 2.3).
fn receive_carrier(modulation: &Modulation) -> [u8; 3] {
    let offset_hz = intermediate_frequency(modulation.bandwidth).carrier_offset_hz;
    carrier_bytes(modulation.frequency_hz.saturating_add(offset_hz))
}

/// The three registers of a carrier, highest first.
pub(super) fn carrier_bytes(frequency_hz: u32) -> [u8; 3] {
    let [_, high, middle, low] = carrier_of_hz(frequency_hz).to_be_bytes();
    [high, middle, low]
}

/// What a chip that listens holds (data sheet, table 85). Registers that the chip may set itself are not among them.
fn expectations(settings: &Settings) -> Vec<Expected> {
    let Settings { modulation, transmit } = settings;
    let [frf_high, frf_middle, frf_low] = receive_carrier(modulation);
    let [preamble_high, preamble_low] = modulation.preamble_symbols.to_be_bytes();
    let modem_1 = bandwidth_number(modulation.bandwidth) << 4 | (modulation.coding_rate.denominator() - 4) << 1;
    let modem_2 = modulation.spreading_factor.get() << 4 | CRC_ON;
    let modem_3 = AUTOMATIC_GAIN | if modulation.low_data_rate_optimize() { LOW_DATA_RATE_OPTIMIZE } else { 0 };
    let whole = 0xFF;
    [
        (Register::OpMode, op_mode::MASK, op_mode::LISTENING),
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
    .chain(transmit.iter().flat_map(|transmit| power_of(transmit.power_dbm)))
    .map(|(register, mask, value)| Expected { register, mask, value })
    .collect()
}

/// What holds a power at the boosted output: 17 dBm is 15, and so is 20 dBm, where the other register raises the whole
/// scale (data sheet, sections 5.4.2 and 5.4.3).
fn power_of(power_dbm: u8) -> [(Register, u8, u8); 2] {
    let boost = if power_dbm > 17 { BOOST_ON } else { BOOST_OFF };
    [(Register::PaConfig, POWER, PA_BOOST | (power_dbm.clamp(2, 17) - 2)), (Register::PaDac, BOOST, boost)]
}

/// The place of a bandwidth in `RegModemConfig1`, bits 7 to 4.
fn bandwidth_number(bandwidth: Bandwidth) -> u8 {
    Bandwidth::ALL.into_iter().zip(0..).find_map(|(each, number)| (each == bandwidth).then_some(number)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
