//! Corrections: the source decides once what a correction leaves, and writes that down.
//!
//! A correction is tried out on rows that are thrown away. What differs then from the rows as they are goes into the
//! Change whole, so that the fold has nothing to work out and no later rule can give it another meaning.

mod accept;
mod refused;
mod replay;
mod tried;
mod void;

pub use refused::Refused;

use super::{History, Judge, Previous, Rules};
use crate::change::{AnimalId, AnimalStatus, BatchId, Change, Corrected, Correction, CorrectionResult, Origin};
use crate::clock::ClockReading;
use crate::fold::{KeyRange, Rows, RowsError};
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::tables::{Animal, Batch, Table, TagKind, after_prefix, number_key, reader_key, tag_owner_key};
use tried::{Tried, tried_out};

/// What an operator asks for, its texts trimmed and bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectionRequest {
    /// Who, as they call themselves.
    pub author: String,
    /// Why.
    pub reason: String,
    /// The same one again makes no second change.
    pub idempotency_key: String,
    /// What it came through.
    pub channel: String,
    /// What is to be corrected.
    pub correction: Correction,
}

/// What became of a correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrectionDecision {
    /// It is kept.
    Keep(Box<Corrected>),
    /// The change `of` is this very correction.
    Again {
        /// Which.
        of: Sequence,
    },
    /// It cannot be.
    Refused(Refused),
}

/// A verdict on a correction: what it leaves, and whom it touches.
type Judged = Result<Result<(CorrectionResult, Vec<Previous>), Refused>, RowsError>;

/// Judges one correction, which becomes the change `sequence` if it is kept.
pub fn decide_correction<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    request: &CorrectionRequest,
    clock: ClockReading,
) -> Result<CorrectionDecision, RowsError> {
    if let Some(of) = rows.read::<Sequence>(Table::CorrectionKeys, request.idempotency_key.as_bytes())? {
        return Ok(match history.change_at(of)? {
            Some(Change::Corrected(before)) if is_same(&before, request) => CorrectionDecision::Again { of },
            _ => CorrectionDecision::Refused(Refused::KeyReused { key: request.idempotency_key.clone(), of }),
        });
    }
    let nowhere = Origin::default();
    let judge = Judge::new(rows, rules, sequence, &nowhere, clock);
    Ok(match judge.correction(history, &request.correction)? {
        Err(refused) => CorrectionDecision::Refused(refused),
        Ok((result, previous)) => CorrectionDecision::Keep(Box::new(Corrected {
            author: request.author.clone(),
            reason: request.reason.clone(),
            idempotency_key: request.idempotency_key.clone(),
            channel: request.channel.clone(),
            clock,
            correction: request.correction.clone(),
            result,
            previous,
        })),
    })
}

fn is_same(before: &Corrected, request: &CorrectionRequest) -> bool {
    (&before.author, &before.reason, &before.correction) == (&request.author, &request.reason, &request.correction)
}

/// Gives back the refusal, where there is one.
macro_rules! or_refuse {
    ($judged:expr) => {
        match $judged {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}
pub(super) use or_refuse;

impl<R: Rows> Judge<'_, R> {
    fn correction(&self, history: &impl History, correction: &Correction) -> Judged {
        match correction {
            Correction::Void { sequence } => self.void(history, *sequence),
            Correction::AcceptRejected { sequence, animal } => self.accept(history, *sequence, *animal),
            Correction::NewReaderEra { reader_group } => self.new_reader_era(reader_group),
            other => {
                or_refuse!(self.may_be(other)?);
                self.tried(other)
            }
        }
    }

    /// Whether what the correction names is there and may be corrected so.
    fn may_be(&self, correction: &Correction) -> Result<Result<(), Refused>, RowsError> {
        Ok(match correction {
            Correction::Merge { animal, absorbed } if animal == absorbed => Err(Refused::MergeWithItself(*animal)),
            Correction::Merge { animal, absorbed } => match self.known(*animal)? {
                Ok(_) => self.known(*absorbed)?.map(|_| ()),
                Err(refused) => Err(refused),
            },
            Correction::Retag { animal, kind, tag } => {
                or_refuse!(self.on_yard(*animal)?);
                let key = tag.as_ref().map(|tag| tag_owner_key(*kind, tag.key()));
                let owner = key.map_or(Ok(None), |key| self.rows.read::<AnimalId>(Table::TagOwners, &key))?;
                match (owner.filter(|owner| owner != animal), tag) {
                    (Some(owner), Some(tag)) => Err(Refused::TagOfAnother { tag: tag.text().to_owned(), owner }),
                    _ if self.wears(*animal, *kind)? == tag.as_ref().map(|tag| tag.key().to_owned()) => {
                        Err(Refused::NothingToChange)
                    }
                    _ => Ok(()),
                }
            }
            Correction::MovePen { animal, .. }
            | Correction::MoveBatch { animal, .. }
            | Correction::Weigh { animal, .. }
            | Correction::Died { animal } => self.on_yard(*animal)?,
            Correction::CloseBatch { batch } => match self.batch(*batch)? {
                Ok(Batch { closed: Some(by), .. }) => Err(Refused::BatchClosed { batch: *batch, by }),
                found => found.map(|_| ()),
            },
            Correction::EditBatch { batch, .. } => self.batch(*batch)?.map(|_| ()),
            Correction::Void { .. } | Correction::AcceptRejected { .. } | Correction::NewReaderEra { .. } => Ok(()),
        })
    }

    fn wears(&self, animal: AnimalId, kind: TagKind) -> Result<Option<String>, RowsError> {
        let row = self.animal(animal)?.unwrap_or_default();
        let worn = if kind == TagKind::Lf { &row.lf } else { &row.epc };
        Ok(worn.as_ref().map(|tag| tag.key().to_owned()))
    }

    /// Tries the correction out, and tells what it leaves.
    fn tried(&self, correction: &Correction) -> Judged {
        let to = match correction {
            Correction::MoveBatch { animal, batch_number } => {
                let to = self.batch_of(SourceType::Hxb, batch_number)?;
                if self.animal(*animal)?.is_some_and(|animal| animal.barn_batch == Some(to.batch)) {
                    return Ok(Err(Refused::NothingToChange));
                }
                Some(to)
            }
            _ => None,
        };
        let Tried { states, previous } =
            tried_out(self.rows, self.sequence, self.clock, |fold| replay::edit(fold, correction, to))?;
        if states.animals.is_empty() && states.batches.is_empty() {
            return Ok(Err(Refused::NothingToChange));
        }
        Ok(Ok((CorrectionResult::States(Box::new(states)), previous)))
    }

    fn new_reader_era(&self, reader_group: &str) -> Judged {
        let era: u32 = self.rows.read(Table::ReaderEras, reader_group.as_bytes())?.unwrap_or(1);
        let mut from = reader_key(reader_group, 0, "");
        from.truncate(from.len() - 4);
        let to = after_prefix(&from);
        let heard = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: 1 };
        if self.rows.range(Table::Counters, heard)?.is_empty() {
            return Ok(Err(Refused::UnknownReaderGroup(reader_group.to_owned())));
        }
        let reader_group = reader_group.to_owned();
        Ok(Ok((CorrectionResult::ReaderEra { reader_group, reader_era: era.saturating_add(1) }, Vec::new())))
    }

    /// The animal, if there is one and it is no other.
    fn known(&self, id: AnimalId) -> Result<Result<std::rc::Rc<Animal>, Refused>, RowsError> {
        Ok(match self.animal(id)? {
            None => Err(Refused::UnknownAnimal(id)),
            Some(animal) => match animal.absorbed_by {
                Some(by) => Err(Refused::AbsorbedAnimal { animal: id, by }),
                None if animal.status == AnimalStatus::Voided => Err(Refused::UnknownAnimal(id)),
                None => Ok(animal),
            },
        })
    }

    fn on_yard(&self, id: AnimalId) -> Result<Result<(), Refused>, RowsError> {
        Ok(self.known(id)?.and_then(|animal| match animal.status {
            AnimalStatus::Active => Ok(()),
            status => Err(Refused::NotOnYard { animal: id, status }),
        }))
    }

    fn batch(&self, id: BatchId) -> Result<Result<Batch, Refused>, RowsError> {
        let row: Option<Batch> = self.rows.read(Table::Batches, &number_key(id.0))?;
        Ok(row.ok_or(Refused::UnknownBatch(id)))
    }
}
