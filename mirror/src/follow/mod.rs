//! Follows a source: a live connection, pulls where it is silent, back-off after errors only.
//!
//! ```text
//! pull until the source has nothing more -> live: page -> apply -> acknowledge what is durable
//!        ^                                        |
//!        +---- wait, after an error only ---------+
//! ```
//! A source that does not have this copy's position on its history ends the following; the copy keeps being served.

mod backoff;
mod exchange;
mod handover;
mod status;

pub use handover::{StoreHandle, WriterGone, WriterProbe, on_this_task, on_thread};
pub use status::{FollowStatus, Heard, LinkState};

use backoff::Backoff;
use exchange::{Exchange, Interrupted};
use herd::clock::Clock;
use service::lifecycle::Shutdown;
use service::sync::divergence::Divergence;
use service::sync::link::Link;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How to follow.
#[derive(Clone, Copy, Debug)]
pub struct FollowSettings {
    /// A silent live connection is checked this often by a pull on a new one; also the longest wait after errors.
    pub sync_interval: Duration,
    /// For the jitter of the waits.
    pub seed: u64,
}

/// Why a follower ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowEnd {
    /// It was told to stop.
    Stopped,
    /// It cannot simply follow this source.
    Diverged(Divergence),
    /// The writer of its copy has ended.
    WriterGone,
}

/// Follows the source behind `link` into `store` until `stop` turns true or it cannot go on.
pub async fn run<L: Link>(
    link: L,
    store: StoreHandle,
    settings: FollowSettings,
    clock: Arc<dyn Clock>,
    status: watch::Sender<FollowStatus>,
    stop: Shutdown,
) -> FollowEnd {
    let mut backoff = Backoff::new(settings.sync_interval, settings.seed);
    let mut exchange = Exchange { link, store, settings, clock, status, worked: false };
    let end = loop {
        let interrupted = tokio::select! {
            biased;
            () = stop.requested() => break FollowEnd::Stopped,
            interrupted = exchange.follow_once() => interrupted,
        };
        let why = match interrupted {
            Interrupted::Diverged(divergence) => break FollowEnd::Diverged(divergence),
            Interrupted::WriterGone => break FollowEnd::WriterGone,
            Interrupted::Again(why) => why,
        };
        if std::mem::take(&mut exchange.worked) {
            backoff.reset();
        }
        let wait = backoff.wait();
        tracing::warn!(%why, wait_ms = wait.as_millis(), "the barn is away");
        exchange.note_failure(&why);
        tokio::select! {
            biased;
            () = stop.requested() => break FollowEnd::Stopped,
            () = tokio::time::sleep(wait) => {}
        }
    };
    exchange.note_end(end);
    end
}
