//! The page on which an owner pairs a barn, by the line that `herdlinxd pair` prints.
//!
//! # Decisions
//!
//! - **The line is in the body of the form and in its answer only.** It holds a key, so it is in no address and in no log. A
//!   session that has ended leads to the log-in without it: the line is still at the barn.
//! - **The page leads to that of the site**, which says how far the first copy is.

use super::{Owners, refusal};
use crate::control::{OfficeRequest, OfficeResponse};
use crate::pages::error::PageError;
use crate::pages::format;
use crate::pages::frame::Frame;
use crate::pages::login::{ask_to_log_in, sentence};
use crate::pages::media_type::MediaType;
use crate::pages::own_form::OwnForm;
use crate::pages::page::{Page, PageContent, as_refusal, redirect};
use crate::pages::paths::site_prefix;
use crate::pages::senders::Senders;
use crate::people::{LoggedIn, Role};
use crate::sites::{MAX_NAME_CHARS, SiteName, SiteNameError};
use askama::Template;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use herd::change::Acceptance;
use herd::correction::MAX_REASON_CHARS;
use herd::pairing::MAX_LINE_BYTES;
use serde::{Deserialize, Serialize};
use service::control::ControlError;
use service::door::reply::{ApiError, NoQuery};

/// Path of the page.
pub(super) const PAIR_PATH: &str = "/pair";
/// Maximum size of a form: a line of maximum length, and name and reason, each byte of which may take three.
pub(super) const MAX_FORM_BYTES: usize = MAX_LINE_BYTES + 8 * 1024;
const OWNERS: Senders = Senders {
    least: Role::Owner,
    role: "only an owner of this office pairs barns",
    key: "an API key does not pair barns; `herdlinx-mirror add` does, on the office's machine",
};

/// JSON of the page.
#[derive(Serialize)]
struct PairView {
    success: bool,
}

#[derive(Template)]
#[template(path = "pair.html")]
struct PairContent {
    owner: LoggedIn,
    typed: PairForm,
    why: Option<String>,
    view: PairView,
}

impl PageContent for PairContent {
    type View = PairView;

    fn title(&self) -> String {
        "Pair a barn".to_owned()
    }

    fn view(&self) -> &PairView {
        &self.view
    }
}

impl PairContent {
    fn page(owner: LoggedIn, typed: PairForm, why: Option<String>, media_type: MediaType) -> Response {
        let content = Self { owner, typed, why, view: PairView { success: true } };
        Page { frame: Frame::without_site(content.title()).of(Some(content.owner.clone())), content }
            .respond(media_type)
    }
}

#[derive(Default, Deserialize)]
struct PairForm {
    #[serde(default)]
    form_token: String,
    line: String,
    /// Name of the site; the barn's own if it is empty.
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
}

impl PairForm {
    /// Returns the command that the form means.
    fn request(&self) -> Result<OfficeRequest, ApiError> {
        let name = Some(self.name.trim()).filter(|name| !name.is_empty()).map(str::parse::<SiteName>).transpose();
        let name = name.map_err(|error: SiteNameError| ApiError::bad_request(error.to_string()))?;
        // A terminal breaks a long line, which has no blanks of its own.
        let line = self.line.split_whitespace().collect();
        Ok(OfficeRequest::Add { line, name, authority: None, addresses: Vec::new() })
    }
}

/// Returns the route of the page.
pub(super) fn route() -> MethodRouter<Owners> {
    get(show).post(pair)
}

async fn show(State(owners): State<Owners>, _: NoQuery, request: Request) -> Result<Response, PageError> {
    let media_type = MediaType::negotiate(request.headers());
    let owner = OWNERS.user(&owners.browsers, request.headers()).map_err(|error| PageError { media_type, error })?;
    Ok(match owner {
        Some(owner) => PairContent::page(owner, PairForm::default(), None, media_type),
        None => ask_to_log_in(&request),
    })
}

async fn pair(
    State(owners): State<Owners>,
    headers: HeaderMap,
    OwnForm { form, media_type, .. }: OwnForm<PairForm, MAX_FORM_BYTES>,
) -> Response {
    let owner = match OWNERS.sender(&owners.browsers, &headers, &form.form_token, (media_type, PAIR_PATH)) {
        Ok(owner) => owner,
        Err(answer) => return *answer,
    };
    match send(&owners, &owner, &form).await {
        Ok(site) => redirect(&format!("{}/status", site_prefix(site.as_str()))),
        Err(error) if media_type == MediaType::Json => PageError { media_type, error }.into_response(),
        Err(error) => {
            let page = PairContent::page(owner, form, Some(sentence(&error.message)), media_type);
            as_refusal(page, error.status, error.retry_after_s)
        }
    }
}

/// Pairs the barn, and returns the name of its site.
async fn send(owners: &Owners, owner: &LoggedIn, form: &PairForm) -> Result<SiteName, ApiError> {
    let acceptance = Acceptance::checked(owner.name.as_str(), &form.reason);
    let acceptance = acceptance.map_err(|error| ApiError::bad_request(format::without_keys(&error.to_string())))?;
    let answer = (owners.commands)(form.request()?).await;
    let (by, reason) = (&owner.name, &acceptance.reason);
    match answer {
        Ok(OfficeResponse::Paired(paired)) => {
            let site = paired.site;
            tracing::info!(%by, reason, %site, unusable = paired.unusable.join("; "), "barn paired on a page");
            Ok(site)
        }
        Ok(_) => Err(refusal(ControlError::failed("the pairing was answered with something else"))),
        Err(error) => {
            tracing::warn!(%by, reason, %error, "barn not paired");
            Err(refusal(error))
        }
    }
}
