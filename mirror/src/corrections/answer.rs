//! What whoever sent an order is told.

use crate::link::{NotPosted, Posted};
use crate::sites::CommandFailed;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use service::door::reply::ApiError;
use service::sync::link::LinkError;

/// When to come again while the barn is away.
const AWAY_RETRY_S: u32 = 10;
/// When to come again while others are being sent on, and while the sites change.
const BUSY_RETRY_S: u32 = 1;
/// How an order is made once.
const AGAIN: &str = "send the same order with the same idempotency key again, which makes it once";

pub(super) fn unknown(site: &str) -> ApiError {
    ApiError::not_found(format!("no site {site:?} is paired with this office"))
}

pub(super) fn not_followed() -> ApiError {
    let message = "this office does not follow the barn any more, so what has a number here may have another one there: \
                   the order was not sent. The site's status says why, and what to do";
    ApiError::new(StatusCode::CONFLICT, "not_followed", message)
}

pub(super) fn busy() -> ApiError {
    ApiError::unavailable("busy", "too many orders are being sent on: nothing was kept, come again", BUSY_RETRY_S)
}

/// The pairing could not be read, or makes no link.
pub(super) fn no_link(site: &str, error: &CommandFailed) -> ApiError {
    tracing::error!(site, %error, "an order could not be sent on");
    let message = "the pairing with the barn could not be used; the log says why. Nothing was sent or kept";
    ApiError::unavailable("no_link", message, BUSY_RETRY_S)
}

/// The barn's own answer, or why there is none.
pub(super) fn told(outcome: Result<Posted, NotPosted>) -> Result<Response, ApiError> {
    match outcome {
        Ok(said) => given_back(said),
        Err(NotPosted::NotSent(LinkError::NotTrusted { .. })) => Err(not_the_barn()),
        Err(NotPosted::NotSent(_)) => Err(away()),
        Err(NotPosted::InDoubt(LinkError::TooLong { .. })) => Err(bad_answer()),
        Err(NotPosted::InDoubt(_)) => Err(no_answer()),
    }
}

fn given_back(said: Posted) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(said.status).map_err(|_| bad_answer())?;
    if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
        return Err(barn_refused());
    }
    let Ok(json) = serde_json::from_slice::<Value>(&said.body) else { return Err(bad_answer()) };
    if status.is_informational() || status.is_redirection() {
        return Err(bad_answer());
    }
    // Its word for a path that it does not have; what an order names and is not there has words of its own.
    if status == StatusCode::NOT_FOUND && json["error"] == "not_found" {
        return Err(barn_too_old());
    }
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], said.body).into_response();
    if let Some(seconds) = said.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn away() -> ApiError {
    let message = format!("the barn cannot be reached: nothing was sent and nothing is kept here. Later, {AGAIN}");
    ApiError::unavailable("barn_away", message, AWAY_RETRY_S)
}

fn not_the_barn() -> ApiError {
    let message = "whoever answers at the barn's address is not the paired barn, so nothing was sent. If its key was \
                   replaced on purpose, pair it again: `herdlinxd pair` at the barn, `herdlinx-mirror add` here";
    ApiError::new(StatusCode::BAD_GATEWAY, "not_the_barn", message)
}

fn no_answer() -> ApiError {
    let message = format!("the barn did not answer: it is not known whether the order was made. To be sure, {AGAIN}");
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, "no_answer", message)
}

fn bad_answer() -> ApiError {
    let message = format!(
        "what the barn answered is no answer to an order: it is not known whether it was made. To be sure, {AGAIN}"
    );
    ApiError::new(StatusCode::BAD_GATEWAY, "bad_answer", message)
}

fn barn_refused() -> ApiError {
    let message = "the barn does not take corrections by this office's key: it was revoked, or has no scope `correct`. \
                   Pair again: `herdlinxd pair` at the barn, `herdlinx-mirror add` here. Nothing was corrected";
    ApiError::new(StatusCode::BAD_GATEWAY, "barn_refused", message)
}

fn barn_too_old() -> ApiError {
    let message = "the barn's program takes no corrections: upgrade it. Nothing was corrected";
    ApiError::new(StatusCode::BAD_GATEWAY, "barn_too_old", message)
}
