//! Who calls, and who may.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::request::Builder;
use clap::ValueEnum as _;
use service::door::auth::Authenticator as _;
use service::door::keys::{KeyRing, Scope};
use service::door::tokens::TokenRing;
use std::net::{Ipv4Addr, SocketAddr};

/// In the form of a key, and none.
const UNKNOWN_KEY: &str = "hxb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Who may make a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum May {
    /// Everybody, whatever they show.
    Anybody,
    /// Keys of one of these scopes.
    Keys(&'static [Scope]),
    /// These, and without a key whoever is on the machine itself.
    KeysOrHere(&'static [Scope]),
}

/// One who calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// In the golden file.
    pub(crate) name: String,
    key: Option<String>,
    /// Of the key.
    scopes: Vec<Scope>,
    /// On the machine itself.
    is_here: bool,
}

impl Caller {
    /// One of each kind: without a key, with a wrong one, with one of each scope, and with a token of each of two.
    pub(crate) fn all(keys: &KeyRing, tokens: &TokenRing) -> Vec<Self> {
        let without = |name: &str, key, is_here| Self { name: name.to_owned(), key, scopes: Vec::new(), is_here };
        let mut all = vec![
            without("no key", None, false),
            without("no key but here", None, true),
            without("an unknown key", Some(UNKNOWN_KEY.to_owned()), false),
        ];
        all.extend(Scope::value_variants().iter().map(|scope| Self::with_key(keys, scope.name(), &[*scope])));
        let of_two = [Scope::Ingest, Scope::Read];
        let bearer = Self::with_key(keys, "two-scopes", &of_two);
        let key = bearer.key.as_deref().and_then(|key| keys.authenticate(key)).unwrap();
        let token = tokens.issue(&key).unwrap().reveal().to_owned();
        all.push(Self { name: "a token of ingest and read".to_owned(), key: Some(token), ..bearer });
        all
    }

    /// Whom every door opens to.
    pub(crate) fn of_every_scope(keys: &KeyRing) -> Self {
        Self::with_key(keys, "every-scope", Scope::value_variants())
    }

    fn with_key(keys: &KeyRing, name: &str, scopes: &[Scope]) -> Self {
        let secret = keys.add(name, scopes.iter().copied().collect()).unwrap();
        Self { name: name.to_owned(), key: Some(secret.reveal().to_owned()), scopes: scopes.to_vec(), is_here: false }
    }

    /// The status of the refusal at the door; none for who is let in.
    pub(crate) fn refused_by(&self, may: May) -> Option<u16> {
        let (scopes, is_here_enough) = match may {
            May::Anybody => return None,
            May::Keys(scopes) => (scopes, false),
            May::KeysOrHere(scopes) => (scopes, true),
        };
        match &self.key {
            None if self.is_here && is_here_enough => None,
            None => Some(401),
            Some(_) if self.scopes.is_empty() => Some(401),
            Some(_) => (!self.scopes.iter().any(|scope| scopes.contains(scope))).then_some(403),
        }
    }

    /// The request with what this caller shows.
    pub(crate) fn sign(&self, request: Builder) -> Builder {
        match &self.key {
            Some(key) => request.header("X-API-Key", key),
            None => request,
        }
    }

    /// The router as this caller meets it: a server tells it where each caller comes from.
    pub(crate) fn before(&self, router: &Router) -> Router {
        let ip = if self.is_here { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(192, 168, 1, 5) };
        router.clone().layer(axum::Extension(ConnectInfo(SocketAddr::from((ip, 9)))))
    }
}
