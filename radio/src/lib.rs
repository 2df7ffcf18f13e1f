//! Bytes out of the air.
//!
//! A [`Radio`] delivers [`Packet`]s: what a modem received and found whole. This crate knows nothing of cattle,
//! databases or HTTP; what the bytes mean is decided elsewhere. [`Simulated`] is the driver of a real radio on an
//! emulated chip, with readers out of a seed on an emulated air in place of an antenna, so that a whole barn can run,
//! and be proved, on a desk.

mod any_radio;
pub mod board;
mod counters;
pub mod emulator;
mod health;
pub mod lora;
mod packet;
mod radio;
pub mod serial;
mod settings;
mod settings_error;
pub mod simulated;
pub mod sx127x;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub use any_radio::AnyRadio;
pub use counters::{Counters, RadioCounters};
pub use health::{Health, HealthReporter};
pub use packet::{MAX_PAYLOAD_BYTES, Packet};
pub use radio::{Radio, RadioError};
pub use serial::Serial;
pub use settings::{BoardKind, ExamineError, OpenError, SerialSettings, SimulatedSettings, Sx127xSettings};
pub use settings_error::SettingsError;
pub use simulated::Simulated;
