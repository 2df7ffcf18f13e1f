//! Corrections done to rows, and the history of an animal told anew without one of its events.

use crate::change::{Accepted, AnimalId, BatchUse, Change, Corrected, Correction, CorrectionResult, Origin, States};
use crate::clock::ClockReading;
use crate::decide::{Judge, Rules};
use crate::fold::{Folding, NoRows, Rows, RowsError, Staged, folded};
use crate::payload::Tag;
use crate::position::{Digest, Sequence};
use crate::tables::{Animal, Table, TagKind, number_key, tag_owner_key};
use std::collections::BTreeSet;

/// Does to the rows what the correction says. `to` is the batch that it moves an animal to.
pub(super) fn edit<B: Rows>(
    fold: &mut Folding<'_, B>,
    correction: &Correction,
    to: Option<BatchUse>,
) -> Result<(), RowsError> {
    match correction {
        Correction::Merge { animal, absorbed } => fold.merge(*animal, *absorbed),
        Correction::Retag { animal, kind, tag } => fold.retag(*animal, *kind, tag.as_ref()),
        Correction::MovePen { animal, pen } => fold.move_pen(*animal, pen),
        Correction::MoveBatch { animal, batch_number } => {
            to.map_or(Ok(()), |to| fold.move_batch(*animal, to, batch_number))
        }
        Correction::Weigh { animal, weight_g } => fold.weigh(*animal, *weight_g),
        Correction::Died { animal } => fold.died(*animal),
        Correction::CloseBatch { batch } => fold.close_batch(*batch),
        Correction::EditBatch { batch, notes } => fold.note_batch(*batch, notes.as_deref()),
        Correction::Void { .. } | Correction::AcceptRejected { .. } | Correction::NewReaderEra { .. } => Ok(()),
    }
}

/// Rows that know nothing but the animals whose history is told on them.
pub(super) struct Retold<'a, R> {
    pub(super) rows: Staged<NoRows>,
    /// The rows as they are, for who else has a tag.
    pub(super) beneath: &'a R,
    pub(super) rules: &'a Rules,
    /// The animals whose history is told.
    pub(super) family: &'a BTreeSet<AnimalId>,
}

impl<'a, R: Rows> Retold<'a, R> {
    pub(super) fn new(beneath: &'a R, rules: &'a Rules, family: &'a BTreeSet<AnimalId>) -> Self {
        let rows = Staged::new(NoRows, Sequence::ZERO, Digest([0; 32]));
        Self { rows, beneath, rules, family }
    }

    /// Tells one change of the history.
    pub(super) fn tell(&mut self, sequence: Sequence, change: &Change) -> Result<(), RowsError> {
        let clock = change.clock();
        match change {
            Change::Received(received) => {
                if let crate::change::Outcome::Accepted(accepted) = &received.outcome {
                    let accepted = self.judged_anew(sequence, &received.origin, clock, accepted)?;
                    folded(&mut self.rows, sequence, clock, |fold| fold.accepted(&received.origin, &accepted))?;
                }
            }
            Change::Reprocessed(body) => self.tell_late(sequence, &body.event, clock)?,
            Change::Corrected(corrected) => match &corrected.result {
                CorrectionResult::Accepted(event) => self.tell_late(sequence, event, clock)?,
                // An animal is made by what was read of it, never by a correction.
                CorrectionResult::States(states) if self.is_made_still(&corrected.correction)? => {
                    let to = batch_moved_to(corrected, states);
                    folded(&mut self.rows, sequence, clock, |fold| edit(fold, &corrected.correction, to))?;
                }
                // The states that a void left are those that are told here; that it touched the animals, a merge looks at.
                CorrectionResult::States(_) if matches!(corrected.correction, Correction::Void { .. }) => {
                    folded(&mut self.rows, sequence, clock, |fold| fold.touch(&corrected.previous))?;
                }
                CorrectionResult::States(_) | CorrectionResult::ReaderEra { .. } => {}
            },
            Change::Epoch(_) | Change::Suppressed(_) => {}
        }
        self.rows.end_change(sequence);
        Ok(())
    }

    fn tell_late(
        &mut self,
        sequence: Sequence,
        event: &crate::change::LateEvent,
        clock: ClockReading,
    ) -> Result<(), RowsError> {
        let accepted = self.judged_anew(sequence, &event.origin, clock, &event.accepted)?;
        folded(&mut self.rows, sequence, clock, |fold| fold.told_late(&event.received, &event.origin, &accepted))
    }

    /// The event as it was placed then, but for what its tags are to the animal, whether they still show that another
    /// is the same one, and whether an old tag is still that animal's to lose: that hangs on the events before it.
    fn judged_anew(
        &self,
        sequence: Sequence,
        origin: &Origin,
        clock: ClockReading,
        accepted: &Accepted,
    ) -> Result<Accepted, RowsError> {
        let judge = Judge::new(&self.rows, self.rules, sequence, origin, clock);
        let (animal, mut event) = (accepted.animal, accepted.event.clone());
        let owners = (self.owner(TagKind::Lf, event.lf.as_ref())?, self.owner(TagKind::Epc, event.epc.as_ref())?);
        let absorbed = match accepted.absorbed.filter(|other| [owners.0, owners.1].contains(&Some(*other))) {
            Some(other) if judge.animal(other)?.is_some() => Some(other),
            _ => None,
        };
        let (lf, epc) = judge.tag_uses(&event, owners, animal, absorbed)?;
        for (kind, old) in [(TagKind::Lf, &mut event.old_lf), (TagKind::Epc, &mut event.old_epc)] {
            let owner = self.owner(kind, old.as_ref())?;
            old.take_if(|_| owner.is_some_and(|owner| owner != animal && Some(owner) != absorbed));
        }
        Ok(Accepted { event, absorbed, lf, epc, ..accepted.clone() })
    }

    /// Whose tag it is: by what was told so far, or somebody's whose history is not told here.
    fn owner(&self, kind: TagKind, tag: Option<&Tag>) -> Result<Option<AnimalId>, RowsError> {
        let Some(tag) = tag else { return Ok(None) };
        let key = tag_owner_key(kind, tag.key());
        if let Some(owner) = self.rows.read::<AnimalId>(Table::TagOwners, &key)? {
            return Ok(Some(owner));
        }
        let outside = self.beneath.read::<AnimalId>(Table::TagOwners, &key)?;
        Ok(outside.filter(|owner| !self.family.contains(owner)))
    }

    /// Whether the correction would be made still: of an animal that was told of so far, and of nobody else's tag.
    fn is_made_still(&self, correction: &Correction) -> Result<bool, RowsError> {
        let is_told = |animal: &AnimalId| Ok(self.animal(*animal)?.is_some());
        match correction {
            Correction::Merge { animal, absorbed } => Ok(is_told(animal)? || is_told(absorbed)?),
            Correction::Retag { animal, kind, tag } => {
                let owner = self.owner(*kind, tag.as_ref())?;
                Ok(is_told(animal)? && owner.is_none_or(|owner| owner == *animal))
            }
            Correction::MovePen { animal, .. }
            | Correction::MoveBatch { animal, .. }
            | Correction::Weigh { animal, .. }
            | Correction::Died { animal } => is_told(animal),
            Correction::Void { .. }
            | Correction::CloseBatch { .. }
            | Correction::EditBatch { .. }
            | Correction::AcceptRejected { .. }
            | Correction::NewReaderEra { .. } => Ok(false),
        }
    }

    /// The row as it was told.
    pub(super) fn animal(&self, id: AnimalId) -> Result<Option<Animal>, RowsError> {
        self.rows.read(Table::Animals, &number_key(id.0))
    }
}

/// The batch that a correction moved its animal to.
fn batch_moved_to(corrected: &Corrected, states: &States) -> Option<BatchUse> {
    let Correction::MoveBatch { animal, .. } = &corrected.correction else { return None };
    let state = states.animals.iter().find(|state| state.animal == *animal)?;
    state.barn_batch.map(|batch| BatchUse { batch, closes: None })
}
