//! Corrections by operators.

use super::{DamagedRow, Store, StoreError};
use crate::change::Change;
use crate::clock::RawReading;
use crate::decide::{CorrectionDecision, CorrectionError, CorrectionRequest, decide_correction};
use crate::position::Sequence;

/// The outcome of a correction, returned only after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrectionReceipt {
    /// The correction is durable.
    Kept {
        /// Its change.
        sequence: Sequence,
    },
    /// The same correction was already recorded under the same idempotency key.
    Duplicate {
        /// The change that holds it.
        of: Sequence,
    },
    /// The correction is refused, and nothing was written.
    Refused(CorrectionError),
}

impl Store {
    /// Decides about a correction, and commits it durably. On an error nothing is acknowledged; see [`Store::append`].
    pub fn correct(&mut self, request: &CorrectionRequest, at: RawReading) -> Result<CorrectionReceipt, StoreError> {
        let (rules, clock) = (self.rules.clone(), at.in_boot(self.boot));
        self.write(|group| {
            let decision = decide_correction(&*group.rows, &group.history, &rules, group.next(), request, clock)?;
            if let Some(DamagedRow { first, last }) = group.history.damaged() {
                return Ok(CorrectionReceipt::Refused(CorrectionError::DamagedHistory { first, last }));
            }
            let corrected = match decision {
                CorrectionDecision::Duplicate { of } => return Ok(CorrectionReceipt::Duplicate { of }),
                CorrectionDecision::Refused(why) => return Ok(CorrectionReceipt::Refused(why)),
                CorrectionDecision::Keep(corrected) => Change::Corrected(corrected),
            };
            match group.push(&corrected) {
                Ok(sequence) => Ok(CorrectionReceipt::Kept { sequence }),
                Err(StoreError::Oversize { bytes, limit }) => {
                    Ok(CorrectionReceipt::Refused(CorrectionError::TooLarge { bytes, limit }))
                }
                Err(error) => Err(error),
            }
        })
    }
}
