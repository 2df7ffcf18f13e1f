//! A server under test: makes the call of every row as every caller, and checks the answers.

use super::callers::{Caller, Permission};
use super::connection;
use super::router_barn::golden::{Golden, mask};
use super::router_barn::response::{assert_refusal, body_of, headers_of};
use super::rows::{Row, get};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tower::ServiceExt as _;

/// All methods of a call. `CONNECT` is missing, because it asks a proxy for a tunnel and has no path.
const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

/// A process whose router is called.
#[derive(Clone, Copy)]
pub(crate) struct ServerUnderTest<'a> {
    pub(crate) router: &'a Router,
    pub(crate) callers: &'a [Caller],
    /// Returns everything that a call can change.
    pub(crate) state: &'a dyn Fn() -> String,
    /// JSON keys whose values differ between runs.
    pub(crate) volatile: &'a [&'a str],
}

impl ServerUnderTest<'_> {
    /// Makes the call as every caller, and adds the answers to the golden file. Callers with the same answer share a
    /// line.
    pub(crate) async fn check_row(&self, row: &Row, golden: &mut Golden) {
        let mut answers: Vec<(Value, Vec<&str>)> = Vec::new();
        for caller in self.callers {
            let answer = self.check_caller(row, caller).await;
            match answers.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, callers)) => callers.push(&caller.name),
                None => answers.push((answer, vec![&caller.name])),
            }
        }
        for (answer, callers) in answers {
            golden.add(&format!("{} for {}", row.name(), callers.join(", ")), answer);
        }
    }

    /// Makes the call as one caller, and returns the answer. A caller without permission must be refused as the table
    /// says, and must change nothing.
    async fn check_caller(&self, row: &Row, caller: &Caller) -> Value {
        let (case, before) = (format!("{} for {}", row.name(), caller.name), (self.state)());
        let response = send(caller, self.router, row, row.request(caller)).await;
        let (status, body) = (response.status().as_u16(), body_of(&response));
        let refused = caller.refused_by(row.permission);
        if row.is_in_html() && caller.has_no_key() && refused.is_some() {
            // A browser is led to the log-in page.
            assert_eq!((status, (self.state)()), (303, before), "`{case}`: {body}");
            return self.golden_form(&response);
        }
        assert_eq!([401, 403].contains(&status).then_some(status), refused, "`{case}`: {status}: {body}");
        assert!(![404, 405].contains(&status), "`{case}` leads nowhere: {body}");
        if refused.is_some() {
            assert_eq!((self.state)(), before, "`{case}` changed something");
        }
        if status >= 400 {
            assert_refusal(&case, &body);
        }
        self.golden_form(&response)
    }

    /// Checks that each path refuses every method that the table does not list for it.
    pub(crate) async fn check_other_methods(&self, rows: &[Row], caller: &Caller, golden: &mut Golden) {
        let mut paths: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            paths.entry(&row.pattern).or_default().push(row);
        }
        for (path, rows) in paths {
            let answers = self.other_methods(&rows, caller).await;
            assert_eq!(answers.len(), 1, "other methods at `{path}` are answered in several ways: {answers:?}");
            golden.add(&format!("other methods at {path}"), answers[0].clone());
        }
    }

    /// Returns the distinct answers to the methods that no row of this path has. Each must be a 405 that lists the
    /// allowed methods.
    async fn other_methods(&self, rows: &[&Row], caller: &Caller) -> Vec<Value> {
        let has = |method: &Method| rows.iter().any(|row| row.method == *method);
        let has = |method: &Method| has(method) || (*method == Method::HEAD && has(&Method::GET));
        let mut answers = Vec::new();
        for method in METHODS.iter().filter(|method| !has(method)) {
            let (case, before) = (format!("{method} {}", rows[0].pattern), (self.state)());
            let response = send(caller, self.router, rows[0], rows[0].request_by(method, caller)).await;
            assert_eq!((response.status().as_u16(), (self.state)()), (405, before), "`{case}`");
            let allowed = allowed(&response);
            assert!(METHODS.iter().all(|it| allowed.contains(it) == has(it)), "`{case}`: allowed: {allowed:?}");
            // An answer to HEAD has no body.
            if *method != Method::HEAD {
                assert_refusal(&case, &body_of(&response));
                answers.push(self.golden_form(&response));
            }
        }
        answers.dedup();
        answers
    }

    /// Checks that paths without a row are 404 in the form of all refusals, so that no fallback answers there.
    pub(crate) async fn check_unknown_paths(&self, paths: &[&str], caller: &Caller, golden: &mut Golden) {
        for path in paths {
            let row = get(path, Permission::Anyone);
            let response = send(caller, self.router, &row, row.request(caller)).await;
            assert_eq!(response.status(), 404, "`{path}`");
            assert_refusal(path, &body_of(&response));
            golden.add(&format!("nothing at {path}"), self.golden_form(&response));
        }
    }

    /// Returns the answer in the form of the golden file.
    pub(super) fn golden_form(&self, response: &Response<Vec<u8>>) -> Value {
        json!({"status": response.status().as_u16(), "headers": headers_of(response), "body": self.golden_body(response)})
    }

    /// Returns the body, or only the first line of a text for people.
    fn golden_body(&self, response: &Response<Vec<u8>>) -> Value {
        let is_sheet =
            response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/csv; charset=utf-8");
        match mask(&body_of(response), self.volatile) {
            Value::String(text) if !is_sheet => text.lines().next().unwrap_or_default().into(),
            body => body,
        }
    }
}

/// Makes a call as this caller, and returns the answer with its whole body.
pub(super) async fn send(caller: &Caller, router: &Router, row: &Row, request: Request<Body>) -> Response<Vec<u8>> {
    let router = caller.connect(router);
    if row.is_upgrade() {
        return connection::send(router, &request).await;
    }
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    // A stream of events does not end by itself.
    if head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
        return Response::from_parts(head, Vec::new());
    }
    Response::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
}

fn allowed(response: &Response<Vec<u8>>) -> Vec<Method> {
    let allow = response.headers().get(header::ALLOW).map(|value| value.to_str().unwrap()).unwrap_or_default();
    allow.split(',').filter_map(|method| method.trim().parse().ok()).collect()
}
