//! Decisions of the source: a payload, the tables and the clock make a Change, or show that the payload is a duplicate.
//!
//! All look-ups, judgments and measurements happen here and nowhere else. The result is written into the Change, so the
//! fold needs no grammar, clock or settings.
//!
//! # Decisions
//!
//! - **Event ids and lids are unique within (reader group, reader era).** Ids for all time would not work: a replaced
//!   reader counts from 1 again.
//! - **An event id that recurs is compared with the stored text, through the log.** A hash for each event id would cost
//!   bytes forever, for something that is rare.
//! - **Ids of animals and batches are the sequence of the change that made them.** A counter would be another row, and
//!   a UUID would put randomness into a decision.
//! - **A change carries `forget_through`, up to which texts are past the repeat window.** Forgetting by the clock alone would
//!   be a decision outside the log.
//! - **No payload is ever "received" or "processing".** Both would mean "not decided yet", and here receipt and decision
//!   are one commit.

mod batches;
mod correct;
mod identity;
mod readmit;
mod repeats;
mod reprocess;
mod texts;

pub use correct::{
    CorrectionDecision, CorrectionError, CorrectionRequest, decide_correction, decide_era_move, end_of_era_moves,
    leave_payload,
};
pub use readmit::{LostPayload, decide_readmission};
pub use reprocess::decide_reprocess;
pub use texts::{MAX_WINDOW_TEXTS, TextWindow};

use crate::change::{AnimalId, Change, Origin, Outcome, PlacedEvent, Received, RejectedPayload};
use crate::clock::ClockReading;
use crate::fold::{Rows, RowsError};
use crate::payload::{self, Event, ParsedPayload, Supplement, WeightUnit};
use crate::position::Sequence;
use crate::tables::{Animal, ReaderEra, number_key};
use identity::{Identity, PlaceError};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Limits that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Repeat window: an equal text within this time of the last recorded one is a duplicate.
    pub repeat_window_ms: u64,
    /// An export batch that no export has named for this long is closed by the next export that names it.
    pub export_rest_ms: u64,
    /// Maximum number of rejections recorded per channel and hour since boot. Further ones are only counted.
    pub rejections_per_hour: u32,
    /// Reader groups whose weights are in pounds if they are numbers alone. Those of all others are in kilograms.
    pub pound_groups: BTreeSet<String>,
}

impl Rules {
    /// Returns the unit of weights that this reader group sends as numbers alone.
    fn weight_unit(&self, reader_group: &str) -> WeightUnit {
        if self.pound_groups.contains(reader_group) { WeightUnit::Lb } else { WeightUnit::Kg }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            repeat_window_ms: 60_000,
            export_rest_ms: 24 * 3_600_000,
            rejections_per_hour: 10_000,
            pound_groups: BTreeSet::new(),
        }
    }
}

/// The decision about a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Record this change.
    Keep(Change),
    /// The payload is already recorded, so no change is made.
    Duplicate {
        /// The change that holds the payload.
        of: Sequence,
    },
    /// The payload is a rejection above the limit of its channel: count it, do not record it.
    Suppress,
}

/// Read access to earlier changes.
///
/// Needed if an event id recurs, and if a change refers to an earlier one.
pub trait History {
    /// Returns a change, or `None` if it is past the head or of a kind that this binary does not know.
    fn change_at(&self, sequence: Sequence) -> Result<Option<Change>, RowsError>;

    /// Returns the texts that were recorded lately.
    fn recent_texts(&self) -> &TextWindow;

    /// Returns a change if it is a Received change.
    fn received_at(&self, sequence: Sequence) -> Result<Option<Box<Received>>, RowsError> {
        Ok(match self.change_at(sequence)? {
            Some(Change::Received(received)) => Some(received),
            _ => None,
        })
    }
}

/// Decides about a payload, which becomes the change `sequence` if it is recorded.
pub fn decide<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    raw: &[u8],
    origin: &Origin,
    clock: ClockReading,
) -> Result<Decision, RowsError> {
    let known = Supplement { weight_unit: rules.weight_unit(&origin.reader_group), ..Supplement::default() };
    let ParsedPayload { text: range, outcome } = payload::parse_with(raw, &known);
    let text = &raw[range.clone()];
    let mut origin = origin.clone();
    origin.reader_era = rows.read::<ReaderEra>(&origin.reader_group.as_str().into())?.map_or(1, |era| era.0);
    let judge = Judge::new(rows, rules, sequence, &origin, clock);

    let outcome = match outcome {
        Ok(event) => match judge.repeated_event(history, &event, text)? {
            Some(repeat) => repeat,
            None => judge.place(event)?,
        },
        Err(reason) => Verdict::Rejected(RejectedPayload { reason, event_id: None }),
    };
    let (outcome, previous) = match outcome {
        Verdict::Duplicate { of } => return Ok(Decision::Duplicate { of }),
        Verdict::Accepted { accepted, previous } => (Outcome::Accepted(accepted), previous),
        Verdict::Rejected(rejected) => {
            if let Some(of) = judge.repeated_text(history, text) {
                return Ok(Decision::Duplicate { of });
            }
            if judge.is_above_limit()? {
                return Ok(Decision::Suppress);
            }
            (Outcome::Rejected(rejected), Vec::new())
        }
    };
    let forget_through = judge.past_texts(history);
    let mut change = received(raw, range, origin, clock, outcome, previous);
    change.forget_through = forget_through;
    Ok(Decision::Keep(Change::Received(change)))
}

/// Makes the body of a Received change.
fn received(
    raw: &[u8],
    text: Range<usize>,
    origin: Origin,
    clock: ClockReading,
    outcome: Outcome,
    previous: Vec<Previous>,
) -> Box<Received> {
    Box::new(Received {
        raw: raw.to_vec(),
        text_start: u32::try_from(text.start).unwrap_or(0),
        text_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
        origin,
        clock,
        outcome,
        forget_through: Sequence::ZERO,
        previous,
        readmission: None,
    })
}

/// The outcome of judging an event, before it becomes a change.
enum Verdict {
    Duplicate { of: Sequence },
    Rejected(RejectedPayload),
    Accepted { accepted: Box<PlacedEvent>, previous: Vec<Previous> },
}

/// An animal that a change touches, and the change that touched it before (0 for a new animal).
type Previous = (AnimalId, Sequence);

/// Inputs of one decision.
struct Judge<'a, R> {
    rows: &'a R,
    rules: &'a Rules,
    sequence: Sequence,
    origin: &'a Origin,
    clock: ClockReading,
    /// The animal that was read last. The rows stay as they are while a decision looks at them, and most decisions ask for
    /// one animal several times.
    last_read: RefCell<Option<(AnimalId, Arc<Animal>)>>,
}

impl<'a, R: Rows> Judge<'a, R> {
    fn new(rows: &'a R, rules: &'a Rules, sequence: Sequence, origin: &'a Origin, clock: ClockReading) -> Self {
        Self { rows, rules, sequence, origin, clock, last_read: RefCell::default() }
    }

    /// Finds the animal and the batch of an event.
    fn place(&self, event: Event) -> Result<Verdict, RowsError> {
        let identity = match self.identify(&event) {
            Ok(identity) => identity,
            Err(PlaceError::Rows(error)) => return Err(error),
            Err(PlaceError::Rejected(reason)) => {
                return Ok(Verdict::Rejected(RejectedPayload { reason, event_id: event.id }));
            }
        };
        let (accepted, previous) = self.place_with(event, &identity)?;
        Ok(Verdict::Accepted { accepted, previous })
    }

    /// Places an event with the animal found for it.
    fn place_with(&self, event: Event, identity: &Identity) -> Result<(Box<PlacedEvent>, Vec<Previous>), RowsError> {
        let batch = self.batch_named(&event)?;
        let mut previous = Vec::with_capacity(1);
        for id in [Some(identity.animal), identity.absorbed].into_iter().flatten() {
            let last = self.animal(id)?.map_or(Sequence::ZERO, |animal| animal.last);
            previous.push((id, last));
        }
        let Identity { animal, absorbed, lf, epc } = *identity;
        Ok((Box::new(PlacedEvent { event, animal, absorbed, lf, epc, batch }), previous))
    }

    /// Reads an animal. `None` if there is no row yet, as for one that this change makes.
    fn animal(&self, id: AnimalId) -> Result<Option<Arc<Animal>>, RowsError> {
        if id.0 == self.sequence.0 {
            return Ok(None);
        }
        if let Some((_, animal)) = self.last_read.borrow().as_ref().filter(|(last, _)| *last == id) {
            return Ok(Some(animal.clone()));
        }
        let animal: Option<Arc<Animal>> = self.rows.shared(&number_key(id.0))?;
        *self.last_read.borrow_mut() = animal.clone().map(|animal| (id, animal));
        Ok(animal)
    }
}
