//! Corrections over HTTPS: `POST /api/corrections`, and `POST /api/lora/process`, which reprocesses rejected payloads.
//!
//! | order | response |
//! |---|---|
//! | applied and recorded | 201 `corrected` |
//! | the same order again under its idempotency key | 200 `already_corrected`, with the change that it made |
//! | an unknown animal, batch, payload or reader group | 404 |
//! | a payload that still cannot be an event | 422 `still_rejected` |
//! | a correction that does not apply | 409 with the reason |
//! | without author, reason or key, invalid JSON, an unknown key, too large a body | 400, 413, 415 |
//! | refused during a shutdown, on a full disk, or after a failed commit | 503 with `Retry-After`; retrying is safe |

use crate::ingest::{Ingest, RECORD_TIMEOUT, record_error, timeout_error};
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
use service::door::auth::{Access, Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery, StrictJson, StrictQuery};
use service::lifecycle::Shutdown;
use std::future::Future;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// State of the routes.
#[derive(Clone)]
pub struct Corrections {
    /// Recorder of the corrections.
    pub recorder: Recorder,
    /// Clock that stamps the corrections.
    pub clock: Arc<dyn Clock>,
    /// Shutdown of the process, after which no correction is accepted.
    pub shutdown: Shutdown,
}

/// Returns the routes, for keys of scope correct or admin. A key that may accept a
/// rejected payload by a correction may also reprocess it.
pub fn router(corrections: Corrections, authenticator: &Arc<dyn Authenticator>) -> Router {
    let routes = Router::new()
        .route("/api/corrections", post(correct))
        .layer(DefaultBodyLimit::max(MAX_ORDER_BYTES))
        .route("/api/lora/process", post(reprocess))
        .with_state(corrections);
    require(authenticator.clone(), Scope::Correct).or(Scope::Admin).protect(routes)
}

async fn correct(
    State(corrections): State<Corrections>,
    caller: Caller,
    access: Access,
    _: NoQuery,
    StrictJson(order): StrictJson<CorrectionOrder>,
) -> Result<Response, ApiError> {
    let request = order.checked(caller.name()).map_err(|error| bad_request(&error))?;
    access.begin_write()?;
    let at = corrections.clock.read();
    let receipt = corrections.within_timeout(corrections.recorder.correct(request, at)).await?;
    let (status, body) = correction_response(receipt)?;
    Ok((status, Json(body)).into_response())
}

/// Range of the rejected payloads to reprocess.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReprocessQuery {
    /// Start after this payload: `next` of the previous response.
    #[serde(default)]
    after: u64,
    /// Maximum number of payloads, 1 to [`MAX_REPROCESSED`].
    limit: Option<usize>,
}

async fn reprocess(
    State(corrections): State<Corrections>,
    access: Access,
    StrictQuery(query): StrictQuery<ReprocessQuery>,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_REPROCESSED);
    if !(1..=MAX_REPROCESSED).contains(&limit) {
        return Err(ApiError::bad_request(format!("`limit` must be 1 to {MAX_REPROCESSED}")));
    }
    access.begin_write()?;
    let at = corrections.clock.read();
    let reprocessing = corrections.recorder.reprocess(Sequence(query.after), limit, at);
    Ok(Json(reprocess_body(&corrections.within_timeout(reprocessing).await?)))
}

fn reprocess_body(receipt: &ReprocessReceipt) -> Value {
    let ReprocessReceipt { accepted, judged, next } = receipt;
    json!({
        "success": true,
        "judged": judged,
        "processed": accepted.len(),
        "accepted": accepted,
        "next": next,
        "message": format!("{judged} rejected payloads were reprocessed, {} are events now", accepted.len()),
    })
}

impl Corrections {
    /// Creates the state of the routes with the recorder, clock and shutdown of the payload route.
    pub fn from_ingest(ingest: &Ingest) -> Self {
        let Ingest { recorder, clock, shutdown, .. } = ingest.clone();
        Self { recorder, clock, shutdown }
    }

    /// Waits for a write, for as long as a call may take.
    pub(crate) async fn within_timeout<T>(
        &self,
        write: impl Future<Output = Result<T, RecordError>>,
    ) -> Result<T, ApiError> {
        if self.shutdown.is_requested() {
            return Err(record_error(&RecordError::Stopping));
        }
        let written = tokio::time::timeout(RECORD_TIMEOUT, write).await.map_err(|_| timeout_error())?;
        written.map_err(|error| record_error(&error))
    }
}

fn bad_request(error: &CorrectionFormError) -> ApiError {
    ApiError::bad_request(error.to_string())
}

/// Returns the HTTP status and the JSON body for a receipt.
fn correction_response(receipt: CorrectionReceipt) -> Result<(StatusCode, Value), ApiError> {
    let body = |status: &str, sequence: Sequence, message: String| json!({"success": true, "status": status, "sequence": sequence, "message": message});
    match receipt {
        CorrectionReceipt::Kept { sequence } => {
            Ok((StatusCode::CREATED, body("corrected", sequence, format!("recorded as change {sequence}"))))
        }
        CorrectionReceipt::Duplicate { of } => {
            let message = format!("already recorded as change {of}; nothing was written");
            Ok((StatusCode::OK, body("already_corrected", of, message)))
        }
        CorrectionReceipt::Refused(error) => Err(refusal(&error)),
    }
}

/// Returns the answer to a correction that does not apply. If the key belongs to another one, it has the change of that.
fn refusal(error: &CorrectionError) -> ApiError {
    let answer = ApiError::new(error_status(error), error.code(), error.to_string());
    match error {
        CorrectionError::KeyReused { of, .. } => answer.with("sequence", of.0),
        _ => answer,
    }
}

fn error_status(error: &CorrectionError) -> StatusCode {
    match error {
        CorrectionError::StillRejected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        error if error.is_unknown() => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    }
}
