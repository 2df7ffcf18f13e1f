//! The line below the bar: whether the barn is alive, its last read, and what waits.
//!
//! # Decisions
//!
//! - **One template makes the line of a page and the line that the stream sends** (`live`), so they cannot differ. The script
//!   puts it in the place of the old one and understands nothing of it but the ages.
//! - **The age of a read counts from its arrival here**, if that is known ([`Arrivals`](crate::sites::Arrivals)). Otherwise the
//!   line says whose clock it goes by.
//! - **A wrong clock of the barn is measured by reads that came live.** Their time by the barn's clock and their arrival are
//!   the same moment. What came later proves nothing.

use super::format;
use super::paths::query_value;
use crate::sites::{Arrival, LinkState, SiteStatus};
use crate::zone::Zone;
use askama::Template;
use herd::change::Change;
use herd::clock::{EARLIEST_US, WallTime, iso_utc};
use herd::position::Sequence;
use herd::query::QueryError;
use herd::store::Snapshot;

/// Maximum number of changes that are read to find the last read. If it is further back, only its time is known.
const MAX_LOOK_BACK: u64 = 64;
/// Difference between the clocks of barn and office from which the line says so.
const CLOCK_TOLERANCE_US: i64 = 120_000_000;

/// The last read of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastRead {
    /// Change that holds it; `None` if it is too far back to be looked for.
    sequence: Option<Sequence>,
    /// Radio, modem or key through which it arrived at the barn.
    reader: Option<String>,
    /// Time by the barn's clock.
    barn: WallTime,
}

impl LastRead {
    /// Returns the last read of a copy; `None` if it has none.
    pub(super) fn find(snapshot: &Snapshot) -> Result<Option<Self>, QueryError> {
        let folded = snapshot.folded()?.0;
        for sequence in (folded.saturating_sub(MAX_LOOK_BACK) + 1..=folded).rev().map(Sequence) {
            let change = snapshot.change(sequence)?;
            // A payload that was lost and came back is no news of the readers.
            if let Some(Change::Received(received)) = change.filter(|change| !is_readmitted(change)) {
                let reader = Some(received.origin.channel.to_string());
                return Ok(Some(Self { sequence: Some(sequence), reader, barn: received.clock.wall() }));
            }
        }
        let totals = snapshot.totals()?;
        let barn = |at_us| WallTime { at_us, synchronized: !totals.last_received_at_doubtful };
        Ok(totals.last_received_at_us.map(|at_us| Self { sequence: None, reader: None, barn: barn(at_us) }))
    }
}

fn is_readmitted(change: &Change) -> bool {
    matches!(change, Change::Received(received) if received.readmission.is_some())
}

/// The age of the last read, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadAge {
    /// It came live, at this time of the office's clock.
    Live(i64),
    /// It came later than it was read, at this time of the office's clock.
    Late(i64),
    /// Its arrival is unknown, and the barn's clock can be trusted.
    ByBarn,
    /// Its arrival is unknown, and the barn's clock followed no time source.
    Doubtful,
    /// Neither clock shows it: its arrival is unknown, and the barn's clock was never set.
    Unknown,
}

/// The content of the line, without the time at which it is looked at. Two lines that are equal need not be sent twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveFacts {
    prefix: String,
    link: LinkState,
    as_of: Option<Sequence>,
    read: Option<LastRead>,
    age: ReadAge,
    /// Time of the barn's last report, if it cannot be reached now.
    silent_since_us: Option<i64>,
    waiting: String,
    /// Sentence about the barn's clock, if that is wrong.
    clock: Option<String>,
}

impl LiveFacts {
    /// Puts together what is known of a site. `as_of` is the last change that is shown, and `read` the last read up to it.
    pub(super) fn new(
        status: &SiteStatus,
        prefix: &str,
        as_of: Option<Sequence>,
        read: Option<LastRead>,
        now_us: i64,
    ) -> Self {
        let arrival = read.as_ref().and_then(|read| status.arrivals.of(read.sequence?));
        let is_silent = matches!(status.link, LinkState::Away | LinkState::Stopped);
        Self {
            prefix: prefix.to_owned(),
            link: status.link,
            as_of,
            age: read.as_ref().map_or(ReadAge::Unknown, |read| age(read, arrival)),
            clock: read.as_ref().and_then(|read| clock(read, arrival, now_us)),
            read,
            silent_since_us: status.barn_heard_at_us.filter(|_| is_silent),
            waiting: waiting(status),
        }
    }

    /// Returns the last change that is shown.
    pub(super) fn as_of(&self) -> Option<Sequence> {
        self.as_of
    }

    /// Returns the line as it stands now.
    pub(super) fn line<'a>(&'a self, zone: &'a Zone, now_us: i64) -> LiveLine<'a> {
        LiveLine { facts: self, zone, now_us }
    }

    pub(super) fn link(&self) -> LinkState {
        self.link
    }
}

fn age(read: &LastRead, arrival: Option<Arrival>) -> ReadAge {
    match arrival {
        Some(Arrival { at_us, is_live: true, .. }) => ReadAge::Live(at_us),
        Some(Arrival { at_us, .. }) => ReadAge::Late(at_us),
        None if read.barn.at_us < EARLIEST_US => ReadAge::Unknown,
        None if read.barn.synchronized => ReadAge::ByBarn,
        None => ReadAge::Doubtful,
    }
}

/// Says what is wrong with the barn's clock; `None` if nothing is known to be.
fn clock(read: &LastRead, arrival: Option<Arrival>, now_us: i64) -> Option<String> {
    let barn_us = read.barn.at_us;
    if barn_us < EARLIEST_US {
        return Some("the barn’s clock is not set".to_owned());
    }
    let live_us = arrival.filter(|arrival| arrival.is_live).map(|arrival| arrival.at_us);
    let ahead_us = barn_us.saturating_sub(live_us.unwrap_or(now_us));
    // A read that came late may be of any time before now.
    if ahead_us > CLOCK_TOLERANCE_US {
        return Some(format!("the barn’s clock is {} fast", format::duration(ahead_us)));
    }
    if live_us.is_some() && ahead_us < -CLOCK_TOLERANCE_US {
        return Some(format!("the barn’s clock is {} slow", format::duration(ahead_us.saturating_neg())));
    }
    (!read.barn.synchronized).then(|| "the barn’s clock is not synchronized".to_owned())
}

/// Says how many changes are not shown here yet.
fn waiting(status: &SiteStatus) -> String {
    let unfolded = status.unfolded_changes.unwrap_or(0);
    match status.lag_changes.map(|lag| lag.saturating_add(unfolded)) {
        Some(0) => "nothing waiting".to_owned(),
        Some(waiting) => format!("{} waiting", format::counted(waiting, "change", "changes")),
        None => "what waits there is unknown".to_owned(),
    }
}

/// The line at one moment.
#[derive(Template)]
#[template(path = "live_line.html")]
pub(super) struct LiveLine<'a> {
    facts: &'a LiveFacts,
    zone: &'a Zone,
    now_us: i64,
}

impl LiveLine<'_> {
    /// Returns the seconds since a time, and the same in words.
    fn since(&self, at_us: i64) -> (u64, String) {
        (format::age_s(at_us, self.now_us), format::ago(at_us, self.now_us))
    }

    fn silent_for(&self) -> Option<(u64, String)> {
        self.facts.silent_since_us.map(|at_us| self.since(at_us))
    }

    fn barn_us(&self) -> i64 {
        self.facts.read.as_ref().map_or(0, |read| read.barn.at_us)
    }

    fn read_age(&self) -> (u64, String) {
        match self.facts.age {
            ReadAge::Live(at_us) | ReadAge::Late(at_us) => self.since(at_us),
            ReadAge::ByBarn | ReadAge::Doubtful | ReadAge::Unknown => self.since(self.barn_us()),
        }
    }

    /// Returns the time of the last read in ISO 8601 and for people: its arrival if it came live, else the barn's.
    fn read_time(&self) -> (String, String) {
        let at_us = match self.facts.age {
            ReadAge::Live(at_us) => at_us,
            _ => self.barn_us(),
        };
        (iso_utc(at_us), self.zone.time_on_its_day(at_us, self.now_us))
    }

    fn now(&self) -> String {
        self.zone.time_on_its_day(self.now_us, self.now_us)
    }

    fn reader(&self) -> Option<&str> {
        self.facts.read.as_ref()?.reader.as_deref()
    }

    fn reader_path(&self) -> String {
        format!("{}/payloads?reader={}", self.facts.prefix, query_value(self.reader().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::change::{AnimalId, Correction};
    use herd::testing::TestBarn;

    const NOON_US: i64 = 1_768_478_400_000_000;
    const DAY_US: i64 = 86_400_000_000;

    fn read(at_us: i64, synchronized: bool) -> LastRead {
        let barn = WallTime { at_us, synchronized };
        LastRead { sequence: Some(Sequence(7)), reader: Some("chute".into()), barn }
    }

    fn arrival(at_us: i64, is_live: bool) -> Arrival {
        Arrival { through: Sequence(7), at_us, is_live }
    }

    /// Catches a last read that is lost behind corrections, or that is looked for through the whole log.
    #[test]
    fn the_last_read_is_looked_for_among_the_latest_changes_only() {
        let mut barn = TestBarn::with_payloads(&["hxb:L:A:U"]);
        assert!(LastRead::find(&TestBarn::default().snapshot()).unwrap().is_none());
        let mut correct = |n: u64| barn.correct(Correction::MovePen { animal: AnimalId(2), pen: format!("P{n}") });
        (1..MAX_LOOK_BACK).for_each(|n| {
            correct(n);
        });
        let found = LastRead::find(&barn.snapshot()).unwrap().unwrap();
        assert_eq!((found.sequence, found.reader.as_deref()), (Some(Sequence(2)), Some("radio1")));
        barn.correct(Correction::MovePen { animal: AnimalId(2), pen: "P".to_owned() });
        let far = LastRead::find(&barn.snapshot()).unwrap().unwrap();
        assert_eq!((far.sequence, far.reader, far.barn), (None, None, found.barn));
    }

    /// Catches an age by a clock that is wrong.
    #[test]
    fn the_age_counts_from_the_arrival_whatever_the_barns_clock_says() {
        let wrong = read(NOON_US - 3 * DAY_US, true);
        assert_eq!(age(&wrong, Some(arrival(NOON_US, true))), ReadAge::Live(NOON_US));
        assert_eq!(age(&wrong, Some(arrival(NOON_US, false))), ReadAge::Late(NOON_US));
        assert_eq!(age(&wrong, None), ReadAge::ByBarn);
        assert_eq!(age(&read(NOON_US, false), None), ReadAge::Doubtful);
        assert_eq!(age(&read(0, false), None), ReadAge::Unknown);
    }

    /// Catches a clock that is called wrong because a read came late, and one that is 3 days slow and called right.
    #[test]
    fn a_wrong_clock_of_the_barn_is_measured_by_live_reads() {
        let said = |read: &LastRead, arrival: Option<Arrival>| clock(read, arrival, NOON_US).unwrap_or_default();
        let slow = read(NOON_US - 3 * DAY_US, true);
        assert_eq!(said(&slow, Some(arrival(NOON_US, true))), "the barn’s clock is 3 days slow");
        assert_eq!(said(&slow, Some(arrival(NOON_US, false))), "");
        assert_eq!(said(&slow, None), "");
        let fast = read(NOON_US + DAY_US / 12, true);
        for arrival in [Some(arrival(NOON_US, true)), Some(arrival(NOON_US, false)), None] {
            assert_eq!(said(&fast, arrival), "the barn’s clock is 2 h fast");
        }
        assert_eq!(said(&read(NOON_US - 60_000_000, true), Some(arrival(NOON_US, true))), "");
        let live = |ahead_us| said(&read(NOON_US + ahead_us, true), Some(arrival(NOON_US, true)));
        assert_eq!([CLOCK_TOLERANCE_US, -CLOCK_TOLERANCE_US].map(live), ["", ""]);
        let beyond = [CLOCK_TOLERANCE_US + 1, -CLOCK_TOLERANCE_US - 1].map(live);
        assert_eq!(beyond, ["the barn’s clock is 2 min fast", "the barn’s clock is 2 min slow"]);
        assert_eq!(said(&read(EARLIEST_US, true), None), "", "the earliest time of a clock that was set");
        assert_eq!(age(&read(EARLIEST_US, true), None), ReadAge::ByBarn);
        assert_eq!(said(&read(NOON_US, false), Some(arrival(NOON_US, true))), "the barn’s clock is not synchronized");
        assert_eq!(said(&read(0, false), Some(arrival(NOON_US, true))), "the barn’s clock is not set");
    }
}
