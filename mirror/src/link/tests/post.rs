//! Tests of POST requests, which are sent at most once.

use super::barn::{Barn, Identity};
use super::{dead_address, link, new_identity, silent_address};
use crate::link::{HttpsLink, PostBounds, PostError, PostResponse, Trust};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use futures::stream;
use rcgen::KeyPair;
use service::sync::link::LinkError;
use std::io;

const BOUNDS: PostBounds = PostBounds { connect_ms: 10_000, response_ms: 10_000, response_bytes: 1_000 };
const BODY: &[u8] = b" {\"a\" : \"\\u00e4\"}\n";

fn router() -> Router {
    let cut = async || {
        let pieces = [Ok("half of it"), Err(io::Error::other("the barn fell over"))];
        (StatusCode::CREATED, Body::from_stream(stream::iter(pieces)))
    };
    let echo = async |headers: HeaderMap, body: Bytes| {
        let names = ["x-api-key", "content-type", "accept"];
        let shown = names.map(|name| headers.get(name).unwrap().to_str().unwrap().to_owned()).join(" ");
        (StatusCode::CONFLICT, [("retry-after", "7")], format!("{shown} {}", String::from_utf8_lossy(&body)))
    };
    Router::new()
        .route("/echo", post(echo))
        .route("/silent", post(std::future::pending::<()>))
        .route("/cut", post(cut))
        .route("/long", post(async || vec![b' '; 1_001]))
}

fn paired() -> (Barn, HttpsLink) {
    let identity = Identity::self_signed(KeyPair::generate().unwrap());
    let barn = Barn::start_with(&identity, router());
    let link = link(&[dead_address(), barn.at.to_string()], &Trust::Pin(identity.pin()));
    (barn, link)
}

async fn send(link: &HttpsLink, path: &str, bounds: PostBounds) -> Result<PostResponse, PostError> {
    link.post(path, Bytes::from_static(BODY), bounds).await
}

#[tokio::test]
async fn the_body_is_sent_unchanged_and_the_response_is_returned_whole() {
    let (_barn, link) = paired();
    let response = send(&link, "/echo", BOUNDS).await.unwrap();
    assert_eq!((response.status, response.retry_after_s), (409, Some(7)));
    let expected = [b"hxb_key application/json application/json ", BODY].concat();
    assert_eq!(response.body, expected);
}

/// Catches a response that is refused because it is as long as it may be.
#[tokio::test]
async fn a_response_of_exactly_the_limit_is_returned() {
    let (_barn, link) = paired();
    let response = send(&link, "/long", PostBounds { response_bytes: 1_001, ..BOUNDS }).await.unwrap();
    assert_eq!((response.status, response.body.len(), response.retry_after_s), (200, 1_001, None));
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own() {
    let (barn, link) = paired();
    for sent in 1..=3 {
        send(&link, "/echo", BOUNDS).await.unwrap();
        assert_eq!((barn.connections(), barn.requests()), (sent, sent));
    }
}

#[tokio::test]
async fn a_failure_before_the_connection_is_not_sent() {
    let stranger = Barn::start(&new_identity());
    let pin = Trust::Pin(new_identity().pin());
    let nobody = send(&link(&[dead_address()], &pin), "/echo", BOUNDS).await;
    assert!(matches!(nobody, Err(PostError::NotSent(LinkError::Unreachable { .. }))), "{nobody:?}");
    let other = send(&link(&[stranger.at.to_string()], &pin), "/echo", BOUNDS).await;
    assert!(matches!(other, Err(PostError::NotSent(LinkError::NotTrusted { .. }))), "{other:?}");
    assert_eq!(stranger.requests(), 0);
    let (_silent, address) = silent_address();
    let bounds = PostBounds { connect_ms: 100, ..BOUNDS };
    let silent = send(&link(&[address], &pin), "/echo", bounds).await;
    assert!(matches!(silent, Err(PostError::NotSent(LinkError::TimedOut { after_ms: 100, .. }))), "{silent:?}");
}

#[tokio::test]
async fn a_failure_after_the_connection_is_in_doubt_and_not_retried() {
    let (barn, link) = paired();
    let silent = send(&link, "/silent", PostBounds { response_ms: 200, ..BOUNDS }).await;
    assert!(matches!(silent, Err(PostError::InDoubt(LinkError::TimedOut { after_ms: 200, .. }))), "{silent:?}");
    let cut = send(&link, "/cut", BOUNDS).await;
    assert!(matches!(cut, Err(PostError::InDoubt(LinkError::Broken { .. }))), "{cut:?}");
    let long = send(&link, "/long", BOUNDS).await;
    assert!(matches!(long, Err(PostError::InDoubt(LinkError::TooLong { limit_bytes: 1_000, .. }))), "{long:?}");
    assert_eq!(barn.requests(), 3);
}
