//! `GET /api/events`: a WebSocket that sends what happened, after the commit and in the order of the log.
//!
//! Each message is one JSON text, `{"event":NAME,"sequence":N,"data":{..}}`:
//!
//! | event | sent | data |
//! |---|---|---|
//! | `hello` | first | the history and its head; events follow for changes after `sequence` |
//! | `payload:received` | for a recorded payload | the payload |
//! | `payload:processed` | right after it | the payload with its verdict: an event, or status `error` and the reason |
//! | `batch:created` | after that, if the payload opened a batch | the batch |
//! | `heartbeat` | every 5 s | the head; everything up to `sequence` has been sent |
//!
//! A connection that ends has a close code: 1001 if the process shuts down, 1003 if the client sent a message, 1011 if
//! the log cannot be read, 1012 if the copy was replaced, and 1013 if the client was too slow. The reason of 1013 has
//! the sequence to continue after. If the key or session of the connection ends, there is no close frame.
//!
//! - Events come from the log alone, through the same code at barn and office. A second source of news, like a channel
//!   from the recorder, would need a queue for each listener, and the office could not send the same events. A duplicate
//!   makes no change and therefore no event.
//! - An event is sent once the tables show its change. A program that reads the lists after an event finds what it was told
//!   of. At the office, the log may be some thousand changes ahead of the tables.
//! - A listener is a position, not a queue: nothing is stored for it but the messages on their way.
//! - A heartbeat message accompanies each ping. A script in a browser cannot see pings. Yet only a ping is answered by
//!   every client without a line of code, and shows that the client is alive.
//! - A listener is cut off if it was at the head and is now [`MAX_LAG_CHANGES`] behind, or accepts no message for
//!   [`SEND_TIMEOUT`]. Events that old are no news. A listener that asks for events after a sequence receives history
//!   and cannot be late.
//! - The call needs a key even on loopback, or the session of a user, which counts for pages of the office alone. A page of
//!   any origin may open a WebSocket to the machine on which it is viewed, and read from it. For an ordinary request, the
//!   browser withholds the response.

mod notice;
mod session;
#[cfg(test)]
mod tests;

pub use notice::{Notice, NoticeData, notices_for};
pub use session::{EventsError, MAX_LAG_CHANGES, SEND_TIMEOUT};

use crate::door::reply::{ApiError, StrictQuery};
use crate::door::upgrade::Upgrade;
use crate::lifecycle::Shutdown;
use crate::sync::Served;
use crate::sync::query::parse_number;
use crate::sync::serve::current_reader;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use herd::position::{Position, Sequence};
use herd::store::Reader;
use serde::Deserialize;
use std::sync::Arc;

/// Path of the event stream.
pub const EVENTS_PATH: &str = "/api/events";

/// State that the connections share.
#[derive(Clone)]
struct Source {
    served: Arc<dyn Served>,
    shutdown: Shutdown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    after: Option<String>,
}

/// Returns the route of the event stream for `served`; its connections end at `shutdown`.
///
/// The router checks no keys; the caller wraps it in a guard.
pub fn router(served: Arc<dyn Served>, shutdown: Shutdown) -> Router {
    Router::new().route(EVENTS_PATH, get(events)).with_state(Source { served, shutdown })
}

async fn events(
    State(source): State<Source>,
    StrictQuery(keys): StrictQuery<Keys>,
    upgrade: Result<Upgrade, ApiError>,
) -> Result<Response, ApiError> {
    let reader = current_reader(&*source.served)?;
    let from = start_position(&reader, keys.after.as_deref())?;
    Ok(upgrade?.serve("an event stream", async move |mut socket| {
        let Source { served, shutdown } = source;
        let end = session::serve_listener(&mut socket, served.sync_stats(), reader, from, shutdown).await;
        tracing::info!(%from, %end, "event stream ended");
    }))
}

/// Returns the position after which events are sent: that of the sequence `after`, or of the last visible change.
fn start_position(reader: &Reader, after: Option<&str>) -> Result<Position, ApiError> {
    let head = reader.head();
    let after = match after {
        Some(after) => Sequence(parse_number("after", after)?),
        None if head.unfolded() == 0 => return Ok(head.position),
        None => head.visible(),
    };
    reader.position_at(after)?.ok_or_else(|| {
        let head = head.position.sequence;
        ApiError::bad_request(format!(
            "`after` is {after}, and the log ends at {head}: ask after a sequence that it has"
        ))
    })
}
