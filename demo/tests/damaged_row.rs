//! A damaged row in the middle of a barn's log, which an office follows that holds the row, and one that does not.
//!
//! Catches: a barn that hides the damage or names other changes, one that records or serves nothing more, an office that holds
//! the row and stops at it, an office without it that does not get what is before it, and one that blames the link.
//!
//! `drills` shows how the row comes back.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{BarnSettings, Office, OfficeSettings};
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use yard::damage::flip;
use yard::{Yard, own_programs, pages, until};

/// Payloads of each session of the barn.
const SESSION: u64 = 40;
/// The arguments of a person who gives back.
const GIVE_BACK: [&str; 6] = ["give-back", "barn", "--author", "J. Doe", "--reason", "a damaged row"];

/// Delivers payloads that are a row of the log after the next stop, and returns its changes.
async fn session(yard: &Yard, name: &str) -> RangeInclusive<u64> {
    let mut stored = Vec::new();
    for n in 0..SESSION {
        let (status, answer) = yard.deliver(&format!("hxb:{name}:LF{name}{n}:UHF{name}{n}")).await;
        assert_eq!(status, 201, "{answer}");
        stored.push(answer["payload_id"].as_u64().unwrap());
    }
    stored[0]..=stored[stored.len() - 1]
}

/// Delivers a payload of a batch of its own, and waits until the office shows it.
async fn record_on(yard: &Yard, batch: &str) {
    assert_eq!(yard.deliver(&format!("hxb:{batch}:LF{batch}:UHF{batch}")).await.0, 201);
    until(batch, async || pages::json(&yard.pages, &format!("/batches/{batch}")).await.ok()).await;
}

/// Returns status and body of the barn's health.
async fn health(yard: &Yard) -> (u16, Value) {
    let answer = yard.barn.visitor().unwrap().get("/api/remote/health", "application/json").await.unwrap();
    (answer.status, answer.json().unwrap())
}

/// Starts another office and pairs it with the barn.
async fn other_office(yard: &Yard, name: &str) -> Office {
    let mut office =
        Office::new(&own_programs(), &yard.directory.path().join(name), &OfficeSettings::default()).unwrap();
    office.start().await.unwrap();
    office.add(&yard.barn.pair().unwrap()).unwrap();
    office
}

/// Waits until an office holds everything before the damaged row and says why it goes no further.
async fn wait_for_end_before(row: &RangeInclusive<u64>, office: &Office) {
    let last = row.start() - 1;
    let said = until("the office ends before the row and says why", async || {
        let site = office.site().unwrap()?;
        // A first copy is shown once it is complete.
        let held = site.copied.map(|(held, _)| held).or(site.position.map(|position| position.sequence.0))?;
        assert!(held <= last, "the office holds change {held}, whose row is damaged");
        site.last_error.filter(|_| held == last)
    })
    .await;
    let row = format!("changes {} to {last}", row.start(), last = row.end());
    assert!(said.contains("the log is damaged") && said.contains(&row) && !said.contains("altered"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_holds_a_damaged_row_goes_on_behind_it_and_others_end_before_it() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let mut behind = other_office(&yard, "office-2").await;
    let mut rows = Vec::new();
    for name in ["ONE", "TWO", "THREE", "FOUR"] {
        rows.push(session(&yard, name).await);
        yard.wait_until_equal().await;
        if name == "ONE" {
            let reader = behind.reader().unwrap();
            until("the other office has ONE", async || pages::json(&reader, "/batches/ONE").await.ok()).await;
            behind.terminate().await.unwrap();
        }
        yard.barn.terminate().await.unwrap();
        yard.barn.start().await.unwrap();
    }
    let row = &rows[2];
    yard.barn.terminate().await.unwrap();
    flip(&yard.barn.state_dir().join("log.redb"), "LFTHREE30:");
    yard.barn.start().await.unwrap();
    record_on(&yard, "BEHIND").await;

    behind.start().await.unwrap();
    wait_for_end_before(row, &behind).await;
    let reader = behind.reader().unwrap();
    let batch = async |number: &str| pages::json(&reader, &format!("/batches/{number}")).await.map(|_| ());
    assert_eq!((batch("TWO").await, batch("THREE").await), (Ok(()), Err(404)));
    let new = other_office(&yard, "office-3").await;
    wait_for_end_before(row, &new).await;

    let (status, told) = health(&yard).await;
    let damaged = json!([{ "first": row.start(), "last": row.end() }]);
    assert_eq!((status, &told["failing"], &told["damaged"]), (503, &json!(["log"]), &damaged), "{told}");
    record_on(&yard, "REPORTED").await;
    yard.office.terminate().await.unwrap();
    yard.office.start().await.unwrap();
    record_on(&yard, "RESTARTED").await;
    assert_eq!(yard.office.site().unwrap().unwrap().last_error, None);

    yard.office.run(&GIVE_BACK).unwrap();
    assert_eq!(health(&yard).await.0, 200);
    until("the other office goes on behind the row", async || batch("RESTARTED").await.ok()).await;
    until("the new office has its first copy", async || new.site().unwrap()?.position).await;
    yard.wait_until_equal().await;
    yard.verify().await;
}
