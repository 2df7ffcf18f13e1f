//! Corrections by people: forms on the pages of animals, batches and payloads, and the routes that take them.
//!
//! # Decisions
//!
//! - **A form is an order, and goes the way of all orders** ([`Orders`]): checked here, forwarded to the barn, stored nowhere.
//!   The author is the name of the user, who cannot choose another one.
//! - **A form is bound to the copy that its page was of** (`page_position`). A number means something else in another history,
//!   which a resync, a restored barn or another site at the path may bring while the page is open. Such a form is shown
//!   again and not forwarded. A copy that has only grown takes it. While no copy is open, nobody can tell, and it is refused.
//! - **The idempotency key is made when the form is shown.** A form that is sent twice is one correction, also if the first
//!   answer was lost.
//! - **What was typed survives.** A form that is refused is shown again, alone, with the reason. It needs no copy of the
//!   barn, so it is shown too while that is being opened.
//! - **A session that has ended takes nothing away.** The log-in page carries the texts in its own form, back to the same
//!   route, which logs the user in and redirects to the form (`kept_forms`). Nothing is forwarded before its user has seen it and
//!   sends it again. Keeping the texts before the log-in was rejected: everybody could fill that memory, and push out those of
//!   others.
//! - **A correction is pending until it is in the office's own log.** The page says so by the number that the barn gave it,
//!   and then shows the change of that number.

mod action;
mod answer;
mod draft;
mod form;
mod form_texts;
mod kept_forms;
mod page_position;
mod reprocess;

pub(super) use action::{Action, Subject};
pub(super) use form::{Choice, PageFacts};
pub(super) use reprocess::{ReprocessForm, may_reprocess};

use super::browsers::Browsers;
use super::conventions::Conventions;
use super::error::{PageError, not_served, query_error};
use super::format;
use super::login::{log_in_again, refusal};
use super::media_type::MediaType;
use super::own_form::{OwnForm, foreign_form};
use super::page::redirect;
use super::request::PageRequest;
use super::site_request::{PagesState, SiteRequest, site_prefix};
use crate::corrections::Orders;
use crate::people::{LoggedIn, Role};
use crate::sites::Office;
use answer::{Answer, for_people};
use askama::Template;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use draft::Draft;
use form::{ActionForm, HiddenFields};
use form_texts::{COPY, FormTexts};
use herd::clock::Clock;
use herd::position::Sequence;
use herd::randomness::{Randomness as _, RandomnessError, SystemRandomness};
use herd::store::Snapshot;
use kept_forms::KeptForms;
use page_position::PagePosition;
use service::door::auth::has_key;
use service::door::reply::{ApiError, with_method_fallback};
use service::door::serve::connection::Connection;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Maximum size of a form: notes, reason and password of maximum length, each byte of which may take three.
const MAX_FORM_BYTES: usize = 24 * 1024;
/// Time for which a recorded correction is waited for, so that most people see it applied at once.
const ARRIVAL_WAIT: Duration = Duration::from_secs(1);
/// Random bytes of an idempotency key.
const KEY_BYTES: usize = 16;
/// Seconds after which an office without randomness is worth a retry.
const RETRY_AFTER_S: u32 = 5;

const NO_API_KEYS: &str = "an API key does not open forms; programs send corrections to /api/corrections";
const NO_SESSION: &str = "forms need a log-in, in a browser at /login; programs send corrections to /api/corrections";
const LOGGED_OUT: &str = "you are not logged in any more; log in, and what you typed is shown again";
const OTHER_SESSION: &str =
    "this form is of another session; nothing was sent. Look at what you typed, and send it again";
const OTHER_COPY: &str = "this page is of another copy of the barn, in which the number may belong to something else; nothing was \
                          sent. Look again, then send it";
const VIEWERS_LOOK: &str = "you may look, not correct: an owner of this office can make you an operator";

/// Returns whether a user may correct.
fn may_correct(user: &LoggedIn) -> bool {
    user.role >= Role::Operator
}

/// Draws a text for the forms of a page. Idempotency keys of a page differ in the name of the action besides.
pub(super) fn draw_key() -> Result<String, RandomnessError> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandomness.fill(&mut bytes)?;
    Ok(format!("form-{}", hex::encode(bytes)))
}

/// The forms of a page; none for somebody who may not correct.
#[derive(Debug, Default, Template)]
#[template(path = "forms.html")]
pub(super) struct Forms(Vec<ActionForm>);

impl Forms {
    /// Makes forms for these actions.
    pub(super) fn new(site: &SiteRequest, of: Subject, actions: &[Action], facts: &PageFacts) -> Self {
        let Some(user) = site.request.user.as_ref().filter(|user| may_correct(user)) else { return Self::default() };
        let key = match draw_key() {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%error, "a page has no forms");
                return Self::default();
            }
        };
        // Without a copy there is nothing to correct.
        let Some(copy) = site.head().map(PagePosition::of) else { return Self::default() };
        let (path, typed) = (site.path(&of.path()), FormTexts::default());
        let form = |action: &Action| {
            let (form_token, key) = (user.form_token.clone(), format!("{key}-{}", action.as_str()));
            let hidden = HiddenFields { form_token, key, copy: copy.to_string() };
            ActionForm::new(&path, *action, &typed, facts, hidden)
        };
        Self(actions.iter().map(form).collect())
    }
}

/// The outcome of a form that was sent from this page, as far as the office's own log has it.
#[derive(Debug, Template)]
#[template(path = "receipt.html")]
pub(super) struct Receipt {
    prefix: String,
    sequence: u64,
    /// Summary of the correction; `None` while its change has not arrived.
    summary: Option<String>,
}

impl Receipt {
    /// Reads the receipt for the change that the query of a page names. `None` without one, and for another kind of change.
    pub(super) fn read(site: &SiteRequest, snapshot: &Snapshot, named: Option<u64>) -> Result<Option<Self>, ApiError> {
        let Some(sequence) = named else { return Ok(None) };
        let receipt = |summary| Some(Self { prefix: site.prefix.clone(), sequence, summary });
        let folded = snapshot.folded().map_err(|error| query_error(error.into()))?;
        if Sequence(sequence) > folded {
            return Ok(receipt(None));
        }
        let applied = snapshot.correction(Sequence(sequence)).map_err(query_error)?;
        Ok(applied.and_then(|correction| receipt(Some(site.conventions.told(&correction)))))
    }
}

/// State of the routes.
#[derive(Clone)]
struct FormsState {
    pages: PagesState,
    browsers: Browsers,
    orders: Arc<dyn Orders>,
    kept: Arc<KeptForms>,
}

type SentForm = OwnForm<Vec<(String, String)>, MAX_FORM_BYTES>;

/// Returns the routes that take the forms, for users who are logged in. A request finds its own way in, so no guard stands
/// in front of them.
pub(crate) fn correction_routes(
    office: Arc<dyn Office>,
    clock: Arc<dyn Clock>,
    conventions: Conventions,
    browsers: Browsers,
    orders: Arc<dyn Orders>,
) -> Router {
    let kept = Arc::default();
    let state = FormsState { pages: PagesState::new(office, clock, conventions), browsers, orders, kept };
    let routes = site_routes().nest("/sites/{site}", site_routes()).layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    with_method_fallback(routes.with_state(state))
}

fn site_routes() -> Router<FormsState> {
    Router::new()
        .route("/animals/{id}/correct", form_route("id", Subject::Animal))
        .route("/batches/by-id/{id}/correct", form_route("id", Subject::Batch))
        .route("/payloads/{sequence}/correct", form_route("sequence", Subject::Payload))
        .route("/payloads/reprocess", reprocess::route())
}

fn form_route(number: &'static str, subject: fn(u64) -> Subject) -> MethodRouter<FormsState> {
    let shown = async move |State(state): State<FormsState>,
                            request: PageRequest,
                            headers: HeaderMap,
                            connection: Option<Extension<Connection>>| {
        let of = request.number(number).map(subject);
        let shown = of.and_then(|of| state.show(of, &request, &headers, connection));
        shown.unwrap_or_else(|error| request.error(error).into_page())
    };
    let received = async move |State(state): State<FormsState>,
                               request: PageRequest,
                               headers: HeaderMap,
                               connection: Option<Extension<Connection>>,
                               sent: SentForm| {
        let media_type = request.media_type;
        let answer = match request.number(number).map(subject) {
            Ok(of) => state.receive(of, request, &headers, connection, sent).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| PageError { media_type, error })
    };
    get(shown).post(received)
}

/// Returns the path of the page that a form is on.
fn page_path(request: &PageRequest, of: Subject) -> String {
    format!("{}{}", request.site().map(site_prefix).unwrap_or_default(), of.path())
}

impl FormsState {
    /// Shows the form that somebody sent when they had to log in; leads everybody else to the page that it is on.
    fn show(
        &self,
        of: Subject,
        request: &PageRequest,
        headers: &HeaderMap,
        connection: Option<Extension<Connection>>,
    ) -> Result<Response, ApiError> {
        let path = page_path(request, of);
        let user = if has_key(headers) { None } else { self.user(headers, connection) };
        let kept = user.and_then(|user| Some((self.kept.get(&user, &path)?, user)));
        match kept {
            Some((typed, user)) => Draft::new(&self.pages, request, of, typed, user).map(|draft| draft.show_again()),
            None => Ok(redirect(&path)),
        }
    }

    /// Returns the user of a request, whose connection may stay open from then on.
    fn user(&self, headers: &HeaderMap, connection: Option<Extension<Connection>>) -> Option<LoggedIn> {
        let user = self.browsers.user(headers)?;
        if let Some(Extension(connection)) = connection {
            connection.authenticate();
        }
        Some(user)
    }

    async fn receive(
        self,
        of: Subject,
        request: PageRequest,
        headers: &HeaderMap,
        connection: Option<Extension<Connection>>,
        sent: SentForm,
    ) -> Result<Response, ApiError> {
        if has_key(headers) {
            return Err(ApiError::forbidden(NO_API_KEYS));
        }
        let typed = FormTexts::new(sent.form);
        let Some(user) = self.user(headers, connection) else {
            if request.media_type == MediaType::Json {
                return Err(ApiError::unauthorized(NO_SESSION));
            }
            return self.come_in(page_path(&request, of), &typed, sent.peer).await;
        };
        let draft = Draft::new(&self.pages, &request, of, typed, user)?;
        if !draft.user.owns_form(draft.typed.get("form_token")) {
            return draft.refuse(&foreign_form(OTHER_SESSION));
        }
        match self.other_copy(&draft).await {
            Ok(None) => self.send(draft).await,
            Ok(Some(shown)) => draft.refuse_other_copy(&shown),
            Err(error) => draft.refuse(&error),
        }
    }

    /// Returns the position of the copy that is shown now if it does not hold the one that the form's page was of. A form
    /// that names none is not of our pages.
    async fn other_copy(&self, draft: &Draft) -> Result<Option<PagePosition>, ApiError> {
        let named = draft.typed.get(COPY);
        if named.is_empty() {
            return Ok(None);
        }
        let (named, reader) = (PagePosition::parse(named), self.pages.office.reader(&draft.site));
        let reader = reader.map_err(|reason| not_served(&reason))?;
        let shown = PagePosition::of(reader.head().position);
        let held = move || named.map_or(Ok(false), |named| named.is_in(&reader));
        let held = tokio::task::spawn_blocking(held).await.map_err(|error| {
            tracing::error!(%error, "the task that compares a form with the copy panicked");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the form could not be compared with the copy")
        })?;
        let is_held = held.map_err(|error| query_error(error.into()))?;
        Ok((!is_held).then_some(shown))
    }

    /// Answers a form of somebody who is not logged in: with the log-in page, or once that was sent, by leading to the form.
    /// `page` is the path of the page that the form is on.
    async fn come_in(&self, page: String, typed: &FormTexts, peer: IpAddr) -> Result<Response, ApiError> {
        let action = format!("{page}/correct");
        let (name, password) = (typed.get("name"), typed.get("password").to_owned());
        if password.is_empty() {
            return Ok(log_in_again(&action, typed.kept(), "", &ApiError::unauthorized(LOGGED_OUT)));
        }
        let token = match self.browsers.people.clone().log_in(name, password, peer).await {
            Ok(token) => token,
            Err(error) => return Ok(log_in_again(&action, typed.kept(), name, &refusal(&error))),
        };
        let user = self.browsers.people.session(token.reveal()).ok_or_else(|| ApiError::unauthorized(LOGGED_OUT))?;
        self.kept.keep(&user, page, typed);
        let mut response = redirect(&action);
        response.headers_mut().append(header::SET_COOKIE, self.browsers.cookie(token.reveal()));
        Ok(response)
    }

    /// Forwards the correction of a form, and leads back to the page.
    async fn send(&self, draft: Draft) -> Result<Response, ApiError> {
        let order = draft.typed.order(draft.of, &draft.user.name, &draft.conventions);
        let order = match order {
            Ok(order) => order,
            Err(error) => return draft.refuse(&ApiError::bad_request(error.to_string())),
        };
        match Answer::of(self.orders.send(&draft.site, &draft.user.name, &order).await) {
            Answer::Recorded(sequence) => {
                self.kept.remove(&draft.user, &draft.path);
                self.wait_for(&draft.site, sequence).await;
                Ok(redirect(&format!("{}?corrected={sequence}", draft.path)))
            }
            Answer::Refused(response, reason) => draft.refuse_as_barn(response, reason),
            Answer::Missing(error) if draft.media_type == MediaType::Json => Err(error),
            Answer::Missing(error) => draft.refuse(&for_people(error)),
        }
    }

    /// Waits until the office's own copy has a change, for a short time.
    async fn wait_for(&self, site: &str, sequence: u64) {
        if let Ok(reader) = self.pages.office.reader(site) {
            let mut head = reader.subscribe();
            // If it takes longer, the page says that the correction is pending.
            let _arrived = timeout(ARRIVAL_WAIT, head.wait_for(|head| head.folded >= Sequence(sequence))).await;
        }
    }
}
