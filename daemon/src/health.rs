//! `GET /api/remote/health`: open to everybody, so it names the part that fails and nothing more.

use crate::disk::DiskGauge;
use crate::receive::ListenedRadio;
use crate::recorder::{RecordError, RecorderStatus};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use herd::store::Reader;
use serde_json::json;
use service::door::reply::{ApiError, NoQuery};
use tokio::sync::watch;

/// What the answer is made of.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the tables follow the log, without which nothing is taken in.
    pub reader: Reader,
    /// Whether the last commit went well.
    pub recorder: watch::Receiver<RecorderStatus>,
    /// Whether there is room.
    pub disk: DiskGauge,
    /// By name, in the order of the settings.
    pub radios: Vec<ListenedRadio>,
}

impl Health {
    /// The parts that fail, each as a word; empty when all is well.
    pub fn failing(&self) -> Vec<String> {
        let mut failing = Vec::new();
        // The disk's trouble may be over before the next payload shows it, so the disk is asked itself.
        let trouble = self.recorder.borrow().trouble.as_ref().is_some_and(|it| !matches!(it, RecordError::Disk(_)));
        // A channel that is closed is a writer that has ended.
        if trouble || self.reader.head().blocked.is_some() || self.recorder.has_changed().is_err() {
            failing.push("store".to_owned());
        }
        if self.disk.check().is_err() {
            failing.push("disk".to_owned());
        }
        let silent = self.radios.iter().filter(|radio| radio.state.borrow().why().is_some());
        failing.extend(silent.map(|radio| radio.name.clone()));
        failing
    }
}

/// The route, without a key.
pub fn router(health: Health) -> Router {
    Router::new().route("/api/remote/health", get(tell)).with_state(health)
}

async fn tell(State(health): State<Health>, _: NoQuery) -> Response {
    let failing = health.failing();
    if failing.is_empty() {
        return axum::Json(json!({"success": true, "status": "healthy"})).into_response();
    }
    let message = format!("not well: {}", failing.join(", "));
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", message)
        .with("status", "unhealthy")
        .with("failing", failing)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Room;
    use crate::receive::RadioState;
    use crate::worlds::World;
    use axum::body::Body;
    use axum::http::Request;
    use herd::decide::Rules;
    use serde_json::Value;
    use service::supervisor::probe;
    use std::sync::Arc;
    use tower::ServiceExt as _;

    async fn ask(health: &Health) -> (u16, Value) {
        let request = Request::get("/api/remote/health").body(Body::empty()).unwrap();
        let response = router(health.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn health_is_200_only_while_store_disk_and_radios_are_well_and_else_names_what_fails() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let radio_state = watch::Sender::new(RadioState::Listening);
        let mut health = Health {
            reader: world.reader.clone(),
            recorder: world.recorder.status(),
            disk: DiskGauge::plenty(),
            radios: vec![ListenedRadio {
                name: "radio1".into(),
                state: radio_state.subscribe(),
                counters: radio::Counters::default(),
                transmitter: None,
                asker: Arc::new(probe().0),
            }],
        };
        assert_eq!(ask(&health).await, (200, json!({"success": true, "status": "healthy"})));

        radio_state.send_replace(RadioState::Ended);
        assert_eq!(ask(&health).await.0, 200);

        radio_state.send_replace(RadioState::Failing("a secret of the inside".into()));
        let expected = json!({
            "success": false, "error": "unhealthy", "status": "unhealthy", "failing": ["radio1"],
            "message": "not well: radio1",
        });
        assert_eq!(ask(&health).await, (503, expected));

        radio_state.send_replace(RadioState::Listening);
        health.disk = DiskGauge::new(|| Ok(Room { free_bytes: 0, needed_bytes: 1 }));
        assert_eq!(ask(&health).await.1["failing"], json!(["disk"]));

        health.disk = DiskGauge::plenty();
        world.ended.abort();
        assert!(world.ended.await.unwrap_err().is_cancelled());
        assert_eq!(ask(&health).await.1["failing"], json!(["store"]));
    }
}
