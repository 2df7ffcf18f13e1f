//! The body of a Corrected change, version 1, which logs of the first program hold. It is only read.
//!
//! Version 1 did not say:
//! - whether the barn's clock could be trusted when an animal was seen or a batch opened: those times count as doubtful;
//! - when an animal was weighed: that counts as the time when it was last seen, and for a weighing by the correction itself
//!   as the time of the correction.

use super::{
    AnimalId, AnimalState, AnimalStatus, BatchId, BatchState, Corrected, Correction, CorrectionResult, HeldMembership,
    HeldTag, LateEvent, LidName, States, TagKind, WeighingTime,
};
use crate::clock::{ClockReading, WallTime};
use crate::payload::{SourceType, Tag, Traits};
use crate::position::Sequence;
use crate::text::Text;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct CorrectedV1 {
    author: String,
    reason: String,
    idempotency_key: String,
    channel: String,
    clock: ClockReading,
    correction: CorrectionV1,
    result: ResultV1,
    previous: Vec<(AnimalId, Sequence)>,
}

#[derive(Deserialize)]
enum CorrectionV1 {
    Void { sequence: Sequence },
    Merge { animal: AnimalId, absorbed: AnimalId },
    Retag { animal: AnimalId, kind: TagKind, tag: Option<Tag> },
    MovePen { animal: AnimalId, pen: String },
    MoveBatch { animal: AnimalId, batch_number: String },
    Weigh { animal: AnimalId, weight_g: u32 },
    Died { animal: AnimalId },
    CloseBatch { batch: BatchId },
    EditBatch { batch: BatchId, notes: Option<String> },
    AcceptRejected { sequence: Sequence, animal: Option<AnimalId> },
    NewReaderEra { reader_group: String },
}

#[derive(Deserialize)]
enum ResultV1 {
    States(Box<StatesV1>),
    Accepted(Box<LateEvent>),
    ReaderEra { reader_group: String, reader_era: u32 },
}

#[derive(Deserialize)]
struct StatesV1 {
    animals: Vec<AnimalStateV1>,
    batches: Vec<BatchStateV1>,
}

#[derive(Deserialize)]
struct AnimalStateV1 {
    animal: AnimalId,
    status: AnimalStatus,
    returned: Option<Sequence>,
    last_at_us: i64,
    lids: Vec<LidName>,
    tags: Vec<HeldTag>,
    traits: Traits,
    weight_g: Option<u32>,
    weighed: Sequence,
    barn_batch: Option<BatchId>,
    barn_named: Sequence,
    export_batch: Option<BatchId>,
    memberships: Vec<HeldMembership>,
    absorbed_by: Option<AnimalId>,
}

#[derive(Deserialize)]
struct BatchStateV1 {
    batch: BatchId,
    source: SourceType,
    number: Text,
    opened_at_us: i64,
    closed: Option<Sequence>,
    notes: Option<Text>,
    active: u32,
    members: u32,
    last: Sequence,
    last_clock: ClockReading,
}

impl From<CorrectedV1> for Corrected {
    fn from(body: CorrectedV1) -> Self {
        let CorrectedV1 { author, reason, idempotency_key, channel, clock, correction, result, previous } = body;
        let correction = correction.into();
        let mut result = result.into();
        if let (Correction::Weigh { animal, .. }, CorrectionResult::States(states)) = (&correction, &mut result) {
            let weighed = states.animals.iter_mut().filter(|state| state.animal == *animal);
            weighed.for_each(|state| state.weighed_at = clock.wall());
        }
        Self { author, reason, idempotency_key, channel, clock, correction, result, previous }
    }
}

impl From<CorrectionV1> for Correction {
    fn from(correction: CorrectionV1) -> Self {
        use CorrectionV1 as V1;
        match correction {
            V1::Void { sequence } => Self::Void { sequence },
            V1::Merge { animal, absorbed } => Self::Merge { animal, absorbed },
            V1::Retag { animal, kind, tag } => Self::Retag { animal, kind, tag },
            V1::MovePen { animal, pen } => Self::MovePen { animal, pen },
            V1::MoveBatch { animal, batch_number } => Self::MoveBatch { animal, batch_number },
            V1::Weigh { animal, weight_g } => Self::Weigh { animal, weight_g, when: WeighingTime::Now },
            V1::Died { animal } => Self::Died { animal },
            V1::CloseBatch { batch } => Self::CloseBatch { batch },
            V1::EditBatch { batch, notes } => Self::EditBatch { batch, notes },
            V1::AcceptRejected { sequence, animal } => Self::AcceptRejected { sequence, animal, batch_number: None },
            V1::NewReaderEra { reader_group } => Self::NewReaderEra { reader_group, from: None },
        }
    }
}

impl From<ResultV1> for CorrectionResult {
    fn from(result: ResultV1) -> Self {
        match result {
            ResultV1::States(states) => Self::States(Box::new((*states).into())),
            ResultV1::Accepted(event) => Self::Accepted(event),
            ResultV1::ReaderEra { reader_group, reader_era } => Self::ReaderEra { reader_group, reader_era },
        }
    }
}

impl From<StatesV1> for States {
    fn from(StatesV1 { animals, batches }: StatesV1) -> Self {
        Self {
            animals: animals.into_iter().map(Into::into).collect(),
            batches: batches.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<AnimalStateV1> for AnimalState {
    fn from(state: AnimalStateV1) -> Self {
        let last_seen = doubtful(state.last_at_us);
        Self {
            animal: state.animal,
            status: state.status,
            returned: state.returned,
            last_seen,
            lids: state.lids,
            tags: state.tags,
            traits: state.traits,
            weight_g: state.weight_g,
            weighed: state.weighed,
            weighed_at: if state.weight_g.is_some() { last_seen } else { WallTime::default() },
            barn_batch: state.barn_batch,
            barn_named: state.barn_named,
            export_batch: state.export_batch,
            memberships: state.memberships,
            absorbed_by: state.absorbed_by,
        }
    }
}

impl From<BatchStateV1> for BatchState {
    fn from(state: BatchStateV1) -> Self {
        Self {
            batch: state.batch,
            source: state.source,
            number: state.number,
            opened: doubtful(state.opened_at_us),
            closed: state.closed,
            notes: state.notes,
            active: state.active,
            members: state.members,
            last: state.last,
            last_clock: state.last_clock,
        }
    }
}

fn doubtful(at_us: i64) -> WallTime {
    WallTime { at_us, synchronized: false }
}
