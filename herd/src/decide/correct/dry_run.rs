//! Corrections made on rows that are thrown away, to see what they leave.

use crate::change::{AnimalId, States};
use crate::clock::ClockReading;
use crate::decide::Previous;
use crate::digest::RowSum;
use crate::fold::{Folding, Rows, RowsError, StagedRows, folded};
use crate::position::Sequence;
use crate::tables::{Animal, Batch, Table, number_key};

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
    let mut result = DryRun { states: States::default(), previous: Vec::new() };
    let mut sealed = staged.seal();
    // Their order is part of the change.
    sealed.sort_unstable_by(|one, other| (one.table, &one.key).cmp(&(other.table, &other.key)));
    for written in sealed {
        match written.table {
            Table::Animals => {
                let (before, after) = (rows.shared::<Animal>(&written.key)?, staged.shared::<Animal>(&written.key)?);
                if let Some(after) = after
                    && before.as_ref().is_none_or(|before| before.state != after.state)
                {
                    let last = before.map_or(Sequence::ZERO, |before| before.last);
                    result.previous.push((after.state.animal, last));
                    result.states.animals.push(after.state.clone());
                }
            }
            Table::Batches => {
                let (before, after) = (rows.shared::<Batch>(&written.key)?, staged.shared::<Batch>(&written.key)?);
                if let Some(after) = after
                    && before.is_none_or(|before| before.state != after.state)
                {
                    result.states.batches.push(after.state.clone());
                }
            }
            _ => {}
        }
    }
    Ok(result)
}

/// Returns the change that touched the animal last; 0 for a new animal.
pub(super) fn last_change(rows: &impl Rows, id: AnimalId) -> Result<Sequence, RowsError> {
    Ok(rows.shared::<Animal>(&number_key(id.0))?.map_or(Sequence::ZERO, |animal| animal.last))
}
