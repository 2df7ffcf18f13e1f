//! The tables of `docs/readers.md`, sent through real doors and looked up at the office.
//!
//! Catches: a page that promises another outcome than the barn's, and an outcome that a door, the wire, the follower or a
//! page of the office shows in another way.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::BarnSettings;
use herd::change::Outcome;
use radio::simulated::{Script, ScriptLine};
use serde_json::json;
use std::io::Write as _;
use yard::log::{OfficeLog, reason_of};
use yard::modem::modem_at;
use yard::pages::{html, json};
use yard::{Yard, own_programs, until};

const PAGE: &str = include_str!("../../docs/readers.md");

/// A row of a table.
#[derive(Debug)]
struct Row {
    payload: String,
    /// `stored`, `duplicate`, or the code of a rejection.
    outcome: String,
    /// Name and value of what the event says; `None` if it says nothing of it.
    says: Vec<(String, Option<String>)>,
}

impl Row {
    /// Reads `| payload | answer | it becomes |`; `None` for any other line.
    fn read(line: &str) -> Option<Self> {
        let cells: Vec<_> = line.strip_prefix("| `")?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
        let [payload, answer, says] = cells[..] else { panic!("a row has three cells: {line}") };
        let payload = payload.strip_suffix('`').unwrap().replace("\\|", "|");
        let payload = serde_json::from_str(&format!("\"{payload}\"")).unwrap();
        let outcome = answer.strip_prefix("rejected: ").unwrap_or(answer).to_owned();
        let says = says.split(", ").filter(|fact| !fact.is_empty()).map(fact).collect();
        Some(Self { payload, outcome, says })
    }

    fn status(&self) -> (u16, &str) {
        match self.outcome.as_str() {
            "stored" => (201, "stored"),
            "duplicate" => (409, "duplicate"),
            _ => (422, "rejected"),
        }
    }
}

/// Reads one fact: a name and its value in code marks, or `no` and a name.
fn fact(text: &str) -> (String, Option<String>) {
    if let Some(name) = text.strip_prefix("no ") {
        return (name.to_owned(), None);
    }
    let (name, value) = text.split_once(" `").unwrap();
    (name.to_owned(), Some(value.strip_suffix('`').unwrap().to_owned()))
}

fn rows() -> Vec<Row> {
    let rows: Vec<_> = PAGE.lines().filter_map(Row::read).collect();
    assert!(rows.len() > 50, "the tables are read: {}", rows.len());
    rows
}

/// Checks that the office's log holds the payloads in order, and that its pages show what the rows say.
async fn assert_shown(yard: &Yard, rows: &[Row]) {
    let log = yard.wait_until_equal().await;
    let kept: Vec<_> = log.received().collect();
    let recorded: Vec<_> = rows.iter().filter(|row| row.outcome != "duplicate").collect();
    assert_eq!(kept.len(), recorded.len());
    for ((sequence, received), row) in kept.iter().zip(&recorded) {
        assert_eq!(received.raw, row.payload.as_bytes(), "{row:?}");
        assert_eq!(reason_of(received).unwrap_or("stored"), row.outcome, "{row:?}");
        assert_says(yard, *sequence, row).await;
    }
    assert_lists(yard).await;
    assert_times(yard, &log).await;
}

/// Checks the page of one payload, as JSON and as HTML.
async fn assert_says(yard: &Yard, sequence: u64, row: &Row) {
    let payload = json(&yard.pages, &format!("/payloads/{sequence}")).await.unwrap();
    let page = html(&yard.pages, &format!("/payloads/{sequence}")).await.unwrap();
    let event = &payload["event"];
    for (name, expected) in &row.says {
        if name == "status page" {
            assert_gap(yard, expected.as_deref().unwrap()).await;
            continue;
        }
        let traits = &event["traits"];
        let found = match name.as_str() {
            "LF tag" => event["lf"]["key"].clone(),
            "UHF tag" => event["epc"]["key"].clone(),
            "weight" => event["weight_kg"].clone(),
            "lid" => event["lid"].clone(),
            "batch" => {
                let batch = json(&yard.pages, &format!("/batches/by-id/{}", payload["batch"])).await.unwrap();
                batch["batch_number"].clone()
            }
            _ => traits.get(name.replace(' ', "_")).unwrap_or_else(|| panic!("{name} of {row:?}")).clone(),
        };
        assert_eq!(found, json!(expected), "{name} of {row:?}: {payload}");
    }
    if let Some(reason) = payload["reason_text"].as_str() {
        assert!(page.contains(reason.split('"').next().unwrap()), "{row:?}: {page}");
    }
    if row.payload.contains("hxbchi") && row.says.contains(&("weight".to_owned(), None)) {
        assert!(event["no_weight"] == json!(true) || event["weight_refused"].is_string(), "{row:?}: {payload}");
    }
}

/// Checks that the status page says this of the numbers that were not heard.
async fn assert_gap(yard: &Yard, text: &str) {
    let status = json(&yard.pages, "/status?limit=100").await.unwrap();
    assert!(status["gaps"].as_array().unwrap().iter().any(|gap| gap["text"] == text), "{text}: {status}");
    let page = html(&yard.pages, "/status?limit=100").await.unwrap();
    assert!(page.contains(text), "{text}: {page}");
}

/// Checks that the office marks exactly those times at which the barn's clock followed no time source: of payloads,
/// batches and animals, on pages, as JSON and in sheets.
async fn assert_times(yard: &Yard, log: &OfficeLog) {
    const MARK: &str = "clock not synchronized";
    for (sequence, received) in log.received() {
        let is_doubtful = !received.clock.synchronized;
        let payload = json(&yard.pages, &format!("/payloads/{sequence}")).await.unwrap();
        assert_eq!(payload["clock_synchronized"], json!(!is_doubtful), "{payload}");
        let page = html(&yard.pages, &format!("/payloads/{sequence}")).await.unwrap();
        assert_eq!(page.contains(MARK), is_doubtful, "{page}");
        let Outcome::Accepted(placed) = &received.outcome else { continue };
        if let Some(batch) = placed.batch.filter(|batch| batch.batch.0 == sequence) {
            let batch = json(&yard.pages, &format!("/batches/by-id/{}", batch.batch)).await.unwrap();
            assert_eq!(batch["created_at_doubtful"] == json!(true), is_doubtful, "{batch}");
        }
        if placed.animal.0 == sequence {
            let animal = json(&yard.pages, &format!("/animals/{sequence}")).await.unwrap();
            assert_eq!(animal["first_seen_doubtful"] == json!(true), is_doubtful, "{animal}");
        }
    }
    let are_doubtful = log.received().all(|(_, received)| !received.clock.synchronized);
    let sheet = yard.pages.get("/payloads.csv?limit=1000", "text/csv").await.unwrap().expect(200).unwrap().text();
    assert_eq!(sheet.lines().skip(1).all(|line| line.ends_with("received_at")), are_doubtful, "{sheet}");
}

/// Checks the sheet of all animals: one line for each, and no filler in any.
async fn assert_lists(yard: &Yard) {
    let sheet = yard.pages.get("/animals.csv?limit=1000", "text/csv").await.unwrap().expect(200).unwrap().text();
    for filler in ["None", "NOREAD", "000000000000000", "FFFFFFFF", "n/a"] {
        assert!(!sheet.contains(filler), "{filler} in {sheet}");
    }
    for tag in ["982000196588496", "E2801160600002044310B2E2"] {
        assert_eq!(sheet.matches(tag).count(), 1, "{tag} in {sheet}");
    }
    let batch = json(&yard.pages, "/batches/NR").await.unwrap();
    assert_eq!(batch["cattle_count"], json!(5), "five head were read, three of them by a dead antenna: {batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_sent_over_http_is_what_the_page_says() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let rows = rows();
    for row in &rows {
        let (status, answer) = yard.deliver(&row.payload).await;
        assert_eq!((status, answer["status"].as_str().unwrap()), row.status(), "{row:?}: {answer}");
        if status == 422 {
            assert_eq!(answer["reason"], json!(row.outcome), "{row:?}: {answer}");
        }
    }
    assert_shown(&yard, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_sent_over_the_air_is_what_the_page_says() {
    let rows = rows();
    let lines = rows.iter().map(|row| ScriptLine::new(0, row.payload.as_bytes())).collect();
    let yard = Yard::open(&own_programs(), |directory| {
        let script = directory.join("script");
        std::fs::write(&script, Script::new(lines).unwrap().to_string()).unwrap();
        let radios = format!("[[radio]]\nkind = 'simulated'\nsimulated = {{ script = '{}' }}\n", script.display());
        BarnSettings { radios, ..BarnSettings::default() }
    })
    .await;
    until("the script ends", async || (yard.barn.status().unwrap().radios[0].state == "ended").then_some(())).await;
    assert_shown(&yard, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_sent_over_a_serial_modem_is_what_the_page_says() {
    let mut modem = None;
    let yard = Yard::open(&own_programs(), |directory| {
        let port = directory.join("tty");
        modem = Some(modem_at(&port));
        let serial = format!("{{ path = '{}', framing = 'rak' }}", port.display());
        let radios = format!("[[radio]]\nkind = 'serial'\nserial = {serial}\n");
        BarnSettings { radios, ..BarnSettings::default() }
    })
    .await;
    let mut modem = modem.unwrap();
    until("the modem is listened to", async || {
        (yard.barn.status().unwrap().radios[0].state == "listening").then_some(())
    })
    .await;
    let rows = rows();
    for row in &rows {
        write!(modem, "+EVT:RXP2P, RSSI -33, SNR 10\r\n+EVT:{}\r\n", hex::encode_upper(&row.payload)).unwrap();
    }
    until("all packets are counted", async || {
        (yard.barn.status().unwrap().radios[0].counts.received == rows.len() as u64).then_some(())
    })
    .await;
    let recorded = rows.iter().filter(|row| row.outcome != "duplicate").count() as u64;
    // After the epoch of the store.
    until("all packets are recorded", async || (yard.barn.status().unwrap().sequence.0 == recorded + 1).then_some(()))
        .await;
    assert_shown(&yard, &rows).await;
}
