//! Tests of the first contact, from an office with a one-time code to a fake barn on loopback.

use super::barn::{Barn, Identity};
use super::{dead_address, new_identity};
use crate::link::{Address, FirstContactError, Introduction, introduce};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use herd::pairing::{
    BarnFacts, CodeKey, Fingerprint, Fingerprints, MAX_ADDRESSES, MAX_ANSWER_BYTES, PairAnswer, PairAnswerError,
    PairRequest, PairingCode,
};
use herd::position::StoreId;
use herd::randomness::SeededRandomness;
use service::sync::link::LinkError;

const OFFICE: Fingerprint = Fingerprint([0x0f; 32]);

fn key(seed: u64) -> CodeKey {
    PairingCode::generate(&mut SeededRandomness::new(seed)).unwrap().key()
}

fn introduction() -> Introduction {
    Introduction { key: key(1), office: OFFICE, office_name: "desk".into() }
}

/// Starts a barn whose card has this code, and which knows these addresses of itself.
fn pairing_barn(identity: &Identity, code: CodeKey, addresses: Vec<String>) -> Barn {
    let ends = Fingerprints { barn: Fingerprint(identity.pin()), office: OFFICE };
    let answer = async move |headers: HeaderMap, body: Bytes| {
        let request: PairRequest = serde_json::from_slice(&body).unwrap();
        if !headers.contains_key("host") || request.office_name != "desk" || !request.proves(&code, ends.barn) {
            return StatusCode::FORBIDDEN.into_response();
        }
        assert!(!headers.contains_key("x-api-key"));
        assert_eq!([&headers["content-type"], &headers["accept"]], ["application/json"; 2]);
        let facts = BarnFacts { site: "North".into(), store: StoreId([7; 16]), addresses };
        Json(PairAnswer::new(&code, &ends, facts)).into_response()
    };
    Barn::start_with(identity, Router::new().route("/api/pair", post(answer)))
}

/// Starts a machine that always gives this answer.
fn answering(status: StatusCode, body: impl Into<Bytes>) -> Barn {
    let body = body.into();
    let router = Router::new().route("/api/pair", post(async move || (status, body)));
    Barn::start_with(&new_identity(), router)
}

fn address(text: &impl ToString) -> Address {
    text.to_string().parse().unwrap()
}

/// Catches an office that pairs with the wrong machine, with another key than the barn has, or under addresses at which the barn
/// is not found again.
#[tokio::test]
async fn a_barn_that_proves_the_code_is_paired_under_the_address_that_worked() {
    let identity = new_identity();
    let far: Vec<_> = (0..MAX_ADDRESSES).map(|n| format!("10.0.0.{n}:5001")).collect();
    let barn = pairing_barn(&identity, key(1), far.clone());
    let stranger = answering(StatusCode::OK, "{}");
    let addresses = [address(&dead_address()), address(&stranger.at), address(&barn.at)];
    let pairing = introduce(&addresses, &introduction()).await.unwrap();
    assert_eq!((pairing.site.as_str(), pairing.store), ("North", StoreId([7; 16])));
    assert_eq!(pairing.spki_sha256, identity.pin());
    assert!(pairing.key.starts_with("hxb_"), "the text of a key");
    assert_eq!(pairing.addresses[0], barn.at.to_string());
    assert_eq!((pairing.addresses.len(), &pairing.addresses[1..]), (MAX_ADDRESSES, &far[..MAX_ADDRESSES - 1]));

    let known = vec!["10.0.0.1:5001".to_owned(), barn.at.to_string()];
    drop(barn);
    let barn = pairing_barn(&identity, key(1), known);
    let pairing = introduce(&[address(&barn.at)], &introduction()).await.unwrap();
    assert_eq!(pairing.addresses.iter().filter(|known| **known == barn.at.to_string()).count(), 1);
}

/// Catches a machine that is believed without the code, and an answer whose reason nobody can act on.
#[tokio::test]
async fn every_other_answer_is_refused_with_its_meaning() {
    let ends = Fingerprints { barn: Fingerprint([1; 32]), office: OFFICE };
    let facts = BarnFacts { site: "North".into(), store: StoreId([7; 16]), addresses: vec!["barn:1".into()] };
    let of_another_key = serde_json::to_vec(&PairAnswer::new(&key(1), &ends, facts)).unwrap();
    let barn = answering(StatusCode::OK, of_another_key);
    let error = introduce(&[address(&barn.at)], &introduction()).await.unwrap_err();
    let peer = barn.at.to_string();
    assert_eq!(error, FirstContactError::NotBelieved { peer, why: PairAnswerError::NotProved });

    for (status, meaning) in [
        (403, "another pairing code"),
        (404, "no pairing code waits there"),
        (409, "another office has paired"),
        (429, "asks to wait"),
        (400, "another version"),
        (503, "cannot pair at the moment"),
        (500, "not the answer of a barn"),
        (302, "not the answer of a barn"),
    ] {
        let barn = answering(StatusCode::from_u16(status).unwrap(), "secret words");
        let error = introduce(&[address(&barn.at)], &introduction()).await.unwrap_err();
        assert_eq!(error, FirstContactError::Refused { peer: barn.at.to_string(), status });
        let text = error.to_string();
        assert!(text.contains(meaning) && text.contains(&status.to_string()) && !text.contains("secret"), "{text}");
    }
    for body in [Bytes::new(), Bytes::from("<html>"), Bytes::from(r#"{"success":true}"#)] {
        let other = answering(StatusCode::OK, body);
        let error = introduce(&[address(&other.at)], &introduction()).await.unwrap_err();
        assert_eq!(error, FirstContactError::NotABarn { peer: other.at.to_string() });
    }
    let long = answering(StatusCode::OK, vec![b' '; MAX_ANSWER_BYTES + 1]);
    let error = introduce(&[address(&long.at)], &introduction()).await.unwrap_err();
    assert!(matches!(error, FirstContactError::Link(LinkError::TooLong { .. })), "{error:?}");
}

/// Catches a search that shows a silent address although another one has answered.
#[tokio::test]
async fn the_most_informative_answer_wins() {
    let dead = address(&dead_address());
    let no_barn = answering(StatusCode::OK, "<html>");
    let (wrong, long) = (answering(StatusCode::FORBIDDEN, ""), answering(StatusCode::OK, vec![b' '; 20_000]));
    let ends = Fingerprints { barn: Fingerprint([1; 32]), office: OFFICE };
    let facts = BarnFacts { site: "North".into(), store: StoreId([7; 16]), addresses: vec!["barn:1".into()] };
    let unproved = answering(StatusCode::OK, serde_json::to_vec(&PairAnswer::new(&key(2), &ends, facts)).unwrap());
    // From the one that says least to the one that says most.
    let ranked = [dead, address(&long.at), address(&no_barn.at), address(&wrong.at), address(&unproved.at)];
    for pair in ranked.windows(2) {
        let [less, more] = pair else { unreachable!("windows of two") };
        let shown = introduce(std::slice::from_ref(more), &introduction()).await.unwrap_err();
        assert!(shown.to_string().contains(&more.to_string()), "{shown}");
        for order in [[less.clone(), more.clone()], [more.clone(), less.clone()]] {
            let error = introduce(&order, &introduction()).await.unwrap_err();
            assert_eq!(error, shown, "{order:?}");
        }
    }
    let error = introduce(&[], &introduction()).await.unwrap_err();
    assert!(error.to_string().contains("no address is known"), "{error}");
}
