//! The task that keeps a port open, sets the modem up and reads it.
//!
//! Decision: while the queue is full the task reads on, and drops each further frame as a whole. Waiting for room was rejected:
//! the kernel or the adapter would discard bytes in the middle of a line meanwhile, and the head of one payload would be
//! joined with the tail of another, which may name an animal that does not exist.

mod modem_setup;

use super::CUT_MARK;
use super::framing::{Decoder, Frame, FrameError, Framing, Item};
use super::port::{Port, PortError};
use crate::{Counters, Health, HealthReporter, MAX_PAYLOAD_BYTES, Packet};
use modem_setup::ModemSetup;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

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
pub(crate) const SILENCE: Duration = Duration::from_secs(2);
/// Time that a command may take to be written. A line of 300 bit/s takes 4 s for the longest one.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of cut payloads without a whole one between them after which the cause is named.
const CUT_IN_A_ROW: u32 = 3;
/// Maximum number of bytes per read.
const READ_BYTES: usize = 1_024;

/// Options of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerOptions {
    /// Silence that ends a frame.
    pub(crate) silence: Duration,
    /// Commands that the modem needs before it receives.
    pub(crate) init: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Listener<P> {
    port: P,
    decoder: Decoder,
    silence: Duration,
    setup: ModemSetup,
    cut_in_a_row: u32,
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

/// The radio was dropped, so packets have no receiver.
struct ReceiverDropped;

/// Outcome of queueing a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    Yes,
    /// The queue is full, and the packet is counted.
    Dropped,
}

/// Outcome of one read.
enum Read {
    Bytes(usize),
    Silence,
    /// It is time for the set-up of the modem to go on.
    SetupDue,
    Lost(PortError),
}

impl<P: Port> Listener<P> {
    pub(super) fn new(
        port: P,
        decoder: Decoder,
        options: ListenerOptions,
        packets: mpsc::Sender<Packet>,
        counters: Counters,
    ) -> Self {
        let ListenerOptions { silence, init } = options;
        let health = HealthReporter::default();
        health.report(Health::Starting(format!("{} has not been opened yet", port.path())));
        Self { port, decoder, silence, setup: ModemSetup::new(init), cut_in_a_row: 0, packets, counters, health }
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

    fn report_open(&mut self, again: bool) {
        if again {
            self.counters.count_rebuilt();
        }
        tracing::info!(path = self.port.path(), again, "serial port opened");
        self.setup.begin(Instant::now(), Duration::ZERO);
        self.report_health();
    }

    /// Reports the health of an open port: what the modem says, and what its frames show.
    fn report_health(&self) {
        self.health.report(if let Some(problem) = self.setup.problem() {
            Health::Failing(format!("{}: {problem}", self.port.path()))
        } else if self.setup.is_pending() {
            Health::Starting(format!("{}: the modem is being set up", self.port.path()))
        } else if self.cut_in_a_row >= CUT_IN_A_ROW {
            Health::Degraded(format!("{}: {}", self.port.path(), self.cut_note()))
        } else {
            Health::Listening
        });
    }

    /// Returns why payloads are cut, and what to do about it.
    fn cut_note(&self) -> String {
        match self.decoder.framing() {
            Framing::Burst => format!(
                "the last {CUT_IN_A_ROW} payloads or more had over {MAX_PAYLOAD_BYTES} bytes without a pause, and were kept \
                 as cut; check `baud`, and that the readers pause between two payloads"
            ),
            _ => format!(
                "the last {CUT_IN_A_ROW} payloads or more had no line end, and were kept as cut; if the readers write \
                 none, set `framing = \"burst\"`"
            ),
        }
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
                Read::SetupDue => Vec::new(),
            };
            // A frame that a silence completes was received when its last byte came.
            let Ok(commands) = self.deliver(items, read_at.unwrap_or_else(Instant::now)) else {
                return (Stop::ReceiverDropped, read_at.is_some());
            };
            if let Read::Lost(error) = read {
                return (Stop::PortLost(error), read_at.is_some());
            }
            let due = self.setup.act(Instant::now()).map(str::to_owned);
            if let Err(error) = self.send(stream, commands.into_iter().chain(due)).await {
                return (Stop::PortLost(error), read_at.is_some());
            }
            self.report_health();
        }
    }

    /// Writes commands to the modem, each as a line.
    async fn send(&self, stream: &mut P::Stream, commands: impl Iterator<Item = String>) -> Result<(), PortError> {
        for command in commands {
            tracing::debug!(path = self.port.path(), command, "command to the modem");
            let line = format!("{command}\r\n");
            let written = timeout(WRITE_TIMEOUT, stream.write_all(line.as_bytes())).await;
            let written = written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            written.map_err(|source| PortError::Write { path: self.port.path().to_owned(), source })?;
        }
        Ok(())
    }

    /// Waits for bytes. Within a frame it waits for at most the silence that ends one, and until a step of the modem's
    /// set-up is due.
    ///
    /// Every wait starts from zero, so only time spent listening counts. Bytes that arrived while the listener was busy
    /// are read before the timeout is checked.
    async fn read(&self, stream: &mut P::Stream, bytes: &mut [u8]) -> Read {
        let path = || self.port.path().to_owned();
        let silence_at = self.decoder.is_partial().then(|| Instant::now() + self.silence);
        let reading = stream.read(bytes);
        let result = match silence_at.into_iter().chain(self.setup.deadline()).min() {
            Some(at) => timeout_at(at, reading).await,
            None => Ok(reading.await),
        };
        match result {
            Err(_) if silence_at.is_some_and(|at| at <= Instant::now()) => Read::Silence,
            Err(_) => Read::SetupDue,
            Ok(Ok(0)) => Read::Lost(PortError::Unplugged { path: path() }),
            Ok(Ok(count)) => Read::Bytes(count),
            Ok(Err(source)) => Read::Lost(PortError::Read { path: path(), source }),
        }
    }

    /// Queues packets for `receive` and counts errors. Returns the commands that the words of the modem call for.
    fn deliver(&mut self, items: Vec<Item>, received_at: Instant) -> Result<Vec<String>, ReceiverDropped> {
        let mut commands = Vec::new();
        for item in items {
            match item {
                Item::Frame(frame) => {
                    self.setup.take_packet();
                    self.cut_in_a_row = 0;
                    self.queue(packet(frame, received_at))?;
                }
                Item::Cut { bytes, error } => {
                    tracing::debug!(path = self.port.path(), %error, "payload cut");
                    self.cut_in_a_row = self.cut_in_a_row.saturating_add(1);
                    if self.queue(packet(marked(bytes), received_at))? == Queued::Yes {
                        self.counters.count_cut();
                    }
                }
                Item::Notice(notice) => {
                    tracing::debug!(path = self.port.path(), ?notice, "notice from the modem");
                    commands.extend(self.setup.take_notice(&notice, received_at).map(str::to_owned));
                }
                Item::Error(error) => self.count(error),
            }
        }
        Ok(commands)
    }

    /// Queues a packet for `receive`, or drops and counts it if the queue is full.
    fn queue(&self, packet: Packet) -> Result<Queued, ReceiverDropped> {
        match self.packets.try_send(packet) {
            Ok(()) => Ok(Queued::Yes),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ReceiverDropped),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counters.count_malformed();
                tracing::debug!(path = self.port.path(), "frame dropped: the queue is full");
                Ok(Queued::Dropped)
            }
        }
    }

    fn count(&self, error: FrameError) {
        match error {
            FrameError::Crc { .. } | FrameError::Air => self.counters.count_crc_error(),
            _ => self.counters.count_malformed(),
        }
        tracing::debug!(path = self.port.path(), %error, "frame dropped");
    }
}

fn packet(frame: Frame, received_at: Instant) -> Packet {
    let Frame { payload, rssi_dbm, snr_quarter_db } = frame;
    Packet { bytes: payload, rssi_dbm, snr_quarter_db, frequency_error_hz: None, received_at }
}

/// Returns a payload that was cut, with its mark, within the length of a payload.
fn marked(mut bytes: Vec<u8>) -> Frame {
    bytes.truncate(MAX_PAYLOAD_BYTES - 1);
    bytes.push(CUT_MARK);
    Frame { payload: bytes, rssi_dbm: None, snr_quarter_db: None }
}

#[cfg(test)]
mod tests;
