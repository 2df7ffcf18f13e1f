//! `POST /api/sync/lost-end`: a follower shows that this barn's log lacks its last changes.
//!
//! | the log | response |
//! |---|---|
//! | ends where the follower shows, and its copy goes on | 200, with the position after the change that begins the next epoch |
//! | ends elsewhere, or the copy does not go on | 409 `not_the_end`, `nothing_lost` |
//! | has got an epoch by this call since the start | 409 `epoch_began` |
//! | cannot be written | 503 with `Retry-After`; retrying is safe |
//!
//! # Decisions
//!
//! - **The scope of followers suffices.** The start of an epoch loses nothing, and only an office can know what a card that
//!   was put back lacks.
//! - **Once in the life of a process.** A log loses its end while the barn does not run. So a follower that asks again and
//!   again, for whatever reason, does not fill the log. The epoch of the log tells, not a mark of this call: a caller that
//!   leaves before its answer may have begun one.

use crate::corrections::Corrections;
use crate::ingest::Ingest;
use crate::open::new_ids;
use crate::recorder::EpochRequest;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use herd::change::Acceptance;
use herd::position::{Epoch, Position};
use herd::store::{EpochReceipt, LostEnd, LostEndError, Reader};
use serde_json::json;
use service::door::auth::{Access, Caller};
use service::door::reply::{ApiError, NoQuery, StrictJson};
use service::sync::lost_end::{LOST_END_PATH, LostEndReply, MAX_LOST_END_BYTES};

#[cfg(test)]
mod tests;

/// Seconds after which a refused request is worth a retry.
const RETRY_AFTER_S: u32 = 5;

#[derive(Clone)]
struct Barn {
    corrections: Corrections,
    reader: Reader,
    /// Epoch of the log at the start.
    started_in: Epoch,
}

/// Returns the route. The caller wraps it in a guard.
pub fn router(ingest: &Ingest) -> Router {
    let (corrections, reader) = (Corrections::from_ingest(ingest), ingest.reader.clone());
    let started_in = reader.head().position.epoch;
    let barn = Barn { corrections, reader, started_in };
    Router::new()
        .route(LOST_END_PATH, post(begin_epoch))
        .layer(DefaultBodyLimit::max(MAX_LOST_END_BYTES))
        .with_state(barn)
}

async fn begin_epoch(
    State(barn): State<Barn>,
    caller: Caller,
    access: Access,
    _: NoQuery,
    StrictJson(shown): StrictJson<LostEnd>,
) -> Result<Json<LostEndReply>, ApiError> {
    let acceptance = acceptance(caller.name(), &shown)?;
    if barn.reader.head().position.epoch > barn.started_in {
        let message = "an epoch has begun since this barn started: ask for its end again";
        return Err(ApiError::new(StatusCode::CONFLICT, "epoch_began", message));
    }
    access.begin_write()?;
    let writer = new_ids().map_err(|error| ApiError::unavailable("no_randomness", error.to_string(), RETRY_AFTER_S))?();
    let begin = EpochRequest { shown, acceptance, writer };
    let Corrections { recorder, clock, .. } = &barn.corrections;
    let head = match barn.corrections.within_timeout(recorder.begin_epoch(begin, clock.read())).await? {
        EpochReceipt::Began { head } => head,
        EpochReceipt::Refused(why) => return Err(refusal(&why)),
    };
    log_lost_end(caller.name(), &shown, &head);
    Ok(Json(LostEndReply { success: true, head }))
}

/// Returns the decision as the log keeps it.
fn acceptance(follower: &str, shown: &LostEnd) -> Result<Acceptance, ApiError> {
    let (copy, own) = (shown.copy.sequence, shown.shared.sequence);
    let reason = format!("its copy goes on to change {copy}, and this log ended at change {own}");
    Acceptance::checked(follower, &reason).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn log_lost_end(follower: &str, shown: &LostEnd, head: &Position) {
    tracing::warn!(
        key = follower,
        copy = %shown.copy,
        log_ended_at = %shown.shared,
        %head,
        "an office holds changes that this log has lost: the next epoch begins. At the office, `herdlinx-mirror give-back` \
         returns them"
    );
}

fn refusal(why: &LostEndError) -> ApiError {
    let (code, head) = match why {
        LostEndError::NotTheEnd { head } => ("not_the_end", head),
        LostEndError::NotLonger { head } => ("nothing_lost", head),
    };
    ApiError::new(StatusCode::CONFLICT, code, why.to_string()).with("held", json!(head))
}
