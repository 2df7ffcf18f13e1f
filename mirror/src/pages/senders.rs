//! Users who may send a form: those of one role and above. Programs have a way of their own.

use super::browsers::Browsers;
use super::error::PageError;
use super::login::LOGIN_PATH;
use super::media_type::MediaType;
use super::own_form::foreign_form;
use super::page::redirect;
use super::paths::query_value;
use crate::people::{LoggedIn, Role};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use service::door::auth::has_key;
use service::door::reply::ApiError;

const OTHER_SESSION: &str = "this form is of another session; open the page again";

/// The users who may send a form, and the refusals of others, in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Senders {
    /// The lowest role that may.
    pub(super) least: Role,
    /// Refusal of a user with a lower role.
    pub(super) role: &'static str,
    /// Refusal of a program with a key.
    pub(super) key: &'static str,
}

impl Senders {
    /// Returns the user who sends a request, `None` for somebody without a session, or the answer to others.
    pub(super) fn user(self, browsers: &Browsers, headers: &HeaderMap) -> Result<Option<LoggedIn>, ApiError> {
        if has_key(headers) {
            return Err(ApiError::forbidden(self.key));
        }
        match browsers.user(headers) {
            Some(user) if user.role < self.least => Err(ApiError::forbidden(self.role)),
            user => Ok(user),
        }
    }

    /// Returns the user who sends a form with this text of the session, or the answer to somebody else. `page` is the path to
    /// which a log-in leads.
    pub(super) fn sender(
        self,
        browsers: &Browsers,
        headers: &HeaderMap,
        form_token: &str,
        (media_type, page): (MediaType, &str),
    ) -> Result<LoggedIn, Box<Response>> {
        let refuse = |error| Box::new(PageError { media_type, error }.into_response());
        match self.user(browsers, headers).map_err(refuse)? {
            Some(user) if user.owns_form(form_token) => Ok(user),
            Some(_) => Err(refuse(foreign_form(OTHER_SESSION))),
            None if media_type == MediaType::Html => {
                Err(Box::new(redirect(&format!("{LOGIN_PATH}?next={}", query_value(page)))))
            }
            None => Err(refuse(ApiError::unauthorized(self.role))),
        }
    }
}
