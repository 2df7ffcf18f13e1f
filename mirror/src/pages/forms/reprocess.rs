//! The form that has a barn reprocess its rejected payloads, on the list of reads.
//!
//! # Decisions
//!
//! - **No reason is asked for.** Nobody decides anything: each payload is judged as if it arrived today. The log of the process
//!   has the user.
//! - **The answer is a page, not a redirect.** Its figures are those of the barn's response, and are kept nowhere. To send the
//!   form again, also by a reload, does no harm: an event is not reprocessed.

use super::answer::for_people;
use super::{FormsState, OwnForm};
use crate::corrections::BarnResponse;
use crate::corrections::response::bad_answer;
use crate::pages::error::PageError;
use crate::pages::format;
use crate::pages::frame::{Frame, Section};
use crate::pages::media_type::MediaType;
use crate::pages::page::{Page, PageContent, redirect};
use crate::pages::request::PageRequest;
use crate::pages::senders::Senders;
use crate::people::{LoggedIn, Role};
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use herd::position::Sequence;
use herd::store::MAX_REPROCESSED;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// Maximum size of the form: a number, and a text of the session.
const MAX_FORM_BYTES: usize = 1024;
/// Path of the form, below that of the site.
const PATH: &str = "/payloads/reprocess";
/// Path of the page that has the form.
const LIST_PATH: &str = "/payloads?status=error";
const OPERATORS: Senders = Senders {
    least: Role::Operator,
    role: "only operators and owners of this office reprocess rejected reads; an owner can make you one",
    key: "an API key does not open forms; programs reprocess at the barn, with POST /api/lora/process",
};

/// Returns the user of a page who may have the barn reprocess.
pub(in crate::pages) fn may_reprocess(user: Option<&LoggedIn>) -> Option<&LoggedIn> {
    user.filter(|user| user.role >= OPERATORS.least)
}

/// The form itself, as a page shows it.
#[derive(Debug, Template)]
#[template(path = "reprocess.html")]
pub(in crate::pages) struct ReprocessForm {
    action: String,
    form_token: String,
    /// The last rejected payload that was reprocessed before.
    after: u64,
}

impl ReprocessForm {
    /// Makes the form of a user for the rejected payloads after `after` of the site with this prefix.
    pub(in crate::pages) fn new(prefix: &str, user: &LoggedIn, after: u64) -> Self {
        Self { action: format!("{prefix}{PATH}"), form_token: user.form_token.clone(), after }
    }
}

#[derive(Deserialize)]
struct SentForm {
    form_token: String,
    #[serde(default)]
    after: u64,
}

/// Outcome of reprocessing, as the barn responds. See `POST /api/lora/process`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Outcome {
    /// Number of payloads that were reprocessed.
    judged: u64,
    /// Payloads that are events now.
    accepted: Vec<u64>,
    /// The last payload that was judged, if there are more rejected ones.
    next: Option<u64>,
}

/// A refusal of the barn.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

#[derive(Template)]
#[template(path = "reprocessed.html")]
struct OutcomeContent {
    prefix: String,
    outcome: Outcome,
    /// The form for the rest, if there is one.
    next: Option<ReprocessForm>,
}

impl PageContent for OutcomeContent {
    type View = Outcome;

    const SECTION: Option<Section> = Some(Section::Reads);

    fn title(&self) -> String {
        "Reprocessed".to_owned()
    }

    fn view(&self) -> &Outcome {
        &self.outcome
    }
}

/// Returns the route of the form. A browser that opens its path is led to the list.
pub(super) fn route() -> MethodRouter<FormsState> {
    let shown = async |State(state): State<FormsState>, request: PageRequest| match state.pages.site_of_page(&request) {
        Ok((_, prefix)) => redirect(&format!("{prefix}{LIST_PATH}")),
        Err(error) => request.error(error).into_response(),
    };
    get(shown).post(reprocess)
}

async fn reprocess(
    State(state): State<FormsState>,
    request: PageRequest,
    headers: HeaderMap,
    OwnForm { form, media_type, .. }: OwnForm<SentForm, MAX_FORM_BYTES>,
) -> Response {
    let refuse = |error| PageError { media_type, error }.into_response();
    let (site, prefix) = match state.pages.site_of_page(&request) {
        Ok(site) => site,
        Err(error) => return refuse(error),
    };
    let page = format!("{prefix}{LIST_PATH}");
    let user = match OPERATORS.sender(&state.browsers, &headers, &form.form_token, (media_type, &page)) {
        Ok(user) => user,
        Err(answer) => return *answer,
    };
    let sent = state.orders.reprocess(&site, &user.name, Sequence(form.after)).await;
    let outcome = match sent.and_then(|response| outcome(&response)) {
        Ok(outcome) => outcome,
        Err(error) if media_type == MediaType::Json => return refuse(error),
        Err(error) => return refuse(for_people(error)),
    };
    let next = outcome.next.map(|after| ReprocessForm::new(&prefix, &user, after));
    let frame = match state.pages.frame(&site, &prefix, user) {
        Ok(frame) => Frame { section: OutcomeContent::SECTION, ..frame },
        Err(error) => return refuse(error),
    };
    let content = OutcomeContent { prefix, outcome, next };
    Page { frame: Frame { title: content.title(), ..frame }, content }.respond(media_type)
}

/// Reads the barn's response.
fn outcome(response: &BarnResponse) -> Result<Outcome, ApiError> {
    if response.status.is_success() {
        return serde_json::from_slice(&response.body).map_err(|_| bad_answer());
    }
    let refusal: Refusal = serde_json::from_slice(&response.body).map_err(|_| bad_answer())?;
    let error = ApiError::new(response.status, "refused_by_barn", refusal.message);
    Err(ApiError { retry_after_s: response.retry_after_s, ..error })
}
