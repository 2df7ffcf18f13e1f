//! JSON interface of one replicated site: its copy, and the state of its link to the barn.

use super::status::SiteStatus;
use super::view::SiteView;
use herd::clock::iso_utc;
use herd::store::Reader;
use herd::wire::{BarnHead, BarnHealth};
use service::remote::{ProcessState, RemoteApi, ReplicaState};
use service::sync::{NotServedError, Served, SyncStats};
use std::sync::Arc;
use std::time::Duration;

/// One site as API clients see it.
///
/// Duplicates never become changes, so their count is the one in the barn's last heartbeat.
pub(super) struct SiteApi {
    site: Arc<SiteView>,
    sync_interval: Duration,
}

impl SiteApi {
    pub(super) fn new(site: Arc<SiteView>, sync_interval: Duration) -> Self {
        Self { site, sync_interval }
    }
}

impl Served for SiteApi {
    fn reader(&self) -> Result<Reader, NotServedError> {
        self.site.reader()
    }

    fn barn_head(&self) -> BarnHead {
        self.site.barn_head()
    }

    fn barn_health(&self) -> BarnHealth {
        self.site.barn_health()
    }

    fn sync_stats(&self) -> &SyncStats {
        self.site.sync_stats()
    }
}

impl RemoteApi for SiteApi {
    fn site_name(&self) -> String {
        self.site.name.to_string()
    }

    fn state(&self) -> ProcessState {
        let status = SiteStatus::new(&self.site, self.sync_interval);
        ProcessState::Replica(ReplicaState {
            link: status.link.as_str(),
            barn_trouble: status.barn_trouble(),
            barn_findings: status.barn_findings,
            backup: status.backup,
            lag_changes: status.lag_changes,
            unfolded_changes: status.unfolded_changes,
            last_heartbeat_at: status.barn_heard_at_us.map(iso_utc),
            digest_equal: status.digest_equal,
            barn_fold_version: status.barn_fold_version,
            stop_reason: status.stopped_because,
            copy_progress: status.copied,
            opening: status.opening,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{BarnReport, FollowStatus, LinkState};
    use axum::body::Body;
    use axum::http::Request;
    use herd::clock::{ClockReading, SystemClock};
    use herd::decide::Rules;
    use herd::position::{Sequence, StoreId};
    use herd::store::{MemoryDisk, Store};
    use serde_json::{Value, json};
    use tokio::sync::watch;
    use tokio::time::Instant;
    use tower::ServiceExt as _;

    fn site_api(follow: FollowStatus, has_copy: bool) -> SiteApi {
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([1; 16])).unwrap();
        let site = SiteView::new("barn".parse().unwrap(), watch::channel(follow).1);
        site.change(|state| state.shown = has_copy.then(|| store.reader()));
        SiteApi::new(Arc::new(site), Duration::from_secs(10))
    }

    fn live_with_duplicates(duplicates: u64) -> FollowStatus {
        let barn = BarnHead { head: Sequence(5), age_ms: Some(40), duplicates };
        let heard = BarnReport { barn, at_us: 1_705_314_920_000_000, at: Instant::now() };
        FollowStatus { link: LinkState::Live, barn: Some(heard), digest_equal: Some(true), ..FollowStatus::default() }
    }

    async fn get(api: SiteApi, path: &str) -> (u16, Value) {
        let router = service::remote::router(Arc::new(api), Arc::new(SystemClock::default()));
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn status_reports_the_link_and_the_last_heartbeat() {
        let (status, body) = get(site_api(live_with_duplicates(7), true), "/api/remote/status").await;
        let data = &body["data"];
        assert_eq!(
            (status, &data["site"], &data["role"], &data["link"]),
            (200, &json!("barn"), &json!("replica"), &json!("live"))
        );
        assert_eq!((&data["lag_changes"], &data["digest_equal"]), (&json!(4), &json!(true)));
        assert_eq!((&data["barn_heard_at"], &data["folded"]), (&json!("2024-01-15T10:35:20.000Z"), &json!(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_duplicate_count_comes_from_the_barn_and_ages() {
        let api = site_api(live_with_duplicates(7), true);
        tokio::time::advance(Duration::from_secs(2)).await;
        let (status, body) = get(api, "/api/remote/payloads?status=duplicate").await;
        assert_eq!((status, &body["data"], &body["total"]), (200, &json!([]), &json!(7)));
        assert_eq!(body["duplicates"], json!({"count": 7, "age_ms": 2_040, "channels": []}));
    }

    #[tokio::test(start_paused = true)]
    async fn until_the_first_copy_is_complete_only_the_status_is_served() {
        let (status, body) = get(site_api(FollowStatus::default(), false), "/api/remote/status").await;
        assert_eq!((status, &body["data"]["link"], &body["data"]["position"]), (200, &json!("copying"), &Value::Null));
        assert_eq!(get(site_api(FollowStatus::default(), false), "/api/remote/batches").await.0, 503);
    }
}
