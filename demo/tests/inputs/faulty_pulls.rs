//! A source whose answers to pulls are wrong. What it would catch: a page that is believed without its proof, a
//! follower that ends where it should wait, that waits where it should say why, or that asks without end.

use super::office::Pair;
use super::source::{Lie, PulledLie, Told};
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::store::Changes;
use herd::wire::{Acknowledgement, ExportEnd, MAX_BLOB_BYTES, Page, PageEnd, to_blob};
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

/// The page, altered and sealed again: only what stands in it can tell that it is wrong.
fn altered(told: &Told, alter: impl FnOnce(&mut Page)) -> Response {
    let mut page = told.page.clone();
    alter(&mut page);
    ok(to_blob(&page))
}

/// The blob with other bytes for its body, and length and digest to fit.
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

/// Sends each lie in its turn to one office.
async fn each_is_survived(cases: &[(&str, &str, PulledLie)]) {
    let pair = Pair::new().await;
    for (case, why, lie) in cases {
        pair.survives(case, Lie::Pulled(*lie), why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_named_with_their_status_and_followed_by_another_try() {
    each_is_survived(&[
        ("409 without positions", "status 409", |_| answer(409, "{}")),
        ("409 that is no JSON", "status 409", |_| answer(409, "conflict")),
        ("409 with half a position", "status 409", |_| answer(409, r#"{"held":{"sequence":1}}"#)),
        ("401", "status 401: unknown key", |_| answer(401, r#"{"success":false,"message":"unknown key"}"#)),
        ("403", "status 403", |_| answer(403, "")),
        ("404", "status 404", |_| answer(404, "<html><body>Not Found</body></html>")),
        ("500", "status 500: it gave no reason", |_| answer(500, vec![0xff; 100])),
        ("500 with a blob", "status 500", |told| answer(500, told.blob.clone())),
        ("503", "status 503: later", |_| answer(503, r#"{"message":"later"}"#)),
        ("a redirection", "status 302", |_| answer(302, "")),
        ("no content", "status 204", |_| answer(204, "")),
        ("a message of a megabyte", "status 500: xxxx", |_| {
            answer(500, json!({"message": "x".repeat(1_000_000)}).to_string())
        }),
        ("an endless refusal", "more than", |_| answer(500, endless())),
    ])
    .await;
    let pair = Pair::new().await;
    pair.survives(
        "a long message",
        Lie::Pulled(|_| answer(500, json!({"message": "x".repeat(9_000)}).to_string())),
        "x",
    )
    .await;
    assert_eq!(pair.status().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_whole_blob_of_a_page_is_not_believed() {
    each_is_survived(&[
        ("HTML", "not a HerdLinx blob", |_| ok(b"<!doctype html><title>Router login</title>".to_vec())),
        ("JSON", "not a HerdLinx blob", |_| ok(br#"{"success":true,"changes":[]}"#.to_vec())),
        ("nothing", "was cut short: 0 of", |_| ok(Vec::new())),
        ("an endless body", "more than", |_| answer(200, endless())),
        ("a body that breaks off", "broke while", |told| {
            let parts = [Ok(Bytes::from(told.blob[..40].to_vec())), Err(std::io::Error::other("reset"))];
            answer(200, Body::from_stream(stream::iter(parts)))
        }),
        ("the magic alone", "was cut short: 8 of 14 bytes", |told| ok(told.blob[..8].to_vec())),
        ("the header alone", "was cut short: 14 of", |told| ok(told.blob[..HEADER_BYTES].to_vec())),
        ("cut in the middle", "was cut", |told| ok(told.blob[..told.blob.len() / 2].to_vec())),
        ("cut by its last byte", "was cut", |told| ok(told.blob[..told.blob.len() - 1].to_vec())),
        ("a byte too many", "1 bytes follow", |told| ok([&told.blob, &b"x"[..]].concat())),
        ("two pages in one answer", "bytes follow", |told| ok([told.blob.as_slice(), &told.blob].concat())),
        ("another magic", "not a HerdLinx blob", |told| flipped(&told.blob, 0)),
        ("another wire version", "wire version 17", |told| flipped(&told.blob, 8)),
        ("an unknown kind", "kind 17 instead of kind 1", |told| flipped(&told.blob, 9)),
        ("an altered body", "altered on its way", |told| flipped(&told.blob, HEADER_BYTES + 30)),
        ("an altered digest", "altered on its way", |told| flipped(&told.blob, told.blob.len() - 1)),
        ("a heartbeat's kind", "kind 3", |told| flipped_kind(told, 3)),
        ("an acknowledgement", "kind 2", |told| ok(to_blob(&Acknowledgement { durable: told.page.end.end }))),
        ("the end of an export", "kind 5", |told| ok(to_blob(&ExportEnd { count: 3, end: told.page.end.end }))),
    ])
    .await;
}

fn flipped_kind(told: &Told, kind: u8) -> Response {
    let mut blob = told.blob.clone();
    blob[9] = kind;
    ok(blob)
}

#[tokio::test(start_paused = true)]
async fn lying_lengths_are_refused_before_anything_is_kept_for_them() {
    each_is_survived(&[
        ("the longest length", "announces a blob of 4294967295 bytes", |told| with_length(&told.blob, u32::MAX)),
        ("a length beyond any page", "announces", |told| {
            with_length(&told.blob, u32::try_from(MAX_BLOB_BYTES).unwrap() + 1)
        }),
        ("a length of all that is allowed", "was cut", |told| {
            with_length(&told.blob, u32::try_from(MAX_BLOB_BYTES).unwrap())
        }),
        ("no length", "bytes follow", |told| with_length(&told.blob, 0)),
        ("a byte more", "was cut", |told| {
            with_length(&told.blob, u32::try_from(told.blob.len() - HEADER_BYTES - DIGEST_BYTES).unwrap() + 1)
        }),
        ("a byte less", "1 bytes follow", |told| {
            with_length(&told.blob, u32::try_from(told.blob.len() - HEADER_BYTES - DIGEST_BYTES).unwrap() - 1)
        }),
        ("an empty body that fits its digest", "cannot be decoded", |told| sealed(&told.blob, b"")),
        ("a cut body that fits its digest", "cannot be decoded", |told| {
            sealed(&told.blob, &told.blob[HEADER_BYTES..told.blob.len() - DIGEST_BYTES - 1])
        }),
        ("a longer body that fits its digest", "cannot be decoded", |told| {
            let body = &told.blob[HEADER_BYTES..told.blob.len() - DIGEST_BYTES];
            sealed(&told.blob, &[body, b"\0"].concat())
        }),
        ("more changes than can be", "cannot be decoded", |told| {
            // A page without changes ends with their count, 0.
            let empty = to_blob(&Page { changes: Changes::default(), ..told.page.clone() });
            let body = &empty[HEADER_BYTES..empty.len() - DIGEST_BYTES - 1];
            sealed(&told.blob, &[body, &[0xff; 9], &[0x01]].concat())
        }),
        ("a change longer than the body", "cannot be decoded", |told| {
            let empty = to_blob(&Page { changes: Changes::default(), ..told.page.clone() });
            let body = &empty[HEADER_BYTES..empty.len() - DIGEST_BYTES - 1];
            sealed(&told.blob, &[body, &[1, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat())
        }),
        ("a change longer than any", "none has more than", |told| {
            altered(told, |page| page.changes.push(&vec![1; 3 * 1024 * 1024]))
        }),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn pages_that_skip_repeat_or_end_elsewhere_are_not_believed() {
    each_is_survived(&[
        ("the page after this one", "got what follows", |told| {
            let later = told.reader.position_at(told.page.after.sequence.next()).unwrap().unwrap();
            ok(to_blob(&page_after(told, later)))
        }),
        ("all from the start again", "got what follows", |told| {
            let start = told.reader.position_at(Sequence::ZERO).unwrap().unwrap();
            ok(to_blob(&page_after(told, start)))
        }),
        ("the first change is missing", "does not lead to the digest", |told| {
            altered(told, |page| page.changes = without(&page.changes, 0))
        }),
        ("one within is missing", "does not lead to the digest", |told| {
            altered(told, |page| page.changes = without(&page.changes, 1))
        }),
        ("the last change is missing", "does not lead to the digest", |told| {
            altered(told, |page| page.changes = without(&page.changes, 2))
        }),
        ("a change is there twice", "does not lead to the digest", |told| {
            altered(told, |page| page.changes = page.changes.iter().take(1).chain(page.changes.iter()).collect())
        }),
        ("the order is turned round", "does not lead to the digest", |told| {
            altered(told, |page| {
                let turned: Vec<&[u8]> = page.changes.iter().collect();
                page.changes = turned.into_iter().rev().collect();
            })
        }),
        ("a change is altered", "does not lead to the digest", |told| {
            altered(told, |page| {
                let mut last = page.changes.get(2).unwrap().to_vec();
                *last.last_mut().unwrap() ^= 1;
                page.changes = page.changes.iter().take(2).chain([last.as_slice()]).collect();
            })
        }),
        ("a change of nothing is added", "does not lead to the digest", |told| {
            altered(told, |page| page.changes.push(b""))
        }),
        ("another digest at the end", "does not lead to the digest", |told| {
            altered(told, |page| page.end.end.digest = Digest([9; 32]))
        }),
        ("another number at the end", "does not lead to the digest", |told| {
            altered(told, |page| page.end.end.sequence = Sequence(u64::MAX))
        }),
        ("another epoch at the end", "does not lead to the digest", |told| {
            altered(told, |page| page.end.end.epoch = Epoch(2))
        }),
        ("another store at the end", "does not lead to the digest", |told| {
            altered(told, |page| page.end.end.store = StoreId([9; 16]))
        }),
        ("another store altogether", "got what follows", |told| {
            altered(told, |page| {
                page.after.store = StoreId([9; 16]);
                page.end.end.store = StoreId([9; 16]);
            })
        }),
        ("no changes, and an end elsewhere", "without changes leads from", |told| {
            altered(told, |page| page.changes = Changes::default())
        }),
        ("a wrong end, and more behind it", "does not lead to the digest", |told| {
            altered(told, |page| {
                page.changes = page.changes.iter().take(1).collect();
                page.end.end = Position { sequence: page.after.sequence.next(), digest: Digest([9; 32]), ..page.after };
                page.end.head = Sequence(u64::MAX);
            })
        }),
    ])
    .await;
}

fn page_after(told: &Told, after: Position) -> Page {
    let run = told.reader.run_after(after, 10, 1_000_000).unwrap();
    Page::new(run, told.page.end.head, told.page.end.barn)
}

/// Catches a follower that asks again at once, for ever.
#[tokio::test(start_paused = true)]
async fn a_source_that_promises_changes_and_sends_none_is_not_asked_without_end() {
    let pair = Pair::new().await;
    let before = pair.seen();
    let promise = Lie::Pulled(|told| {
        let end = PageEnd { end: told.page.after, head: Sequence(u64::MAX), barn: told.page.end.barn };
        ok(to_blob(&Page { after: told.page.after, end, changes: Changes::default() }))
    });
    pair.begin_to_lie("promises", promise).await;
    pair.until("promises", |status| status.link == LinkState::Live).await;
    assert_eq!(pair.seen(), before);
    let before_a_minute = pair.status().total_syncs;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let tries = pair.status().total_syncs - before_a_minute;
    assert!(tries < 20, "{tries} tries in a minute");
    pair.lie.send_replace(Lie::None);
    pair.barn.hear_more(3).await;
    pair.until_equal("after the promises").await;
}

/// A 409 that shows another history is no failure of the network: a person decides, and the copy stays.
#[tokio::test(start_paused = true)]
async fn a_409_with_another_position_ends_the_following_and_leaves_the_copy_served() {
    let other_history = |_: &Told| {
        let held =
            Position { store: StoreId([9; 16]), epoch: Epoch(1), sequence: Sequence(5), digest: Digest([9; 32]) };
        answer(409, json!({"success": false, "error": "diverged", "held": held}).to_string())
    };
    let mut pair = Pair::new().await;
    let before = pair.seen();
    pair.lie.send_replace(Lie::Pulled(other_history));
    pair.barn.hear_more(3).await;
    assert_eq!(pair.end().await, FollowEnd::Diverged(Divergence::Other));
    let status = pair.status();
    assert_eq!((status.link, status.diverged), (LinkState::Stopped, Some(Divergence::Other)));
    assert!(status.last_error.unwrap().contains("another history"));
    assert_eq!(pair.seen(), before);
    assert!(pair.barn.head().sequence > pair.office.head().position.sequence);
    pair.lie.send_replace(Lie::None);
    pair.follow();
    pair.until_equal("followed again").await;
}

/// Its name, what the follower says of it, and the answer.
type Refusal = (&'static str, &'static str, fn() -> LinkResponse);

#[tokio::test(start_paused = true)]
async fn a_live_connection_that_is_refused_is_named_with_its_status() {
    let pair = Pair::new().await;
    let cases: [Refusal; 5] = [
        ("live 401", "status 401", || LinkResponse { status: 401, body: Bytes::new() }),
        ("live 404", "status 404", || LinkResponse { status: 404, body: "<html>".into() }),
        ("live 409", "status 409", || LinkResponse { status: 409, body: "{}".into() }),
        ("live 500", "status 500: broken", || LinkResponse { status: 500, body: r#"{"message":"broken"}"#.into() }),
        ("live 200", "status 200", || LinkResponse { status: 200, body: "hello".into() }),
    ];
    for (case, why, refusal) in cases {
        pair.lie.send_replace(Lie::Refused(refusal));
        pair.until(case, |status| status.last_error.as_ref().is_some_and(|error| error.contains(why))).await;
        // Pulls go on: without the live connection the copy is late, and right.
        pair.barn.hear_more(2).await;
        let wanted = pair.barn.reader.head();
        pair.office.subscribe().wait_for(|head| *head == wanted).await.unwrap();
        pair.lie.send_replace(Lie::None);
        pair.until_equal(case).await;
    }
}
