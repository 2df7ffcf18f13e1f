//! The radio at a serial port: starts the listener and hands out its packets.

use super::framing::Decoder;
use super::listener::{Listener, ListenerOptions};
use super::port::Tty;
use crate::{Counters, Health, Packet, Radio, RadioError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Maximum number of packets that wait for `receive`.
///
/// Beyond that, the kernel buffers what the modem writes: 4 KiB in its line discipline, and more in the driver.
const MAX_QUEUED_PACKETS: usize = 256;

/// A radio at a serial port. Created by [`SerialSettings::open`](crate::SerialSettings::open).
///
/// The first [`receive`](Radio::receive) starts a task that opens the port. From then on the task reads the port, even
/// while no `receive` is waiting. The time of a packet is therefore that of its last byte, a silence on the line is not
/// confused with a busy caller, and [`health`](Radio::health) is always current. `receive` reads from a bounded
/// channel, which makes it cancel-safe. The task ends when the radio is dropped.
#[derive(Debug)]
pub struct Serial {
    /// Listener that the first `receive` starts.
    listener: Option<Listener<Tty>>,
    task: JoinSet<()>,
    packets: mpsc::Receiver<Packet>,
    counters: Counters,
    health: watch::Receiver<Health>,
}

impl Serial {
    pub(crate) fn new(port: Tty, decoder: Decoder, options: ListenerOptions) -> Self {
        let (sender, packets) = mpsc::channel(MAX_QUEUED_PACKETS);
        let counters = Counters::default();
        counters.watch_queue(&sender);
        let listener = Listener::new(port, decoder, options, sender, counters.clone());
        let health = listener.health();
        Self { listener: Some(listener), task: JoinSet::new(), packets, counters, health }
    }
}

impl Radio for Serial {
    /// Must be called within a tokio runtime. Returns [`RadioError::Closed`] only if that runtime is shutting down.
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
