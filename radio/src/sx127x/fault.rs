//! What can be wrong with a chip, and what a person can do about it.

use super::bus::BusFault;
use super::register::Register;
use crate::board::{BoardError, LineError};

/// Why a chip does not hear, or not as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Bus or lines could not be opened.
    #[error("connecting the chip: {0}")]
    Board(#[from] BoardError),
    /// The system could not move bytes over the bus.
    #[error("{doing}: the SPI bus failed: {reason}; see what the kernel says about SPI (`dmesg`)")]
    Bus {
        /// What was being done.
        doing: &'static str,
        /// What the bus said.
        reason: String,
    },
    /// Nothing answers: all that is read is one byte, 0xFF or 0x00.
    #[error(
        "{doing}: no chip answers on the SPI bus, every byte read is {byte:#04x}; check the module's supply and ground, MISO and MOSI, and that chip select is the one that is set"
    )]
    Dead {
        /// What was being done.
        doing: &'static str,
        /// What is read all the time.
        byte: u8,
    },
    /// Something answers that is no SX1276, 77, 78 or 79.
    #[error(
        "the chip names itself version {version:#04x}; this driver knows 0x12 alone (SX1276 to SX1279, RFM95 to RFM98, Ra-01 and Ra-02); an SX1262 or an SX1272 is another chip"
    )]
    ForeignVersion {
        /// What the version register holds.
        version: u8,
    },
    /// A value came that the register never has.
    #[error(
        "{doing}: register {register:#04x} reads {found:#04x}, which it never holds; if it comes again, shorten the wires or set a slower `spi_hz`"
    )]
    Garbled {
        /// What was being done.
        doing: &'static str,
        /// Its address.
        register: u8,
        /// What was read.
        found: u8,
    },
    /// A register does not hold what was written.
    #[error(
        "{doing}: {register} holds {found:#04x} where {expected:#04x} was to be; if it comes again, shorten the wires or set a slower `spi_hz`"
    )]
    Register {
        /// What was being done.
        doing: &'static str,
        /// Which one.
        register: Register,
        /// What should stand there, in the bits that were looked at.
        expected: u8,
        /// What stands there, in the same bits.
        found: u8,
    },
    /// The chip is as it comes out of a reset, that nobody here asked for.
    #[error(
        "the chip has reset itself; if it comes again, its supply breaks down: use a stronger one and a capacitor beside the module"
    )]
    WasReset,
    /// Flags that were cleared stand there again and again, and no packet comes with them.
    #[error("the chip's flags {flags:#04x} cannot be cleared; if it comes again, check MOSI and the wires' length")]
    FlagsStuck {
        /// The flags.
        flags: u8,
    },
    /// RESET cannot be driven.
    #[error("the line RESET cannot be driven; check which line is set, and that nobody else uses it")]
    ResetLine,
    /// DIO0 cannot be waited on.
    #[error("{0}; check which line is set, and that nobody else uses it")]
    Dio0(#[from] LineError),
    /// Packets come, and DIO0 does not tell. The radio goes on hearing, by looking.
    #[error(
        "DIO0 has not told of the last {rescued} packets, they were found by looking; check that the module's DIO0 is wired to the line that is set; until then the radio looks often enough to hear all"
    )]
    SilentDio0 {
        /// So many in a row.
        rescued: u32,
    },
    /// DIO0 tells again and again, and there is nothing. The radio goes on hearing, by looking.
    #[error(
        "DIO0 has told {edges} times in a row of packets that were not there; check its wire and ground; until then the radio looks in place of listening to it"
    )]
    ChatteringDio0 {
        /// So many in a row.
        edges: u32,
    },
}

impl Fault {
    /// A fault of the bus, with what was being done.
    pub(super) fn of_bus(doing: &'static str) -> impl Fn(BusFault) -> Self {
        move |fault| match fault {
            BusFault::Failed(reason) => Self::Bus { doing, reason },
            BusFault::Dead(byte) => Self::Dead { doing, byte },
            BusFault::Garbled { register, found } => Self::Garbled { doing, register, found },
        }
    }
}
