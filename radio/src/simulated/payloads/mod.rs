//! Payloads that the readers of a chute send, without times and losses.
//!
//! Animals come through one pen at a time. They pass six stations, and each station reads some of them. The gate and
//! the ramp send short scans (`hxb`, `hxe`). The chute, the table, the scale and the repair stand send events, one kind
//! each. Every kind has its own counter, which increases by one with every event. A gap in the counters of a kind is
//! therefore always a read that the air lost.

use super::rng::{Stream, rng};
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Number of animals in a pen.
const PEN_HEADS: RangeInclusive<u64> = 50..=200;

/// Numbers that a run has before it reaches those of the next seed. Enough for ten million animals.
const NUMBERS_PER_RUN: u64 = 10_000_000;
/// Number of distinct runs. Runs against one barn whose seeds differ modulo this share no tag, lid, event id or batch.
///
/// An LF tag has twelve digits, which leaves room for this many runs of [`NUMBERS_PER_RUN`].
const RUNS: u64 = 100_000;

const FUNDERS: [&str; 4] = ["Southwest Cattle Co", "Prairie Feedlot Partners", "Hill Country Beef", "Red River LLC"];
const SEXES: [&str; 3] = ["Steer", "Heifer", "Bull"];
const TAG_COLORS: [&str; 4] = ["Red", "Yellow", "Blue", "White"];
const REASONS: [&str; 3] = ["Tag damaged", "LF tag lost during handling", "Unreadable"];

/// Endless iterator over the payloads of a run, in the order of their first transmission. No two are equal.
///
/// The same seed always gives the same payloads. A share of them, about 1 % by default, is malformed on purpose.
#[derive(Debug)]
pub struct Payloads {
    rng: ChaCha12Rng,
    /// Probability that a visit is followed by a malformed payload.
    malformed: f64,
    run: u64,
    /// Animals, tags, pens and malformed payloads so far.
    animals: u64,
    tags: u64,
    pens: u64,
    malformed_so_far: u64,
    event_counters: [u64; 4],
    /// Payloads returned so far.
    returned: u64,
    first_of_pen: u64,
    pen: Pen,
}

/// The pen that is being worked, and the visits that its animals have yet to make.
#[derive(Debug, Default)]
struct Pen {
    lot: String,
    export_batch: String,
    label: String,
    funder: &'static str,
    roster: Vec<Animal>,
    visits: VecDeque<Visit>,
}

#[derive(Debug)]
struct Animal {
    lid: u64,
    lf: String,
    epc: String,
    /// Weight in tenths of a kilogram, the resolution of a scale.
    weight_tenth_kg: u32,
}

/// A read of one animal at one station. Visits take place in the order of `turn`.
#[derive(Debug)]
struct Visit {
    turn: u64,
    /// Index in the roster.
    animal: usize,
    station: Station,
}

#[derive(Clone, Copy, Debug)]
enum Station {
    Gate,
    Chute,
    Table,
    Scale,
    Repair,
    Ramp,
    /// A reader with a loose plug, at any of the places.
    Garbled,
}

impl Payloads {
    pub(super) fn new(seed: u64, malformed: f64) -> Self {
        Self {
            rng: rng(seed, Stream::Payloads),
            malformed,
            run: seed % RUNS,
            animals: 0,
            tags: 0,
            pens: 0,
            malformed_so_far: 0,
            event_counters: [0; 4],
            returned: 0,
            first_of_pen: 0,
            pen: Pen::default(),
        }
    }

    /// Returns the number, counted from 0, of the first payload of the current pen.
    ///
    /// The current pen is the one that the payload returned last belongs to.
    pub(super) fn first_of_pen(&self) -> u64 {
        self.first_of_pen
    }

    /// Returns a number that no other run has, as long as `n` stays below [`NUMBERS_PER_RUN`].
    fn number(&self, n: u64) -> u64 {
        self.run * NUMBERS_PER_RUN + n
    }

    fn choose<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.rng.random_range(0..N)]
    }

    /// Returns true with the given probability. Never panics, even if it is not within 0..=1.
    fn happens(&mut self, probability: f64) -> bool {
        self.rng.random::<f64>() < probability
    }

    fn next_lf(&mut self) -> String {
        self.tags += 1;
        format!("124{:012}", self.number(self.tags))
    }

    fn open_next_pen(&mut self) {
        self.pens += 1;
        self.first_of_pen = self.returned;
        let heads = self.rng.random_range(PEN_HEADS);
        let (run, number) = (self.run, self.pens);
        self.pen = Pen {
            lot: format!("LOT{run:05}-{number:05}"),
            export_batch: format!("EXPORT{run:05}-{number:05}"),
            label: format!("PEN{}", self.rng.random_range(1..=24)),
            funder: self.choose(FUNDERS),
            roster: (0..heads).map(|_| self.next_animal()).collect(),
            visits: VecDeque::new(),
        };
        let mut visits: Vec<Visit> = (0..heads).zip(0..).flat_map(|(n, at)| self.visits_of(at, n, heads)).collect();
        visits.sort_by_key(|visit| visit.turn);
        self.pen.visits = visits.into();
    }

    fn next_animal(&mut self) -> Animal {
        self.animals += 1;
        let (run, lid) = (self.run, self.number(self.animals));
        let epc = format!("E2801160{run:06X}{:010X}", self.animals);
        let weight_tenth_kg = self.rng.random_range(1_800..=3_400);
        Animal { lid, lf: self.next_lf(), epc, weight_tenth_kg }
    }

    /// Returns the visits of one animal, the `n`-th in a pen of `heads`.
    fn visits_of(&mut self, animal: usize, n: u64, heads: u64) -> Vec<Visit> {
        let mut visits = Vec::new();
        let mut visit = |turn, station| visits.push(Visit { turn, animal, station });
        let inducted = self.happens(0.75);
        if !inducted || self.happens(0.7) {
            visit(n, Station::Gate);
        }
        if inducted {
            let table = n + self.rng.random_range(1..=5);
            visit(n, Station::Chute);
            visit(table, Station::Table);
            if self.happens(0.5) {
                visit(table + self.rng.random_range(1..=20), Station::Scale);
            }
            if self.happens(0.03) {
                visit(table + self.rng.random_range(1..=20), Station::Repair);
            }
        }
        if self.happens(0.2) {
            // The ramp opens after the last animal of the pen has been worked.
            visit(n + heads + 50, Station::Ramp);
        }
        self.garble(&mut visits);
        visits
    }

    /// Adds a malformed payload after some of the visits.
    fn garble(&mut self, visits: &mut Vec<Visit>) {
        for at in 0..visits.len() {
            if self.happens(self.malformed) {
                let Visit { turn, animal, .. } = visits[at];
                visits.push(Visit { turn, animal, station: Station::Garbled });
            }
        }
    }

    fn read(&mut self, Visit { animal, station, .. }: Visit) -> Vec<u8> {
        let text = match station {
            Station::Gate => self.short_scan("hxb", &self.pen.lot, animal),
            Station::Ramp => self.short_scan("hxe", &self.pen.export_batch, animal),
            Station::Chute => self.induction(animal),
            Station::Table => self.pairing(animal),
            Station::Scale => self.check_in(animal),
            Station::Repair => self.repair(animal),
            Station::Garbled => return self.garbled(),
        };
        text.into_bytes()
    }

    fn short_scan(&self, prefix: &str, batch: &str, animal: usize) -> String {
        let Animal { lf, epc, .. } = &self.pen.roster[animal];
        format!("{prefix}:{batch}:{lf}:{epc}")
    }

    fn induction(&mut self, animal: usize) -> String {
        let (sex, tag_color) = (self.choose(SEXES), self.choose(TAG_COLORS));
        let id = self.event_id(0, "hxbind");
        let Pen { lot, label, funder, roster, .. } = &self.pen;
        let lid = roster[animal].lid;
        format!("event:{id}|funder:{funder}|lot:{lot}|pen:{label}|lid:{lid}|sex:{sex}|tag_color:{tag_color}")
    }

    fn pairing(&mut self, animal: usize) -> String {
        let id = self.event_id(1, "hxbpai");
        // Some readers repeat the kind of tag in the value.
        let prefix = self.choose(["", "EPC:"]);
        let Animal { lid, lf, epc, weight_tenth_kg } = &self.pen.roster[animal];
        format!("event:{id}|lf:{lf}|epc:{prefix}{epc}|lid:{lid}|weight:{}", kilograms(*weight_tenth_kg))
    }

    fn check_in(&mut self, animal: usize) -> String {
        let id = self.event_id(2, "hxbchi");
        let gain_tenth_kg = self.rng.random_range(0..=250);
        let Animal { lid, weight_tenth_kg, .. } = &self.pen.roster[animal];
        format!("event:{id}|weight:{}|lid:{lid}", kilograms(weight_tenth_kg + gain_tenth_kg))
    }

    fn repair(&mut self, animal: usize) -> String {
        let id = self.event_id(3, "hxbrep");
        let reason = self.choose(REASONS);
        let new_lf = self.next_lf();
        let Animal { lid, lf, .. } = &mut self.pen.roster[animal];
        let old_lf = std::mem::replace(lf, new_lf);
        format!("event:{id}|old_lf:{old_lf}|new_lf:{lf}|lid:{lid}|reason:{reason}")
    }

    /// Returns the next event id of the station with this counter.
    fn event_id(&mut self, counter: usize, kind: &str) -> String {
        self.event_counters[counter] += 1;
        format!("{kind}{:012}", self.number(self.event_counters[counter]))
    }

    /// Returns a payload that no grammar of a barn accepts. Its number makes it unique.
    fn garbled(&mut self) -> Vec<u8> {
        self.malformed_so_far += 1;
        let n = self.number(self.malformed_so_far);
        let form = self.rng.random_range(0..8);
        let lot = &self.pen.lot;
        let text = match form {
            0 => format!("invalid:{n}"),
            1 => format!("hxb:{lot}:LF{n}"),
            2 => format!("hxb:{lot}:LF{n}:UHF{n}:X"),
            3 => format!("hxx:{lot}:LF{n}:UHF{n}"),
            4 => format!("hxb::LF{n}:UHF{n}"),
            5 => format!("event:hxbind|lid:{n}"),
            6 => return [&[0x80], n.to_le_bytes().as_slice()].concat(),
            _ => return [format!("hxb:{lot}:LF{n}:UHF").as_bytes(), &[0xFF]].concat(),
        };
        text.into_bytes()
    }
}

impl Iterator for Payloads {
    type Item = Vec<u8>;

    /// Returns the next payload, never `None`.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(visit) = self.pen.visits.pop_front() {
                self.returned += 1;
                return Some(self.read(visit));
            }
            self.open_next_pen();
        }
    }
}

fn kilograms(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
