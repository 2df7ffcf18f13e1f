//! One more follower of the office: it keeps nothing, and looks when each payload becomes visible there.

use super::lag::Lags;
use herd::change::Change;
use herd::clock::{Clock, SystemClock};
use herd::fold::FOLD_VERSION;
use herd::position::{Digest, Position, Sequence};
use herd::wire::{Acknowledgement, BarnHead, BlobError, BlobKind, Heartbeat, Page, blob_kind, from_blob, to_blob};
use mirror::link::HttpsLink;
use service::lifecycle::Shutdown;
use service::sync::link::{LIVE_PATH, Link, LinkError, LiveChannel, LiveResponse};
use service::sync::live::{HEARTBEAT_INTERVAL, SILENCE_TIMEOUT};
use service::sync::query::position_text;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// The office must answer the opening within this time, milliseconds.
const OPEN_TIMEOUT_MS: u64 = 10_000;
/// After a broken connection, before the next.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What was seen at the office so far.
#[derive(Debug)]
pub(super) struct Seen {
    /// The last change.
    pub(super) at: Position,
    /// From heard at the barn to visible at the office.
    pub(super) lags: Lags,
    /// Why the last connection ended.
    pub(super) trouble: Option<String>,
    /// When the first connection was open. Payloads heard before are not in the lags, as nobody was looking.
    looking_since_us: Option<i64>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the office closed the live connection")]
    Closed,
    #[error("the office was silent for {SILENCE_TIMEOUT:?}")]
    Silent,
    #[error("the office refused the live connection with status {status}: {told}")]
    Refused { status: u16, told: String },
}

impl Seen {
    pub(super) fn nothing(at: Position) -> Self {
        Self { at, lags: Lags::default(), trouble: None, looking_since_us: None }
    }

    fn begin(&mut self, now_us: i64) {
        self.trouble = None;
        self.looking_since_us.get_or_insert(now_us);
    }

    fn take(&mut self, page: &Page, now_us: i64) {
        for change in page.changes.iter() {
            // Other kinds, and those of a later version, were not received.
            if let Ok(Change::Received(received)) = Change::from_bytes(change)
                && self.looking_since_us.is_some_and(|since_us| received.clock.received_at_us >= since_us)
            {
                self.lags.note(now_us.saturating_sub(received.clock.received_at_us));
            }
        }
        self.at = page.end.end;
    }
}

/// Follows over `link` until `stop` turns true; a connection that ends is opened anew.
pub(super) async fn follow(link: HttpsLink, seen: watch::Sender<Seen>, stop: Shutdown) {
    let clock = SystemClock::default();
    loop {
        let ended = tokio::select! {
            () = stop.requested() => return,
            ended = connection(&link, &clock, &seen) => ended,
        };
        if let Err(ended) = ended {
            seen.send_modify(|seen| seen.trouble = Some(ended.to_string()));
        }
        tokio::select! {
            () = stop.requested() => return,
            () = sleep(AGAIN_AFTER) => {}
        }
    }
}

async fn connection(link: &HttpsLink, clock: &dyn Clock, seen: &watch::Sender<Seen>) -> Result<(), Ended> {
    let now_us = || clock.read().received_at_us;
    let path = format!("{LIVE_PATH}?{}", position_text(&seen.borrow().at));
    let mut channel = match link.open_live(&path, OPEN_TIMEOUT_MS).await? {
        LiveResponse::Open(channel) => channel,
        LiveResponse::Refused(answer) => {
            let told = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
            return Err(Ended::Refused { status: answer.status, told });
        }
    };
    seen.send_modify(|seen| seen.begin(now_us()));
    let mut beat = interval(HEARTBEAT_INTERVAL);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            blob = timeout(SILENCE_TIMEOUT, channel.receive()) => {
                let blob = blob.map_err(|_| Ended::Silent)??.ok_or(Ended::Closed)?;
                if blob_kind(&blob)? == BlobKind::Page {
                    let page: Page = from_blob(&blob)?;
                    seen.send_modify(|seen| seen.take(&page, now_us()));
                    channel.send(to_blob(&Acknowledgement { durable: page.end.end }).into()).await?;
                }
            }
            _ = beat.tick() => {
                let at = seen.borrow().at;
                channel.send(to_blob(&sign_of_life(at)).into()).await?;
            }
        }
    }
}

/// There are no tables here, so nothing is folded.
fn sign_of_life(position: Position) -> Heartbeat {
    let (folded, fold_digest) = (Sequence::ZERO, Digest([0; 32]));
    Heartbeat { position, folded, fold_version: FOLD_VERSION, fold_digest, barn: BarnHead::default() }
}
