//! A damaged row of the log, whose changes come back from a copy of the history.
//!
//! # Decisions
//!
//! - **The digest after the row proves the changes.** The next row has it, or the head. Nobody can make other changes that lead
//!   to it, from whatever digest they start. What the damaged row says about itself counts for nothing.
//! - **One row at a time, the last one first.** A row behind it that is damaged as well proves nothing until it is mended.
//! - **A page that does not take the row leaves the writer as it was.** redb reads the page to write it, which damage of its
//!   header prevents. An office asks again and again, and would end a writer that stops there each time.
//! - **The tables stay as they are.** What they hold was folded from the changes that were written, before the damage.

use super::error::DamagedRow;
use super::{ChangeRun, Store, StoreError};
use crate::position::{Sequence, StoreId};

/// The outcome of an attempt to mend a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MendReceipt {
    /// The row holds the right changes again, durably.
    Mended {
        /// The row.
        row: DamagedRow,
    },
    /// The row stays damaged.
    Refused(MendError),
}

/// Why changes were not written in the place of a damaged row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MendError {
    /// These changes are not those of a row that is known to be damaged.
    #[error("{row} are not a row that is known to be damaged here: run `verify`, which names those that are")]
    NotDamaged {
        /// The changes.
        row: DamagedRow,
    },
    /// The changes are of another history.
    #[error("the changes are of history {found}, and this log is of history {own}: take them from a copy of this barn")]
    OtherHistory {
        /// Their history.
        found: StoreId,
        /// History of the log.
        own: StoreId,
    },
    /// Nothing proves the changes, or the page of the row does not take them.
    #[error(
        "the changes given for {row} do not lead to the digest behind them, or their page does not take them: they are not the \
         ones that were there; or the row behind them is damaged as well, and is mended first; or log.redb is damaged in more \
         than rows, and `recover` makes it anew"
    )]
    Unproven {
        /// The damaged row.
        row: DamagedRow,
    },
}

impl Store {
    /// Writes the changes of a run in the place of the damaged row that held them, durably, if the log proves that they are
    /// the right ones.
    pub fn mend(&mut self, run: &ChangeRun) -> Result<MendReceipt, StoreError> {
        self.check_not_interrupted()?;
        let (found, own) = (run.after.store, self.log.store());
        if found != own {
            return Ok(MendReceipt::Refused(MendError::OtherHistory { found, own }));
        }
        let last = Sequence(run.after.sequence.0.saturating_add(run.changes.len() as u64));
        let row = DamagedRow { first: run.after.sequence.next(), last };
        if !self.log.log().damaged_rows().contains(&row) {
            return Ok(MendReceipt::Refused(MendError::NotDamaged { row }));
        }
        let mended = self.log.mend(row, run.after.digest, &run.changes);
        let is_mended = self.stop_on_error(mended)?;
        Ok(if is_mended { MendReceipt::Mended { row } } else { MendReceipt::Refused(MendError::Unproven { row }) })
    }
}
