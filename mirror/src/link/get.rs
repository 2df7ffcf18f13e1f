//! Whole answers over HTTPS.

use super::address::Address;
use super::dial::DIAL_TIMEOUT_MS;
use super::trust::distrust;
use super::{HttpsLink, KEY_HEADER, NoLink};
use bytes::{Bytes, BytesMut};
use hyper::header::ACCEPT;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use service::sync::link::{BLOB_TYPE, LinkError, LinkResponse};
use std::time::Duration;

/// What is under way, in errors.
pub(super) const DOING: &str = "waiting for its answer";
/// An idle connection is closed after so long: before the barn does it (`service::door::serve::HEADER_READ_TIMEOUT`, 10 s),
/// so that no request meets a connection that is just being closed.
const IDLE_MS: u64 = 8_000;
/// So much is set aside for an answer before its bytes have come, whatever length it claims.
const ANSWER_START_BYTES: usize = 64 * 1024;

/// A client that keeps its connections.
pub(super) fn client(tls: ClientConfig) -> Result<reqwest::Client, NoLink> {
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
        .map_err(|error| NoLink::Client(error.to_string()))
}

impl HttpsLink {
    /// Asks at the address that worked last; where there is none, or nobody is there any more, at the one that wins
    /// the race.
    pub(super) async fn ask(&self, path: &str, fresh: bool, limit_bytes: usize) -> Result<LinkResponse, LinkError> {
        let own;
        let client = if fresh {
            own = client((*self.tls).clone()).map_err(|error| self.broken(&error))?;
            &own
        } else {
            &self.client
        };
        if let Some(address) = self.known() {
            match self.ask_at(client, address, path, limit_bytes).await {
                Err(LinkError::Unreachable { .. }) if self.addresses.len() > 1 => self.forget(),
                outcome => return outcome,
            }
        }
        let (address, probe) = self.dial().await?;
        drop(probe);
        self.ask_at(client, address, path, limit_bytes).await
    }

    fn broken(&self, error: &NoLink) -> LinkError {
        LinkError::Broken { peer: self.peer(), doing: "preparing a connection", why: error.to_string() }
    }

    async fn ask_at(
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
        let start = usize::try_from(claimed).unwrap_or(ANSWER_START_BYTES).min(ANSWER_START_BYTES);
        let mut body = BytesMut::with_capacity(start);
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
    // The URL stands in the message already, as the peer; its query is long and says nothing to a person.
    let error = error.without_url();
    if let Some(why) = distrust(&error) {
        return LinkError::NotTrusted { peer, why };
    }
    let why = innermost(&error);
    if error.is_connect() {
        return LinkError::Unreachable { peer, why };
    }
    LinkError::Broken { peer, doing: DOING, why }
}

/// The last error of a chain: the one that the network gave.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
