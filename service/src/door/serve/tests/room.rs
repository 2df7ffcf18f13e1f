//! The room for bytes in memory, and the slices in which an answer takes it.

use super::super::budget::{AnswerBody, BODY_ROOM_TIMEOUT, Claim};
use super::super::connection::Room;
use super::super::connections::AdmittedConnection;
use super::*;
use axum::body::{Body, Bytes, HttpBody as _};
use http_body::SizeHint;
use http_body_util::BodyExt as _;
use std::net::{IpAddr, Ipv4Addr};

const MIB: usize = 1024 * 1024;

fn admitted() -> AdmittedConnection {
    Connections::default().admit(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7))).unwrap()
}

/// Catches a limit that was changed by mistake. Their sum is the memory that the server may take.
#[test]
fn a_peer_has_half_of_the_room_and_a_queue_of_its_own() {
    let AdmittedConnection { connection, .. } = &admitted();
    let free = |room: &Room| {
        let Room { answers, bodies, sockets, reads, readers } = room;
        [answers, bodies, sockets, reads, readers].map(|part| part.available_permits())
    };
    let [of_peer, of_all] = connection.rooms();
    assert_eq!(free(of_peer), [8 * MIB, 4 * MIB, 64, 4, 32]);
    assert_eq!(free(of_all), [16 * MIB, 8 * MIB, 128, 8, 1024]);
}

/// Catches an answer that never finds room because it is larger than all of it.
#[test]
fn an_answer_above_the_room_of_its_peer_takes_all_of_it() {
    let AdmittedConnection { connection, .. } = &admitted();
    let of_all = &connection.rooms()[1].answers;
    let claim = Claim::now(connection, 100 * MIB).unwrap();
    assert_eq!(of_all.available_permits(), 8 * MIB);
    assert!(Claim::now(connection, 1).is_none());
    drop(claim);
    assert!(Claim::now(connection, 8 * MIB).is_some());
    assert_eq!(of_all.available_permits(), 16 * MIB);
}

/// Catches bodies that together take more memory than they claim, and a single payload that has to wait.
#[tokio::test(start_paused = true)]
async fn a_body_claims_its_size_unless_it_is_small_and_waits_for_room() {
    let AdmittedConnection { connection, .. } = &admitted();
    let of_all = &connection.rooms()[1].bodies;
    for (size, claimed) in [
        (SizeHint::with_exact(4_096), 0),
        (SizeHint::with_exact(4_097), 4_097),
        (SizeHint::with_exact(524_288), 524_288),
        (SizeHint::with_exact(u64::MAX), 524_288),
        (SizeHint::new(), 524_288),
    ] {
        let claim = Claim::for_body(connection, &size).await.unwrap();
        assert_eq!((claim.is_some(), 8 * MIB - of_all.available_permits()), (claimed > 0, claimed), "{size:?}");
    }
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(Claim::for_body(connection, &SizeHint::new()).await.unwrap());
    }
    let one_more = tokio::time::timeout(BODY_ROOM_TIMEOUT * 2, Claim::for_body(connection, &SizeHint::new())).await;
    assert!(one_more.expect("it waits for ever").is_err());
    assert!(Claim::for_body(connection, &SizeHint::with_exact(4_096)).await.unwrap().is_none());
}

/// Catches an answer that is cut at its last slice, says a wrong length, or gives its room back before it is taken.
#[tokio::test]
async fn an_answer_is_handed_over_in_slices_that_hold_its_room_until_they_are_taken() {
    let AdmittedConnection { connection, .. } = &admitted();
    let of_all = &connection.rooms()[1].answers;
    let held = || 16 * MIB - of_all.available_permits();
    let page: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for is_stream in [false, true] {
        let inner = if is_stream {
            let parts = [page[..35_000].to_vec(), page[35_000..].to_vec()].map(Ok::<_, io::Error>);
            Body::from_stream(futures::stream::iter(parts))
        } else {
            Body::from(page.clone())
        };
        let claim = (!is_stream).then(|| Claim::now(connection, page.len()).unwrap());
        let mut body = AnswerBody::new(inner, claim, connection.begin_request());
        let mut slices: Vec<Bytes> = Vec::new();
        loop {
            let rest = page.len() - slices.concat().len();
            if !is_stream {
                assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(rest as u64), rest == 0));
            }
            let Some(frame) = body.frame().await else { break };
            slices.push(frame.unwrap().into_data().unwrap());
        }
        let lengths: Vec<_> = slices.iter().map(Bytes::len).collect();
        let expected = if is_stream { &[16_384, 16_384, 2_232, 5_000][..] } else { &[16_384, 16_384, 7_232] };
        assert_eq!(lengths, expected);
        assert_eq!(slices.concat(), page);
        drop(body);
        assert_eq!(held(), page.len());
        drop(slices);
        assert_eq!(held(), 0);
    }
}
