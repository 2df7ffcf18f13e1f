//! Asks every row as every caller, and compares what is answered.

use super::callers::{Caller, May};
use super::connection;
use super::router_barn::golden::{Golden, masked};
use super::router_barn::told::{assert_is_refusal, body_of, headers_of};
use super::rows::{Row, get};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tower::ServiceExt as _;

/// All that a call can be made by. `CONNECT` asks a proxy for a tunnel and has no path.
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

/// A process that is asked.
pub(crate) struct Served<'a> {
    pub(crate) router: &'a Router,
    pub(crate) callers: &'a [Caller],
    /// All that a call could leave behind.
    pub(crate) traces: &'a dyn Fn() -> String,
    /// Keys whose values differ from one run to the next.
    pub(crate) volatile: &'a [&'a str],
}

impl Served<'_> {
    /// Every caller makes the call. Callers with the same answer share a line.
    pub(crate) async fn answers(&self, row: &Row, golden: &mut Golden) {
        let mut told: Vec<(Value, Vec<&str>)> = Vec::new();
        for caller in self.callers {
            let answer = self.judged(row, caller).await;
            match told.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, callers)) => callers.push(&caller.name),
                None => told.push((answer, vec![&caller.name])),
            }
        }
        for (answer, callers) in told {
            golden.note(&format!("{} for {}", row.name(), callers.join(", ")), answer);
        }
    }

    /// The answer to one caller: who may not is refused as the table says, and leaves nothing behind.
    async fn judged(&self, row: &Row, caller: &Caller) -> Value {
        let (case, before) = (format!("{} for {}", row.name(), caller.name), (self.traces)());
        let response = answer(caller, self.router, row, row.request(caller)).await;
        let (status, body) = (response.status().as_u16(), body_of(&response));
        let refused = caller.refused_by(row.may);
        assert_eq!([401, 403].contains(&status).then_some(status), refused, "`{case}`: {status}: {body}");
        assert!(![404, 405].contains(&status), "`{case}` leads nowhere: {body}");
        if refused.is_some() {
            assert_eq!((self.traces)(), before, "`{case}` left something behind");
        }
        if status >= 400 {
            assert_is_refusal(&case, &body);
        }
        self.told(&response)
    }

    /// Every method that the table does not have at a path is refused there.
    pub(crate) async fn refuses_other_methods(&self, rows: &[Row], caller: &Caller, golden: &mut Golden) {
        let mut paths: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            paths.entry(&row.pattern).or_default().push(row);
        }
        for (path, rows) in paths {
            let told = self.other_methods(&rows, caller).await;
            assert_eq!(told.len(), 1, "other methods at `{path}` are answered in several ways: {told:?}");
            golden.note(&format!("other methods at {path}"), told[0].clone());
        }
    }

    /// The different answers to the methods that no row of this path has: each is 405 and says which there are.
    async fn other_methods(&self, rows: &[&Row], caller: &Caller) -> Vec<Value> {
        let has = |method: &Method| rows.iter().any(|row| row.method == *method);
        let has = |method: &Method| has(method) || (*method == Method::HEAD && has(&Method::GET));
        let mut told = Vec::new();
        for method in METHODS.iter().filter(|method| !has(method)) {
            let (case, before) = (format!("{method} {}", rows[0].pattern), (self.traces)());
            let response = answer(caller, self.router, rows[0], rows[0].request_by(method, caller)).await;
            assert_eq!((response.status().as_u16(), (self.traces)()), (405, before), "`{case}`");
            let allowed = allowed(&response);
            assert!(METHODS.iter().all(|it| allowed.contains(it) == has(it)), "`{case}`: allowed: {allowed:?}");
            // An answer to HEAD has no body.
            if *method != Method::HEAD {
                assert_is_refusal(&case, &body_of(&response));
                told.push(self.told(&response));
            }
        }
        told.dedup();
        told
    }

    /// Where no row is there is nothing, in the form of all refusals: neither routes nor fallbacks answer there.
    pub(crate) async fn has_nothing_elsewhere(&self, paths: &[&str], caller: &Caller, golden: &mut Golden) {
        for path in paths {
            let row = get(path, May::Anybody);
            let response = answer(caller, self.router, &row, row.request(caller)).await;
            assert_eq!(response.status(), 404, "`{path}`");
            assert_is_refusal(path, &body_of(&response));
            golden.note(&format!("nothing at {path}"), self.told(&response));
        }
    }

    /// The answer as it stands in the golden file.
    fn told(&self, response: &Response<Vec<u8>>) -> Value {
        json!({"status": response.status().as_u16(), "headers": headers_of(response), "body": self.shown(response)})
    }

    /// Texts for people are told by their first line.
    fn shown(&self, response: &Response<Vec<u8>>) -> Value {
        let is_sheet =
            response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/csv; charset=utf-8");
        match masked(&body_of(response), self.volatile) {
            Value::String(text) if !is_sheet => text.lines().next().unwrap_or_default().into(),
            body => body,
        }
    }
}

/// The answer with its body read.
async fn answer(caller: &Caller, router: &Router, row: &Row, request: Request<Body>) -> Response<Vec<u8>> {
    let router = caller.before(router);
    if row.is_upgrade() {
        return connection::answer(router, &request).await;
    }
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
}

fn allowed(response: &Response<Vec<u8>>) -> Vec<Method> {
    let allow = response.headers().get(header::ALLOW).map(|value| value.to_str().unwrap()).unwrap_or_default();
    allow.split(',').filter_map(|method| method.trim().parse().ok()).collect()
}
