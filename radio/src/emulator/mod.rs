//! A chip made of software, register by register, and the air between several of them.
//!
//! An SX1276 in LoRa mode as its data sheet (rev. 7) and its errata note describe it, and, where these are silent, as
//! single chips were seen to behave; readers that transmit from chips of the same kind; and an air with a clock of its
//! own that waits for whoever uses it. It is a shipped part: a simulated radio is the real driver on this chip.
//!
//! # What an emulator without it would miss
//!
//! | property | what would go unseen |
//! |---|---|
//! | The LoRa bit is taken only with a write that asks for sleep; below it lie two sets of registers | a set-up that writes into FSK's registers and reads its own values back |
//! | Sleep and reset wipe the FIFO; RESET silences the chip for 5 ms | packets lost by a driver that sleeps between them; a chip spoken to too early |
//! | Packets are appended and wrap; registers 0x10, 0x13, 0x19, 0x1A are of the last one alone | a running pointer of the driver's own; lengths of one packet read with bytes of another |
//! | Bytes come into the FIFO while they are received, not at RxDone | that the time to read a long packet ends before the next RxDone |
//! | RxDone is set for a wrong CRC too, and no error for a packet without one | corrupt packets delivered as good |
//! | Flags are cleared by ones, outlive changes of mode, and a masked one is never set | clearing what was not seen; waiting for what cannot come |
//! | DIO0 is a level of which the host sees rising edges | a driver that leaves one flag standing and waits for ever |
//! | Edges get lost, the line sticks, the bus dies, the chip resets by itself, TxDone never comes | the failures of the field |
//! | Both ends must agree on frequency, factor, bandwidth, sync word, IQ, header; LowDataRateOptimize apart is a wrong CRC | a driver that is deaf to every reader but itself |
//! | With a fixed intermediate frequency a narrow channel lies beside what is set | an errata note that was not followed |
//! | Ratio and frequency error are signed, strength has a zero for each port and a slope | readings that are wrong under the noise, at 433 MHz, for a slow crystal |
//! | Packets take their time on air, collide, capture each other, and drown in noise | what a barn loses although its driver loses nothing |
//! | Activity detection finds preambles and no packet in its middle | readers that believe the channel free |
//! | The ledger knows what became of each transmission at each chip | the difference between what the air lost and what the driver lost |
//!
//! # What it leaves out
//!
//! FSK; frequency hopping; temperature; drift within a packet; partial errors that the coding rate would repair (a
//! packet is whole or wrong, and heard or not at a sharp threshold); what other spreading factors disturb. Settings
//! take effect when a mode is entered, so what a driver rewrites while it receives does no harm here.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use embedded_hal_02::blocking::spi::Write;
//! use radio::emulator::{Air, Fate, Transmission};
//!
//! let air = Air::default();
//! let chip = air.chip("barn");
//! let mut bus = chip.spi02();
//! for frame in [[0x81, 0x80], [0x86, 0xE4], [0x87, 0xC0], [0x88, 0x00], [0x81, 0x85]] {
//!     bus.write(&frame)?;
//! }
//! air.transmit(Transmission::of(*b"hxb:LOT7:1:2"), Duration::ZERO)?;
//! air.pass_until_quiet(Duration::from_secs(1));
//! assert_eq!(chip.verdicts()[0].fate, Fate::Unread);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod air;
mod board;
mod chance;
mod chip;
#[cfg(feature = "devices")]
pub mod device;
mod fault;
mod feed;
mod ledger;
mod queue;
mod reader;
mod registers;
mod signal;
mod transmission;
mod tuning;
mod waiting;
mod wiring;
mod world;

pub use air::{Air, AirError, AirOptions, Pace};
pub use board::{Board02, Board10};
pub use chip::ChipOptions;
pub use fault::{DeadBus, Faults, LostEdges, StuckLine};
pub use feed::Poisson;
pub use ledger::{Fate, Tally, TransmissionId, Verdict};
pub use reader::{MAX_QUEUED_PAYLOADS, Reader, ReaderCounts, ReaderOptions};
pub use registers::Register;
pub use transmission::Transmission;
pub use wiring::{BusDown, Chip, Dio0, EmulatedDelay, Reset, Spi02, Spi10};

#[cfg(test)]
mod tests;
