//! A process that has no key tells nobody more than its health, callers on its own machine included.

use super::callers::{Caller, Permission};
use super::router_barn::golden::Golden;
use super::router_barn::response::{assert_refusal, body_of};
use super::rows::{Row, get};
use super::server::{ServerUnderTest, send};
use axum::http::Method;
use serde_json::Value;
use service::door::keys::{KeyRing, Scope};

/// Checks these calls and paths that lead nowhere while `keys` is empty, and that the first key opens the door and the last
/// revocation closes it.
pub(crate) async fn check_keyless(
    server: &ServerUnderTest<'_>,
    rows: &[Row],
    nowhere: &[&str],
    keys: &KeyRing,
    golden: &mut Golden,
) {
    let revoked = Caller::of_scope(keys, Scope::Read);
    for key in keys.list() {
        keys.revoke(&key.name).unwrap();
    }
    let mut refusals = Vec::new();
    for row in rows {
        for caller in [Caller::without_key(), Caller::on_this_machine(), Caller::with_unknown_key(), revoked.clone()] {
            refusals.extend(refusal(server, row, row.method.clone(), &caller).await);
            refusals.extend(refusal(server, row, Method::PATCH, &caller).await);
        }
    }
    for path in nowhere {
        let nowhere = get(path, Permission::Keys(&[]));
        refusals.extend(refusal(server, &nowhere, Method::GET, &Caller::without_key()).await);
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "callers are refused in several ways: {refusals:?}");
    golden.add("any other call, without a key in the process", refusals[0].clone());

    let status = get("/api/remote/status", Permission::Keys(&[Scope::Read]));
    let reader = Caller::of_scope(keys, Scope::Read);
    assert_eq!(send(&reader, server.router, &status, status.request(&reader)).await.status(), 200);
    keys.revoke(Scope::Read.name()).unwrap();
    assert!(refusal(server, &status, Method::GET, &reader).await.is_some(), "the last key was revoked");
}

/// Makes a call as this caller. Returns the refusal, or `None` if the call is open to everybody.
async fn refusal(server: &ServerUnderTest<'_>, row: &Row, method: Method, caller: &Caller) -> Option<Value> {
    let case = format!("{method} {} for {}", row.pattern, caller.name);
    let before = (server.state)();
    let response = send(caller, server.router, row, row.request_by(&method, caller)).await;
    if matches!(row.permission, Permission::Anyone) {
        assert_ne!(response.status(), 403, "`{case}`");
        return None;
    }
    assert_eq!((response.status().as_u16(), (server.state)()), (403, before), "`{case}`");
    assert_refusal(&case, &body_of(&response));
    let mut answer = server.golden_form(&response);
    // axum names the methods of a path outside of every layer. They are no secret: this table is public.
    answer["headers"].as_object_mut().unwrap().remove("allow");
    Some(answer)
}
