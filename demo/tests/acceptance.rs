//! Acceptance test: barn and office together, and each of them without the other.
//!
//! It makes the claim of the original system's acceptance test: a read at the barn appears on the office's page. It
//! adds what users of that system lost most often. The office keeps serving while the barn is down, the barn keeps
//! recording while the office is down, and each reconnects by itself.
//!
//! Catches: a read that does not reach the office's page, an office that shows nothing while the barn is away, reads
//! lost or doubled while the office was down, and an office that trusts the wrong certificate authority.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stdout, reason = "a failing test shows what was drawn and what it saw")]

mod yard;

use demo::processes::{BarnSettings, Programs};
use serde_json::{Value, json};
use std::time::Instant;
use yard::authority::Authority;
use yard::shipped::shipped_programs;
use yard::{Yard, deliver, own_programs, pages, until};

/// Reads that arrive while the office is down.
const MISSED: usize = 1_000;

fn without_radio() -> BarnSettings {
    BarnSettings { radios: "[[radio]]\nkind = 'none'\n".to_owned(), ..BarnSettings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_reaches_the_office_and_neither_side_needs_the_other() {
    let yard = Yard::open(&own_programs(), |_| without_radio()).await;
    run_acceptance(yard).await.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_binaries_do_the_same() {
    // Building the programs blocks the thread for minutes.
    let programs = tokio::task::spawn_blocking(shipped_programs).await.unwrap();
    assert!(matches!(programs, Programs::Shipped { .. }));
    run_acceptance(Yard::open(&programs, |_| without_radio()).await).await.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_trusts_an_authority_does_the_same_and_accepts_a_renewed_key() {
    let authorities = tempfile::tempdir().unwrap();
    let authority = Authority::new(authorities.path(), "authority");
    let settings = |_: &_| BarnSettings { tls: Some(authority.sign(authorities.path())), ..without_radio() };
    let trusting = ["--ca", authority.certificate.to_str().unwrap()];
    let mut yard = run_acceptance(Yard::open_with(&own_programs(), settings, &trusting).await).await;

    let before = yard.barn.spki_sha256().unwrap();
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0));
    authority.sign(authorities.path());
    assert_ne!(yard.barn.spki_sha256().unwrap(), before, "the barn has another key, signed by the same authority");
    yard.barn.start().await.unwrap();
    yard.device = yard.barn.client(&yard.barn.key("chute-2", &["ingest"]).unwrap()).unwrap();
    assert_eq!(yard.deliver("hxb:RENEWED:LF7:UHF7").await.0, 201);
    wait_until_shown(&yard, "RENEWED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_trusts_another_authority_copies_nothing_and_reports_why() {
    let authorities = tempfile::tempdir().unwrap();
    let [ours, another] = ["ours", "another"].map(|name| Authority::new(authorities.path(), name));
    let settings = |_: &_| BarnSettings { tls: Some(ours.sign(authorities.path())), ..without_radio() };
    let trusting = ["--ca", another.certificate.to_str().unwrap()];
    let yard = Yard::open_with(&own_programs(), settings, &trusting).await;
    assert_eq!(yard.deliver("hxb:TEST001:LF999:UHF888").await.0, 201);
    let last_error =
        until("the office reports an error", async || yard.office.status().unwrap().sites.swap_remove(0).last_error)
            .await;
    assert!(last_error.contains("is not the paired barn"), "{last_error}");
    let synced = pages::json(&yard.pages, "/office/api/sync-status").await.unwrap();
    assert_eq!((&synced["successful_syncs"], &synced["total_records_synced"]), (&json!(0), &json!(0)), "{synced}");
}

/// Makes the claims of the acceptance test on this yard.
async fn run_acceptance(mut yard: Yard) -> Yard {
    let sent = Instant::now();
    let (status, answer) = yard.deliver("hxb:TEST001:LF999:UHF888").await;
    assert_eq!((status, &answer["status"]), (201, &json!("stored")), "{answer}");
    wait_until_shown(&yard, "TEST001").await;
    println!("from the request to the office's page: {:?}", sent.elapsed());
    yard = run_without_barn(yard).await;
    run_without_office(yard).await
}

/// Waits until the office lists a batch, in HTML and in JSON, and checks that it has one animal.
async fn wait_until_shown(yard: &Yard, number: &str) {
    until(&format!("the office's page shows {number}"), async || {
        let page = pages::html(&yard.pages, "/batches").await.ok()?;
        page.contains(number).then_some(())
    })
    .await;
    let list = pages::json(&yard.pages, "/batches").await.unwrap();
    let batch = list["data"].as_array().unwrap().iter().find(|batch| batch["batch_number"] == number);
    assert_eq!(batch.unwrap()["cattle_count"], 1, "{list}");
}

/// Waits until the office reports this link state, and returns the sync status.
async fn wait_for_link(yard: &Yard, link: &str) -> Value {
    until(&format!("the link is {link}"), async || {
        let status = yard.office.sync_status().await.unwrap();
        (status["sites"][0]["link"] == link).then_some(status)
    })
    .await
}

/// Stops the barn, checks that the office still serves its copy, and starts the barn again.
async fn run_without_barn(mut yard: Yard) -> Yard {
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0));
    let alone = wait_for_link(&yard, "away").await;
    assert!(alone["sites"][0]["barn_heard_at"].is_string(), "{alone}");
    wait_until_shown(&yard, "TEST001").await;
    let page = pages::html(&yard.pages, "/batches").await.unwrap();
    assert!(page.contains("Away") && page.contains("barn last heard"), "the page shows how old the copy is: {page}");

    yard.barn.start().await.unwrap();
    assert_eq!(yard.deliver("hxb:TEST002:LF998:UHF887").await.0, 201);
    wait_until_shown(&yard, "TEST002").await;
    wait_for_link(&yard, "live").await;
    yard
}

/// Stops the office, lets the barn record without it, and checks that the office catches up.
async fn run_without_office(mut yard: Yard) -> Yard {
    assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0));
    let payloads: Vec<_> = (0..MISSED).map(|n| format!("hxb:MISSED:LFM{n}:UHFM{n}")).collect();
    let (status, answer) = deliver(&yard.device, &json!({ "payloads": payloads })).await.unwrap();
    let stored = answer["results"].as_array().unwrap().iter().filter(|one| one["status"] == "stored").count();
    assert_eq!((status, stored), (200, MISSED));

    yard.office.start().await.unwrap();
    let counts = yard.wait_until_equal().await.text_counts();
    assert!(payloads.iter().all(|payload| counts[payload] == 1), "every payload is in the log once");
    let batch = pages::json(&yard.pages, "/batches/MISSED?limit=1000").await.unwrap();
    assert_eq!(batch["cattle_count"], MISSED);
    assert_eq!(batch["animals"].as_array().unwrap().len(), MISSED);
    yard
}
