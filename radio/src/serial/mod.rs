//! LoRa modems on a serial port.
//!
//! [`Serial`] is a radio that reads the frames of a modem from a port. [`Framing`](framing::Framing) names the protocol
//! of the modem, and [`framing`] decodes it. The port may be unplugged and plugged in again at any time.
//!
//! | module | contents |
//! |---|---|
//! | `framing` | decoders that turn bytes into frames, without I/O and without a clock |
//! | `port` | the port: opening it, and what can go wrong |
//! | `listener` | the task that keeps the port open and reads it |
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
//! payload. With COBS and its CRC, nothing but a frame can be taken for a frame.

pub mod framing;
mod listener;
mod port;
mod radio;

pub use port::PortError;
pub(crate) use port::Tty;
pub use radio::Serial;
