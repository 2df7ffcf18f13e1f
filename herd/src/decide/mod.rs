//! The source decides, once: a payload, the tables as they stand and the clock make a Change, or a duplicate.
//!
//! Everything that needs looking up, judging or measuring happens here and nowhere else; what comes out is written
//! into the Change, so that the fold needs neither grammar nor clock nor settings.

mod again;
mod batches;
mod correct;
mod identity;
mod repeats;

pub use again::decide_again;
pub use correct::{CorrectionDecision, CorrectionRequest, Refused, decide_correction};

use crate::change::{Accepted, AnimalId, Change, Origin, Outcome, Received, Rejected};
use crate::clock::ClockReading;
use crate::fold::{Rows, RowsError};
use crate::payload::{self, Event};
use crate::position::Sequence;
use crate::tables::{Animal, Table, number_key};
use std::cell::RefCell;
use std::rc::Rc;

/// The numbers that the judgement turns on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The same text within this time of the last kept one is a duplicate.
    pub repeat_window_ms: u64,
    /// An export batch that no export has named for this long is closed when it is named again.
    pub export_rest_ms: u64,
    /// Rejections kept of one channel in one hour since boot; those above are counted.
    pub rejections_per_hour: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { repeat_window_ms: 60_000, export_rest_ms: 24 * 3_600_000, rejections_per_hour: 10_000 }
    }
}

/// What became of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is kept.
    Keep(Change),
    /// The change `of` holds it already: no Change is made of it.
    Duplicate {
        /// Which.
        of: Sequence,
    },
    /// A rejection above the bound of its channel: counted, not kept.
    Suppress,
}

/// Reads back what was kept: where an event id recurs, and where a later change speaks of an earlier one.
pub trait History {
    /// The change `sequence`; none beyond the head, and none where this binary does not know it.
    fn change_at(&self, sequence: Sequence) -> Result<Option<Change>, RowsError>;

    /// The Received change `sequence`; none where there is no such change.
    fn received_at(&self, sequence: Sequence) -> Result<Option<Box<Received>>, RowsError> {
        Ok(match self.change_at(sequence)? {
            Some(Change::Received(received)) => Some(received),
            _ => None,
        })
    }
}

/// Judges one payload, which becomes the change `sequence` if it is kept.
pub fn decide<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    raw: &[u8],
    origin: &Origin,
    clock: ClockReading,
) -> Result<Decision, RowsError> {
    let text = payload::trimmed(raw);
    let mut origin = origin.clone();
    origin.reader_era = rows.read(Table::ReaderEras, origin.reader_group.as_bytes())?.unwrap_or(1);
    let judge = Judge::new(rows, rules, sequence, &origin, clock);

    let outcome = match payload::parse(raw) {
        Ok(event) => match judge.repeated_event(history, &event, text)? {
            Some(repeat) => repeat,
            None => judge.place(event)?,
        },
        Err(reason) => Verdict::Rejected(Rejected { reason, event_id: None }),
    };
    let (outcome, previous) = match outcome {
        Verdict::Duplicate { of } => return Ok(Decision::Duplicate { of }),
        Verdict::Accepted { accepted, previous } => (Outcome::Accepted(accepted), previous),
        Verdict::Rejected(rejected) => {
            if let Some(of) = judge.repeated_text(text)? {
                return Ok(Decision::Duplicate { of });
            }
            if judge.above_bound()? {
                return Ok(Decision::Suppress);
            }
            (Outcome::Rejected(rejected), Vec::new())
        }
    };
    let text_start = text.as_ptr() as usize - raw.as_ptr() as usize;
    Ok(Decision::Keep(Change::Received(Box::new(Received {
        raw: raw.to_vec(),
        text_start: u32::try_from(text_start).unwrap_or(0),
        text_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
        forget_through: judge.past_texts()?,
        origin,
        clock,
        outcome,
        previous,
    }))))
}

/// What the judge says of one payload.
enum Verdict {
    Duplicate { of: Sequence },
    Rejected(Rejected),
    Accepted { accepted: Box<Accepted>, previous: Vec<Previous> },
}

/// An animal that a change touches, and the change that touched it before.
type Previous = (AnimalId, Sequence);

/// Everything that one judgement looks at.
struct Judge<'a, R> {
    rows: &'a R,
    rules: &'a Rules,
    sequence: Sequence,
    origin: &'a Origin,
    clock: ClockReading,
    /// The animals read so far: lid, tags and batch mostly lead to the same one.
    animals: RefCell<Vec<(AnimalId, Option<Rc<Animal>>)>>,
}

impl<'a, R: Rows> Judge<'a, R> {
    fn new(rows: &'a R, rules: &'a Rules, sequence: Sequence, origin: &'a Origin, clock: ClockReading) -> Self {
        Self { rows, rules, sequence, origin, clock, animals: RefCell::default() }
    }

    /// Finds the animal and the batch of an event, or the reason why it has none.
    fn place(&self, event: Event) -> Result<Verdict, RowsError> {
        let resolved = match self.identify(&event)? {
            Ok(resolved) => resolved,
            Err(reason) => return Ok(Verdict::Rejected(Rejected { reason, event_id: event.id })),
        };
        let (accepted, previous) = self.placed(event, &resolved)?;
        Ok(Verdict::Accepted { accepted: Box::new(accepted), previous })
    }

    /// The event of the animal that was found for it.
    fn placed(&self, event: Event, resolved: &identity::Resolved) -> Result<(Accepted, Vec<Previous>), RowsError> {
        let batch = self.batch_named(&event)?;
        let mut previous = Vec::with_capacity(1);
        for id in [Some(resolved.animal), resolved.absorbed].into_iter().flatten() {
            let last = self.animal(id)?.map_or(Sequence::ZERO, |animal| animal.last);
            previous.push((id, last));
        }
        let identity::Resolved { animal, absorbed, lf, epc } = *resolved;
        Ok((Accepted { event, animal, absorbed, lf, epc, batch }, previous))
    }

    fn animal(&self, id: AnimalId) -> Result<Option<Rc<Animal>>, RowsError> {
        if id.0 == self.sequence.0 {
            return Ok(None);
        }
        if let Some((_, animal)) = self.animals.borrow().iter().find(|(read, _)| *read == id) {
            return Ok(animal.clone());
        }
        let animal = self.rows.read(Table::Animals, &number_key(id.0))?.map(Rc::new);
        self.animals.borrow_mut().push((id, animal.clone()));
        Ok(animal)
    }
}
