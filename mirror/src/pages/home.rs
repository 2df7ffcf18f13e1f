//! First page: whether the barn is connected, and how many head there are. With several sites, the list of sites, and of
//! the barns that have not paired yet.

use super::error::query_error;
use super::format;
use super::frame::{Frame, Section};
use super::page::{Page, PageContent};
use super::request::PageRequest;
use super::site_request::{PagesState, SiteRequest, site_prefix};
use super::sync_status::SyncStatus;
use crate::sites::{LinkState, PreparedSummary, SiteStatus};
use crate::zone::Zone;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use herd::query::{BatchView, PageLimit, TotalsView};
use serde::Serialize;
use service::door::reply::ApiError;

/// Number of open batches on the first page; the list of batches has the others.
const MAX_OPEN_BATCHES: u64 = 10;

/// JSON of a site's first page.
#[derive(Serialize)]
struct HomeView {
    site_status: SyncStatus,
    /// `None` while there is no copy to show.
    totals: Option<TotalsView>,
    open_batches: Vec<BatchView>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomeContent {
    prefix: String,
    zone: Zone,
    site: SiteStatus,
    now_us: i64,
    view: HomeView,
}

impl PageContent for HomeContent {
    type View = HomeView;

    const SECTION: Option<Section> = Some(Section::Today);
    const IS_LIVE: bool = true;

    fn title(&self) -> String {
        self.site.name.clone()
    }

    fn view(&self) -> &HomeView {
        &self.view
    }
}

impl HomeContent {
    /// Returns the age of the last read by the barn's clock, which may be wrong.
    fn last_read(&self) -> Option<String> {
        let totals = self.view.totals.as_ref()?;
        let at = totals.last_received_at_us?;
        Some(match totals.last_received_at_doubtful {
            true if totals.last_received_at.is_none() => "at an unknown time: the barn's clock is not set".to_owned(),
            true => format!("{} by a clock that is not synchronized", format::ago(at, self.now_us)),
            false => format::ago(at, self.now_us),
        })
    }

    fn last_report(&self) -> Option<String> {
        last_report(&self.site, self.now_us)
    }

    /// Returns the number of open batches that the page leaves out.
    fn more_open_batches(&self) -> u64 {
        let open = self.view.totals.as_ref().map_or(0, |totals| totals.open_batches);
        open.saturating_sub(self.view.open_batches.len() as u64)
    }
}

/// Formats the age of the barn's last report; `None` if there was none since the process started.
fn last_report(status: &SiteStatus, now_us: i64) -> Option<String> {
    status.barn_heard_at_us.map(|at| format::ago(at, now_us))
}

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
    view: SitesView,
}

impl PageContent for SitesContent {
    type View = SitesView;

    fn title(&self) -> String {
        "Sites".to_owned()
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
    barn_trouble: Option<String>,
    last_report: Option<String>,
    lag_changes: Option<u64>,
}

/// The first page of the only site; the list of sites if there are others, or if a prepared barn has not paired yet.
pub(super) async fn office(State(state): State<PagesState>, request: PageRequest) -> Response {
    let sites = state.office.sites();
    let prepared = state.office.prepared();
    if sites.len() == 1 && prepared.is_empty() {
        return state.respond(request, site).await;
    }
    if let Err(error) = request.reject_query() {
        return request.error(error).into_response();
    }
    let (now_us, zone) = (state.now_us(), &state.conventions.zone);
    let statuses: Vec<_> = sites.iter().filter_map(|site| state.office.status(site)).collect();
    let row = |status: &SiteStatus| SiteRow {
        name: status.name.clone(),
        path: site_prefix(&status.name),
        link: status.link,
        barn_trouble: status.barn_trouble(),
        last_report: last_report(status, now_us),
        lag_changes: status.lag_changes,
    };
    let rows = statuses.iter().map(row).collect();
    let sites = statuses.iter().map(SyncStatus::from).collect();
    let content = SitesContent { zone: zone.clone(), rows, view: SitesView { sites, prepared } };
    let frame = Frame::without_site(content.title()).of(request.user).rendered_at(now_us, zone);
    Page { frame, content }.respond(request.media_type)
}

/// The first page of a site.
pub(super) fn site(site: &SiteRequest) -> Result<Response, ApiError> {
    site.request.reject_query()?;
    let (totals, open_batches) = if site.has_copy() {
        let snapshot = site.snapshot()?;
        let limit = PageLimit::new(MAX_OPEN_BATCHES).map_err(query_error)?;
        let open = snapshot.open_batches(None, limit).map_err(query_error)?;
        (Some(snapshot.totals().map_err(query_error)?), open.data)
    } else {
        (None, Vec::new())
    };
    let as_of = totals.as_ref().map(|totals| totals.as_of);
    let content = HomeContent {
        prefix: site.prefix.clone(),
        zone: site.conventions.zone.clone(),
        site: site.status.clone(),
        now_us: site.now_us,
        view: HomeView { site_status: SyncStatus::from(&site.status), totals, open_batches },
    };
    Ok(site.respond(content, as_of))
}
