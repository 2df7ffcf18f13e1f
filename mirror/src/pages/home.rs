//! The first screen: is the barn alive, and how many head are there.

use super::asked::{Asked, refusal};
use super::frame::{Age, Frame};
use super::reply::{Failure, shown};
use super::state::SiteStatus;
use super::sync_status::SyncStatus;
use super::visit::{Visit, Visitors, prefix_of};
use super::words;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use herd::query::{BatchView, PageLimit, TotalsView};
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// So many open batches stand on the first screen; the list of batches has the others.
const OPEN_BATCHES_SHOWN: u64 = 10;

/// The query knows no key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoKeys {}

#[derive(Template, Serialize)]
#[template(path = "home.html")]
struct HomePage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    now_us: i64,
    #[serde(skip)]
    site: SiteStatus,
    site_status: SyncStatus,
    /// None while there is no copy.
    totals: Option<TotalsView>,
    open_batches: Vec<BatchView>,
}

impl HomePage {
    /// How long ago the last read came; by the barn's clock, which may be off.
    fn last_read(&self) -> Option<String> {
        let at = self.totals.as_ref()?.last_received_at_us?;
        Some(words::ago(at, self.now_us))
    }

    fn open_beyond(&self) -> u64 {
        let open = self.totals.as_ref().map_or(0, |totals| totals.open_batches);
        open.saturating_sub(self.open_batches.len() as u64)
    }
}

#[derive(Template, Serialize)]
#[template(path = "sites.html")]
struct SitesPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    lines: Vec<SiteLine>,
    sites: Vec<SyncStatus>,
}

/// A site in the list of them.
struct SiteLine {
    name: String,
    path: String,
    age: Age,
    lag_changes: Option<u64>,
}

/// The first screen of the only site, or the list of sites.
pub(super) async fn first(State(visitors): State<Visitors>, asked: Asked) -> Response {
    let sites = visitors.office.sites();
    if sites.len() == 1 {
        return visitors.visit(asked, site).await;
    }
    if let Err(error) = asked.query::<NoKeys>() {
        return Failure { face: asked.face, error }.into_response();
    }
    let now_us = visitors.now_us();
    let statuses: Vec<_> = sites.iter().filter_map(|site| visitors.office.status(site)).collect();
    let line = |status: &SiteStatus| SiteLine {
        path: prefix_of(&status.name),
        age: Age::new(status, None, now_us),
        lag_changes: status.lag_changes,
        name: status.name.clone(),
    };
    let page = SitesPage {
        frame: Frame { made: Frame::made_at(now_us), ..Frame::bare("Sites") },
        lines: statuses.iter().map(line).collect(),
        sites: statuses.iter().map(SyncStatus::from).collect(),
    };
    shown(asked.face, &page)
}

/// The first screen of a site.
pub(super) fn site(visit: &Visit) -> Result<Response, ApiError> {
    visit.asked.query::<NoKeys>()?;
    let (totals, open_batches) = if visit.has_copy() {
        let snapshot = visit.snapshot()?;
        let limit = PageLimit::new(OPEN_BATCHES_SHOWN).map_err(refusal)?;
        let open = snapshot.open_batches(None, limit).map_err(refusal)?;
        (Some(snapshot.totals().map_err(refusal)?), open.data)
    } else {
        (None, Vec::new())
    };
    let as_of = totals.as_ref().map(|totals| totals.as_of);
    Ok(visit.show(&HomePage {
        frame: visit.frame(visit.status.name.clone(), "", as_of),
        now_us: visit.now_us,
        site: visit.status.clone(),
        site_status: SyncStatus::from(&visit.status),
        totals,
        open_batches,
    }))
}
