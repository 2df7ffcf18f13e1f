//! A store that takes long to open, told so that the start is not taken for one that hangs.

use super::{Supervisor, Word};
use crate::lifecycle::Shutdown;
use herd::store::OpenProgress;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two words of progress. A step on a slow card takes some seconds; one that takes so long hangs.
pub const STEP_WITHIN: Duration = Duration::from_secs(300);
/// Progress is told so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What to tell of the opening: each step asks for time, and says how far it is. The stop breaks it off: nobody is
/// asked for time any more, which would be time to stop.
pub fn tell_opening(
    supervisor: Supervisor,
    stopping: Shutdown,
) -> impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static {
    let last = Mutex::new(None::<Instant>);
    move |at| {
        if stopping.is_requested() {
            return ControlFlow::Break(());
        }
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= TOLD_EVERY) {
            *last = Some(Instant::now());
            supervisor.tell(Word::Starting { at_least: STEP_WITHIN, status: at.to_string() });
        }
        ControlFlow::Continue(())
    }
}
