//! A copy over a link, with its time, its bytes and its progress.

use super::SoakError;
use super::pair::{Pair, Progress};
use super::tables::{seconds, table};
use herd::store::grouped;
use service::lifecycle::print_notice;
use std::time::{Duration, Instant};

/// Interval of the progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(60);

/// The beginning of a copy.
pub(super) struct Meter {
    start: Instant,
    bytes: u64,
    cuts: u64,
}

/// A copy over a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Time until the office showed everything, or `None` if it did not in time.
    pub(super) took: Option<Duration>,
    /// Last change of the barn.
    pub(super) head: u64,
    /// Bytes to the office.
    bytes: u64,
    /// Number of cuts.
    cuts: u64,
}

impl Meter {
    /// Starts to measure.
    pub(super) fn start(pair: &Pair) -> Self {
        Self { start: Instant::now(), bytes: pair.link.bytes_to_office(), cuts: pair.link.cuts() }
    }

    /// Waits until the office shows everything that the barn has, for at most `limit`. Prints a line each minute that
    /// starts with `name`.
    pub(super) async fn watch(self, pair: &mut Pair, name: &str, limit: Duration) -> Result<Transfer, SoakError> {
        let (mut next_at, mut head) = (PROGRESS_INTERVAL, 0);
        let caught_up = pair.catch_up(limit, |progress| {
            head = progress.of;
            if progress.elapsed >= next_at {
                next_at += PROGRESS_INTERVAL;
                print_notice(format_args!("{name}: {}", describe(progress)));
            }
        });
        let took = caught_up.await?.map(|_| self.start.elapsed());
        let (bytes, cuts) = (pair.link.bytes_to_office() - self.bytes, pair.link.cuts() - self.cuts);
        Ok(Transfer { took, head, bytes, cuts })
    }
}

fn describe(progress: &Progress) -> String {
    let Progress { of, shown, copied, elapsed } = progress;
    let copied = copied.map_or_else(String::new, |copied| format!(", {} in the new copy", grouped(copied)));
    format!("{} s: {} of {} changes shown{copied}", elapsed.as_secs(), grouped(shown.unwrap_or(0)), grouped(*of))
}

impl Transfer {
    /// Returns the row of [`transfer_table`], for a copy of `changes` changes.
    pub(super) fn row(&self, link: &str, name: &str, changes: u64) -> Vec<String> {
        let took = self.took.map_or_else(|| "not in time".to_owned(), seconds);
        let [changes, kilobytes, cuts] = [changes, self.bytes / 1_000, self.cuts].map(grouped);
        vec![link.into(), name.into(), changes, took, kilobytes, cuts]
    }

    /// Returns a sentence if the copy did not end in time.
    pub(super) fn fault(&self, name: &str, limit: Duration) -> Option<String> {
        self.took.is_none().then(|| format!("{name} did not end within {limit:?}"))
    }
}

/// Returns a table of copies.
pub(super) fn transfer_table(rows: Vec<Vec<String>>) -> String {
    table(&["link", "copy", "changes", "s", "kB to the office", "cuts"], rows)
}
