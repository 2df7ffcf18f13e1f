//! One body sent to the barn, once.
//!
//! It goes over a connection of its own. A kept one may just be being closed by the other side, and then nobody knows
//! whether what was sent on it arrived; here all that fails before the first byte is told from what fails after it.

use super::exchange::{Exchange, whole_body};
use super::{HttpsLink, KEY_HEADER};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response};
use service::sync::link::LinkError;

const CONNECTING: &str = "connecting";
const DOING: &str = "waiting for its answer to what was sent";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long to wait, and how much to read.
#[derive(Clone, Copy, Debug)]
pub struct PostBounds {
    /// Milliseconds until a connection stands.
    pub connect_ms: u64,
    /// Milliseconds from then on until the whole answer is there.
    pub answer_ms: u64,
    /// Bytes of the answer's body at most.
    pub answer_bytes: usize,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, where it is in seconds.
    pub retry_after_s: Option<u32>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPosted {
    /// There was no connection: nothing was sent.
    #[error("nothing was sent: {0}")]
    NotSent(LinkError),
    /// It was sent, or a part of it: what became of it is not known.
    #[error("it is not known what became of what was sent: {0}")]
    InDoubt(LinkError),
}

impl HttpsLink {
    /// Sends a body of JSON to `path` and gives what is answered. Nothing is tried twice. Cancel-safe as far as that
    /// goes: cut after the connection stands, what became of the body is not known.
    pub async fn post(&self, path: &str, body: Bytes, bounds: PostBounds) -> Result<Posted, NotPosted> {
        let dialing = self.within(bounds.connect_ms, CONNECTING, self.dial());
        let (address, connection) = dialing.await.map_err(NotPosted::NotSent)?;
        let peer = address.to_string();
        let broken = |why: String| LinkError::Broken { peer: peer.clone(), doing: DOING, why };
        let request =
            request(&peer, path, &self.key, body).map_err(|error| NotPosted::NotSent(broken(error.to_string())))?;
        let exchanging = async {
            let mut exchange = Exchange::over(connection).await.map_err(|error| broken(error.to_string()))?;
            let response = exchange.send(request).await.map_err(|error| broken(error.to_string()))?;
            let (status, retry_after_s) = (response.status().as_u16(), retry_after_s(&response));
            let body = whole_body(&peer, DOING, response, bounds.answer_bytes).await?;
            Ok(Posted { status, retry_after_s, body })
        };
        self.within(bounds.answer_ms, DOING, exchanging).await.map_err(NotPosted::InDoubt)
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
