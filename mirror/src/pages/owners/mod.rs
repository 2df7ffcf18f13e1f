//! Forms by which owners manage sites: their routes, their senders, and the commands that they run.
//!
//! # Decisions
//!
//! - **A form of an owner is a command.** It goes to the same responder as the commands of the control socket, so what a
//!   page does and what a command does cannot differ.
//! - **A reason is asked for what changes a site**, and the log of the process has it with the name of the owner.

mod copy_choice;
mod pairing;

use super::browsers::Browsers;
use super::conventions::Conventions;
use super::site_request::PagesState;
use crate::control::OfficeRequest;
use crate::sites::Office;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use herd::clock::Clock;
use service::control::{ControlError, Handler};
use service::door::reply::{ApiError, with_method_fallback};
use std::sync::Arc;

/// `Retry-After` if the office cannot do its part.
pub(super) const RETRY_AFTER_S: u32 = 5;

/// State of the routes of owners.
#[derive(Clone)]
pub(super) struct Owners {
    pub(super) pages: PagesState,
    pub(super) browsers: Browsers,
    /// Responds to commands.
    pub(super) commands: Handler<OfficeRequest>,
}

/// Returns the routes on which owners manage sites. A request finds its own way in, so no guard stands in front of them.
pub(crate) fn owner_routes(
    office: Arc<dyn Office>,
    clock: Arc<dyn Clock>,
    conventions: Conventions,
    browsers: Browsers,
    commands: Handler<OfficeRequest>,
) -> Router {
    let of_site = || Router::new().route("/status/copy", copy_choice::route());
    let routes = of_site().nest("/sites/{site}", of_site()).route(pairing::PAIR_PATH, pairing::route());
    let routes = routes.layer(DefaultBodyLimit::max(pairing::MAX_FORM_BYTES));
    let owners = Owners { pages: PagesState::new(office, clock, conventions), browsers, commands };
    with_method_fallback(routes.with_state(owners))
}

/// Converts the refusal of a command.
pub(super) fn refusal(error: ControlError) -> ApiError {
    let (status, code) = match error.code.as_str() {
        "failed" => return ApiError::unavailable("failed", error.message, RETRY_AFTER_S),
        "bad_line" => (StatusCode::BAD_REQUEST, "bad_line"),
        "unknown_site" => (StatusCode::NOT_FOUND, "unknown_site"),
        _ => (StatusCode::CONFLICT, "refused"),
    };
    ApiError::new(status, code, error.message)
}
