//! Queries on stores that were filled through `append` and `correct`.

mod animals;
mod batches;
mod corrections;
mod history;
mod log;
mod paging;

use crate::change::AnimalId;
use crate::position::Sequence;

fn animal(of: Sequence) -> AnimalId {
    AnimalId::from(of)
}
