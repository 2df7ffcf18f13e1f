//! SIGTERM, also while fifty devices deliver.
//!
//! Catches: a shutdown that loses an acknowledged payload, records a refused one, splits a call or takes longer than
//! 5 s; a follower that does not reconnect; and files that are left open.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{BarnSettings, Client};
use serde_json::json;
use std::collections::HashMap;
use tokio::sync::watch;
use tokio::task::JoinSet;
use yard::{Yard, deliver, log_end, own_programs, pages, until};

const DEVICES: usize = 50;
/// Calls that are answered before the shutdown.
const CALLS_BEFORE: u64 = 500;
/// Place of the flags in a file of redb, and the one that is set while the file is open (redb's docs/design.md).
const REDB_FLAGS: usize = 9;
const REDB_NOT_CLOSED: u8 = 2;
/// Payloads in each call of every other device; the rest deliver one at a time.
const ARRAY_PAYLOADS: u64 = 10;

/// Outcome of a call, as its device learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CallOutcome {
    Stored,
    /// Status 503: none of its payloads may be recorded.
    Unavailable,
    /// The connection was refused, or closed before the request was read. None of its payloads may be recorded either.
    NoAnswer,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_under_load_keeps_every_acknowledged_call_whole_and_the_office_reconnects() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let (answered, mut answers) = watch::channel(0_u64);
    let mut devices = JoinSet::new();
    for device in 0..DEVICES {
        // Each device has its own connections.
        let client = yard.barn.client(&yard.barn.key(&format!("device-{device}"), &["ingest"]).unwrap()).unwrap();
        devices.spawn(deliver_until_refused(device, client, answered.clone()));
    }
    answers.wait_for(|calls| *calls >= CALLS_BEFORE).await.unwrap();
    // The process exits with 1 if its parts have not ended after 4.5 s, so 0 means that it was in time.
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0), "{}", log_end(&yard.barn.log()));
    let calls: Vec<_> = devices.join_all().await.into_iter().flatten().collect();
    let verified = yard.barn.run(&["verify"]).unwrap();
    assert!(verified.contains("rows hashed again"), "{verified}");

    yard.barn.start().await.unwrap();
    let text_counts = yard.wait_until_equal().await.text_counts();
    let mut tally = HashMap::new();
    for (texts, outcome) in &calls {
        *tally.entry(outcome).or_insert(0) += 1;
        let kept: Vec<_> = texts.iter().map(|text| text_counts.get(text).copied().unwrap_or(0)).collect();
        let all = kept.iter().all(|count| *count == 1);
        let none = kept.iter().all(|count| *count == 0);
        let right = match outcome {
            CallOutcome::Stored => all,
            CallOutcome::Unavailable | CallOutcome::NoAnswer => none,
        };
        assert!(right, "{outcome:?}: {texts:?} are in the log {kept:?} times");
    }
    println!("calls by outcome: {tally:?}");
    let kept: usize = text_counts.values().sum();
    assert!(kept <= calls.iter().map(|(texts, _)| texts.len()).sum(), "the log holds a payload that was not sent");

    until("the office is live again", async || {
        (yard.office.sync_status().await.unwrap()["sites"][0]["link"] == "live").then_some(())
    })
    .await;
    assert_eq!(yard.deliver("hxb:AFTER:LFA:UHFA").await.0, 201);
    until("the office shows a read after the restart", async || pages::json(&yard.pages, "/batches/AFTER").await.ok())
        .await;
}

/// Catches a part that outlives the end of its process and holds a database: its file is then not closed, and the next start
/// has to recover it.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_closes_every_database_of_both() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    assert_eq!(yard.deliver("hxb:LOT:LF1:UHF1").await.0, 201);
    yard.wait_until_equal().await;
    pages::json(&yard.pages, "/animals").await.unwrap();
    assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0), "{}", log_end(&yard.office.log()));
    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0), "{}", log_end(&yard.barn.log()));
    let (mut directories, mut databases) = (vec![yard.directory.path().to_owned()], 0);
    while let Some(directory) = directories.pop() {
        for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_symlink() {
                // The office's copy has a second name.
            } else if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "redb") {
                let flags = std::fs::read(&path).unwrap()[REDB_FLAGS];
                assert_eq!(flags & REDB_NOT_CLOSED, 0, "{} is not closed", path.display());
                databases += 1;
            }
        }
    }
    assert_eq!(databases, 6, "log, tables and keys of each");
}

/// Delivers until a call is not answered as stored. Returns the payloads and the outcome of each call.
async fn deliver_until_refused(
    device: usize,
    client: Client,
    answered: watch::Sender<u64>,
) -> Vec<(Vec<String>, CallOutcome)> {
    let count = if device.is_multiple_of(2) { ARRAY_PAYLOADS } else { 1 };
    let mut calls = Vec::new();
    for call in 0_u64.. {
        let texts: Vec<_> =
            (0..count).map(|n| format!("hxb:D{device}:L{device}-{call}-{n}:U{device}-{call}-{n}")).collect();
        let body = if let [one] = texts.as_slice() { json!({ "payload": one }) } else { json!({ "payloads": texts }) };
        let outcome = match deliver(&client, &body).await {
            None => CallOutcome::NoAnswer,
            Some((201, _)) => CallOutcome::Stored,
            Some((503, _)) => CallOutcome::Unavailable,
            Some((200, answer)) => {
                let results = answer["results"].as_array().unwrap();
                assert!(results.iter().all(|one| one["status"] == "stored"), "{answer}");
                CallOutcome::Stored
            }
            Some((status, answer)) => panic!("{status}: {answer}"),
        };
        calls.push((texts, outcome));
        if outcome != CallOutcome::Stored {
            break;
        }
        answered.send_modify(|calls| *calls += 1);
    }
    calls
}
