//! A chip made of software, register by register, and the air between several of them.

mod air;
mod board;
mod chance;
mod chip;
mod fault;
mod ledger;
mod queue;
mod registers;
mod signal;
mod transmission;
mod tuning;
mod wiring;
mod world;

pub use air::{Air, AirError, AirOptions, Pace};
pub use board::{Board02, Board10};
pub use chip::ChipOptions;
pub use fault::{DeadBus, Faults, LostEdges, StuckLine};
pub use ledger::{Fate, Tally, TransmissionId, Verdict};
pub use registers::Register;
pub use transmission::Transmission;
pub use wiring::{BusDown, Chip, Dio0, EmulatedDelay, Reset, Spi02, Spi10};
