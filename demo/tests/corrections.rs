//! Every kind of correction, applied at the barn and read at the office.
//!
//! Catches: a correction that changes the barn but not its copy, that is applied twice because its answer was lost, or
//! that is shown without its author and reason; and a correction that is refused but still written.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{BarnSettings, Client};
use serde_json::{Value, json};
use yard::{Yard, own_programs, pages, until};

const AUTHOR: &str = "J. Doe";
const CORRECTIONS: &str = "/api/corrections";

/// A yard, with a client that may correct its records.
struct CorrectionYard {
    yard: Yard,
    operator: Client,
}

impl CorrectionYard {
    async fn open() -> Self {
        let radios = "[[radio]]\nkind = 'none'\n".to_owned();
        let yard = Yard::open(&own_programs(), |_| BarnSettings { radios, ..BarnSettings::default() }).await;
        let operator = yard.barn.client(&yard.barn.key("operator", &["correct"]).unwrap()).unwrap();
        Self { yard, operator }
    }

    /// Delivers a payload, accepted or not, and returns its sequence.
    async fn record(&self, payload: &str) -> u64 {
        self.yard.deliver(payload).await.1["payload_id"].as_u64().unwrap()
    }

    async fn send(&self, key: &str, correction: &Value) -> (u16, Value) {
        let request = json!({"author": AUTHOR, "reason": reason(correction), "idempotency_key": key,
            "correction": correction});
        let answer = self.operator.post_json(CORRECTIONS, &request).await.unwrap();
        (answer.status, answer.json().unwrap())
    }

    /// Sends a correction twice under one idempotency key, which must make one change. Waits until the office equals
    /// the barn, and returns the sequence of the change.
    async fn correct(&self, correction: Value) -> u64 {
        let key = correction.to_string().chars().take(64).collect::<String>();
        let (status, made) = self.send(&key, &correction).await;
        assert_eq!((status, &made["status"]), (201, &json!("corrected")), "{correction}: {made}");
        let (status, again) = self.send(&key, &correction).await;
        assert_eq!((status, &again["status"]), (200, &json!("already_corrected")), "{correction}: {again}");
        assert_eq!(made["sequence"], again["sequence"]);
        let sequence = made["sequence"].as_u64().unwrap();
        assert_eq!(self.yard.barn.status().unwrap().sequence.0, sequence, "one change");
        self.yard.wait_until_equal().await;
        sequence
    }

    async fn office(&self, path: &str) -> Value {
        pages::json(&self.yard.pages, path).await.unwrap()
    }

    /// Returns the office's entry for a change in the history of an animal.
    async fn history_entry(&self, animal: u64, sequence: u64) -> Value {
        let mut page = self.office(&format!("/animals/{animal}")).await;
        let history = page["history"].as_array_mut().unwrap();
        let entry = history.iter_mut().find(|entry| entry["sequence"] == sequence);
        entry.unwrap_or_else(|| panic!("change {sequence} is not in the history of {animal}")).take()
    }
}

fn reason(correction: &Value) -> String {
    format!("why {}", correction["kind"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_correction_of_an_animal_reaches_the_office_with_author_and_reason() {
    let yard = CorrectionYard::open().await;
    let one = yard.record("event:hxbpai000001|lid:1|lf:A|epc:U1|weight:245.5").await;
    let two = yard.record("event:hxbpai000002|lid:2|lf:B").await;
    let three = yard.record("hxb:L1:C:U3").await;
    let wrong = yard.record("event:hxbchi000001|lid:1|weight:999").await;
    let reused = yard.record("event:hxbchi000001|lid:1|weight:251").await;
    for (animal, correction, (pointer, expected)) in [
        (one, json!({"kind": "void", "payload": wrong}), ("/weight_kg", json!("245.5"))),
        (one, json!({"kind": "accept_rejected", "payload": reused}), ("/weight_kg", json!("251"))),
        (one, json!({"kind": "weigh", "animal": one, "weight_kg": 300.5}), ("/weight_kg", json!("300.5"))),
        (one, json!({"kind": "retag", "animal": one, "tag_kind": "lf", "tag": "Z"}), ("/lf/text", json!("Z"))),
        (one, json!({"kind": "move_pen", "animal": one, "pen": "P7"}), ("/traits/pen", json!("P7"))),
        (
            one,
            json!({"kind": "move_batch", "animal": one, "batch_number": "L9"}),
            ("/barn_batch/batch_number", json!("L9")),
        ),
        (one, json!({"kind": "merge", "animal": one, "absorbed": two}), ("/lids/1/lid", json!("2"))),
        (three, json!({"kind": "died", "animal": three}), ("/status", json!("dead"))),
    ] {
        let sequence = yard.correct(correction.clone()).await;
        let animal_page = yard.office(&format!("/animals/{animal}")).await;
        assert_eq!(animal_page.pointer(pointer), Some(&expected), "{correction}");
        let entry = yard.history_entry(animal, sequence).await;
        let signed = if entry["correction"]["author"].is_string() { &entry["correction"] } else { &entry };
        assert_eq!((&signed["author"], &signed["reason"]), (&json!(AUTHOR), &json!(reason(&correction))), "{entry}");
        let html = pages::html(&yard.yard.pages, &format!("/payloads/{sequence}")).await.unwrap();
        assert!(html.contains(AUTHOR) && html.contains(&reason(&correction)), "{html}");
    }
    // A request for the absorbed animal returns the other one, and the voided payload stays in the history.
    assert_eq!(yard.office(&format!("/animals/{two}")).await["id"], one);
    assert!(yard.history_entry(one, wrong).await["voided_by"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_batches_and_reader_eras_apply_at_barn_and_office() {
    let yard = CorrectionYard::open().await;
    let batch = yard.record("hxb:L1:A:U1").await;
    yard.record("event:hxbchi000001|lid:1|weight:1").await;
    yard.correct(json!({"kind": "edit_batch", "batch": batch, "notes": "sorted twice"})).await;
    let closed = yard.correct(json!({"kind": "close_batch", "batch": batch})).await;
    let page = yard.office(&format!("/batches/by-id/{batch}")).await;
    assert_eq!((&page["notes"], &page["open"]), (&json!("sorted twice"), &json!(false)));
    assert_eq!(page["closed_by"], closed);
    for weight in 2..7 {
        yard.record(&format!("event:hxbchi000001|lid:1|weight:{weight}")).await;
    }
    let era = yard.correct(json!({"kind": "new_reader_era", "reader_group": "main"})).await;
    assert_eq!(yard.office(&format!("/payloads/{era}")).await["reader_era"], 2);
    let (status, _) = yard.yard.deliver("event:hxbchi000001|lid:1|weight:9").await;
    assert_eq!(status, 201, "every event id is free in a new era");
}

/// Catches a command on the status page that does not run as printed, an order that ends with the command, and an office
/// whose herd differs from the barn's after it.
#[tokio::test(flavor = "multi_thread")]
async fn two_lots_of_a_reader_that_began_again_are_two_lots_by_the_command_of_the_status_page() {
    let mut yard = CorrectionYard::open().await;
    let lot = async |yard: &CorrectionYard, name: &str, weight: u64| {
        for lid in 1..=3 {
            yard.record(&format!("event:hxbind00000{lid}|lid:{lid}|lot:L{name}")).await;
            yard.record(&format!("event:hxbpai00000{lid}|lid:{lid}|lf:{name}{lid}|weight:{}", weight + lid)).await;
        }
    };
    lot(&yard, "A", 200).await;
    lot(&yard, "B", 300).await;
    yard.record("event:hxbchi000001|lid:1|weight:400").await;
    yard.yard.wait_until_equal().await;
    let page = pages::html(&yard.yard.pages, "/status").await.unwrap();
    assert!(page.contains("Start a new reader era?"), "{page}");
    assert!(page.contains("animal 2, which took some of these, goes back to what it had before"), "{page}");
    let (_, rest) = page.split_once("<code>herdlinxd ").unwrap();
    let command: Vec<&str> = rest.split_once("</code>").unwrap().0.split_whitespace().collect();
    let printed = yard.yard.barn.run(&command).unwrap();
    assert!(printed.contains("The correction is recorded as change"), "{printed}");
    // The next start goes on with what this one has not done.
    yard.yard.barn.kill();
    yard.yard.barn.start().await.unwrap();
    until("all payloads are moved", async || {
        let moves = yard.yard.barn.status().unwrap().reader_era_moves;
        moves.first().is_some_and(|moves| moves.done).then_some(())
    })
    .await;
    yard.yard.wait_until_equal().await;
    for (lot, weights) in [("LA", ["201", "202", "203"]), ("LB", ["400", "302", "303"])] {
        let page = yard.office(&format!("/batches/{lot}")).await;
        let head: Vec<&Value> = page["animals"].as_array().unwrap().iter().map(|animal| &animal["weight_kg"]).collect();
        assert_eq!(head, weights, "{lot}: {page}");
    }
    let status = yard.office("/status").await;
    assert_eq!(status["totals"]["rejected"], 0, "{status}");
    assert_eq!(status["reader_era_proposals"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_correction_changes_neither_barn_nor_office() {
    let yard = CorrectionYard::open().await;
    let one = yard.record("hxb:L1:A:U1").await;
    let exported = yard.record("hxe:OUT:B:U2").await;
    let before = yard.yard.wait_until_equal().await;
    for (correction, status, code) in [
        (json!({"kind": "died", "animal": 99}), 404, "unknown_animal"),
        (json!({"kind": "merge", "animal": one, "absorbed": one}), 409, "merge_with_itself"),
        (json!({"kind": "move_pen", "animal": exported, "pen": "P1"}), 409, "not_on_yard"),
        (json!({"kind": "void", "payload": 99}), 404, "unknown_payload"),
    ] {
        let (found, answer) = yard.send("k", &correction).await;
        assert_eq!((found, &answer["error"]), (status, &json!(code)), "{correction}");
    }
    let without_reason =
        json!({"author": AUTHOR, "idempotency_key": "k", "correction": {"kind": "died", "animal": one}});
    assert_eq!(yard.operator.post_json(CORRECTIONS, &without_reason).await.unwrap().status, 400, "no reason");
    assert_eq!(yard.yard.wait_until_equal().await.end, before.end);
}

/// Catches an office that keeps a correction for later, an office that confirms it while the barn is away, and a barn
/// that applies it twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_sent_to_the_office_is_applied_once_at_the_barn_even_after_an_outage() {
    let mut yard = CorrectionYard::open().await;
    let one = yard.record("hxb:L1:A:U1").await;
    let office = &yard.yard.office;
    let operator = office.client(&office.key("operator", &["correct"]).unwrap()).unwrap();
    let request = |key: &str, pen: &str| {
        json!({"author": AUTHOR, "reason": "fence broken", "idempotency_key": key,
            "correction": {"kind": "move_pen", "animal": one, "pen": pen}})
    };
    let made = operator.post_json(CORRECTIONS, &request("k1", "P1")).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    yard.yard.wait_until_equal().await;
    assert_eq!(yard.office(&format!("/animals/{one}")).await["traits"]["pen"], "P1");

    assert_eq!(yard.yard.barn.terminate().await.unwrap().code(), Some(0));
    let away = operator.post_json(CORRECTIONS, &request("k2", "P2")).await.unwrap();
    assert_eq!((away.status, &away.json().unwrap()["error"]), (503, &json!("barn_away")));
    assert_eq!(
        yard.office(&format!("/animals/{one}")).await["traits"]["pen"],
        "P1",
        "the office has not kept the correction"
    );
    yard.yard.barn.start().await.unwrap();
    for status in [201, 200] {
        let again = operator.post_json(CORRECTIONS, &request("k2", "P2")).await.unwrap();
        assert_eq!(again.status, status, "{}", again.text());
    }
    yard.yard.wait_until_equal().await;
    let page = yard.office(&format!("/animals/{one}")).await;
    assert_eq!(page["traits"]["pen"], "P2");
    let corrected = page["history"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "corrected").count();
    assert_eq!(corrected, 2, "{page}");
}
