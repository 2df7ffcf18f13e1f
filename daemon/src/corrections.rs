//! What is decided about earlier payloads and animals: `POST /api/corrections`, and `POST /api/lora/process`.
//!
//! | what came | answer |
//! |---|---|
//! | a correction, kept | 201 `corrected` |
//! | the same order again under its idempotency key | 200 `already_corrected`, with the change that it made |
//! | an animal, batch, payload or reader group that is not there | 404 |
//! | a payload that cannot be an event | 422 `still_rejected` |
//! | what cannot be corrected so | 409, and why |
//! | no author, reason or key, no JSON, an unknown key, a body above its limit | 400, 413, 415 |
//! | not now: stopping, a full disk, a failed commit | 503 with `Retry-After`; the same order may be sent again |

use crate::ingest::{Ingest, RECORD_TIMEOUT, busy, refusal};
use crate::recorder::{RecordError, Recorder};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use herd::clock::Clock;
use herd::correction::{CorrectionFormError, CorrectionOrder, MAX_ORDER_BYTES};
use herd::decide::CorrectionError;
use herd::position::Sequence;
use herd::store::{CorrectionReceipt, MAX_REPROCESSED, ReprocessReceipt};
use serde::Deserialize;
use serde_json::{Value, json};
use service::door::auth::{Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery, StrictJson, StrictQuery};
use service::lifecycle::Shutdown;
use std::future::Future;
use std::sync::Arc;

/// What the door needs.
#[derive(Clone)]
pub struct Corrections {
    /// Where corrections go.
    pub recorder: Recorder,
    /// What stamps them.
    pub clock: Arc<dyn Clock>,
    /// Says when nothing more is taken in.
    pub shutdown: Shutdown,
}

/// The routes: corrections behind keys of scope correct or admin, the judging anew behind admin.
pub fn router(corrections: Corrections, admits: &Arc<dyn Authenticator>) -> Router {
    let correct = Router::new()
        .route("/api/corrections", post(correct))
        .layer(DefaultBodyLimit::max(MAX_ORDER_BYTES))
        .with_state(corrections.clone());
    let again = Router::new().route("/api/lora/process", post(judge_anew)).with_state(corrections);
    let correct = require(admits.clone(), Scope::Correct).or(Scope::Admin).protect(correct);
    correct.merge(require(admits.clone(), Scope::Admin).protect(again))
}

async fn correct(
    State(corrections): State<Corrections>,
    caller: Caller,
    _: NoQuery,
    StrictJson(order): StrictJson<CorrectionOrder>,
) -> Result<Response, ApiError> {
    let request = order.checked(caller.name()).map_err(|error| bad_request(&error))?;
    let at = corrections.clock.read();
    let receipt = corrections.in_time(corrections.recorder.correct(request, at)).await?;
    match told(receipt) {
        Ok((status, answer)) => Ok((status, Json(answer)).into_response()),
        Err(refused) => Err(refused),
    }
}

/// Which rejected payloads are judged anew.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Those after this one; `next` of the answer before.
    #[serde(default)]
    after: u64,
    /// How many, 1 to [`MAX_REPROCESSED`].
    limit: Option<usize>,
}

async fn judge_anew(
    State(corrections): State<Corrections>,
    StrictQuery(which): StrictQuery<Which>,
) -> Result<Json<Value>, ApiError> {
    let limit = which.limit.unwrap_or(MAX_REPROCESSED);
    if !(1..=MAX_REPROCESSED).contains(&limit) {
        return Err(ApiError::bad_request(format!("`limit` is 1 to {MAX_REPROCESSED} rejected payloads at once")));
    }
    let at = corrections.clock.read();
    let judging = corrections.recorder.reprocess(Sequence(which.after), limit, at);
    Ok(Json(judged(&corrections.in_time(judging).await?)))
}

/// What judging anew came to, as JSON.
pub(crate) fn judged(receipt: &ReprocessReceipt) -> Value {
    let ReprocessReceipt { accepted, judged, next } = receipt;
    json!({
        "success": true,
        "judged": judged,
        "processed": accepted.len(),
        "accepted": accepted,
        "next": next,
        "message": format!("{judged} rejected payloads were judged anew, {} are events now", accepted.len()),
    })
}

impl Corrections {
    /// Those of the barn whose payloads come in by `ingest`.
    pub fn beside(ingest: &Ingest) -> Self {
        let Ingest { recorder, clock, shutdown, .. } = ingest.clone();
        Self { recorder, clock, shutdown }
    }

    async fn in_time<T>(&self, writing: impl Future<Output = Result<T, RecordError>>) -> Result<T, ApiError> {
        if self.shutdown.is_requested() {
            return Err(refusal(&RecordError::Stopping));
        }
        let written = tokio::time::timeout(RECORD_TIMEOUT, writing).await.map_err(|_| busy())?;
        written.map_err(|error| refusal(&error))
    }
}

fn bad_request(error: &CorrectionFormError) -> ApiError {
    ApiError::bad_request(error.to_string())
}

/// What became of a correction: its HTTP status and its JSON.
fn told(receipt: CorrectionReceipt) -> Result<(StatusCode, Value), ApiError> {
    let body = |status: &str, sequence: Sequence, message: String| json!({"success": true, "status": status, "sequence": sequence, "message": message});
    match receipt {
        CorrectionReceipt::Kept { sequence } => {
            Ok((StatusCode::CREATED, body("corrected", sequence, format!("kept as change {sequence}"))))
        }
        CorrectionReceipt::Duplicate { of } => {
            let message = format!("change {of} already: nothing was written");
            Ok((StatusCode::OK, body("already_corrected", of, message)))
        }
        CorrectionReceipt::Refused(refused) => {
            Err(ApiError::new(status_of(&refused), refused.code(), refused.to_string()))
        }
    }
}

fn status_of(refused: &CorrectionError) -> StatusCode {
    match refused {
        CorrectionError::StillRejected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        refused if refused.is_unknown() => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
#[path = "corrections_tests.rs"]
mod tests;
