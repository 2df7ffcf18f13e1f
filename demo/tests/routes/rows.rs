//! A row of a table: a call, who may make it, and an example of it.

use super::callers::{Caller, May};
use super::shown::Route;
use axum::body::Body;
use axum::http::{Method, Request};
use service::door::keys::Scope;
use service::sync::link::BLOB_TYPE;
use std::collections::BTreeSet;

/// What a WebSocket is asked for with (RFC 6455, 1.3).
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

pub(crate) const SYNC: May = May::Keys(&[Scope::Sync]);
const READ: May = May::Keys(&[Scope::Read]);
const ANY_KEY: May = May::Keys(&[Scope::Ingest, Scope::Read, Scope::Sync, Scope::Correct, Scope::Admin]);

/// What barn and office both serve to programs.
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

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) method: Method,
    /// As the router has it.
    pub(crate) pattern: String,
    pub(crate) may: May,
    /// What tells this example from another of the same call.
    as_what: &'static str,
    path_and_query: String,
    body: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

pub(crate) fn get(pattern: &str, may: May) -> Row {
    let (pattern, path_and_query) = (pattern.to_owned(), pattern.to_owned());
    Row { method: Method::GET, pattern, may, as_what: "", path_and_query, body: "", headers: Vec::new() }
}

/// A call with a body of JSON.
pub(crate) fn post(pattern: &str, may: May, body: &'static str) -> Row {
    Row { method: Method::POST, body, headers: vec![("Content-Type", "application/json")], ..get(pattern, may) }
}

impl Row {
    /// Another path than the pattern, and a query.
    pub(crate) fn at(self, path_and_query: &str) -> Self {
        Self { path_and_query: path_and_query.to_owned(), ..self }
    }

    /// As a follower asks, for blobs.
    pub(crate) fn in_blobs(mut self) -> Self {
        self.headers.push(("Accept", BLOB_TYPE));
        Self { as_what: " in blobs", ..self }
    }

    /// As a browser asks.
    pub(crate) fn in_html(mut self) -> Self {
        self.headers.push(("Accept", "text/html,*/*;q=0.8"));
        Self { as_what: " in HTML", ..self }
    }

    /// A WebSocket.
    pub(crate) fn upgraded(mut self) -> Self {
        self.headers.extend(UPGRADE);
        self
    }

    /// The same call under a prefix.
    pub(crate) fn under(&self, pattern: &str, path: &str) -> Self {
        let pattern = format!("{pattern}{}", self.pattern);
        Self { pattern, path_and_query: format!("{path}{}", self.path_and_query), ..self.clone() }
    }

    /// Whether it needs a connection of its own.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.headers.contains(&UPGRADE[0])
    }

    /// In the golden file.
    pub(crate) fn name(&self) -> String {
        format!("{} {}{}", self.method, self.pattern, self.as_what)
    }

    pub(crate) fn route(&self) -> Route {
        (self.method.to_string(), self.pattern.clone())
    }

    /// The example, as this caller sends it.
    pub(crate) fn request(&self, caller: &Caller) -> Request<Body> {
        self.request_by(&self.method, caller)
    }

    /// The same by another method.
    pub(crate) fn request_by(&self, method: &Method, caller: &Caller) -> Request<Body> {
        let request = caller.sign(Request::builder().method(method).uri(&self.path_and_query));
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(self.body.into()).unwrap()
    }
}

/// The table has these routes and no others.
pub(crate) fn assert_complete(rows: &[Row], routes: &BTreeSet<Route>) {
    let listed: BTreeSet<Route> = rows.iter().map(Row::route).collect();
    let missing: Vec<_> = routes.difference(&listed).collect();
    assert!(missing.is_empty(), "served, and not in the table: {missing:?}");
    let gone: Vec<_> = listed.difference(routes).collect();
    assert!(gone.is_empty(), "in the table, and not served: {gone:?}");
}
