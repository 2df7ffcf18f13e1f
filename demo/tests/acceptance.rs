//! The acceptance test of the original system, and what its users lost most often: a read reaches the office's page,
//! the office goes on without the barn and the barn without the office, and each finds the other again by itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(clippy::print_stdout, reason = "what was drawn and what was seen is shown where a test fails")]

mod yard;

use demo::processes::{BarnSettings, Programs};
use serde_json::{Value, json};
use std::time::Instant;
use yard::authority::Authority;
use yard::shipped::shipped_programs;
use yard::{Yard, deliver, own_programs, pages, until};

/// So many reads come while the office is away.
const MISSED: usize = 1_000;

fn without_radio() -> BarnSettings {
    BarnSettings { radios: "[[radio]]\nkind = 'none'\n".to_owned(), ..BarnSettings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_reaches_the_office_and_neither_side_needs_the_other() {
    let yard = Yard::open(&own_programs(), |_| without_radio()).await;
    accepts(yard).await.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_binaries_do_the_same() {
    // A build blocks for as long as it takes.
    let programs = tokio::task::spawn_blocking(shipped_programs).await.unwrap();
    assert!(matches!(programs, Programs::Shipped { .. }));
    accepts(Yard::open(&programs, |_| without_radio()).await).await.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_trusts_an_authority_does_the_same_and_follows_a_renewed_key() {
    let authorities = tempfile::tempdir().unwrap();
    let authority = Authority::new(authorities.path(), "authority");
    let settings = |_: &_| BarnSettings { tls: Some(authority.sign(authorities.path())), ..without_radio() };
    let trusting = ["--ca", authority.certificate.to_str().unwrap()];
    let mut yard = accepts(Yard::open_with(&own_programs(), settings, &trusting).await).await;

    let before = yard.barn.spki_sha256().unwrap();
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0));
    authority.sign(authorities.path());
    assert_ne!(yard.barn.spki_sha256().unwrap(), before, "another key, signed by the same authority");
    yard.barn.start().await.unwrap();
    yard.device = yard.barn.client(&yard.barn.key("chute-2", &["ingest"]).unwrap()).unwrap();
    assert_eq!(yard.deliver("hxb:RENEWED:LF7:UHF7").await.0, 201);
    shown(&yard, "RENEWED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_trusts_another_authority_copies_nothing_and_says_why() {
    let authorities = tempfile::tempdir().unwrap();
    let [ours, another] = ["ours", "another"].map(|name| Authority::new(authorities.path(), name));
    let settings = |_: &_| BarnSettings { tls: Some(ours.sign(authorities.path())), ..without_radio() };
    let trusting = ["--ca", another.certificate.to_str().unwrap()];
    let yard = Yard::open_with(&own_programs(), settings, &trusting).await;
    assert_eq!(yard.deliver("hxb:TEST001:LF999:UHF888").await.0, 201);
    let last_error =
        until("the office to have tried", async || yard.office.status().unwrap().sites.swap_remove(0).last_error).await;
    assert!(last_error.contains("is not the paired barn"), "{last_error}");
    let synced = pages::json(&yard.pages, "/office/api/sync-status").await.unwrap();
    assert_eq!((&synced["successful_syncs"], &synced["total_records_synced"]), (&json!(0), &json!(0)), "{synced}");
}

async fn accepts(mut yard: Yard) -> Yard {
    let sent = Instant::now();
    let (status, answer) = yard.deliver("hxb:TEST001:LF999:UHF888").await;
    assert_eq!((status, &answer["status"]), (201, &json!("stored")), "{answer}");
    shown(&yard, "TEST001").await;
    println!("from the request to the office's page: {:?}", sent.elapsed());
    yard = goes_on_without_the_barn(yard).await;
    catches_up_after_its_own_absence(yard).await
}

/// Waits until a batch is on the page of batches, for people and for programs.
async fn shown(yard: &Yard, number: &str) {
    until(&format!("{number} to be on the office's page"), async || {
        let page = pages::html(&yard.pages, "/batches").await.ok()?;
        page.contains(number).then_some(())
    })
    .await;
    let list = pages::json(&yard.pages, "/batches").await.unwrap();
    let batch = list["data"].as_array().unwrap().iter().find(|batch| batch["batch_number"] == number);
    assert_eq!(batch.unwrap()["cattle_count"], 1, "{list}");
}

/// Waits until the link to the barn is told as this, and gives all that is told.
async fn linked(yard: &Yard, link: &str) -> Value {
    until(&format!("the link to be {link}"), async || {
        let status = yard.office.sync_status().await.unwrap();
        (status["sites"][0]["link"] == link).then_some(status)
    })
    .await
}

async fn goes_on_without_the_barn(mut yard: Yard) -> Yard {
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0));
    let alone = linked(&yard, "away").await;
    assert!(alone["sites"][0]["barn_heard_at"].is_string(), "{alone}");
    shown(&yard, "TEST001").await;
    let page = pages::html(&yard.pages, "/batches").await.unwrap();
    assert!(page.contains("Away") && page.contains("last heard"), "how old it is: {page}");

    yard.barn.start().await.unwrap();
    assert_eq!(yard.deliver("hxb:TEST002:LF998:UHF887").await.0, 201);
    shown(&yard, "TEST002").await;
    linked(&yard, "live").await;
    yard
}

async fn catches_up_after_its_own_absence(mut yard: Yard) -> Yard {
    assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0));
    let payloads: Vec<_> = (0..MISSED).map(|n| format!("hxb:MISSED:LFM{n}:UHFM{n}")).collect();
    let (status, answer) = deliver(&yard.device, &json!({ "payloads": payloads })).await.unwrap();
    let stored = answer["results"].as_array().unwrap().iter().filter(|one| one["status"] == "stored").count();
    assert_eq!((status, stored), (200, MISSED));

    yard.office.start().await.unwrap();
    let log = yard.copied().await.counted();
    assert!(payloads.iter().all(|payload| log[payload] == 1), "each is there once");
    let batch = pages::json(&yard.pages, "/batches/MISSED?limit=1000").await.unwrap();
    assert_eq!(batch["cattle_count"], MISSED);
    assert_eq!(batch["animals"].as_array().unwrap().len(), MISSED);
    yard
}
