//! The sync interface over HTTP: schema, changes, full-export, live. Keys and scopes are the door's affair: wrap it.

use super::Served;
use super::divergence::source_refuses;
use super::export::{self, BlobExport, ExportReader, TablesExport};
use super::link::{BLOB_TYPE, CHANGES_PATH, LIVE_PATH, SCHEMA_PATH};
use super::live::serve_live;
use super::query::{BadQuery, ChangesQuery};
use super::socket::Socket;
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

/// Where a whole history is fetched as one stream.
pub const FULL_EXPORT_PATH: &str = "/api/sync/full-export";

/// What somebody is told who asks for a part of the tables.
const TABLES_ARE_WHOLE: &str = "the tables are exported whole and take no query: send none; or, for the changes after a \
    position, send `Accept: application/vnd.herdlinx+postcard`";

/// What the calls share.
#[derive(Clone)]
struct Source {
    served: Arc<dyn Served>,
    exports: ExportReader,
    stop: Shutdown,
}

/// The four calls over what is `served`, until `stop` turns true.
pub fn router(served: Arc<dyn Served>, stop: Shutdown) -> Router {
    Router::new()
        .route(SCHEMA_PATH, get(schema))
        .route(CHANGES_PATH, get(changes))
        .route(FULL_EXPORT_PATH, get(full_export))
        .route(LIVE_PATH, get(live))
        .with_state(Source { served, exports: ExportReader::new(), stop })
}

impl Source {
    fn reader(&self) -> Result<Reader, ApiError> {
        whole_copy(&*self.served)
    }
}

/// The store that is served; 503 while there is none.
pub(crate) fn whole_copy(served: &dyn Served) -> Result<Reader, ApiError> {
    let message = "the first copy is still being fetched";
    served.reader().ok_or_else(|| ApiError::unavailable("no_copy_yet", message, 5))
}

/// The position to go on from: the asked one, if it lies on the history that is served.
fn start_of(reader: &Reader, asked: Option<Position>) -> Result<Position, ApiError> {
    let Some(asked) = asked else {
        let start = reader.position_at(Sequence::ZERO)?;
        return start.ok_or_else(|| ApiError::unavailable("not_readable", "the log has no beginning", 5));
    };
    match source_refuses(reader, &asked)? {
        None => Ok(asked),
        Some(held) => {
            let message = "the asked position is not on the history held here: nothing was sent";
            Err(ApiError::new(StatusCode::CONFLICT, "diverged", message)
                .with("asked", json!(asked))
                .with("held", json!(held)))
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        // What failed inside is for the log; outside it is enough to know that another try can help.
        tracing::error!(%error, "the store could not be read");
        Self::unavailable("not_readable", "the store cannot be read at the moment", 5)
    }
}

impl From<BadQuery> for ApiError {
    fn from(error: BadQuery) -> Self {
        Self::bad_request(error.to_string())
    }
}

fn wants_blob(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|text| text.contains(BLOB_TYPE)))
}

fn blob(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, BLOB_TYPE)], bytes).into_response()
}

async fn schema(State(source): State<Source>, _: NoQuery, headers: HeaderMap) -> Result<Response, ApiError> {
    let state = Heartbeat::new(&source.reader()?.head(), source.served.barn());
    let schema = Schema { wire_version: WIRE_VERSION, state };
    if wants_blob(&headers) {
        return Ok(blob(to_blob(&schema)));
    }
    Ok(Json(json!({ "success": true, "data": schema })).into_response())
}

async fn changes(State(source): State<Source>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let query = ChangesQuery::from_uri(&uri)?;
    let reader = source.reader()?;
    let after = start_of(&reader, query.position)?;
    let run = first_change(&source, &reader, after, &query).await?;
    source.served.deliveries().count_page(run.changes.len());
    let head = reader.head().position.sequence;
    let barn = source.served.barn();
    if wants_blob(&headers) {
        return Ok(blob(to_blob(&Page::new(run, head, barn))));
    }
    Ok(Json(json_page(&run, head)).into_response())
}

/// The changes after `after`; while there are none, waits as long as the query says.
async fn first_change(
    source: &Source,
    reader: &Reader,
    after: Position,
    query: &ChangesQuery,
) -> Result<ChangeRun, ApiError> {
    let (mut head, stop) = (reader.subscribe(), source.stop.clone());
    let beyond = head.wait_for(|head| head.position.sequence > after.sequence);
    tokio::select! {
        biased;
        () = stop.requested() => {}
        // Neither a time-out nor a closed store is an error here: the page is then empty.
        _ = timeout(Duration::from_secs(query.wait_s), beyond) => {}
    }
    Ok(reader.run_after(after, query.limit, MAX_PAGE_BYTES)?)
}

/// A page for programs that do not fold: each change as its fields, one that this binary does not know as its bytes.
fn json_page(run: &ChangeRun, head: Sequence) -> Value {
    let numbered = run.changes.iter().zip(run.after.sequence.0 + 1..);
    let changes: Vec<_> = numbered.map(|(bytes, n)| ChangeView::new(Sequence(n), bytes)).collect();
    json!({ "success": true, "after": run.after, "end": run.end, "head": head, "changes": changes })
}

/// The log as blobs for those who ask for them, else the tables.
async fn full_export(State(source): State<Source>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let reader = source.reader()?;
    let busy = "as many exports are under way as are served at one time";
    let place = || source.exports.place().ok_or_else(|| ApiError::unavailable("busy", busy, 30));
    if wants_blob(&headers) {
        let start = start_of(&reader, ChangesQuery::position_only(&uri)?)?;
        let (place, blobs) = (place()?, BlobExport::new(source.served.clone(), reader, start));
        return Ok(streamed(BLOB_TYPE, export::body(blobs, place, source.stop)));
    }
    NoQuery::from_uri(&uri).map_err(|_| ApiError::bad_request(TABLES_ARE_WHOLE))?;
    Ok(streamed("application/json", export::body(TablesExport::new(reader), place()?, source.stop)))
}

fn streamed(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

async fn live(
    State(source): State<Source>,
    uri: Uri,
    upgrade: Result<Upgrade, ApiError>,
) -> Result<Response, ApiError> {
    let from = ChangesQuery::position_only(&uri)?;
    let reader = source.reader()?;
    let from = start_of(&reader, from)?;
    Ok(upgrade?.serve("a live connection", async move |socket| {
        let mut channel = Socket::new(socket);
        let end = serve_live(&mut channel, &*source.served, reader, from, source.stop).await;
        tracing::info!(%from, %end, "a live connection ended");
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::change::{Change, Suppressed};
    use herd::clock::ClockReading;
    use herd::position::{Digest, Epoch, StoreId};
    use herd::store::Changes;

    fn position(sequence: u64) -> Position {
        Position { store: StoreId([1; 16]), epoch: Epoch(1), sequence: Sequence(sequence), digest: Digest([2; 32]) }
    }

    #[test]
    fn a_json_page_tells_known_changes_by_their_fields_and_unknown_ones_by_their_bytes() {
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
            {"sequence": 5, "kind": "suppressed", "version": 1, "channel": "radio1", "count": 3, "first_at": at, "last_at": at},
            {"sequence": 6, "kind": 200, "version": 7, "bytes": "yAduZXc="},
            {"sequence": 7, "kind": "suppressed", "version": 127, "bytes": "Bn9ib2R5"},
        ]);
        assert_eq!(page["changes"], expected);
    }
}
