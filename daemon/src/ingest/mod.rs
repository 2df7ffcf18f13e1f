//! The door for payloads over HTTP: `POST /api/lora/receive`, and the same at `/office/api/lora/receive`.
//!
//! | what came | answer |
//! |---|---|
//! | kept as an event | 201 `stored` |
//! | held already | 409 `duplicate`, of which sequence and when that came |
//! | kept as a rejection | 422 `rejected`, with the reason |
//! | a rejection above its channel's bound | 429 `rejections_suppressed` |
//! | no string, empty, above 255 bytes, no JSON, an unpaired surrogate, a query | 400 `bad_request` |
//! | a body above its limit, another content type, none in time | 413, 415, 408 |
//! | not now: stopping, a full disk, a failed commit | 503 with `Retry-After`; nothing of the call was kept |
//!
//! An array is answered 200 with a result for each of its payloads in their order; they share one commit.

mod answer;
mod body;

#[cfg(test)]
mod tests;

use crate::judged::{log_array_judged, log_judged};
use crate::recorder::{MAX_RAW_BYTES, RecordError, Recorder};
use answer::Answer;
pub(crate) use answer::{busy, refusal};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use body::{Asked, Item};
use herd::change::{Change, Origin};
use herd::clock::Clock;
use herd::payload::{MAX_PAYLOAD_BYTES, content_hash, trimmed};
use herd::position::Sequence;
use herd::store::{Incoming, Reader, Receipt};
use service::door::auth::{Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery};
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;

pub use body::{MAX_ARRAY_BODY_BYTES, MAX_PAYLOADS, MAX_SINGLE_BODY_BYTES};

/// So long a caller waits for its commit; then it is told to come again, and finds a duplicate if it was kept.
pub const RECORD_TIMEOUT: Duration = Duration::from_secs(30);

/// What the door needs.
#[derive(Clone)]
pub struct Ingest {
    /// Where payloads go.
    pub recorder: Recorder,
    /// Where the change is looked up that a duplicate repeats.
    pub reader: Reader,
    /// What stamps them.
    pub clock: Arc<dyn Clock>,
    /// The readers that deliver here.
    pub reader_group: Arc<str>,
    /// Says when nothing more is taken in.
    pub shutdown: Shutdown,
}

/// The routes, behind keys of scope ingest.
pub fn router(ingest: Ingest, admits: Arc<dyn Authenticator>) -> Router {
    let routes = Router::new()
        .route("/api/lora/receive", post(receive))
        .route("/office/api/lora/receive", post(receive))
        .layer(DefaultBodyLimit::max(MAX_ARRAY_BODY_BYTES))
        .with_state(ingest);
    require(admits, Scope::Ingest).protect(routes)
}

async fn receive(
    State(ingest): State<Ingest>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, ApiError> {
    if ingest.shutdown.is_requested() {
        return Err(refusal(&RecordError::Stopping));
    }
    match body::read(request).await? {
        Asked::Single(text) => {
            let answers = ingest.answer(&caller, vec![Item::Text(text)]).await?;
            Ok(answers.into_iter().next().map(IntoResponse::into_response).unwrap_or_default())
        }
        Asked::Array(items) => Ok(answer::array(&ingest.answer(&caller, items).await?)),
    }
}

impl Ingest {
    /// One answer for each item, in their order. An error speaks of all of them: none was kept.
    async fn answer(&self, caller: &Caller, items: Vec<Item>) -> Result<Vec<Answer>, ApiError> {
        let checked: Vec<_> = items.into_iter().map(checked).collect();
        let payloads = checked.iter().flatten().map(|text| self.stamp(caller, text)).collect();
        let recording = tokio::time::timeout(RECORD_TIMEOUT, self.recorder.record_all(payloads));
        let receipts = recording.await.map_err(|_| busy())?.map_err(|error| refusal(&error))?;
        match receipts.as_slice() {
            [] => {}
            [receipt] => log_judged(caller.name(), None, receipt),
            receipts => log_array_judged(caller.name(), receipts),
        }
        let mut receipts = receipts.into_iter();
        let answers = checked.into_iter().map(|one| match one {
            Ok(text) => receipts.next().map_or_else(|| Answer::Refused(busy()), |it| self.told(&text, it)),
            Err(refused) => Answer::Refused(refused),
        });
        Ok(answers.collect())
    }

    fn stamp(&self, caller: &Caller, text: &str) -> Incoming {
        let origin = Origin {
            channel: caller.name().to_owned(),
            reader_group: self.reader_group.as_ref().to_owned(),
            ..Origin::default()
        };
        Incoming { raw: text.as_bytes().to_vec(), origin, at: self.clock.read() }
    }

    fn told(&self, text: &str, receipt: Receipt) -> Answer {
        let hash = content_hash(text.as_bytes());
        match receipt {
            Receipt::Kept { sequence } => Answer::Stored { sequence, hash },
            Receipt::Rejected { sequence, reason } => Answer::Rejected { sequence, hash, reason },
            Receipt::Duplicate { of } => Answer::Duplicate { of, hash, received_at_us: self.received_at_us(of) },
            Receipt::Suppressed => Answer::Suppressed,
        }
    }

    /// When the change came that is repeated. Without it the answer is still right, so a failed look-up is logged.
    fn received_at_us(&self, of: Sequence) -> Option<i64> {
        let bytes = self.reader.change(of).inspect_err(|error| {
            tracing::warn!(%error, sequence = of.0, "the change that a payload repeats could not be looked up");
        });
        match Change::from_bytes(&bytes.ok()??) {
            Ok(Change::Received(received)) => Some(received.clock.received_at_us),
            _ => None,
        }
    }
}

/// The text, if it may be handed over. What is in it is judged later and kept either way.
fn checked(item: Item) -> Result<String, ApiError> {
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
