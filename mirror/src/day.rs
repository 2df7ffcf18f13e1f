//! The days of an office, which begin at midnight of its zone.

use crate::zone::Zone;
use herd::clock::iso_utc;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use std::fmt;
use std::iter::successors;
use std::ops::Range;
use std::str::FromStr;

/// First and last year of a day. A barn never ran before, and jiff has no times after.
const YEARS: Range<i16> = 1970..9999;
/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;

/// A day of the calendar. It is written `2026-11-27`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(Date);

/// A text is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is written as 2026-11-27, not {0:?}")]
pub(crate) struct DayError(String);

/// An hour of a day in the zone of an office. The days on which clocks are set have 23 or 25 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hour {
    /// Beginning and end, in microseconds since the Unix epoch.
    pub(crate) range_us: Range<i64>,
    /// Its beginning: `06`, and `01 MDT` if the clocks run through it twice.
    pub(crate) label: String,
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let date = Date::strptime("%Y-%m-%d", text).ok().filter(|date| YEARS.contains(&date.year()));
        // `strptime` also reads `2026-1-5`. One day has one address.
        date.map(Self).filter(|day| day.to_string() == text).ok_or_else(|| DayError(text.to_owned()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Day {
    /// Returns the day before.
    pub(crate) fn before(self) -> Option<Self> {
        self.0.checked_sub(1.day()).ok().map(Self).filter(|day| day.is_in_range())
    }

    /// Returns the day after.
    pub(crate) fn after(self) -> Option<Self> {
        self.0.checked_add(1.day()).ok().map(Self).filter(|day| day.is_in_range())
    }

    fn is_in_range(self) -> bool {
        YEARS.contains(&self.0.year())
    }

    /// Formats the day for people: `Friday 27 November 2026`.
    pub(crate) fn in_words(self) -> String {
        self.0.strftime("%A %-d %B %Y").to_string()
    }
}

impl Zone {
    /// Returns the day of a time.
    pub(crate) fn day_of(&self, at_us: i64) -> Day {
        let at = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH);
        Day(at.to_zoned(self.time_zone()).date())
    }

    /// Returns beginning and end of a day, in microseconds since the Unix epoch.
    pub(crate) fn range_us(&self, day: Day) -> Range<i64> {
        let begin = |date: Date| date.to_zoned(self.time_zone()).map_or(0, |at| at.timestamp().as_microsecond());
        let next = day.0.tomorrow().unwrap_or(day.0);
        begin(day.0)..begin(next)
    }

    /// Returns the hours of a day, in order.
    pub(crate) fn hours(&self, day: Day) -> Vec<Hour> {
        let Range { start, end } = self.range_us(day);
        let starts = successors(Some(start), |at_us| at_us.checked_add(HOUR_US)).take_while(|at_us| *at_us < end);
        let hour = |at_us: i64| Hour {
            range_us: at_us..at_us.saturating_add(HOUR_US).min(end),
            label: self.hour_label(at_us),
        };
        starts.map(hour).collect()
    }

    fn hour_label(&self, at_us: i64) -> String {
        let at = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.time_zone());
        let is_twice = self.time_zone().to_ambiguous_timestamp(at.datetime()).is_ambiguous();
        let form = match (at.minute(), is_twice) {
            (0, false) => "%H",
            (0, true) => "%H %Z",
            _ => "%H:%M",
        };
        at.strftime(form).to_string()
    }

    /// Returns the abbreviation of the zone at a time: `MST`.
    pub(crate) fn abbreviation(&self, at_us: i64) -> String {
        let at = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(self.time_zone()).strftime("%Z").to_string()
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

    fn denver() -> Zone {
        Zone::named("America/Denver").unwrap()
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn at_us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(day("2026-11-27").to_string(), "2026-11-27");
        assert_eq!(day("2026-11-27").in_words(), "Friday 27 November 2026");
        for text in [
            "1969-12-31",
            "",
            "2026-1-5",
            "2026-02-30",
            "2026-11-27T00:00",
            "27.11.2026",
            "-2026-11-27",
            "9999-12-31",
            "x",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        let turn = day("2026-12-31");
        assert_eq!((turn.after(), day("2027-01-01").before()), (Some(day("2027-01-01")), Some(turn)));
        assert_eq!((day("1970-01-01").before(), day("9998-12-31").after()), (None, None));
    }

    /// Catches a day that begins at midnight in UTC.
    #[test]
    fn a_minute_before_and_after_midnight_are_on_two_days() {
        let zone = denver();
        assert_eq!(zone.day_of(at_us("2026-07-01T05:59:59Z")), day("2026-06-30"));
        assert_eq!(zone.day_of(at_us("2026-07-01T06:00:00Z")), day("2026-07-01"));
        let range = zone.range_us(day("2026-07-01"));
        assert_eq!(range, at_us("2026-07-01T06:00:00Z")..at_us("2026-07-02T06:00:00Z"));
    }

    /// Catches a day of 24 hours on which the clocks are set.
    #[test]
    fn the_days_on_which_the_clocks_are_set_have_23_and_25_hours() {
        let zone = denver();
        for (text, hours) in [("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-02", 24)] {
            let (listed, range) = (zone.hours(day(text)), zone.range_us(day(text)));
            assert_eq!((listed.len(), (range.end - range.start) / HOUR_US), (hours, i64::try_from(hours).unwrap()));
            assert_eq!((listed[0].range_us.start, listed[hours - 1].range_us.end), (range.start, range.end));
        }
        let labels = |text| zone.hours(day(text)).into_iter().map(|hour| hour.label).collect::<Vec<_>>();
        assert_eq!(labels("2026-11-01")[..4], ["00", "01 MDT", "01 MST", "02"]);
        assert_eq!(labels("2026-03-08")[..3], ["00", "01", "03"]);

        // There the clocks are set by half an hour.
        let zone = Zone::named("Australia/Lord_Howe").unwrap();
        let hours = zone.hours(day("2026-04-05"));
        let labels: Vec<_> = hours.iter().map(|hour| hour.label.as_str()).collect();
        assert_eq!(labels[..4], ["00", "01", "01:30", "02:30"], "{labels:?}");
        let range = zone.range_us(day("2026-04-05"));
        let last = hours.last().unwrap().range_us.clone();
        assert_eq!((last.end, last.end - last.start), (range.end, HOUR_US / 2));
    }

    /// Catches a day that is lost where the clocks skip midnight.
    #[test]
    fn a_day_without_midnight_begins_with_its_first_moment() {
        let zone = Zone::named("America/Sao_Paulo").unwrap();
        let range = zone.range_us(day("2018-11-04"));
        assert_eq!((range.end - range.start) / HOUR_US, 23);
        assert_eq!(zone.day_of(range.start), day("2018-11-04"));
        assert_eq!(zone.day_of(range.start - 1), day("2018-11-03"));
    }

    #[test]
    fn times_of_another_day_have_their_date() {
        let (zone, now_us) = (denver(), at_us("2026-11-28T06:00:00Z"));
        assert_eq!(zone.time_on_its_day(at_us("2026-11-28T03:48:02Z"), now_us), "20:48:02");
        assert_eq!(zone.time_on_its_day(at_us("2026-11-27T03:48:02Z"), now_us), "2026-11-26 20:48:02");
        assert_eq!((zone.abbreviation(now_us), Zone::UTC.abbreviation(now_us)), ("MST".into(), "UTC".into()));
    }
}
