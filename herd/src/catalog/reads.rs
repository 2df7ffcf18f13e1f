//! Counts of reads for each quarter of an hour and channel, by the barn's clock.

use super::labels::Labels;
use super::{Catalog, CatalogError};
use crate::change::{Change, LateEvent, Outcome, Received};
use crate::payload::Weight;
use crate::position::Sequence;
use crate::store::{Snapshot, StoreError};
use crate::text::Text;
use std::collections::BTreeMap;
use std::ops::Range;

/// Length of a quarter of an hour, in microseconds.
pub const QUARTER_US: i64 = 900_000_000;
/// A signal below this strength is weak. The sensitivity of common settings is -120 to -126 dBm, and rain or a fence costs
/// several dB.
pub const WEAK_SIGNAL_DBM: i16 = -110;
/// Maximum number of quarters of all channels, about 200 MB. Later ones are not counted. Eight channels that hear something
/// day and night need seven years for it.
const MAX_QUARTERS: usize = 2_000_000;
/// The memory that a map needs for a quarter beside its key and its counts, in bytes.
pub(super) const NODE_BYTES: usize = 16;

/// Reads of a channel in a quarter of an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Payloads that arrived.
    pub received: u32,
    /// Payloads that are still rejected.
    pub rejected: u32,
    /// Code of each reason, with the number of payloads that are still rejected for it.
    pub rejections: Vec<(&'static str, u32)>,
    /// Events that are void.
    pub voided: u32,
    /// Events with an implausible weight.
    pub refused_weights: u32,
    /// Payloads with a signal below [`WEAK_SIGNAL_DBM`].
    pub weak: u32,
    /// Payloads that arrived while the barn's clock followed no time source.
    pub doubtful: u32,
    /// The first payload.
    pub first: Sequence,
    /// The last payload.
    pub last: Sequence,
}

/// Reads of a channel in a quarter of an hour, with their place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadQuarter<'a> {
    /// Start of the quarter, in microseconds since the Unix epoch.
    pub starts_us: i64,
    /// Name of the radio, modem or HTTP key.
    pub channel: &'a str,
    /// The counts.
    pub counts: &'a ReadCounts,
}

/// Effect of later changes on a payload.
#[derive(Clone, Copy, Debug, Default)]
struct LaterEffects {
    is_accepted: bool,
    is_void: bool,
}

/// The counts of all quarters.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// By number of the quarter and channel.
    quarters: BTreeMap<(i64, u32), ReadCounts>,
    channels: Labels,
    amended: BTreeMap<u64, LaterEffects>,
}

impl Reads {
    /// Counts a payload that arrived.
    pub(super) fn receive(&mut self, sequence: Sequence, received: &Received) {
        let key = self.key(received);
        if self.quarters.len() >= MAX_QUARTERS && !self.quarters.contains_key(&key) {
            return;
        }
        let counts = self.quarters.entry(key).or_default();
        if counts.received == 0 {
            counts.first = sequence;
        }
        counts.received += 1;
        counts.last = sequence;
        counts.weak += u32::from(received.origin.rssi_dbm.is_some_and(|rssi_dbm| rssi_dbm < WEAK_SIGNAL_DBM));
        counts.doubtful += u32::from(!received.clock.synchronized);
        match &received.outcome {
            Outcome::Accepted(accepted) => counts.add_weight(&accepted.event.weight),
            Outcome::Rejected(rejected) => counts.add_rejection(rejected.reason.code()),
        }
    }

    /// Counts a payload that a later change made an event.
    pub(super) fn accept(&mut self, snapshot: &Snapshot, late: &LateEvent) -> Result<(), CatalogError> {
        let before =
            self.amended.insert(late.of.0, LaterEffects { is_accepted: true, is_void: false }).unwrap_or_default();
        let Some(counts) = self.counts_of(snapshot, late.of)? else { return Ok(()) };
        let (counts, received) = counts;
        counts.voided -= u32::from(before.is_void).min(counts.voided);
        if let Outcome::Rejected(rejected) = &received.outcome
            && !before.is_accepted
        {
            counts.remove_rejection(rejected.reason.code());
            counts.add_weight(&late.accepted.event.weight);
        }
        Ok(())
    }

    /// Counts an event that was voided.
    pub(super) fn void(&mut self, snapshot: &Snapshot, of: Sequence) -> Result<(), CatalogError> {
        let amended = self.amended.entry(of.0).or_default();
        let was_void = std::mem::replace(&mut amended.is_void, true);
        if !was_void && let Some((counts, _)) = self.counts_of(snapshot, of)? {
            counts.voided += 1;
        }
        Ok(())
    }

    /// Returns the counts that a payload is in, and the payload.
    fn counts_of(
        &mut self,
        snapshot: &Snapshot,
        of: Sequence,
    ) -> Result<Option<(&mut ReadCounts, Box<Received>)>, CatalogError> {
        let received = match snapshot.change(of) {
            Ok(Some(Change::Received(received))) => received,
            // It was not counted either.
            Ok(_) | Err(StoreError::DamagedLog { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let key = self.key(&received);
        Ok(self.quarters.get_mut(&key).map(|counts| (counts, received)))
    }

    fn key(&mut self, received: &Received) -> (i64, u32) {
        let quarter = received.clock.received_at_us.div_euclid(QUARTER_US);
        (quarter, self.channels.intern(Some(&received.origin.channel)))
    }

    /// Returns the memory of the counts, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let quarter = size_of::<(i64, u32)>() + size_of::<ReadCounts>() + NODE_BYTES;
        let rejections: usize = self.quarters.values().map(|counts| counts.rejections.capacity() * 24).sum();
        self.quarters.len() * quarter + rejections + self.amended.len() * super::MAP_ENTRY_BYTES + self.channels.bytes()
    }
}

impl ReadCounts {
    fn add_weight(&mut self, weight: &Weight) {
        self.refused_weights += u32::from(matches!(weight, Weight::Refused(_)));
    }

    fn add_rejection(&mut self, code: &'static str) {
        self.rejected += 1;
        match self.rejections.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.rejections.push((code, 1)),
        }
        self.rejections.sort_unstable();
    }

    fn remove_rejection(&mut self, code: &'static str) {
        self.rejected = self.rejected.saturating_sub(1);
        if let Some((_, count)) = self.rejections.iter_mut().find(|(known, _)| *known == code) {
            *count = count.saturating_sub(1);
        }
        self.rejections.retain(|(_, count)| *count > 0);
    }

    /// Adds the counts of another quarter or channel.
    pub fn add(&mut self, other: &Self) {
        if other.received == 0 {
            return;
        }
        self.first = if self.received == 0 { other.first } else { self.first.min(other.first) };
        self.last = self.last.max(other.last);
        self.received += other.received;
        self.rejected += other.rejected;
        self.voided += other.voided;
        self.refused_weights += other.refused_weights;
        self.weak += other.weak;
        self.doubtful += other.doubtful;
        for (code, count) in &other.rejections {
            match self.rejections.iter_mut().find(|(known, _)| known == code) {
                Some((_, own)) => *own += count,
                None => self.rejections.push((code, *count)),
            }
        }
        self.rejections.sort_unstable();
    }
}

impl Catalog {
    /// Yields the reads of the quarters that begin in a range of microseconds, by time and channel.
    pub fn reads(&self, range: &Range<i64>) -> impl Iterator<Item = ReadQuarter<'_>> {
        let first = |us: i64| us.div_euclid(QUARTER_US) + i64::from(us.rem_euclid(QUARTER_US) != 0);
        let (from, to) = (first(range.start), first(range.end));
        let quarters = self.reads.quarters.range((from, 0)..(to.max(from), 0));
        quarters.map(|((quarter, channel), counts)| ReadQuarter {
            starts_us: quarter * QUARTER_US,
            channel: self.reads.channels.text(*channel).map(Text::as_str).unwrap_or_default(),
            counts,
        })
    }

    /// Returns the reads of a range of microseconds, all channels together.
    pub fn read_total(&self, range: &Range<i64>) -> ReadCounts {
        self.reads(range).fold(ReadCounts::default(), |mut total, quarter| {
            total.add(quarter.counts);
            total
        })
    }
}
