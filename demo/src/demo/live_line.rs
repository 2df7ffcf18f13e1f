//! The line on stderr that shows how a run goes.

use super::deployment::Progress;
use super::follower::FollowerState;
use service::lifecycle::print_notice;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Interval on a terminal, where the line is redrawn in place.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
/// Interval elsewhere, where each update is a new line.
const PRINT_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the progress of a run.
pub(super) struct LiveLine {
    start: Instant,
    in_place: bool,
}

impl LiveLine {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), in_place: std::io::stderr().is_terminal() }
    }

    /// Returns the interval between two updates.
    pub(super) fn interval(&self) -> Duration {
        if self.in_place { REDRAW_INTERVAL } else { PRINT_INTERVAL }
    }

    pub(super) fn show(&self, progress: &Progress, follower: &FollowerState) {
        let text = text(self.start.elapsed(), progress, follower);
        // A closed stderr has no reader, and the run continues without one.
        let _ = if self.in_place {
            write!(std::io::stderr(), "\r\x1b[2K{text}").and_then(|()| std::io::stderr().flush())
        } else {
            writeln!(std::io::stderr(), "{text}")
        };
    }

    /// Leaves the latest line on the terminal and moves below it.
    pub(super) fn end(&self) {
        if self.in_place {
            print_notice("");
        }
    }
}

fn text(elapsed: Duration, progress: &Progress, follower: &FollowerState) -> String {
    let Progress { heard, kept, barn_head } = progress;
    let at_office = follower.position.sequence.0;
    let behind = barn_head.saturating_sub(at_office);
    let ms = |percent| follower.lags.percentile_ms(percent).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
    let error = follower.last_error.as_ref().map_or_else(String::new, |error| format!("  ({error})"));
    format!(
        "{:4} s  heard {heard}  kept {kept}  office at change {at_office} of {barn_head}, {behind} behind  lag p50 {} ms, \
         p99 {} ms{error}",
        elapsed.as_secs(),
        ms(50),
        ms(99),
    )
}
