//! Logging in and out, and choosing a password by a link. These pages are for everybody.
//!
//! # Decisions
//!
//! - **The session's token is in a cookie** (`browsers`).
//! - **A form is taken from our own pages only** (`own_form`).
//! - **Who is not logged in is sent to the log-in page with a GET from a browser, and gets 401 otherwise.** A program must not
//!   take the log-in page for the answer.

use super::browsers::Browsers;
use super::error::PageError;
use super::frame::Frame;
use super::media_type::MediaType;
use super::own_form::{OwnForm, foreign_form};
use super::page::{HEADERS, Page, as_refusal};
use crate::people::command::WELCOME_PATH;
use crate::people::{HashError, Invited, LoginError, MAX_NAME_CHARS, MIN_PASSWORD_CHARS, PeopleError};
use askama::Template;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use service::door::reply::{ApiError, with_method_fallback};

/// Path of the log-in page.
pub(super) const LOGIN_PATH: &str = "/login";
/// Maximum size of a form. Names and passwords are bounded, and each byte may take three.
const MAX_FORM_BYTES: usize = 4 * 1024;
/// `Retry-After` if the office cannot do its part.
const RETRY_AFTER_S: u32 = 5;
/// Maximum length of the path to which a log-in leads.
const MAX_NEXT_CHARS: usize = 1024;
/// Message for a program without a key.
const NO_KEY: &str = "this page needs a log-in, in a browser at /login; programs send a key in the header `X-API-Key`";

/// Returns the routes by which people log in, and the style sheet and the script of all pages.
pub fn login_routes(browsers: Browsers) -> Router {
    let routes = Router::new()
        .route(LOGIN_PATH, get(login_page).post(log_in))
        .route("/logout", post(log_out))
        .route(WELCOME_PATH, get(welcome_page).post(choose))
        .route("/assets/style.css", get(style_sheet))
        .route("/assets/office.js", get(script))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    with_method_fallback(routes.with_state(browsers))
}

/// Serves the only style sheet. It loads nothing, so a page never contacts another machine.
async fn style_sheet() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../assets/style.css"))
}

/// Serves the only script, which asks nobody but this office.
async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/office.js"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

/// Returns the answer to a request of somebody who is not logged in.
pub(crate) fn ask_to_log_in(request: &Request) -> Response {
    let is_browser = MediaType::negotiate(request.headers()) == MediaType::Html;
    if !is_browser || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return ApiError::unauthorized(NO_KEY).into_response();
    }
    let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let next = utf8_percent_encode(next, NON_ALPHANUMERIC);
    (HEADERS, Redirect::to(&format!("{LOGIN_PATH}?next={next}"))).into_response()
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginContent {
    /// Path to which the form is sent.
    action: String,
    /// `true` if nobody can log in yet.
    has_no_users: bool,
    name: String,
    next: String,
    /// Fields of another form, which is shown again after the log-in.
    kept: Vec<(&'static str, String)>,
    why: Option<String>,
}

impl LoginContent {
    fn new(next: String) -> Self {
        let (action, name) = (LOGIN_PATH.to_owned(), String::new());
        Self { action, has_no_users: false, name, next, kept: Vec::new(), why: None }
    }
}

/// Returns the log-in page for somebody who has sent another form without a session. The log-in is sent to the `path` of that
/// form, with what was typed there.
pub(super) fn log_in_again<'a>(
    path: &str,
    kept: impl Iterator<Item = (&'static str, &'a str)>,
    name: &str,
    error: &ApiError,
) -> Response {
    let content = LoginContent {
        action: path.to_owned(),
        name: name.chars().take(MAX_NAME_CHARS).collect(),
        kept: kept.map(|(name, text)| (name, text.to_owned())).collect(),
        why: Some(sentence(&error.message)),
        ..LoginContent::new("/".to_owned())
    };
    refused(MediaType::Html, error.clone(), "Log in", content)
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomeContent {
    code: String,
    invited: Invited,
    /// The name that the first owner has entered.
    name: String,
    why: Option<String>,
}

fn page(title: &'static str, content: impl Template) -> Response {
    Page { frame: Frame::without_site(title), content }.html()
}

/// Returns the form again, with the reason why it was refused; the reason alone to a program.
fn refused(media_type: MediaType, error: ApiError, title: &'static str, form: impl Template) -> Response {
    if media_type == MediaType::Json {
        return error.into_response();
    }
    as_refusal(page(title, form), error.status, error.retry_after_s)
}

#[derive(Deserialize)]
struct LoginQuery {
    #[serde(default)]
    next: String,
}

async fn login_page(State(browsers): State<Browsers>, query: Result<Query<LoginQuery>, QueryRejection>) -> Response {
    let next = own_path(&query.map(|Query(query)| query.next).unwrap_or_default());
    let content = LoginContent { has_no_users: browsers.has_no_users(), ..LoginContent::new(next) };
    page("Log in", content)
}

#[derive(Deserialize)]
struct LoginForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn log_in(State(browsers): State<Browsers>, form: OwnForm<LoginForm, MAX_FORM_BYTES>) -> Response {
    let OwnForm { form: LoginForm { name, password, next }, peer, media_type } = form;
    match browsers.people.clone().log_in(&name, password, peer).await {
        Ok(token) => with_cookie(&browsers.cookie(token.reveal()), &own_path(&next)),
        Err(error) => {
            let error = refusal(&error);
            let (name, why) = (name.chars().take(MAX_NAME_CHARS).collect(), Some(sentence(&error.message)));
            let content = LoginContent { name, why, ..LoginContent::new(own_path(&next)) };
            refused(media_type, error, "Log in", content)
        }
    }
}

#[derive(Deserialize)]
struct WelcomeQuery {
    #[serde(default)]
    code: String,
}

async fn welcome_page(
    State(browsers): State<Browsers>,
    headers: HeaderMap,
    query: Result<Query<WelcomeQuery>, QueryRejection>,
) -> Result<Response, PageError> {
    let code = query.map(|Query(query)| query.code).unwrap_or_default();
    match browsers.people.invited(&code) {
        Some(invited) => Ok(page("Welcome", WelcomeContent { code, invited, name: String::new(), why: None })),
        None => Err(PageError { media_type: MediaType::negotiate(&headers), error: refusal(&LoginError::Link) }),
    }
}

#[derive(Deserialize)]
struct WelcomeForm {
    code: String,
    #[serde(default)]
    name: String,
    password: String,
    again: String,
}

async fn choose(
    State(browsers): State<Browsers>,
    OwnForm { form, peer, media_type }: OwnForm<WelcomeForm, MAX_FORM_BYTES>,
) -> Result<Response, PageError> {
    let WelcomeForm { code, name, password, again } = form;
    let error = if password == again {
        match browsers.people.clone().choose(&code, &name, password, peer).await {
            Ok(token) => return Ok(with_cookie(&browsers.cookie(token.reveal()), "/")),
            Err(error) => refusal(&error),
        }
    } else {
        ApiError::bad_request("the two passwords differ")
    };
    match browsers.people.invited(&code) {
        Some(invited) => {
            let (name, why) = (name.chars().take(MAX_NAME_CHARS).collect(), Some(sentence(&error.message)));
            Ok(refused(media_type, error, "Welcome", WelcomeContent { code, invited, name, why }))
        }
        None => Err(PageError { media_type, error }),
    }
}

#[derive(Deserialize)]
struct LogoutForm {
    form_token: String,
    /// Present if all sessions of the user are to end.
    everywhere: Option<String>,
}

async fn log_out(
    State(browsers): State<Browsers>,
    headers: HeaderMap,
    OwnForm { form, media_type, .. }: OwnForm<LogoutForm, MAX_FORM_BYTES>,
) -> Result<Response, PageError> {
    let people = browsers.people.clone();
    let leave = || with_cookie(&browsers.no_cookie(), LOGIN_PATH);
    let token = browsers.token(&headers).map(str::to_owned);
    let Some((token, user)) = token.and_then(|token| Some((token.clone(), people.session(&token)?))) else {
        return Ok(leave());
    };
    if !user.owns_form(&form.form_token) {
        let error = foreign_form("this form is of another session; open the page again");
        return Err(PageError { media_type, error });
    }
    let ended = tokio::task::spawn_blocking(move || match form.everywhere {
        Some(_) => people.log_out_everywhere(&user.name),
        None => people.log_out(&token),
    });
    let why = match ended.await {
        Ok(Ok(())) => return Ok(leave()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(why, "a session is rejected, but still on disk");
    let message =
        "you are logged out, but a restart of this office may undo that: its disk cannot be written; tell its owner";
    let error = ApiError::unavailable("storage_failed", message, RETRY_AFTER_S);
    let no_cookie = AppendHeaders([(header::SET_COOKIE, browsers.no_cookie())]);
    Ok((no_cookie, PageError { media_type, error }).into_response())
}

/// Leads a browser to a page, with another cookie.
fn with_cookie(cookie: &HeaderValue, to: &str) -> Response {
    (HEADERS, AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(to)).into_response()
}

/// Returns the path of one of our own pages; the first page for any other text.
fn own_path(next: &str) -> String {
    let is_path = next.starts_with('/') && !next.starts_with("//") && next.len() <= MAX_NEXT_CHARS;
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { next.to_owned() } else { "/".to_owned() }
}

/// Returns the answer to somebody who is not let in. Faults of the office itself go to the log.
pub(super) fn refusal(error: &LoginError) -> ApiError {
    let (status, code) = match error {
        LoginError::Wrong => (StatusCode::FORBIDDEN, "wrong_login"),
        LoginError::TooManyTries { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"),
        LoginError::TooManySessions { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_sessions"),
        LoginError::Link => (StatusCode::GONE, "link_used"),
        LoginError::Name(_) | LoginError::Password(_) => (StatusCode::BAD_REQUEST, "bad_request"),
        LoginError::People(PeopleError::Hash(HashError::Busy)) => {
            return ApiError::unavailable("busy", error.to_string(), RETRY_AFTER_S);
        }
        LoginError::People(error) => {
            tracing::error!(%error, "nobody can log in");
            return ApiError::unavailable("busy", "nobody can log in at this moment; try again soon", RETRY_AFTER_S);
        }
    };
    let retry_after_s = match error {
        LoginError::TooManyTries { wait } | LoginError::TooManySessions { wait } => {
            Some(u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX))
        }
        _ => None,
    };
    ApiError { retry_after_s, ..ApiError::new(status, code, error.to_string()) }
}

/// Returns the message of an error as a sentence.
pub(super) fn sentence(message: &str) -> String {
    let mut sentence = format!("{message}.");
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::{PasswordError, UserNameError};
    use std::time::Duration;

    /// Catches a log-in that forgets the page that somebody wanted, and one that leads to another machine.
    #[test]
    fn only_paths_of_a_bounded_length_lead_on() {
        let longest = format!("/{}", "a".repeat(MAX_NEXT_CHARS - 1));
        for own in ["/", "/animals?show=yard&pen=P%201", longest.as_str()] {
            assert_eq!(own_path(own), own);
        }
        for other in ["", "animals", "//x", "/\\x", "/a b", "/\u{e4}", "/a\n", &format!("{longest}a")] {
            assert_eq!(own_path(other), "/", "{other:?}");
        }
    }

    /// Catches a refusal that a program takes for another one, and one that does not say when to come back.
    #[test]
    fn each_refusal_has_its_status_its_code_and_the_time_to_wait() {
        let wait = Duration::from_millis(2_500);
        for (error, status, code, retry_after_s) in [
            (LoginError::Wrong, 403, "wrong_login", None),
            (LoginError::TooManyTries { wait }, 429, "too_many_tries", Some(3)),
            (LoginError::TooManySessions { wait }, 429, "too_many_sessions", Some(3)),
            (LoginError::Link, 410, "link_used", None),
            (LoginError::Name(UserNameError::Length), 400, "bad_request", None),
            (LoginError::Password(PasswordError::TooShort), 400, "bad_request", None),
            (LoginError::People(HashError::Busy.into()), 503, "busy", Some(RETRY_AFTER_S)),
            (LoginError::People(PeopleError::TooMany), 503, "busy", Some(RETRY_AFTER_S)),
        ] {
            let refused = refusal(&error);
            assert_eq!((refused.status.as_u16(), refused.retry_after_s), (status, retry_after_s), "{error}");
            assert_eq!(refused.code, code, "{error}");
        }
        let busy = refusal(&LoginError::People(HashError::Busy.into()));
        assert!(busy.message.contains("too many people"), "{busy:?}");
        let failed = refusal(&LoginError::People(PeopleError::TooMany));
        assert!(failed.message.contains("nobody can log in"), "what failed is for the log: {failed:?}");
        assert_eq!(
            (sentence("it fails"), sentence(""), sentence("\u{e4}")),
            ("It fails.".into(), ".".into(), "\u{e4}.".into())
        );
    }
}
