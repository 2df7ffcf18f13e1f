//! The task that keeps a port open and reads it.

use super::framing::{Decoder, Frame, FrameError, Item};
use super::port::{Port, PortError};
use crate::{Counters, Health, HealthReporter, Packet};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

/// Delay before the first attempt to reopen a port. Each failed attempt doubles it, up to [`MAX_RETRY_DELAY`].
const MIN_RETRY_DELAY: Duration = Duration::from_millis(250);
/// Maximum delay between two attempts to open a port.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(4);
/// Time after which a port that has not opened is reported.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence that ends a frame which has begun.
///
/// A module writes a packet in one go, so gaps within a frame are milliseconds long. They are longer only if a long
/// payload crosses the air in several packets: up to 1.5 s with 58 bytes at 0.3 kbit/s on an EBYTE E32. Two seconds
/// keep such a payload whole, and discard half a line before the next animal reaches the reader.
///
/// The limit suits every framing. Those that mark the start of a frame need it so that good frames after a damaged
/// header are not held back. The others need it so that half a frame does not spoil the next one.
const SILENCE: Duration = Duration::from_secs(2);
/// Maximum number of bytes per read.
const READ_BYTES: usize = 1_024;

#[derive(Debug)]
pub(super) struct Listener<P> {
    port: P,
    decoder: Decoder,
    packets: mpsc::Sender<Packet>,
    counters: Counters,
    health: HealthReporter,
}

/// Why the listener stopped reading a port.
enum Stop {
    PortLost(PortError),
    /// The radio was dropped, so packets have no receiver.
    ReceiverDropped,
}

/// Outcome of one read.
enum Read {
    Bytes(usize),
    Silence,
    Lost(PortError),
}

impl<P: Port> Listener<P> {
    pub(super) fn new(port: P, decoder: Decoder, packets: mpsc::Sender<Packet>, counters: Counters) -> Self {
        let health = HealthReporter::default();
        health.report(Health::Starting(format!("{} has not been opened yet", port.path())));
        Self { port, decoder, packets, counters, health }
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Opens and reads the port, again and again, until the radio is dropped.
    pub(super) async fn run(mut self) {
        let (mut was_open, mut retry_in) = (false, MIN_RETRY_DELAY);
        loop {
            let error = match self.open().await {
                Err(error) => error,
                Ok(mut stream) => {
                    self.report_open(was_open);
                    was_open = true;
                    let (stop, has_read) = self.read_all(&mut stream).await;
                    if has_read {
                        retry_in = MIN_RETRY_DELAY;
                    }
                    match stop {
                        Stop::PortLost(error) => {
                            tracing::warn!(%error, "lost the serial port; reopening it");
                            error
                        }
                        Stop::ReceiverDropped => return,
                    }
                }
            };
            tracing::debug!(%error, ?retry_in, "serial port is not open");
            self.health.report(Health::Failing(error.to_string()));
            sleep(retry_in).await;
            retry_in = MAX_RETRY_DELAY.min(retry_in * 2);
        }
    }

    /// Opens the port. A port that takes too long is reported, but the attempt goes on: a second one would hang as
    /// well.
    async fn open(&mut self) -> Result<P::Stream, PortError> {
        let too_slow = PortError::OpenTimeout { path: self.port.path().to_owned() };
        let mut opening = std::pin::pin!(self.port.open());
        if let Ok(result) = timeout(OPEN_TIMEOUT, &mut opening).await {
            return result;
        }
        self.health.report(Health::Failing(too_slow.to_string()));
        opening.await
    }

    fn report_open(&self, again: bool) {
        if again {
            self.counters.count_rebuilt();
        }
        tracing::info!(path = self.port.path(), again, "serial port opened");
        self.health.report(Health::Listening);
    }

    /// Reads until the port is lost or the radio is dropped. Returns true beside the reason if any bytes came.
    async fn read_all(&mut self, stream: &mut P::Stream) -> (Stop, bool) {
        let (mut bytes, mut read_at) = ([0; READ_BYTES], None);
        loop {
            let read = self.read(stream, &mut bytes).await;
            let items = match &read {
                Read::Bytes(count) => {
                    read_at = Some(Instant::now());
                    self.decoder.push(&bytes[..*count])
                }
                Read::Silence | Read::Lost(_) => self.decoder.flush(),
            };
            // A frame that a silence completes was received when its last byte came.
            if self.deliver(items, read_at.unwrap_or_else(Instant::now)).await.is_err() {
                return (Stop::ReceiverDropped, read_at.is_some());
            }
            if let Read::Lost(error) = read {
                return (Stop::PortLost(error), read_at.is_some());
            }
        }
    }

    /// Waits for bytes. Within a frame it waits for at most [`SILENCE`].
    ///
    /// Every wait starts from zero, so only time spent listening counts. Bytes that arrived while the listener was busy
    /// are read before the timeout is checked.
    async fn read(&self, stream: &mut P::Stream, bytes: &mut [u8]) -> Read {
        let path = || self.port.path().to_owned();
        let reading = stream.read(bytes);
        let result = if self.decoder.is_partial() { timeout(SILENCE, reading).await } else { Ok(reading.await) };
        match result {
            Err(_) => Read::Silence,
            Ok(Ok(0)) => Read::Lost(PortError::Unplugged { path: path() }),
            Ok(Ok(count)) => Read::Bytes(count),
            Ok(Err(source)) => Read::Lost(PortError::Read { path: path(), source }),
        }
    }

    /// Queues packets for `receive` and counts errors. Waits while the queue is full.
    async fn deliver(&self, items: Vec<Item>, received_at: Instant) -> Result<(), mpsc::error::SendError<Packet>> {
        for item in items {
            match item {
                Item::Frame(frame) => self.packets.send(packet(frame, received_at)).await?,
                Item::Notice(notice) => tracing::debug!(path = self.port.path(), ?notice, "notice from the modem"),
                Item::Error(error) => self.count(error),
            }
        }
        Ok(())
    }

    fn count(&self, error: FrameError) {
        match error {
            FrameError::Crc { .. } => self.counters.count_crc_error(),
            _ => self.counters.count_malformed(),
        }
        tracing::debug!(path = self.port.path(), %error, "frame dropped");
    }
}

fn packet(frame: Frame, received_at: Instant) -> Packet {
    let Frame { payload, rssi_dbm, snr_quarter_db } = frame;
    Packet { bytes: payload, rssi_dbm, snr_quarter_db, frequency_error_hz: None, received_at }
}

#[cfg(test)]
mod tests;
