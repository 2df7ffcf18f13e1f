//! What the office tells programs that ask about a site: its copy, and how the following of the barn is.

use super::shown::Shown;
use super::status::site_status;
use herd::clock::iso_utc;
use herd::store::Reader;
use herd::wire::BarnHead;
use service::remote::{ProcessState, RemoteApi, ReplicaState};
use service::sync::{Served, SyncStats};
use std::sync::Arc;
use std::time::Duration;

/// A site, for programs. Duplicates make no change, so that of them the office knows what the barn's heartbeat says.
pub(super) struct ToldSite {
    shown: Arc<Shown>,
    sync_interval: Duration,
}

impl ToldSite {
    pub(super) fn new(shown: Arc<Shown>, sync_interval: Duration) -> Self {
        Self { shown, sync_interval }
    }
}

impl Served for ToldSite {
    fn reader(&self) -> Option<Reader> {
        self.shown.reader()
    }

    fn barn_head(&self) -> BarnHead {
        self.shown.barn_head()
    }

    fn sync_stats(&self) -> &SyncStats {
        self.shown.sync_stats()
    }
}

impl RemoteApi for ToldSite {
    fn site_name(&self) -> String {
        self.shown.name.to_string()
    }

    fn process_state(&self) -> ProcessState {
        let status = site_status(&self.shown, self.sync_interval);
        ProcessState::Replica(ReplicaState {
            link: status.link.as_str(),
            lag_changes: status.lag_changes,
            last_heartbeat_at: status.barn_heard_at_us.map(iso_utc),
            digest_equal: self.shown.follow_status().digest_equal,
            stop_reason: status.stopped_because,
            copy_progress: status.copied,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{FollowStatus, Heard, LinkState};
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

    fn told(follow: FollowStatus, has_copy: bool) -> ToldSite {
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([1; 16])).unwrap();
        let shown = Shown::new("barn".parse().unwrap(), watch::channel(follow).1);
        shown.change(|state| state.shown = has_copy.then(|| store.reader()));
        ToldSite::new(Arc::new(shown), Duration::from_secs(10))
    }

    fn heard(duplicates: u64) -> FollowStatus {
        let barn = BarnHead { head: Sequence(5), age_ms: Some(40), duplicates };
        let heard = Heard { barn, at_us: 1_705_314_920_000_000, at: Instant::now() };
        FollowStatus { link: LinkState::Live, barn: Some(heard), digest_equal: Some(true), ..FollowStatus::default() }
    }

    async fn ask(told: ToldSite, path: &str) -> (u16, Value) {
        let router = service::remote::router(Arc::new(told), Arc::new(SystemClock::default()));
        let answer = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_learns_of_the_link_and_of_the_barn_as_it_was_last_heard() {
        let (status, body) = ask(told(heard(7), true), "/api/remote/status").await;
        let data = &body["data"];
        assert_eq!(
            (status, &data["site"], &data["role"], &data["link"]),
            (200, &json!("barn"), &json!("replica"), &json!("live"))
        );
        assert_eq!((&data["lag_changes"], &data["digest_equal"]), (&json!(4), &json!(true)));
        assert_eq!((&data["barn_heard_at"], &data["folded"]), (&json!("2024-01-15T10:35:20.000Z"), &json!(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_duplicates_are_those_that_the_barn_told_and_they_grow_old() {
        let told = told(heard(7), true);
        tokio::time::advance(Duration::from_secs(2)).await;
        let (status, body) = ask(told, "/api/remote/payloads?status=duplicate").await;
        assert_eq!((status, &body["data"], &body["total"]), (200, &json!([]), &json!(7)));
        assert_eq!(body["duplicates"], json!({"count": 7, "age_ms": 2_040, "channels": []}));
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_copy_a_program_learns_that_it_is_being_made() {
        let (status, body) = ask(told(FollowStatus::default(), false), "/api/remote/status").await;
        assert_eq!((status, &body["data"]["link"], &body["data"]["position"]), (200, &json!("copying"), &Value::Null));
        assert_eq!(ask(told(FollowStatus::default(), false), "/api/remote/batches").await.0, 503);
    }
}
