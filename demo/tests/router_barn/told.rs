//! What an answer tells, as it stands in a golden file.

use axum::http::{Response, header};
use herd::wire::{BlobKind, ExportEnd, Page, Schema, blob_kind, blob_length, from_blob};
use serde_json::{Map, Value, json};
use service::sync::link::BLOB_TYPE;

/// Headers that belong to the interface.
const HEADERS: [&str; 5] = ["content-type", "retry-after", "www-authenticate", "allow", "location"];

/// The headers that belong to the interface.
pub(crate) fn headers_of(response: &Response<Vec<u8>>) -> Map<String, Value> {
    let told = HEADERS.iter().filter_map(|name| {
        let value = response.headers().get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), Value::from(value)))
    });
    told.collect()
}

/// The body: JSON as it is, blobs as what they hold, anything else as its text.
pub(crate) fn body_of(response: &Response<Vec<u8>>) -> Value {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match response.body().as_slice() {
        [] => Value::Null,
        bytes if kind == BLOB_TYPE => blobs_of(bytes),
        bytes if kind == "application/json" => serde_json::from_slice(bytes).unwrap(),
        bytes => std::str::from_utf8(bytes).unwrap().into(),
    }
}

/// Every refusal has these three keys, and tells nothing of the inside.
pub(crate) fn assert_is_refusal(case: &str, body: &Value) {
    assert_eq!(body["success"], false, "`{case}`: {body}");
    assert!(body["error"].is_string() && body["message"].is_string(), "`{case}`: {body}");
    let message = body["message"].as_str().unwrap();
    for inside in ["::", "struct ", ".rs", "redb", "panicked", "hxb_"] {
        assert!(!message.contains(inside), "`{case}` tells of the inside: {message}");
    }
}

/// Blobs one after the other, each as what it holds.
fn blobs_of(mut bytes: &[u8]) -> Value {
    let mut told = Vec::new();
    while !bytes.is_empty() {
        let length = blob_length(bytes).unwrap().expect("a blob does not end within its header");
        let (blob, rest) = bytes.split_at(length);
        told.push(match blob_kind(blob).unwrap() {
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
