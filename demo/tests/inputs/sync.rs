//! Schema, full export and live connection of the sync interface.
//!
//! Catches: a query that is ignored instead of refused, an upgrade that is accepted without its headers, and an answer
//! whose form changed.

use super::table::Table;
use herd::position::{Position, Sequence, StoreId};
use service::sync::query::position_text;

const SCHEMA: &str = "/api/sync/schema";
const EXPORT: &str = "/api/sync/full-export";
const LIVE: &str = "/api/sync/live";
/// Payloads that fill every table: an animal with two tags in conflict, an export, a repair, a gap, and a rejection.
const DAY: [&str; 8] = [
    "hxb:LOT 7/A:124000224161433:E2801160600002044310B2E2",
    "event:hxbind000001|funder:Prairie Feedlot Partners|lot:LOT2024-001|pen:P1|lid:1|sex:Steer",
    "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
    "event:hxbchi000117|weight:267.3|lid:1",
    "event:hxbchi000121|weight:NaN|lid:1",
    "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged",
    "hxe:EXPORT001:124000224161433:OTHER",
    "invalid:<script>",
];

#[tokio::test(start_paused = true)]
async fn the_schema_accepts_no_query() {
    let mut table = Table::new("schema");
    table.barn.record_more(2).await;
    for query in ["limit=5", "x", "after=1", "since=0", "&", "%"] {
        let request = table.barn.get(&format!("{SCHEMA}?{query}"));
        table.expect_unchanged(query, 400, request).await;
    }
    let request = table.barn.get(SCHEMA);
    table.expect_unchanged("plain", 200, request).await;
    let request = table.barn.get_blob(SCHEMA);
    table.expect_unchanged("by a follower", 200, request).await;
    table.compare();
}

/// Returns queries that neither an export nor a live connection accepts, with the status of the refusal.
fn wrong_queries(head: Position) -> Vec<(&'static str, u16, String)> {
    let beyond = Position { sequence: Sequence(99), ..head };
    let other_store = Position { store: StoreId([8; 16]), ..head };
    vec![
        ("a limit", 400, "limit=5".to_owned()),
        ("a limit in percent", 400, "%6Cimit=5".to_owned()),
        ("a limit without a value", 400, "limit".to_owned()),
        ("a wait", 400, "wait=1".to_owned()),
        ("a limit behind a position", 400, format!("{}&limit=5", position_text(&head))),
        ("since", 400, "since=2024-01-01".to_owned()),
        ("an unknown key", 400, "format=csv".to_owned()),
        ("a position in part", 400, "after=1".to_owned()),
        ("a position twice", 400, format!("{0}&{0}", position_text(&head))),
        ("a digest that is none", 400, position_text(&head).replace("digest=", "digest=zz")),
        ("a position beyond the head", 409, position_text(&beyond)),
        ("a position of another store", 409, position_text(&other_store)),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_full_export_as_blobs_accepts_a_position_or_no_query() {
    let mut table = Table::new("full_export");
    table.barn.record_more(3).await;
    for (case, status, query) in wrong_queries(table.barn.head()) {
        let request = table.barn.get_blob(&format!("{EXPORT}?{query}"));
        table.expect_unchanged(case, status, request).await;
    }
    let within = table.barn.reader.position_at(Sequence(2)).unwrap().unwrap();
    for (case, query) in [("whole", String::new()), ("from within", format!("?{}", position_text(&within)))] {
        let request = table.barn.get_blob(&format!("{EXPORT}{query}"));
        table.expect_unchanged(case, 200, request).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_full_export_as_tables_accepts_no_query() {
    let mut table = Table::new("full_export_tables");
    for payload in DAY {
        table.barn.record(payload).await;
    }
    let here = position_text(&table.barn.head());
    for (case, query) in [("a limit", "limit=5"), ("since", "since=0"), ("a right position", &here)] {
        let request = table.barn.get(&format!("{EXPORT}?{query}"));
        table.expect_unchanged(case, 400, request).await;
    }
    let request = table.barn.get(EXPORT);
    table.expect_unchanged("whole", 200, request).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_live_connection_accepts_a_position_or_no_query_and_needs_an_upgrade() {
    let mut table = Table::new("live");
    table.barn.record_more(3).await;
    for (case, status, query) in wrong_queries(table.barn.head()) {
        let request = table.barn.get(&format!("{LIVE}?{query}"));
        table.expect_unchanged(case, status, request).await;
    }
    let here = position_text(&table.barn.head());
    let request = table.barn.get(LIVE);
    table.expect_unchanged("no upgrade", 400, request).await;
    let request = table.barn.get(&format!("{LIVE}?{here}"));
    table.expect_unchanged("no upgrade at a right position", 400, request).await;
    let upgrades: [(&str, &[(&str, &str)]); 4] = [
        ("an upgrade to something else", &[("Connection", "upgrade"), ("Upgrade", "h2c")]),
        (
            "an upgrade without its key",
            &[("Connection", "upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        ),
        ("an older version", &[("Connection", "upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "8")]),
        (
            "no connection to upgrade",
            &[
                ("Connection", "upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ],
        ),
    ];
    for (case, headers) in upgrades {
        let mut request = table.barn.get(&format!("{LIVE}?{here}"));
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        table.expect_unchanged(case, 400, request).await;
    }
    table.compare();
}
