//! POST requests to the barn, each sent at most once.
//!
//! Each request has a connection of its own. The barn may be closing a pooled connection at the moment of use, and then
//! it is unknown whether the request arrived. With a new connection, a failure before the first byte can be told from
//! one after it: [`PostError::NotSent`] becomes a 503, and only [`PostError::InDoubt`] a 504.

use super::exchange::{Exchange, read_body};
use super::{HttpsLink, KEY_HEADER};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response};
use service::sync::link::LinkError;

const CONNECTING: &str = "connecting";
const DOING: &str = "waiting for its response to a sent request";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct PostBounds {
    /// Timeout for connecting, in milliseconds.
    pub connect_ms: u64,
    /// Timeout from the established connection to the end of the response, in milliseconds.
    pub response_ms: u64,
    /// Maximum length of the response's body.
    pub response_bytes: usize,
}

/// The response to a POST request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, if it is given in seconds.
    pub retry_after_s: Option<u32>,
    /// The body.
    pub body: Bytes,
}

/// Reason why a POST request has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There was no connection, so nothing was sent.
    #[error("nothing was sent: {0}")]
    NotSent(LinkError),
    /// The request was sent at least in part; the barn may have carried it out.
    #[error("the request was sent, but its outcome is unknown: {0}")]
    InDoubt(LinkError),
}

impl HttpsLink {
    /// Sends a JSON body to `path` and returns the response. Never retries.
    ///
    /// Cancel-safe only until the connection is established. If the future is dropped after that, it is unknown whether
    /// the barn received the body.
    pub async fn post(&self, path: &str, body: Bytes, bounds: PostBounds) -> Result<PostResponse, PostError> {
        let dialing = self.within(bounds.connect_ms, CONNECTING, self.dial());
        let (address, connection) = dialing.await.map_err(PostError::NotSent)?;
        let peer = address.to_string();
        let broken = |why: String| LinkError::Broken { peer: peer.clone(), doing: DOING, why };
        let request = request(&address.authority(), &address.path_to(path), &self.key, body)
            .map_err(|error| PostError::NotSent(broken(error.to_string())))?;
        let exchange = async {
            let mut exchange = Exchange::over(connection).await.map_err(|error| broken(error.to_string()))?;
            let response = exchange.send(request).await.map_err(|error| broken(error.to_string()))?;
            let (status, retry_after_s) = (response.status().as_u16(), retry_after_s(&response));
            let body = read_body(&peer, DOING, response, bounds.response_bytes).await?;
            Ok(PostResponse { status, retry_after_s, body })
        };
        self.within(bounds.response_ms, DOING, exchange).await.map_err(PostError::InDoubt)
    }
}

fn request(peer: &str, path: &str, key: &HeaderValue, body: Bytes) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    Request::post(path)
        .header(HOST, peer)
        .header(KEY_HEADER, key)
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, JSON)
        .body(Full::new(body))
}

fn retry_after_s(response: &Response<Incoming>) -> Option<u32> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}
