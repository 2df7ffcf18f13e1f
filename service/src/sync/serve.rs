//! The sync interface over HTTP: schema, changes, full export and live.
//!
//! The router checks no keys; the caller wraps it in a guard. An error is JSON whatever `Accept` says, and a blob comes
//! with status 200 only. So `curl` shows an error, and a follower of another wire version can read it.

use super::divergence::refusing_head;
use super::export::{self, BlobExport, ExportReader, TablesExport};
use super::link::{BLOB_TYPE, CHANGES_PATH, EXTRA_BLOBS_HEADER, ExtraBlobs, LIVE_PATH, SCHEMA_PATH};
use super::live::serve_live;
use super::query::{ChangesQuery, SyncQueryError};
use super::socket::Socket;
use super::{NotServedError, Served};
use crate::door::reply::{ApiError, NoQuery};
use crate::door::upgrade::Upgrade;
use crate::lifecycle::Shutdown;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use herd::position::{Position, Sequence};
use herd::query::ChangeView;
use herd::store::{ChangeRun, Reader, StoreError};
use herd::wire::{Heartbeat, MAX_PAGE_BYTES, Page, Schema, WIRE_VERSION, to_blob};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Path of the call that returns a whole history as one stream.
pub const FULL_EXPORT_PATH: &str = "/api/sync/full-export";

/// Seconds after which a request that found no copy, or an unreadable store, is worth a retry.
const RETRY_AFTER_S: u32 = 5;
/// Seconds after which a request that found all exports taken is worth a retry.
const EXPORT_RETRY_AFTER_S: u32 = 30;

/// Refusal of a request for a part of the tables.
const TABLES_TAKE_NO_QUERY: &str = "the tables are exported whole and take no query: send none; or, for the changes after a \
    position, send `Accept: application/vnd.herdlinx+postcard`";

/// State that the calls share.
#[derive(Clone)]
struct Source {
    served: Arc<dyn Served>,
    exports: ExportReader,
    shutdown: Shutdown,
}

/// Returns the routes of the four calls for `served`. Their waits and streams end at `shutdown`.
pub fn router(served: Arc<dyn Served>, shutdown: Shutdown) -> Router {
    Router::new()
        .route(SCHEMA_PATH, get(schema))
        .route(CHANGES_PATH, get(changes))
        .route(FULL_EXPORT_PATH, get(full_export))
        .route(LIVE_PATH, get(live))
        .with_state(Source { served, exports: ExportReader::new(), shutdown })
}

impl Source {
    fn reader(&self) -> Result<Reader, ApiError> {
        current_reader(&*self.served)
    }
}

/// Returns the store to serve, or 503 while there is none.
pub(crate) fn current_reader<S: Served + ?Sized>(served: &S) -> Result<Reader, ApiError> {
    Ok(served.reader()?)
}

/// Returns the position to continue from. Refuses one that is not on the served history.
fn start_position(reader: &Reader, requested: Option<Position>) -> Result<Position, ApiError> {
    let Some(requested) = requested else {
        let start = reader.position_at(Sequence::ZERO)?;
        let message = "the log has no beginning";
        return start.ok_or_else(|| ApiError::unavailable("not_readable", message, RETRY_AFTER_S));
    };
    match refusing_head(reader, &requested)? {
        None => Ok(requested),
        Some(head) => {
            let message = "the asked position is not on the history held here: nothing was sent";
            Err(ApiError::new(StatusCode::CONFLICT, "diverged", message)
                .with("asked", json!(requested))
                .with("held", json!(head)))
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        // Details go to the log only. The client needs to know no more than that a retry can help.
        tracing::error!(%error, "failed to read the store");
        if let StoreError::DamagedLog { row, .. } = error {
            let message =
                format!("the log is damaged here in {row}: copies that hold them go on, others end before them");
            let damaged = Self::new(StatusCode::SERVICE_UNAVAILABLE, "log_damaged", message);
            return damaged.with("first", row.first.0).with("last", row.last.0);
        }
        Self::unavailable("not_readable", "the store cannot be read at the moment", RETRY_AFTER_S)
    }
}

impl From<NotServedError> for ApiError {
    fn from(error: NotServedError) -> Self {
        let code = match error {
            NotServedError::NoCopy => "no_copy_yet",
            NotServedError::Opening(_) => "copy_opening",
            NotServedError::Unreadable => "not_readable",
        };
        Self::unavailable(code, error.to_string(), RETRY_AFTER_S)
    }
}

impl From<SyncQueryError> for ApiError {
    fn from(error: SyncQueryError) -> Self {
        Self::bad_request(error.to_string())
    }
}

fn wants_blob(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|text| text.contains(BLOB_TYPE)))
}

/// Returns the blobs that a follower names besides those of the first release.
fn extra_blobs(headers: &HeaderMap) -> ExtraBlobs {
    let text = headers.get(EXTRA_BLOBS_HEADER).and_then(|value| value.to_str().ok());
    text.map(ExtraBlobs::from_text).unwrap_or_default()
}

fn blob(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, BLOB_TYPE)], bytes).into_response()
}

async fn schema(State(source): State<Source>, _: NoQuery, headers: HeaderMap) -> Result<Response, ApiError> {
    let state = Heartbeat::new(&source.reader()?.head(), source.served.barn_head());
    let schema = Schema { wire_version: WIRE_VERSION, state };
    if wants_blob(&headers) {
        return Ok(blob(to_blob(&schema)));
    }
    Ok(Json(json!({ "success": true, "data": schema })).into_response())
}

async fn changes(State(source): State<Source>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let query = ChangesQuery::from_uri(&uri)?;
    let reader = source.reader()?;
    let after = start_position(&reader, query.position)?;
    let run = wait_for_changes(&source, &reader, after, &query).await?;
    source.served.sync_stats().count_page(run.changes.len());
    let head = reader.head().position.sequence;
    let barn = source.served.barn_head();
    if wants_blob(&headers) {
        return Ok(blob(to_blob(&Page::new(run, head, barn))));
    }
    Ok(Json(json_page(&run, head)).into_response())
}

/// Returns the changes after `after`. If there are none yet, waits for one as long as the query allows.
async fn wait_for_changes(
    source: &Source,
    reader: &Reader,
    after: Position,
    query: &ChangesQuery,
) -> Result<ChangeRun, ApiError> {
    let mut head = reader.subscribe();
    let growth = head.wait_for(|head| head.position.sequence > after.sequence);
    tokio::select! {
        biased;
        () = source.shutdown.requested() => {}
        // A timeout or a closed store is not an error here: the page is empty then.
        _ = timeout(Duration::from_secs(query.wait_s), growth) => {}
    }
    Ok(reader.run_after(after, query.limit, MAX_PAGE_BYTES)?)
}

/// Returns a page for programs that do not fold. A change shows its fields, or its bytes if this binary does not know it.
fn json_page(run: &ChangeRun, head: Sequence) -> Value {
    let numbered = run.changes.iter().zip(run.after.sequence.0 + 1..);
    let changes: Vec<_> = numbered.map(|(bytes, n)| ChangeView::new(Sequence(n), bytes)).collect();
    json!({ "success": true, "after": run.after, "end": run.end, "head": head, "changes": changes })
}

/// Returns the log as blobs if the request accepts them, and the tables as JSON otherwise.
async fn full_export(State(source): State<Source>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let reader = source.reader()?;
    let busy = "the maximum number of exports is running";
    let slot = || source.exports.slot().ok_or_else(|| ApiError::unavailable("busy", busy, EXPORT_RETRY_AFTER_S));
    if wants_blob(&headers) {
        let start = start_position(&reader, ChangesQuery::position_only(&uri)?)?;
        let (slot, blobs) = (slot()?, BlobExport::new(source.served.clone(), reader, start));
        return Ok(streamed(BLOB_TYPE, export::body(blobs, slot, source.shutdown)));
    }
    NoQuery::from_uri(&uri).map_err(|_| ApiError::bad_request(TABLES_TAKE_NO_QUERY))?;
    Ok(streamed("application/json", export::body(TablesExport::new(reader), slot()?, source.shutdown)))
}

fn streamed(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

async fn live(
    State(source): State<Source>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<Upgrade, ApiError>,
) -> Result<Response, ApiError> {
    let from = ChangesQuery::position_only(&uri)?;
    let reader = source.reader()?;
    let from = start_position(&reader, from)?;
    let extra = extra_blobs(&headers);
    Ok(upgrade?.serve("a live connection", async move |socket| {
        let mut channel = Socket::new(socket);
        let end = serve_live(&mut channel, &*source.served, reader, from, extra, source.shutdown).await;
        tracing::info!(%from, %end, "live connection ended");
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::change::{Change, Suppressed};
    use herd::clock::ClockReading;
    use herd::position::{Digest, Epoch, StoreId};
    use herd::store::{Changes, DamagedRow};

    /// Catches a follower that gets JSON instead of blobs, and a program that gets the reverse.
    #[test]
    fn blobs_are_sent_only_if_they_are_named() {
        let headers = |name: &'static str, values: &[&'static str]| {
            values.iter().map(|value| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        for (accept, expected) in [
            (&[] as &[_], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["application/vnd.herdlinx+postcard"], true),
            (&["text/html", "application/json, application/vnd.herdlinx+postcard"], true),
        ] {
            assert_eq!(wants_blob(&headers("accept", accept)), expected, "{accept:?}");
        }
        assert_eq!(extra_blobs(&HeaderMap::new()), ExtraBlobs::default());
        assert_eq!(extra_blobs(&headers("herdlinx-blobs", &["barn-health"])), ExtraBlobs::ALL);
    }

    /// Catches a client that learns internal details, or does not learn which changes are damaged.
    #[test]
    fn a_store_that_cannot_be_read_is_worth_a_retry_and_damage_of_the_log_is_named() {
        let file = || "/secret/log.redb".to_owned();
        let passing = ApiError::from(StoreError::Storage { doing: "read", file: file(), why: "a bad page".into() });
        assert_eq!((passing.status.as_u16(), passing.code, passing.retry_after_s), (503, "not_readable", Some(5)));
        assert!(!passing.message.contains("secret"), "{}", passing.message);
        let row = DamagedRow { first: Sequence(3), last: Sequence(9) };
        let damaged = ApiError::from(StoreError::DamagedLog { row, why: "a bad page" });
        assert_eq!((damaged.status.as_u16(), damaged.code), (503, "log_damaged"));
        let extra = damaged.extra.unwrap();
        assert_eq!((&extra["first"], &extra["last"]), (&json!(3), &json!(9)));
    }

    fn position(sequence: u64) -> Position {
        Position { store: StoreId([1; 16]), epoch: Epoch(1), sequence: Sequence(sequence), digest: Digest([2; 32]) }
    }

    /// Catches a change of a newer barn that is left out, or that breaks the page.
    #[test]
    fn a_json_page_shows_fields_of_known_changes_and_bytes_of_unknown_ones() {
        let clock = ClockReading { received_at_us: 1_705_314_920_000_000, ..ClockReading::default() };
        let suppressed = Suppressed { channel: "radio1".into(), count: 3, first: clock, last: clock };
        let known = Change::Suppressed(suppressed).to_bytes();
        let later_body = [&known[..1], b"\x7fbody"].concat();
        let changes: Changes = [known.as_slice(), b"\xc8\x07new", &later_body].into_iter().collect();
        let run = ChangeRun { after: position(4), changes, end: position(7) };
        let page = json_page(&run, Sequence(9));
        assert_eq!(
            (&page["after"]["sequence"], &page["end"]["sequence"], &page["head"]),
            (&json!(4), &json!(7), &json!(9))
        );
        let at = "2024-01-15T10:35:20.000Z";
        let expected = json!([
            {"sequence": 5, "kind": "suppressed", "version": 1, "channel": "radio1", "count": 3, "first_at": at, "last_at": at,
                "clock_synchronized": false},
            {"sequence": 6, "kind": 200, "version": 7, "bytes": "yAduZXc="},
            {"sequence": 7, "kind": "suppressed", "version": 127, "bytes": "Bn9ib2R5"},
        ]);
        assert_eq!(page["changes"], expected);
    }
}
