//! Weights that a person puts right on the day of the weighing, by the command, the barn's call and the office's.
//!
//! Catches: a corrected weight that is shown beside the wrong one, on the day of the correction, or as the newest although
//! an older day was meant; and a replacement that is lost between barn and office.

use crate::correction_yard::{AUTHOR, CORRECTIONS, CorrectionYard, reason};
use crate::yard::pages;
use serde_json::{Value, json};

/// An animal with two weighings, the changes of which are returned as well.
async fn weighed_twice(yard: &CorrectionYard, lid: u64) -> (u64, [u64; 2]) {
    let first = yard.record(&format!("event:hxbpai{lid:06}|lid:{lid}|lf:A{lid}|weight:245")).await;
    let second = yard.record(&format!("event:hxbchi{lid:06}|lid:{lid}|weight:2600")).await;
    let second_read = yard.record(&format!("event:hxbchi{:06}|lid:{lid}|weight:860", lid + 100)).await;
    assert!(second < second_read, "a weight above 2,000 kg is a read without a weight");
    (first, [first, second_read])
}

/// Returns `(change, kg, change that it replaces)` of each weight of an animal at the office, latest first.
async fn weights(yard: &CorrectionYard, animal: u64) -> Vec<(u64, String, Option<u64>)> {
    let page = yard.office(&format!("/animals/{animal}")).await;
    let weights = page["weights"].as_array().unwrap().iter();
    let read = |weight: &Value| {
        let kg = weight["weight_kg"].as_str().unwrap().to_owned();
        (weight["sequence"].as_u64().unwrap(), kg, weight["replaces"].as_u64())
    };
    weights.map(read).collect()
}

/// Returns the time of the weighing that the office shows for a change.
async fn time_of(yard: &CorrectionYard, animal: u64, change: u64) -> String {
    let page = yard.office(&format!("/animals/{animal}")).await;
    let weights = page["weights"].as_array().unwrap();
    let weight = weights.iter().find(|weight| weight["sequence"] == change);
    weight.unwrap_or_else(|| panic!("{change} is not in {page}"))["received_at"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_replaced_by_the_command_stands_on_the_day_of_the_weighing() {
    let yard = CorrectionYard::open().await;
    let (animal, [_, wrong]) = weighed_twice(&yard, 1).await;
    yard.yard.wait_until_equal().await;
    let day = time_of(&yard, animal, wrong).await;
    let (animal_text, wrong_text) = (animal.to_string(), wrong.to_string());
    let command = ["correct", "--author", AUTHOR, "--reason", "scale stuck", "weigh", "--animal", &animal_text];
    let command = [&command[..], &["--weight_kg", "260", "--replaces", &wrong_text]].concat();
    let printed = yard.yard.barn.run(&command).unwrap();
    assert!(printed.contains("The correction is recorded as change"), "{printed}");
    yard.yard.wait_until_equal().await;
    let made = yard.yard.barn.status().unwrap().sequence.0;
    assert_eq!(weights(&yard, animal).await, [(made, "260".into(), Some(wrong)), (animal, "245".into(), None)]);
    assert_eq!(time_of(&yard, animal, made).await, day);
    let page = yard.office(&format!("/animals/{animal}")).await;
    assert_eq!(page["weight_kg"], "260");
    let html = pages::html(&yard.yard.pages, &format!("/animals/{animal}")).await.unwrap();
    assert!(!html.contains("<td class=\"number\">860</td>") && html.contains("scale stuck"), "{html}");
    let sheet = yard.yard.pages.get("/animals.csv", "text/csv").await.unwrap().text();
    assert!(sheet.contains(",260,") && !sheet.contains("860"), "{sheet}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_of_an_earlier_day_is_older_than_the_reads_and_not_the_newest_weight() {
    let yard = CorrectionYard::open().await;
    let (animal, [first, last]) = weighed_twice(&yard, 1).await;
    let day = "2026-05-04T08:30:00Z";
    let late = yard.correct(json!({"kind": "weigh", "animal": animal, "weight_kg": 120, "weighed_at": day})).await;
    let expected = [(last, "860".into(), None), (first, "245".into(), None), (late, "120".into(), None)];
    assert_eq!(weights(&yard, animal).await, expected);
    assert!(time_of(&yard, animal, late).await.starts_with("2026-05-04T08:30:00"));
    assert_eq!(yard.office(&format!("/animals/{animal}")).await["weight_kg"], "860");
    // A day is put right as well: the same weighing, with its own time.
    let again = yard.correct(json!({"kind": "weigh", "animal": animal, "weight_kg": 125, "replaces": late})).await;
    let expected = [(last, "860".into(), None), (first, "245".into(), None), (again, "125".into(), Some(late))];
    assert_eq!(weights(&yard, animal).await, expected);
    assert!(time_of(&yard, animal, again).await.starts_with("2026-05-04T08:30:00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_replaced_through_the_office_is_replaced_at_both_ends_and_only_once() {
    let yard = CorrectionYard::open().await;
    let (animal, [first, wrong]) = weighed_twice(&yard, 1).await;
    yard.yard.wait_until_equal().await;
    let office = &yard.yard.office;
    let operator = office.client(&office.key("operator", &["correct"]).unwrap()).unwrap();
    let correction = json!({"kind": "weigh", "animal": animal, "weight_kg": 261.5, "replaces": wrong});
    let request = |key: &str| json!({"author": AUTHOR, "reason": reason(&correction), "idempotency_key": key, "correction": correction});
    for status in [201, 200] {
        let answer = operator.post_json(CORRECTIONS, &request("k1")).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    yard.yard.wait_until_equal().await;
    let made = yard.yard.barn.status().unwrap().sequence.0;
    assert_eq!(weights(&yard, animal).await, [(made, "261.5".into(), Some(wrong)), (first, "245".into(), None)]);
    for (replaces, code) in [(wrong, "weighing_replaced"), (99, "no_weighing")] {
        let correction = json!({"kind": "weigh", "animal": animal, "weight_kg": 1, "replaces": replaces});
        let (status, answer) = yard.send("k2", &correction).await;
        assert_eq!((status, &answer["error"]), (409, &json!(code)), "{answer}");
    }
    assert_eq!(yard.yard.barn.status().unwrap().sequence.0, made, "what is refused writes nothing");
}
