//! GET requests over HTTPS, with responses that are read whole.

use super::address::Address;
use super::dial::DIAL_TIMEOUT_MS;
use super::trust::untrusted_reason;
use super::{HttpsLink, KEY_HEADER, LinkSetupError};
use bytes::{Bytes, BytesMut};
use hyper::header::ACCEPT;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use service::sync::link::{BLOB_TYPE, LinkError, LinkResponse};
use std::time::Duration;

/// The step that errors name.
pub(super) const DOING: &str = "waiting for its response";
/// Lifetime of an idle connection, in milliseconds.
///
/// It is shorter than the barn's (`service::door::serve::HEADER_READ_TIMEOUT`, 10 s), so that no request is sent on a
/// connection that the barn is closing.
const IDLE_MS: u64 = 8_000;
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
    pub(super) async fn fetch(&self, path: &str, fresh: bool, limit_bytes: usize) -> Result<LinkResponse, LinkError> {
        let own;
        let client = if fresh {
            own = client((*self.tls).clone()).map_err(|error| self.broken(&error))?;
            &own
        } else {
            &self.client
        };
        if let Some(address) = self.known() {
            match self.fetch_from(client, address, path, limit_bytes).await {
                Err(LinkError::Unreachable { .. }) if self.addresses.len() > 1 => self.forget(),
                outcome => return outcome,
            }
        }
        let (address, probe) = self.dial().await?;
        drop(probe);
        self.fetch_from(client, address, path, limit_bytes).await
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
    ) -> Result<LinkResponse, LinkError> {
        let failed = |error: reqwest::Error| link_error(address, error);
        let request = client.get(format!("https://{address}{path}"));
        let request = request.header(KEY_HEADER, self.key.clone()).header(ACCEPT, BLOB_TYPE);
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let too_long = || LinkError::TooLong { peer: address.to_string(), limit_bytes };
        let claimed = response.content_length().unwrap_or(0);
        if claimed > limit_bytes as u64 {
            return Err(too_long());
        }
        let initial = usize::try_from(claimed).unwrap_or(INITIAL_BODY_BYTES).min(INITIAL_BODY_BYTES);
        let mut body = BytesMut::with_capacity(initial);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit_bytes {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(LinkResponse { status, body: Bytes::from(body) })
    }
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
