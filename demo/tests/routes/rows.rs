//! A row of a table: a call, the permission that it requires, and an example request.

use super::callers::{Caller, Permission};
use super::route_list::Route;
use axum::body::Body;
use axum::http::{Method, Request};
use service::door::keys::Scope;
use service::sync::link::BLOB_TYPE;
use std::collections::BTreeSet;

/// Headers of an upgrade to a WebSocket (RFC 6455, 1.3).
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

pub(crate) const SYNC: Permission = Permission::Keys(&[Scope::Sync]);
const READ: Permission = Permission::Keys(&[Scope::Read]);
const ANY_KEY: Permission = Permission::Keys(&[Scope::Ingest, Scope::Read, Scope::Sync, Scope::Correct, Scope::Admin]);

/// Returns the calls for programs that barn and office both serve.
pub(crate) fn for_programs() -> Vec<Row> {
    vec![
        post("/api/remote/auth/token", ANY_KEY, ""),
        get("/api/remote/status", READ),
        get("/api/remote/batches", READ).at("/api/remote/batches?limit=1"),
        get("/api/remote/batches/{id}", READ).at("/api/remote/batches/2"),
        get("/api/remote/payloads", READ).at("/api/remote/payloads?status=error"),
        get("/api/remote/payloads/{id}", READ).at("/api/remote/payloads/2"),
        get("/api/lora/payloads", READ).at("/api/lora/payloads?status=duplicate"),
        get("/api/lora/buffer-status", READ),
        get("/api/events", READ).upgraded(),
        get("/api/sync/schema", SYNC),
        get("/api/sync/changes", SYNC).at("/api/sync/changes?limit=2"),
        get("/api/sync/full-export", SYNC),
        get("/api/sync/full-export", SYNC).in_blobs(),
        get("/api/sync/live", SYNC).upgraded(),
    ]
}

/// One call, with an example.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) method: Method,
    /// Pattern of the path, as in the router.
    pub(crate) pattern: String,
    pub(crate) permission: Permission,
    /// Suffix of the name that tells several examples of one call apart.
    variant: &'static str,
    path_and_query: String,
    body: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

pub(crate) fn get(pattern: &str, permission: Permission) -> Row {
    let (pattern, path_and_query) = (pattern.to_owned(), pattern.to_owned());
    Row { method: Method::GET, pattern, permission, variant: "", path_and_query, body: "", headers: Vec::new() }
}

/// Returns a call with a JSON body.
pub(crate) fn post(pattern: &str, permission: Permission, body: &'static str) -> Row {
    Row { method: Method::POST, body, headers: vec![("Content-Type", "application/json")], ..get(pattern, permission) }
}

/// Returns a form that a page of the same origin sends.
pub(crate) fn form(pattern: &str, permission: Permission, body: &'static str) -> Row {
    let headers = vec![("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin")];
    Row { method: Method::POST, body, headers, ..get(pattern, permission) }
}

impl Row {
    /// Sets the path and query of the example, if they differ from the pattern.
    pub(crate) fn at(self, path_and_query: &str) -> Self {
        Self { path_and_query: path_and_query.to_owned(), ..self }
    }

    /// Asks for blobs, as a follower does.
    pub(crate) fn in_blobs(mut self) -> Self {
        self.headers.push(("Accept", BLOB_TYPE));
        Self { variant: " in blobs", ..self }
    }

    /// Asks for HTML, as a browser does.
    pub(crate) fn in_html(mut self) -> Self {
        self.headers.push(("Accept", "text/html,*/*;q=0.8"));
        Self { variant: " in HTML", ..self }
    }

    /// Asks for a WebSocket.
    pub(crate) fn upgraded(mut self) -> Self {
        self.headers.extend(UPGRADE);
        self
    }

    /// Returns the same call under a prefix.
    pub(crate) fn under(&self, pattern: &str, path: &str) -> Self {
        let pattern = format!("{pattern}{}", self.pattern);
        Self { pattern, path_and_query: format!("{path}{}", self.path_and_query), ..self.clone() }
    }

    /// Returns `true` for an upgrade, which needs its own connection.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.headers.contains(&UPGRADE[0])
    }

    /// Returns `true` for a call that asks for HTML.
    pub(crate) fn is_in_html(&self) -> bool {
        self.headers.iter().any(|(name, value)| *name == "Accept" && value.starts_with("text/html"))
    }

    /// Returns the name in the golden file.
    pub(crate) fn name(&self) -> String {
        format!("{} {}{}", self.method, self.pattern, self.variant)
    }

    pub(crate) fn route(&self) -> Route {
        (self.method.to_string(), self.pattern.clone())
    }

    /// Returns the example request, as this caller sends it.
    pub(crate) fn request(&self, caller: &Caller) -> Request<Body> {
        self.request_by(&self.method, caller)
    }

    /// Returns the example request with another method.
    pub(crate) fn request_by(&self, method: &Method, caller: &Caller) -> Request<Body> {
        let request = caller.sign(Request::builder().method(method).uri(&self.path_and_query));
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(caller.fill(self.body).into()).unwrap()
    }
}

/// Checks that the table lists exactly these routes.
pub(crate) fn assert_complete(rows: &[Row], routes: &BTreeSet<Route>) {
    let listed: BTreeSet<Route> = rows.iter().map(Row::route).collect();
    let missing: Vec<_> = routes.difference(&listed).collect();
    assert!(missing.is_empty(), "served, but not in the table: {missing:?}");
    let gone: Vec<_> = listed.difference(routes).collect();
    assert!(gone.is_empty(), "in the table, but not served: {gone:?}");
}
