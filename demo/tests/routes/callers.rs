//! Kinds of callers, and the permission that a call requires.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::request::Builder;
use clap::ValueEnum as _;
use mirror::people::{People, Role};
use service::door::auth::Authenticator as _;
use service::door::keys::{KeyRing, Scope};
use service::door::tokens::TokenRing;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Has the form of a key, but was never issued.
const UNKNOWN_KEY: &str = "hxb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Callers that may make a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Permission {
    /// Every caller, with any key or none.
    Anyone,
    /// Keys of one of these scopes.
    Keys(&'static [Scope]),
    /// Keys of one of these scopes, and users who are logged in.
    Pages(&'static [Scope]),
    /// Users who are logged in and have this role or a later one. Keys are refused.
    Users(Role),
}

/// A kind of caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Name in the golden file.
    pub(crate) name: String,
    key: Option<String>,
    /// Scopes of the key; empty if the key is unknown.
    scopes: Vec<Scope>,
    /// Calls from the machine itself.
    is_local: bool,
    /// The session of a user.
    session: Option<Session>,
}

/// A user who is logged in at an office.
#[derive(Clone, Debug)]
struct Session {
    role: Role,
    token: String,
    /// Text that the forms of the session carry.
    form_token: String,
}

impl Caller {
    /// Returns one caller of each kind: without a key, with an unknown key, with a key of each scope, and with a token
    /// of two scopes.
    pub(crate) fn all(keys: &KeyRing, tokens: &TokenRing) -> Vec<Self> {
        let mut all = vec![Self::without_key(), Self::on_this_machine(), Self::with_unknown_key()];
        all.extend(Scope::value_variants().iter().map(|scope| Self::of_scope(keys, *scope)));
        let of_two = [Scope::Ingest, Scope::Read];
        let bearer = Self::with_key(keys, "two-scopes", &of_two);
        let key = bearer.key.as_deref().and_then(|key| keys.authenticate(key)).unwrap();
        let token = tokens.issue(&key).unwrap().reveal().to_owned();
        all.push(Self { name: "a token of ingest and read".to_owned(), key: Some(token), ..bearer });
        all
    }

    /// Returns a user of this role who is logged in, on another machine.
    pub(crate) async fn logged_in(people: &Arc<People>, role: Role) -> Self {
        let (name, peer) = (format!("a logged-in {role}"), Ipv4Addr::new(192, 168, 1, 5).into());
        let code = people.add(&name.parse().unwrap(), role).unwrap();
        let token = people.clone().choose(code.reveal(), "", "the gate is green".to_owned(), peer).await.unwrap();
        let token = token.reveal().to_owned();
        let form_token = people.session(&token).unwrap().form_token;
        Self { name, session: Some(Session { role, token, form_token }), ..Self::without_key() }
    }

    /// Returns a caller on another machine that sends no key.
    pub(crate) fn without_key() -> Self {
        Self { name: "no key".to_owned(), key: None, scopes: Vec::new(), is_local: false, session: None }
    }

    /// Returns a caller on the machine itself that sends no key.
    pub(crate) fn on_this_machine() -> Self {
        Self { name: "no key but here".to_owned(), is_local: true, ..Self::without_key() }
    }

    /// Returns a caller on another machine whose key was never issued.
    pub(crate) fn with_unknown_key() -> Self {
        Self { name: "an unknown key".to_owned(), key: Some(UNKNOWN_KEY.to_owned()), ..Self::without_key() }
    }

    /// Returns a caller whose key has this scope, and is named like it.
    pub(crate) fn of_scope(keys: &KeyRing, scope: Scope) -> Self {
        Self::with_key(keys, scope.name(), &[scope])
    }

    /// Returns a caller that every door lets in.
    pub(crate) fn of_every_scope(keys: &KeyRing) -> Self {
        Self::with_key(keys, "every-scope", Scope::value_variants())
    }

    fn with_key(keys: &KeyRing, name: &str, scopes: &[Scope]) -> Self {
        let secret = keys.add(name, scopes.iter().copied().collect()).unwrap();
        let key = Some(secret.reveal().to_owned());
        Self { name: name.to_owned(), key, scopes: scopes.to_vec(), ..Self::without_key() }
    }

    /// Returns the status with which the door refuses this caller, or `None` if it lets the caller in.
    pub(crate) fn refused_by(&self, may: Permission) -> Option<u16> {
        let scopes = match (may, &self.session) {
            (Permission::Anyone, _) | (Permission::Pages(_), Some(_)) => return None,
            (Permission::Users(role), Some(session)) => return (session.role < role).then_some(403),
            (Permission::Users(_), None) => return Some(if self.key.is_some() { 403 } else { 401 }),
            (Permission::Keys(scopes) | Permission::Pages(scopes), _) => scopes,
        };
        match &self.key {
            None => Some(401),
            Some(_) if self.scopes.is_empty() => Some(401),
            Some(_) => (!self.scopes.iter().any(|scope| scopes.contains(scope))).then_some(403),
        }
    }

    /// Returns `true` for a caller that sends no key.
    pub(crate) fn has_no_key(&self) -> bool {
        self.key.is_none()
    }

    /// Adds this caller's key or session to a request.
    pub(crate) fn sign(&self, request: Builder) -> Builder {
        match (&self.key, &self.session) {
            (Some(key), _) => request.header("X-API-Key", key),
            (None, Some(session)) => request.header("Cookie", format!("__Host-herdlinx-5000={}", session.token)),
            (None, None) => request,
        }
    }

    /// Returns a form as this caller's own page sends it.
    pub(crate) fn fill(&self, form: &str) -> String {
        let form_token = self.session.as_ref().map_or("", |session| &session.form_token);
        form.replace("FORM_TOKEN", form_token)
    }

    /// Returns the router with this caller's address, which a server would supply.
    pub(crate) fn connect(&self, router: &Router) -> Router {
        let ip = if self.is_local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(192, 168, 1, 5) };
        router.clone().layer(axum::Extension(ConnectInfo(SocketAddr::from((ip, 9)))))
    }
}
