//! Rows to try a correction out on, and what it left there.

use crate::change::{AnimalId, BatchId, States};
use crate::clock::ClockReading;
use crate::decide::Previous;
use crate::fold::{Folding, Rows, RowsError, Staged, animal_state, batch_state, folded};
use crate::position::{Digest, Sequence};
use crate::tables::{Animal, Table, number_in, number_key};

/// What a correction leaves, where it differs from what was.
pub(super) struct Tried {
    pub(super) states: States,
    pub(super) previous: Vec<Previous>,
}

/// Does `edit` to rows that lie above `rows` and are thrown away, and tells what differs.
pub(super) fn tried_out<R: Rows>(
    rows: &R,
    sequence: Sequence,
    clock: ClockReading,
    edit: impl FnOnce(&mut Folding<'_, &R>) -> Result<(), RowsError>,
) -> Result<Tried, RowsError> {
    // No digest is ever asked of these rows.
    let mut above = Staged::new(rows, Sequence::ZERO, Digest([0; 32]));
    folded(&mut above, sequence, clock, edit)?;
    above.end_change(sequence);
    let mut tried = Tried { states: States::default(), previous: Vec::new() };
    for id in touched(&above, Table::Animals).map(AnimalId) {
        let after = animal_state(&above, id)?;
        if let Some(after) = after
            && animal_state(rows, id)?.as_ref() != Some(&after)
        {
            tried.previous.push((id, last_of(rows, id)?));
            tried.states.animals.push(after);
        }
    }
    for id in touched(&above, Table::Batches).map(BatchId) {
        if let Some(after) = batch_state(&above, id)?
            && batch_state(rows, id)?.as_ref() != Some(&after)
        {
            tried.states.batches.push(after);
        }
    }
    Ok(tried)
}

/// The change that touched the animal last; 0 for a new one.
pub(super) fn last_of(rows: &impl Rows, id: AnimalId) -> Result<Sequence, RowsError> {
    Ok(rows.read::<Animal>(Table::Animals, &number_key(id.0))?.map_or(Sequence::ZERO, |animal| animal.last))
}

/// The numbers of the rows of a table that were written above the base, in their order.
pub(super) fn touched<B: Rows>(above: &Staged<B>, table: Table) -> impl Iterator<Item = u64> + use<B> {
    let keys = above.rows().filter(move |(of, _)| *of == table).flat_map(|(_, rows)| rows);
    let numbers: Vec<u64> = keys.filter_map(|(key, _)| number_in(key)).collect();
    numbers.into_iter()
}
