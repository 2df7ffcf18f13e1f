//! An office's key that is revoked during the live connection it opened.
//!
//! Catches: an office that still receives changes after the barn has revoked its key, or that loses its copy with it.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::BarnSettings;
use yard::{Yard, own_programs, pages, until};

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
