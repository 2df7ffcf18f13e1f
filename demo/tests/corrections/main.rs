//! Every kind of correction, applied at the barn and read at the office.
//!
//! Catches: a correction that changes the barn but not its copy, that is applied twice because its answer was lost, or
//! that is shown without its author and reason; and a correction that is refused but still written.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod correction_yard;
mod eras;
mod forms;
mod weighings;
#[path = "../yard/mod.rs"]
mod yard;

use correction_yard::{AUTHOR, CORRECTIONS, CorrectionYard, reason};
use serde_json::json;
use yard::pages;

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
