//! The first page of a site: the figures of today, or of another day.
//!
//! # Decisions
//!
//! - **A day begins at midnight of the office's zone.** What the barn's clock was wrong about is counted on the day that it
//!   showed, and the page says so where it can.
//! - **The figures are of the catalog** ([`herd::catalog`]). While that is being made, after a start, the page says how far it
//!   is, and shows the totals of the tables.
//! - **An open page is fetched again by itself** while figures are missing, and each minute while it shows today: no read may
//!   come at midnight, or when the figures are ready.
//! - **"To look at" lists what is there and leads to the entries.** Lines without any are left out: a list of zeros teaches
//!   people to look away.
//! - **The chart is an image without script or style**: bars of an SVG, with the numbers in its text for those who do not see
//!   it.

use super::conventions::Conventions;
use super::error::query_error;
use super::figures::{GroupView, mean_in_words, mean_of};
use super::format;
use super::frame::Section;
use super::log::week_us;
use super::page::PageContent;
use super::site_request::{SiteRequest, query_value};
use super::status::PROGRESS_EVERY_S;
use super::sync_status::SyncStatus;
use crate::day::Day;
use crate::sites::{LinkState, SiteStatus};
use askama::Template;
use axum::response::Response;
use herd::catalog::{AnimalFilter, Catalog, DayEvent, DayFilter, ToLookAt, WEAK_SIGNAL_DBM};
use herd::payload::Grams;
use herd::query::{BatchView, PageLimit, TotalsView};
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// Seconds after which the page of today is fetched again, so that it changes with the day.
const EVERY_S: u32 = 60;
/// Number of open batches in the JSON; the list of batches has the others.
const MAX_OPEN_BATCHES: u64 = 10;
/// Maximum number of rows by lot and pen; the others are summed up.
const MAX_GROUPS: usize = 100;
/// Height of the chart's highest bar, in units of the image.
const CHART_HEIGHT: u64 = 100;
/// Width of an hour in the chart, in units of the image.
const HOUR_WIDTH: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TodayQuery {
    /// Day as `2026-11-27`; today without one.
    day: Option<String>,
}

/// JSON of a site's first page.
#[derive(Serialize)]
struct TodayView {
    site_status: SyncStatus,
    /// `None` while there is no copy to show.
    totals: Option<TotalsView>,
    open_batches: Vec<BatchView>,
    /// `None` while they are being prepared.
    day: Option<DayView>,
}

/// Figures of a day.
#[derive(Serialize)]
struct DayView {
    day: String,
    head_in: u64,
    head_out: u64,
    /// On the yard now, whatever day is shown.
    on_yard: u64,
    weighed: u64,
    /// Head of `head_in` that lacks a tag.
    tags_missing: u64,
    by_lot_and_pen: Vec<GroupView>,
    out_by_lot_and_pen: Vec<GroupView>,
    reads: Vec<HourView>,
    to_look_at: LookView,
    #[serde(skip)]
    mean_in: Option<Grams>,
    /// Head of `tags_missing` that is on the yard, where somebody can look at it.
    #[serde(skip)]
    tags_missing_on_yard: u64,
}

/// Reads of an hour.
#[derive(Serialize)]
struct HourView {
    hour: String,
    received: u64,
    rejected: u64,
}

/// Counts of what people should look at.
#[derive(Serialize)]
struct LookView {
    tags_missing: u64,
    tags_unconfirmed: u64,
    reads_missed: u64,
    reads_rejected: u64,
    weights_refused: u64,
    weights_odd: u64,
    doubtful_times: u64,
    weak_signals: u64,
    proposals: u64,
    corrections: u64,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayContent {
    prefix: String,
    conventions: Conventions,
    site: SiteStatus,
    day: Day,
    today: Day,
    /// Why there are no figures of a copy.
    why_none: Option<ApiError>,
    view: TodayView,
}

impl PageContent for TodayContent {
    type View = TodayView;

    const SECTION: Option<Section> = Some(Section::Today);
    const IS_LIVE: bool = true;

    fn every_s(&self) -> Option<u32> {
        let until_figures_s = match (&self.view.totals, &self.why_none) {
            (None, _) => Some(PROGRESS_EVERY_S),
            (_, Some(reason)) => reason.retry_after_s,
            _ => None,
        };
        until_figures_s.or_else(|| self.is_today().then_some(EVERY_S))
    }

    fn title(&self) -> String {
        if self.is_today() { "Today".to_owned() } else { self.day.in_words() }
    }

    fn view(&self) -> &TodayView {
        &self.view
    }
}

/// A line of "to look at": what, how many, and the path to the entries.
type LookLine = (&'static str, u64, String);

impl TodayContent {
    fn is_today(&self) -> bool {
        self.day == self.today
    }

    /// Returns the day after the shown one, but none after today: nothing has happened yet.
    fn day_after(&self) -> Option<Day> {
        self.day.after().filter(|after| *after <= self.today)
    }

    fn zone_name(&self) -> String {
        let range = self.conventions.zone.range_us(self.day);
        self.conventions.zone.abbreviation(range.start + (range.end - range.start) / 2)
    }

    fn mean(&self, group: &GroupView) -> String {
        mean_in_words(group.mean_weight_kg, self.conventions.weight_unit)
    }

    fn mean_in(&self) -> String {
        let mean = self.view.day.as_ref().and_then(|day| day.mean_in);
        mean_in_words(mean, self.conventions.weight_unit)
    }

    /// Returns the path of a lot; `None` for head without one.
    fn lot_path(&self, group: &GroupView, is_out: bool) -> Option<String> {
        let lot = query_value(group.lot.as_deref()?);
        Some(format!("{}/lots/{lot}{}", self.prefix, if is_out { "?side=out" } else { "" }))
    }

    fn pen_path(&self, group: &GroupView) -> Option<String> {
        Some(format!("{}/animals?show=yard&pen={}", self.prefix, query_value(group.pen.as_deref()?)))
    }

    /// Yields the lines of what there is to look at.
    fn to_look_at(&self) -> Vec<LookLine> {
        let Some(day) = &self.view.day else { return Vec::new() };
        let (look, prefix, of_day) = (&day.to_look_at, &self.prefix, &day.day);
        let reads = |filter: &str| format!("{prefix}/payloads?{filter}&day={of_day}");
        let animals = |filter: &str| format!("{prefix}/animals?{filter}");
        let site = |part: &str| format!("{prefix}/status{part}");
        let lines = [
            ("Head with a tag missing", look.tags_missing, animals("show=tag_missing")),
            ("Tags unconfirmed", look.tags_unconfirmed, animals("show=yard&tags=unconfirmed")),
            ("Odd weights", look.weights_odd, animals("show=yard&tags=odd_weight")),
            ("Reads rejected that day", look.reads_rejected, reads("status=error")),
            ("Weights refused that day", look.weights_refused, reads("status=refused_weight")),
            ("Doubtful times that day", look.doubtful_times, reads("status=doubtful_time")),
            ("Weak signals that day", look.weak_signals, reads(&format!("below={WEAK_SIGNAL_DBM}"))),
            ("Reads missed, ever", look.reads_missed, site("#missed")),
            ("Decisions to make", look.proposals, site("")),
            ("Corrections, last 7 days", look.corrections, format!("{prefix}/log?week={of_day}")),
        ];
        lines.into_iter().filter(|(_, count, _)| *count > 0).collect()
    }

    fn reads(&self) -> &[HourView] {
        self.view.day.as_ref().map(|day| day.reads.as_slice()).unwrap_or_default()
    }

    fn read_total(&self) -> u64 {
        self.reads().iter().map(|hour| hour.received).sum()
    }

    /// Returns the bars of the chart: left edge, top and height of all reads, top and height of the rejected ones.
    fn bars(&self) -> Vec<(usize, u64, u64, u64, u64)> {
        let most = self.reads().iter().map(|hour| hour.received).max().unwrap_or(0).max(1);
        // A single read among thousands is a line nevertheless.
        let height = |count: u64| (count * CHART_HEIGHT).div_ceil(most);
        let bar = |(index, hour): (usize, &HourView)| {
            let (all, rejected) = (height(hour.received), height(hour.rejected));
            (index * HOUR_WIDTH, CHART_HEIGHT - all, all, CHART_HEIGHT - rejected, rejected)
        };
        self.reads().iter().enumerate().map(bar).collect()
    }

    fn chart_width(&self) -> usize {
        self.reads().len() * HOUR_WIDTH
    }

    /// Returns the chart in words.
    fn chart_text(&self) -> String {
        let hours = self.reads().iter().filter(|hour| hour.received > 0);
        let told: Vec<_> = hours.map(|hour| format!("{}: {}", hour.hour, hour.received)).collect();
        format!("Reads by hour. {}", told.join(", "))
    }

    /// Returns the labels below the chart: every sixth hour.
    fn chart_labels(&self) -> Vec<&str> {
        self.reads().iter().step_by(6).map(|hour| hour.hour.as_str()).collect()
    }

    /// Returns why the figures may not be current, in a sentence, if somebody has to know.
    fn alarm(&self) -> Option<String> {
        let reason = self.site.stopped_because.clone().or_else(|| self.site.blocked.clone());
        match (reason.or_else(|| self.site.barn_trouble()), self.site.link) {
            (Some(reason), _) => Some(reason),
            (None, LinkState::Away) => {
                Some("the barn cannot be reached; what it records meanwhile is not here yet".into())
            }
            (None, _) => None,
        }
    }
}

/// The first page of a site.
pub(super) fn page(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: TodayQuery = site.request.query()?;
    let zone = &site.conventions.zone;
    let today = zone.day_of(site.now_us);
    let day = match &query.day {
        Some(text) => text.parse().map_err(|error: crate::day::DayError| ApiError::bad_request(error.to_string()))?,
        None => today,
    };
    let (totals, open_batches, proposals) = if site.has_copy() { read_tables(site)? } else { (None, Vec::new(), 0) };
    let as_of = totals.as_ref().map(|totals| totals.as_of);
    let view = totals.as_ref().map(|totals| {
        let missed = totals.missed_events;
        site.catalog(|catalog, _| Ok(read_day(catalog, &site.conventions, day, missed, proposals)))
    });
    let (view, why_none) = match view {
        Some(Ok(view)) => (Some(view), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let content = TodayContent {
        prefix: site.prefix.clone(),
        conventions: site.conventions.clone(),
        site: site.status.clone(),
        day,
        today,
        why_none,
        view: TodayView { site_status: SyncStatus::from(&site.status), totals, open_batches, day: view },
    };
    Ok(site.respond(content, as_of))
}

type OfTables = (Option<TotalsView>, Vec<BatchView>, u64);

fn read_tables(site: &SiteRequest) -> Result<OfTables, ApiError> {
    let snapshot = site.snapshot()?;
    let limit = PageLimit::new(MAX_OPEN_BATCHES).map_err(query_error)?;
    let open = snapshot.open_batches(None, limit).map_err(query_error)?;
    let proposals = snapshot.reader_era_proposals().map_err(query_error)?.len() as u64;
    Ok((Some(snapshot.totals().map_err(query_error)?), open.data, proposals))
}

/// Reads the figures of a day.
fn read_day(catalog: &Catalog, conventions: &Conventions, day: Day, missed: u64, proposals: u64) -> DayView {
    let zone = &conventions.zone;
    let range = zone.range_us(day);
    let figures = catalog.day(&range);
    let came_in = DayFilter { event: DayEvent::In, range: range.clone() };
    let came_in = AnimalFilter { day: Some(came_in), ..AnimalFilter::default() };
    let ToLookAt { head, rejected, refused_weights, doubtful, weak, .. } = catalog.to_look_at(&range);
    let corrections = catalog.corrections_in(&week_us(zone, day));
    let hour = |hour: crate::day::Hour| {
        let reads = catalog.read_total(&hour.range_us);
        HourView { hour: hour.label, received: reads.received.into(), rejected: reads.rejected.into() }
    };
    DayView {
        day: day.to_string(),
        head_in: figures.head_in,
        head_out: figures.head_out,
        on_yard: head.on_yard,
        weighed: figures.weighed,
        tags_missing: figures.tag_missing,
        mean_in: mean_of(&figures.groups_in),
        tags_missing_on_yard: catalog.counts_of(&came_in).tag_missing,
        by_lot_and_pen: figures.groups_in.into_iter().take(MAX_GROUPS).map(GroupView::from).collect(),
        out_by_lot_and_pen: figures.groups_out.into_iter().take(MAX_GROUPS).map(GroupView::from).collect(),
        reads: zone.hours(day).into_iter().map(hour).collect(),
        to_look_at: LookView {
            tags_missing: head.tag_missing,
            tags_unconfirmed: head.unconfirmed,
            reads_missed: missed,
            reads_rejected: rejected,
            weights_refused: refused_weights,
            weights_odd: head.odd_weight,
            doubtful_times: doubtful,
            weak_signals: weak,
            proposals,
            corrections,
        },
    }
}
