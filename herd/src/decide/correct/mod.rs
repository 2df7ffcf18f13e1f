//! Corrections: the source decides once what a correction leaves, and writes that down.
//!
//! # Decisions
//!
//! - **A correction is made on rows that are thrown away, and the difference is written into the Change.** The fold puts
//!   the stored states down and works nothing out. If the fold worked them out, a later rule would give an old correction
//!   another meaning. Inverse steps instead of states would need one for every kind of event.
//! - **A Change keeps the whole state, and `previous` for each animal it touches.** A history table would cost a write
//!   with every event; following `previous` costs only readers of a history.
//! - **The states in a Change are frozen.** Rows contain them today. If rows get another shape with a later fold, they get
//!   types of their own; a stored Change may not change.
//! - **An idempotency key is kept forever.** The same order again is a duplicate; another order under it is refused.

mod accept;
mod batch_states;
mod dry_run;
mod era_move;
mod error;
mod insertion;
mod replay;
mod rewrite;
mod rewrite_ranges;
mod void;
mod weighings;

pub(super) use era_move::era_of;
pub use era_move::{decide_era_move, end_of_era_moves, leave_payload};
pub use error::CorrectionError;

use super::{History, Judge, Previous, Rules};
use crate::change::{AnimalId, AnimalStatus, BatchId, Change, Corrected, Correction, CorrectionResult, Origin};
use crate::clock::ClockReading;
use crate::fold::{KeyRange, Rows, RowsError};
use crate::payload::{SourceType, Tag};
use crate::position::Sequence;
use crate::tables::{
    Animal, Batch, CorrectionKey, ReaderEra, Table, TagKind, TagOwner, after_prefix, number_key, reader_group_prefix,
    tag_owner_key,
};
use dry_run::{DryRun, dry_run};
use std::sync::Arc;
use weighings::placed_weighing;

/// A correction as requested, with trimmed and bounded texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectionRequest {
    /// Name that the author gave.
    pub author: String,
    /// Reason for the correction.
    pub reason: String,
    /// Key under which the correction is made only once.
    pub idempotency_key: String,
    /// HTTP key or control socket that the request came through.
    pub channel: String,
    /// The correction.
    pub correction: Correction,
}

/// The decision about a correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrectionDecision {
    /// Record this change.
    Keep(Box<Corrected>),
    /// The same correction is already recorded.
    Duplicate {
        /// The change that holds it.
        of: Sequence,
    },
    /// The correction is not possible.
    Refused(CorrectionError),
}

/// The result of a correction, and the animals that it touches.
type CorrectionEffect = (CorrectionResult, Vec<Previous>);

/// Why a correction has no outcome.
enum DecideError {
    /// The correction is refused.
    Refused(CorrectionError),
    /// The tables or the log could not be read.
    Rows(RowsError),
}

impl From<CorrectionError> for DecideError {
    fn from(refusal: CorrectionError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RowsError> for DecideError {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

/// Decides about a correction, which becomes the change `sequence` if it is recorded.
pub fn decide_correction<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    request: &CorrectionRequest,
    clock: ClockReading,
) -> Result<CorrectionDecision, RowsError> {
    if let Some(CorrectionKey(of)) = rows.read(&request.idempotency_key.as_str().into())? {
        return Ok(match history.change_at(of)? {
            Some(Change::Corrected(before)) if is_same(&before, request) => CorrectionDecision::Duplicate { of },
            _ => CorrectionDecision::Refused(CorrectionError::KeyReused { key: request.idempotency_key.clone(), of }),
        });
    }
    let nowhere = Origin::default();
    let judge = Judge::new(rows, rules, sequence, &nowhere, clock);
    match judge.correction(history, &request.correction) {
        Err(DecideError::Rows(error)) => Err(error),
        Err(DecideError::Refused(refusal)) => Ok(CorrectionDecision::Refused(refusal)),
        Ok((result, previous)) => Ok(CorrectionDecision::Keep(Box::new(Corrected {
            author: request.author.clone(),
            reason: request.reason.clone(),
            idempotency_key: request.idempotency_key.clone(),
            channel: request.channel.clone(),
            clock,
            correction: request.correction.clone(),
            result,
            previous,
        }))),
    }
}

fn is_same(before: &Corrected, request: &CorrectionRequest) -> bool {
    (&before.author, &before.reason, &before.correction) == (&request.author, &request.reason, &request.correction)
}

impl<R: Rows> Judge<'_, R> {
    fn correction(&self, history: &impl History, correction: &Correction) -> Result<CorrectionEffect, DecideError> {
        match correction {
            Correction::Void { sequence } => self.void(history, *sequence),
            Correction::AcceptRejected { sequence, animal, batch_number } => {
                self.accept(history, *sequence, *animal, batch_number.as_deref())
            }
            Correction::NewReaderEra { reader_group, from } => self.new_reader_era(reader_group, *from),
            other => {
                self.check_possible(other)?;
                if let Correction::Weigh { animal, weight_g, when } = other {
                    self.check_weighing_time(history, *animal, *when)?;
                    let when = placed_weighing(history, *when)?;
                    return self.edit(&Correction::Weigh { animal: *animal, weight_g: *weight_g, when });
                }
                self.edit(other)
            }
        }
    }

    /// Checks that the correction's animals and batches exist and may be corrected in this way.
    fn check_possible(&self, correction: &Correction) -> Result<(), DecideError> {
        match correction {
            Correction::Merge { animal, absorbed } => {
                if animal == absorbed {
                    return Err(CorrectionError::MergeWithItself(*animal).into());
                }
                self.known(*animal)?;
                self.known(*absorbed)?;
            }
            Correction::Retag { animal, kind, tag } => {
                self.check_on_yard(*animal)?;
                self.check_retag(*animal, *kind, tag.as_ref())?;
            }
            Correction::MovePen { animal, .. }
            | Correction::MoveBatch { animal, .. }
            | Correction::Weigh { animal, .. }
            | Correction::Died { animal } => self.check_on_yard(*animal)?,
            Correction::CloseBatch { batch } => {
                if let Some(by) = self.batch(*batch)?.state.closed {
                    return Err(CorrectionError::BatchClosed { batch: *batch, by }.into());
                }
            }
            Correction::EditBatch { batch, .. } => drop(self.batch(*batch)?),
            Correction::Void { .. } | Correction::AcceptRejected { .. } | Correction::NewReaderEra { .. } => {}
        }
        Ok(())
    }

    /// Checks that the tag is not another animal's, and that the animal does not wear it already.
    fn check_retag(&self, animal: AnimalId, kind: TagKind, tag: Option<&Tag>) -> Result<(), DecideError> {
        if let Some(tag) = tag
            && let Some(TagOwner(owner)) = self.rows.read(&tag_owner_key(kind, tag.key()))?
            && owner != animal
        {
            return Err(CorrectionError::TagOfAnother { tag: tag.text().to_owned(), owner }.into());
        }
        if self.tag_worn(animal, kind)? == tag.map(|tag| tag.key().to_owned()) {
            return Err(CorrectionError::NothingToChange.into());
        }
        Ok(())
    }

    fn tag_worn(&self, animal: AnimalId, kind: TagKind) -> Result<Option<String>, RowsError> {
        Ok(self.animal(animal)?.and_then(|row| row.worn(kind).map(|tag| tag.key().to_owned())))
    }

    /// Makes the correction in a dry run, and returns what it leaves.
    fn edit(&self, correction: &Correction) -> Result<CorrectionEffect, DecideError> {
        let to = match correction {
            Correction::MoveBatch { animal, batch_number } => {
                let to = self.batch_of(SourceType::Hxb, batch_number)?;
                if self.animal(*animal)?.is_some_and(|animal| animal.state.barn_batch == Some(to.batch)) {
                    return Err(CorrectionError::NothingToChange.into());
                }
                Some(to)
            }
            _ => None,
        };
        let DryRun { mut states, mut previous } =
            dry_run(self.rows, self.sequence, self.clock, |fold| replay::edit(fold, correction, to))?;
        if let Correction::Weigh { animal, .. } = correction
            && states.animals.is_empty()
        {
            // A weight of an earlier day leaves the animal as it is. It belongs into the animal's history.
            let row = self.known(*animal)?;
            previous.push((*animal, row.last));
            states.animals.push(row.state.clone());
        }
        if states.animals.is_empty() && states.batches.is_empty() {
            return Err(CorrectionError::NothingToChange.into());
        }
        Ok((CorrectionResult::States(Box::new(states)), previous))
    }

    fn new_reader_era(&self, reader_group: &str, first: Option<Sequence>) -> Result<CorrectionEffect, DecideError> {
        if let Some(first) = first.filter(|first| !(Sequence(1)..self.sequence).contains(first)) {
            return Err(CorrectionError::UnknownPayload(first).into());
        }
        let era = self.rows.read::<ReaderEra>(&reader_group.into())?.map_or(1, |era| era.0);
        let from = reader_group_prefix(reader_group);
        let to = after_prefix(&from);
        let of_group = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: 1 };
        if self.rows.range(Table::Counters, of_group)?.is_empty() {
            return Err(CorrectionError::UnknownReaderGroup(reader_group.to_owned()).into());
        }
        let reader_group = reader_group.to_owned();
        Ok((CorrectionResult::ReaderEra { reader_group, reader_era: era.saturating_add(1) }, Vec::new()))
    }

    /// Returns the animal. It must exist, and must not be merged into another.
    fn known(&self, id: AnimalId) -> Result<Arc<Animal>, DecideError> {
        let animal = self.animal(id)?.ok_or(CorrectionError::UnknownAnimal(id))?;
        match animal.absorbed_by() {
            Some(by) => Err(CorrectionError::AbsorbedAnimal { animal: id, by }.into()),
            None if animal.state.status == AnimalStatus::Voided => Err(CorrectionError::UnknownAnimal(id).into()),
            None => Ok(animal),
        }
    }

    fn check_on_yard(&self, id: AnimalId) -> Result<(), DecideError> {
        match self.known(id)?.state.status {
            AnimalStatus::Active => Ok(()),
            status => Err(CorrectionError::NotOnYard { animal: id, status }.into()),
        }
    }

    fn batch(&self, id: BatchId) -> Result<Arc<Batch>, DecideError> {
        Ok(self.rows.shared(&number_key(id.0))?.ok_or(CorrectionError::UnknownBatch(id))?)
    }
}
