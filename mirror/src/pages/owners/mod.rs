//! Forms by which owners manage sites: their routes, their senders, and the commands that they run.
//!
//! # Decisions
//!
//! - **A form of an owner is a command.** It goes to the same responder as the commands of the control socket, so what a page does
//!   and what a command does cannot differ.
//! - **A reason is asked for what changes a site**, and the log of the process has it with the name of the owner.

mod copy_choice;
mod pairing;

use super::browsers::Browsers;
use super::conventions::Conventions;
use super::error::PageError;
use super::login::{LOGIN_PATH, has_key};
use super::media_type::MediaType;
use super::own_form::foreign_form;
use super::page::redirect;
use super::paths::query_value;
use super::site_request::PagesState;
use crate::control::OfficeRequest;
use crate::people::{LoggedIn, Role};
use crate::sites::Office;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use herd::clock::Clock;
use service::control::{ControlError, Handler};
use service::door::reply::{ApiError, with_method_fallback};
use std::sync::Arc;

/// `Retry-After` if the office cannot do its part.
pub(super) const RETRY_AFTER_S: u32 = 5;
const OTHER_SESSION: &str = "this form is of another session; open the page again";

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

/// Refusals of those who are no owners, in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnersOnly {
    /// For a user who is no owner.
    pub(super) role: &'static str,
    /// For a program with a key.
    pub(super) key: &'static str,
}

impl OwnersOnly {
    /// Returns the owner who sends a request, `None` for somebody without a session, or the answer to others.
    pub(super) fn owner(self, browsers: &Browsers, headers: &HeaderMap) -> Result<Option<LoggedIn>, ApiError> {
        if has_key(headers) {
            return Err(ApiError::forbidden(self.key));
        }
        match browsers.user(headers) {
            Some(user) if user.role < Role::Owner => Err(ApiError::forbidden(self.role)),
            user => Ok(user),
        }
    }

    /// Returns the owner who sends a form with this text of the session, or the answer to somebody else. `page` is the path to
    /// which a log-in leads.
    pub(super) fn sender(
        self,
        browsers: &Browsers,
        headers: &HeaderMap,
        form_token: &str,
        (media_type, page): (MediaType, &str),
    ) -> Result<LoggedIn, Box<Response>> {
        let refuse = |error| Box::new(PageError { media_type, error }.into_response());
        match self.owner(browsers, headers).map_err(refuse)? {
            Some(owner) if owner.owns_form(form_token) => Ok(owner),
            Some(_) => Err(refuse(foreign_form(OTHER_SESSION))),
            None if media_type == MediaType::Html => {
                Err(Box::new(redirect(&format!("{LOGIN_PATH}?next={}", query_value(page)))))
            }
            None => Err(refuse(ApiError::unauthorized(self.role))),
        }
    }
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
