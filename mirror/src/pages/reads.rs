//! The list of reads: payloads as they were received, by day, reader, outcome and signal. Their address is `/payloads`, which
//! is older than their name.
//!
//! # Decisions
//!
//! - **The list walks back through the log**, as [`Snapshot::payloads`] does, and a page of it reads a bounded number of
//!   changes. If that ends before the page is full, the next page goes on from there.
//! - **The catalog says where to look.** It counts reads by quarter hour and reader, so a filter skips the quarters that have
//!   none. Without it the walk is longer, and finds the same.
//! - **The sheet is one page of the list, and the page says so** if that is not the whole list. A program finds the `Link`; a
//!   person would take the file for complete.

use super::error::query_error;
use super::format;
use super::forms::{ReprocessForm, may_reprocess};
use super::frame::Section;
use super::list::{List, csv_file};
use super::page::PageContent;
use super::request::limit;
use super::site_request::{SiteRequest, query_value};
use crate::day::{Day, DayError};
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use herd::catalog::{Catalog, ReadCounts, WEAK_SIGNAL_DBM};
use herd::position::Sequence;
use herd::query::{Page, PageLimit, PayloadFilter, PayloadStatus, PayloadView, TotalsView};
use herd::store::Snapshot;
use serde::Deserialize;
use service::door::reply::ApiError;
use std::ops::Range;

/// Changes that a filtered page reads at most for each entry that it may hold.
const CHANGES_PER_ENTRY: usize = 20;
/// Number of reads in the sheet to which the page leads.
const SHEET_READS: u64 = 1_000;
/// Maximum number of readers that the filter offers. A barn has a handful.
const MAX_READERS: usize = 32;
/// Days before today whose readers the filter offers.
const READER_DAYS: i64 = 30;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// The outcome of a read, named as in the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    #[default]
    All,
    Processed,
    Error,
    Voided,
    RefusedWeight,
    DoubtfulTime,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::All, Self::Processed, Self::Error, Self::Voided, Self::RefusedWeight, Self::DoubtfulTime];

    /// Returns the value in the URL.
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Processed => "processed",
            Self::Error => "error",
            Self::Voided => "voided",
            Self::RefusedWeight => "refused_weight",
            Self::DoubtfulTime => "doubtful_time",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Processed => "Events",
            Self::Error => "Rejected",
            Self::Voided => "Voided",
            Self::RefusedWeight => "Weight refused",
            Self::DoubtfulTime => "Doubtful time",
        }
    }

    fn matches(self, payload: &PayloadView) -> bool {
        match self {
            Self::All => true,
            Self::Processed => payload.status == PayloadStatus::Processed,
            Self::Error => payload.status == PayloadStatus::Error,
            Self::Voided => payload.voided_by.is_some(),
            Self::RefusedWeight => payload.event.as_ref().is_some_and(|event| event.weight_refused.is_some()),
            Self::DoubtfulTime => !payload.clock_synchronized,
        }
    }

    /// Returns the number of reads with this outcome, as far as the catalog counts them.
    fn count(self, counts: &ReadCounts) -> u32 {
        match self {
            Self::All => counts.received,
            Self::Processed => counts.received.saturating_sub(counts.rejected),
            Self::Error => counts.rejected,
            Self::Voided => counts.voided,
            Self::RefusedWeight => counts.refused_weights,
            Self::DoubtfulTime => counts.doubtful,
        }
    }

    /// Returns the number of all reads with this outcome, as far as the tables count them.
    fn total(self, totals: &TotalsView) -> Option<u64> {
        match self {
            Self::All => Some(totals.received),
            Self::Processed => Some(totals.accepted),
            Self::Error => Some(totals.rejected),
            Self::Voided | Self::RefusedWeight | Self::DoubtfulTime => None,
        }
    }

    /// Returns the filter of the tables that does the same.
    fn of_tables(self) -> Option<PayloadFilter> {
        match self {
            Self::All => Some(PayloadFilter::All),
            Self::Processed => Some(PayloadFilter::Status(PayloadStatus::Processed)),
            Self::Error => Some(PayloadFilter::Status(PayloadStatus::Error)),
            Self::Voided | Self::RefusedWeight | Self::DoubtfulTime => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadsQuery {
    before: Option<u64>,
    limit: Option<u64>,
    #[serde(default)]
    status: Outcome,
    /// Day as `2026-11-27`, by the barn's clock.
    day: Option<String>,
    /// Radio, modem or key.
    reader: Option<String>,
    /// Signal in dBm below which a read is listed. A form sends an empty one if nothing is chosen.
    below: Option<String>,
}

/// Places of the log in which reads of a filter may be, by the counts of the catalog.
#[derive(Default)]
struct Candidates {
    /// Ranges of changes, latest first.
    ranges: Vec<(Sequence, Sequence)>,
    /// Maximum number of such reads.
    reads: u64,
}

impl Candidates {
    /// Returns the number of changes in the ranges.
    fn changes(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last.0.saturating_sub(first.0) + 1).sum()
    }
}

/// The filter of the list.
#[derive(Clone, Debug, Default)]
struct Filter {
    outcome: Outcome,
    day: Option<Day>,
    range_us: Option<Range<i64>>,
    reader: Option<String>,
    below_dbm: Option<i16>,
}

impl Filter {
    fn new(query: &ReadsQuery, zone: &Zone) -> Result<Self, ApiError> {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let day = text(&query.day).map(|day| day.parse::<Day>()).transpose();
        let day = day.map_err(|error: DayError| ApiError::bad_request(error.to_string()))?;
        let not_dbm = |_| ApiError::bad_request("`below` is a signal in whole dBm, such as -110");
        Ok(Self {
            outcome: query.status,
            day,
            range_us: day.map(|day| zone.range_us(day)),
            reader: text(&query.reader),
            below_dbm: text(&query.below).map(|text| text.parse().map_err(not_dbm)).transpose()?,
        })
    }

    /// Returns the filter of the tables that does the same, if there is one.
    fn of_tables(&self) -> Option<PayloadFilter> {
        let is_plain = self.range_us.is_none() && self.reader.is_none() && self.below_dbm.is_none();
        self.outcome.of_tables().filter(|_| is_plain)
    }

    fn matches(&self, payload: &PayloadView) -> bool {
        let at_us =
            || payload.received_at.as_ref()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond);
        self.outcome.matches(payload)
            && self.range_us.as_ref().is_none_or(|range| at_us().is_some_and(|at_us| range.contains(&at_us)))
            && self.reader.as_ref().is_none_or(|reader| *reader == payload.channel)
            && self.below_dbm.is_none_or(|below| payload.rssi_dbm.is_some_and(|dbm| dbm < below))
    }

    /// Returns the maximum number of such reads among those of a channel in a quarter of an hour.
    fn most_of(&self, channel: &str, counts: &ReadCounts) -> u32 {
        if self.reader.as_ref().is_some_and(|reader| reader != channel) {
            return 0;
        }
        let of_outcome = self.outcome.count(counts);
        match self.below_dbm {
            Some(below) if below <= WEAK_SIGNAL_DBM => of_outcome.min(counts.weak),
            _ => of_outcome,
        }
    }

    /// Returns where such reads may be. The tables know it for the filters that they have.
    fn candidates(&self, catalog: &Catalog) -> Candidates {
        if self.of_tables().is_some() {
            return Candidates::default();
        }
        let all = self.range_us.clone().unwrap_or(i64::MIN..i64::MAX);
        let (mut ranges, mut reads) = (Vec::new(), 0);
        for quarter in catalog.reads(&all) {
            let most = self.most_of(quarter.channel, quarter.counts);
            if most > 0 {
                ranges.push((quarter.counts.first, quarter.counts.last));
                reads += u64::from(most);
            }
        }
        // Channels overlap, and a clock that was set back puts later changes into earlier quarters.
        ranges.sort_unstable();
        let mut joined: Vec<(Sequence, Sequence)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first.0 <= end.0.saturating_add(1) => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        joined.reverse();
        Candidates { ranges: joined, reads }
    }

    /// Returns the query of a page with this filter.
    fn query(&self, before: Option<u64>, limit: u64) -> String {
        let (outcome, beside) = (self.outcome.as_str(), self.beside_outcome());
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        format!("status={outcome}{before}&limit={limit}{beside}")
    }

    /// Returns the part of the query that is the same for each outcome.
    fn beside_outcome(&self) -> String {
        let day = self.day.map(|day| format!("&day={day}"));
        let reader = self.reader.as_ref().map(|reader| format!("&reader={}", query_value(reader)));
        let below = self.below_dbm.map(|below| format!("&below={below}"));
        [day, reader, below].into_iter().flatten().collect()
    }
}

#[derive(Template)]
#[template(path = "payloads.html")]
struct ReadsContent {
    prefix: String,
    zone: Zone,
    limit: u64,
    filter: Filter,
    /// Readers to choose from.
    readers: Vec<String>,
    totals: TotalsView,
    list: List<PayloadView>,
    /// `true` if the sheet may end before the list does.
    is_sheet_cut: bool,
    /// The form that reprocesses rejected payloads, where they are listed.
    reprocess: Option<ReprocessForm>,
}

impl PageContent for ReadsContent {
    type View = List<PayloadView>;

    const SECTION: Option<Section> = Some(Section::Reads);

    fn title(&self) -> String {
        "Reads".to_owned()
    }

    fn view(&self) -> &List<PayloadView> {
        &self.list
    }
}

impl ReadsContent {
    /// Yields query, label and count of each outcome, and true for the current one. Only the totals of all reads are known.
    fn outcomes(&self) -> Vec<(String, &'static str, Option<u64>, bool)> {
        let beside = self.filter.beside_outcome();
        let count = |outcome: Outcome| outcome.total(&self.totals).filter(|_| beside.is_empty());
        let line = |outcome: Outcome| {
            let query = format!("status={}{beside}", outcome.as_str());
            (query, outcome.label(), count(outcome), outcome == self.filter.outcome)
        };
        Outcome::ALL.into_iter().map(line).collect()
    }

    fn day(&self) -> String {
        self.filter.day.map(|day| day.to_string()).unwrap_or_default()
    }

    fn below(&self) -> String {
        self.filter.below_dbm.map(|below| below.to_string()).unwrap_or_default()
    }

    fn is_reader(&self, reader: &str) -> bool {
        self.filter.reader.as_deref() == Some(reader)
    }

    fn next_query(&self) -> Option<String> {
        self.list.next.map(|next| self.filter.query(Some(next), self.limit))
    }

    fn sheet_query(&self) -> String {
        self.filter.query(None, SHEET_READS)
    }
}

/// The list of reads, newest first.
pub(super) fn list(site: &SiteRequest) -> Result<Response, ApiError> {
    let content = read_list(site)?;
    let as_of = content.list.as_of;
    Ok(site.respond(content, Some(as_of)))
}

/// The same list as CSV.
pub(super) fn csv(site: &SiteRequest) -> Result<Response, ApiError> {
    let ReadsContent { list, filter, limit, .. } = read_list(site)?;
    let path = |next| site.path(&format!("/payloads.csv?{}", filter.query(Some(next), limit)));
    Ok(csv_file(&list.data, "attachment; filename=\"payloads.csv\"", list.next.map(path)))
}

fn read_list(site: &SiteRequest) -> Result<ReadsContent, ApiError> {
    let query: ReadsQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let filter = Filter::new(&query, &site.conventions.zone)?;
    let snapshot = site.snapshot()?;
    // Without a catalog, the walk looks everywhere.
    let known = site.catalog(|catalog, _| Ok((filter.candidates(catalog), readers(catalog, site.now_us)))).ok();
    let (candidates, readers) = known.unzip();
    let totals = snapshot.totals().map_err(query_error)?;
    let is_sheet_cut = site.is_html() && is_sheet_cut(&snapshot, &filter, candidates.as_ref(), &totals)?;
    let before = query.before.map(Sequence);
    let page = match filter.of_tables() {
        Some(filter) => snapshot.payloads(before, limit, filter).map_err(query_error)?,
        None => walk(&snapshot, candidates.map(|known| known.ranges), &filter, before, limit)?,
    };
    let operator = may_reprocess(site.request.user.as_ref());
    let operator = operator.filter(|_| filter.outcome == Outcome::Error && totals.rejected > 0);
    Ok(ReadsContent {
        reprocess: operator.map(|user| ReprocessForm::new(&site.prefix, user, 0)),
        prefix: site.prefix.clone(),
        zone: site.conventions.zone.clone(),
        limit: limit.entries() as u64,
        filter,
        readers: readers.unwrap_or_default(),
        list: List::new(page, totals.as_of),
        totals,
        is_sheet_cut,
    })
}

/// Returns whether the sheet of a list may end before the list does. Without a catalog, all reads may be of the filter.
fn is_sheet_cut(
    snapshot: &Snapshot,
    filter: &Filter,
    candidates: Option<&Candidates>,
    totals: &TotalsView,
) -> Result<bool, ApiError> {
    let (Some(plain), Some(reads)) = (filter.of_tables(), filter.outcome.total(totals)) else {
        let all = (totals.received, totals.as_of.0);
        let (reads, changes) = candidates.map_or(all, |known| (known.reads, known.changes()));
        return Ok(reads > SHEET_READS || changes > SHEET_READS * CHANGES_PER_ENTRY as u64);
    };
    if reads > SHEET_READS || totals.as_of.0 <= SHEET_READS {
        return Ok(reads > SHEET_READS);
    }
    // The few reads may lie so far apart that a page does not reach the first of them.
    let limit = PageLimit::new(SHEET_READS).map_err(query_error)?;
    Ok(snapshot.payloads(None, limit, plain).map_err(query_error)?.next.is_some())
}

/// Walks back through these ranges of the log, latest first, and returns the reads that a filter lets through.
fn walk(
    snapshot: &Snapshot,
    ranges: Option<Vec<(Sequence, Sequence)>>,
    filter: &Filter,
    before: Option<Sequence>,
    limit: PageLimit,
) -> Result<Page<PayloadView>, ApiError> {
    let folded = snapshot.folded().map_err(|error| query_error(error.into()))?;
    let above = before.map_or(u64::MAX, |before| before.0).min(folded.next().0);
    let ranges = ranges.unwrap_or_else(|| vec![(Sequence(1), folded)]);
    let below = |(first, last): (Sequence, Sequence)| (first.0..(last.0 + 1).min(above)).rev();
    let (mut data, mut last_read) = (Vec::new(), None);
    for (count, sequence) in ranges.into_iter().flat_map(below).enumerate() {
        if data.len() >= limit.entries() || count >= limit.entries() * CHANGES_PER_ENTRY {
            return Ok(Page { data, next: last_read });
        }
        last_read = Some(sequence);
        let payload = snapshot.payload(Sequence(sequence)).map_err(query_error)?;
        data.extend(payload.filter(|payload| filter.matches(payload)));
    }
    Ok(Page { data, next: None })
}

/// Returns the readers of the last days, in order.
fn readers(catalog: &Catalog, now_us: i64) -> Vec<String> {
    let range = now_us.saturating_sub(READER_DAYS * DAY_US)..now_us.saturating_add(DAY_US);
    let channels: std::collections::BTreeSet<_> = catalog.reads(&range).map(|quarter| quarter.channel).collect();
    channels.into_iter().take(MAX_READERS).map(str::to_owned).collect()
}
