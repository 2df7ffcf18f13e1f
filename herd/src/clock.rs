//! Clock behind a trait: production asks the kernel, a simulated world provides its own.
//!
//! A reading says when a payload arrived and whether that time can be trusted.
//!
//! # Decisions
//!
//! - **No clock decides what to sync.** The [`Sequence`](crate::position::Sequence) and the digest do.
//! - **Durations within one boot use the time since boot**, which nobody can set back. The repeat window depends on it.
//! - **A radio's packet carries monotonic time only.** The loop that receives it adds the wall clock, because a driver
//!   is the wrong place for this trait.

use serde::{Deserialize, Serialize};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

/// Reading of the barn's clock. Every change holds the one at which the source made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// Wall clock in microseconds since the Unix epoch. It may be wrong, since a barn may have no battery-backed clock:
    /// see `synchronized`.
    pub received_at_us: i64,
    /// `true` if the wall clock followed a time source at that moment.
    pub synchronized: bool,
    /// Number of the machine's boot, which the store counts from 1. A restart of the process does not change it.
    pub boot: u32,
    /// Milliseconds since that boot, including time spent suspended (`CLOCK_BOOTTIME`).
    pub since_boot_ms: u64,
}

/// Number of no boot: boots count from 1.
const NO_BOOT: u32 = 0;

impl ClockReading {
    /// Returns the wall clock's part of the reading.
    #[must_use]
    pub const fn wall(&self) -> WallTime {
        WallTime { at_us: self.received_at_us, synchronized: self.synchronized }
    }

    /// Returns the reading without its boot, whose time is then compared with no other.
    #[must_use]
    pub const fn of_no_boot(self) -> Self {
        Self { boot: NO_BOOT, ..self }
    }

    /// Returns whether the reading was taken out of its boot.
    #[must_use]
    pub const fn is_of_no_boot(&self) -> bool {
        self.boot == NO_BOOT
    }

    /// Returns the milliseconds from `earlier` to this reading.
    ///
    /// Within one boot, the time since boot counts. Across boots, the wall clock counts if both readings are
    /// synchronized. Otherwise the duration is unknown: `None`.
    #[must_use]
    pub fn ms_since(&self, earlier: &Self) -> Option<u64> {
        if self.boot == earlier.boot && self.boot != NO_BOOT {
            return Some(self.since_boot_ms.saturating_sub(earlier.since_boot_ms));
        }
        let both = self.synchronized && earlier.synchronized;
        both.then(|| u64::try_from(self.received_at_us.saturating_sub(earlier.received_at_us) / 1000).unwrap_or(0))
    }
}

/// Time by the barn's wall clock, as far as it can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallTime {
    /// Microseconds since the Unix epoch.
    pub at_us: i64,
    /// `true` if the wall clock followed a time source at that moment.
    pub synchronized: bool,
}

impl WallTime {
    /// Returns the later of two times.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if other.at_us > self.at_us { other } else { self }
    }

    /// Returns `true` unless the wall clock had never been set.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.at_us >= EARLIEST_US
    }

    /// Formats the time as [`iso_utc_if_set`] does.
    #[must_use]
    pub fn iso_utc(self) -> Option<String> {
        iso_utc_if_set(self.at_us)
    }
}

/// Reading of a clock without the boot number, which the store adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawReading {
    /// Same as in [`ClockReading`].
    pub received_at_us: i64,
    /// Same as in [`ClockReading`].
    pub synchronized: bool,
    /// Same as in [`ClockReading`].
    pub since_boot_ms: u64,
}

impl RawReading {
    /// Returns the wall clock's part of the reading.
    #[must_use]
    pub const fn wall(&self) -> WallTime {
        WallTime { at_us: self.received_at_us, synchronized: self.synchronized }
    }

    /// Adds the number that the store gave to the current boot.
    #[must_use]
    pub fn in_boot(self, boot: u32) -> ClockReading {
        let Self { received_at_us, synchronized, since_boot_ms } = self;
        ClockReading { received_at_us, synchronized, boot, since_boot_ms }
    }
}

/// Source of readings.
pub trait Clock: Send + Sync {
    /// Reads the current time.
    fn read(&self) -> RawReading;

    /// Returns an identifier of the current boot, which stays the same until the machine restarts.
    fn boot_id(&self) -> String;
}

/// Time for which one look at the mark of a time source counts, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// The kernel's clocks.
#[derive(Clone, Debug)]
pub struct SystemClock {
    synchronized_mark: Arc<Mark>,
    boot_id: PathBuf,
}

/// A file that exists once the wall clock has followed a time source. One look costs more than reading both clocks, so it
/// counts for [`LOOK_MS`].
#[derive(Debug)]
struct Mark {
    path: PathBuf,
    /// When the file was looked for, in units of [`LOOK_MS`] from 1, and in the lowest bit whether it existed; 0 before the
    /// first look.
    looked: AtomicU64,
}

impl Mark {
    fn new(path: PathBuf) -> Self {
        Self { path, looked: AtomicU64::new(0) }
    }

    fn exists(&self, since_boot_ms: u64) -> bool {
        let (now, looked) = (since_boot_ms / LOOK_MS + 1, self.looked.load(Relaxed));
        if looked >> 1 == now {
            return looked & 1 == 1;
        }
        let exists = self.path.exists();
        self.looked.store((now << 1) | u64::from(exists), Relaxed);
        exists
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            // systemd-timesyncd touches this file each time it has set the clock from a server.
            synchronized_mark: Arc::new(Mark::new("/run/systemd/timesync/synchronized".into())),
            boot_id: "/proc/sys/kernel/random/boot_id".into(),
        }
    }
}

impl Clock for SystemClock {
    fn read(&self) -> RawReading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let ms = boot.tv_sec.saturating_mul(1000).saturating_add(boot.tv_nsec / 1_000_000);
        let since_boot_ms = u64::try_from(ms).unwrap_or(0);
        RawReading {
            received_at_us: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX),
            synchronized: self.synchronized_mark.exists(since_boot_ms),
            since_boot_ms,
        }
    }

    fn boot_id(&self) -> String {
        // Without /proc every start of the process counts as a boot. The repeat window then ends with the process: a
        // repeated payload may be kept twice, but none is lost.
        std::fs::read_to_string(&self.boot_id)
            .map_or_else(|_| format!("process-{}", std::process::id()), |id| id.trim().to_owned())
    }
}

/// Earliest time that a clock which was ever set can show, 2024-01-01T00:00:00Z: no barn ran this program before. A machine
/// without a battery starts at 1970.
pub const EARLIEST_US: i64 = 1_704_067_200_000_000;

const MILLISECONDS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// Formats microseconds since the Unix epoch as ISO 8601 in UTC, to the millisecond: `2026-01-15T10:35:20.123Z`.
///
/// A time outside of the four-digit years becomes a plain number, so that the function is total.
#[must_use]
pub fn iso_utc(us: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1000)
        .ok()
        .and_then(|at| at.format(&Iso8601::<MILLISECONDS>).ok())
        .unwrap_or_else(|| format!("{us} us since 1970"))
}

/// Formats a time of the barn's clock like [`iso_utc`]. `None` if that clock cannot have been set at all: it showed a time
/// before [`EARLIEST_US`].
#[must_use]
pub fn iso_utc_if_set(us: i64) -> Option<String> {
    (us >= EARLIEST_US).then(|| iso_utc(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(boot: u32, since_boot_ms: u64, received_at_us: i64, synchronized: bool) -> ClockReading {
        ClockReading { received_at_us, synchronized, boot, since_boot_ms }
    }

    /// Catches a repeat window that follows a wall clock that was set back.
    #[test]
    fn within_one_boot_the_wall_clock_does_not_count() {
        assert_eq!(reading(1, 9_000, 0, true).ms_since(&reading(1, 4_000, 99_000_000, true)), Some(5_000));
    }

    /// Catches a duration that was computed from a clock without a time source.
    #[test]
    fn across_boots_only_synchronized_wall_clocks_count() {
        let before = reading(1, 4_000, 1_000_000, true);
        assert_eq!(reading(2, 10, 3_000_000, true).ms_since(&before), Some(2_000));
        assert_eq!(reading(2, 10, 3_000_000, false).ms_since(&before), None);
        assert_eq!(reading(2, 10, 3_000_000, true).ms_since(&ClockReading { synchronized: false, ..before }), None);
    }

    /// Catches two machines whose times since boot are compared, because neither reading has a boot.
    #[test]
    fn readings_of_no_boot_are_compared_by_their_times_alone() {
        let (before, after) = (reading(7, 4_000, 1_000_000, true).of_no_boot(), reading(7, 9_000, 3_000_000, true));
        assert_eq!(after.of_no_boot().ms_since(&before), Some(2_000));
        assert_eq!(ClockReading { synchronized: false, ..after.of_no_boot() }.ms_since(&before), None);
        assert_eq!(after.ms_since(&before), Some(2_000));
    }

    /// Catches a time that is trusted although the earlier of two equal ones was not.
    #[test]
    fn the_later_of_two_equal_times_is_the_first_one() {
        let time = |at_us, synchronized| WallTime { at_us, synchronized };
        assert_eq!(time(5, false).later(time(5, true)), time(5, false));
        assert_eq!(time(5, false).later(time(6, true)), time(6, true));
        assert_eq!(time(7, true).later(time(6, false)), time(7, true));
        assert_eq!(reading(1, 0, 9, true).wall(), time(9, true));
        let raw = RawReading { received_at_us: 9, synchronized: true, since_boot_ms: 3 };
        assert_eq!((raw.wall(), raw.in_boot(4)), (time(9, true), reading(4, 3, 9, true)));
    }

    /// Catches a clock that shows no time, or counts the time since boot in another unit.
    #[test]
    fn the_kernel_is_asked_for_both_clocks() {
        let since_boot = || {
            let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            u64::try_from(boot.tv_sec * 1_000 + boot.tv_nsec / 1_000_000).unwrap()
        };
        let before = since_boot();
        let read = SystemClock::default().read();
        assert!((before..=since_boot()).contains(&read.since_boot_ms), "{read:?} is not after {before}");
        assert!(read.received_at_us >= EARLIEST_US, "{read:?}");
    }

    /// Catches a restart of the process that counts as one of the machine, and a machine without `/proc` that panics.
    #[test]
    fn a_boot_is_known_by_its_file_or_counts_for_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let clock = SystemClock { boot_id: directory.path().join("boot_id"), ..SystemClock::default() };
        assert_eq!(clock.boot_id(), format!("process-{}", std::process::id()));
        std::fs::write(&clock.boot_id, "c0ffee\n").unwrap();
        assert_eq!(clock.boot_id(), "c0ffee");
    }

    /// Catches an overflow with clocks that are set to absurd times.
    #[test]
    fn durations_between_extreme_times_do_not_overflow() {
        let (first, last) = (reading(1, 0, i64::MIN, true), reading(2, 0, i64::MAX, true));
        assert_eq!(last.ms_since(&first), Some(i64::MAX.unsigned_abs() / 1000));
        assert_eq!(first.ms_since(&last), Some(0));
    }

    /// Catches a look at the file system for every packet, and a barn that never hears that its clock was set.
    #[test]
    fn the_mark_of_a_time_source_is_looked_for_once_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("synchronized");
        let mark = Mark::new(path.clone());
        assert!(!mark.exists(0));
        std::fs::write(&path, "").unwrap();
        assert!(!mark.exists(LOOK_MS - 1));
        assert!(mark.exists(LOOK_MS));
        std::fs::remove_file(&path).unwrap();
        assert!(mark.exists(2 * LOOK_MS - 1));
        assert!(!mark.exists(2 * LOOK_MS));
        std::fs::write(&path, "").unwrap();
        assert!(Mark::new(path).exists(0), "the first look is at once");
    }

    /// Catches a page that shows 1970 as the day of a batch.
    #[test]
    fn a_clock_that_was_never_set_shows_no_time() {
        let shown = |at_us| WallTime { at_us, synchronized: false }.iso_utc();
        assert_eq!([0, EARLIEST_US - 1, i64::MIN].map(shown), [None, None, None]);
        assert_eq!(shown(EARLIEST_US).as_deref(), Some("2024-01-01T00:00:00.000Z"));
    }

    /// Catches another format than the one that API clients read.
    #[test]
    fn times_are_iso_8601_in_utc() {
        assert_eq!(iso_utc(1_705_314_920_123_456), "2024-01-15T10:35:20.123Z");
        assert_eq!(iso_utc(0), "1970-01-01T00:00:00.000Z");
        assert!(iso_utc(i64::MAX).ends_with("since 1970"));
    }
}
