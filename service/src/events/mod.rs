//! `GET /api/events`: a WebSocket that tells what happened, after it was committed and in the order of the log.
//!
//! Each message is one JSON text, `{"event":NAME,"sequence":N,"data":{..}}`:
//!
//! | event | when | data |
//! |---|---|---|
//! | `hello` | first | where it begins: events follow for changes after `sequence` |
//! | `payload:received` | a payload was kept | the payload |
//! | `payload:processed` | at once after it | the same with its verdict: an event, or status `error` and the reason |
//! | `batch:created` | after that, where the payload opened a batch | the batch |
//! | `heartbeat` | every 5 s | how far the log is; all before `sequence` and at it was told |
//!
//! What is told is made of the log alone, so barn and office tell the same of the same change. A duplicate makes no
//! change, and so no event. A listener is a position, not a queue: nothing waits for it but what is on its way.
//!
//! The heartbeat is a message, as a script in a browser sees no ping; and beside it goes a ping, which every client
//! answers without a line of code, so that a dead one is noticed here.
//!
//! A connection that ends says why: code 1001 where the process stops, 1012 where the copy was replaced, 1003 where
//! the client spoke (there is nothing to say here), 1011 where the log does not read, 1013 where the client was too
//! slow, with the sequence to ask after. The end of the key cuts it without a word.

mod notice;
mod session;

pub use notice::{Notice, NoticeData, notices_of};
pub use session::{BEHIND_CHANGES, EventsEnd, SEND_WITHIN};

use crate::door::reply::{ApiError, StrictQuery};
use crate::door::upgrade::Upgrade;
use crate::lifecycle::Shutdown;
use crate::sync::Served;
use crate::sync::query::number;
use crate::sync::serve::whole_copy;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use herd::position::{Position, Sequence};
use herd::store::Reader;
use serde::Deserialize;
use std::sync::Arc;

/// Where events are told.
pub const EVENTS_PATH: &str = "/api/events";

/// What the connections share.
#[derive(Clone)]
struct Source {
    served: Arc<dyn Served>,
    stop: Shutdown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    after: Option<String>,
}

/// The one call over what is `served`, until `stop` turns true. Keys and scopes are the door's affair: wrap it.
pub fn router(served: Arc<dyn Served>, stop: Shutdown) -> Router {
    Router::new().route(EVENTS_PATH, get(events)).with_state(Source { served, stop })
}

async fn events(
    State(source): State<Source>,
    StrictQuery(keys): StrictQuery<Keys>,
    upgrade: Result<Upgrade, ApiError>,
) -> Result<Response, ApiError> {
    let reader = whole_copy(&*source.served)?;
    let from = start_of(&reader, keys.after.as_deref())?;
    Ok(upgrade?.serve("a connection for events", async move |mut socket| {
        let Source { served, stop } = source;
        let end = session::tell(&mut socket, served.deliveries(), reader, from, stop).await;
        tracing::info!(%from, %end, "a connection for events ended");
    }))
}

/// The position after which events are told: the asked one, or where the log ends now.
fn start_of(reader: &Reader, after: Option<&str>) -> Result<Position, ApiError> {
    let Some(after) = after else { return Ok(reader.head().position) };
    let after = Sequence(number("after", after)?);
    reader.position_at(after)?.ok_or_else(|| {
        let head = reader.head().position.sequence;
        ApiError::bad_request(format!(
            "`after` is {after}, and the log ends at {head}: ask after a sequence that it has"
        ))
    })
}
