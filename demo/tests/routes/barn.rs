//! What the barn serves.

use super::asking::Served;
use super::callers::{Caller, May};
use super::router_barn::Barn;
use super::router_barn::golden::Golden;
use super::rows::{Row, SYNC, assert_complete, for_programs, get, post};
use super::shown::routes_of;
use herd::decide::Rules;
use service::door::keys::Scope;

const INGEST: May = May::Keys(&[Scope::Ingest]);

const CORRECT: May = May::Keys(&[Scope::Correct, Scope::Admin]);

/// An order about the first animal.
const DIED: &str =
    r#"{"author":"J. Doe","reason":"seen","idempotency_key":"k1","correction":{"kind":"died","animal":2}}"#;

/// What the barn has heard before it is asked.
const HEARD: [&str; 3] = [
    "hxb:TEST001:LF999:UHF888",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "invalid:data",
];

/// Every call, and for some a second example.
fn rows() -> Vec<Row> {
    let own = [
        post("/api/lora/receive", INGEST, r#"{"payload":"hxb:A:LF1:UHF1"}"#),
        post("/office/api/lora/receive", INGEST, r#"{"payloads":["hxb:A:LF1:UHF1","invalid:data"]}"#),
        post("/api/corrections", CORRECT, DIED),
        post("/api/lora/process", May::Keys(&[Scope::Admin]), ""),
        get("/metrics", May::KeysOrHere(&[Scope::Read])),
        get("/api/sync/changes", SYNC).in_blobs(),
        get("/api/remote/health", May::Anybody),
    ];
    own.into_iter().chain(for_programs()).collect()
}

async fn barn() -> Barn {
    let barn = Barn::new(Rules::default());
    for payload in HEARD {
        barn.hear(payload).await;
    }
    barn
}

#[tokio::test]
async fn the_barn_serves_the_calls_of_its_table_and_no_others() {
    assert_complete(&rows(), &routes_of(&barn().await.router));
}

/// A barn for each row, so that a row more leaves the answers of all others as they are.
#[tokio::test]
async fn each_call_of_the_barn_is_answered_by_who_makes_it() {
    let (rows, mut golden) = (rows(), Golden::new("routes_barn"));
    for row in &rows {
        let barn = barn().await;
        let (callers, traces) = (Caller::all(&barn.keys, &barn.tokens), || format!("{:?}", barn.traces()));
        served(&barn, &callers, &traces).answers(row, &mut golden).await;
    }
    let barn = barn().await;
    let (caller, traces) = (Caller::of_every_scope(&barn.keys), || format!("{:?}", barn.traces()));
    let served = served(&barn, &[], &traces);
    served.refuses_other_methods(&rows, &caller, &mut golden).await;
    served.has_nothing_elsewhere(&["/", "/nowhere", "/api/sync/nowhere"], &caller, &mut golden).await;
    golden.compare();
}

fn served<'a>(barn: &'a Barn, callers: &'a [Caller], traces: &'a dyn Fn() -> String) -> Served<'a> {
    Served { router: &barn.router, callers, traces, volatile: &["token"] }
}
