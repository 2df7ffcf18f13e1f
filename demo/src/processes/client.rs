//! A client of one process, which it knows by its key.

use super::ProcessError;
use bytes::{Bytes, BytesMut};
use mirror::link::{Trust, client};
use reqwest::header::{ACCEPT, HeaderMap};
use serde_json::Value;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

/// A whole answer must be there by then. Longer than the longest wait that `/api/sync/changes` grants (30 s).
const ANSWERED_WITHIN: Duration = Duration::from_secs(45);
/// The longest answer that is read: the export of a long demo fits many times.
const MAX_ANSWER_BYTES: usize = 1024 * 1024 * 1024;
/// As much of an unexpected body stands in the error.
const SHOWN_CHARS: usize = 300;

/// A client over HTTPS/1.1 that pins the public key of one process. It keeps its connections, opens new ones when the
/// process was restarted, and never repeats a request by itself. Clones share the connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// An answer while it comes, for those that are too long to be held.
#[derive(Debug)]
pub struct Coming {
    response: reqwest::Response,
    url: String,
}

impl Coming {
    /// The next bytes of the body; none at its end. An error where it breaks off before.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ProcessError> {
        let url = &self.url;
        let failed = |why: String| ProcessError::Request { url: url.clone(), why };
        let next = tokio::time::timeout(ANSWERED_WITHIN, self.response.chunk()).await;
        let next = next.map_err(|_| failed(format!("nothing came for {ANSWERED_WITHIN:?}")))?;
        next.map_err(|error| failed(innermost(&error)))
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    url: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value, ProcessError> {
        serde_json::from_slice(&self.body).map_err(|_| self.unexpected())
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Itself, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self, ProcessError> {
        if self.status == status { Ok(self) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> ProcessError {
        let body = self.text().chars().take(SHOWN_CHARS).collect();
        ProcessError::Unexpected { url: self.url.clone(), status: self.status, body }
    }
}

impl Client {
    /// A client of whoever listens at `address` and holds the key with this SHA-256, presenting `key` if there is one.
    pub fn new(address: SocketAddr, spki_sha256: [u8; 32], key: Option<&str>) -> Result<Self, ProcessError> {
        let http = client(&Trust::Pin(spki_sha256))?;
        Ok(Self { http, base: format!("https://{address}"), key: key.map(str::to_owned) })
    }

    /// Gets a path, asking for a media type. Not cancelled half-way: a dropped call closes its connection.
    pub async fn get(&self, path: &str, accept: &str) -> Result<Reply, ProcessError> {
        let url = format!("{}{path}", self.base);
        self.send(self.http.get(&url).header(ACCEPT, accept), url).await
    }

    /// Begins to get a path, which must be answered by 200; the body is then taken as it comes.
    pub async fn open(&self, path: &str, accept: &str) -> Result<Coming, ProcessError> {
        let url = format!("{}{path}", self.base);
        let request = self.with_key(self.http.get(&url).header(ACCEPT, accept));
        let failed = |why: String| ProcessError::Request { url: url.clone(), why };
        let sent = tokio::time::timeout(ANSWERED_WITHIN, request.send()).await;
        let sent = sent.map_err(|_| failed(format!("no answer within {ANSWERED_WITHIN:?}")))?;
        let response = sent.map_err(|error| failed(innermost(&error)))?;
        match response.status().as_u16() {
            200 => Ok(Coming { response, url }),
            status => Err(ProcessError::Unexpected { url, status, body: String::new() }),
        }
    }

    fn with_key(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => request.header("X-API-Key", key),
            None => request,
        }
    }

    /// Gets a path as JSON, which must be answered by 200.
    pub async fn get_json(&self, path: &str) -> Result<Value, ProcessError> {
        self.get(path, "application/json").await?.expect(200)?.json()
    }

    /// Posts JSON. Where this fails, the other side may have done what it was asked all the same.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Reply, ProcessError> {
        let url = format!("{}{path}", self.base);
        self.send(self.http.post(&url).header(ACCEPT, "application/json").json(body), url).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, url: String) -> Result<Reply, ProcessError> {
        let request = self.with_key(request);
        let failed = |error: reqwest::Error| ProcessError::Request { url: url.clone(), why: innermost(&error) };
        let mut response = request.timeout(ANSWERED_WITHIN).send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let why = format!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
                return Err(ProcessError::Request { url, why });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze(), url })
    }
}

/// The error below all others says what happened.
fn innermost(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = inner.to_string();
        next = inner.source();
    }
    text
}
