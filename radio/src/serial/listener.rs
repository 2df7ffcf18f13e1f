//! The task that keeps a port open and reads it.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::framing::{Decoder, Found, Frame, FrameError};
use super::port::{Opens, PortError};
use crate::{Counters, Health, HealthReporter, Packet};

/// From the loss of a port to the first attempt at opening it again; doubled up to [`LAST_PAUSE`] with each that fails.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest time between two attempts.
const LAST_PAUSE: Duration = Duration::from_secs(4);
/// Opening a port may take so long until that is reported.
const OPENING: Duration = Duration::from_secs(10);
/// A silence that ends a frame which has begun.
///
/// A module writes a packet in one go, so that gaps within a frame are of milliseconds; only where a long payload goes
/// through the air in several packets they are longer, up to 1.5 s with 58 bytes at 0.3 kbit/s on an EBYTE E32. With
/// two seconds these are heard, and half a line is out of the way before the next animal has come to the reader. It is
/// right for each framing: the ones that mark the beginning of a frame need it so that what was good behind a damaged
/// header is not held back, the others so that half a frame does not spoil the next.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes taken from the port at once.
const READ_BYTES: usize = 1_024;

#[derive(Debug)]
pub(super) struct Listener<P> {
    port: P,
    decoder: Decoder,
    packets: mpsc::Sender<Packet>,
    counters: Counters,
    health: HealthReporter,
}

/// Why a port is not read any more.
enum Stop {
    /// It is gone.
    Lost(PortError),
    /// Nobody is there who could receive.
    Unwanted,
}

/// What one wait for bytes gave.
enum Heard {
    Bytes(usize),
    Silence,
    Loss(PortError),
}

impl<P: Opens> Listener<P> {
    pub(super) fn new(port: P, decoder: Decoder, packets: mpsc::Sender<Packet>, counters: Counters) -> Self {
        let health = HealthReporter::default();
        health.report(Health::Failing(format!("{} has not been opened yet", port.path())));
        Self { port, decoder, packets, counters, health }
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Until nobody is there any more who could receive.
    pub(super) async fn run(mut self) {
        let (mut was_open, mut pause) = (false, FIRST_PAUSE);
        loop {
            let error = match self.open().await {
                Err(error) => error,
                Ok(mut port) => {
                    self.report_open(was_open);
                    was_open = true;
                    let (stop, heard) = self.listen(&mut port).await;
                    if heard {
                        pause = FIRST_PAUSE;
                    }
                    match stop {
                        Stop::Lost(error) => {
                            tracing::warn!(%error, "a serial port is lost");
                            error
                        }
                        Stop::Unwanted => return,
                    }
                }
            };
            tracing::debug!(%error, retry_in = ?pause, "a serial port is not open");
            self.health.report(Health::Failing(error.to_string()));
            sleep(pause).await;
            pause = LAST_PAUSE.min(pause * 2);
        }
    }

    /// Opens the port. One that does not answer is reported, and waited for: a second attempt would only hang as well.
    async fn open(&mut self) -> Result<P::Port, PortError> {
        let stuck = PortError::Stuck { path: self.port.path().to_owned() };
        let mut opening = std::pin::pin!(self.port.open());
        if let Ok(opened) = timeout(OPENING, &mut opening).await {
            return opened;
        }
        self.health.report(Health::Failing(stuck.to_string()));
        opening.await
    }

    fn report_open(&self, again: bool) {
        if again {
            self.counters.count_rebuilt();
        }
        tracing::info!(path = self.port.path(), again, "a serial port is open");
        self.health.report(Health::Listening);
    }

    /// Reads until the port is gone, and says whether anything came until then.
    async fn listen(&mut self, port: &mut P::Port) -> (Stop, bool) {
        let (mut bytes, mut heard_at) = ([0; READ_BYTES], None);
        loop {
            let heard = self.hear(port, &mut bytes).await;
            let found = match &heard {
                Heard::Bytes(count) => {
                    heard_at = Some(Instant::now());
                    self.decoder.push(&bytes[..*count])
                }
                Heard::Silence | Heard::Loss(_) => self.decoder.give_up(),
            };
            // What is whole only by a silence was heard when its last byte came.
            if self.deliver(found, heard_at.unwrap_or_else(Instant::now)).await.is_err() {
                return (Stop::Unwanted, heard_at.is_some());
            }
            if let Heard::Loss(error) = heard {
                return (Stop::Lost(error), heard_at.is_some());
            }
        }
    }

    /// Waits for bytes, and for the end of a frame that has begun no longer than [`SILENCE`].
    ///
    /// Each wait begins anew, so that only time counts in which the line was listened to, and what has come in the
    /// meantime is read before the time is looked at.
    async fn hear(&self, port: &mut P::Port, bytes: &mut [u8]) -> Heard {
        let path = || self.port.path().to_owned();
        let reading = port.read(bytes);
        let read = if self.decoder.is_partial() { timeout(SILENCE, reading).await } else { Ok(reading.await) };
        match read {
            Err(_) => Heard::Silence,
            Ok(Ok(0)) => Heard::Loss(PortError::Unplugged { path: path() }),
            Ok(Ok(count)) => Heard::Bytes(count),
            Ok(Err(source)) => Heard::Loss(PortError::Unread { path: path(), source }),
        }
    }

    /// Hands on what is a packet and counts the rest. Waits, while too many packets wait.
    async fn deliver(&self, found: Vec<Found>, received_at: Instant) -> Result<(), mpsc::error::SendError<Packet>> {
        for found in found {
            match found {
                Found::Frame(frame) => self.packets.send(packet(frame, received_at)).await?,
                Found::Notice(notice) => tracing::debug!(path = self.port.path(), ?notice, "a modem says"),
                Found::Wrong(error) => self.count(error),
            }
        }
        Ok(())
    }

    fn count(&self, error: FrameError) {
        match error {
            FrameError::Crc { .. } => self.counters.count_crc_error(),
            _ => self.counters.count_malformed(),
        }
        tracing::debug!(path = self.port.path(), %error, "a frame is dropped");
    }
}

fn packet(frame: Frame, received_at: Instant) -> Packet {
    let Frame { payload, rssi_dbm, snr_quarter_db } = frame;
    Packet { bytes: payload, rssi_dbm, snr_quarter_db, frequency_error_hz: None, received_at }
}

#[cfg(test)]
mod tests;
