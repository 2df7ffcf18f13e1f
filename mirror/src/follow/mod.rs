//! Replication of one source: pulls to catch up, then a live connection.
//!
//! ```text
//! pull until the source has no more -> live: receive a page -> apply it -> acknowledge it once durable
//!        ^                                        |
//!        +---- wait, only after an error ---------+
//! ```
//! - Waits are for errors only. A quiet link needs no polling, because the source sends each change as it is committed.
//! - A follower with an empty copy still sends the identity of its history. If it asked for "whatever you have, from
//!   the start", another barn at the same address could fill a paired copy.
//! - Divergence ends the follower, and nothing is written. The copy keeps being served; the site's task, and at times an
//!   operator, decides what comes next. A copy that followed whatever it found would destroy the only evidence of what a
//!   restored barn lost.
//! - A follower ends with the writer of its copy, also while no page comes. A writer that finds its tables damaged ends, and
//!   pages of them are refused until the process starts again: a barn that is quiet or away must not put that off.
//! - A row of the copy that is found damaged is fetched again from the source, once in a while: see `mend`.
//! - The writer's loop is an async function, which production runs on an OS thread; see the `writer` module.

mod arrivals;
mod backoff;
mod contact;
mod fill;
mod mend;
mod page_size;
mod pull;
mod room;
mod row_fetch;
mod session;
mod status;
#[cfg(test)]
mod tests;
mod writer;

pub use arrivals::{Arrival, Arrivals, MAX_ARRIVALS};
pub use fill::{AskError, FillError, ask, fill, last_shared};
pub use room::{NoRoomError, ROOM_INTERVAL, Room};
pub use status::{BarnReport, FollowStatus, HealthReport, LinkState, MAX_REPORT_AGE};
pub use writer::{StoreHandle, WriterEndedError, WriterProbe, spawn_writer, split_writer};

use backoff::Backoff;
use herd::clock::Clock;
use service::lifecycle::Shutdown;
use service::sync::divergence::Divergence;
use service::sync::link::Link;
use session::{Interruption, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Settings of a follower.
#[derive(Clone, Copy, Debug)]
pub struct FollowSettings {
    /// Interval at which a silent live connection is checked by a pull on a new connection; also the longest wait after
    /// an error.
    pub sync_interval: Duration,
    /// Seed of the jitter in waits.
    pub seed: u64,
}

/// Reason why a follower ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowEnd {
    /// The shutdown was requested.
    Stopped,
    /// The copy cannot simply follow this source.
    Diverged(Divergence),
    /// The writer of the copy has ended.
    WriterEnded,
}

/// Replicates the source behind `link` into `store` until the shutdown is requested or the follower cannot go on.
pub async fn run<L: Link + 'static>(
    link: L,
    store: StoreHandle,
    settings: FollowSettings,
    clock: Arc<dyn Clock>,
    status: watch::Sender<FollowStatus>,
    shutdown: Shutdown,
) -> FollowEnd {
    let mut backoff = Backoff::new(settings.sync_interval, settings.seed);
    let writer = store.clone();
    let mut session = Session::new(link, store, settings, clock, status);
    let end = loop {
        let interruption = tokio::select! {
            biased;
            () = shutdown.requested() => break FollowEnd::Stopped,
            () = writer.ended() => break FollowEnd::WriterEnded,
            interruption = session.follow_once() => interruption,
        };
        let why = match interruption {
            Interruption::Diverged(divergence) => break FollowEnd::Diverged(divergence),
            Interruption::WriterEnded => break FollowEnd::WriterEnded,
            Interruption::NoRoom(why) => {
                session.note_no_room(&why);
                if let Some(end) = end_within(ROOM_INTERVAL, &shutdown, &writer).await {
                    break end;
                }
                continue;
            }
            Interruption::Retry(why) => why,
        };
        if std::mem::take(&mut session.has_progress) {
            backoff.reset();
        }
        let wait = backoff.next_wait();
        session.contact.note_loss(&why, wait);
        session.note_failure(&why);
        if let Some(end) = end_within(wait, &shutdown, &writer).await {
            break end;
        }
    };
    session.note_end(end);
    end
}

/// Sleeps. Returns why the follower ends, if it has to before that. Cancel-safe.
async fn end_within(wait: Duration, shutdown: &Shutdown, writer: &StoreHandle) -> Option<FollowEnd> {
    tokio::select! {
        biased;
        () = shutdown.requested() => Some(FollowEnd::Stopped),
        () = writer.ended() => Some(FollowEnd::WriterEnded),
        () = tokio::time::sleep(wait) => None,
    }
}
