//! The times at which backups are due.

use super::settings::TimeOfDay;
use herd::clock::{EARLIEST_US, RawReading};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::time::Duration;

/// Time between two backups if the clock cannot be trusted.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Time from the start to the first backup if the clock cannot be trusted.
const FIRST_WAIT: Duration = Duration::from_secs(3600);
/// Time from the start to a backup that was missed: a machine that starts has enough to do.
const SETTLE_TIME: Duration = Duration::from_secs(300);

/// Clock readings that say the time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// Readings of a clock that a time server has set since the boot.
    Synchronized,
    /// Readings of any clock that was ever set.
    AnySet,
}

/// Rule by which a backup is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    at: TimeOfDay,
    zone: TimeZone,
    trust: ClockTrust,
}

/// Time at which a backup was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerifyTime {
    /// In this process, in milliseconds since the boot.
    SinceBoot(u64),
    /// Before it started: the file's time of modification, in microseconds since the Unix epoch.
    Wall(i64),
}

impl VerifyTime {
    /// Returns the time from then to `now`; `None` if the clock cannot tell.
    pub(super) fn age(self, now: RawReading) -> Option<Duration> {
        match self {
            Self::SinceBoot(ms) => Some(Duration::from_millis(now.since_boot_ms.saturating_sub(ms))),
            Self::Wall(us) if us >= EARLIEST_US => {
                Some(Duration::from_micros(u64::try_from(now.received_at_us.checked_sub(us)?).ok()?))
            }
            Self::Wall(_) => None,
        }
    }
}

impl Schedule {
    /// Creates the rule for a time of the day in a zone.
    pub fn new(at: TimeOfDay, zone: TimeZone, trust: ClockTrust) -> Self {
        Self { at, zone, trust }
    }

    /// Creates the rule of a barn: in the zone of its machine, if a time server has set the clock.
    pub fn of_machine(at: TimeOfDay) -> Self {
        Self::new(at, TimeZone::try_system().unwrap_or(TimeZone::UTC), ClockTrust::Synchronized)
    }

    /// Returns the time until a backup is due. `started_ms` is the start of the process since the boot.
    pub(super) fn wait(&self, now: RawReading, started_ms: u64, last: Option<VerifyTime>) -> Duration {
        let Some(last) = last else { return Duration::ZERO };
        let up = Duration::from_millis(now.since_boot_ms.saturating_sub(started_ms));
        match self.day_of(now) {
            Some((latest, next)) => match last.age(now) {
                Some(age) if age <= latest => next,
                _ => SETTLE_TIME.saturating_sub(up),
            },
            None => match last {
                VerifyTime::SinceBoot(_) => INTERVAL.saturating_sub(last.age(now).unwrap_or_default()),
                VerifyTime::Wall(_) => FIRST_WAIT.saturating_sub(up),
            },
        }
    }

    /// Returns the time since the latest hour of backups, and the time until the next one. `None` if the clock cannot be
    /// trusted.
    fn day_of(&self, now: RawReading) -> Option<(Duration, Duration)> {
        let is_set = now.received_at_us >= EARLIEST_US;
        if !is_set || (self.trust == ClockTrust::Synchronized && !now.synchronized) {
            return None;
        }
        let now = Timestamp::from_microsecond(now.received_at_us).ok()?.to_zoned(self.zone.clone());
        let date = now.date();
        // An hour that the clocks skip is taken after the gap, and one that comes twice the first time.
        let on =
            |date: jiff::civil::Date| date.at(self.at.hour(), self.at.minute(), 0, 0).to_zoned(self.zone.clone()).ok();
        let today = on(date)?;
        let (latest, next) =
            if today <= now { (today, on(date.tomorrow().ok()?)?) } else { (on(date.yesterday().ok()?)?, today) };
        Some((between(&latest, &now)?, between(&now, &next)?))
    }
}

fn between(from: &Zoned, to: &Zoned) -> Option<Duration> {
    Duration::try_from(to.timestamp().duration_since(from.timestamp())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    /// 2026-01-15T10:00:00Z, which is 03:00 in Denver.
    const THREE_AT_NIGHT_US: i64 = 1_768_471_200_000_000;
    const STARTED_MS: u64 = 50_000;

    fn denver(trust: ClockTrust) -> Schedule {
        Schedule::new("02:30".parse().unwrap(), TimeZone::get("America/Denver").unwrap(), trust)
    }

    fn reading(hours: i64, synchronized: bool) -> RawReading {
        let received_at_us = THREE_AT_NIGHT_US + hours * 3_600_000_000;
        let since_boot_ms = STARTED_MS + u64::try_from(hours).unwrap_or(0) * 3_600_000;
        RawReading { received_at_us, synchronized, since_boot_ms }
    }

    fn wait(hours: i64, synchronized: bool, last: Option<VerifyTime>) -> Duration {
        denver(ClockTrust::Synchronized).wait(reading(hours, synchronized), STARTED_MS, last)
    }

    /// Returns the reading at 02:30, at the start of the process.
    fn half_past_two() -> RawReading {
        RawReading { received_at_us: THREE_AT_NIGHT_US - 1_800_000_000, ..reading(0, true) }
    }

    /// Returns the time of a backup that was verified this long before 02:30.
    fn verified_before(us: i64) -> VerifyTime {
        VerifyTime::Wall(half_past_two().received_at_us - us)
    }

    /// Catches a clock that was never set and is trusted, and one that is not although it was set.
    #[test]
    fn a_clock_counts_as_set_from_the_earliest_time_on() {
        let wait = |received_at_us, synchronized| {
            let now = RawReading { received_at_us, synchronized, since_boot_ms: STARTED_MS };
            let wait = |trust| denver(trust).wait(now, STARTED_MS, Some(VerifyTime::SinceBoot(STARTED_MS)));
            [ClockTrust::Synchronized, ClockTrust::AnySet].map(|trust| wait(trust) == INTERVAL)
        };
        assert_eq!(wait(EARLIEST_US, true), [false, false]);
        assert_eq!(wait(EARLIEST_US, false), [true, false]);
        assert_eq!(wait(EARLIEST_US - 1, true), [true, true]);
        let age = |us| VerifyTime::Wall(us).age(reading(0, true));
        assert!(age(EARLIEST_US).is_some() && age(EARLIEST_US - 1).is_none());
    }

    #[test]
    fn a_directory_without_a_backup_gets_one_at_once() {
        assert_eq!(wait(0, true, None), Duration::ZERO);
        assert_eq!(wait(0, false, None), Duration::ZERO);
    }

    /// Catches a backup in another zone, one that is made twice a night, and one that a switched-off night leaves out.
    #[test]
    fn a_trusted_clock_makes_one_backup_a_day_and_a_missed_one_after_the_start() {
        let before = |hours: i64| Some(VerifyTime::Wall(THREE_AT_NIGHT_US - hours * 3_600_000_000));
        let half = HOUR / 2;
        assert_eq!(wait(0, true, Some(VerifyTime::SinceBoot(STARTED_MS))), 23 * HOUR + half);
        assert_eq!(wait(20, true, Some(VerifyTime::SinceBoot(STARTED_MS))), 3 * HOUR + half);
        assert_eq!(wait(24, true, Some(VerifyTime::SinceBoot(STARTED_MS))), Duration::ZERO);
        // One of just that time is that of the night.
        assert_eq!(
            denver(ClockTrust::Synchronized).wait(half_past_two(), STARTED_MS, Some(verified_before(0))),
            24 * HOUR
        );
        assert_eq!(
            denver(ClockTrust::Synchronized).wait(half_past_two(), STARTED_MS, Some(verified_before(1))),
            SETTLE_TIME
        );
        // The last one is of the evening, and the machine was off at 02:30.
        assert_eq!(wait(0, true, before(7)), SETTLE_TIME);
        assert_eq!(wait(1, true, before(7)), Duration::ZERO);
        // A file from the future proves nothing.
        assert_eq!(wait(1, true, before(-9)), Duration::ZERO);
    }

    /// Catches a barn that is on by day only, whose clock nobody sets, and which never makes a backup.
    #[test]
    fn without_a_trusted_clock_the_time_since_boot_counts() {
        let earlier = Some(VerifyTime::Wall(THREE_AT_NIGHT_US - 1_000_000));
        assert_eq!(wait(0, false, earlier), FIRST_WAIT);
        assert_eq!(wait(1, false, earlier), Duration::ZERO);
        let here = Some(VerifyTime::SinceBoot(STARTED_MS));
        assert_eq!((wait(1, false, here), wait(24, false, here)), (23 * HOUR, Duration::ZERO));
        let unset = RawReading { received_at_us: 0, ..reading(1, true) };
        assert_eq!(denver(ClockTrust::AnySet).wait(unset, STARTED_MS, here), 23 * HOUR);
    }

    /// Catches an office whose clock another program sets, and which never backs up at the hour that it was told.
    #[test]
    fn an_office_trusts_a_clock_without_a_mark() {
        let here = Some(VerifyTime::SinceBoot(STARTED_MS));
        let wait = denver(ClockTrust::AnySet).wait(reading(0, false), STARTED_MS, here);
        assert_eq!(wait, 23 * HOUR + HOUR / 2);
    }

    /// Catches a night without a backup when the clocks are set, and one with two.
    #[test]
    fn the_days_on_which_the_clocks_are_set_have_one_backup_each() {
        let wait = |iso: &str, zone_at: &str| {
            let now = RawReading {
                received_at_us: iso.parse::<Timestamp>().unwrap().as_microsecond(),
                synchronized: true,
                since_boot_ms: STARTED_MS,
            };
            let schedule = Schedule::new(
                zone_at.parse().unwrap(),
                TimeZone::get("America/Denver").unwrap(),
                ClockTrust::Synchronized,
            );
            schedule.wait(now, STARTED_MS, Some(VerifyTime::SinceBoot(STARTED_MS)))
        };
        // 02:30 is skipped on 8 March; it is 03:30 then, which is 09:30Z.
        assert_eq!(wait("2026-03-08T08:30:00Z", "02:30"), HOUR);
        // 01:30 comes twice on 1 November, at 07:30Z and at 08:30Z.
        assert_eq!(wait("2026-11-01T07:00:00Z", "01:30"), HOUR / 2);
        assert_eq!(wait("2026-11-01T08:00:00Z", "01:30"), 24 * HOUR + HOUR / 2);
    }
}
