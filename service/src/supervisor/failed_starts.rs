//! Delays between starts that keep failing, for example because of a mistake in the settings.
//!
//! Decisions:
//! - **The process waits, not systemd.** `RestartSteps=` in a unit needs systemd 254, and Debian 12 has 252, which would
//!   start the process every 2 s for as long as the mistake stands. Both releases now behave alike. systemd's own delay
//!   also stays at its maximum after a start that succeeded; this one begins anew.
//! - **The count is a file in the unit's runtime directory**, which systemd keeps between restarts and removes when
//!   the service is stopped. Without such a directory nothing is delayed.
//! - **The file is gone while the process waits.** So somebody who restarts the waiting service need not wait: the next
//!   start finds no count. A start counts as failed from its beginning until the process is ready, so a crash counts too.

use super::{Notification, Supervisor};
use crate::lifecycle::print_notice;
use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names the runtime directories of the unit, separated by colons (`systemd.exec(5)`).
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// Name of the file that holds the count.
const FILE: &str = "failed-starts";
/// Delay of the second start in a row after a failed one; it doubles from there. `RestartSec=2s` comes on top.
const FIRST_DELAY: Duration = Duration::from_secs(2);
/// Longest delay. With `RestartSec=2s`, a corrected service is back within half a minute.
const MAX_DELAY: Duration = Duration::from_secs(28);
/// Number of doublings after which the delay is at its maximum anyway.
const MAX_DOUBLINGS: u32 = 8;

/// The count of the starts in a row that have failed.
#[derive(Clone, Debug)]
pub struct FailedStarts {
    file: PathBuf,
}

impl FailedStarts {
    /// Returns the count of this process's unit, or `None` if no unit runs it or the unit has no runtime directory.
    pub fn from_env() -> Option<Self> {
        let directories = env::var_os(RUNTIME_DIRECTORY)?;
        env::split_paths(&directories).next().filter(|path| path.is_absolute()).map(|path| Self::in_directory(&path))
    }

    fn in_directory(directory: &Path) -> Self {
        Self { file: directory.join(FILE) }
    }

    /// Waits if starts before this one have failed, and counts this one as failed until `forget` is called.
    ///
    /// Blocks, at most for `MAX_DELAY`. Call it before anything that can fail, above all reading the settings.
    pub fn delay_start(&self) {
        self.delay_start_with(|failed, delay| {
            let status = format!("waiting {} s: {failed} starts in a row have failed", delay.as_secs());
            // The log starts later, because its settings are read later.
            print_notice(&status);
            Supervisor::from_env().notify(Notification::Starting { at_least: 2 * delay, status });
            std::thread::sleep(delay);
        });
    }

    fn delay_start_with(&self, wait: impl FnOnce(u32, Duration)) {
        let failed = self.take().unwrap_or_else(|error| self.warn("reading", &error));
        let delay = delay_after(failed);
        if !delay.is_zero() {
            wait(failed, delay);
        }
        if let Err(error) = fs::write(&self.file, failed.saturating_add(1).to_string()) {
            self.warn("writing", &error);
        }
    }

    /// Sets the count to zero, because the start has succeeded.
    pub(super) fn forget(&self) {
        if let Err(error) = self.take() {
            self.warn("removing", &error);
        }
    }

    /// Reads the count and removes the file. Content that is no number counts as no failed start.
    fn take(&self) -> io::Result<u32> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        fs::remove_file(&self.file)?;
        Ok(text.trim().parse().unwrap_or(0))
    }

    /// Reports on stderr, because the log starts later, that the delays may be wrong. Returns no failed starts.
    fn warn(&self, what: &str, error: &io::Error) -> u32 {
        print_notice(format_args!("{what} {} failed: {error}; failing starts may not be delayed", self.file.display()));
        0
    }
}

/// Returns the delay of a start after `failed` failed ones. The first repetition is immediate.
fn delay_after(failed: u32) -> Duration {
    let Some(doublings) = failed.checked_sub(1) else { return Duration::ZERO };
    let total = FIRST_DELAY * 2_u32.pow(doublings.min(MAX_DOUBLINGS));
    total.saturating_sub(FIRST_DELAY).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Starts once without success, and returns the seconds that the start was delayed.
    fn start(failed_starts: &FailedStarts) -> u64 {
        let waited = Cell::new(0);
        failed_starts.delay_start_with(|_, delay| waited.set(delay.as_secs()));
        waited.get()
    }

    /// Catches a service that tries every 2 s all night, and one that never tries again.
    #[test]
    fn the_delay_of_failing_starts_grows_to_its_maximum() {
        let directory = tempfile::tempdir().unwrap();
        let failed_starts = FailedStarts::in_directory(directory.path());
        let delays: Vec<_> = (0..8).map(|_| start(&failed_starts)).collect();
        assert_eq!(delays, [0, 0, 2, 6, 14, 28, 28, 28]);
        assert_eq!(delay_after(u32::MAX), MAX_DELAY);
    }

    /// Catches a delay that outlives its cause.
    #[test]
    fn a_start_that_succeeded_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let failed_starts = FailedStarts::in_directory(directory.path());
        (0..5).for_each(|_| _ = start(&failed_starts));
        failed_starts.forget();
        failed_starts.forget();
        assert_eq!(start(&failed_starts), 0);
    }

    /// Catches a person who corrects the settings, restarts the service, and still has to wait.
    #[test]
    fn a_start_that_was_stopped_while_it_waited_is_not_counted() {
        let directory = tempfile::tempdir().unwrap();
        let failed_starts = FailedStarts::in_directory(directory.path());
        (0..5).for_each(|_| _ = start(&failed_starts));
        failed_starts.delay_start_with(|_, _| assert!(!failed_starts.file.exists(), "the count is gone while waiting"));
    }

    /// Catches a start that fails because of its own bookkeeping.
    #[test]
    fn a_damaged_count_or_a_missing_directory_delays_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let failed_starts = FailedStarts::in_directory(directory.path());
        fs::write(&failed_starts.file, "many").unwrap();
        assert_eq!(start(&failed_starts), 0);
        let nowhere = FailedStarts::in_directory(&directory.path().join("none"));
        assert_eq!([start(&nowhere), start(&nowhere)], [0, 0]);
        assert_eq!(nowhere.take().unwrap(), 0, "no count is no failure");
        fs::create_dir(directory.path().join("none")).unwrap();
        fs::create_dir(&nowhere.file).unwrap();
        assert!(nowhere.take().is_err());
        assert_eq!([start(&nowhere), start(&nowhere)], [0, 0]);
    }
}
