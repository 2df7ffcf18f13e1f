//! State of replication as JSON, with the keys of the original and ours beside them.

use super::error::PageError;
use super::request::PageRequest;
use super::site_request::PagesState;
use crate::sites::{BarnDuplicates, LinkState, SiteStatus};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use herd::clock::iso_utc;
use herd::position::Position;
use herd::wire::HealthFinding;
use serde::Serialize;
use service::backup::BackupReport;
use service::remote::OpeningView;

/// JSON of one site. The keys up to `total_records_synced` are those of the original, in its order.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SyncStatus {
    running: bool,
    /// In seconds.
    sync_interval: u64,
    last_sync_time: Option<String>,
    total_syncs: u64,
    successful_syncs: u64,
    failed_syncs: u64,
    total_records_synced: u64,
    name: String,
    link: LinkState,
    barn_trouble: Option<String>,
    barn_findings: Option<Vec<HealthFinding>>,
    backup: Option<BackupReport>,
    position: Option<Position>,
    barn_head: Option<u64>,
    lag_changes: Option<u64>,
    unfolded_changes: Option<u64>,
    barn_heard_at: Option<String>,
    duplicates: Option<BarnDuplicates>,
    stopped_because: Option<String>,
    only_here: Option<u64>,
    blocked: Option<String>,
    digest_equal: Option<bool>,
    barn_fold_version: Option<u32>,
    copied: Option<CopyProgress>,
    opening: Option<OpeningView>,
}

/// Progress of a copy that is being made.
#[derive(Clone, Debug, Serialize)]
struct CopyProgress {
    changes: u64,
    of: u64,
}

/// JSON of all sites: their sums, then each site.
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
            last_sync_time: status.last_sync_at_us.map(iso_utc),
            total_syncs: status.total_syncs,
            successful_syncs: status.successful_syncs,
            failed_syncs: status.failed_syncs,
            total_records_synced: status.total_records_synced,
            name: status.name.clone(),
            link: status.link,
            barn_trouble: status.barn_trouble(),
            barn_findings: status.barn_findings.clone(),
            backup: status.backup.clone(),
            position: status.head,
            barn_head: status.barn_head,
            lag_changes: status.lag_changes,
            unfolded_changes: status.unfolded_changes,
            barn_heard_at: status.barn_heard_at_us.map(iso_utc),
            duplicates: status.duplicates,
            stopped_because: status.stopped_because.clone(),
            only_here: status.only_here,
            blocked: status.blocked.clone(),
            digest_equal: status.digest_equal,
            barn_fold_version: status.barn_fold_version,
            copied: status.copied.map(|(changes, of)| CopyProgress { changes, of }),
            opening: status.opening.clone(),
        }
    }
}

impl OfficeSyncStatus {
    /// Combines the sites: running if every site is, the longest interval, the oldest contact, and the sums of the counts.
    ///
    /// A site without any contact leaves the whole without one: the best site must not hide the worst.
    fn new(sites: &[SiteStatus]) -> Self {
        let sum = |count: fn(&SiteStatus) -> u64| sites.iter().map(count).fold(0, u64::saturating_add);
        Self {
            running: !sites.is_empty() && sites.iter().all(|site| site.running),
            sync_interval: sites.iter().map(|site| site.sync_interval_s).max().unwrap_or(0),
            last_sync_time: sites.iter().map(|site| site.last_sync_at_us).min().flatten().map(iso_utc),
            total_syncs: sum(|site| site.total_syncs),
            successful_syncs: sum(|site| site.successful_syncs),
            failed_syncs: sum(|site| site.failed_syncs),
            total_records_synced: sum(|site| site.total_records_synced),
            sites: sites.iter().map(SyncStatus::from).collect(),
        }
    }
}

fn json(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The state of all sites.
pub(super) async fn office(State(state): State<PagesState>, request: PageRequest) -> Result<Response, PageError> {
    request.reject_query().map_err(|error| request.error(error))?;
    let sites = state.office.sites();
    let statuses: Vec<_> = sites.iter().filter_map(|site| state.office.status(site)).collect();
    Ok(json(OfficeSyncStatus::new(&statuses)))
}

/// The state of the site that the path names.
pub(super) async fn site(State(state): State<PagesState>, request: PageRequest) -> Result<Response, PageError> {
    request.reject_query().map_err(|error| request.error(error))?;
    let status = state.status(request.path_param("site")).map_err(|error| request.error(error))?;
    Ok(json(SyncStatus::from(&status)))
}
