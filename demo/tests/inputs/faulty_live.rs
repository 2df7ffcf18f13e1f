//! A source whose pages on the live connection are wrong.
//!
//! Catches: a page that the follower applies without proof, and a follower that does not reconnect or, for another
//! history, does not stop.

use super::pair::Pair;
use super::source::{Lie, LiveLie};
use herd::position::{Digest, Position, Sequence, StoreId};
use herd::store::Changes;
use herd::wire::{Acknowledgment, ExportEnd, Page, to_blob};
use mirror::follow::FollowEnd;
use service::sync::divergence::Divergence;

fn altered(page: &Page, alter: impl FnOnce(&mut Page)) -> Vec<u8> {
    let mut page = page.clone();
    alter(&mut page);
    to_blob(&page)
}

#[tokio::test(start_paused = true)]
async fn a_wrong_blob_ends_the_live_connection_and_writes_nothing() {
    let pair = Pair::new().await;
    let cases: [(&str, &str, LiveLie); 13] = [
        ("HTML", "not a HerdLinx blob", |_| b"<html>".to_vec()),
        ("an empty blob", "was cut", |_| Vec::new()),
        ("a cut page", "was cut", |page| to_blob(page)[..60].to_vec()),
        ("a byte too many", "1 bytes follow", |page| [to_blob(page), b"x".to_vec()].concat()),
        ("an altered page", "altered on its way", |page| {
            let mut blob = to_blob(page);
            blob[50] ^= 1;
            blob
        }),
        ("another wire version", "wire version", |page| {
            let mut blob = to_blob(page);
            blob[8] = 9;
            blob
        }),
        ("an unknown kind", "kind 99", |page| {
            let mut blob = to_blob(page);
            blob[9] = 99;
            blob
        }),
        ("an acknowledgment", "kind 2", |page| to_blob(&Acknowledgment { durable: page.end.end })),
        ("the end of an export", "kind 5", |page| to_blob(&ExportEnd { count: 1, end: page.end.end })),
        ("a page that skips", "begins after", |page| altered(page, |page| page.after = page.end.end)),
        ("a page far beyond", "begins after", |page| altered(page, |page| page.after.sequence = Sequence(u64::MAX))),
        ("a change left out", "does not lead to the digest", |page| {
            altered(page, |page| page.changes = Changes::default())
        }),
        ("a wrong end", "does not lead to the digest", |page| {
            altered(page, |page| page.end.end.digest = Digest([9; 32]))
        }),
    ];
    for (case, why, lie) in cases {
        pair.assert_survives(case, Lie::Live(lie), why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_history_stops_the_follower_and_writes_nothing() {
    let cases: [(&str, Divergence, LiveLie); 2] = [
        ("another store", Divergence::Other, |page| altered(page, |page| page.after.store = StoreId([9; 16]))),
        ("another digest", Divergence::Forked, |page| {
            altered(page, |page| page.after = Position { digest: Digest([9; 32]), ..page.after })
        }),
    ];
    for (case, divergence, lie) in cases {
        let mut pair = Pair::new().await;
        let before = pair.copy_state();
        pair.start_lying(case, Lie::Live(lie)).await;
        pair.barn.record_more(1).await;
        assert_eq!(pair.end().await, FollowEnd::Diverged(divergence), "{case}");
        assert_eq!(pair.copy_state(), before, "{case}");
        assert_eq!(pair.status().diverged, Some(divergence), "{case}");
        pair.lie.send_replace(Lie::None);
        pair.follow();
        pair.wait_until_equal(case).await;
    }
}
