//! What became of each transmission at one chip.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Verdicts that a ledger keeps at least: more than can change, which are those of what is received now and of what
/// the FIFO holds.
const MIN_VERDICTS: usize = 512;

/// The number of a transmission on its air, from 0 on in the order in which they were given to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmissionId(pub u64);

/// What became of a transmission at one chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// Not heard: the chip was not in a receive mode in time, or left it before the end.
    NotListening,
    /// Not heard: frequency, spreading factor, bandwidth, sync word, IQ or header mode are others.
    OtherSettings,
    /// Not heard: its SNR is below what the spreading factor needs.
    TooWeak,
    /// Not heard: another transmission covered its preamble or header, or held the receiver.
    Collided,
    /// It is being received.
    Receiving,
    /// The chip flagged it with a wrong CRC.
    CrcBad,
    /// The chip flagged it as received, and it had no CRC by which the chip could tell whether it is whole.
    WithoutCrc,
    /// Flagged good; its bytes wait in the FIFO.
    Unread,
    /// Flagged good, and each of its bytes was then read from the FIFO.
    Read,
    /// Flagged good, and a part of it was overwritten before it was read.
    Overwritten,
    /// Flagged good, and the FIFO was wiped by sleep or a reset before it was read.
    Wiped,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NotListening,
        Self::OtherSettings,
        Self::TooWeak,
        Self::Collided,
        Self::Receiving,
        Self::CrcBad,
        Self::WithoutCrc,
        Self::Unread,
        Self::Read,
        Self::Overwritten,
        Self::Wiped,
    ];

    /// Whether it stays as it is, whatever happens.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Receiving | Self::Unread)
    }

    /// Whether the chip flagged it good: RxDone with a CRC that is right. All of these had to be read.
    pub fn is_flagged_good(self) -> bool {
        matches!(self, Self::Unread | Self::Read | Self::Overwritten | Self::Wiped)
    }
}

/// One line of a chip's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which transmission.
    pub transmission: TransmissionId,
    /// What it carried.
    pub payload: Arc<[u8]>,
    /// When it ends or ended, on the air's clock.
    pub ends_at: Duration,
    /// What became of it.
    pub fate: Fate,
}

/// How many transmissions met each fate at a chip. Nothing is given up here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally([u64; Fate::ALL.len()]);

impl Tally {
    /// How many met this one.
    pub fn of(&self, fate: Fate) -> u64 {
        self.0[fate as usize]
    }

    /// How many met any of them: all that were on the air.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many the chip flagged good.
    pub fn flagged_good(&self) -> u64 {
        Fate::ALL.into_iter().filter(|fate| fate.is_flagged_good()).map(|fate| self.of(fate)).sum()
    }
}

/// The place of a verdict: it stays the same while older ones are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u64);

/// The verdicts of one chip.
#[derive(Debug)]
pub(super) struct Ledger {
    most: usize,
    verdicts: VecDeque<Verdict>,
    /// How many were taken or given up before the first one that is kept.
    gone: u64,
    tally: Tally,
}

impl Ledger {
    /// Keeps so many verdicts.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(MIN_VERDICTS), verdicts: VecDeque::new(), gone: 0, tally: Tally::default() }
    }

    pub(super) fn add(&mut self, verdict: Verdict) -> Entry {
        if self.verdicts.len() == self.most {
            self.verdicts.pop_front();
            self.gone += 1;
        }
        self.tally.0[verdict.fate as usize] += 1;
        self.verdicts.push_back(verdict);
        Entry(self.gone + self.verdicts.len() as u64 - 1)
    }

    /// Does nothing for an entry that is gone.
    pub(super) fn change(&mut self, entry: Entry, fate: Fate) {
        let place = entry.0.checked_sub(self.gone).and_then(|place| usize::try_from(place).ok());
        if let Some(verdict) = place.and_then(|place| self.verdicts.get_mut(place)) {
            self.tally.0[verdict.fate as usize] -= 1;
            self.tally.0[fate as usize] += 1;
            verdict.fate = fate;
        }
    }

    /// Takes the oldest ones, up to the first that may still change.
    pub(super) fn take_final(&mut self) -> Vec<Verdict> {
        let may_change = self.verdicts.iter().position(|verdict| !verdict.fate.is_final());
        let taken: Vec<_> = self.verdicts.drain(..may_change.unwrap_or(self.verdicts.len())).collect();
        self.gone += taken.len() as u64;
        taken
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.iter().cloned().collect()
    }
}
