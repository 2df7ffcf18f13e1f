//! Tests of how pages show corrections.

use super::{PAYLOADS, TestOffice, at, conventions, filled_store, get, html_of, json_of, office_reading, office_with};
use axum::Router;
use herd::change::{AnimalId, BatchId, Correction, WeighingTime};
use herd::decide::CorrectionRequest;
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::store::{CorrectionReceipt, Store};
use serde_json::json;
use std::sync::Mutex;

/// Returns the store of the other tests, plus change 15: a weight rejected because its event id was used before.
fn store_with_rejection() -> Store {
    let payloads: Vec<_> = PAYLOADS.into_iter().chain(["event:hxbchi000117|weight:300|lid:1"]).collect();
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
        other => panic!("{request:?} was not recorded: {other:?}"),
    }
}

fn void(sequence: u64) -> Correction {
    Correction::Void { sequence: Sequence(sequence) }
}

/// Returns an office that shows changes 16 to 23, all corrections.
fn corrected() -> Router {
    let mut store = store_with_rejection();
    for correction in [
        Correction::MovePen { animal: AnimalId(3), pen: "P2".to_owned() },
        Correction::Weigh { animal: AnimalId(3), weight_g: 301_000, when: WeighingTime::Now },
        Correction::AcceptRejected { sequence: Sequence(15), animal: None, batch_number: None },
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

/// Catches a page that shows kilograms where pounds are read, and JSON or CSV whose columns change their meaning.
#[tokio::test]
async fn pages_show_weights_in_the_unit_that_is_set_and_programs_get_kilograms() {
    let mut store = filled_store(&["event:hxbind000001|lid:1|lot:L1", "event:hxbchi000001|lid:1|weight:540 lb"]);
    correct(&mut store, Correction::Weigh { animal: AnimalId(2), weight_g: 249_476, when: WeighingTime::Now });
    let office = TestOffice { store: Mutex::new(store), ..TestOffice::new(&["barn"]) };
    let office = office_reading(office, conventions(WeightUnit::Lb));
    let animal = html_of(&office, "/animals/2").await;
    for shown in ["<dd>550.0 lb</dd>", "class=\"number\">540.0</td>", "data-label=\"lb\"", "weighed 550 lb"] {
        assert!(animal.contains(shown), "{shown}: {animal}");
    }
    for (path, shown) in [
        ("/payloads/3", "<dd>540.0 lb</dd>"),
        ("/payloads/4", "animal 2 weighed 550 lb"),
        ("/animals", "<td class=\"number weight\">550.0 <span class=\"unit\">lb</span>"),
        ("/batches/L1", "<th scope=\"col\" class=\"number\">Weight, lb</th>"),
    ] {
        let page = html_of(&office, path).await;
        assert!(page.contains(shown), "{path}: {page}");
        assert!(!page.contains("kg<"), "{path}: {page}");
    }
    assert_eq!(json_of(&office, "/animals/2").await["weight_kg"], "249.476");
    assert!(get(&office, "/animals.csv", "*/*").await.body.contains(",249.476,"));
}

/// Returns the row of a table whose first cell links to this change.
fn row(page: &str, change: u64) -> &str {
    let first_cell = format!("<th scope=\"row\"><a href=\"/payloads/{change}\">");
    let (before, after) = page.split_once(&first_cell).unwrap_or_else(|| panic!("no row {change}: {page}"));
    let begins = before.rfind("<tr").unwrap();
    &page[begins..page.len() - after.len() + after.find("</tr>").unwrap()]
}

fn assert_contains(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// Author and reason as the pages show them.
const AUTHOR_AND_REASON: &str = "J. Doe: <q>&#60;b&#62;seen&#60;/b&#62; in the pen</q>";

#[tokio::test]
async fn history_shows_who_corrected_what_and_why() {
    let page = html_of(&corrected(), "/animals/3").await;
    for (change, summary) in [(16, "moved to pen P2"), (17, "weighed 301 kg"), (19, "event of payload 8 voided")] {
        let row = row(&page, change);
        assert_contains(
            row,
            &["<span class=\"mark corrected\">Corrected</span>", summary, AUTHOR_AND_REASON, "via office-1"],
        );
    }
    assert!(!page.contains("<b>seen"), "{page}");
}

#[tokio::test]
async fn a_voided_event_is_struck_through_and_links_to_its_void() {
    let page = html_of(&corrected(), "/animals/3").await;
    let voided = row(&page, 8);
    assert_contains(voided, &["<tr class=\"void\">", "<span class=\"said\">scan</span>"]);
    let by = "<span class=\"mark voided\">Voided</span> <span class=\"note\">by <a href=\"/payloads/19\">change 19</a>";
    assert_contains(voided, &[by]);
    assert!(!row(&page, 7).contains("void"), "{page}");
    let style = get(&corrected(), "/assets/style.css", "text/css").await.body;
    assert!(style.contains(".void .said { text-decoration: line-through; }"));
}

#[tokio::test]
async fn an_event_accepted_late_shows_its_payload_and_who_accepted_it() {
    let page = html_of(&corrected(), "/animals/3").await;
    let first = "first rejected as <a href=\"/payloads/15\">payload 15</a>, then accepted by J. Doe";
    assert_contains(row(&page, 18), &[first, AUTHOR_AND_REASON, "<span class=\"said\">300.0</span>"]);
}

/// Catches a status that only a color shows, and a voided animal that is counted.
#[tokio::test]
async fn the_status_of_an_animal_is_a_word() {
    let office = corrected();
    assert_contains(&html_of(&office, "/animals/10").await, &["<span class=\"mark dead\">Dead</span>"]);
    let voided = html_of(&office, "/animals/14").await;
    assert_contains(&voided, &["<span class=\"mark voided\">Voided</span>", "so it is not counted anywhere"]);
    assert_contains(&html_of(&office, "/animals").await, &["On the yard 2<", "Exported 1<", "Dead 1<"]);
    assert_eq!(json_of(&office, "/animals/10").await["status"], "dead");
    let sheet = get(&office, "/animals.csv", "*/*").await.body;
    assert!(sheet.contains(",dead,") && !sheet.contains("voided"), "{sheet}");
}

#[tokio::test]
async fn a_batch_shows_its_notes_and_who_closed_it() {
    let office = corrected();
    let page = html_of(&office, "/batches/by-id/2").await;
    assert_contains(&page, &["<dd class=\"lines\">two lines\nof &#60;text&#62;</dd>"]);
    assert_contains(&page, &["<a href=\"/payloads/22\">change 22</a>", AUTHOR_AND_REASON]);
    assert!(!page.contains("batch with id 2 closed"), "{page}");
    let batch = json_of(&office, "/batches/by-id/2").await;
    assert_eq!((&batch["notes"], &batch["closed_by"]), (&json!("two lines\nof <text>"), &json!(22)));
    assert_eq!(batch["closed_by_correction"]["author"], "J. Doe");
    // This batch was closed because its last animal died.
    assert_contains(&html_of(&office, "/batches/by-id/9").await, &["change 20</a>", "animal 10 died; J. Doe"]);
    assert_eq!(json_of(&office, "/batches/by-id/9").await["closed_by_correction"]["correction"]["kind"], "died");
    assert!(json_of(&office, "/batches/by-id/11").await.get("closed_by_correction").is_none());
}

#[tokio::test]
async fn the_page_of_a_correction_shows_all_of_it() {
    let office = corrected();
    let page = html_of(&office, "/payloads/16").await;
    assert_contains(
        &page,
        &["<h1>Change 16</h1>", "animal 3 moved to pen P2", "<dd>J. Doe</dd>", "<code>key 16</code>"],
    );
    assert_contains(&page, &["&#60;b&#62;seen&#60;/b&#62; in the pen", "<dd>office-1</dd>", "href=\"/animals/3\""]);
    assert_contains(
        &html_of(&office, "/payloads/21").await,
        &["two lines\nof &#60;text&#62;", "href=\"/batches/by-id/2\""],
    );
    assert_contains(
        &html_of(&office, "/payloads/19").await,
        &["event of payload 8 voided", "href=\"/payloads/8\">8</a>"],
    );
    let change = json_of(&office, "/payloads/16").await;
    assert_eq!((&change["kind"], &change["author"]), (&json!("corrected"), &json!("J. Doe")));
    assert_eq!(change["correction"], json!({"kind": "move_pen", "animal": 3, "pen": "P2"}));
}

#[tokio::test]
async fn the_page_of_a_payload_links_to_its_acceptance_and_its_void() {
    let mut store = store_with_rejection();
    let accepted =
        correct(&mut store, Correction::AcceptRejected { sequence: Sequence(15), animal: None, batch_number: None });
    let voided = correct(&mut store, void(15));
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/payloads/15").await;
    let by = |change: u64| format!("by <a href=\"/payloads/{change}\">change {change}</a>, {AUTHOR_AND_REASON}.");
    assert_contains(&page, &["Accepted later</span>", &by(accepted), "Originally rejected: ", "another content"]);
    assert_contains(&page, &["Voided</span>", &by(voided), "<h2>Decoded event</h2>", "300.0 kg"]);
    assert!(!page.contains("Rejected</span>"), "{page}");
    // The page of the change that accepted it shows the same event, also as voided.
    assert_contains(
        &html_of(&office, "/payloads/16").await,
        &["Voided</span>", &by(voided), "300.0 kg", "/payloads/15"],
    );
    let payload = json_of(&office, "/payloads/15").await;
    assert_eq!((&payload["status"], &payload["accepted_by"]), (&json!("processed"), &json!(accepted)));
    assert_eq!((&payload["voided_by"], &payload["animal"]), (&json!(voided), &json!(3)));
    assert!(payload["rejected_at_first"].as_str().unwrap().contains("another content"));
    assert_contains(
        &html_of(&office, "/payloads").await,
        &["Voided</span> <span class=\"note\">check in, accepted later"],
    );
}

#[tokio::test]
async fn a_reprocessed_payload_is_shown_as_reprocessed() {
    let mut store = filled_store(&["hxb:L1:A:U1", "hxb:L1:B:U2", "hxb:L1:A:U2"]);
    correct(&mut store, Correction::Merge { animal: AnimalId(2), absorbed: AnimalId(3) });
    assert_eq!(store.reprocess(Sequence::ZERO, 10, at(6)).unwrap().accepted, [Sequence(4)]);
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/payloads/6").await;
    assert_contains(&page, &["A rejected payload was reprocessed", "href=\"/payloads/4\"", "scan"]);
    assert_contains(
        &html_of(&office, "/payloads/4").await,
        &["by <a href=\"/payloads/6\">change 6</a>. Originally rejected: "],
    );
    let animal = html_of(&office, "/animals/2").await;
    assert_contains(row(&animal, 6), &["payload 4</a>, then accepted by reprocessing"]);
    assert_contains(row(&animal, 5), &["animal 3 merged into this animal"]);
    assert_eq!(json_of(&office, "/payloads/6").await["event"]["kind"], "scan");
}

#[tokio::test]
async fn a_proposed_reader_era_explains_what_to_do() {
    let texts: Vec<_> = (1..=6).map(|n| format!("event:hxbchi000001|weight:{n}|lid:1")).collect();
    let mut store = filled_store(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/status").await;
    let command = "<code>herdlinxd correct --author NAME --reason WHY new_reader_era --group main --from 3</code>";
    let effect = "a new reader era from payload 3 on reprocesses 5 rejected payloads; no older animal loses anything";
    assert_contains(
        &page,
        &["Start a new reader era?", "readers main reused 5 event ids", effect, command, "href=\"/payloads/7\""],
    );
    let proposed = json_of(&office, "/status").await;
    assert_eq!(proposed["reader_era_proposals"][0]["reader_group"], "main");
    store = filled_store(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    correct(&mut store, Correction::NewReaderEra { reader_group: "main".to_owned(), from: None });
    let office = office_with(store, &["barn"], true);
    assert!(!html_of(&office, "/status").await.contains("Start a new reader era?"));
    assert_eq!(json_of(&office, "/status").await["reader_era_proposals"], json!([]));
    assert_contains(&html_of(&office, "/payloads/8").await, &["new era started for readers main", "<dd>2</dd>"]);
}

#[tokio::test]
async fn a_moved_payload_shows_its_era_and_the_order() {
    let texts =
        ["event:hxbind000001|lid:1|lot:L1", "event:hxbind000001|lid:1|lot:L2", "event:hxbchi000001|lid:1|weight:300"];
    let mut store = filled_store(&texts);
    let order = Correction::NewReaderEra { reader_group: "main".to_owned(), from: Some(Sequence(3)) };
    assert_eq!(correct(&mut store, order), 5);
    let begun = store.reader().snapshot().unwrap().reader_era_moves().unwrap();
    assert_eq!((begun.len(), begun[0].done), (1, false));
    while store.step_era_moves(at(6)).unwrap().is_some() {}
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/payloads/4").await;
    let by = format!("by <a href=\"/payloads/7\">change 7</a>, {AUTHOR_AND_REASON}");
    assert_contains(&page, &["Moved into reader era 2", &by, "<bdi>main</bdi>, era 2", "href=\"/animals/3\""]);
    assert_contains(&html_of(&office, "/payloads/7").await, &["A payload was moved: readers main, era 2", "300.0 kg"]);
    let old = html_of(&office, "/animals/2").await;
    assert_contains(row(&old, 4), &["<tr class=\"void\">", "change 7</a>"]);
    assert_contains(row(&old, 7), &["new era started for readers main from payload 3 on", AUTHOR_AND_REASON]);
    let new = html_of(&office, "/animals/3").await;
    assert_contains(
        row(&new, 7),
        &["received as <a href=\"/payloads/4\">payload 4</a>, then moved into a new reader era"],
    );
    let status = json_of(&office, "/status").await;
    let moves = &status["reader_era_moves"][0];
    assert_eq!((&moves["moved"], &moves["left"], &moves["done"]), (&json!(2), &json!(0), &json!(true)));
    assert!(!html_of(&office, "/status").await.contains("Reader era 2 of main"), "it is done");
}
