//! The live line on stderr.

use super::follower::Seen;
use super::house::Look;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// On a terminal, where the line is drawn over itself.
const REDRAW_EVERY: Duration = Duration::from_millis(200);
/// Elsewhere, where each is a line of its own.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Shows how a run goes.
pub(super) struct LiveLine {
    begun: Instant,
    in_place: bool,
}

impl LiveLine {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), in_place: std::io::stderr().is_terminal() }
    }

    /// How often it is worth a look.
    pub(super) fn every(&self) -> Duration {
        if self.in_place { REDRAW_EVERY } else { SAY_EVERY }
    }

    pub(super) fn show(&self, look: &Look, seen: &Seen) {
        let text = text(self.begun.elapsed(), look, seen);
        // Nobody reads it if stderr is gone, and the run goes on.
        let _ = if self.in_place {
            write!(std::io::stderr(), "\r\x1b[2K{text}").and_then(|()| std::io::stderr().flush())
        } else {
            writeln!(std::io::stderr(), "{text}")
        };
    }

    /// The last one stays.
    pub(super) fn end(&self) {
        if self.in_place {
            eprintln!();
        }
    }
}

fn text(since: Duration, look: &Look, seen: &Seen) -> String {
    let Look { heard, kept, barn_head } = look;
    let at_office = seen.at.sequence.0;
    let behind = barn_head.saturating_sub(at_office);
    let ms = |percent| seen.lags.percentile_ms(percent).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
    let trouble = seen.trouble.as_ref().map_or_else(String::new, |trouble| format!("  ({trouble})"));
    format!(
        "{:4} s  heard {heard}  kept {kept}  office at change {at_office} of {barn_head}, {behind} behind  lag p50 {} ms, \
         p99 {} ms{trouble}",
        since.as_secs(),
        ms(50),
        ms(99),
    )
}
