//! Tests of the link against a real TLS server on loopback.

pub(crate) mod barn;
mod first_contact;
mod post;

use super::{Address, HttpsLink, LinkSetupError, Trust};
use barn::{Authority, Barn, Identity};
use bytes::Bytes;
use rcgen::KeyPair;
use service::sync::link::{Link, LinkError, LinkResponse, LiveChannel, LiveResponse};
use std::net::{Ipv4Addr, TcpListener};

const KEY: &str = "hxb_key";
const LIMIT_BYTES: usize = 100_000;
const TIMEOUT_MS: u64 = 10_000;

fn link(addresses: &[String], trust: &Trust) -> HttpsLink {
    let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    HttpsLink::new(addresses, trust, KEY).unwrap()
}

fn new_identity() -> Identity {
    Identity::self_signed(KeyPair::generate().unwrap())
}

/// Starts a barn, and returns it with a link that is paired with it.
fn paired() -> (Barn, HttpsLink) {
    let identity = new_identity();
    let barn = Barn::start(&identity);
    let link = link(&[barn.at.to_string()], &Trust::Pin(identity.pin()));
    (barn, link)
}

async fn headers(link: &HttpsLink) -> Result<LinkResponse, LinkError> {
    link.get("/headers?after=1", false, LIMIT_BYTES, TIMEOUT_MS).await
}

/// Returns an address that nothing listens on.
fn dead_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Returns an address that accepts connections and never sends a byte.
fn silent_address() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn open_live(link: &HttpsLink, path: &str) -> LiveResponse<super::HttpsChannel> {
    link.open_live(path, TIMEOUT_MS).await.unwrap()
}

/// Catches a link that checks names or dates under a pin, or sends the API key anywhere but in its header.
#[tokio::test]
async fn a_pinned_key_is_accepted_whatever_the_certificate_says() {
    let (_barn, link) = paired();
    let answer = headers(&link).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "hxb_key application/vnd.herdlinx+postcard");
}

#[tokio::test]
async fn another_key_is_rejected_and_named_in_the_error() {
    let (barn, _) = paired();
    let expected = new_identity().pin();
    let link = link(&[barn.at.to_string()], &Trust::Pin(expected));
    for error in [headers(&link).await.unwrap_err(), link.open_live("/echo", TIMEOUT_MS).await.unwrap_err()] {
        assert!(matches!(error, LinkError::NotTrusted { .. }), "{error:?}");
        assert!(error.to_string().contains(&hex::encode(expected)), "{error}");
    }
    assert_eq!(barn.requests(), 0, "the API key must not reach a stranger");
}

/// Catches a comparison of pins that ends early.
#[tokio::test]
async fn a_pin_that_differs_in_its_last_byte_only_is_refused() {
    let identity = new_identity();
    let barn = Barn::start(&identity);
    for byte in [0, 31] {
        let mut pin = identity.pin();
        pin[byte] ^= 1;
        let link = link(&[barn.at.to_string()], &Trust::Pin(pin));
        assert!(matches!(headers(&link).await, Err(LinkError::NotTrusted { .. })), "byte {byte}");
    }
    assert_eq!(barn.requests(), 0);
}

#[tokio::test]
async fn a_certificate_without_its_private_key_is_rejected() {
    let identity = new_identity();
    // The stranger presents the barn's certificate, which is public, and signs with its own key.
    let stranger = tokio_rustls::TlsAcceptor::from(forged(&identity));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let link = link(&[listener.local_addr().unwrap().to_string()], &Trust::Pin(identity.pin()));
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stranger.accept(stream).await.map(|_| ())
    });
    let error = headers(&link).await.unwrap_err();
    assert!(matches!(error, LinkError::NotTrusted { .. }), "{error:?}");
    assert!(serving.await.unwrap().is_err());
}

/// Returns a server configuration that presents `identity`'s certificate and signs with another key.
fn forged(identity: &Identity) -> std::sync::Arc<rustls::ServerConfig> {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    let provider = rustls::crypto::ring::default_provider();
    let other = KeyPair::generate().unwrap().serialize_der();
    let signing = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(other).into()).unwrap();
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![identity.certificate.clone()], signing));
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(shown));
    std::sync::Arc::new(config)
}

#[tokio::test]
async fn a_renewed_certificate_is_accepted_only_for_the_same_key() {
    let identity = new_identity();
    let barn = Barn::start(&identity);
    let link = link(&[barn.at.to_string()], &Trust::Pin(identity.pin()));
    let same_key = KeyPair::from_pem(&identity.key.serialize_pem()).unwrap();
    barn.renew(&Identity::self_signed(same_key));
    assert_eq!(link.get("/headers", true, LIMIT_BYTES, TIMEOUT_MS).await.unwrap().status, 200);
    barn.renew(&new_identity());
    let other = super::HttpsLink::new(link.addresses.clone(), &Trust::Pin(identity.pin()), KEY).unwrap();
    assert!(matches!(headers(&other).await, Err(LinkError::NotTrusted { .. })));
}

#[tokio::test]
async fn an_authority_is_trusted_only_for_the_dialed_name() {
    let authority = Authority::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &authority.pem).unwrap();
    let trust = Trust::Authority(file.path().into());

    let named = Barn::start(&authority.sign("localhost"));
    let by_name = link(&[format!("localhost:{}", named.at.port())], &trust);
    assert_eq!(headers(&by_name).await.unwrap().status, 200);
    assert!(matches!(open_live(&by_name, "/echo").await, LiveResponse::Open(_)));

    let by_address = link(&[named.at.to_string()], &trust);
    assert!(matches!(headers(&by_address).await, Err(LinkError::NotTrusted { .. })));

    let self_signed = Barn::start(&new_identity());
    let stranger = link(&[format!("localhost:{}", self_signed.at.port())], &trust);
    assert!(matches!(headers(&stranger).await, Err(LinkError::NotTrusted { .. })));
}

#[test]
fn an_authority_file_without_certificates_is_rejected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let addresses = vec!["barn:5001".parse().unwrap()];
    let error = HttpsLink::new(addresses, &Trust::Authority(file.path().into()), KEY).unwrap_err();
    assert!(error.to_string().contains("holds no certificate"), "{error}");
}

#[tokio::test]
async fn the_link_skips_dead_and_silent_addresses_and_remembers_the_one_that_works() {
    let identity = new_identity();
    let barn = Barn::start(&identity);
    let (_silent, silent) = silent_address();
    let link = link(&[dead_address(), silent, barn.at.to_string()], &Trust::Pin(identity.pin()));
    assert_eq!(headers(&link).await.unwrap().status, 200);
    assert_eq!(link.known().unwrap().to_string(), barn.at.to_string());
    assert!(matches!(open_live(&link, "/echo").await, LiveResponse::Open(_)));
}

#[tokio::test]
async fn the_other_addresses_are_tried_once_the_remembered_one_is_dead() {
    let identity = new_identity();
    let (first, second) = (Barn::start(&identity), Barn::start(&identity));
    let link = link(&[first.at.to_string(), second.at.to_string()], &Trust::Pin(identity.pin()));
    assert_eq!(headers(&link).await.unwrap().status, 200);
    assert_eq!(link.known().unwrap().to_string(), first.at.to_string());
    drop(first);
    // The pooled connection may break during the next request; the request after it must find the other address.
    let answers = [headers(&link).await, headers(&link).await];
    assert!(answers[1].as_ref().is_ok_and(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(link.known().unwrap().to_string(), second.at.to_string());
}

#[tokio::test]
async fn an_unreachable_barn_and_a_stranger_give_different_errors() {
    let pin = Trust::Pin(new_identity().pin());
    let nobody = link(&[dead_address()], &pin);
    assert!(matches!(headers(&nobody).await, Err(LinkError::Unreachable { .. })));
    assert!(matches!(nobody.open_live("/echo", TIMEOUT_MS).await, Err(LinkError::Unreachable { .. })));

    let stranger = Barn::start(&new_identity());
    let both = link(&[stranger.at.to_string(), dead_address()], &pin);
    assert!(matches!(headers(&both).await, Err(LinkError::NotTrusted { .. })));
}

#[tokio::test]
async fn requests_share_a_connection_unless_a_fresh_one_is_requested() {
    let (barn, link) = paired();
    for _ in 0..3 {
        headers(&link).await.unwrap();
    }
    assert_eq!(barn.connections(), 1);
    link.get("/headers", true, LIMIT_BYTES, TIMEOUT_MS).await.unwrap();
    assert_eq!(barn.connections(), 2);
}

#[tokio::test]
async fn a_response_over_the_limit_is_rejected_with_or_without_a_content_length() {
    let (_barn, link) = paired();
    for path in ["/long", "/endless"] {
        let error = link.get(path, false, LIMIT_BYTES, TIMEOUT_MS).await.unwrap_err();
        assert!(matches!(error, LinkError::TooLong { limit_bytes: LIMIT_BYTES, .. }), "{path}: {error:?}");
    }
}

/// Catches a limit that is a byte too low or too high.
#[tokio::test]
async fn a_response_of_exactly_the_limit_is_whole() {
    let (_barn, link) = paired();
    for (path, bytes) in [("/long", 1_000_000), ("/slow", 200)] {
        let whole = link.get(path, false, bytes, TIMEOUT_MS).await.unwrap();
        assert_eq!((whole.body.len(), whole.cut), (bytes, None), "{path}");
        let error = link.get(path, false, bytes - 1, TIMEOUT_MS).await.unwrap_err();
        assert!(matches!(error, LinkError::TooLong { .. }), "{path}: {error:?}");
    }
}

/// Catches an address that is given up because of one long answer, and one that is used for ever although it is silent.
#[tokio::test]
async fn an_address_is_forgotten_only_if_it_does_not_lead_to_the_barn() {
    let identity = new_identity();
    let barn = Barn::start(&identity);
    let link = link(&[dead_address(), barn.at.to_string()], &Trust::Pin(identity.pin()));
    assert!(link.known().is_none() && link.peer().contains(" or "), "{}", link.peer());
    headers(&link).await.unwrap();
    assert_eq!(link.peer(), barn.at.to_string());
    assert!(link.get("/long", false, LIMIT_BYTES, TIMEOUT_MS).await.is_err());
    assert_eq!(link.known().unwrap().to_string(), barn.at.to_string());
    link.get("/silent", false, LIMIT_BYTES, 100).await.unwrap_err();
    assert!(link.known().is_none());
}

/// Catches an office that asks for no health, shows no key, or asks for another host than it means.
#[tokio::test]
async fn a_live_connection_is_asked_for_with_the_key_and_the_blobs_that_are_read() {
    let (barn, link) = paired();
    let LiveResponse::Refused(refused) = open_live(&link, "/refuse-headers").await else {
        panic!("the connection was opened")
    };
    assert_eq!(refused.body, format!("{} Upgrade websocket 13 hxb_key barn-health", barn.at));
    let Err(error) = link.open_live("/wrong-accept", TIMEOUT_MS).await else { panic!("another protocol") };
    assert!(error.to_string().contains("a protocol other than WebSocket"), "{error}");
}

/// Catches a ping that passes for a blob or ends the connection, and a text that passes for one.
#[tokio::test]
async fn only_blobs_are_received_and_each_byte_is_a_sign_of_life() {
    let (_barn, link) = paired();
    let LiveResponse::Open(mut live) = open_live(&link, "/ping").await else { panic!("the connection was refused") };
    assert_eq!(live.receive().await.unwrap(), Some(Bytes::from_static(b"blob")));
    let LiveResponse::Open(mut live) = open_live(&link, "/echo").await else { panic!("the connection was refused") };
    let before = live.last_byte_at().unwrap();
    live.send(Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(live.receive().await.unwrap(), Some(Bytes::from_static(b"one")));
    assert!(live.last_byte_at().unwrap() > before);
    let LiveResponse::Open(mut live) = open_live(&link, "/text").await else { panic!("the connection was refused") };
    let error = live.receive().await.unwrap_err();
    assert!(matches!(&error, LinkError::Broken { why, .. } if why.contains("text message")), "{error:?}");
}

#[test]
fn a_pairing_that_cannot_be_used_is_refused_before_anything_is_sent() {
    let pin = Trust::Pin([0; 32]);
    let barn = || vec!["barn:5001".parse().unwrap()];
    assert!(matches!(HttpsLink::new(Vec::new(), &pin, KEY), Err(LinkSetupError::NoAddress)));
    assert!(matches!(HttpsLink::new(barn(), &pin, "two\nlines"), Err(LinkSetupError::InvalidKey)));
    let missing = HttpsLink::new(barn(), &Trust::Authority("/nowhere/ca.pem".into()), KEY).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
}

#[tokio::test]
async fn a_silent_barn_gives_a_timeout() {
    let (_barn, to_barn) = paired();
    let error = to_barn.get("/silent", false, LIMIT_BYTES, 100).await.unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { after_ms: 100, .. }), "{error:?}");
    let (_silent, address) = silent_address();
    let nobody = link(&[address], &Trust::Pin(new_identity().pin()));
    assert!(matches!(nobody.open_live("/echo", 100).await, Err(LinkError::TimedOut { after_ms: 100, .. })));
}

/// Catches a response that is given up although it still arrives. The whole takes 1 s, each step of it a twentieth.
#[tokio::test]
async fn a_response_may_take_longer_than_the_time_without_progress() {
    let (_barn, link) = paired();
    let answer = link.get("/slow", false, LIMIT_BYTES, 600).await.unwrap();
    assert_eq!((answer.body.len(), answer.cut), (200, None));
}

/// Catches a response that is lost whole because its end is missing, and one that waits forever for its end.
#[tokio::test]
async fn what_arrived_of_a_response_without_an_end_is_returned_with_the_cause() {
    let (_barn, link) = paired();
    let cut = link.get("/cut", false, LIMIT_BYTES, TIMEOUT_MS).await.unwrap();
    // The server may drop its last piece together with the connection.
    assert!(cut.status == 200 && [20, 30].contains(&cut.body.len()), "{cut:?}");
    assert!(matches!(cut.cut, Some(LinkError::Broken { .. })), "{cut:?}");
    let stuck = link.get("/stuck", false, LIMIT_BYTES, 600).await.unwrap();
    assert_eq!((stuck.status, stuck.body.len()), (200, 30));
    assert!(matches!(stuck.cut, Some(LinkError::TimedOut { after_ms: 600, .. })), "{stuck:?}");
}

#[tokio::test]
async fn redirects_are_returned_and_not_followed() {
    let (_barn, link) = paired();
    assert_eq!(link.get("/elsewhere", false, LIMIT_BYTES, TIMEOUT_MS).await.unwrap().status, 302);
}

#[tokio::test]
async fn a_live_connection_carries_blobs_both_ways_until_it_is_closed() {
    let (_barn, link) = paired();
    let LiveResponse::Open(mut live) = open_live(&link, "/echo?after=1").await else {
        panic!("the connection was refused")
    };
    for blob in [Bytes::from_static(b"one"), Bytes::from(vec![7; 300_000])] {
        live.send(blob.clone()).await.unwrap();
        assert_eq!(live.receive().await.unwrap(), Some(blob));
    }
    live.send(Bytes::new()).await.unwrap();
    // The barn may drop the connection or close it properly; neither may look like a blob.
    assert!(!matches!(live.receive().await, Ok(Some(_))));
    live.close().await;
}

#[tokio::test]
async fn a_refused_live_connection_returns_the_whole_response() {
    let (_barn, link) = paired();
    let LiveResponse::Refused(answer) = open_live(&link, "/refuse").await else { panic!("the connection was opened") };
    assert_eq!((answer.status, answer.body.as_ref()), (409, b"first second".as_slice()));
    assert!(matches!(link.open_live("/refuse-long", TIMEOUT_MS).await, Err(LinkError::TooLong { .. })));
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_live_connection() {
    let (_barn, link) = paired();
    let LiveResponse::Open(mut live) = open_live(&link, "/flood").await else { panic!("the connection was refused") };
    assert!(matches!(live.receive().await, Err(LinkError::TooLong { .. })));
}

#[test]
fn debug_output_hides_the_key() {
    let link = link(&["barn:5001".into()], &Trust::Pin([0; 32]));
    assert!(!format!("{link:?} {:?}", link.key).contains(KEY));
}
