//! `GET /api/remote/health`: open to everybody, so it names the failing parts and nothing more.

use crate::disk::DiskGauge;
use crate::ingest::refusals::ReadRefusals;
use crate::receive::RadioHandle;
use crate::recorder::{RecordError, RecorderStatus, WriteClock};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use herd::store::{DamagedRow, LocalFile, Reader};
use serde_json::json;
use service::door::reply::{ApiError, NoQuery};
use std::time::Duration;
use tokio::sync::watch;

/// Time after which a write under way counts as stuck. A slow card stalls for a second now and then.
const STUCK_WRITE: Duration = Duration::from_millis(1_500);

/// Health of the parts of the process.
#[derive(Clone, Debug)]
pub struct Health {
    /// Reports tables that do not follow the log; nothing is recorded then.
    pub reader: Reader,
    /// Reports the error of the last commit.
    pub recorder: watch::Receiver<RecorderStatus>,
    /// Reports how long the write under way takes.
    pub write_clock: WriteClock,
    /// Measures the free space.
    pub disk: DiskGauge,
    /// The radios, in the order of the settings.
    pub radios: Vec<RadioHandle>,
    /// Reports that keys and counters cannot be written; `None` without such a file.
    pub local: Option<LocalFile>,
    /// Reports that every read over HTTPS has been refused for minutes.
    pub refusals: ReadRefusals,
}

impl Health {
    /// Returns the failing parts, one word each.
    pub fn failing(&self) -> Vec<String> {
        let mut failing = Vec::new();
        // A full disk may have room again before the next payload clears the last error, so the disk is checked directly.
        let has_error =
            self.recorder.borrow().last_error.as_ref().is_some_and(|error| !matches!(error, RecordError::Disk(_)));
        // A closed channel means that the writer has ended.
        let is_stuck = self.write_clock.elapsed().is_some_and(|elapsed| elapsed >= STUCK_WRITE);
        if has_error || is_stuck || self.reader.head().blocked.is_some() || self.recorder.has_changed().is_err() {
            failing.push("store".to_owned());
        }
        if !self.damaged_rows().is_empty() {
            failing.push("log".to_owned());
        }
        if self.disk.check().is_err() {
            failing.push("disk".to_owned());
        }
        if self.are_keys_damaged() || self.local.as_ref().is_some_and(|local| local.failure().is_some()) {
            failing.push("keys".to_owned());
        }
        if self.refusals.finding().is_some() {
            failing.push("reads".to_owned());
        }
        let failing_radios = self.radios.iter().filter(|radio| radio.state.borrow().is_failing());
        failing.extend(failing_radios.map(|radio| radio.name.clone()));
        failing
    }

    /// Returns the names of radios that receive and of which the status has a note.
    pub fn degraded(&self) -> Vec<String> {
        let degraded = self.radios.iter().filter(|radio| radio.state.borrow().is_degraded());
        degraded.map(|radio| radio.name.clone()).collect()
    }

    /// Returns the damaged rows of the log that were read since the start.
    pub fn damaged_rows(&self) -> Vec<DamagedRow> {
        self.reader.damaged_rows()
    }

    /// Returns true if `local.redb` is damaged, so that nobody is let in.
    pub fn are_keys_damaged(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.damage().is_some())
    }

    /// Returns true if there are radios and all of them are failing.
    pub fn is_deaf(&self) -> bool {
        !self.radios.is_empty() && self.radios.iter().all(|radio| radio.state.borrow().is_failing())
    }
}

/// Returns the route, which needs no key.
pub fn router(health: Health) -> Router {
    Router::new().route("/api/remote/health", get(respond)).with_state(health)
}

async fn respond(State(health): State<Health>, _: NoQuery) -> Response {
    let failing = health.failing();
    let degraded = health.degraded();
    if failing.is_empty() {
        let mut healthy = json!({"success": true, "status": "healthy"});
        if !degraded.is_empty() {
            healthy["degraded"] = json!(degraded);
        }
        return axum::Json(healthy).into_response();
    }
    let message = format!("failing: {}", failing.join(", "));
    let unhealthy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", message);
    let unhealthy = unhealthy.with("status", "unhealthy").with("failing", failing);
    let damaged = health.damaged_rows();
    let unhealthy = if damaged.is_empty() { unhealthy } else { unhealthy.with("damaged", json!(damaged)) };
    unhealthy.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskSpace;
    use crate::receive::RadioState;
    use crate::test_world::World;
    use axum::body::Body;
    use axum::http::Request;
    use herd::decide::Rules;
    use serde_json::Value;
    use service::supervisor::probe;
    use std::sync::Arc;
    use tower::ServiceExt as _;

    async fn get_health(health: &Health) -> (u16, Value) {
        let request = Request::get("/api/remote/health").body(Body::empty()).unwrap();
        let response = router(health.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn health_is_200_while_nothing_fails_and_else_names_the_failing_parts() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let radio_state = watch::Sender::new(RadioState::Listening);
        let mut health = Health {
            reader: world.reader.clone(),
            recorder: world.recorder.status(),
            write_clock: world.recorder.write_clock().clone(),
            disk: DiskGauge::plenty(),
            radios: vec![RadioHandle {
                name: "radio1".into(),
                state: radio_state.subscribe(),
                counters: radio::Counters::default(),
                transmitter: None,
                probe: Arc::new(probe().0),
            }],
            local: None,
            refusals: ReadRefusals::default(),
        };
        assert_eq!(get_health(&health).await, (200, json!({"success": true, "status": "healthy"})));

        // A radio that receives is not failing, but somebody should look.
        radio_state.send_replace(RadioState::Degraded("the last 16 packets have no CRC".into()));
        let expected = json!({"success": true, "status": "healthy", "degraded": ["radio1"]});
        assert_eq!(get_health(&health).await, (200, expected));
        assert!(!health.is_deaf());

        radio_state.send_replace(RadioState::Ended);
        assert_eq!(get_health(&health).await.0, 200);
        assert!(!health.is_deaf());

        radio_state.send_replace(RadioState::Failing("an internal detail".into()));
        assert!(health.is_deaf());
        let expected = json!({
            "success": false, "error": "unhealthy", "status": "unhealthy", "failing": ["radio1"],
            "message": "failing: radio1",
        });
        assert_eq!(get_health(&health).await, (503, expected));

        radio_state.send_replace(RadioState::Listening);
        health.disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
        assert_eq!(get_health(&health).await.1["failing"], json!(["disk"]));

        health.disk = DiskGauge::plenty();
        // A disk that hangs.
        let writing = world.recorder.write_clock().start();
        tokio::time::advance(STUCK_WRITE.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(get_health(&health).await.0, 200);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(get_health(&health).await.1["failing"], json!(["store"]));
        drop(writing);
        assert_eq!(get_health(&health).await.0, 200);

        health.local = Some(LocalFile::closed("local.redb", "a page is missing"));
        assert_eq!(get_health(&health).await.1["failing"], json!(["keys"]));

        health.local = None;
        world.writer.abort();
        assert!(world.writer.await.unwrap_err().is_cancelled());
        assert_eq!(get_health(&health).await.1["failing"], json!(["store"]));
    }
}
