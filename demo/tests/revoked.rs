//! Keys that are revoked while something is served to them.
//!
//! Catches: an office that still receives changes after the barn has revoked its key, or that loses its copy with it, and
//! an export or a waiting call that goes on for the holder of a revoked key.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::BarnSettings;
use herd::position::Position;
use serde_json::json;
use service::sync::query::position_text;
use yard::{Yard, deliver, own_programs, pages, until};

/// Payloads whose export does not fit into the buffers of the network.
const PAYLOADS: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_office_whose_key_is_revoked_receives_nothing_more_and_keeps_its_copy() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let link_is = async |state: &str| {
        let status = yard.office.sync_status().await.unwrap();
        (status["sites"][0]["link"] == state).then(|| status["sites"][0]["position"]["sequence"].clone())
    };
    until("the office is live", async || link_is("live").await).await;
    assert_eq!(yard.deliver("hxb:BEFORE:LF1:UHF1").await.0, 201);
    until("the office shows the read", async || pages::json(&yard.pages, "/batches/BEFORE").await.ok()).await;

    yard.barn.run(&["key", "revoke", "office-1"]).unwrap();
    let last = until("the office loses its connection", async || link_is("away").await).await;
    assert_eq!(yard.deliver("hxb:AFTER:LF2:UHF2").await.0, 201);
    assert!(pages::json(&yard.pages, "/batches/BEFORE").await.is_ok(), "the copy is still shown");
    assert!(pages::json(&yard.pages, "/batches/AFTER").await.is_err());
    assert_eq!(link_is("away").await, Some(last), "nothing came after the key was revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_and_a_waiting_call_end_with_their_key() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    for first in (0..PAYLOADS).step_by(1_000) {
        let payloads: Vec<_> = (first..first + 1_000).map(|n| format!("hxb:B{}:LF{n}:UHF{n}", n / 50)).collect();
        assert_eq!(deliver(&yard.device, &json!({ "payloads": payloads })).await.unwrap().0, 200);
    }
    let key = yard.barn.key("stolen", &["sync"]).unwrap();
    let (waiting, exporting) = (yard.barn.client(&key).unwrap(), yard.barn.client(&key).unwrap());
    let schema = waiting.get_json("/api/sync/schema").await.unwrap();
    let head: Position = serde_json::from_value(schema["data"]["state"]["position"].clone()).unwrap();
    let path = format!("/api/sync/changes?wait=30&{}", position_text(&head));
    let waiting = tokio::spawn(async move { waiting.get(&path, "application/json").await });
    let mut export = exporting.open("/api/sync/full-export", "application/json").await.unwrap();
    export.next().await.unwrap().unwrap();

    yard.barn.run(&["key", "revoke", "stolen"]).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status, 401);
    let end = loop {
        match export.next().await {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(end.is_err(), "the export went on to its end");
}
