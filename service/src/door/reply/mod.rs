//! Error replies, and extractors that reject a request with one.
//!
//! Every error reply is `{"success":false,"error":"<code>","message":"..."}`. A route may add further keys. The message
//! says what is wrong with the request, and reveals nothing about the internals of the program.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// Time limit for the whole body of a request, however slowly it arrives.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of a message, which may quote the request.
pub const MAX_MESSAGE_CHARS: usize = 300;

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable code for programs.
    pub code: &'static str,
    /// Sentence for people.
    pub message: String,
    /// Further keys of the body; a key named like one of the three fixed ones is overwritten.
    pub extra: Option<Map<String, Value>>,
    /// Value of the `Retry-After` header, in seconds.
    pub retry_after_s: Option<u32>,
    /// Name of the key that is refused, if it is known. It is for the log, and not part of the reply.
    pub key: Option<Arc<str>>,
}

/// The content of an error reply for observers of answers: in the extensions of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code for programs.
    pub code: &'static str,
    /// Sentence for people, which may quote the request.
    pub message: String,
    /// Name of the key that is refused, if it is known.
    pub key: Option<Arc<str>>,
}

impl ApiError {
    /// Creates a reply with a status, a code and a message only.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), extra: None, retry_after_s: None, key: None }
    }

    /// Creates a 400 `bad_request`: the request is invalid, and a retry cannot help.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// Creates a 401 `unauthorized`: the key is missing or unknown.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// Creates a 403 `forbidden`: the key is known but lacks the scope.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Creates a 404 `not_found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Creates a 503 with a code of the caller's: the same request may be retried after `retry_after_s` seconds.
    pub fn unavailable(code: &'static str, message: impl Into<String>, retry_after_s: u32) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        Self { retry_after_s: Some(retry_after_s), ..error }
    }

    /// Names the key that is refused, for the log.
    #[must_use]
    pub fn of_key(mut self, name: &str) -> Self {
        self.key = Some(name.into());
        self
    }

    /// Adds a key to the body.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// Returns the body of the reply.
    pub fn to_json(&self) -> Value {
        let mut body = self.extra.clone().unwrap_or_default();
        body.insert("success".into(), false.into());
        body.insert("error".into(), self.code.into());
        body.insert("message".into(), self.short_message().into());
        Value::Object(body)
    }

    fn short_message(&self) -> String {
        self.message.chars().take(MAX_MESSAGE_CHARS).collect()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.to_json())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let message = self.short_message();
        response.extensions_mut().insert(Refusal { code: self.code, message, key: self.key });
        response
    }
}

/// An extractor for a JSON body.
///
/// Rejects another content type and a content encoding with 415, a body above the router's limit with 413, a body that does
/// not arrive within [`BODY_READ_TIMEOUT`] with 408, and a body that is not JSON or not a `T` with 400.
#[derive(Clone, Copy, Debug)]
pub struct StrictJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for StrictJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        RawJson::from_request(request, state).await.map(|body| Self(body.value))
    }
}

/// An extractor like [`StrictJson`] that also keeps the bytes, for routes that forward them.
#[derive(Clone, Debug)]
pub struct RawJson<T> {
    /// The body as received, without a byte order mark.
    pub bytes: Bytes,
    /// The value parsed from it.
    pub value: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for RawJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let message = "send the body as `Content-Type: application/json`";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let message = "send the body without `Content-Encoding`";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let reading = tokio::time::timeout(BODY_READ_TIMEOUT, Bytes::from_request(request, state));
        let Ok(read) = reading.await else {
            let message = format!("the body did not come within {} s", BODY_READ_TIMEOUT.as_secs());
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message));
        };
        let bytes = read.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let message = "the body is larger than this call takes";
                return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message);
            }
            ApiError::bad_request("the body could not be read to its end")
        })?;
        let bytes = without_byte_order_mark(bytes);
        let value = parse_json(&bytes)?;
        Ok(Self { bytes, value })
    }
}

/// Removes the mark that some programs write before a text. JSON (RFC 8259, section 8.1) lets a receiver ignore it.
fn without_byte_order_mark(bytes: Bytes) -> Bytes {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if bytes.starts_with(MARK) { bytes.slice(MARK.len()..) } else { bytes }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Serde would also accept an array, in the order of the struct's fields, which is not part of the interface.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::bad_request("the body must be a JSON object, and it is an array"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| invalid_json(&error))?;
    json.end().map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!("the body goes on after its JSON value at line {line} column {column}"))
    })?;
    Ok(value)
}

fn invalid_json(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    let (line, column) = (inner.line(), inner.column());
    if !inner.is_data() {
        return ApiError::bad_request(format!("the body is no valid JSON at line {line} column {column}"));
    }
    let path = error.path().to_string();
    let place = if path == "." { "the body".to_owned() } else { format!("`{path}` in the body") };
    let what = public_reason(&inner.to_string()).unwrap_or_else(|| "has a value of the wrong form".to_owned());
    ApiError::bad_request(format!("{place} {what}, at line {line} column {column}"))
}

/// Returns Serde's reason if it mentions JSON keys only. Its other texts may contain names of our types.
fn public_reason(text: &str) -> Option<String> {
    let text = text.split(" at line ").next().unwrap_or_default();
    let (what, rest) = text.split_once(" field ").or_else(|| text.split_once(" variant "))?;
    match what {
        "missing" => Some(format!("lacks {rest}")),
        "unknown" => Some(format!("is not known: {rest}")),
        "duplicate" => Some(format!("has {rest} twice")),
        _ => None,
    }
}

/// An extractor for the query of the URL.
///
/// Rejects duplicate keys, unknown keys and invalid values with 400. `T` must deny unknown fields.
#[derive(Clone, Copy, Debug)]
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned> StrictQuery<T> {
    /// Parses the query of a URL, for routes that build the error reply themselves.
    pub fn from_uri(uri: &Uri) -> Result<Self, ApiError> {
        let pairs: Query<Vec<(String, String)>> =
            Query::try_from_uri(uri).map_err(|_| ApiError::bad_request("the query of the URL is malformed"))?;
        let mut keys = BTreeSet::new();
        for (key, _) in &pairs.0 {
            if !keys.insert(key) {
                return Err(ApiError::bad_request(format!("the query has `{key}` more than once")));
            }
        }
        let query = Query::<T>::try_from_uri(uri).map_err(|rejection| {
            let text = rejection.body_text();
            let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            ApiError::bad_request(format!("in the query of the URL: {reason}"))
        })?;
        Ok(Self(query.0))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = ApiError;

    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Result<Self, ApiError>> + Send {
        ready(Self::from_uri(&parts.uri))
    }
}

/// An extractor that rejects any query with 400, for routes without one.
///
/// An ignored query would look as if it had an effect. The rejection also keeps keys out of URLs, even if the right one
/// is in a header.
#[derive(Clone, Copy, Debug)]
pub struct NoQuery;

impl NoQuery {
    /// Checks that a URL has no query, for code that has only the URL.
    pub fn from_uri(uri: &Uri) -> Result<Self, ApiError> {
        match uri.query() {
            None | Some("") => Ok(Self),
            Some(_) => Err(ApiError::bad_request("this call takes no query")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Result<Self, ApiError>> + Send {
        ready(Self::from_uri(&parts.uri))
    }
}

/// Adds error replies for unknown paths and methods. Call it after all routes have been added.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    with_method_fallback(router.fallback(path_not_found))
}

/// Adds error replies for unknown methods to the routes that `router` has so far.
///
/// For a router that is merged into another one, which has a fallback of its own.
pub fn with_method_fallback<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.method_not_allowed_fallback(method_not_allowed)
}

async fn path_not_found(uri: Uri) -> ApiError {
    unknown_path(uri.path())
}

/// Returns the error reply for a path that does not exist.
///
/// Clients of the original open `/socket.io/`, and are told where the events are.
pub fn unknown_path(path: &str) -> ApiError {
    if path.split('/').any(|part| part == "socket.io") {
        return ApiError::not_found("there is no Socket.IO here: open a WebSocket at /api/events, which sends JSON");
    }
    ApiError::not_found("there is nothing at this path")
}

/// Returns the error reply for a method that a path does not support, for routers without [`with_fallbacks`].
pub async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not answer to this method")
}

#[cfg(test)]
mod tests;
