//! Compares the packets that the emulated chip received with those that the driver delivered.

use super::ledger::Ledger;
use crate::board::{Board, BoardError, EdgeLine, LineError, Wake, Wiring};
use crate::emulator::{Board02, BusDownError, Chip, Dio0, EmulatedDelay, Fate, Reset, Spi02};
use crate::radio_error::AccountError;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The account of one run, shared by the thread of the chip and the radio.
#[derive(Clone, Debug)]
pub(super) struct Account(Arc<State>);

#[derive(Debug)]
struct State {
    chip: Chip,
    ledger: Ledger,
    sums: Mutex<Sums>,
    /// Set when nothing is on the air any more and the driver has read all that the chip had.
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Sums {
    read: Sum,
    delivered: Sum,
}

/// Number of packets, and a sum of their hashes. It identifies the packets regardless of their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    packets: u64,
    hashes: u64,
}

impl Sum {
    fn add(&mut self, payload: &[u8]) {
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        self.packets += 1;
        self.hashes = self.hashes.wrapping_add(hasher.finish());
    }
}

impl Account {
    pub(super) fn new(chip: Chip, ledger: Ledger) -> Self {
        let ended = watch::Sender::new(false);
        Self(Arc::new(State { chip, ledger, sums: Mutex::default(), ended }))
    }

    /// Returns the chip's board for the driver.
    pub(super) fn board(&self) -> WatchedBoard {
        WatchedBoard { board: self.0.chip.board(), account: self.clone() }
    }

    /// Returns a signal that turns true at the end. By then the driver has passed on every packet that it read.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.0.ended.subscribe()
    }

    pub(super) fn note_delivered(&self, payload: &[u8]) {
        self.sums().delivered.add(payload);
    }

    /// Settles the transmissions whose fate has become final since the last call.
    ///
    /// Only the chip's thread advances time. It is the one that calls this, so an air that it finds quiet stays quiet.
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

    /// Checks at the end that the driver delivered each packet that the chip received once, and no others.
    pub(super) fn check(&self) -> Result<(), AccountError> {
        let sums = self.sums();
        let unread = self.0.chip.tally().of(Fate::Unread);
        if sums.read == sums.delivered && unread == 0 {
            return Ok(());
        }
        Err(AccountError { read: sums.read.packets, unread, delivered: sums.delivered.packets })
    }

    /// Counts every transmission that `receive` did not return as lost. To be called once the driver has stopped.
    pub(super) fn close(&self) {
        let transmitted = self.0.chip.tally().total();
        self.0.ledger.count_lost(transmitted.saturating_sub(self.0.ledger.counts().sent));
    }

    /// Returns the fates of all transmissions.
    #[cfg(test)]
    pub(super) fn tally(&self) -> crate::emulator::Tally {
        self.0.chip.tally()
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chip's board, with a DIO0 line that settles the account at every wait.
///
/// The driver waits only after it has read all packets from the chip and passed them on.
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

/// The DIO0 line of a [`WatchedBoard`].
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
