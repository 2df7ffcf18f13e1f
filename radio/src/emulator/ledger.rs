//! The ledger of one chip: the fate of each transmission there.

use super::ids::TransmissionId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Minimum number of verdicts that a ledger keeps.
///
/// It exceeds the number of verdicts that can still change: one for the current reception, and one for each packet in
/// the FIFO.
const MIN_VERDICTS: usize = 512;

/// Fate of a transmission at one chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// Not heard: the chip entered a receive mode too late, or left it before the end.
    NotListening,
    /// Not heard: frequency, spreading factor, bandwidth, sync word, IQ or header mode differ.
    OtherSettings,
    /// Not heard: the SNR is below what the spreading factor needs.
    TooWeak,
    /// Not heard: another transmission covered the preamble or header, or occupied the receiver.
    Collided,
    /// Being received.
    Receiving,
    /// Flagged with a wrong CRC.
    CrcBad,
    /// Flagged as received, but sent without a CRC that would show whether it is intact.
    WithoutCrc,
    /// Flagged good; its bytes wait in the FIFO.
    Unread,
    /// Flagged good, and every byte was read from the FIFO.
    Read,
    /// Flagged good, but partly overwritten before it was read.
    Overwritten,
    /// Flagged good, but sleep or a reset wiped the FIFO before it was read.
    Wiped,
}

impl Fate {
    /// All fates.
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

    /// Returns `true` if nothing can change this fate any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Receiving | Self::Unread)
    }

    /// Returns `true` if the chip flagged the packet good: RxDone with a correct CRC. A driver has to read all of
    /// these.
    pub fn is_flagged_good(self) -> bool {
        matches!(self, Self::Unread | Self::Read | Self::Overwritten | Self::Wiped)
    }
}

/// One row of a chip's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Number of the transmission.
    pub transmission: TransmissionId,
    /// Payload of the transmission.
    pub payload: Arc<[u8]>,
    /// End of the transmission on the air's clock.
    pub ends_at: Duration,
    /// Fate of the transmission at this chip.
    pub fate: Fate,
}

/// Number of transmissions per fate at a chip, including those whose verdicts are no longer kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Fate::ALL.len()]);

impl Tally {
    /// Returns the number of transmissions with this fate.
    pub fn of(&self, fate: Fate) -> u64 {
        self.0[fate as usize]
    }

    /// Returns the number of all transmissions.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the number of transmissions that the chip flagged good.
    pub fn flagged_good(&self) -> u64 {
        Fate::ALL.into_iter().filter(|fate| fate.is_flagged_good()).map(|fate| self.of(fate)).sum()
    }
}

/// Number of a verdict in its ledger. It stays valid when older verdicts are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VerdictId(u64);

/// The latest verdicts of one chip, and the tally of all.
#[derive(Debug)]
pub(super) struct Ledger {
    max_verdicts: usize,
    verdicts: VecDeque<Verdict>,
    /// Number of verdicts that were taken or dropped, which is the id of the first kept one.
    removed: u64,
    tally: Tally,
}

impl Ledger {
    /// Creates a ledger that keeps `max_verdicts` verdicts, or [`MIN_VERDICTS`] if that is more.
    pub(super) fn new(max_verdicts: usize) -> Self {
        Self {
            max_verdicts: max_verdicts.max(MIN_VERDICTS),
            verdicts: VecDeque::new(),
            removed: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn add(&mut self, verdict: Verdict) -> VerdictId {
        if self.verdicts.len() == self.max_verdicts {
            self.verdicts.pop_front();
            self.removed += 1;
        }
        self.tally.0[verdict.fate as usize] += 1;
        self.verdicts.push_back(verdict);
        VerdictId(self.removed + self.verdicts.len() as u64 - 1)
    }

    /// Changes the fate of a verdict. Does nothing if the verdict is no longer kept.
    pub(super) fn set_fate(&mut self, id: VerdictId, fate: Fate) {
        let place = id.0.checked_sub(self.removed).and_then(|place| usize::try_from(place).ok());
        if let Some(verdict) = place.and_then(|place| self.verdicts.get_mut(place)) {
            self.tally.0[verdict.fate as usize] -= 1;
            self.tally.0[fate as usize] += 1;
            verdict.fate = fate;
        }
    }

    /// Removes and returns the oldest verdicts, up to the first one that can still change.
    pub(super) fn take_final(&mut self) -> Vec<Verdict> {
        let first_open = self.verdicts.iter().position(|verdict| !verdict.fate.is_final());
        let taken: Vec<_> = self.verdicts.drain(..first_open.unwrap_or(self.verdicts.len())).collect();
        self.removed += taken.len() as u64;
        taken
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.iter().cloned().collect()
    }
}
