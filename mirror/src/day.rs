//! The days of an office, which begin at midnight of its zone.

use crate::zone::Zone;
use herd::clock::iso_utc;
use jiff::Timestamp;
use jiff::civil::Date;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(Date);

impl Zone {
    /// Returns the day of a time.
    pub(crate) fn day_of(&self, at_us: i64) -> Day {
        let at = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH);
        Day(at.to_zoned(self.time_zone()).date())
    }

    /// Formats a time to whole seconds, with its date unless it is of the day of `now_us`.
    pub(crate) fn time_on_its_day(&self, at_us: i64, now_us: i64) -> String {
        let text = self.date_time(iso_utc(at_us));
        match text.split_once(' ') {
            Some((_, time)) if self.day_of(at_us) == self.day_of(now_us) => time.to_owned(),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn times_of_another_day_have_their_date() {
        let (zone, now_us) = (Zone::named("America/Denver").unwrap(), at_us("2026-11-28T06:00:00Z"));
        assert_eq!(zone.time_on_its_day(at_us("2026-11-28T03:48:02Z"), now_us), "20:48:02");
        assert_eq!(zone.time_on_its_day(at_us("2026-11-27T03:48:02Z"), now_us), "2026-11-26 20:48:02");
    }
}
