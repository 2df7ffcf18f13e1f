//! How the sync goes, for programs: the keys of the original, ours beside.

use super::asked::Asked;
use super::reply::Failure;
use super::state::{HeardDuplicates, LinkState, SiteStatus};
use super::visit::Visitors;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use herd::clock::iso_utc;
use herd::position::Position;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// How the sync with one site goes. The keys up to `total_records_synced` are those of the original, in its order.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SyncStatus {
    running: bool,
    /// Seconds.
    sync_interval: u64,
    last_sync_time: Option<String>,
    total_syncs: u64,
    successful_syncs: u64,
    failed_syncs: u64,
    total_records_synced: u64,
    name: String,
    link: LinkState,
    position: Option<Position>,
    barn_head: Option<u64>,
    lag_changes: Option<u64>,
    barn_heard_at: Option<String>,
    duplicates: Option<HeardDuplicates>,
    stopped_because: Option<String>,
    blocked: Option<String>,
    copied: Option<Copied>,
}

/// How far a copy has come.
#[derive(Clone, Debug, Serialize)]
struct Copied {
    changes: u64,
    of: u64,
}

/// The same of all sites, and of each.
#[derive(Clone, Debug, Serialize)]
struct OfficeSyncStatus {
    running: bool,
    sync_interval: u64,
    last_sync_time: Option<String>,
    total_syncs: u64,
    successful_syncs: u64,
    failed_syncs: u64,
    total_records_synced: u64,
    sites: Vec<SyncStatus>,
}

impl From<&SiteStatus> for SyncStatus {
    fn from(status: &SiteStatus) -> Self {
        Self {
            running: status.running,
            sync_interval: status.sync_interval_s,
            last_sync_time: status.last_sync_time.map(iso_utc),
            total_syncs: status.total_syncs,
            successful_syncs: status.successful_syncs,
            failed_syncs: status.failed_syncs,
            total_records_synced: status.total_records_synced,
            name: status.name.clone(),
            link: status.link,
            position: status.head,
            barn_head: status.barn_head,
            lag_changes: status.lag_changes,
            barn_heard_at: status.barn_heard_at_us.map(iso_utc),
            duplicates: status.duplicates,
            stopped_because: status.stopped_because.clone(),
            blocked: status.blocked.clone(),
            copied: status.copied.map(|(changes, of)| Copied { changes, of }),
        }
    }
}

impl OfficeSyncStatus {
    /// It runs where every site's follower does; the interval is the longest, the counts are sums.
    fn of(sites: &[SiteStatus]) -> Self {
        let sum = |count: fn(&SiteStatus) -> u64| sites.iter().map(count).fold(0, u64::saturating_add);
        Self {
            running: !sites.is_empty() && sites.iter().all(|site| site.running),
            sync_interval: sites.iter().map(|site| site.sync_interval_s).max().unwrap_or(0),
            last_sync_time: sites.iter().filter_map(|site| site.last_sync_time).max().map(iso_utc),
            total_syncs: sum(|site| site.total_syncs),
            successful_syncs: sum(|site| site.successful_syncs),
            failed_syncs: sum(|site| site.failed_syncs),
            total_records_synced: sum(|site| site.total_records_synced),
            sites: sites.iter().map(SyncStatus::from).collect(),
        }
    }
}

/// The query knows no key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoKeys {}

fn json(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

pub(super) async fn all(State(visitors): State<Visitors>, asked: Asked) -> Result<Response, Failure> {
    asked.query::<NoKeys>().map_err(|error| Failure { face: asked.face, error })?;
    let sites = visitors.office.sites();
    let statuses: Vec<_> = sites.iter().filter_map(|site| visitors.office.status(site)).collect();
    Ok(json(OfficeSyncStatus::of(&statuses)))
}

pub(super) async fn one(State(visitors): State<Visitors>, asked: Asked) -> Result<Response, Failure> {
    let refused = |error| Failure { face: asked.face, error };
    asked.query::<NoKeys>().map_err(refused)?;
    let site = asked.place("site");
    let unknown = || refused(ApiError::not_found(format!("no site {site:?} is paired with this office")));
    let status = visitors.office.status(site).ok_or_else(unknown)?;
    Ok(json(SyncStatus::from(&status)))
}
