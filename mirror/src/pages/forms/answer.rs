//! The answer of a barn to the order of a form.
//!
//! The texts that programs get name orders and idempotency keys, which nobody sees on a page. So a page has its own for
//! the outcomes after which somebody has to know whether to send the form again.

use crate::corrections::BarnResponse;
use crate::corrections::response::{BAD_ANSWER, BARN_AWAY, NO_ANSWER, bad_answer};
use serde::Deserialize;
use service::door::reply::ApiError;

/// Answer to the order of a form.
pub(super) enum Answer {
    /// Recorded as this change.
    Recorded(u64),
    /// Refused by the barn.
    Refused(BarnResponse, Reason),
    /// The barn has not answered, or something else than an answer to an order.
    Missing(ApiError),
}

/// Reason why a barn refuses an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The barn's own words.
    Words(String),
    /// The key of the form belongs to another correction, recorded as this change if the barn names it.
    Recorded(Option<u64>),
}

/// The keys of a barn's response that a page reads.
#[derive(Deserialize)]
struct Body {
    sequence: Option<u64>,
    error: Option<String>,
    message: Option<String>,
}

impl Answer {
    /// Reads the outcome of sending an order.
    pub(super) fn of(outcome: Result<BarnResponse, ApiError>) -> Self {
        let response = match outcome {
            Ok(response) => response,
            Err(error) => return Self::Missing(error),
        };
        let body = serde_json::from_slice(&response.body);
        match (response.status.is_success(), body) {
            (true, Ok(Body { sequence: Some(sequence), .. })) => Self::Recorded(sequence),
            (false, Ok(Body { sequence, error: Some(error), .. })) if error == "key_reused" => {
                Self::Refused(response, Reason::Recorded(sequence))
            }
            (false, Ok(Body { error: Some(_), message: Some(message), .. })) => {
                Self::Refused(response, Reason::Words(message))
            }
            _ => Self::Missing(bad_answer()),
        }
    }
}

/// Puts an error in words for somebody who has a form before them. Texts that fit programs and people stay.
pub(super) fn for_people(error: ApiError) -> ApiError {
    let message = match error.code {
        NO_ANSWER => {
            "the barn did not answer. It may have been recorded. Send this form again unchanged: it counts once"
        }
        BAD_ANSWER => {
            "the barn's answer cannot be read. It may have been recorded. Send this form again unchanged: it counts once"
        }
        BARN_AWAY => "the barn cannot be reached. Nothing was sent. Send this form again later",
        _ => return error,
    };
    ApiError { message: message.to_owned(), ..error }
}
