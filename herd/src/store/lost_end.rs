//! A log that lacks its last changes, as a follower shows whose copy has them: the next epoch begins.
//!
//! # Decisions
//!
//! - **A card of before that was put back whole knows nothing of what it lacks.** If its log gave the next numbers in the same
//!   epoch, no copy could tell the two histories apart without a person.
//! - **The proof is this log's own end,** which the follower's copy has as well and goes on after. The beginning of an epoch
//!   loses nothing, whoever asks for it.

use super::{Store, StoreError};
use crate::change::Acceptance;
use crate::clock::RawReading;
use crate::position::{Position, StoreId};
use serde::{Deserialize, Serialize};

/// Maximum number of epochs of a history that one card can have lost. Each took a person, or a card that was put back.
pub const MAX_LOST_EPOCHS: u32 = 1_000;

/// Evidence of a follower that its copy goes on after the end of the source's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEnd {
    /// The end of the log, as the copy has it.
    pub shared: Position,
    /// The end of the copy.
    pub copy: Position,
}

/// The outcome of a follower's evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EpochReceipt {
    /// The next epoch began, durably.
    Began {
        /// Position after the change that began it.
        head: Position,
    },
    /// Nothing was written.
    Refused(LostEndError),
}

/// Why no epoch was begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LostEndError {
    /// The log does not end where the follower says.
    #[error("the log ends at {head}, and not where the follower shows: ask for its end again")]
    NotTheEnd {
        /// The end of the log.
        head: Position,
    },
    /// The copy does not go on after the end of the log.
    #[error("the copy does not go on after the log, which ends at {head}: nothing is lost here")]
    NotLonger {
        /// The end of the log.
        head: Position,
    },
}

impl LostEnd {
    /// Checks the evidence against the end of a log.
    fn check(&self, head: Position) -> Result<(), LostEndError> {
        let Self { shared, copy } = *self;
        if shared != head {
            return Err(LostEndError::NotTheEnd { head });
        }
        let epochs = head.epoch.0..=head.epoch.0.saturating_add(MAX_LOST_EPOCHS);
        if copy.store != head.store || copy.sequence <= head.sequence || !epochs.contains(&copy.epoch.0) {
            return Err(LostEndError::NotLonger { head });
        }
        Ok(())
    }
}

impl Store {
    /// Begins the next epoch on this log, durably, if a follower shows that the log has lost its last changes. `writer` is a
    /// random identity.
    ///
    /// On an error nothing is acknowledged; see [`Store::append`].
    pub fn begin_epoch_after(
        &mut self,
        shown: &LostEnd,
        acceptance: Acceptance,
        at: RawReading,
        writer: StoreId,
    ) -> Result<EpochReceipt, StoreError> {
        self.check_not_interrupted()?;
        if let Err(why) = shown.check(self.head().position) {
            return Ok(EpochReceipt::Refused(why));
        }
        self.begin_epoch(shown.copy.epoch, acceptance, at.in_boot(self.boot), writer)?;
        Ok(EpochReceipt::Began { head: self.head().position })
    }
}
