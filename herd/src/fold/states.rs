//! Conversions between the rows of an animal or a batch and the state that a correction stores.

use super::{KeyRange, Rows, RowsError, decode};
use crate::change::{AnimalId, AnimalState, BatchId, BatchState, HeldMembership, HeldTag, TagKind, TagState};
use crate::payload::Tag;
use crate::position::Sequence;
use crate::tables::{
    Animal, AnimalTag, Batch, Key, MAX_UNCONFIRMED_TAGS, Membership, Table, after_prefix, number_at_end, number_key,
    tag_kind_in,
};

/// Returns the state of the animal in the rows, or `None` if it does not exist.
pub(crate) fn animal_state(rows: &impl Rows, id: AnimalId) -> Result<Option<AnimalState>, RowsError> {
    let Some(animal) = rows.read::<Animal>(Table::Animals, &number_key(id.0))? else { return Ok(None) };
    let mut tags = Vec::new();
    for (key, value) in rows_of(rows, Table::AnimalTags, id)? {
        let AnimalTag { tag, state, since } = decode(Table::AnimalTags, &key, &value)?;
        tags.push(HeldTag { kind: tag_kind_in(&key), tag, state, since });
    }
    let mut memberships = Vec::new();
    for (key, value) in rows_of(rows, Table::Memberships, id)? {
        let Membership { joined, left } = decode(Table::Memberships, &key, &value)?;
        memberships.push(HeldMembership { batch: BatchId(number_at_end(&key).unwrap_or_default()), joined, left });
    }
    Ok(Some(AnimalState {
        animal: id,
        status: animal.status,
        returned: animal.returned,
        last_at_us: animal.last_at_us,
        lids: animal.lids,
        tags,
        traits: animal.traits,
        weight_g: animal.weight_g,
        weighed: animal.weighed,
        barn_batch: animal.barn_batch,
        barn_named: animal.barn_named,
        export_batch: animal.export_batch,
        memberships,
        absorbed_by: animal.absorbed_by,
    }))
}

/// Returns the state of the batch in its row, or `None` if it does not exist.
pub(crate) fn batch_state(rows: &impl Rows, id: BatchId) -> Result<Option<BatchState>, RowsError> {
    let row: Option<Batch> = rows.read(Table::Batches, &number_key(id.0))?;
    Ok(row.map(|batch| BatchState {
        batch: id,
        source: batch.source,
        number: batch.number,
        opened_at_us: batch.opened_at_us,
        closed: batch.closed,
        notes: batch.notes,
        active: batch.active,
        members: batch.members,
        last: batch.last,
        last_clock: batch.last_clock,
    }))
}

/// Returns the rows of a table whose keys begin with the animal.
pub(super) fn rows_of(rows: &impl Rows, table: Table, animal: AnimalId) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
    let from = number_key(animal.0);
    let to = after_prefix(&from);
    rows.range(table, KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: usize::MAX })
}

impl From<&BatchState> for Batch {
    fn from(state: &BatchState) -> Self {
        Self {
            source: state.source,
            number: state.number.clone(),
            opened_at_us: state.opened_at_us,
            closed: state.closed,
            notes: state.notes.clone(),
            active: state.active,
            members: state.members,
            last: state.last,
            last_clock: state.last_clock,
        }
    }
}

impl From<&AnimalState> for Animal {
    /// Converts everything except `last`, which is the change that has the state.
    fn from(state: &AnimalState) -> Self {
        let current = |kind: TagKind| -> Option<Tag> {
            let worn = state.tags.iter().find(|tag| tag.kind == kind && tag.state == TagState::Current);
            worn.map(|tag| tag.tag.clone())
        };
        let unconfirmed = state.tags.iter().filter(|tag| tag.state == TagState::Unconfirmed).count();
        Self {
            last: Sequence::ZERO,
            last_at_us: state.last_at_us,
            status: state.status,
            returned: state.returned,
            lids: state.lids.clone(),
            lf: current(TagKind::Lf),
            epc: current(TagKind::Epc),
            unconfirmed: u8::try_from(unconfirmed).unwrap_or(u8::MAX).min(MAX_UNCONFIRMED_TAGS),
            traits: state.traits.clone(),
            weight_g: state.weight_g,
            weighed: state.weighed,
            barn_batch: state.barn_batch,
            barn_named: state.barn_named,
            export_batch: state.export_batch,
            absorbed_by: state.absorbed_by,
        }
    }
}
