//! Whether a follower can simply go on, as a typed outcome. Divergence is not an error: it is something that happened
//! to one of the two histories, and a person has to learn of it.

use herd::position::Position;
use herd::store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a follower cannot simply follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// The source holds a strict prefix of what is held here: an older backup was restored there.
    Shorter,
    /// The source has a higher epoch and parted from this copy before its end.
    Continued,
    /// Another history, or the same place with another digest, or an epoch gone back.
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

/// Whether the `source` has the follower's position on its own history. `None` is *same*.
pub fn source_refuses(source: &Reader, asked: &Position) -> Result<Option<Position>, StoreError> {
    let head = source.head().position;
    if asked.store != head.store || asked.sequence > head.sequence {
        return Ok(Some(head));
    }
    // The epoch follows from the digest, so that a right digest with another epoch is no position of any history.
    let same = source.position_at(asked.sequence)?.is_some_and(|own| own == *asked);
    Ok((!same).then_some(head))
}

/// What the follower makes of a source's refusal: `theirs` is the head that the source named.
pub fn judge(own: &Reader, theirs: &Position) -> Result<Divergence, StoreError> {
    let head = own.head().position;
    if theirs.store != head.store {
        return Ok(Divergence::Other);
    }
    let shared = own.position_at(theirs.sequence)?;
    Ok(match shared {
        Some(shared) if shared.digest == theirs.digest => Divergence::Shorter,
        _ if theirs.epoch > head.epoch => Divergence::Continued,
        _ => Divergence::Other,
    })
}
