//! The HTTP route for payloads: `POST /api/lora/receive`, and the same at `/office/api/lora/receive`.
//!
//! | payload | response |
//! |---|---|
//! | recorded as an event | 201 `stored` |
//! | already in the log | 409 `duplicate`, with the change that it repeats and its time |
//! | recorded as a rejection | 422 `rejected`, with the reason |
//! | a rejection over the limit of its channel | 429 `rejections_suppressed` |
//! | not a string, empty, over 255 bytes, invalid JSON, an unpaired surrogate, a query in the URL | 400 `bad_request` |
//! | a body that is too large, of another content type, or incomplete in time | 413, 415, 408 |
//! | refused during a shutdown, on a full disk, or after a failed commit | 503 with `Retry-After`; nothing was recorded |
//!
//! An array gets a 200 with one result per payload, in order. The payloads share one commit.
//!
//! Decision: no payload ever has the status `received` or `processing`, which the original had. Both mean "not judged
//! yet", and here a payload is recorded and judged in one commit.

mod answer;
mod body;
pub mod refusals;

#[cfg(test)]
mod tests;

pub use crate::receipt_log::LineLimit;
use crate::receipt_log::{log_call, log_receipts};
use crate::recorder::{MAX_RAW_BYTES, RecordError, Recorder};
use answer::Answer;
pub(crate) use answer::{record_error, timeout_error};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::routing::post;
use body::{Item, Payloads};
use herd::change::{Change, Origin};
use herd::clock::{Clock, RawReading};
use herd::payload::{ContentHash, MAX_PAYLOAD_BYTES, content_hash, trimmed};
use herd::position::Sequence;
use herd::store::{Incoming, Reader, Receipt};
use service::door::auth::{Access, Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery};
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;

pub use body::{MAX_ARRAY_BODY_BYTES, MAX_PAYLOADS, MAX_SINGLE_BODY_BYTES};

/// Paths of the route.
pub const PAYLOAD_PATHS: [&str; 2] = ["/api/lora/receive", "/office/api/lora/receive"];

/// Time that a caller waits for the commit. Afterwards it is told to retry, and finds a duplicate if it was recorded.
pub const RECORD_TIMEOUT: Duration = Duration::from_secs(30);

/// State of the route.
#[derive(Clone)]
pub struct Ingest {
    /// Recorder of the payloads.
    pub recorder: Recorder,
    /// Reader that finds the change which a duplicate repeats.
    pub reader: Reader,
    /// Clock that stamps the payloads.
    pub clock: Arc<dyn Clock>,
    /// Group of the readers that deliver over HTTP.
    pub reader_group: Arc<str>,
    /// Limit of the log lines about single calls.
    pub lines: LineLimit,
    /// Shutdown of the process, after which no payload is accepted.
    pub shutdown: Shutdown,
}

/// Returns the routes, for keys of scope ingest.
pub fn router(ingest: Ingest, authenticator: Arc<dyn Authenticator>) -> Router {
    let routes = Router::new()
        .route(PAYLOAD_PATHS[0], post(receive))
        .route(PAYLOAD_PATHS[1], post(receive))
        .layer(DefaultBodyLimit::max(MAX_ARRAY_BODY_BYTES))
        .with_state(ingest);
    require(authenticator, Scope::Ingest).protect(routes)
}

async fn receive(
    State(ingest): State<Ingest>,
    caller: Caller,
    access: Access,
    _: NoQuery,
    request: Request,
) -> Result<Response, ApiError> {
    if ingest.shutdown.is_requested() {
        return Err(record_error(&RecordError::Stopping));
    }
    let payloads = body::read(request).await?;
    access.begin_write()?;
    match payloads {
        Payloads::Single(text) => {
            let answers = ingest.answer(&caller, vec![Item::Text(text)]).await?;
            answers.into_iter().next().map(answer::single_response).ok_or_else(timeout_error)
        }
        Payloads::Array(items) => Ok(answer::array_response(&ingest.answer(&caller, items).await?)),
    }
}

impl Ingest {
    /// Records the items and returns an answer for each, in order. An error concerns all of them: none was recorded.
    async fn answer(&self, caller: &Caller, items: Vec<Item>) -> Result<Vec<Answer>, ApiError> {
        // The items of an array arrived together.
        let at = self.clock.read();
        let mut payloads = Vec::with_capacity(items.len());
        let mut prepare = |text: String| {
            let hash = content_hash(text.as_bytes());
            payloads.push(self.stamp(caller, text, at));
            hash
        };
        let hashes: Vec<_> = items.into_iter().map(|item| check(item).map(&mut prepare)).collect();
        let recording = tokio::time::timeout(RECORD_TIMEOUT, self.recorder.record_all(payloads));
        let receipts = recording.await.map_err(|_| timeout_error())?.map_err(|error| record_error(&error))?;
        match receipts.as_slice() {
            [] => {}
            [receipt] => log_call(&self.lines, caller.name(), receipt),
            receipts => log_receipts(caller.name(), receipts),
        }
        let mut receipts = receipts.into_iter();
        let answers = hashes.into_iter().map(|hash| match hash {
            Ok(hash) => {
                receipts.next().map_or_else(|| Answer::Refused(timeout_error()), |it| self.receipt_answer(hash, it))
            }
            Err(error) => Answer::Refused(error),
        });
        Ok(answers.collect())
    }

    fn stamp(&self, caller: &Caller, text: String, at: RawReading) -> Incoming {
        let origin = Origin {
            channel: caller.name().into(),
            reader_group: self.reader_group.as_ref().into(),
            ..Origin::default()
        };
        Incoming { raw: text.into_bytes(), origin, at }
    }

    fn receipt_answer(&self, hash: ContentHash, receipt: Receipt) -> Answer {
        match receipt {
            Receipt::Kept { sequence } => Answer::Stored { sequence, hash },
            Receipt::Rejected { sequence, reason } => Answer::Rejected { sequence, hash, reason },
            Receipt::Duplicate { of } => Answer::Duplicate { of, hash, received_at_us: self.received_at_us(of) },
            Receipt::Suppressed => Answer::Suppressed,
        }
    }

    /// Returns the arrival of a change that a duplicate repeats. The answer is right without it, so a failure is logged.
    fn received_at_us(&self, of: Sequence) -> Option<i64> {
        let bytes = self.reader.change(of).inspect_err(|error| {
            tracing::warn!(%error, sequence = of.0, "failed to read the change that a duplicate repeats");
        });
        match Change::from_bytes(&bytes.ok()??) {
            Ok(Change::Received(received)) => Some(received.clock.received_at_us),
            _ => None,
        }
    }
}

/// Returns the text if it may be recorded. Its content is judged later, and recorded either way.
fn check(item: Item) -> Result<String, ApiError> {
    let Item::Text(text) = item else { return Err(ApiError::bad_request("a payload must be a string")) };
    if text.len() > MAX_RAW_BYTES {
        return Err(ApiError::bad_request(format!(
            "the payload is longer than {MAX_RAW_BYTES} bytes, blanks included"
        )));
    }
    match trimmed(text.as_bytes()).len() {
        0 => Err(ApiError::bad_request("the payload is empty")),
        1..=MAX_PAYLOAD_BYTES => Ok(text),
        bytes => Err(ApiError::bad_request(format!(
            "the payload has {bytes} bytes, and at most {MAX_PAYLOAD_BYTES} are allowed"
        ))),
    }
}
