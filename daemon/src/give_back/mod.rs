//! `POST /api/give-back`: an office returns payloads that this barn once recorded and no longer holds.
//!
//! | order | response |
//! |---|---|
//! | carried out | 200, with the numbers of payloads that were appended and that were here |
//! | without author or reason, invalid JSON, changes that do not lead to the end that they name | 400, 413, 415 |
//! | changes of another history | 409 `other_history` |
//! | changes of a later program, or changes whose place is in a damaged row of this log | 409 `unknown_change`, `damaged_log` |
//! | changes in the place of a row that is not damaged, or that the log does not prove | 409 `not_damaged`, `unproven` |
//! | another order at the same time | 503 `busy` with `Retry-After` |
//! | refused during a shutdown, on a full disk, or after a failed commit | 503 with `Retry-After`; retrying is safe |
//!
//! One order at a time: each holds up to a page of changes, and an office sends the next one after the response.

use crate::corrections::Corrections;
use crate::ingest::Ingest;
use crate::recorder::MAX_RAW_BYTES;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use herd::change::{Acceptance, Change};
use herd::position::StoreId;
use herd::store::{ChangeRun, DamagedRow, MendError, MendReceipt, Reader};
use service::door::auth::{Access, Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery, StrictJson};
use service::give_back::{GIVE_BACK_PATH, GiveBackOrder, GiveBackReply, MAX_GIVE_BACK_BYTES, MAX_GIVEN_CHANGES};
use std::sync::Arc;
use tokio::sync::Semaphore;

#[cfg(test)]
mod tests;

/// Seconds after which a refused order is worth a retry.
const RETRY_AFTER_S: u32 = 5;
/// Maximum length of the name of a channel or of a reader group that comes back.
const MAX_ORIGIN_BYTES: usize = 256;

#[derive(Clone)]
struct GiveBack {
    corrections: Corrections,
    reader: Reader,
    one_at_a_time: Arc<Semaphore>,
}

/// Returns the route, for keys of scope correct or admin.
pub fn router(ingest: &Ingest, authenticator: &Arc<dyn Authenticator>) -> Router {
    let (corrections, reader) = (Corrections::from_ingest(ingest), ingest.reader.clone());
    let state = GiveBack { corrections, reader, one_at_a_time: Arc::new(Semaphore::new(1)) };
    let route = Router::new()
        .route(GIVE_BACK_PATH, post(give_back))
        .layer(DefaultBodyLimit::max(MAX_GIVE_BACK_BYTES))
        .with_state(state);
    require(authenticator.clone(), Scope::Correct).or(Scope::Admin).protect(route)
}

async fn give_back(
    State(barn): State<GiveBack>,
    caller: Caller,
    access: Access,
    _: NoQuery,
    StrictJson(order): StrictJson<GiveBackOrder>,
) -> Result<Json<GiveBackReply>, ApiError> {
    let acceptance = Acceptance::checked(&order.author, &order.reason);
    let acceptance = acceptance.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let run = order.changes.decode();
    let run = run.map_err(|error| ApiError::bad_request(format!("`changes` is no page of changes: {error}")))?;
    let _permit = barn.one_at_a_time.try_acquire().map_err(|_| busy())?;
    check(&run, barn.reader.store())?;
    access.begin_write()?;
    let author = acceptance.author.clone();
    let recorder = &barn.corrections.recorder;
    if order.in_place {
        let row = mended_row(barn.corrections.within_timeout(recorder.mend(run)).await?)?;
        tracing::info!(key = caller.name(), author, first = row.first.0, last = row.last.0, "a damaged row came back");
        return Ok(Json(GiveBackReply::mended(row)));
    }
    let done = barn.corrections.within_timeout(recorder.readmit(run, acceptance)).await?;
    tracing::info!(
        key = caller.name(),
        author,
        kept = done.kept,
        duplicates = done.duplicates,
        "payloads that were lost here came back"
    );
    Ok(Json(done.into()))
}

/// Returns the row that was mended, or the refusal.
fn mended_row(receipt: MendReceipt) -> Result<DamagedRow, ApiError> {
    let error = match receipt {
        MendReceipt::Mended { row } => return Ok(row),
        MendReceipt::Refused(error) => error,
    };
    let code = match error {
        MendError::NotDamaged { .. } => "not_damaged",
        MendError::OtherHistory { .. } => "other_history",
        MendError::Unproven { .. } => "unproven",
    };
    Err(ApiError::new(StatusCode::CONFLICT, code, error.to_string()))
}

/// Checks that the changes are of this history, lead to the end that they name, and hold no payload that the routes for
/// payloads would refuse.
fn check(run: &ChangeRun, own: StoreId) -> Result<(), ApiError> {
    if run.after.store != own {
        let message = "the changes are of another history than this barn's: nothing was written";
        return Err(ApiError::new(StatusCode::CONFLICT, "other_history", message));
    }
    if run.changes.len() > MAX_GIVEN_CHANGES {
        return Err(ApiError::bad_request(format!("more than {MAX_GIVEN_CHANGES} changes in one order")));
    }
    let led_to = ChangeRun::following(run.after, run.changes.clone()).end;
    if (led_to.sequence, led_to.digest) != (run.end.sequence, run.end.digest) {
        return Err(ApiError::bad_request("the changes do not lead to the end that the order names"));
    }
    for bytes in run.changes.iter() {
        if let Ok(Change::Received(received)) = Change::from_bytes(bytes) {
            let origin = [&received.origin.channel, &received.origin.reader_group];
            if received.raw.len() > MAX_RAW_BYTES || origin.iter().any(|name| name.len() > MAX_ORIGIN_BYTES) {
                return Err(ApiError::bad_request("a payload of the order is longer than any that a barn takes"));
            }
        }
    }
    Ok(())
}

fn busy() -> ApiError {
    ApiError::unavailable("busy", "another order gives payloads back at the moment", RETRY_AFTER_S)
}
