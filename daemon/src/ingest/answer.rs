//! What a caller is told.

use crate::disk::DiskTrouble;
use crate::recorder::RecordError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use herd::clock::iso_utc;
use herd::payload::{ContentHash, Rejection};
use herd::position::Sequence;
use serde_json::{Value, json};
use service::door::reply::ApiError;

/// A caller that met a stop, a failed commit or a full queue comes again after so many seconds.
const RETRY_SOON_S: u32 = 5;
/// A caller that met what a person must mend comes again after so many seconds.
const RETRY_LATER_S: u32 = 60;

/// What became of one payload.
#[derive(Debug)]
pub(super) enum Answer {
    Stored { sequence: Sequence, hash: ContentHash },
    Duplicate { of: Sequence, hash: ContentHash, received_at_us: Option<i64> },
    Rejected { sequence: Sequence, hash: ContentHash, reason: Rejection },
    Suppressed,
    Refused(ApiError),
}

impl Answer {
    fn status_word(&self) -> &'static str {
        match self {
            Self::Stored { .. } => "stored",
            Self::Duplicate { .. } => "duplicate",
            Self::Rejected { .. } => "rejected",
            Self::Suppressed | Self::Refused(_) => "refused",
        }
    }

    /// As one element of an array's results.
    fn to_json(&self) -> Value {
        match self {
            Self::Stored { sequence, hash } => json!({
                "success": true,
                "status": self.status_word(),
                "payload_id": sequence,
                "payload_hash": hash.to_string(),
                "message": format!("stored as change {sequence}"),
            }),
            other => other.refusal().to_json(),
        }
    }

    fn refusal(&self) -> ApiError {
        let refusal = match self {
            Self::Duplicate { of, hash, received_at_us } => {
                let at = received_at_us.map(iso_utc);
                let when = at.as_ref().map_or_else(String::new, |at| format!(", received {at}"));
                ApiError::new(StatusCode::CONFLICT, "duplicate", format!("held already as change {of}{when}"))
                    .with("payload_id", of.0)
                    .with("payload_hash", hash.to_string())
                    .with("received_at", at)
            }
            Self::Rejected { sequence, hash, reason } => {
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "rejected", reason.to_string())
                    .with("payload_id", sequence.0)
                    .with("payload_hash", hash.to_string())
                    .with("reason", reason.code())
            }
            Self::Refused(error) => error.clone(),
            // A stored payload is no refusal; the arm completes the match and is never asked for.
            Self::Suppressed | Self::Stored { .. } => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rejections_suppressed",
                "this key has delivered more unreadable payloads this hour than are kept; this one was only counted",
            ),
        };
        refusal.with("status", self.status_word())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Stored { .. } => (StatusCode::CREATED, axum::Json(self.to_json())).into_response(),
            other => other.refusal().into_response(),
        }
    }
}

pub(super) fn array(answers: &[Answer]) -> Response {
    let results: Vec<_> = answers.iter().map(Answer::to_json).collect();
    axum::Json(json!({"success": true, "results": results})).into_response()
}

/// The commit did not come in time. Whether the payload is kept is not known: sent again, it is stored or a duplicate.
pub(crate) fn busy() -> ApiError {
    ApiError::unavailable("busy", "it could not be stored in time; send it again", RETRY_SOON_S)
}

/// Why nothing could be recorded, told without a word about the inside.
pub(crate) fn refusal(error: &RecordError) -> ApiError {
    let unavailable = ApiError::unavailable;
    match error {
        RecordError::Stopping | RecordError::Ended => {
            unavailable("stopping", "the program is about to stop or start again; send it again", RETRY_SOON_S)
        }
        RecordError::Disk(DiskTrouble::Full { .. }) => {
            unavailable("disk_full", "the disk is full, so nothing can be stored until there is room", RETRY_LATER_S)
        }
        RecordError::Disk(DiskTrouble::Unknown { .. }) | RecordError::Failed(_) => {
            unavailable("storage_failed", "the disk does not take it; send it again", RETRY_SOON_S)
        }
        RecordError::TablesBehind { .. } => unavailable(
            "upgrade_needed",
            "a later version wrote to this store, so this one takes nothing in: upgrade it",
            RETRY_LATER_S,
        ),
        RecordError::TooMany { .. } | RecordError::TooLong { .. } => ApiError::bad_request(error.to_string()),
    }
}
