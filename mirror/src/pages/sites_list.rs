//! First page of an office: that of its only site, or the list of sites with today's figures, and of the barns that have not
//! paired yet.

use super::format;
use super::frame::Frame;
use super::media_type::MediaType;
use super::page::{Page, PageContent, redirect};
use super::request::PageRequest;
use super::site_request::{PagesState, site_prefix};
use super::sync_status::SyncStatus;
use super::today;
use crate::people::Role;
use crate::sites::{LinkState, PreparedSummary, SiteStatus};
use crate::zone::Zone;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Seconds after which an open page is fetched again. It has no stream, because it is of no site.
const EVERY_S: u32 = 10;

/// JSON of the list of sites.
#[derive(Serialize)]
struct SitesView {
    sites: Vec<SyncStatus>,
    /// Barns that were prepared and have not paired.
    prepared: Vec<PreparedSummary>,
}

#[derive(Template)]
#[template(path = "sites.html")]
struct SitesContent {
    zone: Zone,
    rows: Vec<SiteRow>,
    /// `true` for somebody who pairs barns.
    is_owner: bool,
    view: SitesView,
}

impl PageContent for SitesContent {
    type View = SitesView;

    fn title(&self) -> String {
        "All sites".to_owned()
    }

    fn view(&self) -> &SitesView {
        &self.view
    }
}

/// A row of the list of sites.
struct SiteRow {
    name: String,
    path: String,
    link: LinkState,
    /// The most urgent fact, if something is wrong.
    trouble: Option<String>,
    last_report: Option<String>,
    lag_changes: Option<u64>,
    /// Today's figures; `None` while there are none.
    today: Option<TodayFigures>,
}

/// Today's figures of a site.
#[derive(Clone, Copy, Debug)]
struct TodayFigures {
    head_in: u64,
    head_out: u64,
    on_yard: u64,
    tag_missing: u64,
}

impl SiteRow {
    fn read(state: &PagesState, status: &SiteStatus, now_us: i64) -> Self {
        let reason = status.stopped_because.clone().or_else(|| status.blocked.clone());
        Self {
            name: status.name.clone(),
            path: site_prefix(&status.name),
            link: status.link,
            trouble: reason.or_else(|| status.barn_trouble()),
            last_report: status.barn_heard_at_us.map(|at| format::ago(at, now_us)),
            lag_changes: status.lag_changes,
            today: read_today(state, &status.name, now_us),
        }
    }
}

fn read_today(state: &PagesState, site: &str, now_us: i64) -> Option<TodayFigures> {
    let (reader, zone) = (state.office.reader(site).ok()?, &state.conventions.zone);
    let today = zone.range_us(zone.day_of(now_us));
    let read = state.office.catalogs().read(site, &reader, |catalog, _| (catalog.day(&today), catalog.counts()));
    let (day, head) = read.ok()?;
    Some(TodayFigures {
        head_in: day.head_in,
        head_out: day.head_out,
        on_yard: head.on_yard,
        tag_missing: head.tag_missing,
    })
}

/// The first page of the only site; the list of sites if there are others, or if a prepared barn has not paired yet.
pub(super) async fn office(State(state): State<PagesState>, request: PageRequest) -> Response {
    let prepared = state.office.prepared();
    if state.office.sites().len() == 1 && prepared.is_empty() {
        return state.respond(request, today::page).await;
    }
    if let Err(error) = request.reject_query() {
        // The list takes no query. A link with one is to the first page of the only site there was.
        return match state.office.first_site().filter(|_| request.media_type == MediaType::Html) {
            Some(first) => redirect(&request.path_below(&site_prefix(&first))),
            None => request.error(error).into_response(),
        };
    }
    state.respond_apart(request, move |state, request| list(state, request, prepared)).await
}

fn list(state: &PagesState, request: PageRequest, prepared: Vec<PreparedSummary>) -> Response {
    let (now_us, zone) = (state.now_us(), &state.conventions.zone);
    let statuses: Vec<_> = state.office.sites().iter().filter_map(|site| state.office.status(site)).collect();
    let rows = statuses.iter().map(|status| SiteRow::read(state, status, now_us)).collect();
    let sites = statuses.iter().map(SyncStatus::from).collect();
    let is_owner = request.user.as_ref().is_some_and(|user| user.role == Role::Owner);
    let content = SitesContent { zone: zone.clone(), rows, is_owner, view: SitesView { sites, prepared } };
    let searches_sites = statuses.len() > 1;
    let frame = Frame { every_s: Some(EVERY_S), searches_sites, ..Frame::without_site(content.title()) };
    Page { frame: frame.of(request.user).rendered_at(now_us, zone), content }.respond(request.media_type)
}
