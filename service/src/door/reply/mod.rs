//! The form of every refusal, and extractors that refuse in that form.
//!
//! A refusal is `{"success":false,"error":"<code>","message":"..."}` with further keys where the call has any. Its
//! text says what was wrong with the request and nothing about the inside of the program.

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
use std::time::Duration;

/// A body must have come by then, however slowly its sender sends.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest message given back: it may quote what the sender sent.
pub const MAX_MESSAGE_CHARS: usize = 300;

/// A refusal, ready to be an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Its HTTP status.
    pub status: StatusCode,
    /// The word programs decide on.
    pub code: &'static str,
    /// The sentence people read.
    pub message: String,
    /// Further keys beside the three; one named like those three is left out.
    pub extra: Option<Map<String, Value>>,
    /// Sent as `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// A refusal with nothing beside status, code and message.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), extra: None, retry_after_s: None }
    }

    /// 400 `bad_request`: the request cannot be meant like that; sending it again cannot help.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401 `unauthorized`: no key, or none that is known.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403 `forbidden`: the key is known and not good for this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404 `not_found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 503 with a code of the caller's: not now; the same request may be sent again after so many seconds.
    pub fn unavailable(code: &'static str, message: impl Into<String>, retry_after_s: u32) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        Self { retry_after_s: Some(retry_after_s), ..error }
    }

    /// With one more key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// The answer's body.
    pub fn to_json(&self) -> Value {
        let mut body = self.extra.clone().unwrap_or_default();
        body.insert("success".into(), false.into());
        body.insert("error".into(), self.code.into());
        body.insert("message".into(), self.message.chars().take(MAX_MESSAGE_CHARS).collect::<String>().into());
        Value::Object(body)
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
        response
    }
}

/// A JSON body: another content type is 415, a body over the router's limit 413, one that does not come 408, one
/// that is no JSON or not of `T`'s form 400.
#[derive(Clone, Copy, Debug)]
pub struct StrictJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for StrictJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        JsonAsSent::from_request(request, state).await.map(|sent| Self(sent.value))
    }
}

/// As [`StrictJson`], with the bytes as they came, for those who pass them on.
#[derive(Clone, Debug)]
pub struct JsonAsSent<T> {
    /// The body.
    pub bytes: Bytes,
    /// What it says.
    pub value: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonAsSent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let message = "send the body as `Content-Type: application/json`";
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
        let value = parse_json(&bytes)?;
        Ok(Self { bytes, value })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Serde would read a struct out of an array too, by the order of its fields, which is nothing that a caller knows.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::bad_request("the body must be a JSON object, and it is an array"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| json_refusal(&error))?;
    json.end().map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!("the body goes on after its JSON value at line {line} column {column}"))
    })?;
    Ok(value)
}

fn json_refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
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

/// Serde's text where it speaks of outward names only; its other texts may hold names of types.
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

/// The query of the URL: a key given twice, one that `T` does not know (`T` denies unknown fields) and a value that
/// cannot be read are 400.
#[derive(Clone, Copy, Debug)]
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned> StrictQuery<T> {
    /// The query of this URL, for those who choose the form of the refusal themselves.
    pub fn of_uri(uri: &Uri) -> Result<Self, ApiError> {
        let pairs: Query<Vec<(String, String)>> =
            Query::try_from_uri(uri).map_err(|_| ApiError::bad_request("the query of the URL cannot be read"))?;
        let mut seen = BTreeSet::new();
        for (key, _) in &pairs.0 {
            if !seen.insert(key) {
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
        ready(Self::of_uri(&parts.uri))
    }
}

/// No query: a call that takes none refuses one with 400, so that nobody believes that it did something. It also keeps
/// keys out of URLs, even beside the right one in a header.
#[derive(Clone, Copy, Debug)]
pub struct NoQuery;

impl NoQuery {
    /// Whether this URL has none, for those who have the URL alone.
    pub fn of_uri(uri: &Uri) -> Result<Self, ApiError> {
        match uri.query() {
            None | Some("") => Ok(Self),
            Some(_) => Err(ApiError::bad_request("this call takes no query")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Result<Self, ApiError>> + Send {
        ready(Self::of_uri(&parts.uri))
    }
}

/// Gives the router the answers to paths and methods that it does not have, in the form of all others.
/// Call it when every route stands.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    refusing_other_methods(router.fallback(nothing_here))
}

/// Gives the routes that stand by now the answer to methods that they do not have, in the form of all others: for a
/// router that is merged into one with a fallback of its own.
pub fn refusing_other_methods<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.method_not_allowed_fallback(not_by_this_method)
}

async fn nothing_here() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}

/// The answer to a method that a path does not have, for routers that get no [`with_fallbacks`].
pub async fn not_by_this_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not answer to this method")
}

#[cfg(test)]
mod tests;
