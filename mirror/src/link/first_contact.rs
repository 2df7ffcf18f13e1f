//! The first contact with a barn whose key is not known yet: both prove the one-time code of the barn's card.
//!
//! This is the only connection that does not check the peer's key, and it carries nothing but the exchange of
//! [`herd::pairing`], in which no secret travels. The peer is believed only after it has proved the code over the key
//! that it holds on this very connection.

use super::address::Address;
use super::dial::{self, Connection};
use super::exchange::{Exchange, read_body};
use super::trust::{first_contact_config, peer_fingerprint};
use bytes::Bytes;
use herd::pairing::{
    CodeKey, Fingerprint, Fingerprints, MAX_ADDRESSES, MAX_ANSWER_BYTES, PairAnswer, PairAnswerError, PairRequest,
    Pairing,
};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use rustls::ClientConfig;
use service::door::secret::Secret;
use service::sync::link::LinkError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Path of the exchange.
const PAIR_PATH: &str = "/api/pair";
/// Timeout from the established connection to the end of the answer, in milliseconds. The barn writes three times to its
/// card.
const ANSWER_TIMEOUT_MS: u64 = 20_000;
const DOING: &str = "proving the pairing code";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An office that introduces itself with a one-time code.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// Key of the code.
    pub key: CodeKey,
    /// Public key of the office.
    pub office: Fingerprint,
    /// Name of the office, which becomes the name of its API key.
    pub office_name: String,
}

/// Reason why a barn did not pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FirstContactError {
    /// The peer could not be reached, or the connection broke.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The peer refused the request.
    ///
    /// Its own text is not shown: nobody knows yet who it is.
    #[error("{peer} answered {status}: {}", meaning(*.status))]
    Refused {
        /// Address of the peer.
        peer: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer is none of a barn.
    #[error("{peer} gave an answer that no barn gives: is it another device, or a barn of another version?")]
    NotABarn {
        /// Address of the peer.
        peer: String,
    },
    /// The answer is not believed.
    #[error("{peer} is not believed: {why}")]
    NotBelieved {
        /// Address of the peer.
        peer: String,
        /// The reason.
        why: PairAnswerError,
    },
    /// TLS cannot be configured.
    #[error("cannot configure TLS: {0}")]
    Tls(String),
}

impl FirstContactError {
    /// Returns how much the error tells: a peer that answered says more than a silent address.
    fn weight(&self) -> u8 {
        match self {
            Self::Tls(_) | Self::NotBelieved { .. } => 4,
            Self::Refused { .. } => 3,
            Self::NotABarn { .. } => 2,
            Self::Link(LinkError::Unreachable { .. }) => 0,
            Self::Link(_) => 1,
        }
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        403 => {
            "its card has another pairing code (apply the latest file of `prepare`), or something between office and \
             barn answers in its place"
        }
        404 => {
            "no pairing code waits there: the card's file is not applied yet, or its code was used. See \
             herdlinx-result.txt on the card"
        }
        409 => "another office has paired by this code: prepare a new file for this office",
        429 => "it gets too many wrong proofs and asks to wait",
        400 => "it knows another version of the exchange: upgrade the older program",
        503 => "it cannot pair at the moment; its log says why",
        _ => "this is not the answer of a barn",
    }
}

/// Introduces the office at each of `addresses` in turn, until one of them proves to be the barn. Returns its pairing,
/// with that address first.
///
/// They are not raced like those of a known barn: whoever connects first may be a stranger. Cancel-safe, because the
/// barn gives the same answer again.
pub async fn introduce(addresses: &[Address], introduction: &Introduction) -> Result<Pairing, FirstContactError> {
    let tls = Arc::new(first_contact_config().map_err(|error| FirstContactError::Tls(error.to_string()))?);
    let no_address = LinkError::Unreachable { peer: "the barn".into(), why: "no address is known".into() };
    let mut failure = FirstContactError::from(no_address);
    for address in addresses {
        match introduce_at(address, &tls, introduction).await {
            Ok(pairing) => return Ok(with_first_address(pairing, address)),
            Err(error) if error.weight() >= failure.weight() => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

async fn introduce_at(
    address: &Address,
    tls: &Arc<ClientConfig>,
    introduction: &Introduction,
) -> Result<Pairing, FirstContactError> {
    let Introduction { key, office, office_name } = introduction;
    let connection = dial::connect(address, tls.clone()).await?;
    let peer = address.to_string();
    let not_a_barn = || FirstContactError::NotABarn { peer: peer.clone() };
    let barn = peer_fingerprint(&connection).ok_or_else(not_a_barn)?;
    let ends = Fingerprints { barn, office: *office };
    let body = serde_json::to_vec(&PairRequest::new(key, &ends, office_name)).map_err(|_| not_a_barn())?;
    let late = |_| LinkError::TimedOut { peer: peer.clone(), doing: DOING, after_ms: ANSWER_TIMEOUT_MS };
    let answering = timeout(Duration::from_millis(ANSWER_TIMEOUT_MS), post(address, connection, body.into()));
    let answer = answering.await.map_err(late)??;
    let answer: PairAnswer = serde_json::from_slice(&answer).map_err(|_| not_a_barn())?;
    let api_key = Secret::of_key(key.api_key(&ends)).reveal().to_owned();
    answer.verify(key, &ends, api_key).map_err(|why| FirstContactError::NotBelieved { peer: peer.clone(), why })
}

async fn post(address: &Address, connection: Connection, body: Bytes) -> Result<Bytes, FirstContactError> {
    let peer = address.to_string();
    let broken = |why: String| LinkError::Broken { peer: peer.clone(), doing: DOING, why };
    let request =
        Request::post(PAIR_PATH).header(HOST, address.authority()).header(CONTENT_TYPE, JSON).header(ACCEPT, JSON);
    let request = request.body(Full::new(body)).map_err(|error| broken(error.to_string()))?;
    let mut exchange = Exchange::over(connection).await.map_err(|error| broken(error.to_string()))?;
    let response = exchange.send(request).await.map_err(|error| broken(error.to_string()))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(FirstContactError::Refused { peer, status });
    }
    Ok(read_body(&peer, DOING, response, MAX_ANSWER_BYTES).await?)
}

/// Puts the address that worked in front: from here, the barn's own addresses may lead nowhere.
fn with_first_address(mut pairing: Pairing, address: &Address) -> Pairing {
    let worked = address.to_string();
    pairing.addresses.retain(|known| *known != worked);
    pairing.addresses.insert(0, worked);
    pairing.addresses.truncate(MAX_ADDRESSES);
    pairing
}
