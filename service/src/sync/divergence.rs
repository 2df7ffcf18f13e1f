//! The check of a follower's position against the source's history, and the kinds of divergence.
//!
//! - Divergence is a typed outcome, not an error. Something happened to one of the two histories, and a person has to
//!   learn of it. The follower writes nothing and keeps serving its copy. A copy that followed whatever it found would
//!   destroy the only evidence of what a restored barn lost.
//! - A follower with an empty copy still sends the identity of its history. A request for "the start of whatever you
//!   have" would let another barn at the same address fill a paired copy.

use herd::position::Position;
use herd::store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Reason why a copy cannot simply follow its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// The source holds a strict prefix of this copy: an older backup was restored there.
    Shorter,
    /// The source has a higher epoch and branched off before the end of this copy.
    Continued,
    /// The source has another history, another digest at the same place, or a lower epoch.
    Other,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shorter => "the barn holds less than this copy, as after an older backup was restored there",
            Self::Continued => "the barn was restored and went on without the last changes of this copy",
            Self::Other => "the barn holds another history than this copy",
        })
    }
}

/// Checks a follower's position at the source. Returns the source's head if `position` is not on its history, and
/// `None` if it is.
pub fn refusing_head(source: &Reader, position: &Position) -> Result<Option<Position>, StoreError> {
    let head = source.head().position;
    if position.store != head.store || position.sequence > head.sequence {
        return Ok(Some(head));
    }
    // The digest determines the epoch, so a right digest with another epoch is not a position of any history.
    let same = source.position_at(position.sequence)?.is_some_and(|own| own == *position);
    Ok((!same).then_some(head))
}

/// Classifies a source's refusal at the follower; `source_head` is the head that the source sent with it.
pub fn classify(own: &Reader, source_head: &Position) -> Result<Divergence, StoreError> {
    let head = own.head().position;
    if source_head.store != head.store {
        return Ok(Divergence::Other);
    }
    let shared = own.position_at(source_head.sequence)?;
    Ok(match shared {
        Some(shared) if shared.digest == source_head.digest => Divergence::Shorter,
        _ if source_head.epoch > head.epoch => Divergence::Continued,
        _ => Divergence::Other,
    })
}
