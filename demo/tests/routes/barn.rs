//! Table of the calls that the barn serves.

use super::callers::{Caller, Permission};
use super::keyless::check_keyless;
use super::route_list::routes_of;
use super::router_barn::Barn;
use super::router_barn::golden::Golden;
use super::rows::{Row, SYNC, assert_complete, for_programs, get, post};
use super::server::{ServerUnderTest, send};
use herd::decide::Rules;
use service::door::keys::Scope;

const INGEST: Permission = Permission::Keys(&[Scope::Ingest]);

const CORRECT: Permission = Permission::Keys(&[Scope::Correct, Scope::Admin]);

/// A correction of the first animal.
const DIED: &str =
    r#"{"author":"J. Doe","reason":"seen","idempotency_key":"k1","correction":{"kind":"died","animal":2}}"#;

/// An order that gives nothing back.
const NO_CHANGES: &str = r#"{"author":"J. Doe","reason":"old card put back","changes":""}"#;

/// A request to pair that every barn refuses. The right one depends on the barn's certificate.
const OTHER_VERSION: &str = concat!(
    r#"{"version":0,"office":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","office_name":"desk","#,
    r#""proof":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"}"#,
);

/// Payloads that the barn has recorded before the calls.
const PAYLOADS: [&str; 3] = [
    "hxb:TEST001:LF999:UHF888",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "invalid:data",
];

/// Returns every call, and a second example of some.
fn rows() -> Vec<Row> {
    let own = [
        post("/api/lora/receive", INGEST, r#"{"payload":"hxb:A:LF1:UHF1"}"#),
        post("/office/api/lora/receive", INGEST, r#"{"payloads":["hxb:A:LF1:UHF1","invalid:data"]}"#),
        post("/api/corrections", CORRECT, DIED),
        post("/api/give-back", CORRECT, NO_CHANGES),
        post("/api/sync/lost-end", SYNC, "{}"),
        post("/api/lora/process", Permission::Keys(&[Scope::Correct, Scope::Admin]), ""),
        post("/api/pair", Permission::Anyone, OTHER_VERSION),
        get("/metrics", Permission::Keys(&[Scope::Read])),
        get("/api/sync/changes", SYNC).in_blobs(),
        get("/api/remote/health", Permission::Anyone),
    ];
    own.into_iter().chain(for_programs()).collect()
}

async fn barn() -> Barn {
    let barn = Barn::new(Rules::default());
    for payload in PAYLOADS {
        barn.record(payload).await;
    }
    barn
}

#[tokio::test]
async fn the_barn_serves_exactly_the_calls_of_its_table() {
    assert_complete(&rows(), &routes_of(&barn().await.router));
}

/// Catches a call that answers a caller without the right, or refuses one that has it. Each row gets its own barn, so that a
/// new row does not change the answers of the others.
#[tokio::test]
async fn each_call_of_the_barn_is_answered_according_to_its_caller() {
    let (rows, mut golden) = (rows(), Golden::new("routes_barn"));
    for row in &rows {
        let barn = barn().await;
        let (callers, state) = (Caller::all(&barn.keys, &barn.tokens), || format!("{:?}", barn.state()));
        served(&barn, &callers, &state).check_row(row, &mut golden).await;
    }
    let barn = barn().await;
    let (caller, state) = (Caller::of_every_scope(&barn.keys), || format!("{:?}", barn.state()));
    let served = served(&barn, &[], &state);
    served.check_other_methods(&rows, &caller, &mut golden).await;
    served.check_unknown_paths(&["/", "/nowhere", "/api/sync/nowhere"], &caller, &mut golden).await;
    let barn = self::barn().await;
    let state = || format!("{:?}", barn.reader.head());
    check_keyless(&self::served(&barn, &[], &state), &rows, &["/nowhere"], &barn.keys, &mut golden).await;
    golden.compare();
}

/// Catches a door that is closed to the office which brings the first key, and one that a used code leaves open.
#[tokio::test]
async fn without_keys_a_pairing_is_answered_only_while_a_code_waits() {
    let row = post("/api/pair", Permission::Anyone, OTHER_VERSION);
    let office = Caller::without_key();
    let answer = async |barn: &Barn| send(&office, &barn.router, &row, row.request(&office)).await.status().as_u16();
    let (waiting, other) = (Barn::new(Rules::default()), Barn::without_code(Rules::default()));
    assert_eq!((answer(&waiting).await, answer(&other).await), (400, 404));
    waiting.revoke_all_keys();
    other.revoke_all_keys();
    assert_eq!((answer(&waiting).await, answer(&other).await), (400, 403));
}

fn served<'a>(barn: &'a Barn, callers: &'a [Caller], state: &'a dyn Fn() -> String) -> ServerUnderTest<'a> {
    ServerUnderTest { router: &barn.router, callers, state, volatile: &["token"] }
}
