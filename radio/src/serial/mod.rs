//! Modems at a serial line.
//!
//! [`Serial`] is a radio that reads a modem's frames off a port. Which modem it is says its [`Framing`](framing::Framing);
//! [`framing`] takes the stream apart. The port may be unplugged and plugged in again at any time.
//!
//! A modem checks the CRC of the air itself and says nothing about a packet that fails. Between modem and computer only
//! [`Framing::Cobs`](framing::Framing::Cobs) carries a check, and only there `crc_errors` counts; what the other
//! framings find damaged is `malformed`. In transparent mode a damaged byte is not noticed at all: use COBS, where the
//! senders' firmware can be chosen.

pub mod framing;
mod listener;
mod port;
mod settings;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use self::port::PortError;
pub use self::settings::SerialSettings;
use crate::{Counters, Health, Packet, Radio, RadioError};
use listener::Listener;
use port::Tty;

/// Packets that wait for `receive` at most. Behind them the kernel keeps what the modem writes: 4 KiB in its line
/// discipline, and more in the driver.
const WAITING_PACKETS: usize = 256;

/// A radio at a serial port. Made by [`SerialSettings::open`].
///
/// The first [`receive`](Radio::receive) starts a task that opens the port and reads it from then on, whether or not
/// `receive` is waiting: so the time of a packet is that of its last byte, a silence on the line is told from a
/// listener that is busy, and [`health`](Radio::health) is true at any time. `receive` reads from a bounded channel,
/// and is cancel-safe by that. The task ends when the radio is dropped.
#[derive(Debug)]
pub struct Serial {
    /// Until the first `receive`.
    listener: Option<Listener<Tty>>,
    task: JoinSet<()>,
    packets: mpsc::Receiver<Packet>,
    counters: Counters,
    health: watch::Receiver<Health>,
}

impl Serial {
    /// The settings have been validated.
    fn new(settings: &SerialSettings) -> Self {
        let (sender, packets) = mpsc::channel(WAITING_PACKETS);
        let counters = Counters::default();
        let listener = Listener::new(settings.port(), settings.decoder(), sender, counters.clone());
        let health = listener.health();
        Self { listener: Some(listener), task: JoinSet::new(), packets, counters, health }
    }
}

impl Radio for Serial {
    /// As promised; must be called within a tokio runtime. [`RadioError::Closed`] comes only when that runtime is
    /// shutting down.
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        if let Some(listener) = self.listener.take() {
            self.task.spawn(listener.run());
        }
        let packet = self.packets.recv().await.ok_or(RadioError::Closed)?;
        self.counters.count_received();
        Ok(packet)
    }

    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }
}
