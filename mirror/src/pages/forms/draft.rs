//! A form that a user who may correct has sent, and the page that shows it again.

use super::action::{Action, Subject};
use super::answer::Reason;
use super::form::{ActionForm, HiddenFields, PageFacts};
use super::form_texts::{COPY, FormTexts};
use super::page_position::PagePosition;
use super::{OTHER_COPY, RETRY_AFTER_S, VIEWERS_LOOK, draw_key, may_correct};
use crate::corrections::BarnResponse;
use crate::pages::conventions::Conventions;
use crate::pages::format::without_keys;
use crate::pages::frame::Frame;
use crate::pages::login::sentence;
use crate::pages::media_type::MediaType;
use crate::pages::page::{Page, as_refusal};
use crate::pages::request::PageRequest;
use crate::pages::site_request::PagesState;
use crate::people::LoggedIn;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use herd::randomness::RandomnessError;
use service::door::reply::ApiError;

const LOGGED_IN: &str = "You are logged in. Nothing was sent yet: look at what you typed, and send it.";

/// Reason why a form is shown again.
#[derive(Debug)]
enum Notice {
    /// Its user has just logged in.
    LoggedIn,
    /// It is refused, for this reason.
    Refused(String),
    /// A correction is recorded already, as this change if the barn names it.
    Recorded(Option<u64>),
}

/// A form alone, as it was sent, with the reason why it is shown again.
#[derive(Debug, Template)]
#[template(path = "correction.html")]
struct CorrectionContent {
    path: String,
    prefix: String,
    name: String,
    notice: Notice,
    form: ActionForm,
}

/// A form that was sent by a user who may correct.
pub(super) struct Draft {
    pub(super) media_type: MediaType,
    /// Name of the site.
    pub(super) site: String,
    prefix: String,
    /// Frame of the page that shows the form again.
    frame: Frame,
    pub(super) of: Subject,
    /// Path of the page that the form is on.
    pub(super) path: String,
    action: Action,
    pub(super) typed: FormTexts,
    pub(super) user: LoggedIn,
    pub(super) conventions: Conventions,
}

impl Draft {
    pub(super) fn new(
        pages: &PagesState,
        request: &PageRequest,
        of: Subject,
        typed: FormTexts,
        user: LoggedIn,
    ) -> Result<Self, ApiError> {
        if !may_correct(&user) {
            return Err(ApiError::forbidden(VIEWERS_LOOK));
        }
        let action = typed.action(of).map_err(|error| ApiError::bad_request(error.to_string()))?;
        let (site, prefix) = pages.site_of_page(request)?;
        Ok(Self {
            media_type: request.media_type,
            frame: pages.frame(&site, &prefix, user.clone())?,
            site,
            path: format!("{prefix}{}", of.path()),
            prefix,
            of,
            action,
            typed,
            user,
            conventions: pages.conventions.clone(),
        })
    }

    /// Shows the form to somebody who has just logged in again.
    pub(super) fn show_again(&self) -> Response {
        self.page(Notice::LoggedIn, self.key())
    }

    /// Shows the form with the reason why it is refused; the reason alone to a program.
    pub(super) fn refuse(&self, error: &ApiError) -> Result<Response, ApiError> {
        if self.media_type == MediaType::Json {
            return Err(error.clone());
        }
        let page = self.page(Notice::Refused(sentence(&without_keys(&error.message))), self.key());
        Ok(as_refusal(page, error.status, error.retry_after_s))
    }

    /// Shows the form of a page that is of another copy, as one of the copy that is shown now, at this position.
    pub(super) fn refuse_other_copy(self, shown: &PagePosition) -> Result<Response, ApiError> {
        let typed = self.typed.rebound(shown);
        Self { typed, ..self }.refuse(&ApiError::new(StatusCode::CONFLICT, "other_copy", OTHER_COPY))
    }

    /// Shows the form with the barn's reason. If its key belongs to another correction, it gets a new one, and says so first.
    pub(super) fn refuse_as_barn(&self, response: BarnResponse, reason: Reason) -> Result<Response, ApiError> {
        if self.media_type == MediaType::Json {
            return Ok(response.into_response());
        }
        let page = match reason {
            Reason::Words(message) => self.page(Notice::Refused(sentence(&without_keys(&message))), self.key()),
            Reason::Recorded(sequence) => {
                let no_key = |error: RandomnessError| ApiError::unavailable("busy", error.to_string(), RETRY_AFTER_S);
                self.page(Notice::Recorded(sequence), draw_key().map_err(no_key)?)
            }
        };
        Ok(as_refusal(page, response.status, response.retry_after_s))
    }

    fn key(&self) -> String {
        self.typed.get("key").to_owned()
    }

    fn page(&self, notice: Notice, key: String) -> Response {
        let facts = PageFacts::new(&self.conventions);
        let (form_token, copy) = (self.user.form_token.clone(), self.typed.get(COPY).to_owned());
        let hidden = HiddenFields { form_token, key, copy };
        let form = ActionForm::new(&self.path, self.action, &self.typed, &facts, hidden);
        let name = self.of.name();
        let (title, section) = (format!("Correct {name}"), Some(self.of.section()));
        let frame = Frame { title, section, ..self.frame.clone() };
        let content = CorrectionContent { path: self.path.clone(), prefix: self.prefix.clone(), name, notice, form };
        Page { frame, content }.html()
    }
}
