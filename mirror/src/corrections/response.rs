//! Responses to orders, from the outcome of forwarding them.

use crate::link::{PostError, PostResponse};
use crate::sites::SiteCommandError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;
use service::door::reply::ApiError;
use service::sync::link::LinkError;

/// `Retry-After` while the barn cannot be reached.
const AWAY_RETRY_S: u32 = 10;
/// `Retry-After` while too many orders are being forwarded, or the sites change.
const BUSY_RETRY_S: u32 = 1;
/// Code of a barn that cannot be reached.
pub(crate) const BARN_AWAY: &str = "barn_away";
/// Code of a barn that has not answered what was sent.
pub(crate) const NO_ANSWER: &str = "no_answer";
/// Code of an answer that is not one to an order.
pub(crate) const BAD_ANSWER: &str = "bad_answer";
/// Advice for a safe retry.
const RETRY: &str = "send the same order again with the same idempotency key, so that the barn applies it once";

/// A barn's response to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BarnResponse {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// `Retry-After`, if the barn gives it in seconds.
    pub(crate) retry_after_s: Option<u32>,
    /// The body: JSON, as the barn sent it.
    pub(crate) body: Bytes,
}

impl IntoResponse for BarnResponse {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        let mut passed_on = (self.status, content_type, self.body).into_response();
        if let Some(seconds) = self.retry_after_s {
            passed_on.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        passed_on
    }
}

pub(super) fn unknown_site(site: &str) -> ApiError {
    ApiError::not_found(format!("no site {site:?} is paired with this office"))
}

pub(super) fn not_followed() -> ApiError {
    let message = "the copy that this office shows does not follow the barn, so a number in it may belong to something else \
                   at the barn. The order was not sent. The site's status has the reason and the way out";
    ApiError::new(StatusCode::CONFLICT, "not_followed", message)
}

pub(super) fn busy() -> ApiError {
    ApiError::unavailable("busy", "too many orders are being forwarded; nothing was sent, try again", BUSY_RETRY_S)
}

/// The pairing cannot be read, or no link can be created from it.
pub(super) fn no_link(site: &str, error: &SiteCommandError) -> ApiError {
    tracing::error!(site, %error, "failed to forward a correction");
    let message = "the pairing with the barn cannot be used; see the log. Nothing was sent or stored";
    ApiError::unavailable("no_link", message, BUSY_RETRY_S)
}

/// Returns the barn's own response, or the reason why there is none.
pub(super) fn from_outcome(outcome: Result<PostResponse, PostError>) -> Result<BarnResponse, ApiError> {
    match outcome {
        Ok(response) => pass_on(response),
        Err(PostError::NotSent(LinkError::NotTrusted { .. })) => Err(not_the_barn()),
        Err(PostError::NotSent(_)) => Err(away()),
        Err(PostError::InDoubt(LinkError::TooLong { .. })) => Err(bad_answer()),
        Err(PostError::InDoubt(_)) => Err(no_answer()),
    }
}

/// Returns the barn's response unchanged, unless it is not a response to an order.
fn pass_on(response: PostResponse) -> Result<BarnResponse, ApiError> {
    let status = StatusCode::from_u16(response.status).map_err(|_| bad_answer())?;
    if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
        return Err(barn_refused());
    }
    let Ok(json) = serde_json::from_slice::<Value>(&response.body) else { return Err(bad_answer()) };
    if status.is_informational() || status.is_redirection() {
        return Err(bad_answer());
    }
    // `not_found` is the code of an unknown path, and at an office between of an unknown site. Unknown things that an order
    // names have codes of their own.
    if status == StatusCode::NOT_FOUND && json["error"] == "not_found" {
        return Err(barn_too_old());
    }
    Ok(BarnResponse { status, retry_after_s: response.retry_after_s, body: response.body })
}

pub(crate) fn away() -> ApiError {
    let message = format!("the barn cannot be reached; nothing was sent, and nothing is stored here. Later, {RETRY}");
    ApiError::unavailable(BARN_AWAY, message, AWAY_RETRY_S)
}

fn not_the_barn() -> ApiError {
    let message = "the machine at the barn's address is not the paired barn; nothing was sent. If the barn's key was \
                   replaced on purpose, pair again: `herdlinxd pair` at the barn, then `herdlinx-mirror add` here";
    ApiError::new(StatusCode::BAD_GATEWAY, "not_the_barn", message)
}

pub(crate) fn no_answer() -> ApiError {
    let message = format!("the barn did not respond; it is unknown whether it applied the order. To be sure, {RETRY}");
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, NO_ANSWER, message)
}

pub(crate) fn bad_answer() -> ApiError {
    let message = format!(
        "the barn's response is not one to an order; it is unknown whether it applied the order. To be sure, {RETRY}"
    );
    ApiError::new(StatusCode::BAD_GATEWAY, BAD_ANSWER, message)
}

fn barn_refused() -> ApiError {
    let message = "the barn rejects corrections with this office's key: it was revoked, or lacks the scope `correct`. \
                   Pair again: `herdlinxd pair` at the barn, then `herdlinx-mirror add` here. Nothing was corrected";
    ApiError::new(StatusCode::BAD_GATEWAY, "barn_refused", message)
}

fn barn_too_old() -> ApiError {
    let message = "the barn, or the office between, has nothing at the path of this call: its version is too old, or that \
                   office does not follow the barn any more. Upgrade it, or pair with the barn. Nothing was corrected";
    ApiError::new(StatusCode::BAD_GATEWAY, "barn_too_old", message)
}
