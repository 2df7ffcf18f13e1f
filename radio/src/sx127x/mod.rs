//! The driver of a Semtech SX1276 and its relatives (SX1277, SX1278, SX1279; RFM95 to RFM98, Ra-01, Ra-02) over SPI.
//!
//! [`Sx127x`] is a [`Radio`]. It is generic over the [`Board`] that the chip hangs on, real or emulated, 0.2 or 1.0 of
//! embedded-hal. What a reader of this module should know:
//!
//! - The chip lives on an OS thread of its own and is touched by nobody else. Its FIFO must be emptied before the next
//!   packet ends, 12.9 ms at the fastest usual setting; a commit to an SD card can take a second. So between the
//!   thread and [`receive`](Radio::receive) stand [`WAITING_PACKETS`] packets of room.
//! - DIO0 wakes the thread, and is not trusted: lost edges are the usual failure in the field. The thread looks all the
//!   same, so often that two packets cannot pass between two looks, and counts what it so found as rescued.
//! - Every look sees whether the chip is still in the mode it was set to. All settings are read back every 100 ms of
//!   waiting. A chip that is not as it was set up is reported, counted and set up from the start.
//! - Nothing ends the thread but the drop of the radio; it leaves the chip in sleep.
//!
//! Files, in the order of the chip's life: `bus` and `register`, `named` and `setup`, `watch`, `receive`, `transmit`,
//! `rebuild`. Conversions are pure and stand in [`convert`]; each names its section of the data sheet.

#[cfg(test)]
mod array;
mod bus;
pub mod convert;
mod examine;
mod fault;
mod named;
mod owner;
mod rebuild;
mod receive;
pub mod register;
mod setup;
mod transmit;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, watch as tokio_watch};

pub use examine::{Examination, examine};
pub use fault::Fault;
pub use owner::WAITING_PACKETS;
pub use transmit::{TransmitError, TransmitSettings, Transmitter, WAITING_ORDERS};

use crate::board::Board;
use crate::lora::{AirTimeBudget, Modulation};
use crate::{Counters, Health, Packet, Radio, RadioError, Reporting};
use owner::{Owner, Stop};
use transmit::Allowance;

/// A thread that was told to stop has so long. It looks every 100 ms, and a transfer or a line that hangs in the
/// kernel must not hang whoever drops the radio.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

/// How a chip is to be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What senders use.
    pub modulation: Modulation,
    /// That it may transmit, and how. `None`: it only listens, and what is to be transmitted is refused.
    pub transmit: Option<TransmitSettings>,
}

/// Why a radio was not started. What is wrong with the chip is no such reason: the radio says so itself, and tries
/// again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system gave no thread.
    #[error("starting the thread of the radio `{name}`: {source}")]
    Thread {
        /// The radio's name.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The chip has no such power.
    #[error("a power of {power_dbm} dBm is refused: the chip can do 2 to 17 dBm, or 20")]
    Power {
        /// What was asked for.
        power_dbm: u8,
    },
}

/// An SX1276, 77, 78 or 79. See the [module](self).
///
/// Dropping it stops the chip's thread and waits for its end, for two seconds at most, and usually less than 100 ms.
#[derive(Debug)]
pub struct Sx127x {
    packets: mpsc::Receiver<Packet>,
    transmitter: Transmitter,
    counters: Counters,
    health: Reporting,
    faults: tokio_watch::Receiver<Option<Arc<Fault>>>,
    stop: Stop,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Sx127x {
    /// Starts the chip's thread, which connects the board and sets the chip up; [`health`](Radio::health) tells how
    /// that goes. `name` is the radio's, for the thread and for errors.
    pub fn start<B: Board>(name: &str, board: B, settings: Settings) -> Result<Self, StartError> {
        Self::start_thread(name, board, settings, None, <(Counters, Reporting)>::default())
    }

    /// The same for a radio that transmits where the law limits its air time: what is beyond the budget is refused. The
    /// budget's moments are the time since this call; a process that does not know what it sent before begins with one
    /// that is [used up](AirTimeBudget::used_up) at [`Duration::ZERO`].
    pub fn start_within<B: Board>(
        name: &str,
        board: B,
        settings: Settings,
        budget: AirTimeBudget,
    ) -> Result<Self, StartError> {
        Self::start_thread(name, board, settings, Some(budget), <(Counters, Reporting)>::default())
    }

    /// The same for one that only listens, with counters and health that others may look at already.
    pub(crate) fn start_telling<B: Board>(
        name: &str,
        board: B,
        modulation: Modulation,
        told: (Counters, Reporting),
    ) -> Result<Self, StartError> {
        Self::start_thread(name, board, Settings { modulation, transmit: None }, None, told)
    }

    fn start_thread<B: Board>(
        name: &str,
        board: B,
        settings: Settings,
        budget: Option<AirTimeBudget>,
        (counters, health): (Counters, Reporting),
    ) -> Result<Self, StartError> {
        if let Some(TransmitSettings { power_dbm }) = settings.transmit.filter(|transmit| !transmit.is_possible()) {
            return Err(StartError::Power { power_dbm });
        }
        let (packets_in, packets) = mpsc::channel(WAITING_PACKETS);
        let (orders_in, orders) = sync_channel(WAITING_ORDERS);
        let (faults_in, faults) = tokio_watch::channel(None);
        let (ends, ended) = sync_channel::<()>(0);
        let allowance = Allowance::new(budget);
        let stop = Stop::default();
        health.report(Health::Failing("the chip is being set up".to_owned()));
        let owner = Owner {
            packets: packets_in,
            orders,
            allowance: allowance.clone(),
            counters: counters.clone(),
            health: health.clone(),
            faults: faults_in,
            stop: stop.clone(),
        };
        let thread = spawn(name, board, settings, owner, ends)?;
        let answered_within = transmit::answered_within(&settings.modulation);
        let allowed = settings.transmit.is_some();
        let transmitter = Transmitter { orders: orders_in, allowed, allowance, answered_within };
        Ok(Self { packets, transmitter, counters, health, faults, stop, ended, thread: Some(thread) })
    }

    /// The next packet, uncounted: for a radio around this one, which counts what it hands over itself. Cancel-safe.
    pub(crate) async fn next_uncounted(&mut self) -> Result<Packet, RadioError> {
        self.packets.recv().await.ok_or(RadioError::Closed)
    }

    /// The same without waiting, if there is one.
    pub(crate) fn waiting_uncounted(&mut self) -> Option<Packet> {
        self.packets.try_recv().ok()
    }

    /// A handle to transmit with. It refuses everything where the settings do not allow to transmit.
    pub fn transmitter(&self) -> Transmitter {
        self.transmitter.clone()
    }

    /// The last thing that was wrong, as a type; it stays there when all is well again. `None` before the first.
    pub fn last_fault(&self) -> tokio_watch::Receiver<Option<Arc<Fault>>> {
        self.faults.clone()
    }
}

/// Starts the thread. `ends` is dropped at its end, however that comes.
fn spawn<B: Board>(
    name: &str,
    board: B,
    settings: Settings,
    owner: Owner,
    ends: SyncSender<()>,
) -> Result<JoinHandle<()>, StartError> {
    // A name with a zero byte would be a panic.
    let thread = Builder::new().name(format!("sx127x {}", name.replace('\0', "")));
    let spawned = thread.spawn(move || {
        let _ends = ends;
        let health = owner.health.clone();
        let lived = catch_unwind(AssertUnwindSafe(|| rebuild::live(board, &settings, owner)));
        if lived.is_err() {
            health.report(Health::Failing("its thread ended by a defect of this program: report it".to_owned()));
        }
    });
    spawned.map_err(|source| StartError::Thread { name: name.to_owned(), source })
}

impl Radio for Sx127x {
    /// Cancel-safe: it reads a channel. [`RadioError::Closed`] comes only if the chip's thread has died of a panic.
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
        self.stop.wish();
        // A thread that waits for room must not wait for ever.
        self.packets.close();
        let stopped = self.ended.recv_timeout(STOPS_WITHIN) != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        match self.thread.take() {
            Some(thread) if stopped => drop(thread.join()),
            _ => tracing::warn!("the thread of a radio did not end within {STOPS_WITHIN:?} and is left alone"),
        }
    }
}

#[cfg(test)]
mod tests;
