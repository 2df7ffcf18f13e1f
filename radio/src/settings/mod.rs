//! Settings of each kind of radio, and how a radio is opened from them.
//!
//! This is the top of the crate: settings know the radios that they open, and no radio knows its settings. The one
//! thing that both sides share is [`SettingsError`](crate::SettingsError), which stands in a file of its own for that
//! reason.

mod error;
mod serial;
mod simulated;
mod sx127x;

pub use error::{ExamineError, OpenError};
pub use serial::SerialSettings;
pub use simulated::SimulatedSettings;
pub use sx127x::{BoardKind, LineSetting, Sx127xSettings};
