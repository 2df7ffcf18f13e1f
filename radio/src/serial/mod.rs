//! LoRa modems on a serial port.
//!
//! [`Serial`] is a radio that reads the frames of a modem from a port. [`Framing`](framing::Framing) names the protocol
//! of the modem, and [`framing`] decodes it. The port may be unplugged and plugged in again at any time.
//!
//! | module | contents |
//! |---|---|
//! | `framing` | decoders that turn bytes into frames, without I/O and without a clock |
//! | `port` | the port: opening it, and what can go wrong |
//! | `listener` | the task that keeps the port open, sets the modem up and reads it |
//! | `radio` | [`Serial`] itself |
//!
//! # Damaged packets
//!
//! A modem checks the CRC of the air itself and does not report a packet that fails it. Between modem and computer only
//! [`Framing::Cobs`](framing::Framing::Cobs) has a checksum, so only there `crc_errors` counts. Damage that the other
//! framings detect counts as `malformed`. In transparent mode a damaged byte goes unnoticed. Use COBS if you can choose
//! the firmware of the senders.
//!
//! # A silence ends a frame
//!
//! If the line is silent for 2 s in the middle of a frame, the next byte starts a new frame. Waiting for the rest
//! instead would join half a line from before the pause with half a line from after it, and deliver the result as a
//! payload. With COBS and its CRC, nothing but a frame can be taken for a frame. With
//! [`Framing::Burst`](framing::Framing::Burst) a short pause is the only end that a frame has.
//!
//! # A full queue
//!
//! If nobody takes the packets, each further frame is dropped as a whole and counts as `malformed`. The port is read on: what
//! the kernel discards of an unread line would join halves of two payloads.
//!
//! # Cut payloads
//!
//! A line that a silence, a lost port or the longest length cuts is delivered with [`CUT_MARK`] at its end, a byte that no
//! text contains. So its bytes are kept and shown, and half a tag is never taken for a whole one. Dropping them was
//! rejected: they may be all that is known of an animal.

pub mod framing;
mod listener;
mod port;
mod radio;

pub(crate) use listener::{ListenerOptions, SILENCE};
pub use port::PortError;
pub(crate) use port::{ControlLines, Tty};
pub use radio::Serial;

/// Byte at the end of a payload that was cut. No UTF-8 text contains it.
pub const CUT_MARK: u8 = 0xFF;
