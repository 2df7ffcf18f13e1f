//! Users at browsers: their sessions, and the cookie that carries them.
//!
//! # Decisions
//!
//! - **The session's token is in a cookie that only this host gets, over HTTPS, and no script reads** (`__Host-`, `Secure`,
//!   `HttpOnly`, `SameSite=Lax`).
//! - **The cookie's name ends in the port.** Browsers send a cookie to all ports of a host, so with one name, a log-in at one of
//!   two offices on a machine would end that at the other. It is the port on which this office listens: the one in `Host` is
//!   whatever a proxy makes of it. Each office still sees the tokens of the other; they share a machine and its administrator.

use crate::people::{LoggedIn, People, SESSION_LIFETIME};
use axum::http::{HeaderMap, HeaderValue, header};
use std::sync::Arc;

/// The users of an office, as their browsers show who they are.
#[derive(Clone, Debug)]
pub struct Browsers {
    pub(super) people: Arc<People>,
    /// Name of the cookie that has the session's token. Browsers take a name that begins with `__Host-` over HTTPS and from
    /// this host only.
    cookie: Arc<str>,
}

impl Browsers {
    /// Knows the users by a cookie of an office that listens on this port.
    pub fn new(people: Arc<People>, port: u16) -> Self {
        Self { people, cookie: format!("__Host-herdlinx-{port}").into() }
    }

    /// Returns whether there are no users yet.
    pub(crate) fn has_no_users(&self) -> bool {
        self.people.is_empty()
    }

    /// Returns the user of the session whose token the browser has sent.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<LoggedIn> {
        self.people.session(self.token(headers)?)
    }

    pub(super) fn token<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        // Cookies of other services on this host stand in the same header, and may have any bytes.
        let pairs =
            headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
        let mut texts = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='));
        texts.find_map(|(name, value)| (name == &*self.cookie).then_some(value))
    }

    /// Returns the cookie of a session.
    pub(super) fn cookie(&self, token: &str) -> HeaderValue {
        self.cookie_for(token, SESSION_LIFETIME.as_secs())
    }

    /// Returns the cookie that replaces that of a session which has ended.
    pub(super) fn no_cookie(&self) -> HeaderValue {
        self.cookie_for("", 0)
    }

    fn cookie_for(&self, token: &str, seconds: u64) -> HeaderValue {
        let name = &self.cookie;
        let text = format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
        // Only letters and digits of a token are between them.
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}
