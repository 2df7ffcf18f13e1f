//! Responses to callers of the payload route.
//!
//! Decision: the body of a stored payload is written from a struct, without a `serde_json::Value` in between. Almost all
//! payloads are stored, and a `Value` takes a dozen allocations for each. Its keys stand in alphabetical order, as a `Value`
//! has them, so that the bytes are those of every other body.

use super::refusals::CallOutcome;
use crate::disk::DiskError;
use crate::recorder::RecordError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use herd::clock::iso_utc_if_set;
use herd::payload::{ContentHash, Rejection};
use herd::position::Sequence;
use herd::store::StoreError;
use serde::{Serialize, Serializer};
use service::door::reply::ApiError;
use std::fmt::{self, Display, Formatter};

/// `Retry-After` for a shutdown, a failed commit or a full queue.
const RETRY_SOON_S: u32 = 5;
/// `Retry-After` for a problem that an operator has to fix.
const RETRY_LATER_S: u32 = 60;

/// Message for a rejection over the limit of its channel.
const SUPPRESSED: &str =
    "this key has delivered more unreadable payloads this hour than are kept; this one was only counted";

/// Outcome of one payload.
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

    /// Returns the outcome as an error; `None` for a stored payload.
    fn error(&self) -> Option<ApiError> {
        let error = match self {
            Self::Stored { .. } => return None,
            Self::Duplicate { of, hash, received_at_us } => {
                let at = received_at_us.and_then(iso_utc_if_set);
                let when = at.as_ref().map_or_else(String::new, |at| format!(", received {at}"));
                ApiError::new(StatusCode::CONFLICT, "duplicate", format!("already recorded as change {of}{when}"))
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
            Self::Suppressed => ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rejections_suppressed", SUPPRESSED),
        };
        Some(error.with("status", self.status_word()))
    }

    /// Returns code and reason of a payload that is no event of the log; `None` if it is one.
    fn refusal(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Stored { .. } | Self::Duplicate { .. } => None,
            Self::Rejected { reason, .. } => Some(("rejected", reason.to_string())),
            Self::Suppressed => Some(("rejections_suppressed", SUPPRESSED.to_owned())),
            Self::Refused(error) => Some((error.code, error.message.clone())),
        }
    }
}

/// The body of a single call, and an element of the results of an array.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stored { sequence, hash } => StoredBody {
                message: StoredMessage(*sequence),
                payload_hash: *hash,
                payload_id: *sequence,
                status: self.status_word(),
                success: true,
            }
            .serialize(to),
            other => other.error().map(|error| error.to_json()).serialize(to),
        }
    }
}

/// The body of a stored payload. The order of the fields is alphabetical.
#[derive(Serialize)]
struct StoredBody {
    #[serde(serialize_with = "as_text")]
    message: StoredMessage,
    #[serde(serialize_with = "as_text")]
    payload_hash: ContentHash,
    payload_id: Sequence,
    status: &'static str,
    success: bool,
}

struct StoredMessage(Sequence);

impl Display for StoredMessage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "recorded as change {}", self.0)
    }
}

fn as_text<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// The body of the response to an array. The order of the fields is alphabetical.
#[derive(Serialize)]
struct ArrayBody<'a> {
    results: &'a [Answer],
    success: bool,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self.error() {
            None => (StatusCode::CREATED, Json(self)).into_response(),
            Some(error) => error.into_response(),
        }
    }
}

/// Returns the response to a single payload.
pub(super) fn single_response(answer: Answer) -> Response {
    let outcome = outcome_of(std::slice::from_ref(&answer));
    with_outcome(answer.into_response(), outcome)
}

/// Returns the response to an array of payloads.
pub(super) fn array_response(answers: &[Answer]) -> Response {
    let response = Json(ArrayBody { results: answers, success: true }).into_response();
    with_outcome(response, outcome_of(answers))
}

fn outcome_of(answers: &[Answer]) -> CallOutcome {
    let mut outcome = CallOutcome::default();
    for answer in answers {
        match answer.refusal() {
            None => outcome.add_taken(),
            Some((code, why)) => outcome.add_refused(code, why),
        }
    }
    outcome
}

/// Attaches the outcome for the count of refused reads.
fn with_outcome(mut response: Response, outcome: CallOutcome) -> Response {
    response.extensions_mut().insert(outcome);
    response
}

/// Returns the error for a commit that took too long.
///
/// The payload may have been recorded. If it is sent again, it is stored or a duplicate.
pub(crate) fn timeout_error() -> ApiError {
    ApiError::unavailable("busy", "it could not be stored in time; send it again", RETRY_SOON_S)
}

/// Converts the error of the recorder, without internal details.
pub(crate) fn record_error(error: &RecordError) -> ApiError {
    let unavailable = ApiError::unavailable;
    match error {
        RecordError::Stopping | RecordError::Ended => {
            unavailable("stopping", "the program is about to stop or start again; send it again", RETRY_SOON_S)
        }
        RecordError::Disk(DiskError::Full { .. }) => {
            unavailable("disk_full", "the disk is full; nothing can be stored until there is room", RETRY_LATER_S)
        }
        RecordError::Disk(DiskError::Unknown { .. }) | RecordError::Failed(_) => {
            unavailable("storage_failed", "the disk cannot store it now; send it again", RETRY_SOON_S)
        }
        RecordError::Refused(error) => {
            let code = match **error {
                StoreError::UnknownLost { .. } => "unknown_change",
                _ => "damaged_log",
            };
            ApiError::new(StatusCode::CONFLICT, code, error.to_string())
        }
        RecordError::TablesBehind { why, .. } => {
            unavailable("upgrade_needed", &format!("nothing can be recorded: {why}"), RETRY_LATER_S)
        }
        RecordError::TooMany { .. } | RecordError::TooLong { .. } => ApiError::bad_request(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::payload::content_hash;
    use herd::store::DamagedRow;

    /// Catches a caller that sends again at once although a person has to help, or that gives up what it should keep.
    #[test]
    fn each_error_of_the_recorder_says_if_and_when_to_send_again() {
        let (folded, head) = (Sequence(3), Sequence(5));
        let why = herd::change::ChangeError::Unknown { kind: 99, version: 1 };
        let unknown = StoreError::UnknownLost { sequence: head, why: why.clone() };
        let damaged = StoreError::DamagedLog { row: DamagedRow { first: folded, last: head }, why: "it lacks its end" };
        for (error, status, code, retry_after_s) in [
            (RecordError::Stopping, 503, "stopping", Some(5)),
            (RecordError::Ended, 503, "stopping", Some(5)),
            (DiskError::Full { free_bytes: 0, needed_bytes: 1 }.into(), 503, "disk_full", Some(60)),
            (DiskError::Unknown { why: "gone".to_owned() }.into(), 503, "storage_failed", Some(5)),
            (RecordError::Refused(unknown.into()), 409, "unknown_change", None),
            (RecordError::Refused(damaged.into()), 409, "damaged_log", None),
            (RecordError::TablesBehind { folded, head, why }, 503, "upgrade_needed", Some(60)),
            (RecordError::TooLong { bytes: 4_097 }, 400, "bad_request", None),
            (RecordError::TooMany { count: 1_001 }, 400, "bad_request", None),
        ] {
            let answer = record_error(&error);
            let found = (answer.status.as_u16(), answer.code, answer.retry_after_s);
            assert_eq!(found, (status, code, retry_after_s), "{error}");
        }
        let answer = timeout_error();
        assert_eq!((answer.status.as_u16(), answer.code, answer.retry_after_s), (503, "busy", Some(5)));
    }

    /// Catches a duplicate whose first arrival is said to be of 1970: the barn's clock was not set then.
    #[test]
    fn an_arrival_before_the_clock_was_set_has_no_time() {
        let answer = |received_at_us| {
            let hash = content_hash(b"hxb:L1:A:U1");
            let body = Answer::Duplicate { of: Sequence(2), hash, received_at_us: Some(received_at_us) };
            let body = serde_json::to_value(body).unwrap();
            (body["message"].as_str().unwrap().to_owned(), body["received_at"].as_str().map(str::to_owned))
        };
        let at = "2026-01-15T10:35:20.000Z";
        let known = format!("already recorded as change 2, received {at}");
        assert_eq!(answer(1_768_473_320_000_000), (known, Some(at.to_owned())));
        assert_eq!(answer(5_000_000), ("already recorded as change 2".to_owned(), None));
    }
}
