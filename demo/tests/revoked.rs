//! A key that is revoked while the connection it opened is live.
//!
//! Would catch: an office that goes on being fed after the barn has withdrawn its key, or that loses its copy with it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod yard;

use demo::processes::BarnSettings;
use yard::{Yard, own_programs, pages, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_office_whose_key_is_revoked_is_fed_no_more_and_keeps_what_it_has() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let link_is = async |state: &str| {
        let status = yard.office.sync_status().await.unwrap();
        (status["sites"][0]["link"] == state).then(|| status["sites"][0]["position"]["sequence"].clone())
    };
    until("the office to be live", async || link_is("live").await).await;
    assert_eq!(yard.deliver("hxb:BEFORE:LF1:UHF1").await.0, 201);
    until("the read at the office", async || pages::json(&yard.pages, "/batches/BEFORE").await.ok()).await;

    yard.barn.run(&["key", "revoke", "office-1"]).unwrap();
    let held = until("the office to be cut off", async || link_is("away").await).await;
    assert_eq!(yard.deliver("hxb:AFTER:LF2:UHF2").await.0, 201);
    assert!(pages::json(&yard.pages, "/batches/BEFORE").await.is_ok(), "the copy is still shown");
    assert!(pages::json(&yard.pages, "/batches/AFTER").await.is_err());
    assert_eq!(link_is("away").await, Some(held), "nothing came after the key was gone");
}
