//! Progress of a store that takes long to open, so that the supervisor does not take a slow start for a hang.
//!
//! - Each step asks for more time. A repair on a slow card is not a hanging start. A copy whose opening takes no step for
//!   [`OPENING_STEP_TIMEOUT`] counts as a writer that hangs.
//! - The office opens its copies after it has reported that it is ready. The pages of other sites need not wait for one
//!   fold.
//! - A shutdown breaks an opening off after the current step. Folding a large log takes longer than the 10 s after which
//!   systemd kills the process. Each step is a commit, so the next start continues from it.

use super::{Notification, Supervisor};
use crate::lifecycle::Shutdown;
use herd::store::OpenProgress;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time that one step may take. On a slow card a step takes some seconds; one that takes longer than this hangs.
pub const OPENING_STEP_TIMEOUT: Duration = Duration::from_secs(300);
/// Minimum time between two reports of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Returns a callback for the steps of an opening. It asks the supervisor for time and reports the progress.
///
/// Once `shutdown` is requested, it breaks the opening off and asks for no more time, because that would delay the end.
pub fn opening_reporter(
    supervisor: Supervisor,
    shutdown: Shutdown,
) -> impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static {
    let last_report = Mutex::new(None::<Instant>);
    move |step| {
        if shutdown.is_requested() {
            return ControlFlow::Break(());
        }
        let mut last_report = last_report.lock().unwrap_or_else(PoisonError::into_inner);
        if last_report.is_none_or(|last| last.elapsed() >= REPORT_INTERVAL) {
            *last_report = Some(Instant::now());
            supervisor.notify(Notification::Starting { at_least: OPENING_STEP_TIMEOUT, status: step.to_string() });
        }
        ControlFlow::Continue(())
    }
}
