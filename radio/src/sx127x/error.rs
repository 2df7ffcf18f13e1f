//! Errors of a chip. Each message says what a person can do.

use super::bus::BusError;
use super::register::Register;
use crate::board::{BoardError, LineError};

/// Why a chip does not receive, or receives in a degraded way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChipError {
    /// The bus or the lines could not be opened.
    #[error("cannot connect the chip: {0}")]
    Board(#[from] BoardError),
    /// The kernel could not transfer bytes over the bus.
    #[error("{context}: the SPI transfer failed: {reason}; check the kernel log for SPI errors (`dmesg`)")]
    Bus {
        /// The step in progress.
        context: &'static str,
        /// The error of the bus.
        reason: String,
    },
    /// The bus is dead: every byte read is the same, 0xFF or 0x00.
    #[error(
        "{context}: no chip answers on the SPI bus, every byte reads {byte:#04x}; check the module's supply and ground, MISO and MOSI, and that `spi` names the chip select in use"
    )]
    Dead {
        /// The step in progress.
        context: &'static str,
        /// The byte that every read returns.
        byte: u8,
    },
    /// A chip answers, but it is not an SX1276, 77, 78 or 79.
    #[error(
        "unsupported chip: its version is {version:#04x}, and this driver supports only 0x12 (SX1276 to SX1279, RFM95 to RFM98, Ra-01 and Ra-02); the SX1262 and the SX1272 are different chips"
    )]
    UnsupportedVersion {
        /// Content of the version register.
        version: u8,
    },
    /// A register returned a value that it cannot hold.
    #[error(
        "{context}: register {register:#04x} reads {found:#04x}, an impossible value; if this happens again, shorten the wires or set a slower `spi_hz`"
    )]
    Garbled {
        /// The step in progress.
        context: &'static str,
        /// Address of the register.
        register: u8,
        /// The value read.
        found: u8,
    },
    /// A register does not hold the value written to it.
    #[error(
        "{context}: {register} holds {found:#04x} instead of {expected:#04x}; if this happens again, shorten the wires or set a slower `spi_hz`"
    )]
    Register {
        /// The step in progress.
        context: &'static str,
        /// The register.
        register: Register,
        /// The expected value, in the bits that are compared.
        expected: u8,
        /// The value read, in the same bits.
        found: u8,
    },
    /// The chip is in its reset state, although this driver did not reset it.
    #[error(
        "the chip has reset itself; if this happens again, its supply voltage drops: use a stronger supply and put a capacitor next to the module"
    )]
    UnexpectedReset,
    /// Flags stay set although they were cleared, and no packet comes with them.
    #[error(
        "the chip's flags {flags:#04x} cannot be cleared; if this happens again, check MOSI and the length of the wires"
    )]
    FlagsStuck {
        /// Content of the flags register.
        flags: u8,
    },
    /// The receiver could not be calibrated. The radio receives all the same.
    #[error(
        "the chip did not finish calibrating its receiver within {within_ms} ms; it receives, but a strong signal on another frequency may disturb it; if this happens again, check the module's supply, and `tcxo`"
    )]
    NotCalibrated {
        /// Timeout of the calibration.
        within_ms: u32,
    },
    /// RESET cannot be driven.
    #[error("cannot drive the RESET line; check `reset_line`, and that no other program uses the line")]
    ResetLine,
    /// DIO0 cannot be waited on.
    #[error("{0}; check `dio0_line`, and that no other program uses the line")]
    Dio0(#[from] LineError),
    /// Packets arrive without an edge on DIO0. The radio still receives, by polling.
    #[error(
        "DIO0 did not signal the last {rescued} packets, which were found by polling; check that the module's DIO0 is wired to `dio0_line`; polling is fast enough to receive every packet"
    )]
    SilentDio0 {
        /// Number of packets in a row.
        rescued: u32,
    },
    /// DIO0 signals again and again without a packet. The radio still receives, by polling.
    #[error(
        "DIO0 signaled {edges} times in a row without a packet; check its wire and ground; until then the radio ignores the line and polls"
    )]
    ChatteringDio0 {
        /// Number of edges in a row.
        edges: u32,
    },
}

impl ChipError {
    /// Returns a conversion that adds the step in progress to an error of the bus.
    pub(super) fn from_bus(context: &'static str) -> impl Fn(BusError) -> Self {
        move |error| match error {
            BusError::Failed(reason) => Self::Bus { context, reason },
            BusError::Dead(byte) => Self::Dead { context, byte },
            BusError::Garbled { register, found } => Self::Garbled { context, register, found },
        }
    }
}
