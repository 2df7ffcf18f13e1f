//! The time zone of an office.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de};

/// Name of the zone that the machine is set to.
const MACHINES_OWN: &str = "local";

/// The time zone in which people read and write times. Everything that is stored or sent is in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Reason why a name means no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no time zone is called {0:?}; write one such as \"America/Denver\", \"UTC\", or \"local\" for this machine's own"
)]
pub struct ZoneError(String);

impl Default for Zone {
    /// The zone of this machine.
    fn default() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Returns the zone of a name in the IANA database, or with `local` that of this machine. If the machine has none, it
    /// is UTC.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        if name == MACHINES_OWN {
            return Ok(Self::default());
        }
        TimeZone::get(name).map(Self).map_err(|_| ZoneError(name.to_owned()))
    }

    pub(crate) fn time_zone(&self) -> TimeZone {
        self.0.clone()
    }

    /// Formats an ISO 8601 time to whole seconds: `2026-01-15 03:35:20`.
    ///
    /// In an hour that the clocks run through twice, the abbreviation of the zone follows. Any other text is returned
    /// unchanged.
    pub(crate) fn date_time(&self, iso: impl AsRef<str>) -> String {
        let iso = iso.as_ref();
        let Ok(at) = iso.parse::<Timestamp>() else { return iso.to_owned() };
        let local = at.to_zoned(self.0.clone());
        let is_twice = self.0.to_ambiguous_timestamp(local.datetime()).is_ambiguous();
        local.strftime(if is_twice { "%F %T %Z" } else { "%F %T" }).to_string()
    }

    /// Returns the name of the zone: `America/Denver`.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("this office's machine")
    }

    /// Reads a date and time as people of this zone write it, `2026-05-04T08:30` or with seconds, and returns it with its offset.
    ///
    /// `None` for any other text, such as one that names a zone itself, and for a time that the clocks skip or run through twice:
    /// nobody but its writer knows which it is.
    pub(crate) fn written(&self, text: &str) -> Option<String> {
        let text = text.replacen(' ', "T", 1);
        let read = |form| DateTime::strptime(form, &text).ok();
        let local = read("%Y-%m-%dT%H:%M").or_else(|| read("%Y-%m-%dT%H:%M:%S"))?;
        let at = self.0.to_ambiguous_zoned(local).unambiguous().ok()?;
        Some(at.strftime("%FT%T%:z").to_string())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denver() -> Zone {
        Zone::named("America/Denver").unwrap()
    }

    #[test]
    fn times_are_shown_in_the_zone_and_other_texts_stay_as_they_are() {
        assert_eq!(Zone::UTC.date_time("2026-01-15T10:35:20.123Z"), "2026-01-15 10:35:20");
        assert_eq!(denver().date_time("2026-01-15T10:35:20.123Z"), "2026-01-15 03:35:20");
        assert_eq!(denver().date_time("9 us since 1970"), "9 us since 1970");
    }

    /// Catches a day that begins at midnight in UTC, at 17:00 of the evening before.
    #[test]
    fn a_minute_before_and_after_midnight_are_on_two_days() {
        assert_eq!(denver().date_time("2026-07-01T05:59:00Z"), "2026-06-30 23:59:00");
        assert_eq!(denver().date_time("2026-07-01T06:01:00Z"), "2026-07-01 00:01:00");
    }

    /// Catches two reads an hour apart that look like one time, and an hour that never was.
    #[test]
    fn both_days_on_which_the_clocks_are_set_are_shown_without_doubt() {
        let spring = ["2026-03-08T08:59:59Z", "2026-03-08T09:00:00Z"].map(|iso| denver().date_time(iso));
        assert_eq!(spring, ["2026-03-08 01:59:59", "2026-03-08 03:00:00"]);
        let autumn = ["2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z", "2026-11-01T08:30:00Z", "2026-11-01T09:30:00Z"];
        let autumn = autumn.map(|iso| denver().date_time(iso));
        let twice = ["2026-11-01 01:30:00 MDT", "2026-11-01 01:30:00 MST"];
        assert_eq!(autumn, ["2026-11-01 00:30:00", twice[0], twice[1], "2026-11-01 02:30:00"]);
    }

    /// Catches a zone that somebody wrote and that is thrown away, and a guess about a time that comes twice or never.
    #[test]
    fn what_people_write_is_of_the_zone_unless_it_names_one_or_is_in_doubt() {
        let written = |text| denver().written(text);
        assert_eq!(written("2026-05-04T08:30").as_deref(), Some("2026-05-04T08:30:00-06:00"));
        assert_eq!(written("2026-01-04 08:30:07").as_deref(), Some("2026-01-04T08:30:07-07:00"));
        for left in [
            "2026-05-04T08:30:00-05:00",
            "2026-05-04T08:30:00Z",
            "2026-05-04T08:30[Europe/Vienna]",
            "2026-05-04",
            "2026-11-01T01:30",
            "2026-03-08T02:30",
            "yesterday",
            "",
        ] {
            assert_eq!(written(left), None, "{left}");
        }
    }

    #[test]
    fn names_are_those_of_the_database() {
        assert_eq!((denver().name(), Zone::UTC.name()), ("America/Denver", "UTC"));
        assert_eq!(Zone::named("UTC").unwrap().date_time("2026-01-15T10:35:20Z"), "2026-01-15 10:35:20");
        assert_eq!(Zone(TimeZone::fixed(jiff::tz::offset(5))).name(), "this office's machine");
        assert_eq!(Zone::named("local").unwrap(), Zone::default());
        let error = Zone::named("Mountain").unwrap_err().to_string();
        assert!(error.contains("\"Mountain\"") && error.contains("America/Denver"), "{error}");
    }
}
