//! A follower of the office that keeps nothing and notes when each payload has become durable there.

use super::lag_histogram::LagHistogram;
use herd::change::Change;
use herd::clock::{Clock, SystemClock};
use herd::fold::FOLD_VERSION;
use herd::position::{Digest, Position, Sequence};
use herd::wire::{Acknowledgment, BarnHead, BlobError, BlobKind, Heartbeat, Page, blob_kind, from_blob, to_blob};
use mirror::link::HttpsLink;
use service::lifecycle::Shutdown;
use service::sync::link::{LIVE_PATH, Link, LinkError, LiveChannel, LiveResponse};
use service::sync::live::{HEARTBEAT_INTERVAL, SILENCE_TIMEOUT};
use service::sync::query::position_text;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Maximum time until the office answers the request for a live connection, milliseconds.
const OPEN_TIMEOUT_MS: u64 = 10_000;
/// Pause between a broken connection and the next attempt.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Length of the beginning of a refusal that the error shows.
const SHOWN_CHARS: usize = 200;

/// Progress of the follower.
#[derive(Debug)]
pub(super) struct FollowerState {
    /// Latest change at the office.
    pub(super) position: Position,
    /// Times from the arrival at the barn until the change, durable at the office, has come from there.
    pub(super) lags: LagHistogram,
    /// Why the last connection ended; `None` while one is open.
    pub(super) last_error: Option<String>,
    /// Time at which the first connection opened. The lags leave out payloads from before, which arrived unnoticed.
    first_open_us: Option<i64>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the office closed the live connection")]
    Closed,
    #[error("the office was silent for {SILENCE_TIMEOUT:?}")]
    Silent,
    #[error("the office refused the live connection with status {status}: {body}")]
    Refused { status: u16, body: String },
}

impl FollowerState {
    /// Returns the state before the first connection, with the position that the follower starts from.
    pub(super) fn new(position: Position) -> Self {
        Self { position, lags: LagHistogram::default(), last_error: None, first_open_us: None }
    }

    fn note_open(&mut self, now_us: i64) {
        self.last_error = None;
        self.first_open_us.get_or_insert(now_us);
    }

    fn note_page(&mut self, page: &Page, now_us: i64) {
        for change in page.changes.iter() {
            // Other kinds of change, and those of a later version, have no arrival.
            if let Ok(Change::Received(received)) = Change::from_bytes(change)
                && self.first_open_us.is_some_and(|first_us| received.clock.received_at_us >= first_us)
            {
                self.lags.add(now_us.saturating_sub(received.clock.received_at_us));
            }
        }
        self.position = page.end.end;
    }
}

/// Follows the office over `link` until `shutdown` is requested. Reconnects when a connection ends.
pub(super) async fn follow(link: HttpsLink, state: watch::Sender<FollowerState>, shutdown: Shutdown) {
    let clock = SystemClock::default();
    loop {
        let ended = tokio::select! {
            () = shutdown.requested() => return,
            ended = follow_once(&link, &clock, &state) => ended,
        };
        if let Err(error) = ended {
            state.send_modify(|state| state.last_error = Some(error.to_string()));
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = sleep(RETRY_DELAY) => {}
        }
    }
}

async fn follow_once(
    link: &HttpsLink,
    clock: &dyn Clock,
    state: &watch::Sender<FollowerState>,
) -> Result<(), ConnectionError> {
    let now_us = || clock.read().received_at_us;
    let path = format!("{LIVE_PATH}?{}", position_text(&state.borrow().position));
    let mut channel = match link.open_live(&path, OPEN_TIMEOUT_MS).await? {
        LiveResponse::Open(channel) => channel,
        LiveResponse::Refused(response) => {
            let body = String::from_utf8_lossy(&response.body).chars().take(SHOWN_CHARS).collect();
            return Err(ConnectionError::Refused { status: response.status, body });
        }
    };
    state.send_modify(|state| state.note_open(now_us()));
    let mut heartbeats = interval(HEARTBEAT_INTERVAL);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            blob = timeout(SILENCE_TIMEOUT, channel.receive()) => {
                let blob = blob.map_err(|_| ConnectionError::Silent)??.ok_or(ConnectionError::Closed)?;
                if blob_kind(&blob)? == BlobKind::Page {
                    let page: Page = from_blob(&blob)?;
                    state.send_modify(|state| state.note_page(&page, now_us()));
                    channel.send(to_blob(&Acknowledgment { durable: page.end.end }).into()).await?;
                }
            }
            _ = heartbeats.tick() => {
                let position = state.borrow().position;
                channel.send(to_blob(&heartbeat(position)).into()).await?;
            }
        }
    }
}

/// Returns a heartbeat of this follower, which has no tables and therefore has folded nothing.
fn heartbeat(position: Position) -> Heartbeat {
    let (folded, fold_digest) = (Sequence::ZERO, Digest([0; 32]));
    Heartbeat { position, folded, fold_version: FOLD_VERSION, fold_digest, barn: BarnHead::default() }
}
