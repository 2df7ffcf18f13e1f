//! Frames on a serial line: where each payload starts and ends in the bytes that a modem writes.
//!
//! A [`Decoder`] takes bytes as they arrive and returns [`Item`]s. It does no I/O and has no clock. It buffers at most
//! [`MAX_BUFFER_BYTES`] and finds the next frame after any input. The result does not depend on how the bytes are split
//! over calls.
//!
//! Timing is up to the caller. If the line has been silent for so long that the rest of a frame will not come, the
//! caller calls [`Decoder::flush`], so that half a frame is not joined with the next one.

mod burst;
mod cobs;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod decoder;
mod frame;
mod line;
mod lines;
mod rak;
mod reyax;
mod signal;

#[cfg(test)]
mod tests;

pub use cobs::encode as encode_cobs;
pub use decoder::Decoder;
pub use frame::{Frame, FrameError, Framing, Item, MAX_BUFFER_BYTES, Notice};
