//! `GET /api/sync/changes`: the position of a follower, and how many changes it asks for.
//!
//! Catches: a malformed query that is answered as if it were valid, an error that does not say what to send instead,
//! and a follower of another history that receives changes.

use super::router_barn::Barn;
use super::table::Table;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use service::sync::query::position_text;
use std::time::Duration;
use tokio::time::Instant;

const CHANGES: &str = "/api/sync/changes";

fn position_at(barn: &Barn, sequence: u64) -> Position {
    barn.reader.position_at(Sequence(sequence)).unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_invalid_query_is_400_and_says_what_to_send_instead() {
    let mut table = Table::new("changes_query_wrong");
    table.barn.record_more(4).await;
    let queries = [
        "limit=0",
        "limit=-1",
        "limit=-0",
        "limit=10001",
        "limit=18446744073709551616",
        "limit=99999999999999999999999999",
        "limit=ten",
        "limit=1.0",
        "limit=1e3",
        "limit=0x10",
        "limit=",
        "limit",
        "limit=%20%31",
        "limit=1,2",
        "limit=+5",
        "limit=%2B5",
        "limit=%D9%A1",
        "wait=31",
        "wait=-1",
        "wait=soon",
        "wait=0.5",
        "wait=18446744073709551616",
        "wait=",
        "wait=%2B5",
        "since=2024-01-15T10:35:20Z",
        "since=0",
        "since=",
        "since",
        "limit=5&since=1",
        "sort=asc",
        "offset=5",
        "Limit=5",
        "LIMIT=5",
        "cursor=1",
        "limit%00=5",
        "=5",
        "%ff=1",
        "%EF%BF%BD=1",
        "limit=5&limit=5",
        "limit=5&limit=6",
        "wait=1&wai%74=1",
        "limit=%zz",
        "limit=%",
        "limit=%3",
        "limit=5%00",
        "limit=5;wait=1",
        "limit=5&&&sort=1",
        "after=1&after=1",
    ];
    for query in queries {
        let request = table.barn.get(&format!("{CHANGES}?{query}"));
        table.expect_unchanged(query, 400, request).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_or_malformed_position_is_400() {
    let mut table = Table::new("changes_position_wrong");
    table.barn.record_more(4).await;
    let whole = position_text(&position_at(&table.barn, 3));
    let parts: Vec<&str> = whole.split('&').collect();
    for chosen in 1..15_u8 {
        let some: Vec<&str> =
            parts.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1).map(|(_, it)| *it).collect();
        let names: Vec<&str> = some.iter().filter_map(|part| part.split('=').next()).collect();
        let request = table.barn.get(&format!("{CHANGES}?{}", some.join("&")));
        table.expect_unchanged(&format!("only {}", names.join(", ")), 400, request).await;
    }
    let digest = "ab".repeat(32);
    let wrong = [
        ("a cut store", parts[0][..parts[0].len() - 1].to_owned()),
        ("a store of other letters", format!("store={}", "zz".repeat(16))),
        ("a longer store", format!("{}00", parts[0])),
        ("an empty store", "store=".to_owned()),
        ("a negative epoch", "epoch=-1".to_owned()),
        ("an epoch beyond 32 bits", "epoch=4294967296".to_owned()),
        ("an epoch in words", "epoch=one".to_owned()),
        ("an epoch with a sign", "epoch=%2B1".to_owned()),
        ("a negative sequence", "after=-1".to_owned()),
        ("a sequence beyond 64 bits", "after=18446744073709551616".to_owned()),
        ("a sequence with a fraction", "after=3.0".to_owned()),
        ("a sequence with a sign", "after=%2B3".to_owned()),
        ("an empty sequence", "after=".to_owned()),
        ("a cut digest", format!("digest={}", &digest[1..])),
        ("a longer digest", format!("digest={digest}ab")),
        ("a digest of other letters", format!("digest={}", "g".repeat(64))),
        ("a digest that is no text", format!("digest=%ff{}", &digest[1..])),
        ("a digest of 60,000 letters", format!("digest={}", "a".repeat(60_000))),
    ];
    for (case, part) in wrong {
        let name = part.split('=').next().unwrap();
        let query: Vec<&str> = parts.iter().map(|it| if it.starts_with(name) { part.as_str() } else { it }).collect();
        let request = table.barn.get(&format!("{CHANGES}?{}", query.join("&")));
        table.expect_unchanged(case, 400, request).await;
    }
    let twice = table.barn.get(&format!("{CHANGES}?{whole}&{whole}"));
    table.expect_unchanged("a position twice", 400, twice).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_position_outside_this_history_is_409_with_both_positions() {
    let mut table = Table::new("changes_diverged");
    table.barn.record_more(4).await;
    let (at, head) = (position_at(&table.barn, 3), table.barn.head());
    let elsewhere = [
        ("one beyond the head", Position { sequence: head.sequence.next(), ..head }),
        ("far beyond the head", Position { sequence: Sequence(u64::MAX), ..head }),
        ("another store", Position { store: StoreId([8; 16]), ..at }),
        (
            "another store's start",
            Position { store: StoreId([8; 16]), epoch: Epoch(0), sequence: Sequence::ZERO, ..at },
        ),
        ("another digest", Position { digest: Digest([0; 32]), ..at }),
        ("the digest of the change before", Position { digest: position_at(&table.barn, 2).digest, ..at }),
        ("another digest of the start", Position { digest: at.digest, ..position_at(&table.barn, 0) }),
        ("a later epoch", Position { epoch: Epoch(2), ..at }),
        ("an earlier epoch", Position { epoch: Epoch(0), ..at }),
        ("the last epoch there can be", Position { epoch: Epoch(u32::MAX), ..at }),
    ];
    for (case, position) in elsewhere {
        let query = format!("{CHANGES}?{}", position_text(&position));
        let request = table.barn.get(&query);
        table.expect_unchanged(case, 409, request).await;
        let request = table.barn.get_blob(&query);
        table.expect_unchanged(&format!("{case}, by a follower"), 409, request).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_valid_query_is_answered_from_its_position() {
    let mut table = Table::new("changes_right");
    table.barn.record("hxb:TEST001:LF999:UHF888").await;
    table.barn.record("event:hxbpai000001|lf:LF_1|epc:30143B7C|lid:1|weight:245.5").await;
    table.barn.record("invalid:data").await;
    let (start, at, head) = (position_at(&table.barn, 0), position_at(&table.barn, 3), table.barn.head());
    let cases = [
        ("from the start", String::new()),
        ("an empty query", "?".to_owned()),
        ("nothing between the signs", "?&&".to_owned()),
        ("one change", "?limit=1".to_owned()),
        ("the longest limit", "?limit=10000".to_owned()),
        ("written in percent", "?l%69mit=%31".to_owned()),
        ("from the start by its position", format!("?{}", position_text(&start))),
        ("from within", format!("?{}", position_text(&at))),
        ("from the head", format!("?{}", position_text(&head))),
    ];
    for (case, query) in cases {
        let request = table.barn.get(&format!("{CHANGES}{query}"));
        table.expect_unchanged(case, 200, request).await;
        let request = table.barn.get_blob(&format!("{CHANGES}{query}"));
        table.expect_unchanged(&format!("{case}, by a follower"), 200, request).await;
    }
    let began = Instant::now();
    let request = table.barn.get(&format!("{CHANGES}?{}&wait=30", position_text(&head)));
    table.expect_unchanged("from the head, waiting in vain", 200, request).await;
    assert_eq!(began.elapsed().as_secs(), Duration::from_secs(30).as_secs());
    table.compare();
}
