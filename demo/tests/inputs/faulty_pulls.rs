//! A source whose answers to pulls are wrong.
//!
//! Catches: a page that the follower applies without proof, and a follower that stops when it should retry, does not
//! report why it waits, or asks again without a pause.

use super::pair::Pair;
use super::source::{HonestAnswer, Lie, PulledLie};
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::store::Changes;
use herd::wire::{Acknowledgment, ExportEnd, MAX_BLOB_BYTES, Page, PageEnd, to_blob};
use mirror::follow::{FollowEnd, LinkState};
use serde_json::json;
use service::sync::divergence::Divergence;
use service::sync::link::LinkResponse;

const HEADER_BYTES: usize = 14;
const DIGEST_BYTES: usize = 32;

fn answer(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

fn ok(blob: Vec<u8>) -> Response {
    answer(200, blob)
}

/// Returns the page, altered and sealed again, so that only its content shows that it is wrong.
fn altered(honest: &HonestAnswer, alter: impl FnOnce(&mut Page)) -> Response {
    let mut page = honest.page.clone();
    alter(&mut page);
    ok(to_blob(&page))
}

/// Returns the blob with another body, and with the length and digest of that body.
fn sealed(blob: &[u8], body: &[u8]) -> Response {
    let mut sealed = blob[..HEADER_BYTES - 4].to_vec();
    sealed.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    sealed.extend_from_slice(body);
    let digest = blake3::hash(&sealed);
    sealed.extend_from_slice(digest.as_bytes());
    ok(sealed)
}

fn with_length(blob: &[u8], length: u32) -> Response {
    let mut blob = blob.to_vec();
    blob[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    ok(blob)
}

fn flipped(blob: &[u8], at: usize) -> Response {
    let mut blob = blob.to_vec();
    blob[at] ^= 0x10;
    ok(blob)
}

fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 16_384]))))
}

fn without(changes: &Changes, left_out: usize) -> Changes {
    changes.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, bytes)| bytes).collect()
}

/// Lets one office survive each lie in turn.
async fn assert_each_survived(cases: &[(&str, &str, PulledLie)]) {
    let pair = Pair::new().await;
    for (case, why, lie) in cases {
        pair.assert_survives(case, Lie::Pulled(*lie), why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_reported_with_its_status_and_retried() {
    assert_each_survived(&[
        ("409 without positions", "status 409", |_| answer(409, "{}")),
        ("409 that is not JSON", "status 409", |_| answer(409, "conflict")),
        ("409 with half a position", "status 409", |_| answer(409, r#"{"held":{"sequence":1}}"#)),
        ("401", "status 401: unknown key", |_| answer(401, r#"{"success":false,"message":"unknown key"}"#)),
        ("403", "status 403", |_| answer(403, "")),
        ("404", "status 404", |_| answer(404, "<html><body>Not Found</body></html>")),
        ("500", "status 500: no reason given", |_| answer(500, vec![0xff; 100])),
        ("500 with a blob", "status 500", |honest| answer(500, honest.blob.clone())),
        ("503", "status 503: later", |_| answer(503, r#"{"message":"later"}"#)),
        ("a redirect", "status 302", |_| answer(302, "")),
        ("no content", "status 204", |_| answer(204, "")),
        ("a message of a megabyte", "status 500: xxxx", |_| {
            answer(500, json!({"message": "x".repeat(1_000_000)}).to_string())
        }),
        ("an endless refusal", "more than", |_| answer(500, endless())),
    ])
    .await;
    let pair = Pair::new().await;
    pair.assert_survives(
        "a long message",
        Lie::Pulled(|_| answer(500, json!({"message": "x".repeat(9_000)}).to_string())),
        "x",
    )
    .await;
    assert_eq!(pair.status().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_one_whole_page_is_rejected() {
    assert_each_survived(&[
        ("HTML", "not a HerdLinx blob", |_| ok(b"<!doctype html><title>Router login</title>".to_vec())),
        ("JSON", "not a HerdLinx blob", |_| ok(br#"{"success":true,"changes":[]}"#.to_vec())),
        ("an empty body", "was cut short: 0 of", |_| ok(Vec::new())),
        ("an endless body", "more than", |_| answer(200, endless())),
        ("a body that breaks off", "broke while", |honest| {
            let parts = [Ok(Bytes::from(honest.blob[..40].to_vec())), Err(std::io::Error::other("reset"))];
            answer(200, Body::from_stream(stream::iter(parts)))
        }),
        ("the magic alone", "was cut short: 8 of 14 bytes", |honest| ok(honest.blob[..8].to_vec())),
        ("the header alone", "was cut short: 14 of", |honest| ok(honest.blob[..HEADER_BYTES].to_vec())),
        ("cut in the middle", "was cut", |honest| ok(honest.blob[..honest.blob.len() / 2].to_vec())),
        ("cut by its last byte", "was cut", |honest| ok(honest.blob[..honest.blob.len() - 1].to_vec())),
        ("a byte too many", "1 bytes follow", |honest| ok([&honest.blob, &b"x"[..]].concat())),
        ("two pages in one answer", "bytes follow", |honest| ok([honest.blob.as_slice(), &honest.blob].concat())),
        ("another magic", "not a HerdLinx blob", |honest| flipped(&honest.blob, 0)),
        ("another wire version", "wire version 17", |honest| flipped(&honest.blob, 8)),
        ("an unknown kind", "kind 17 instead of kind 1", |honest| flipped(&honest.blob, 9)),
        ("an altered body", "altered on its way", |honest| flipped(&honest.blob, HEADER_BYTES + 30)),
        ("an altered digest", "altered on its way", |honest| flipped(&honest.blob, honest.blob.len() - 1)),
        ("a heartbeat's kind", "kind 3", |honest| flipped_kind(honest, 3)),
        ("an acknowledgment", "kind 2", |honest| ok(to_blob(&Acknowledgment { durable: honest.page.end.end }))),
        ("the end of an export", "kind 5", |honest| ok(to_blob(&ExportEnd { count: 3, end: honest.page.end.end }))),
    ])
    .await;
}

fn flipped_kind(honest: &HonestAnswer, kind: u8) -> Response {
    let mut blob = honest.blob.clone();
    blob[9] = kind;
    ok(blob)
}

#[tokio::test(start_paused = true)]
async fn a_false_length_is_rejected_before_anything_is_kept_for_it() {
    assert_each_survived(&[
        ("the longest length", "announces a blob of 4294967295 bytes", |honest| with_length(&honest.blob, u32::MAX)),
        ("a length beyond any page", "announces", |honest| {
            with_length(&honest.blob, u32::try_from(MAX_BLOB_BYTES).unwrap() + 1)
        }),
        ("a length of all that is allowed", "was cut", |honest| {
            with_length(&honest.blob, u32::try_from(MAX_BLOB_BYTES).unwrap())
        }),
        ("no length", "bytes follow", |honest| with_length(&honest.blob, 0)),
        ("a byte more", "was cut", |honest| {
            with_length(&honest.blob, u32::try_from(honest.blob.len() - HEADER_BYTES - DIGEST_BYTES).unwrap() + 1)
        }),
        ("a byte less", "1 bytes follow", |honest| {
            with_length(&honest.blob, u32::try_from(honest.blob.len() - HEADER_BYTES - DIGEST_BYTES).unwrap() - 1)
        }),
        ("an empty body that fits its digest", "cannot be decoded", |honest| sealed(&honest.blob, b"")),
        ("a cut body that fits its digest", "cannot be decoded", |honest| {
            sealed(&honest.blob, &honest.blob[HEADER_BYTES..honest.blob.len() - DIGEST_BYTES - 1])
        }),
        ("a longer body that fits its digest", "cannot be decoded", |honest| {
            let body = &honest.blob[HEADER_BYTES..honest.blob.len() - DIGEST_BYTES];
            sealed(&honest.blob, &[body, b"\0"].concat())
        }),
        ("more changes than can be", "cannot be decoded", |honest| {
            // A page without changes ends with their count, which is 0.
            let empty = to_blob(&Page { changes: Changes::default(), ..honest.page.clone() });
            let body = &empty[HEADER_BYTES..empty.len() - DIGEST_BYTES - 1];
            sealed(&honest.blob, &[body, &[0xff; 9], &[0x01]].concat())
        }),
        ("a change longer than the body", "cannot be decoded", |honest| {
            let empty = to_blob(&Page { changes: Changes::default(), ..honest.page.clone() });
            let body = &empty[HEADER_BYTES..empty.len() - DIGEST_BYTES - 1];
            sealed(&honest.blob, &[body, &[1, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat())
        }),
        ("a change longer than any", "has 3145728 bytes; the limit is", |honest| {
            altered(honest, |page| page.changes.push(&vec![1; 3 * 1024 * 1024]))
        }),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn pages_that_skip_repeat_or_end_elsewhere_are_rejected() {
    assert_each_survived(&[
        ("the page after this one", "but got those after", |honest| {
            let later = honest.reader.position_at(honest.page.after.sequence.next()).unwrap().unwrap();
            ok(to_blob(&page_after(honest, later)))
        }),
        ("all from the start again", "but got those after", |honest| {
            let start = honest.reader.position_at(Sequence::ZERO).unwrap().unwrap();
            ok(to_blob(&page_after(honest, start)))
        }),
        ("the first change is missing", "does not lead to the digest", |honest| {
            altered(honest, |page| page.changes = without(&page.changes, 0))
        }),
        ("one within is missing", "does not lead to the digest", |honest| {
            altered(honest, |page| page.changes = without(&page.changes, 1))
        }),
        ("the last change is missing", "does not lead to the digest", |honest| {
            altered(honest, |page| page.changes = without(&page.changes, 2))
        }),
        ("a change is there twice", "does not lead to the digest", |honest| {
            altered(honest, |page| page.changes = page.changes.iter().take(1).chain(page.changes.iter()).collect())
        }),
        ("the order is reversed", "does not lead to the digest", |honest| {
            altered(honest, |page| {
                let reversed: Vec<&[u8]> = page.changes.iter().collect();
                page.changes = reversed.into_iter().rev().collect();
            })
        }),
        ("a change is altered", "does not lead to the digest", |honest| {
            altered(honest, |page| {
                let mut last = page.changes.get(2).unwrap().to_vec();
                *last.last_mut().unwrap() ^= 1;
                page.changes = page.changes.iter().take(2).chain([last.as_slice()]).collect();
            })
        }),
        ("an empty change is added", "does not lead to the digest", |honest| {
            altered(honest, |page| page.changes.push(b""))
        }),
        ("another digest at the end", "does not lead to the digest", |honest| {
            altered(honest, |page| page.end.end.digest = Digest([9; 32]))
        }),
        ("another number at the end", "does not lead to the digest", |honest| {
            altered(honest, |page| page.end.end.sequence = Sequence(u64::MAX))
        }),
        ("another epoch at the end", "does not lead to the digest", |honest| {
            altered(honest, |page| page.end.end.epoch = Epoch(2))
        }),
        ("another store at the end", "does not lead to the digest", |honest| {
            altered(honest, |page| page.end.end.store = StoreId([9; 16]))
        }),
        ("another store at both ends", "but got those after", |honest| {
            altered(honest, |page| {
                page.after.store = StoreId([9; 16]);
                page.end.end.store = StoreId([9; 16]);
            })
        }),
        ("no changes, and an end elsewhere", "without changes that leads from", |honest| {
            altered(honest, |page| page.changes = Changes::default())
        }),
        ("a wrong end, and more behind it", "does not lead to the digest", |honest| {
            altered(honest, |page| {
                page.changes = page.changes.iter().take(1).collect();
                page.end.end = Position { sequence: page.after.sequence.next(), digest: Digest([9; 32]), ..page.after };
                page.end.head = Sequence(u64::MAX);
            })
        }),
    ])
    .await;
}

fn page_after(honest: &HonestAnswer, after: Position) -> Page {
    let run = honest.reader.run_after(after, 10, 1_000_000).unwrap();
    Page::new(run, honest.page.end.head, honest.page.end.barn)
}

/// Catches a follower that asks again at once, without end.
#[tokio::test(start_paused = true)]
async fn a_source_that_announces_changes_and_sends_none_is_not_asked_in_a_loop() {
    let pair = Pair::new().await;
    let before = pair.copy_state();
    let announcement = Lie::Pulled(|honest| {
        let end = PageEnd { end: honest.page.after, head: Sequence(u64::MAX), barn: honest.page.end.barn };
        ok(to_blob(&Page { after: honest.page.after, end, changes: Changes::default() }))
    });
    pair.start_lying("announced changes", announcement).await;
    pair.wait_until("announced changes", |status| status.link == LinkState::Live).await;
    assert_eq!(pair.copy_state(), before);
    let before_a_minute = pair.status().total_syncs();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let tries = pair.status().total_syncs() - before_a_minute;
    assert!(tries < 20, "{tries} tries in a minute");
    pair.lie.send_replace(Lie::None);
    pair.barn.record_more(3).await;
    pair.wait_until_equal("after the announcements").await;
}

/// A 409 that shows another history is not a network failure. An operator decides, and the copy stays.
#[tokio::test(start_paused = true)]
async fn a_409_with_another_position_stops_the_follower_and_the_copy_stays_served() {
    let other_history = |_: &HonestAnswer| {
        let held =
            Position { store: StoreId([9; 16]), epoch: Epoch(1), sequence: Sequence(5), digest: Digest([9; 32]) };
        answer(409, json!({"success": false, "error": "diverged", "held": held}).to_string())
    };
    let mut pair = Pair::new().await;
    let before = pair.copy_state();
    pair.lie.send_replace(Lie::Pulled(other_history));
    pair.barn.record_more(3).await;
    assert_eq!(pair.end().await, FollowEnd::Diverged(Divergence::Other));
    let status = pair.status();
    assert_eq!((status.link, status.diverged), (LinkState::Stopped, Some(Divergence::Other)));
    assert!(status.last_error.unwrap().contains("another history"));
    assert_eq!(pair.copy_state(), before);
    assert!(pair.barn.head().sequence > pair.office.head().position.sequence);
    pair.lie.send_replace(Lie::None);
    pair.follow();
    pair.wait_until_equal("followed again").await;
}

/// Name of a case, a part of the error that the follower reports, and the answer.
type Refusal = (&'static str, &'static str, fn() -> LinkResponse);

#[tokio::test(start_paused = true)]
async fn a_refused_live_connection_is_reported_with_its_status() {
    let pair = Pair::new().await;
    let cases: [Refusal; 5] = [
        ("live 401", "status 401", || LinkResponse::whole(401, Bytes::new())),
        ("live 404", "status 404", || LinkResponse::whole(404, "<html>")),
        ("live 409", "status 409", || LinkResponse::whole(409, "{}")),
        ("live 500", "status 500: broken", || LinkResponse::whole(500, r#"{"message":"broken"}"#)),
        ("live 200", "status 200", || LinkResponse::whole(200, "hello")),
    ];
    for (case, why, refusal) in cases {
        pair.lie.send_replace(Lie::Refused(refusal));
        pair.wait_until(case, |status| status.last_error.as_ref().is_some_and(|error| error.contains(why))).await;
        // Pulls continue: without the live connection the copy is late, but right.
        pair.barn.record_more(2).await;
        let wanted = pair.barn.reader.head();
        pair.office.subscribe().wait_for(|head| *head == wanted).await.unwrap();
        pair.lie.send_replace(Lie::None);
        pair.wait_until_equal(case).await;
    }
}
