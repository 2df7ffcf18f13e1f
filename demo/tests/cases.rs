//! The case table of the field's documents, run through real processes.
//!
//! The payloads are sent over HTTP and over the air, and then looked up in the office's pages and log.
//!
//! Catches: a case that the store gets right, and a door, the wire, the follower or a page gets wrong.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod case_pages;
mod case_table;
mod yard;

use case_table::{Case, Outcome, ROW_3, cases};
use demo::processes::BarnSettings;
use radio::simulated::{Script, ScriptLine};
use serde_json::json;
use std::path::Path;
use yard::log::{OfficeLog, reason_of};
use yard::pages::{Animals, json};
use yard::{Yard, own_programs, until};

/// Returns settings of a barn whose only radio plays this script.
fn radio_script(directory: &Path, lines: Vec<ScriptLine>) -> BarnSettings {
    let script = directory.join("script");
    std::fs::write(&script, Script::new(lines).unwrap().to_string()).unwrap();
    let radios = format!("[[radio]]\nkind = 'simulated'\nsimulated = {{ script = '{}' }}\n", script.display());
    BarnSettings { radios, ..BarnSettings::default() }
}

/// Checks that the office's log holds the recorded payloads in order, byte for byte as sent, and nothing else.
fn assert_log_holds(log: &OfficeLog, cases: &[Case]) {
    let kept: Vec<_> = log.received().map(|(_, received)| (received.raw.as_slice(), reason_of(received))).collect();
    let expected: Vec<_> = cases
        .iter()
        .filter_map(|case| match case.outcome {
            Outcome::Stored => Some((case.payload.as_bytes(), None)),
            Outcome::Rejected(reason) => Some((case.payload.as_bytes(), Some(reason))),
            Outcome::Duplicate => None,
        })
        .collect();
    for (found, wanted) in kept.iter().zip(&expected) {
        assert_eq!(found, wanted, "{} is not {}", String::from_utf8_lossy(found.0), String::from_utf8_lossy(wanted.0));
    }
    assert_eq!(kept.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_sent_over_http_appears_at_the_office_as_the_table_says() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let cases = cases();
    for Case { row, payload, outcome } in &cases {
        let (status, answer) = yard.deliver(payload).await;
        let expected = match outcome {
            Outcome::Stored => (201, json!("stored"), json!(null)),
            Outcome::Duplicate => (409, json!("duplicate"), json!(null)),
            Outcome::Rejected(reason) => (422, json!("rejected"), json!(reason)),
        };
        let found = (status, answer["status"].clone(), answer["reason"].clone());
        assert_eq!(found, expected, "row {row}, {payload}: {answer}");
    }
    let log = yard.wait_until_equal().await;
    assert_log_holds(&log, &cases);
    case_pages::assert_rows(&yard.pages, &log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_sent_over_the_air_appears_at_the_office_as_the_table_says() {
    let cases = cases();
    let lines = cases.iter().map(|case| ScriptLine::new(0, case.payload.as_bytes())).collect();
    let yard = Yard::open(&own_programs(), |directory| radio_script(directory, lines)).await;
    wait_for_script_end(&yard).await;
    let log = yard.wait_until_equal().await;
    assert_log_holds(&log, &cases);
    assert!(log.received().all(|(_, received)| received.origin.channel == "radio1"));
    case_pages::assert_rows(&yard.pages, &log).await;

    let duplicates = cases.iter().filter(|case| case.outcome == Outcome::Duplicate).count();
    assert_eq!(yard.barn.status().unwrap().duplicates["radio1"].count, duplicates as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_repeated_after_the_window_is_another_sighting_of_the_same_animal() {
    // Also over the air. The third payload comes late enough for a busy machine to have received the first two before.
    let aired = "hxb:AIRED:LF3:UHF3";
    let lines = vec![ScriptLine::new(0, aired), ScriptLine::new(0, aired), ScriptLine::new(4_000, aired)];
    let yard = Yard::open(&own_programs(), |directory| BarnSettings {
        more: "repeat_window = '1s'".to_owned(),
        ..radio_script(directory, lines)
    })
    .await;
    assert_eq!(yard.deliver(ROW_3).await.0, 201);
    let again = until("the repeat window passes", async || {
        let (status, answer) = yard.deliver(ROW_3).await;
        assert!([201, 409].contains(&status), "{answer}");
        (status == 201).then_some(answer["payload_id"].clone())
    })
    .await;
    wait_for_script_end(&yard).await;

    let counts = yard.wait_until_equal().await.text_counts();
    assert_eq!((counts[ROW_3], counts[aired]), (2, 2));
    let animals = Animals::fetch(&yard.pages).await;
    assert_eq!(animals.count(), 2);
    assert_eq!(animals.with_lf("LF123").await["last"], again);
    for (number, lf) in [("BATCH001", "LF123"), ("AIRED", "LF3")] {
        let batch = json(&yard.pages, &format!("/batches/{number}")).await.unwrap();
        assert_eq!((&batch["cattle_count"], &batch["others"]), (&json!(1), &json!([])), "{batch}");
        assert_eq!(animals.with_lf(lf).await["history"].as_array().unwrap().len(), 2);
    }
}

async fn wait_for_script_end(yard: &Yard) {
    until("the script ends", async || {
        let status = yard.barn.status().unwrap();
        (status.radios[0].state == "ended").then_some(())
    })
    .await;
}
