//! An emulated SX1276 chip, register by register, and the air between several chips.
//!
//! The chip follows the data sheet (rev. 7) and the errata note in LoRa mode. Where these are silent, it behaves as
//! real chips were observed to. Readers transmit from chips of the same kind, and the air has a clock of its own that
//! waits for the drivers. The emulator ships: a simulated radio is the real driver on this chip.
//!
//! # Map
//!
//! Each module uses only modules above it, or to its left in its own row. So the emulator can be read from top to
//! bottom.
//!
//! | module | content |
//! |---|---|
//! | `clock`, `ids`, `options`, `random`, `faults`, `ledger`, `registers` | the vocabulary: units, numbers, options, register names |
//! | `tuning`, `signal` | a modem's settings; the strength of a signal |
//! | `chip` | the state of one chip, which knows nothing of the air |
//! | `transmission` | a packet before and while it is on the air |
//! | `reader_program` | the program of a reader, which sees only registers |
//! | `world` | all chips, readers and transmissions, and the queue of events: plain data |
//! | `air` | the world behind a lock; its clock, and the drivers that wait |
//! | `host` | the wires of a chip as its host sees them: bus, lines, board |
//! | `reader` | the handle to a reader |
//! | `device` | a chip behind the kernel's device files (feature `devices`) |
//!
//! # What it shows
//!
//! Each property is there because its absence would hide a mistake in a driver, or a loss in the field.
//!
//! | property | what would stay hidden without it |
//! |---|---|
//! | The LoRa bit takes effect only in a write that asks for sleep, and FSK has its own registers at the same addresses | a set-up that writes FSK registers, and reads them back as it wrote them |
//! | Sleep and reset wipe the FIFO; RESET silences the chip for 5 ms | packets lost by a driver that sleeps between them; a chip addressed too early |
//! | Packets are appended and wrap; registers 0x10, 0x13, 0x19 and 0x1A describe the last one only | a driver that keeps its own pointer, or reads the bytes of one packet with the length of another |
//! | Bytes enter the FIFO during reception, not at RxDone | a driver that reads a long packet too late, although the next RxDone has not come |
//! | RxDone is set for a wrong CRC too, and a packet without a CRC raises no error | corrupt packets delivered as good |
//! | Flags are cleared by writing ones, survive mode changes, and are never set while masked | a driver that clears flags it has not seen, or waits for one that cannot come |
//! | DIO0 is a level, and the host sees only its rising edges | a driver that leaves one flag set and waits forever |
//! | Edges get lost, the line sticks, the bus dies, the chip resets by itself, TxDone never comes | the failures of the field |
//! | Both ends must agree on frequency, factor, bandwidth, sync word, IQ and header; a different LowDataRateOptimize gives a wrong CRC | a driver that hears only itself |
//! | A sync word is passed if only its first half matches | a barn that takes a neighbor's packets for its own readers' |
//! | A symbol timeout of 0, a hop period, and the detection settings of SF6 make the receiver deaf; so does a wrong oscillator bit | a driver that relies on the reset to set what it never writes |
//! | The receiver hangs until the chip sleeps, and no register shows it | a driver that waits for packets forever |
//! | Calibration takes FSK standby and 10 ms, and a reset repeats it at 434 MHz only | a driver that never calibrates where it listens |
//! | With a fixed intermediate frequency, a narrow channel is received beside the configured frequency | an erratum that was not followed |
//! | SNR and frequency error are signed; strength has one offset per port and a slope | wrong readings below the noise, at 433 MHz, or with a slow crystal |
//! | Packets take air time, collide, capture each other, and drown in noise | losses in a barn whose driver loses nothing |
//! | Activity detection finds preambles, but no packet after its preamble | readers that believe a busy channel to be free |
//! | The ledger records the fate of each transmission at each chip | the difference between a loss on the air and a loss in the driver |
//!
//! # What it cannot show
//!
//! - FSK, frequency hopping, temperature effects, and drift within a packet.
//! - Gain: amplifier and automatic gain control are memory, so a wrong `RegLna` costs nothing here.
//! - The image frequency: a receiver that was calibrated elsewhere, or never, hears the same.
//! - Sync words whose second half matches, and those that pass now and then. Here the first half decides.
//! - `RegPpmCorrection`, `RegInvertIq2`, `RegIfFreq` and the registers of the errata for 500 kHz, which shift
//!   sensitivity by a few dB.
//! - Partial errors that the coding rate would repair. A packet is intact or corrupt, and heard or not at a sharp
//!   threshold.
//! - Interference from other spreading factors.
//! - A driver that rewrites settings while it receives. Settings take effect when a mode is entered, so such writes
//!   do no harm here.
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
mod chip;
mod clock;
#[cfg(feature = "devices")]
pub mod device;
mod faults;
mod host;
mod ids;
mod ledger;
mod options;
mod random;
mod reader;
mod reader_program;
mod registers;
mod signal;
#[cfg(test)]
mod tests;
mod transmission;
mod tuning;
mod world;

pub use air::{Air, AirError};
pub use chip::ChipOptions;
pub use faults::{DeadBus, Faults, LostEdges, StuckLine};
pub use host::{
    Board02, Board10, BusDownError, Chip, Dio0, EmulatedDelay, PartialBoard, PartialDio0, Reset, Spi02, Spi10,
    WiredLines,
};
pub use ids::TransmissionId;
pub use ledger::{Fate, Tally, Verdict};
pub use options::{AirOptions, Pace};
pub use random::Poisson;
pub use reader::Reader;
pub use reader_program::{MAX_QUEUED_PAYLOADS, ReaderCounts, ReaderOptions};
pub use registers::Register;
pub use transmission::Transmission;
