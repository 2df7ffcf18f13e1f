//! The radio at a serial port: starts the listener and hands out its packets.

use super::framing::Decoder;
use super::listener::{Listener, ListenerOptions};
use super::port::Tty;
use crate::{Counters, Health, Packet, Radio, RadioError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Maximum number of packets that wait for `receive`: as many as those of a chip. Further ones are dropped and counted.
const MAX_QUEUED_PACKETS: usize = crate::sx127x::MAX_QUEUED_PACKETS;

/// A radio at a serial port. Created by [`SerialSettings::open`](crate::SerialSettings::open).
///
/// The first [`receive`](Radio::receive) starts a task that opens the port. From then on the task reads the port, even
/// while no `receive` is waiting or the queue is full. The time of a packet is therefore that of its last byte, a silence on
/// the line is not confused with a busy caller, and [`health`](Radio::health) is always current. `receive` reads from a
/// bounded channel, which makes it cancel-safe. The task ends when the radio is dropped.
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
    /// Must be called within a tokio runtime. Its only error is [`RadioError::Crashed`]: the listener ends with this radio,
    /// unless it panics.
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        if let Some(listener) = self.listener.take() {
            self.task.spawn(listener.run());
        }
        let packet =
            self.packets.recv().await.ok_or(RadioError::Crashed { part: "the listener at the serial port" })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// Catches a listener that died and passes for a script that is over, and packets that it takes along.
    #[tokio::test]
    async fn a_panic_of_the_listener_is_a_crash_after_the_packets_that_it_queued() {
        let (sender, packets) = mpsc::channel(1);
        let (rssi_dbm, snr_quarter_db, frequency_error_hz) = (None, None, None);
        let packet = Packet {
            bytes: b"heard".to_vec(),
            rssi_dbm,
            snr_quarter_db,
            frequency_error_hz,
            received_at: Instant::now(),
        };
        let mut task = JoinSet::new();
        task.spawn(async move {
            sender.try_send(packet).unwrap();
            panic!("a defect of the listener");
        });
        let health = watch::channel(Health::Listening).1;
        let mut radio = Serial { listener: None, task, packets, counters: Counters::default(), health };
        assert_eq!(radio.receive().await.unwrap().bytes, b"heard");
        for _ in 0..2 {
            let error = radio.receive().await.unwrap_err();
            assert!(matches!(&error, RadioError::Crashed { part } if part.contains("serial port")), "{error}");
        }
    }
}
