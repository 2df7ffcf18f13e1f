//! SIGTERM while fifty devices deliver.
//!
//! Would catch: a stop that cuts what was promised, keeps what was refused, halves a call, or outlasts its 5 s; and a
//! follower that does not come back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod yard;

use demo::processes::{BarnSettings, Client};
use serde_json::json;
use std::collections::HashMap;
use tokio::sync::watch;
use tokio::task::JoinSet;
use yard::{Yard, deliver, log_end, own_programs, pages, until};

const DEVICES: usize = 50;
/// So many calls are answered before the stop.
const CALLS_BEFORE: u64 = 500;
/// Payloads of a call by every other device; the rest deliver one by one.
const ARRAY_PAYLOADS: u64 = 10;

/// What a device was told about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Told {
    Stored,
    /// 503: nothing of it may be kept.
    NotNow,
    /// The connection was refused or closed before the request was taken: nothing of it may be kept either.
    Nothing,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_keeps_what_was_promised_and_nothing_half_and_the_office_comes_back() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let (answered, mut seen) = watch::channel(0_u64);
    let mut devices = JoinSet::new();
    for device in 0..DEVICES {
        // Connections of its own, as devices have.
        let client = yard.barn.client(&yard.barn.key(&format!("device-{device}"), &["ingest"]).unwrap()).unwrap();
        devices.spawn(deliver_until_stopped(device, client, answered.clone()));
    }
    seen.wait_for(|calls| *calls >= CALLS_BEFORE).await.unwrap();
    // The process itself exits by 1 where its parts have not ended after 4.5 s, so that 0 says "in time".
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0), "{}", log_end(&yard.barn.log()));
    let calls: Vec<_> = devices.join_all().await.into_iter().flatten().collect();
    let verified = yard.barn.run(&["verify"]).unwrap();
    assert!(verified.contains("equal, row by row"), "{verified}");

    yard.barn.start().await.unwrap();
    let counted = yard.copied().await.counted();
    let mut told = HashMap::new();
    for (texts, how) in &calls {
        *told.entry(how).or_insert(0) += 1;
        let kept: Vec<_> = texts.iter().map(|text| counted.get(text).copied().unwrap_or(0)).collect();
        let all = kept.iter().all(|count| *count == 1);
        let none = kept.iter().all(|count| *count == 0);
        let right = match how {
            Told::Stored => all,
            Told::NotNow | Told::Nothing => none,
        };
        assert!(right, "{how:?}: {texts:?} are there {kept:?} times");
    }
    println!("calls by what was told: {told:?}");
    let kept: usize = counted.values().sum();
    assert!(kept <= calls.iter().map(|(texts, _)| texts.len()).sum(), "nothing is there that was not sent");

    until("the office to be live again", async || {
        (yard.office.sync_status().await.unwrap()["sites"][0]["link"] == "live").then_some(())
    })
    .await;
    assert_eq!(yard.deliver("hxb:AFTER:LFA:UHFA").await.0, 201);
    until("a read after the restart", async || pages::json(&yard.pages, "/batches/AFTER").await.ok()).await;
}

/// Delivers until the first call that is not answered as stored.
async fn deliver_until_stopped(
    device: usize,
    client: Client,
    answered: watch::Sender<u64>,
) -> Vec<(Vec<String>, Told)> {
    let count = if device.is_multiple_of(2) { ARRAY_PAYLOADS } else { 1 };
    let mut calls = Vec::new();
    for call in 0_u64.. {
        let texts: Vec<_> =
            (0..count).map(|n| format!("hxb:D{device}:L{device}-{call}-{n}:U{device}-{call}-{n}")).collect();
        let body = if let [one] = texts.as_slice() { json!({ "payload": one }) } else { json!({ "payloads": texts }) };
        let told = match deliver(&client, &body).await {
            None => Told::Nothing,
            Some((201, _)) => Told::Stored,
            Some((503, _)) => Told::NotNow,
            Some((200, answer)) => {
                let results = answer["results"].as_array().unwrap();
                assert!(results.iter().all(|one| one["status"] == "stored"), "{answer}");
                Told::Stored
            }
            Some((status, answer)) => panic!("{status}: {answer}"),
        };
        calls.push((texts, told));
        if told != Told::Stored {
            break;
        }
        answered.send_modify(|calls| *calls += 1);
    }
    calls
}
