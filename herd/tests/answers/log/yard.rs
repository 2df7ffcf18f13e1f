//! The state of a yard: what the generator knows about animals, readers and pens.

use super::barn::Barn;
use super::chance::Chance;
use crate::ledger::Ledger;
use herd::change::Origin;
use herd::position::Sequence;
use herd::store::{Incoming, Receipt};
use std::collections::VecDeque;

/// Maximum number of events of an animal that are remembered, and can be voided.
const MAX_EVENTS: usize = 40;
/// Maximum number of rejected payloads that operators remember.
const MAX_REJECTED: usize = 200;
/// Maximum number of texts that readers may send again.
const MAX_TEXTS: usize = 400;
/// Number of pens that are worked at once in interleaved traffic.
pub(super) const PENS: usize = 100;
/// Sizes of commit groups. A group is chosen after each commit.
const GROUP_SIZES: [usize; 8] = [1, 3, 20, 60, 100, 100, 300, 1_000];

/// Readers that share event ids and lids, with the channels that hear them. One name has the separator of a cursor.
pub(super) const GROUPS: [(&str, &[&str]); 4] = [
    ("main", &["radio1", "radio2", "office key"]),
    ("north", &["radio3", "radio1"]),
    ("south", &["modem1"]),
    ("hos/pital", &["vet key"]),
];

/// Kinds of event, as the letters of an event id.
pub(super) const KINDS: [&str; 5] = ["hxbind", "hxbpai", "hxbchi", "hxbrep", "hxeexp"];
pub(super) const INDUCTION: usize = 0;
pub(super) const PAIRING: usize = 1;
pub(super) const CHECK_IN: usize = 2;
pub(super) const REPAIR: usize = 3;
pub(super) const EXPORT: usize = 4;

/// Counters of a reader group.
#[derive(Default)]
pub(super) struct Readers {
    pub(super) era: u32,
    pub(super) counters: [u64; 5],
    pub(super) lids: u64,
    /// Event ids that were skipped, and may arrive late.
    pub(super) skipped: VecDeque<(u32, usize, u64)>,
}

/// An animal of the yard.
#[derive(Clone, Default)]
pub(super) struct Head {
    pub(super) group: usize,
    pub(super) era: u32,
    /// `None` for an animal that only has tags.
    pub(super) lid: Option<u64>,
    pub(super) lf: String,
    pub(super) epc: String,
    pub(super) lot: String,
    /// Changes that hold its events.
    pub(super) events: Vec<Sequence>,
}

/// A pen that is being worked.
#[derive(Default)]
pub(super) struct Pen {
    pub(super) group: usize,
    pub(super) lot: String,
    pub(super) label: String,
    pub(super) funder: &'static str,
    pub(super) left: u64,
    /// Animals that were inducted and not paired yet.
    pub(super) unpaired: VecDeque<usize>,
}

/// The animals that a payload is about.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Nobody,
    Head(usize),
    /// Two animals that the payload takes for one.
    Both(usize, usize),
}

/// A rejected payload.
#[derive(Clone, Copy)]
pub(super) struct RejectedRead {
    pub(super) sequence: Sequence,
    pub(super) subject: Subject,
    pub(super) code: &'static str,
}

pub(super) struct Yard<'a> {
    pub(super) barn: Barn,
    pub(super) ledger: &'a mut Ledger,
    pub(super) chance: Chance,
    pub(super) readers: Vec<Readers>,
    pub(super) heads: Vec<Head>,
    pub(super) pens: Vec<Pen>,
    /// Payloads come from all pens at once.
    pub(super) is_interleaved: bool,
    /// Next animal in chute order.
    pub(super) in_chute: usize,
    /// Next animal to be exported.
    pub(super) at_ramp: usize,
    pub(super) rejected: VecDeque<RejectedRead>,
    /// Texts that were sent, with their reader groups.
    pub(super) texts: VecDeque<(usize, Vec<u8>)>,
    /// Numbers given so far to tags, lots, malformed texts and orders.
    pub(super) tags: u64,
    pub(super) lots: u64,
    pub(super) malformed: u64,
    pub(super) orders: u64,
    waiting: Vec<(Incoming, Subject)>,
    group_size: usize,
}

impl<'a> Yard<'a> {
    pub(super) fn new(seed: u64, ledger: &'a mut Ledger) -> Self {
        let readers = GROUPS.iter().map(|_| Readers { era: 1, ..Readers::default() }).collect();
        Self {
            barn: Barn::new(),
            ledger,
            chance: Chance::new(seed),
            readers,
            heads: Vec::new(),
            pens: (0..PENS).map(|_| Pen::default()).collect(),
            is_interleaved: false,
            in_chute: 0,
            at_ramp: 0,
            rejected: VecDeque::new(),
            texts: VecDeque::new(),
            tags: 0,
            lots: 0,
            malformed: 0,
            orders: 0,
            waiting: Vec::new(),
            group_size: 1,
        }
    }

    /// Sends a payload over one of the group's channels, a second or so after the one before.
    pub(super) fn send(&mut self, group: usize, subject: Subject, raw: impl Into<Vec<u8>>) {
        let pause_ms = 100 + self.chance.below(2_000);
        self.barn.wait(pause_ms);
        let raw = raw.into();
        self.texts.push_back((group, raw.clone()));
        if self.texts.len() > MAX_TEXTS {
            self.texts.pop_front();
        }
        self.send_now(group, subject, raw);
    }

    /// Sends a payload in the same millisecond as the one before.
    pub(super) fn send_now(&mut self, group: usize, subject: Subject, raw: Vec<u8>) {
        let (reader_group, channels) = GROUPS[group];
        let channel = self.chance.pick(channels);
        let mut origin = Origin { channel: channel.into(), reader_group: reader_group.into(), ..Origin::default() };
        if !channel.ends_with("key") {
            let noise = i16::try_from(self.chance.below(60)).unwrap();
            origin.rssi_dbm = Some(-120 + noise);
            origin.snr_quarter_db = Some(noise - 30);
            origin.frequency_error_hz = Some(i32::from(noise) * 7 - 200);
        }
        self.waiting.push((Incoming { raw, origin, at: self.barn.now() }, subject));
        if self.waiting.len() >= self.group_size {
            self.flush();
        }
    }

    /// Commits the payloads that wait.
    pub(super) fn flush(&mut self) {
        let (payloads, subjects): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        if payloads.is_empty() {
            return;
        }
        let receipts = self.barn.append(&payloads, self.ledger);
        let mut suppressed = 0;
        for (receipt, subject) in receipts.into_iter().zip(subjects) {
            match (receipt, subject) {
                (Receipt::Kept { sequence }, Subject::Head(head)) => {
                    let events = &mut self.heads[head].events;
                    if events.len() < MAX_EVENTS {
                        events.push(sequence);
                    }
                }
                (Receipt::Rejected { sequence, reason }, subject) => {
                    self.rejected.push_back(RejectedRead { sequence, subject, code: reason.code() });
                    if self.rejected.len() > MAX_REJECTED {
                        self.rejected.pop_front();
                    }
                }
                (Receipt::Suppressed, _) => suppressed += 1,
                (Receipt::Kept { .. } | Receipt::Duplicate { .. }, _) => {}
            }
        }
        if suppressed > 0 {
            // The daemon records the count after a while. The payloads of a burst come over one channel.
            let (channel, first) = (payloads[0].origin.channel.clone(), payloads[0].at);
            self.barn.record_suppressed(&channel, suppressed, first);
        }
        self.group_size = self.chance.pick(&GROUP_SIZES);
    }

    /// Returns a random animal. There is one from the first arrival on.
    pub(super) fn any_head(&mut self) -> usize {
        self.chance.index(self.heads.len())
    }

    /// Returns the lid, if the animal has one of the current era.
    pub(super) fn current_lid(&self, head: usize) -> Option<u64> {
        let head = &self.heads[head];
        head.lid.filter(|_| head.era == self.readers[head.group].era)
    }

    /// Ends a day: a night, often a restart of the machine, and every few days something out of the ordinary.
    pub(super) fn end_day(&mut self, day: u64) {
        self.flush();
        // Longer and shorter than the rest after which an export batch closes.
        self.barn.wait(3_600_000 * if day.is_multiple_of(3) { 26 } else { 9 });
        self.is_interleaved = day % 2 == 1;
        match day % 4 {
            0 => self.barn.reboot(true),
            2 => self.barn.reboot(false),
            _ => self.barn.set_clock(true),
        }
        self.export_daily();
        self.play_extreme(day);
        self.play_all_operators();
        if day.is_multiple_of(5) {
            let group = usize::try_from(day / 5).unwrap() % 3;
            self.start_era(group);
        }
    }
}
