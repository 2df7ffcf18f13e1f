//! An HTTPS client of one process, identified by its public key.

use super::ProcessError;
use bytes::{Bytes, BytesMut};
use mirror::link::{Trust, client};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

/// Maximum time for a complete reply. Longer than the longest wait that `/api/sync/changes` grants (30 s).
const REPLY_TIMEOUT: Duration = Duration::from_secs(45);
/// Maximum size of a reply. The export of a long demo is far smaller.
const MAX_REPLY_BYTES: usize = 1024 * 1024 * 1024;
/// Length of the beginning of an unexpected body that the error shows.
const SHOWN_CHARS: usize = 300;

/// A client over HTTPS with HTTP/1.1 that pins the public key of one process.
///
/// It keeps its connections, opens new ones after a restart of the process, and never repeats a request by itself.
/// Clones share the connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    spki_sha256: [u8; 32],
    base: String,
    key: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A reply that is read piece by piece, for bodies that are too long for memory.
#[derive(Debug)]
pub struct ReplyStream {
    response: reqwest::Response,
    url: String,
}

impl ReplyStream {
    /// Returns the HTTP headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the next piece of the body, or `None` at its end. A body that breaks off is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ProcessError> {
        let url = &self.url;
        let failed = |reason: String| ProcessError::Request { url: url.clone(), reason };
        let next = tokio::time::timeout(REPLY_TIMEOUT, self.response.chunk()).await;
        let next = next.map_err(|_| failed(format!("no data for {REPLY_TIMEOUT:?}")))?;
        next.map_err(|error| failed(root_cause(&error)))
    }
}

/// A complete reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    url: String,
}

impl Reply {
    /// Parses the body as JSON.
    pub fn json(&self) -> Result<Value, ProcessError> {
        serde_json::from_slice(&self.body).map_err(|_| self.unexpected())
    }

    /// Returns the body as text, with invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the reply if it has this status, and an error otherwise.
    pub fn expect(self, status: u16) -> Result<Self, ProcessError> {
        if self.status == status { Ok(self) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> ProcessError {
        let body = self.text().chars().take(SHOWN_CHARS).collect();
        ProcessError::UnexpectedReply { url: self.url.clone(), status: self.status, body }
    }
}

impl Client {
    /// Returns a client of the process that listens at `address` and holds the key with this SHA-256. It presents
    /// `key`, if there is one.
    pub fn new(address: SocketAddr, spki_sha256: [u8; 32], key: Option<&str>) -> Result<Self, ProcessError> {
        let http = client(&Trust::Pin(spki_sha256))?;
        Ok(Self { http, spki_sha256, base: format!("https://{address}"), key: key.map(str::to_owned) })
    }

    /// Returns a client of the same process with connections of its own.
    pub fn apart(&self) -> Result<Self, ProcessError> {
        Ok(Self { http: client(&Trust::Pin(self.spki_sha256))?, ..self.clone() })
    }

    /// Gets a path and asks for a media type. A call that is dropped early closes its connection.
    pub async fn get(&self, path: &str, accept: &str) -> Result<Reply, ProcessError> {
        let url = format!("{}{path}", self.base);
        self.send(self.http.get(&url).header(ACCEPT, accept), url).await
    }

    /// Gets a path, expects the status 200, and returns the body as a stream.
    pub async fn open(&self, path: &str, accept: &str) -> Result<ReplyStream, ProcessError> {
        let url = format!("{}{path}", self.base);
        let request = self.with_key(self.http.get(&url).header(ACCEPT, accept));
        let failed = |reason: String| ProcessError::Request { url: url.clone(), reason };
        let sent = tokio::time::timeout(REPLY_TIMEOUT, request.send()).await;
        let sent = sent.map_err(|_| failed(format!("no answer within {REPLY_TIMEOUT:?}")))?;
        let response = sent.map_err(|error| failed(root_cause(&error)))?;
        match response.status().as_u16() {
            200 => Ok(ReplyStream { response, url }),
            status => Err(ProcessError::UnexpectedReply { url, status, body: String::new() }),
        }
    }

    fn with_key(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => request.header("X-API-Key", key),
            None => request,
        }
    }

    /// Gets a path as JSON and expects the status 200.
    pub async fn get_json(&self, path: &str) -> Result<Value, ProcessError> {
        self.get(path, "application/json").await?.expect(200)?.json()
    }

    /// Posts JSON. The process may have carried out the request even if this returns an error.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Reply, ProcessError> {
        let url = format!("{}{path}", self.base);
        self.send(self.http.post(&url).header(ACCEPT, "application/json").json(body), url).await
    }

    /// Posts a body that is JSON already, so that a measurement does not include making it.
    pub async fn post_bytes(&self, path: &str, body: Bytes) -> Result<Reply, ProcessError> {
        let url = format!("{}{path}", self.base);
        let request = self.http.post(&url).header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json");
        self.send(request.body(body), url).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, url: String) -> Result<Reply, ProcessError> {
        let request = self.with_key(request);
        let failed = |error: reqwest::Error| ProcessError::Request { url: url.clone(), reason: root_cause(&error) };
        let mut response = request.timeout(REPLY_TIMEOUT).send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_REPLY_BYTES {
                let reason = format!("the reply is longer than {MAX_REPLY_BYTES} bytes");
                return Err(ProcessError::Request { url, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze(), url })
    }
}

/// Returns the text of the innermost error, which describes the cause.
fn root_cause(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = inner.to_string();
        next = inner.source();
    }
    text
}
