//! Health of the barn: its findings, and `GET /api/remote/health`.
//!
//! The call is open to everybody, so it names the failing parts and nothing more. The status and the offices get the
//! sentences of the findings.

mod findings;

pub use findings::QueueNote;

use crate::disk::DiskGauge;
use crate::ingest::refusals::ReadRefusals;
use crate::receive::RadioHandle;
use crate::recorder::{RecorderStatus, WriteClock};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use herd::clock::Clock;
use herd::store::{DamagedRow, LocalFile, Reader};
use serde_json::json;
use service::backup::BackupGauge;
use service::door::certificate::Identity;
use service::door::reply::{ApiError, NoQuery};
use service::give_back::HEALTH_PATH;
use service::process::has_address;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Name of the nightly backups among the parts.
const BACKUP_PART: &str = "backup";
/// The certificate, among the failing parts.
pub(crate) const CERTIFICATE_PART: &str = "certificate";
/// The address to listen on, among the failing parts.
pub(crate) const LISTEN_PART: &str = "listen";
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
    /// Reports that the machine lacks the address to listen on; `None` without a server.
    pub listen: Option<SocketAddr>,
    /// Reports that the certificate cannot be used; `None` without a server.
    pub identity: Option<Identity>,
    /// Reports that every read over HTTPS has been refused for minutes.
    pub refusals: ReadRefusals,
    /// Reports that no time server has set the clock.
    pub clock: ClockGauge,
    /// Reports the nightly backups.
    pub backup: BackupGauge,
}

/// Tells if a time server has set the clock.
#[derive(Clone)]
pub struct ClockGauge(Arc<dyn Clock>);

impl ClockGauge {
    /// Creates a gauge of this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    fn is_synchronized(&self) -> bool {
        self.0.read().synchronized
    }
}

impl fmt::Debug for ClockGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClockGauge").field(&self.is_synchronized()).finish()
    }
}

impl Health {
    /// Returns the failing parts, one word each.
    pub fn failing(&self) -> Vec<String> {
        let mut parts: Vec<_> =
            self.findings().into_iter().filter(|finding| finding.failing).map(|finding| finding.part).collect();
        // The findings of one part follow each other.
        parts.dedup();
        parts
    }

    /// Returns the names of radios that receive and of which the status has a note, and `backup` if there is no verified
    /// backup of the last two days.
    pub fn degraded(&self) -> Vec<String> {
        let radios = self.radios.iter().filter(|radio| self.is_degraded(radio)).map(|radio| radio.name.clone());
        let is_overdue = self.backup.report().is_some_and(|report| report.overdue);
        radios.chain(is_overdue.then(|| BACKUP_PART.to_owned())).collect()
    }

    /// Returns true if a radio does not receive, or its queue is full.
    pub fn is_failing(&self, radio: &RadioHandle) -> bool {
        radio.state.borrow().is_failing() || self.queue_note(radio).is_some_and(|note| note.is_full)
    }

    /// Returns true if there is a note about a radio that receives.
    pub fn is_degraded(&self, radio: &RadioHandle) -> bool {
        let has_note = radio.state.borrow().is_degraded() || self.queue_note(radio).is_some();
        has_note && !self.is_failing(radio)
    }

    /// Returns the damaged rows of the log that were read since the start.
    pub fn damaged_rows(&self) -> Vec<DamagedRow> {
        self.reader.damaged_rows()
    }

    /// Returns true if `local.redb` is damaged, so that nobody is let in.
    pub fn are_keys_damaged(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.damage().is_some())
    }

    /// Returns why the certificate cannot be used, so that nobody is let in.
    pub fn certificate_failure(&self) -> Option<String> {
        self.identity.as_ref()?.failure()
    }

    /// Returns the address to listen on if the machine lacks it, so that nobody reaches the server.
    pub fn missing_address(&self) -> Option<IpAddr> {
        Some(self.listen?.ip()).filter(|ip| !has_address(*ip))
    }

    /// Returns true if there are radios and all of them are failing.
    pub fn is_deaf(&self) -> bool {
        !self.radios.is_empty() && self.radios.iter().all(|radio| radio.state.borrow().is_failing())
    }
}

/// Returns the route, which needs no key.
pub fn router(health: Health) -> Router {
    Router::new().route(HEALTH_PATH, get(respond)).with_state(health)
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
pub(crate) mod tests;
