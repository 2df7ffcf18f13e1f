//! The page on which owners manage the users.
//!
//! # Decisions
//!
//! - **Every change is one form, and answered with a redirect**, except for a link: its code is stored nowhere and must not be in
//!   a URL, so the answer itself shows it, once.
//! - **The last owner stays.** An office without an owner could be managed by its machine's administrator only.
//! - **The log says who changed whom and how.** Codes are not in it.

use super::browsers::Browsers;
use super::error::PageError;
use super::frame::Frame;
use super::login::{LOGIN_PATH, ask_to_log_in, has_key, sentence};
use super::media_type::MediaType;
use super::own_form::{OwnForm, foreign_form};
use super::page::{Page, PageContent, as_refusal, redirect};
use crate::people::command::WELCOME_PATH;
use crate::people::{LINK_LIFETIME, ListedUser, LoggedIn, MAX_NAME_CHARS, People, PeopleError, Role, UserName};
use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::get;
use clap::ValueEnum as _;
use serde::Deserialize;
use service::door::keys::{KeyRing, KeyRow};
use service::door::reply::{ApiError, NoQuery, with_method_fallback};
use service::door::secret::Secret;
use std::sync::Arc;

/// Path of the page.
pub(super) const USERS_PATH: &str = "/users";
/// Maximum size of a form: a name, each byte of which may take three.
const MAX_FORM_BYTES: usize = 2 * 1024;
/// `Retry-After` if the office cannot do its part.
const RETRY_AFTER_S: u32 = 5;
const OWNERS_ONLY: &str = "only an owner of this office manages its users";
const NO_KEYS: &str = "an API key does not manage users; `herdlinx-mirror user` does, on the office's machine";
const NOT_STORED: &str = "the office cannot store this at this moment; try again soon";
const OTHER_SESSION: &str = "this form is of another session; open the page again";

/// Returns the routes, for owners who are logged in.
pub(crate) fn users_routes(browsers: Browsers, keys: Arc<KeyRing>) -> Router {
    let routes = Router::new().route(USERS_PATH, get(show).post(change)).layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    with_method_fallback(routes.with_state(UsersState { browsers, keys }))
}

/// State of the routes.
#[derive(Clone)]
struct UsersState {
    browsers: Browsers,
    keys: Arc<KeyRing>,
}

/// A link that was made for a user, in the only answer that shows it.
#[derive(Debug)]
struct NewLink {
    name: UserName,
    url: String,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersContent {
    users: Vec<ListedUser>,
    /// Keys of programs, as (name, scopes).
    keys: Vec<(String, String)>,
    owner: LoggedIn,
    link: Option<NewLink>,
    /// Name of a new user that was refused.
    name: String,
    why: Option<String>,
}

impl PageContent for UsersContent {
    type View = Vec<ListedUser>;

    fn title(&self) -> String {
        "Users".to_owned()
    }

    fn view(&self) -> &Vec<ListedUser> {
        &self.users
    }
}

impl UsersContent {
    fn new(people: &People, keys: &KeyRing, owner: LoggedIn) -> Self {
        let scopes = |key: &KeyRow| key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(", ");
        let keys = keys.list().iter().map(|key| (key.name.clone(), scopes(key))).collect();
        Self { users: people.list(), keys, owner, link: None, name: String::new(), why: None }
    }

    fn page(self, media_type: MediaType) -> Response {
        let frame = Frame::without_site(self.title()).of(Some(self.owner.clone()));
        Page { frame, content: self }.respond(media_type)
    }

    fn link_days() -> u64 {
        LINK_LIFETIME.as_secs() / (24 * 3600)
    }

    fn roles() -> &'static [Role] {
        Role::value_variants()
    }
}

/// Returns the owner who sends a request, or the answer to somebody else.
fn owner_of(browsers: &Browsers, headers: &HeaderMap) -> Result<Option<LoggedIn>, ApiError> {
    if has_key(headers) {
        return Err(ApiError::forbidden(NO_KEYS));
    }
    match browsers.user(headers) {
        Some(user) if user.role < Role::Owner => Err(ApiError::forbidden(OWNERS_ONLY)),
        user => Ok(user),
    }
}

async fn show(State(state): State<UsersState>, _: NoQuery, request: Request) -> Result<Response, PageError> {
    let UsersState { browsers, keys } = state;
    let media_type = MediaType::negotiate(request.headers());
    let owner = owner_of(&browsers, request.headers()).map_err(|error| PageError { media_type, error })?;
    Ok(match owner {
        Some(owner) => UsersContent::new(&browsers.people, &keys, owner).page(media_type),
        None => ask_to_log_in(&request),
    })
}

/// A change of the users, as the page's forms name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UserAction {
    Add,
    Link,
    ChangeRole,
    LogOut,
    Remove,
}

#[derive(Deserialize)]
struct UserForm {
    form_token: String,
    action: UserAction,
    name: String,
    role: Option<Role>,
}

/// A change that an owner asks for.
struct UserChange {
    by: UserName,
    action: UserAction,
    name: UserName,
    role: Role,
}

async fn change(
    State(UsersState { browsers, keys }): State<UsersState>,
    uri: Uri,
    headers: HeaderMap,
    OwnForm { form, media_type, .. }: OwnForm<UserForm, MAX_FORM_BYTES>,
) -> Result<Response, PageError> {
    let refuse = |error| PageError { media_type, error };
    let Some(owner) = owner_of(&browsers, &headers).map_err(refuse)? else {
        return match media_type {
            MediaType::Html => Ok(redirect(&format!("{LOGIN_PATH}?next={USERS_PATH}"))),
            MediaType::Json => Err(refuse(ApiError::unauthorized(OWNERS_ONLY))),
        };
    };
    if !owner.owns_form(&form.form_token) {
        return Err(refuse(foreign_form(OTHER_SESSION)));
    }
    let people = browsers.people;
    let changed = match form.name.parse() {
        Ok(name) => {
            let role = form.role.unwrap_or(Role::Viewer);
            let change = UserChange { by: owner.name.clone(), action: form.action, name, role };
            change.make(people.clone()).await.map(|code| (change.name, code))
        }
        Err(error) => Err(ApiError::bad_request(error.to_string())),
    };
    match changed {
        Ok((_, None)) => Ok(redirect(USERS_PATH)),
        Ok((name, Some(code))) => {
            let link = NewLink { name, url: link_at(&uri, &headers, &code) };
            Ok(UsersContent { link: Some(link), ..UsersContent::new(&people, &keys, owner) }.page(MediaType::Html))
        }
        Err(error) if media_type == MediaType::Json => Err(refuse(error)),
        Err(error) => {
            let is_new = form.action == UserAction::Add;
            let name = if is_new { form.name.chars().take(MAX_NAME_CHARS).collect() } else { String::new() };
            let why = Some(sentence(&error.message));
            let page = UsersContent { name, why, ..UsersContent::new(&people, &keys, owner) }.page(media_type);
            Ok(as_refusal(page, error.status, error.retry_after_s))
        }
    }
}

impl UserChange {
    /// Returns the change in words, for the log.
    fn what(&self) -> String {
        match self.action {
            UserAction::Add => format!("add as {}", self.role),
            UserAction::Link => "link for a password".to_owned(),
            UserAction::ChangeRole => format!("make {}", self.role),
            UserAction::LogOut => "log out everywhere".to_owned(),
            UserAction::Remove => "remove".to_owned(),
        }
    }

    /// Makes the change, and returns the code of a link if it made one.
    async fn make(&self, people: Arc<People>) -> Result<Option<Secret>, ApiError> {
        let (action, name, role) = (self.action, self.name.clone(), self.role);
        let changing = tokio::task::spawn_blocking(move || match action {
            UserAction::Add => people.add(&name, role).map(Some),
            UserAction::Link => people.renew(&name).map(Some),
            UserAction::ChangeRole => people.change_role(&name, role).map(|()| None),
            UserAction::LogOut if !people.has(&name) => Err(PeopleError::Unknown(name)),
            UserAction::LogOut => people.log_out_everywhere(&name).map(|()| None),
            UserAction::Remove => people.remove(&name).map(|()| None),
        });
        let failed = |why: String, message: String| {
            tracing::error!(by = %self.by, user = %self.name, what = self.what(), why, "user not changed on disk");
            ApiError::unavailable("storage_failed", message, RETRY_AFTER_S)
        };
        let changed = changing.await.map_err(|error| failed(error.to_string(), NOT_STORED.to_owned()))?;
        match &changed {
            Ok(_) => tracing::info!(by = %self.by, user = %self.name, what = self.what(), "user changed"),
            Err(error) => {
                tracing::warn!(by = %self.by, user = %self.name, what = self.what(), %error, "user not changed");
            }
        }
        changed.map_err(|error| refusal(&error).unwrap_or_else(|| failed(error.to_string(), self.half_made())))
    }

    /// Returns what holds if the disk has failed. Whoever was to be out is out in memory.
    fn half_made(&self) -> String {
        let name = &self.name;
        match self.action {
            UserAction::Remove => format!(
                "{name} is out now, but a restart would undo it: `herdlinx-mirror user remove \"{name}\"` once the disk of \
                 this office can be written"
            ),
            UserAction::LogOut => format!(
                "{name} is logged out everywhere now, but a restart would undo it: try again once the disk of this office \
                 can be written"
            ),
            _ => NOT_STORED.to_owned(),
        }
    }
}

/// Returns the answer to a change that is not possible; `None` if the office itself has failed.
fn refusal(error: &PeopleError) -> Option<ApiError> {
    let (status, code, message) = match error {
        PeopleError::Exists(name) => (StatusCode::CONFLICT, "user_exists", format!("there is a user {name} already")),
        PeopleError::Unknown(name) => {
            (StatusCode::NOT_FOUND, "unknown_user", format!("there is no user {name} any more"))
        }
        PeopleError::Invited(name) => {
            let message = format!(
                "{name} has a link already, and it still works. \"New link for a password\" makes another one instead"
            );
            (StatusCode::CONFLICT, "user_invited", message)
        }
        PeopleError::LastOwner(name) => {
            let message = format!("{name} is the last owner; make somebody else an owner first");
            (StatusCode::CONFLICT, "last_owner", message)
        }
        PeopleError::TooMany => (StatusCode::CONFLICT, "too_many_users", error.to_string()),
        PeopleError::Local(_) | PeopleError::Randomness(_) | PeopleError::Hash(_) => return None,
    };
    Some(ApiError::new(status, code, message))
}

/// Returns a link at the address under which the owner has opened the page.
fn link_at(uri: &Uri, headers: &HeaderMap, code: &Secret) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let office = uri.authority().cloned().or(named).map(|office| format!("https://{office}")).unwrap_or_default();
    format!("{office}{WELCOME_PATH}?code={}", code.reveal())
}
