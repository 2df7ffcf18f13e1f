//! Driver of the Semtech SX1276 and its relatives (SX1277, SX1278, SX1279; RFM95 to RFM98, Ra-01, Ra-02) over SPI.
//!
//! [`Sx127x`] is a [`Radio`]. It is generic over the [`Board`] that the chip is wired to: real or emulated, with
//! embedded-hal 0.2 or 1.0.
//!
//! # Design
//!
//! - **One thread per chip.** Only that thread touches the chip. The FIFO must be emptied before the next packet ends,
//!   12.9 ms at the fastest usual setting, but a commit to an SD card can take a second. So a queue of
//!   [`MAX_QUEUED_PACKETS`] stands between the thread and [`receive`](Radio::receive).
//! - **DIO0 is a hint.** Its edges wake the thread, but lost edges are the usual failure in the field. So the thread
//!   also polls, often enough that two packets cannot end between two looks. A packet found by polling counts as
//!   rescued.
//! - **Health checks.** Every look verifies that the chip is still in the expected mode. All settings are read back
//!   every 100 ms of waiting. A chip whose settings have changed is reported, counted and set up again.
//! - **A guard against deafness.** A chip that has received nothing for ten minutes is restarted while it is idle: no
//!   register shows that a receiver has stopped to find preambles, and the restart costs a millisecond or two.
//! - **No end of its own.** Only dropping the radio ends the thread, which leaves the chip in sleep mode.
//!
//! # Files
//!
//! In the order of the chip's life: `bus` and `register` (SPI access), `upstream` and `setup` (set-up), `watch` (DIO0
//! and polling), `receive`, `transmit` and `transmitter`, `lifecycle` (the thread), `link` (what thread and radio
//! share), `notes` (what packets show). Conversions are pure functions in [`convert`]; each names its section of the data sheet.

mod bus;
pub mod convert;
mod error;
mod examine;
mod lifecycle;
mod link;
mod notes;
mod receive;
pub mod register;
mod settings;
mod setup;
#[cfg(test)]
mod tests;
mod transmit;
mod transmitter;
mod upstream;
mod watch;

pub use crate::radio_error::StartError;
pub use error::ChipError;
pub use examine::{Examination, LineCheck, examine};
pub use link::MAX_QUEUED_PACKETS;
pub use settings::{CrcPolicy, Settings, TransmitSettings};
pub use transmitter::{MAX_QUEUED_TRANSMISSIONS, TransmitError, Transmitter};

use crate::board::Board;
use crate::lora::{AirTimeBudget, Modulation};
use crate::{Counters, Health, HealthReporter, Packet, Radio, RadioError};
use link::{RadioLink, Shutdown};
use notes::Notes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::{mpsc, watch as tokio_watch};
use transmitter::Allowance;

/// Time that a thread gets to shut down. It checks the signal every 100 ms. A transfer or a line that hangs in the
/// kernel must not block the caller that drops the radio.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// An SX1276, 77, 78 or 79. See the [module](self).
///
/// Dropping it stops the chip's thread and waits for it: usually less than 100 ms, at most two seconds.
#[derive(Debug)]
pub struct Sx127x {
    packets: mpsc::Receiver<Packet>,
    transmitter: Transmitter,
    counters: Counters,
    health: HealthReporter,
    errors: tokio_watch::Receiver<Option<Arc<ChipError>>>,
    shutdown: Shutdown,
    /// Disconnected once the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Sx127x {
    /// Starts the chip's thread, which connects the board and sets the chip up. [`health`](Radio::health) reports the
    /// progress. `name` is the radio's name, used for the thread and in errors.
    pub fn start<B: Board>(name: &str, board: B, settings: Settings) -> Result<Self, StartError> {
        Self::start_thread(name, board, settings, None, <(Counters, HealthReporter)>::default())
    }

    /// Starts a radio whose air time is limited by law. Transmissions beyond the budget are refused.
    ///
    /// The budget's timestamps count from this call. A process that does not know what it sent before its start passes
    /// a budget that is [exhausted](AirTimeBudget::exhausted) at [`Duration::ZERO`].
    pub fn start_with_budget<B: Board>(
        name: &str,
        board: B,
        settings: Settings,
        budget: AirTimeBudget,
    ) -> Result<Self, StartError> {
        Self::start_thread(name, board, settings, Some(budget), <(Counters, HealthReporter)>::default())
    }

    /// Starts a radio that only listens, and that reports to existing counters and health.
    pub(crate) fn start_reporting_to<B: Board>(
        name: &str,
        board: B,
        modulation: Modulation,
        reports: (Counters, HealthReporter),
    ) -> Result<Self, StartError> {
        Self::start_thread(name, board, Settings::listening(modulation), None, reports)
    }

    fn start_thread<B: Board>(
        name: &str,
        board: B,
        settings: Settings,
        budget: Option<AirTimeBudget>,
        (counters, health): (Counters, HealthReporter),
    ) -> Result<Self, StartError> {
        if let Some(TransmitSettings { power_dbm }) = settings.transmit.filter(|transmit| !transmit.is_supported()) {
            return Err(StartError::Power { power_dbm });
        }
        let (packet_sender, packets) = mpsc::channel(MAX_QUEUED_PACKETS);
        counters.watch_queue(&packet_sender);
        let (request_sender, requests) = sync_channel(MAX_QUEUED_TRANSMISSIONS);
        let (error_sender, errors) = tokio_watch::channel(None);
        let (ends, ended) = sync_channel::<()>(0);
        let allowance = Allowance::new(budget);
        let shutdown = Shutdown::default();
        health.report(Health::Starting("the chip is being set up".to_owned()));
        let link = RadioLink {
            notes: Notes::new(&settings),
            packets: packet_sender,
            requests,
            allowance: allowance.clone(),
            counters: counters.clone(),
            health: health.clone(),
            errors: error_sender,
            shutdown: shutdown.clone(),
        };
        let thread = spawn(name, board, settings, link, ends)?;
        let answer_timeout = transmitter::answer_timeout(&settings.modulation);
        let allowed = settings.transmit.is_some();
        let transmitter = Transmitter { requests: request_sender, allowed, allowance, answer_timeout };
        Ok(Self { packets, transmitter, counters, health, errors, shutdown, ended, thread: Some(thread) })
    }

    /// Returns the next packet without counting it, for a wrapping radio that counts what it delivers itself.
    /// Cancel-safe. The thread ends only with this radio, unless it panics.
    pub(crate) async fn next_uncounted(&mut self) -> Result<Packet, RadioError> {
        self.packets.recv().await.ok_or(RadioError::Crashed { part: "the chip's thread" })
    }

    /// Returns the next packet without counting it, or `None` if none is queued.
    pub(crate) fn try_next_uncounted(&mut self) -> Option<Packet> {
        self.packets.try_recv().ok()
    }

    /// Returns a handle that transmits. It refuses every payload if the settings do not allow transmitting.
    pub fn transmitter(&self) -> Transmitter {
        self.transmitter.clone()
    }

    /// Returns the latest error in its typed form; `None` before the first. It stays after the radio has recovered.
    pub fn last_error(&self) -> tokio_watch::Receiver<Option<Arc<ChipError>>> {
        self.errors.clone()
    }
}

/// Starts the thread. `ends` is dropped when the thread ends, even by a panic.
fn spawn<B: Board>(
    name: &str,
    board: B,
    settings: Settings,
    link: RadioLink,
    ends: SyncSender<()>,
) -> Result<JoinHandle<()>, StartError> {
    // `Builder::name` panics on a NUL byte.
    let thread = Builder::new().name(format!("sx127x {}", name.replace('\0', "")));
    let spawned = thread.spawn(move || {
        let _ends = ends;
        let health = link.health.clone();
        let outcome = catch_unwind(AssertUnwindSafe(|| lifecycle::run(board, &settings, link)));
        if outcome.is_err() {
            let text = "the radio's thread crashed, which is a defect of this program: please report it";
            health.report(Health::Failing(text.to_owned()));
        }
    });
    spawned.map_err(|source| StartError::Thread { name: name.to_owned(), source })
}

impl Radio for Sx127x {
    /// Cancel-safe, because it reads a channel. Its only error is [`RadioError::Crashed`].
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        let packet = self.next_uncounted().await?;
        self.counters.count_received();
        Ok(packet)
    }

    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    fn health(&self) -> tokio_watch::Receiver<Health> {
        self.health.subscribe()
    }
}

impl Drop for Sx127x {
    fn drop(&mut self) {
        self.shutdown.request();
        // A thread that waits for room in the queue must not wait forever.
        self.packets.close();
        let has_ended = self.ended.recv_timeout(SHUTDOWN_TIMEOUT) != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        match self.thread.take() {
            Some(thread) if has_ended => drop(thread.join()),
            _ => tracing::warn!("the thread of a radio did not end within {SHUTDOWN_TIMEOUT:?}; leaving it behind"),
        }
    }
}
