//! A table of cases: each is sent, its status and what it leaves behind are checked, its answer is compared.

use super::barn::Barn;
use super::golden::Golden;
use axum::body::Body;
use axum::http::{Request, Response, header};
use herd::decide::Rules;
use herd::sync::link::BLOB_TYPE;
use herd::wire::{BlobKind, ExportEnd, Page, Schema, from_blob, kind_of, whole_length};
use serde_json::{Map, Value, json};

/// Longer lists are told by their ends.
const SHOWN_RESULTS: usize = 20;
/// Headers that belong to the interface.
const HEADERS: [&str; 4] = ["content-type", "retry-after", "www-authenticate", "allow"];

pub(crate) struct Table {
    pub(crate) barn: Barn,
    golden: Golden,
}

impl Table {
    pub(crate) fn new(name: &str) -> Self {
        Self::with_rules(name, Rules::default())
    }

    pub(crate) fn with_rules(name: &str, rules: Rules) -> Self {
        Self { barn: Barn::new(rules), golden: Golden::new(name) }
    }

    /// The answer has this status, and nothing is as it was not before.
    pub(crate) async fn leaves_nothing(&mut self, case: &str, status: u16, request: Request<Body>) {
        let before = self.barn.traces();
        self.answered(case, status, request).await;
        assert_eq!(self.barn.traces(), before, "`{case}` left something behind");
    }

    /// The answer has this status, and so many changes were appended.
    pub(crate) async fn appends(&mut self, case: &str, status: u16, changes: u64, request: Request<Body>) -> Value {
        let before = self.barn.head().sequence.0;
        let answer = self.answered(case, status, request).await;
        assert_eq!(self.barn.head().sequence.0 - before, changes, "`{case}`: {answer}");
        answer
    }

    async fn answered(&mut self, case: &str, status: u16, request: Request<Body>) -> Value {
        let response = self.barn.answer(request).await;
        let body = told(&response);
        assert_eq!(response.status().as_u16(), status, "`{case}`: {body}");
        if status >= 400 {
            assert_is_refusal(case, &body);
        }
        let headers = HEADERS.iter().filter_map(|name| {
            let value = response.headers().get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), Value::from(value)))
        });
        let headers: Map<String, Value> = headers.collect();
        self.golden.note(case, json!({"status": status, "headers": headers, "body": shortened(body.clone())}));
        body
    }

    /// All cases were sent: compares them.
    pub(crate) fn compare(self) {
        self.golden.compare();
    }
}

/// Every refusal has these three keys, and tells nothing of the inside.
fn assert_is_refusal(case: &str, body: &Value) {
    assert_eq!(body["success"], false, "`{case}`: {body}");
    assert!(body["error"].is_string() && body["message"].is_string(), "`{case}`: {body}");
    let message = body["message"].as_str().unwrap();
    for inside in ["::", "struct ", ".rs", "redb", "panicked", "hxb_"] {
        assert!(!message.contains(inside), "`{case}` tells of the inside: {message}");
    }
}

fn told(response: &Response<Vec<u8>>) -> Value {
    let is_blob = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == BLOB_TYPE);
    match (response.body().as_slice(), is_blob) {
        ([], _) => Value::Null,
        (bytes, true) => blobs_told(bytes),
        (bytes, false) => serde_json::from_slice(bytes).unwrap(),
    }
}

/// Blobs one after the other, each as what it holds.
fn blobs_told(mut bytes: &[u8]) -> Value {
    let mut told = Vec::new();
    while !bytes.is_empty() {
        let length = whole_length(bytes).unwrap().expect("a blob does not end within its header");
        let (blob, rest) = bytes.split_at(length);
        told.push(match kind_of(blob).unwrap() {
            BlobKind::Page => {
                let page: Page = from_blob(blob).unwrap();
                json!({"page": {"after": page.after, "end": page.end, "changes": page.changes.len()}})
            }
            BlobKind::Schema => json!({"schema": from_blob::<Schema>(blob).unwrap()}),
            BlobKind::ExportEnd => json!({"export_end": from_blob::<ExportEnd>(blob).unwrap()}),
            other => panic!("{other:?} is no answer"),
        });
        bytes = rest;
    }
    Value::Array(told)
}

fn shortened(mut body: Value) -> Value {
    if let Some(results) = body.get_mut("results").and_then(Value::as_array_mut)
        && results.len() > SHOWN_RESULTS
    {
        let (count, last) = (results.len(), results.pop());
        results.truncate(1);
        results.push(format!("... {} more ...", count - 2).into());
        results.extend(last);
    }
    body
}
