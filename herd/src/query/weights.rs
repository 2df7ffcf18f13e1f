//! Weights of an animal.
//!
//! # Decisions
//!
//! - **A correction of a weight belongs to the event whose weight it replaces.** It no longer counts once that event is
//!   void, also if a person accepts the payload anew: then the payload counts as it was read.
//! - **If an era moves the event, the correction goes with it, as long as the animal is the same.** The tables say so: the fold
//!   copies the correction to the amendments of the move. A person corrected the weight of that animal, not of the other one.

use super::history::{HistoryCursor, Step, StepBody};
use super::{Page, PageLimit, QueryError, readable};
use crate::change::{AnimalId, Change, Correction, WeighingTime};
use crate::clock::WallTime;
use crate::payload::Grams;
use crate::position::Sequence;
use crate::store::Snapshot;
use serde::Serialize;

/// Maximum number of corrections of one weighing that are followed to find its time.
const MAX_REPLACED_WEIGHINGS: usize = 64;

/// Weight of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightView {
    /// Change that recorded it.
    pub sequence: Sequence,
    /// Time of the weighing by the barn's clock, ISO 8601 in UTC; `None` if that clock had never been set.
    pub received_at: Option<String>,
    /// `true` if that clock followed a time source at that time.
    pub clock_synchronized: bool,
    /// The weight.
    pub weight_kg: Grams,
    /// Weight in grams.
    pub weight_g: u32,
    /// Change of the weighing that a person corrected by this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Sequence>,
}

impl Step {
    /// Returns the weight that the step records. A voided event has none.
    fn weight_g(&self) -> Option<u32> {
        match &self.body {
            StepBody::Event(event) if event.voided_by.is_some() => None,
            StepBody::Event(event) => event.accepted.event.weight.grams(),
            StepBody::Correction(corrected) => match corrected.correction {
                Correction::Weigh { weight_g, .. } => Some(weight_g),
                _ => None,
            },
        }
    }

    /// Returns the weighing that a person corrected by this step.
    fn replaced_weighing(&self) -> Option<Sequence> {
        match &self.body {
            StepBody::Correction(corrected) => instead_of(&corrected.correction),
            StepBody::Event(_) => None,
        }
    }
}

fn instead_of(correction: &Correction) -> Option<Sequence> {
    match correction {
        Correction::Weigh { when: WeighingTime::InsteadOf(weighing), .. } => Some(*weighing),
        _ => None,
    }
}

impl Snapshot {
    /// Returns the weights of an animal in the order of their changes, latest first. That of an earlier day may be the latest
    /// change. Otherwise the same as [`Snapshot::history`].
    pub fn weights(
        &self,
        animal: AnimalId,
        from: Option<HistoryCursor>,
        limit: PageLimit,
    ) -> Result<Option<Page<WeightView, HistoryCursor>>, QueryError> {
        let Some(mut walk) = self.walk(animal, from)? else { return Ok(None) };
        let mut data = Vec::new();
        let mut steps = 0;
        while data.len() < limit.entries()
            && steps < limit.rows()
            && let Some(step) = walk.step()?
        {
            steps += 1;
            data.extend(self.weighing(&step)?);
        }
        Ok(Some(Page { data, next: walk.cursor() }))
    }

    /// Returns the weighing of a step, unless a later one has replaced it.
    fn weighing(&self, step: &Step) -> Result<Option<WeightView>, QueryError> {
        let Some(weight_g) = step.weight_g() else { return Ok(None) };
        if self.amendments(step.sequence)?.reweighed_by.is_some() {
            return Ok(None);
        }
        // As in a catalog, a weight of which nobody can say whether it counts is left out.
        Ok(readable(self.weighed_at(step.sequence))?.map(|at| WeightView {
            sequence: step.sequence,
            received_at: at.iso_utc(),
            clock_synchronized: at.synchronized,
            weight_kg: Grams(weight_g),
            weight_g,
            replaces: step.replaced_weighing(),
        }))
    }

    /// Returns the time of a weighing: for one that replaces another, that of the first of them. `None` if the event of that
    /// one no longer counts, unless it was moved into a reader era and has taken the correction with it.
    pub(crate) fn weighed_at(&self, weighing: Sequence) -> Result<Option<WallTime>, QueryError> {
        // The first weighing, and the correction that replaces that one itself.
        let (mut first, mut replaced_by) = (weighing, None);
        for _ in 0..MAX_REPLACED_WEIGHINGS {
            let Some(Change::Corrected(corrected)) = self.change(first)? else { break };
            match corrected.correction {
                Correction::Weigh { when: WeighingTime::At(at_us), .. } => {
                    return Ok(Some(WallTime { at_us, synchronized: true }));
                }
                // Only backwards: a damaged history that leads forwards would never end.
                Correction::Weigh { when: WeighingTime::InsteadOf(before), .. } if before < first => {
                    (first, replaced_by) = (before, Some(first));
                }
                _ => break,
            }
        }
        let Some(change) = self.change(first)? else { return Ok(None) };
        if let Some(by) = replaced_by
            && let Some(of) = change.payload_of_event(first)
            && !self.keeps_weight(of, first, by)?
        {
            return Ok(None);
        }
        self.happened_at(first)
    }

    /// Returns whether the correction `by` counts, which replaced the weight of the event that the change `event` made of the
    /// payload `of`.
    fn keeps_weight(&self, of: Sequence, event: Sequence, by: Sequence) -> Result<bool, QueryError> {
        let Some(now) = self.amendments(of)?.event_change(of) else { return Ok(false) };
        Ok(now == event || self.amendments(now)?.reweighed_by == Some(by))
    }
}
