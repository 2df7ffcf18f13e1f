//! A store that takes long to open, told so that the start is not taken for one that hangs.

use super::{Supervisor, Word};
use crate::store::Opening;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two words of progress. A step on a slow card takes some seconds; one that takes so long hangs.
const STEP_WITHIN: Duration = Duration::from_secs(300);
/// Progress is told so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What to tell of the opening: each step asks for time, and says how far it is.
pub fn tell_opening(supervisor: Supervisor) -> impl Fn(&Opening<'_>) + Send + Sync + 'static {
    let last = Mutex::new(None::<Instant>);
    move |at| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= TOLD_EVERY) {
            *last = Some(Instant::now());
            supervisor.tell(Word::Starting { at_least: STEP_WITHIN, status: at.to_string() });
        }
    }
}
