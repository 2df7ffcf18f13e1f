//! GET requests over HTTPS, with responses that are read whole.

use super::address::Address;
use super::dial::DIAL_TIMEOUT_MS;
use super::trust::untrusted_reason;
use super::{HttpsLink, KEY_HEADER, LinkSetupError};
use bytes::BytesMut;
use hyper::header::ACCEPT;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use service::sync::link::{BLOB_TYPE, LinkError, LinkResponse};
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// The step that errors name.
pub(super) const DOING: &str = "waiting for its response";
/// Lifetime of an idle connection, in milliseconds.
///
/// It is shorter than the barn's (`service::door::serve::HEADER_READ_TIMEOUT`, 10 s), so that no request is sent on a
/// connection that the barn is closing.
const IDLE_MS: u64 = 8_000;
/// Maximum time for the body of a response, in milliseconds. What arrived by then is not lost: see `follow::pull`.
const MAX_TRANSFER_MS: u64 = 300_000;
/// Maximum memory reserved for a response before its bytes arrive, whatever length it claims.
const INITIAL_BODY_BYTES: usize = 64 * 1024;

/// Creates an HTTP client that reuses its connections.
pub(super) fn client(tls: ClientConfig) -> Result<reqwest::Client, LinkSetupError> {
    reqwest::Client::builder()
        .use_preconfigured_tls(tls)
        .http1_only()
        .https_only(true)
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_millis(DIAL_TIMEOUT_MS))
        .pool_idle_timeout(Duration::from_millis(IDLE_MS))
        .build()
        .map_err(|error| LinkSetupError::Client(error.to_string()))
}

impl HttpsLink {
    /// Sends a GET request to the address that worked last. If there is none, or it cannot be reached any more, dials
    /// all addresses and uses the one that answers first.
    ///
    /// Each wait for progress takes at most `idle_ms`.
    pub(super) async fn fetch(
        &self,
        path: &str,
        fresh: bool,
        limit_bytes: usize,
        idle_ms: u64,
    ) -> Result<LinkResponse, LinkError> {
        let own;
        let client = if fresh {
            own = client((*self.tls).clone()).map_err(|error| self.broken(&error))?;
            &own
        } else {
            &self.client
        };
        if let Some(address) = self.known() {
            match self.fetch_from(client, address, path, limit_bytes, idle_ms).await {
                Err(LinkError::Unreachable { .. }) if self.addresses.len() > 1 => self.forget(),
                outcome => return outcome,
            }
        }
        let (address, probe) = self.dial().await?;
        drop(probe);
        self.fetch_from(client, address, path, limit_bytes, idle_ms).await
    }

    fn broken(&self, error: &LinkSetupError) -> LinkError {
        LinkError::Broken { peer: self.peer(), doing: "preparing a connection", why: error.to_string() }
    }

    async fn fetch_from(
        &self,
        client: &reqwest::Client,
        address: &Address,
        path: &str,
        limit_bytes: usize,
        idle_ms: u64,
    ) -> Result<LinkResponse, LinkError> {
        let request = client.get(format!("https://{address}{path}"));
        let request = request.header(KEY_HEADER, self.key.clone()).header(ACCEPT, BLOB_TYPE);
        let mut response = within_ms(address, idle_ms, request.send()).await?;
        let status = response.status().as_u16();
        let claimed = response.content_length().unwrap_or(0);
        if claimed > limit_bytes as u64 {
            return Err(LinkError::TooLong { peer: address.to_string(), limit_bytes });
        }
        let initial = usize::try_from(claimed).unwrap_or(INITIAL_BODY_BYTES).min(INITIAL_BODY_BYTES);
        let mut body = BytesMut::with_capacity(initial);
        let reading = read_body(address, &mut response, &mut body, limit_bytes, idle_ms);
        let read = timeout(Duration::from_millis(MAX_TRANSFER_MS), reading).await;
        match read.unwrap_or_else(|_| Err(timed_out(address, MAX_TRANSFER_MS))) {
            Ok(()) => Ok(LinkResponse::whole(status, body)),
            Err(too_long @ LinkError::TooLong { .. }) => Err(too_long),
            Err(cut) => Ok(LinkResponse { status, body: body.freeze(), cut: Some(cut) }),
        }
    }
}

/// Appends the body of a response to `body`, which keeps what arrived if that fails.
async fn read_body(
    address: &Address,
    response: &mut reqwest::Response,
    body: &mut BytesMut,
    limit_bytes: usize,
    idle_ms: u64,
) -> Result<(), LinkError> {
    while let Some(chunk) = within_ms(address, idle_ms, response.chunk()).await? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(LinkError::TooLong { peer: address.to_string(), limit_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

/// Waits for the next step of a response, for at most `after_ms`.
async fn within_ms<T>(
    address: &Address,
    after_ms: u64,
    step: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, LinkError> {
    match timeout(Duration::from_millis(after_ms), step).await {
        Ok(outcome) => outcome.map_err(|error| link_error(address, error)),
        Err(_) => Err(timed_out(address, after_ms)),
    }
}

fn timed_out(address: &Address, after_ms: u64) -> LinkError {
    LinkError::TimedOut { peer: address.to_string(), doing: DOING, after_ms }
}

fn link_error(address: &Address, error: reqwest::Error) -> LinkError {
    let peer = address.to_string();
    // The message names the peer already; the URL's query is long and means nothing to a person.
    let error = error.without_url();
    if let Some(why) = untrusted_reason(&error) {
        return LinkError::NotTrusted { peer, why };
    }
    let why = innermost(&error);
    if error.is_connect() {
        return LinkError::Unreachable { peer, why };
    }
    LinkError::Broken { peer, doing: DOING, why }
}

/// Returns the text of the innermost error of a chain, which is the one from the network.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
