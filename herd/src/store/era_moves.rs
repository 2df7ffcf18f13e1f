//! Orders that move payloads into a new reader era, in steps.
//!
//! # Decisions
//!
//! - **A step is bounded, and is one durable commit.** Payloads come between two steps; the recorder lets radios go first.
//! - **The tables tell how far an order is.** After a kill the next step goes on behind the last payload that was moved.
//!   What lies between two moved payloads is read again, and nothing of it is moved twice.

use super::group::Group;
use super::{Store, StoreError};
use crate::change::{Change, MoveObstacle};
use crate::clock::{ClockReading, RawReading};
use crate::decide::{Rules, decide_era_move, end_of_era_moves, leave_payload};
use crate::fold::{KeyRange, Rows, RowsError, decode};
use crate::position::Sequence;
use crate::tables::{EraStart, Table};

/// Maximum number of payloads that are moved in one step. Each replays the history of its animals.
pub const MAX_MOVED: u64 = 20;
/// Maximum number of changes that a step reads in search of payloads to be moved.
pub const MAX_CHANGES_SEARCHED: u64 = 1_000;
/// Maximum number of orders that are read to find one that is not done. A yard has a handful.
const MAX_ORDERS_READ: usize = 1_000;

/// The outcome of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraMoveReceipt {
    /// The correction that the step belongs to.
    pub order: Sequence,
    /// Number of payloads that the step decided about, moved or not.
    pub payloads: u64,
    /// All payloads up to this one are done.
    pub through: Sequence,
    /// True if the order is done.
    pub is_done: bool,
}

/// A step under way.
struct EraMoveStep<'a, 'g> {
    group: &'a mut Group<'g>,
    rules: &'a Rules,
    clock: ClockReading,
    start: &'a EraStart,
}

impl Store {
    /// Takes the next step of the oldest order whose payloads are not all in their reader era. Returns `None` if there is no
    /// such order.
    ///
    /// On an error nothing of the step is acknowledged; see [`Store::append`].
    pub fn step_era_moves(&mut self, at: RawReading) -> Result<Option<EraMoveReceipt>, StoreError> {
        // A group reads the end of the log. Without an order there is no reason to.
        self.recall()?;
        let has_order = self.folding.here().and_then(|folder| Ok(oldest_order(&folder.rows)?.is_some()));
        if !self.stop_on_error(has_order)? {
            return Ok(None);
        }
        let (rules, clock, searched) = (self.rules.clone(), at.in_boot(self.boot), self.era_moves_searched);
        let receipt = self.write(|group| {
            let Some(start) = oldest_order(&*group.rows)? else { return Ok(None) };
            let after = searched.filter(|(order, _)| *order == start.order).map(|(_, through)| through);
            let after = start.through.max(after.unwrap_or_default());
            EraMoveStep { group, rules: &rules, clock, start: &start }.take(after).map(Some)
        })?;
        let going_on = receipt.as_ref().filter(|receipt| !receipt.is_done);
        self.era_moves_searched = going_on.map(|receipt| (receipt.order, receipt.through));
        Ok(receipt)
    }
}

/// Returns the oldest order that is not done.
fn oldest_order(rows: &impl Rows) -> Result<Option<EraStart>, RowsError> {
    let all = KeyRange { from: &[], to: None, backwards: false, limit: MAX_ORDERS_READ };
    let mut oldest: Option<EraStart> = None;
    for (key, value) in rows.range(Table::EraStarts, all)? {
        let start: EraStart = decode(&key, &value)?;
        if !start.is_done() && oldest.as_ref().is_none_or(|oldest| start.order < oldest.order) {
            oldest = Some(start);
        }
    }
    Ok(oldest)
}

impl EraMoveStep<'_, '_> {
    fn take(mut self, after: Sequence) -> Result<EraMoveReceipt, StoreError> {
        let start = self.start;
        let (mut payloads, mut searched, mut through) = (0, 0, after);
        while through.next() < start.order && payloads < MAX_MOVED && searched < MAX_CHANGES_SEARCHED {
            through = through.next();
            searched += 1;
            payloads += u64::from(self.move_payload(through)?);
        }
        let is_done = through.next() >= start.order;
        if is_done {
            self.group.push(&Change::EraMove(Box::new(end_of_era_moves(start, self.clock))))?;
        }
        Ok(EraMoveReceipt { order: start.order, payloads, through, is_done })
    }

    /// Moves the payload `of`, and returns whether there was anything to decide about it.
    fn move_payload(&mut self, of: Sequence) -> Result<bool, StoreError> {
        let Self { group, rules, clock, start } = self;
        let decided = decide_era_move(&*group.rows, &group.history, rules, group.next(), start, of, *clock)?;
        let obstacle = if group.history.take_damage().is_some() {
            MoveObstacle::DamagedHistory
        } else {
            let Some(step) = decided else { return Ok(false) };
            match group.push(&Change::EraMove(Box::new(step))) {
                Err(StoreError::Oversize { .. }) => MoveObstacle::TooLarge,
                pushed => return pushed.map(|_| true),
            }
        };
        group.push(&Change::EraMove(Box::new(leave_payload(start, of, obstacle, *clock))))?;
        Ok(true)
    }
}
