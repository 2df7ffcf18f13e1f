//! Receives packets from LoRa radios: chips on an SPI bus, serial modems, and an emulated chip for tests and demos.
//!
//! A [`Radio`] delivers [`Packet`]s: payloads that a modem received with a right CRC. The meaning of the bytes is
//! decided elsewhere; this crate depends on no other crate of the workspace. Radios report failures as their [`Health`]
//! and recover by themselves, because a barn runs unattended.
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | [`sx127x`] | driver of the Semtech SX127x: set-up, receive, transmit, recovery |
//! | [`board`] | the pins and the bus of a chip: Raspberry Pi, any Linux board, or emulated |
//! | [`serial`] | modems on a serial port, and their framings |
//! | [`lora`] | modulation, time on air, and the law on transmitting |
//! | [`emulator`] | an emulated SX127x, register by register, on an emulated air |
//! | [`simulated`] | a ready-made radio for demos and tests: the real driver on an emulated chip |
//! | `contract` | checks that every radio must pass (feature `contract`) |
//!
//! Settings of each kind of radio are in [`Sx127xSettings`], [`SerialSettings`] and [`SimulatedSettings`], which open a
//! radio and can be read from a configuration file. [`AnyRadio`] holds a radio of any kind.
//!
//! # Example
//!
//! A driver receives one packet from an emulated chip:
//!
//! ```
//! use radio::emulator::{Air, Transmission};
//! use radio::lora::Modulation;
//! use radio::sx127x::{Settings, Sx127x};
//! use radio::Radio;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let air = Air::default();
//! let chip = air.chip("gate");
//! air.transmit(Transmission::of(*b"hxb:7:982000123456789:"), Duration::from_secs(1))?;
//!
//! let settings = Settings::listening(Modulation::default());
//! let mut radio = Sx127x::start("gate", chip.board(), settings)?;
//! let packet = radio.receive().await?;
//! assert_eq!(packet.bytes, b"hxb:7:982000123456789:");
//! assert_eq!(radio.counters().read().received, 1);
//! # Ok(())
//! # }
//! ```

mod any_radio;
pub mod board;
mod counters;
pub mod emulator;
mod health;
pub mod lora;
mod packet;
mod radio;
mod radio_error;
pub mod serial;
mod settings;
mod settings_error;
pub mod simulated;
pub mod sx127x;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub use any_radio::AnyRadio;
pub use counters::{Counters, QueueLevel, RadioCounters};
pub use health::{Health, HealthReporter};
pub use packet::{MAX_PAYLOAD_BYTES, Packet};
pub use radio::Radio;
pub use radio_error::RadioError;
pub use serial::Serial;
pub use settings::{
    BoardKind, ExamineError, LineSetting, OpenError, SerialSettings, SimulatedSettings, Sx127xSettings,
};
pub use settings_error::SettingsError;
pub use simulated::Simulated;
