//! What the air says that the chip heard, held against what the driver delivered.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::ledger::Ledger;
use crate::board::{Board, BoardError, EdgeLine, LineError, Wake, Wiring};
use crate::emulator::{Board02, BusDownError, Chip, Dio0, EmulatedDelay, Fate, Reset, Spi02};

/// The account of one run, between the thread of the chip and the radio.
#[derive(Debug, Clone)]
pub(super) struct Account(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    chip: Chip,
    ledger: Ledger,
    sums: Mutex<Sums>,
    /// Nothing is on the air any more, and the driver has taken all that the chip had.
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Sums {
    read: Sum,
    delivered: Sum,
}

/// Packets, how many and which, whatever their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    packets: u64,
    of_hashes: u64,
}

impl Sum {
    fn add(&mut self, payload: &[u8]) {
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        self.packets += 1;
        self.of_hashes = self.of_hashes.wrapping_add(hasher.finish());
    }
}

/// What the emulated chip flagged good and what the driver made of it are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "of the packets that the emulated chip flagged good, {read} were read and {unread} were not, and {delivered} were \
     delivered{}: the driver lost, doubled or altered packets, which is a defect of this program; report it",
    if read == delivered { ", of which some hold other bytes" } else { "" }
)]
pub struct Unaccounted {
    /// Flagged good and read from the chip.
    pub read: u64,
    /// Flagged good and left in the chip.
    pub unread: u64,
    /// Delivered by the driver.
    pub delivered: u64,
}

impl Account {
    pub(super) fn new(chip: Chip, ledger: Ledger) -> Self {
        let ended = watch::Sender::new(false);
        Self(Arc::new(Shared { chip, ledger, sums: Mutex::default(), ended }))
    }

    /// The board of the chip, as the driver is given it.
    pub(super) fn board(&self) -> WatchedBoard {
        WatchedBoard { board: self.0.chip.board(), account: self.clone() }
    }

    /// Becomes true at the end. What was heard is with the driver's radio by then.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.0.ended.subscribe()
    }

    pub(super) fn note_delivered(&self, payload: &[u8]) {
        self.sums().delivered.add(payload);
    }

    /// Settles what has become final since the last look. Only the chip's thread lets time pass, so what this thread
    /// finds quiet stays quiet.
    fn settle(&self) {
        let verdicts = self.0.chip.take_final_verdicts();
        let (read, lost): (Vec<_>, Vec<_>) = verdicts.into_iter().partition(|verdict| verdict.fate == Fate::Read);
        if !read.is_empty() {
            let mut sums = self.sums();
            for verdict in read {
                sums.read.add(&verdict.payload);
            }
        }
        self.0.ledger.count_lost(lost.len() as u64);
        if self.0.chip.air().is_quiet() {
            self.0.ended.send_if_modified(|ended| !std::mem::replace(ended, true));
        }
    }

    /// When all is over: whether the driver delivered what the chip heard, each packet once and no others.
    pub(super) fn prove(&self) -> Result<(), Unaccounted> {
        let sums = self.sums();
        let unread = self.0.chip.tally().of(Fate::Unread);
        if sums.read == sums.delivered && unread == 0 {
            return Ok(());
        }
        Err(Unaccounted { read: sums.read.packets, unread, delivered: sums.delivered.packets })
    }

    /// When the driver has been stopped: what was transmitted and not handed over is lost.
    pub(super) fn close(&self) {
        let transmitted = self.0.chip.tally().total();
        self.0.ledger.count_lost(transmitted.saturating_sub(self.0.ledger.counts().sent));
    }

    /// What the air says of all transmissions.
    #[cfg(test)]
    pub(super) fn tally(&self) -> crate::emulator::Tally {
        self.0.chip.tally()
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chip's board, with a line DIO0 that settles the account whenever it is waited on.
///
/// The driver waits when it has taken all that the chip had, and passed it on.
#[derive(Debug)]
pub(super) struct WatchedBoard {
    board: Board02,
    account: Account,
}

impl Board for WatchedBoard {
    type Bus = Spi02;
    type BusError = BusDownError;
    type Reset = Reset;
    type Dio0 = WatchedLine;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus, reset, dio0: WatchedLine { line: dio0, account: self.account.clone() }, delay })
    }
}

/// See [`WatchedBoard`].
#[derive(Debug)]
pub(super) struct WatchedLine {
    line: Dio0,
    account: Account,
}

impl EdgeLine for WatchedLine {
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        self.account.settle();
        self.line.wait(at_most)
    }
}
