//! What pages show of corrections.

use super::{HEARD, ask, at, filled_store, html_of, json_of, office_with};
use axum::Router;
use herd::change::{AnimalId, BatchId, Correction};
use herd::decide::CorrectionRequest;
use herd::position::Sequence;
use herd::store::{CorrectionReceipt, Store};
use serde_json::json;

/// The day of the other tests, and as change 15 a weight that was rejected because its event id was heard before.
fn heard() -> Store {
    let payloads: Vec<_> = HEARD.into_iter().chain(["event:hxbchi000117|weight:300|lid:1"]).collect();
    filled_store(&payloads)
}

fn correct(store: &mut Store, correction: Correction) -> u64 {
    let next = store.head().position.sequence.next();
    let request = CorrectionRequest {
        author: "J. Doe".to_owned(),
        reason: "<b>seen</b> in the pen".to_owned(),
        idempotency_key: format!("key {next}"),
        channel: "office-1".to_owned(),
        correction,
    };
    match store.correct(&request, at(next.0)).unwrap() {
        CorrectionReceipt::Kept { sequence } => sequence.0,
        other => panic!("{request:?} was not kept: {other:?}"),
    }
}

fn void(sequence: u64) -> Correction {
    Correction::Void { sequence: Sequence(sequence) }
}

/// Changes 16 to 23.
fn corrected() -> Router {
    let mut store = heard();
    for correction in [
        Correction::MovePen { animal: AnimalId(3), pen: "P2".to_owned() },
        Correction::Weigh { animal: AnimalId(3), weight_g: 301_000 },
        Correction::AcceptRejected { sequence: Sequence(15), animal: None },
        void(8),
        Correction::Died { animal: AnimalId(10) },
        Correction::EditBatch { batch: BatchId(2), notes: Some("two lines\nof <text>".to_owned()) },
        Correction::CloseBatch { batch: BatchId(2) },
        void(14),
    ] {
        correct(&mut store, correction);
    }
    office_with(store, &["barn"], true)
}

/// The row of a table whose first cell leads to this change.
fn row(page: &str, change: u64) -> &str {
    let first_cell = format!("<th scope=\"row\"><a href=\"/payloads/{change}\">");
    let (before, after) = page.split_once(&first_cell).unwrap_or_else(|| panic!("no row {change}: {page}"));
    let begins = before.rfind("<tr").unwrap();
    &page[begins..page.len() - after.len() + after.find("</tr>").unwrap()]
}

fn assert_tells(text: &str, told: &[&str]) {
    for told in told {
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// As the page writes the author and the reason.
const WHO: &str = "J. Doe: <q>&#60;b&#62;seen&#60;/b&#62; in the pen</q>";

#[tokio::test]
async fn an_animal_s_page_tells_who_corrected_what_and_why() {
    let page = html_of(&corrected(), "/animals/3").await;
    for (change, what) in [(16, "moved to pen P2"), (17, "weighed 301 kg"), (19, "event of payload 8 voided")] {
        let row = row(&page, change);
        assert_tells(row, &["<span class=\"mark corrected\">Corrected</span>", what, WHO, "through office-1"]);
    }
    assert!(!page.contains("<b>seen"), "{page}");
}

#[tokio::test]
async fn a_voided_event_is_struck_out_named_as_voided_and_leads_to_what_voided_it() {
    let page = html_of(&corrected(), "/animals/3").await;
    let voided = row(&page, 8);
    assert_tells(voided, &["<tr class=\"void\">", "<span class=\"said\">scan</span>"]);
    let by = "<span class=\"mark voided\">Voided</span> <span class=\"note\">by <a href=\"/payloads/19\">change 19</a>";
    assert_tells(voided, &[by]);
    assert!(!row(&page, 7).contains("void"), "{page}");
    let style = ask(&corrected(), "/assets/style.css", "text/css").await.body;
    assert!(style.contains(".void .said { text-decoration: line-through; }"));
}

#[tokio::test]
async fn an_event_that_was_accepted_late_tells_what_it_was_and_by_whom() {
    let page = html_of(&corrected(), "/animals/3").await;
    let first = "rejected at first as <a href=\"/payloads/15\">payload 15</a>, accepted by J. Doe";
    assert_tells(row(&page, 18), &[first, WHO, "<span class=\"said\">300</span>"]);
}

#[tokio::test]
async fn a_status_is_a_word() {
    let office = corrected();
    assert_tells(&html_of(&office, "/animals/10").await, &["<span class=\"mark dead\">Dead</span>"]);
    let voided = html_of(&office, "/animals/14").await;
    assert_tells(&voided, &["<span class=\"mark voided\">Voided</span>", "it never was, and counts nowhere"]);
    assert_tells(&html_of(&office, "/animals").await, &["2 on the yard, 1 exported, 1 dead"]);
    assert_eq!(json_of(&office, "/animals/10").await["status"], "dead");
    let sheet = ask(&office, "/animals.csv", "*/*").await.body;
    assert!(sheet.contains(",dead,") && !sheet.contains("voided"), "{sheet}");
}

#[tokio::test]
async fn a_batch_shows_its_notes_and_who_closed_it() {
    let office = corrected();
    let page = html_of(&office, "/batches/by-id/2").await;
    assert_tells(&page, &["<dd class=\"lines\">two lines\nof &#60;text&#62;</dd>"]);
    assert_tells(&page, &["<a href=\"/payloads/22\">change 22</a>", WHO]);
    assert!(!page.contains("batch with id 2 closed"), "{page}");
    let batch = json_of(&office, "/batches/by-id/2").await;
    assert_eq!((&batch["notes"], &batch["closed_by"]), (&json!("two lines\nof <text>"), &json!(22)));
    assert_eq!(batch["closed_by_correction"]["author"], "J. Doe");
    // The last animal of this one died.
    assert_tells(&html_of(&office, "/batches/by-id/9").await, &["change 20</a>", "animal 10 died; J. Doe"]);
    assert_eq!(json_of(&office, "/batches/by-id/9").await["closed_by_correction"]["correction"]["kind"], "died");
    assert!(json_of(&office, "/batches/by-id/11").await.get("closed_by_correction").is_none());
}

#[tokio::test]
async fn a_correction_s_own_page_tells_all_of_it() {
    let office = corrected();
    let page = html_of(&office, "/payloads/16").await;
    assert_tells(&page, &["<h1>Change 16</h1>", "animal 3 moved to pen P2", "<dd>J. Doe</dd>", "<code>key 16</code>"]);
    assert_tells(&page, &["&#60;b&#62;seen&#60;/b&#62; in the pen", "<dd>office-1</dd>", "href=\"/animals/3\""]);
    assert_tells(
        &html_of(&office, "/payloads/21").await,
        &["two lines\nof &#60;text&#62;", "href=\"/batches/by-id/2\""],
    );
    assert_tells(&html_of(&office, "/payloads/19").await, &["event of payload 8 voided", "href=\"/payloads/8\">8</a>"]);
    let change = json_of(&office, "/payloads/16").await;
    assert_eq!((&change["kind"], &change["author"]), (&json!("corrected"), &json!("J. Doe")));
    assert_eq!(change["correction"], json!({"kind": "move_pen", "animal": 3, "pen": "P2"}));
}

#[tokio::test]
async fn a_payload_s_page_leads_to_what_accepted_and_what_voided_it() {
    let mut store = heard();
    let accepted = correct(&mut store, Correction::AcceptRejected { sequence: Sequence(15), animal: None });
    let voided = correct(&mut store, void(15));
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/payloads/15").await;
    let by = |change: u64| format!("by <a href=\"/payloads/{change}\">change {change}</a>, {WHO}.");
    assert_tells(&page, &["Accepted later</span>", &by(accepted), "It had been rejected: ", "another content"]);
    assert_tells(&page, &["Voided</span>", &by(voided), "<h2>What it says</h2>", "300 kg"]);
    assert!(!page.contains("Rejected</span>"), "{page}");
    // The change that accepted it tells the same event, and that it is void.
    assert_tells(&html_of(&office, "/payloads/16").await, &["Voided</span>", &by(voided), "300 kg", "/payloads/15"]);
    let payload = json_of(&office, "/payloads/15").await;
    assert_eq!((&payload["status"], &payload["accepted_by"]), (&json!("processed"), &json!(accepted)));
    assert_eq!((&payload["voided_by"], &payload["animal"]), (&json!(voided), &json!(3)));
    assert!(payload["rejected_at_first"].as_str().unwrap().contains("another content"));
    assert_tells(
        &html_of(&office, "/payloads").await,
        &["Voided</span> <span class=\"note\">check in, accepted later"],
    );
}

#[tokio::test]
async fn what_was_judged_anew_is_told_as_that() {
    let mut store = filled_store(&["hxb:L1:A:U1", "hxb:L1:B:U2", "hxb:L1:A:U2"]);
    correct(&mut store, Correction::Merge { animal: AnimalId(2), absorbed: AnimalId(3) });
    assert_eq!(store.reprocess(Sequence::ZERO, 10, at(6)).unwrap().accepted, [Sequence(4)]);
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/payloads/6").await;
    assert_tells(&page, &["A payload that had been rejected was judged anew", "href=\"/payloads/4\"", "scan"]);
    assert_tells(&html_of(&office, "/payloads/4").await, &["by <a href=\"/payloads/6\">change 6</a>. It had been"]);
    let animal = html_of(&office, "/animals/2").await;
    assert_tells(row(&animal, 6), &["payload 4</a>, accepted when it was judged anew"]);
    assert_tells(row(&animal, 5), &["animal 3 merged into this animal"]);
    assert_eq!(json_of(&office, "/payloads/6").await["event"]["kind"], "scan");
}

#[tokio::test]
async fn a_proposed_reader_era_is_a_notice_that_says_what_to_do() {
    let texts: Vec<_> = (1..=6).map(|n| format!("event:hxbchi000001|weight:{n}|lid:1")).collect();
    let mut store = filled_store(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/status").await;
    let order = "<code>herdlinxd correct --author NAME --reason WHY new_reader_era --reader_group main</code>";
    assert_tells(&page, &["A new reader era?", "readers main reused 5 event ids", order, "href=\"/payloads/7\""]);
    let proposed = json_of(&office, "/status").await;
    assert_eq!(proposed["reader_era_proposals"][0]["reader_group"], "main");
    store = filled_store(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    correct(&mut store, Correction::NewReaderEra { reader_group: "main".to_owned() });
    let office = office_with(store, &["barn"], true);
    assert!(!html_of(&office, "/status").await.contains("A new reader era?"));
    assert_eq!(json_of(&office, "/status").await["reader_era_proposals"], json!([]));
    assert_tells(&html_of(&office, "/payloads/8").await, &["new era started for readers main", "<dd>2</dd>"]);
}
