//! A chip as its host sees it: handle, bus, lines and boards, for embedded-hal 0.2 and 1.0.

mod board;
mod chip;
mod lines;
mod partial;
mod spi;

pub use self::board::{Board02, Board10};
pub use self::chip::Chip;
pub use self::lines::{Dio0, EmulatedDelay, Reset};
pub use self::partial::{PartialBoard, PartialDio0, WiredLines};
pub use self::spi::{BusDownError, Spi02, Spi10};
