//! Corrections made on rows that are thrown away, to see what they leave.

use crate::change::{AnimalId, BatchId, States};
use crate::clock::ClockReading;
use crate::decide::Previous;
use crate::digest::RowSum;
use crate::fold::{Folding, Rows, RowsError, StagedRows, animal_state, batch_state, folded};
use crate::position::Sequence;
use crate::tables::{Animal, Table, number_in, number_key};

/// The animals and batches that a correction leaves different.
pub(super) struct DryRun {
    pub(super) states: States,
    pub(super) previous: Vec<Previous>,
}

/// Applies `edit` to rows staged above `rows`, and returns what differs. Nothing is written to `rows`.
pub(super) fn dry_run<R: Rows>(
    rows: &R,
    sequence: Sequence,
    clock: ClockReading,
    edit: impl FnOnce(&mut Folding<'_, &R>) -> Result<(), RowsError>,
) -> Result<DryRun, RowsError> {
    // The sum of these rows is never read.
    let mut staged = StagedRows::new(rows, Sequence::ZERO, RowSum::default());
    folded(&mut staged, sequence, clock, edit)?;
    staged.end_change(sequence)?;
    let mut result = DryRun { states: States::default(), previous: Vec::new() };
    for id in written_ids(&staged, Table::Animals).map(AnimalId) {
        if let Some(after) = animal_state(&staged, id)?
            && animal_state(rows, id)?.as_ref() != Some(&after)
        {
            result.previous.push((id, last_change(rows, id)?));
            result.states.animals.push(after);
        }
    }
    for id in written_ids(&staged, Table::Batches).map(BatchId) {
        if let Some(after) = batch_state(&staged, id)?
            && batch_state(rows, id)?.as_ref() != Some(&after)
        {
            result.states.batches.push(after);
        }
    }
    Ok(result)
}

/// Returns the change that touched the animal last; 0 for a new animal.
pub(super) fn last_change(rows: &impl Rows, id: AnimalId) -> Result<Sequence, RowsError> {
    Ok(rows.read::<Animal>(Table::Animals, &number_key(id.0))?.map_or(Sequence::ZERO, |animal| animal.last))
}

/// Returns the ids of the rows of a table that were written above the base, in order.
fn written_ids<B: Rows>(staged: &StagedRows<B>, table: Table) -> impl Iterator<Item = u64> + use<B> {
    let keys = staged.rows().filter(move |(of, _)| *of == table).flat_map(|(_, rows)| rows);
    let ids: Vec<u64> = keys.filter_map(|(key, _)| number_in(key)).collect();
    ids.into_iter()
}
