//! Refused reads as the door sees them.

use super::*;
use crate::test_world::clock;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use service::door::keys::{KeyRing, Scope};
use service::door::reply::ApiError;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 20));

fn observe(refusals: &ReadRefusals, path: &str, response: &Response) {
    refusals.observe(ObservedAnswer { peer: PEER, path, response });
}

fn counts(refusals: &ReadRefusals) -> Vec<(&'static str, u64)> {
    refusals.counts().into_iter().filter(|(_, count)| *count > 0).collect()
}

fn of_outcome(outcome: CallOutcome) -> Response {
    let mut response = StatusCode::OK.into_response();
    response.extensions_mut().insert(outcome);
    response
}

/// Catches a refusal that no number shows, other calls that count as reads, and reads that are taken and count.
#[tokio::test]
async fn each_refused_read_counts_under_the_code_of_its_answer() {
    let refusals = ReadRefusals::default();
    for (path, response) in [
        (PAYLOAD_PATHS[0], ApiError::unauthorized("no key").into_response()),
        (PAYLOAD_PATHS[1], ApiError::unavailable("disk_full", "the disk is full", 60).into_response()),
        (PAYLOAD_PATHS[1], StatusCode::URI_TOO_LONG.into_response()),
        (PAYLOAD_PATHS[0], StatusCode::CREATED.into_response()),
        ("/api/remote/status", ApiError::unauthorized("no key").into_response()),
    ] {
        observe(&refusals, path, &response);
    }
    assert_eq!(counts(&refusals), [("unauthorized", 1), ("disk_full", 1), ("other", 1)]);
    let rejected = |count| (RefusalKind::of_code("rejected"), count, "no known prefix".to_owned());
    observe(&refusals, PAYLOAD_PATHS[0], &of_outcome(CallOutcome { is_any_taken: true, refused: vec![rejected(998)] }));
    observe(&refusals, PAYLOAD_PATHS[0], &of_outcome(CallOutcome { is_any_taken: true, refused: Vec::new() }));
    assert_eq!(counts(&refusals), [("unauthorized", 1), ("rejected", 998), ("disk_full", 1), ("other", 1)]);
}

/// Catches a finding that leaves out whose key it is, although the route knows.
#[tokio::test(start_paused = true)]
async fn the_finding_names_the_key_of_a_sender_that_was_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let keys = KeyRing::load(local, Arc::new(clock()), SeededRandomness::new(1)).unwrap();
    let secret = keys.add("chute-2", [Scope::Ingest].into()).unwrap();
    let mut response = ApiError::bad_request("no valid JSON").into_response();
    response.extensions_mut().insert(Caller(keys.check(secret.reveal()).unwrap().into()));
    let refusals = ReadRefusals::default();
    for _ in 0..streak::MIN_CALLS {
        observe(&refusals, PAYLOAD_PATHS[0], &response);
        tokio::time::advance(streak::MIN_DURATION).await;
    }
    let finding = refusals.finding().unwrap();
    assert!(finding.contains("in 12 min of 5 calls") && finding.contains("with the key `chute-2`"), "{finding}");
}

/// Catches a barn that takes nothing for minutes and calls itself well, and one that stays unwell although it takes reads
/// again. A sender in the field with a wrong key sends again and again.
#[tokio::test(start_paused = true)]
async fn a_door_that_takes_nothing_for_minutes_is_a_finding_until_a_read_is_taken() {
    let refusals = ReadRefusals::default();
    let refuse =
        || observe(&refusals, PAYLOAD_PATHS[0], &ApiError::forbidden("a\u{202e}b").of_key("chute-1").into_response());
    for _ in 0..streak::MIN_CALLS {
        refuse();
    }
    assert_eq!(refusals.finding(), None);
    tokio::time::advance(streak::MIN_DURATION).await;
    assert_eq!(refusals.finding(), None, "nobody has called again");
    refuse();
    let finding = refusals.finding().unwrap();
    let named = ["192.168.1.20 with the key `chute-1`", r"a\u{202e}b", "herdlinxd key add"];
    assert!(named.iter().all(|part| finding.contains(part)), "{finding}");
    observe(&refusals, PAYLOAD_PATHS[0], &of_outcome(CallOutcome { is_any_taken: true, refused: Vec::new() }));
    assert_eq!(refusals.finding(), None);
}
