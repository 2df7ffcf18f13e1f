//! The page on which owners manage the users, and the keys with which programs read.
//!
//! # Decisions
//!
//! - **Every change is one form, and answered with a redirect**, except for a link or a key: its secret is stored nowhere
//!   and must not be in a URL, so the answer itself shows it, once.
//! - **An answer that is loaded again takes back no link.** The browser sends the form again then. Each page has a text of
//!   its own in its forms, and the same text makes one link.
//! - **Keys that are made here only read.** Other scopes are for programs of whoever runs the machine, who has the command. A key
//!   of any scope is revoked here: somebody must be able to at once.
//! - **The last owner stays.** An office without an owner could be managed by its machine's administrator only.
//! - **The log says who changed whom and how.** Codes are not in it.

mod answered_forms;
mod change;
mod keys;

use crate::pages::browsers::Browsers;
use crate::pages::error::PageError;
use crate::pages::forms::draw_key;
use crate::pages::frame::Frame;
use crate::pages::login::{ask_to_log_in, sentence};
use crate::pages::media_type::MediaType;
use crate::pages::own_form::OwnForm;
use crate::pages::page::{Page, PageContent, as_refusal, redirect};
use crate::pages::senders::Senders;
use crate::people::command::WELCOME_PATH;
use crate::people::{LINK_LIFETIME, ListedUser, LoggedIn, MAX_NAME_CHARS, People, Role, UserName, UserNameError};
use answered_forms::AnsweredForms;
use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use change::{UserAction, UserChange};
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
const OWNERS: Senders = Senders {
    least: Role::Owner,
    role: "only an owner of this office manages its users",
    key: "an API key does not manage users; `herdlinx-mirror user` does, on the office's machine",
};
const NOT_STORED: &str = "the office cannot store this at this moment; try again soon";

/// Returns the routes, for owners who are logged in.
pub(crate) fn users_routes(browsers: Browsers, keys: Arc<KeyRing>) -> Router {
    let routes = Router::new().route(USERS_PATH, get(show).post(change)).layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    with_method_fallback(routes.with_state(UsersState { browsers, keys, answered: Arc::default() }))
}

/// State of the routes.
#[derive(Clone)]
struct UsersState {
    browsers: Browsers,
    keys: Arc<KeyRing>,
    answered: Arc<AnsweredForms>,
}

/// A secret that was made, in the only answer that shows it.
enum NewSecret {
    /// A link for a user to choose a password.
    Link { name: UserName, url: String },
    /// The key of a program.
    Key { name: String, secret: String },
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersContent {
    users: Vec<ListedUser>,
    /// Keys of programs, as (name, scopes).
    keys: Vec<(String, String)>,
    owner: LoggedIn,
    /// Text by which the forms of this page are known if they are sent twice.
    form_key: String,
    secret: Option<NewSecret>,
    /// Name of a new user that was refused.
    name: String,
    /// Name of a new key that was refused.
    key_name: String,
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
        // Without one, the page works as well.
        let form_key = draw_key().unwrap_or_default();
        let (name, key_name) = (String::new(), String::new());
        Self { users: people.list(), keys, owner, form_key, secret: None, name, key_name, why: None }
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

async fn show(State(state): State<UsersState>, _: NoQuery, request: Request) -> Result<Response, PageError> {
    let media_type = MediaType::negotiate(request.headers());
    let owner = OWNERS.user(&state.browsers, request.headers()).map_err(|error| PageError { media_type, error })?;
    Ok(match owner {
        Some(owner) => state.content(owner).page(media_type),
        None => ask_to_log_in(&request),
    })
}

/// Action of a form of the page, named as in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Add,
    Link,
    ChangeRole,
    LogOut,
    Remove,
    AddKey,
    RevokeKey,
}

#[derive(Deserialize)]
struct UsersForm {
    form_token: String,
    /// Text of the page that the form is on, by which it is known if it is sent twice.
    #[serde(default)]
    form_key: String,
    action: Action,
    /// Name of a user, or of a key.
    name: String,
    role: Option<Role>,
}

/// The effect of a form.
enum Effect {
    Change,
    Secret(NewSecret),
}

async fn change(
    State(state): State<UsersState>,
    uri: Uri,
    headers: HeaderMap,
    OwnForm { form, media_type, .. }: OwnForm<UsersForm, MAX_FORM_BYTES>,
) -> Response {
    let sender = OWNERS.sender(&state.browsers, &headers, &form.form_token, (media_type, USERS_PATH));
    let owner = match sender {
        Ok(owner) => owner,
        Err(answer) => return *answer,
    };
    let made = match form.action {
        Action::AddKey => keys::add(&state.keys, &owner, &form.name).await.map(Effect::Secret),
        Action::RevokeKey => keys::revoke(&state.keys, &owner, &form.name).await.map(|()| Effect::Change),
        Action::Add => state.change_user(&owner, UserAction::Add, &form, &uri, &headers).await,
        Action::Link => state.make_link(&owner, &form, &uri, &headers).await,
        Action::ChangeRole => state.change_user(&owner, UserAction::ChangeRole, &form, &uri, &headers).await,
        Action::LogOut => state.change_user(&owner, UserAction::LogOut, &form, &uri, &headers).await,
        Action::Remove => state.change_user(&owner, UserAction::Remove, &form, &uri, &headers).await,
    };
    match made {
        Ok(Effect::Change) => redirect(USERS_PATH),
        Ok(Effect::Secret(secret)) => {
            UsersContent { secret: Some(secret), ..state.content(owner) }.page(MediaType::Html)
        }
        Err(error) if media_type == MediaType::Json => PageError { media_type, error }.into_response(),
        Err(error) => {
            let typed = |action| {
                if form.action == action { form.name.chars().take(MAX_NAME_CHARS).collect() } else { String::new() }
            };
            let (name, key_name, why) = (typed(Action::Add), typed(Action::AddKey), Some(sentence(&error.message)));
            let page = UsersContent { name, key_name, why, ..state.content(owner) }.page(media_type);
            as_refusal(page, error.status, error.retry_after_s)
        }
    }
}

impl UsersState {
    fn content(&self, owner: LoggedIn) -> UsersContent {
        UsersContent::new(&self.browsers.people, &self.keys, owner)
    }

    /// Makes a link for a new password. A form that is sent again, because its answer was loaded again, makes no other one.
    async fn make_link(
        &self,
        owner: &LoggedIn,
        form: &UsersForm,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Effect, ApiError> {
        if self.answered.has(&form.form_key) {
            let message = format!(
                "this form has made a link for {} already, and it still works. It was shown once; the button makes another one",
                form.name
            );
            return Err(ApiError::new(StatusCode::CONFLICT, "sent_already", message));
        }
        let made = self.change_user(owner, UserAction::Link, form, uri, headers).await?;
        self.answered.add(&form.form_key);
        Ok(made)
    }

    async fn change_user(
        &self,
        owner: &LoggedIn,
        action: UserAction,
        form: &UsersForm,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Effect, ApiError> {
        let name: UserName =
            form.name.parse().map_err(|error: UserNameError| ApiError::bad_request(error.to_string()))?;
        let role = form.role.unwrap_or(Role::Viewer);
        let change = UserChange { by: owner.name.clone(), action, name, role };
        let code = change.make(self.browsers.people.clone()).await?;
        let secret = |code| NewSecret::Link { name: change.name.clone(), url: link_at(uri, headers, &code) };
        Ok(code.map_or(Effect::Change, |code| Effect::Secret(secret(code))))
    }
}

/// Returns a link at the address under which the owner has opened the page.
fn link_at(uri: &Uri, headers: &HeaderMap, code: &Secret) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let office = uri.authority().cloned().or(named).map(|office| format!("https://{office}")).unwrap_or_default();
    format!("{office}{WELCOME_PATH}?code={}", code.reveal())
}
