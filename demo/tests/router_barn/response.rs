//! Headers and bodies of responses, in the form of the golden files.

use axum::http::{Response, header};
use herd::wire::{BlobKind, ExportEnd, Page, Schema, blob_kind, blob_length, from_blob};
use serde_json::{Map, Value, json};
use service::sync::link::BLOB_TYPE;

/// Headers that belong to the interface.
const HEADERS: [&str; 5] = ["content-type", "retry-after", "www-authenticate", "allow", "location"];

/// Returns the headers that belong to the interface.
pub(crate) fn headers_of(response: &Response<Vec<u8>>) -> Map<String, Value> {
    let headers = HEADERS.iter().filter_map(|name| {
        let value = response.headers().get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), Value::from(value)))
    });
    headers.collect()
}

/// Returns the body: JSON as it is, blobs as their decoded content, anything else as text.
pub(crate) fn body_of(response: &Response<Vec<u8>>) -> Value {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match response.body().as_slice() {
        [] => Value::Null,
        bytes if kind == BLOB_TYPE => blobs_of(bytes),
        bytes if kind == "application/json" => serde_json::from_slice(bytes).unwrap(),
        bytes => std::str::from_utf8(bytes).unwrap().into(),
    }
}

/// Checks that a refusal has the three keys that every refusal has, and reveals no internals.
pub(crate) fn assert_refusal(case: &str, body: &Value) {
    assert_eq!(body["success"], false, "`{case}`: {body}");
    assert!(body["error"].is_string() && body["message"].is_string(), "`{case}`: {body}");
    let message = body["message"].as_str().unwrap();
    for internal in ["::", "struct ", ".rs", "redb", "panicked", "hxb_"] {
        assert!(!message.contains(internal), "`{case}` reveals internals: {message}");
    }
}

/// Returns the decoded content of each blob, in order.
fn blobs_of(mut bytes: &[u8]) -> Value {
    let mut blobs = Vec::new();
    while !bytes.is_empty() {
        let length = blob_length(bytes).unwrap().expect("a body ends within the header of a blob");
        let (blob, rest) = bytes.split_at(length);
        blobs.push(match blob_kind(blob).unwrap() {
            BlobKind::Page => {
                let page: Page = from_blob(blob).unwrap();
                json!({"page": {"after": page.after, "end": page.end, "changes": page.changes.len()}})
            }
            BlobKind::Schema => json!({"schema": from_blob::<Schema>(blob).unwrap()}),
            BlobKind::ExportEnd => json!({"export_end": from_blob::<ExportEnd>(blob).unwrap()}),
            other => panic!("{other:?} is not part of an answer"),
        });
        bytes = rest;
    }
    Value::Array(blobs)
}
