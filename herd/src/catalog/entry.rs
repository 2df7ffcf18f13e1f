//! The entry of an animal, made of its row, its facts and the amendments of these.
//!
//! # Decisions
//!
//! - **Daily gain is the slope of the least squares line** through all weights. One bad weight then moves it less than it
//!   would move the line from the first to the last. Two weights give the same by both. Below a day there is no gain: the
//!   error of a scale would be multiplied.
//! - **A weight is odd if it differs from the one before by more than a tenth and 3 kg a day.** Gut fill is about 4 % of the
//!   weight of cattle, and no feed makes 3 kg a day over weeks. What is found is looked at by people; nothing is refused.
//! - **The last export is the one whose payload came last**, in the order of the log, or by times if both are known. A
//!   later change may accept, bring back or move an earlier one.

use super::columns::{Entry, Marks, NO_GAIN, NO_TIME, NO_WEIGHT};
use super::facts::Fact;
use super::labels::NO_LABEL;
use super::packed_text::{OtherTag, PackedText};
use super::{BatchLabel, Catalog, CatalogError, Weighing};
use crate::change::{AnimalId, AnimalStatus, BatchId, TagKind, TagState};
use crate::clock::WallTime;
use crate::fold::{Rows, is_outdated};
use crate::payload::{EventKind, SourceType, Tag};
use crate::position::Sequence;
use crate::query::{MAX_PAGE_ENTRIES, PageLimit, readable};
use crate::store::Snapshot;
use crate::tables::{Animal, Batch, number_key};

const SECOND_US: i64 = 1_000_000;
const DAY_S: i64 = 86_400;
/// Divisor of a weight: by this fraction of it, the next one may differ.
const ODD_DIVISOR: u32 = 10;
/// A weight may differ from the one before by this much more for each day between them.
const ODD_G_PER_DAY: i64 = 3_000;

/// The facts of an animal that stand: not voided, not replaced.
#[derive(Debug, Default)]
struct StandingFacts {
    /// By time, then by change.
    weighings: Vec<Weighing>,
    /// Time of the last export.
    exported: Option<WallTime>,
}

impl Catalog {
    /// Makes the entry of an animal anew.
    pub(super) fn refresh_entry(&mut self, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
        let row = snapshot.shared::<Animal>(&number_key(id))?;
        let place = self.place(id)?;
        let listed = row.filter(|row| row.absorbed_by().is_none() && row.state.status != AnimalStatus::Voided);
        let entry = match &listed {
            Some(row) => self.entry_of(snapshot, id, row)?,
            None => Entry::default(),
        };
        let others = listed.map(|row| OtherTag::of(&row.state.tags, &mut self.long_texts)).unwrap_or_default();
        if others.is_empty() {
            self.other_tags.remove(&id);
        } else {
            self.other_tags.insert(id, others);
        }
        let facts = self.columns.facts[place];
        self.set_entry(place, Entry { facts, ..entry });
        Ok(())
    }

    fn entry_of(&mut self, snapshot: &Snapshot, id: u64, row: &Animal) -> Result<Entry, CatalogError> {
        let StandingFacts { weighings, exported } = self.settle_facts(snapshot, id)?;
        let inducted = inducted(snapshot, AnimalId(id), row)?;
        let (state, traits) = (&row.state, &row.state.traits);
        let gain = daily_gain(&weighings);
        let mut marks = Marks::of_status(state.status);
        marks.set_if(Marks::UNCONFIRMED, state.tags.iter().any(|held| held.state == TagState::Unconfirmed));
        marks.set_if(Marks::ODD_WEIGHT, has_odd_weight(&weighings));
        marks.set_if(Marks::IN_LOT, state.barn_batch.is_some());
        marks.set_if(Marks::MERGED, self.merges.has_merged(id));
        marks.set_if(Marks::RETURNED, state.returned.is_some());
        marks.set_if(Marks::INDUCTED_DOUBTFUL, inducted.is_some_and(|at| !at.synchronized));
        marks.set_if(Marks::EXPORTED_DOUBTFUL, exported.is_some_and(|at| !at.synchronized));
        marks.set_if(Marks::SEEN_DOUBTFUL, !state.last_seen.synchronized);
        marks.set_if(Marks::GAIN_DOUBTFUL, gain.is_some_and(|(_, is_doubtful)| is_doubtful));
        let long_texts = &mut self.long_texts;
        let [lf, epc] =
            [TagKind::Lf, TagKind::Epc].map(|kind| PackedText::new(row.worn(kind).map(Tag::key), long_texts));
        marks.set_if(Marks::NO_LF, !lf.is_present());
        marks.set_if(Marks::NO_EPC, !epc.is_present());
        marks.set_if(Marks::NO_IDENTITY, !lf.is_identity());
        marks.set_if(Marks::NOT_WEIGHED, state.weight_g.is_none());
        // A time by a clock that had never been set is unknown. It stays marked as doubtful.
        let known = |at: Option<WallTime>| at.filter(|at| at.is_set()).map_or(NO_TIME, |at| at.at_us);
        Ok(Entry {
            marks,
            pens: self.pens.intern(traits.pen.as_deref()),
            lots: self.lot_of(snapshot, row)?,
            export_lots: state.export_batch.map_or(Ok(NO_LABEL), |batch| self.batch_number(snapshot, batch))?,
            funders: self.funders.intern(traits.funder.as_deref()),
            sexes: self.sexes.intern(traits.sex.as_deref()),
            inducted: known(inducted),
            exported: known(exported),
            seen: state.last_seen.at_us,
            grams: state.weight_g.unwrap_or(NO_WEIGHT),
            gains: gain.map_or(NO_GAIN, |(gain, _)| gain),
            lf,
            epc,
            visual: PackedText::new(traits.visual_id.as_deref(), &mut self.long_texts),
            ..Entry::default()
        })
    }

    /// Returns the number of the barn batch that an animal is in, or of the one that it left last.
    fn lot_of(&mut self, snapshot: &Snapshot, row: &Animal) -> Result<u32, CatalogError> {
        if let Some(batch) = row.state.barn_batch {
            return self.batch_number(snapshot, batch);
        }
        let mut left = None;
        for held in &row.state.memberships {
            let label = self.batch_label(snapshot, held.batch)?;
            if let Some(label) = label.filter(|label| label.is_barn) {
                left = left.max(Some((held.left, held.joined, held.batch, label.number)));
            }
        }
        Ok(left.map_or(NO_LABEL, |(.., number)| number))
    }

    fn batch_number(&mut self, snapshot: &Snapshot, id: BatchId) -> Result<u32, CatalogError> {
        Ok(self.batch_label(snapshot, id)?.map_or(NO_LABEL, |label| label.number))
    }

    /// Returns the label of a batch. Its source and number never change.
    fn batch_label(&mut self, snapshot: &Snapshot, id: BatchId) -> Result<Option<BatchLabel>, CatalogError> {
        if let Some(known) = self.batches.get(&id.0) {
            return Ok(Some(*known));
        }
        let Some(batch) = snapshot.shared::<Batch>(&number_key(id.0))? else { return Ok(None) };
        let number = self.lots.intern(Some(&batch.state.number));
        let label = BatchLabel { number, is_barn: batch.state.source == SourceType::Hxb };
        self.batches.insert(id.0, label);
        Ok(Some(label))
    }

    /// Looks up which facts of an animal stand, with those of the animals that were merged into it.
    fn settle_facts(&mut self, snapshot: &Snapshot, id: u64) -> Result<StandingFacts, CatalogError> {
        let places = self.merges.family(id).into_iter().filter_map(|id| self.columns.find(id));
        let mut facts: Vec<_> = places.flat_map(|place| self.facts.from(self.columns.facts[place])).collect();
        facts.sort_by_key(|(_, fact)| (fact.by(), fact.weight_g().is_some()));
        let mut standing = StandingFacts::default();
        let (mut exports, mut before) = (Vec::new(), None);
        for (number, fact) in facts {
            // The change that merged two animals is in the lists of both.
            let is_new = before.replace((fact.by(), fact.weight_g())) != Some((fact.by(), fact.weight_g()));
            let at = if is_new { self.standing_since(snapshot, &fact)? } else { None };
            self.facts.set_standing(number, at);
            match (at, fact.weight_g()) {
                (Some(at), Some(weight_g)) => standing.weighings.push(Weighing { by: fact.by(), at, weight_g }),
                (Some(at), None) => exports.push((self.facts.payload(&fact), at)),
                (None, _) => {}
            }
        }
        standing.exported = last_export(exports);
        if self.merges.family(id).iter().any(|id| self.voided.contains(id)) {
            standing.weighings = listed_weighings(snapshot, AnimalId(id))?;
            self.listed_weighings.insert(id, standing.weighings.as_slice().into());
        }
        standing.weighings.sort_by_key(|weighing| (weighing.at.at_us, weighing.by));
        Ok(standing)
    }

    /// Returns the time of a fact; `None` if it is void or replaced.
    fn standing_since(&self, snapshot: &Snapshot, fact: &Fact) -> Result<Option<WallTime>, CatalogError> {
        let (by, of) = (fact.by(), self.facts.payload(fact));
        if fact.is_of_event() && snapshot.amendments(of)?.end_of_event(of, by).is_some() {
            return Ok(None);
        }
        if fact.weight_g().is_some() && snapshot.amendments(by)?.reweighed_by.is_some() {
            return Ok(None);
        }
        Ok(if fact.replaces() { readable(snapshot.weighed_at(by))? } else { Some(fact.at()) })
    }
}

/// Returns the time of the last of some exports, each with the change that holds its payload.
fn last_export(mut exports: Vec<(Sequence, WallTime)>) -> Option<WallTime> {
    exports.sort_by_key(|(of, _)| *of);
    let times = exports.into_iter().map(|(_, at)| at);
    times.reduce(|last, next| if is_outdated(next, last) { last } else { next })
}

/// Returns the weighings of an animal as its history lists them.
fn listed_weighings(snapshot: &Snapshot, id: AnimalId) -> Result<Vec<Weighing>, CatalogError> {
    let (mut listed, mut from) = (Vec::new(), None);
    let limit = PageLimit::new(u64::from(MAX_PAGE_ENTRIES))?;
    while let Some(page) = readable(snapshot.weights(id, from, limit))? {
        for weight in page.data {
            let at = readable(snapshot.weighed_at(weight.sequence))?;
            listed.extend(at.map(|at| Weighing { by: weight.sequence, at, weight_g: weight.weight_g }));
        }
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    Ok(listed)
}

/// Returns the time of the first sighting. An animal that was first seen in an export was sighted when it came back.
fn inducted(snapshot: &Snapshot, id: AnimalId, row: &Animal) -> Result<Option<WallTime>, CatalogError> {
    let Some(first) = snapshot.first_sighting(id, row)? else { return Ok(None) };
    match (first.kind, row.state.returned) {
        (Some(EventKind::Export), Some(returned)) => Ok(readable(snapshot.happened_at(returned))?),
        (Some(EventKind::Export), None) => Ok(None),
        _ => Ok(Some(first.at)),
    }
}

/// Returns the daily gain in grams, and whether a clock was not synchronized.
fn daily_gain(weighings: &[Weighing]) -> Option<(i32, bool)> {
    let known: Vec<_> = weighings.iter().filter(|weighing| weighing.at.is_set()).collect();
    let start_us = known.first()?.at.at_us;
    let seconds = |weighing: &Weighing| i128::from(weighing.at.at_us.saturating_sub(start_us) / SECOND_US);
    if seconds(known.last()?) < i128::from(DAY_S) {
        return None;
    }
    let (mut x, mut y, mut xx, mut xy) = (0_i128, 0_i128, 0_i128, 0_i128);
    for weighing in &known {
        let (at, grams) = (seconds(weighing), i128::from(weighing.weight_g));
        (x, y, xx, xy) = (x + at, y + grams, xx + at * at, xy + at * grams);
    }
    let n = i128::try_from(known.len()).ok()?;
    let (rise, run) = ((n * xy - x * y) * i128::from(DAY_S), n * xx - x * x);
    // Rounded to the nearest gram, halves away from zero.
    let gain = (rise + rise.signum() * run / 2).checked_div(run)?;
    let is_doubtful = known.iter().any(|weighing| !weighing.at.synchronized);
    i32::try_from(gain).ok().filter(|gain| *gain != NO_GAIN).map(|gain| (gain, is_doubtful))
}

fn has_odd_weight(weighings: &[Weighing]) -> bool {
    weighings.windows(2).any(|pair| {
        let [one, other] = pair else { return false };
        let days = other.at.at_us.saturating_sub(one.at.at_us) / SECOND_US / DAY_S;
        let allowed =
            i64::from(one.weight_g / ODD_DIVISOR) + days.saturating_mul(ODD_G_PER_DAY).min(i64::from(u32::MAX));
        i64::from(one.weight_g.abs_diff(other.weight_g)) > allowed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::EARLIEST_US;

    const DAY_US: i64 = DAY_S * SECOND_US;

    fn weighing(day: i64, weight_g: u32) -> Weighing {
        let at = WallTime { at_us: EARLIEST_US + day * DAY_US, synchronized: true };
        Weighing { by: Sequence(1), at, weight_g }
    }

    fn gain(weights: &[(i64, u32)]) -> Option<i32> {
        let weighings: Vec<_> = weights.iter().map(|(day, weight_g)| weighing(*day, *weight_g)).collect();
        daily_gain(&weighings).map(|(gain, _)| gain)
    }

    #[test]
    fn gain_is_the_slope_of_the_least_squares_line() {
        assert_eq!(gain(&[(0, 200_000), (10, 214_200)]), Some(1_420));
        assert_eq!(gain(&[(0, 200_000), (10, 190_000)]), Some(-1_000));
        // From the first to the last it would be 2 kg.
        assert_eq!(gain(&[(0, 200_000), (10, 210_000), (20, 220_000), (30, 260_000)]), Some(1_900));
        assert_eq!(gain(&[(0, 200_000), (0, 201_000)]), None);
        assert_eq!(gain(&[(0, 200_000), (1, 201_000)]), Some(1_000), "a day is long enough");
        assert_eq!(gain(&[(0, 200_000), (2, 200_001)]), Some(1), "a half is rounded up");
        assert_eq!(gain(&[(0, 200_001), (2, 200_000)]), Some(-1), "or down");
        assert_eq!(gain(&[(0, 200_000), (3, 200_001)]), Some(0));
        assert_eq!(gain(&[(0, 200_000)]), None);
        assert_eq!(gain(&[]), None);
    }

    /// Catches a gain of a weighing on a day in 1970.
    #[test]
    fn a_clock_that_was_never_set_gives_no_gain() {
        let never = Weighing { at: WallTime { at_us: 5, synchronized: false }, ..weighing(0, 100_000) };
        assert_eq!(daily_gain(&[never, weighing(1, 200_000)]), None);
        let unsure = Weighing { at: WallTime { synchronized: false, ..weighing(2, 0).at }, ..weighing(2, 202_000) };
        assert_eq!(daily_gain(&[never, weighing(0, 200_000), unsure]), Some((1_000, true)));
    }

    #[test]
    fn a_weight_is_odd_if_no_animal_can_gain_or_lose_so_much() {
        let is_odd =
            |one: (i64, u32), other: (i64, u32)| has_odd_weight(&[weighing(one.0, one.1), weighing(other.0, other.1)]);
        assert!(is_odd((0, 245_000), (0, 310_000)));
        assert!(is_odd((0, 245_000), (2, 210_000)));
        assert!(!is_odd((0, 245_000), (0, 260_000)));
        assert!(!is_odd((0, 245_000), (60, 345_000)));
        for lighter in [false, true] {
            let to = |change: u32| if lighter { 250_000 - change } else { 250_000 + change };
            assert!(!is_odd((0, 250_000), (0, to(25_000))) && is_odd((0, 250_000), (0, to(25_001))), "a tenth");
            assert!(!is_odd((0, 250_000), (4, to(37_000))) && is_odd((0, 250_000), (4, to(37_001))), "and 3 kg a day");
        }
    }
}
