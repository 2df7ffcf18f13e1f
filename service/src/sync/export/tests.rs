//! Claims about the tables as JSON, requested through the router as a program does.

use super::reader::MAX_EXPORTS;
use super::tables::PART_BYTES;
use crate::lifecycle::ShutdownTrigger;
use crate::sync::OwnStore;
use crate::sync::link::BLOB_TYPE;
use crate::sync::query::position_text;
use crate::sync::serve::{FULL_EXPORT_PATH, router};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use herd::change::{AnimalId, BatchId};
use herd::position::Sequence;
use herd::query::{CounterCursor, GapCursor, PayloadFilter};
use herd::store::{Background, LOG_FILE, MemoryDisk, Reader, Store, TABLES_FILE};
use herd::testing::{TestBarn, all_pages, page_limit};
use herd::wire::{ExportEnd, Page, from_blob};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

/// Number of parts that no export of a test has.
const MAX_PARTS: usize = 1_000;

/// Records a mix of payloads, some of them malformed: batches that open and close, merges, repairs, exports, gaps.
fn record_mix(barn: &mut TestBarn, payloads: u64) {
    for n in 0..payloads {
        let (tag, lid) = (n % 397, n % 131);
        barn.record(&match n % 9 {
            0 | 1 => format!("hxb:LOT{}:LF{tag}:UHF{tag}", n / 40),
            2 => format!("event:hxbind{n:06}|lot:LOT{}|lid:{lid}|pen:P{}|sex:M|funder:\"F\\{n}\"", n / 50, n % 4),
            3 => format!("event:hxbpai{n:06}|lid:{lid}|lf:LF{tag}|epc:UHF{tag}|weight:{n}.5"),
            4 => format!("event:hxbchi{n:06}|lid:{lid}|weight:{n}"),
            5 => format!("event:hxbrep{n:06}|lid:{lid}|old_lf:LF{tag}|new_lf:NEW{n}|reason:caf\u{e9}"),
            6 => format!("hxe:EXPORT{}:LF{tag}:UHF{tag}", n / 70),
            7 => format!("noise {n} \u{1b}<b>"),
            _ => format!("hxb:LOT{}:LF{tag}:OTHER{tag}", n / 30),
        });
    }
    barn.record_bytes(b"\xff\xfe no text");
}

/// Creates a barn with a mix of payloads.
fn yard(payloads: u64) -> TestBarn {
    let mut barn = TestBarn::default();
    record_mix(&mut barn, payloads);
    barn
}

/// A response while it streams, and the trigger that shuts the process down.
struct Response {
    status: StatusCode,
    content_type: String,
    body: Body,
    /// Number of parts that were read.
    parts: usize,
    shutdown: ShutdownTrigger,
}

/// Requests the tables.
async fn request(reader: Reader, query: &str) -> Response {
    request_as("*/*", reader, query).await
}

async fn request_as(accept: &str, reader: Reader, query: &str) -> Response {
    let shutdown = ShutdownTrigger::default();
    let routes = router(Arc::new(OwnStore::new(reader, || 0)), shutdown.signal());
    let request = Request::get(format!("{FULL_EXPORT_PATH}{query}")).header(header::ACCEPT, accept);
    let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    Response { status: response.status(), content_type, body: response.into_body(), parts: 0, shutdown }
}

impl Response {
    /// Returns the next part, `None` at the end, or an error if the response breaks off.
    async fn part(&mut self) -> Result<Option<Vec<u8>>, axum::Error> {
        self.parts += 1;
        assert!(self.parts < MAX_PARTS, "the export has no end");
        let frame = self.body.frame().await.transpose()?;
        Ok(frame.map(|frame| frame.into_data().unwrap().to_vec()))
    }

    /// Returns the remaining parts.
    async fn rest(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(part) = self.part().await.unwrap() {
            whole.extend(part);
        }
        whole
    }
}

async fn export(reader: Reader) -> Value {
    serde_json::from_slice(&request(reader, "").await.rest().await).unwrap()
}

fn ids(entries: &Value) -> Vec<u64> {
    entries.as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
}

/// Catches a table that misses entries of its list, repeats them, or orders them differently.
#[tokio::test]
async fn each_table_is_its_list_from_the_first_page_to_the_last() {
    let barn = yard(700);
    let export = export(barn.reader()).await;
    let (snapshot, all) = (barn.snapshot(), page_limit(1_000));
    let lists = json!({
        "batches": all_pages(|from: Option<u64>| snapshot.batches(from.map(BatchId), all).unwrap()),
        "animals": all_pages(|from: Option<u64>| snapshot.animals(from.map(AnimalId), all).unwrap()),
        "payloads": all_pages(|from: Option<u64>| snapshot.payloads(from.map(Sequence), all, PayloadFilter::All).unwrap()),
        "gaps": all_pages(|from: Option<GapCursor>| snapshot.gaps(from.as_ref(), all).unwrap()),
        "counters": all_pages(|from: Option<CounterCursor>| snapshot.counters(from.as_ref(), all).unwrap()),
    });
    for (table, list) in lists.as_object().unwrap() {
        assert!(list.as_array().unwrap().len() >= 4, "the yard has hardly any {table}");
        assert_eq!(&export["tables"][table], list, "{table}");
        assert_eq!(export["count"][table], list.as_array().unwrap().len(), "{table}");
    }
    let totals = snapshot.totals().unwrap();
    assert_eq!(
        (&export["count"]["payloads"], &export["count"]["animals"], &export["count"]["batches"]),
        (&json!(totals.received), &json!(totals.animals), &json!(totals.batches))
    );
    let head = barn.reader().head();
    let standing = json!({"position": head.position, "folded": head.folded, "fold_digest": head.fold_digest});
    assert_eq!((&export["success"], &export["ended_at"]), (&json!(true), &standing));
    assert_eq!((&export["position"], &export["folded"]), (&standing["position"], &standing["folded"]));
}

/// Catches an export of a new barn that is not valid JSON.
#[tokio::test]
async fn an_empty_barn_has_empty_tables() {
    let export = export(TestBarn::default().reader()).await;
    assert_eq!(export["tables"], json!({"batches": [], "animals": [], "payloads": [], "gaps": [], "counters": []}));
    assert_eq!((&export["folded"], &export["count"]["payloads"]), (&json!(1), &json!(0)));
}

/// Catches an export that depends on anything but the tables.
#[tokio::test]
async fn a_replica_exports_the_same_bytes_as_its_source() {
    let source = yard(300).reader();
    let mut replica = Store::open_replica(&MemoryDisk::default(), source.store()).unwrap();
    while replica.head() != source.head() {
        replica.apply(source.run_after(replica.head().position, 70, 1_000_000).unwrap()).unwrap();
    }
    let expected = request(source, "").await.rest().await;
    assert_eq!(request(replica.reader(), "").await.rest().await, expected);
}

/// Catches an export that is built in memory as a whole.
#[tokio::test]
async fn an_export_has_many_parts_of_limited_size() {
    let mut response = request(yard(1_500).reader(), "").await;
    assert_eq!((response.status, response.content_type.as_str()), (StatusCode::OK, "application/json"));
    let mut parts = 0;
    while let Some(part) = response.part().await.unwrap() {
        assert!(part.len() < 2 * PART_BYTES, "a part has {} bytes", part.len());
        parts += 1;
    }
    assert!(parts > 10, "{parts} parts");
}

/// Catches entries that are lost between two pages because the tables change during the export.
#[tokio::test]
async fn changes_during_an_export_add_no_entries_and_hide_none() {
    let mut barn = yard(400);
    let (tag_only, twin) = (barn.record("hxb:LATE:LFX:UHFX"), barn.record("event:hxbind900001|lot:LATE|lid:900"));
    let began = barn.reader().head().folded;
    let mut response = request(barn.reader(), "").await;
    let mut text = response.part().await.unwrap().unwrap();
    let created_later = barn.record("event:hxbind900002|lot:LATER|lid:901");
    let absorbed_later = barn.record("event:hxbpai900002|lid:901|lf:LFX|epc:UHFX");
    barn.record("event:hxbpai900001|lid:900|lf:LFZ|epc:UHFZ|weight:333");
    text.extend(response.rest().await);

    let export: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&export["folded"], &export["ended_at"]["folded"]), (&json!(began), &json!(began.0 + 3)));
    for table in ["batches", "payloads"] {
        assert!(ids(&export["tables"][table]).iter().all(|id| *id <= began.0), "{table}");
    }
    assert_eq!(ids(&export["tables"]["payloads"])[..2], [twin.0, tag_only.0]);
    let animals = export["tables"]["animals"].as_array().unwrap();
    let [.., merged, weighed] = animals.as_slice() else { panic!("two animals at least") };
    assert_eq!((&merged["id"], &merged["absorbed"]), (&json!(created_later), &json!(tag_only)));
    assert_eq!((&merged["lf"]["text"], &merged["last"]), (&json!("LFX"), &json!(absorbed_later)));
    assert_eq!((&weighed["id"], &weighed["weight_kg"]), (&json!(twin), &json!("333")));
}

/// Catches an export of the log that lacks changes and proves the contrary, one in pages that are too small to be fast, and
/// one that begins at another change than the follower has.
#[tokio::test]
async fn the_log_is_exported_as_pages_and_a_proof_of_their_number() {
    let reader = yard(1_500).reader();
    let head = reader.head().position;
    let half = reader.position_at(Sequence(head.sequence.0 / 2)).unwrap().unwrap();
    let start = reader.position_at(Sequence::ZERO).unwrap().unwrap();
    for (from, query) in [(start, String::new()), (half, format!("?{}", position_text(&half)))] {
        let mut response = request_as(BLOB_TYPE, reader.clone(), &query).await;
        assert_eq!((response.status, response.content_type.as_str()), (StatusCode::OK, BLOB_TYPE));
        let page: Page = from_blob(&response.part().await.unwrap().unwrap()).unwrap();
        assert_eq!((page.after, page.end.end, page.end.head), (from, head, head.sequence), "one page");
        let count = head.sequence.0 - from.sequence.0;
        assert_eq!(page.changes.len() as u64, count);
        let end: ExportEnd = from_blob(&response.part().await.unwrap().unwrap()).unwrap();
        assert_eq!(end, ExportEnd { count, end: head });
        assert_eq!(response.part().await.unwrap(), None);
    }
}

/// Catches an export that looks complete although a read failed.
#[tokio::test]
async fn a_store_that_fails_half_way_breaks_the_response_off() {
    for file in [LOG_FILE, TABLES_FILE] {
        // Nearly all rows are in the file, and none in its cache.
        let disk = MemoryDisk::default().uncached().with_flushes(1, Background::Steps);
        let mut barn = TestBarn::on(&disk);
        record_mix(&mut barn, 300);
        let mut response = request(barn.reader(), "").await;
        let mut text = response.part().await.unwrap().unwrap();
        assert!(disk.fail_reads(file));
        let broken = loop {
            match response.part().await {
                Ok(Some(part)) => text.extend(part),
                Ok(None) => panic!("{file} cannot be read, and yet the response has an end"),
                Err(error) => break error,
            }
        };
        assert!(serde_json::from_slice::<Value>(&text).is_err(), "{file}: {broken}");
        assert!(text.starts_with(br#"{"success":true,"position":{"store":""#), "{file}");
    }
}

/// Catches an export that delays the end of the process.
#[tokio::test]
async fn a_shutdown_breaks_the_response_off() {
    let mut response = request(yard(700).reader(), "").await;
    let beginning = response.part().await.unwrap().unwrap();
    response.shutdown.request();
    assert!(response.part().await.is_err());
    assert!(serde_json::from_slice::<Value>(&beginning).is_err());
}

/// Catches exports without a limit, which together exhaust the memory.
#[tokio::test]
async fn an_export_over_the_limit_is_told_to_retry() {
    let reader = yard(10).reader();
    let shutdown = ShutdownTrigger::default();
    let routes = router(Arc::new(OwnStore::new(reader, || 0)), shutdown.signal());
    let send = || routes.clone().oneshot(Request::get(FULL_EXPORT_PATH).body(Body::empty()).unwrap());
    let mut responses = Vec::new();
    for _ in 0..MAX_EXPORTS {
        responses.push(send().await.unwrap());
    }
    let refused = send().await.unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()[header::RETRY_AFTER]),
        (StatusCode::SERVICE_UNAVAILABLE, &"30".parse().unwrap())
    );
    responses.pop();
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
}

/// Catches a client that asks for a part, receives everything, and takes it for the part.
#[tokio::test]
async fn a_query_for_the_tables_is_refused_with_a_hint_to_the_blobs() {
    let reader = yard(10).reader();
    for query in ["?limit=5", "?after=3", "?since=0", "?format=json", "?&"] {
        let mut response = request(reader.clone(), query).await;
        let refusal: Value = serde_json::from_slice(&response.rest().await).unwrap();
        assert_eq!((response.status, &refusal["error"]), (StatusCode::BAD_REQUEST, &json!("bad_request")), "{query}");
        assert!(refusal["message"].as_str().unwrap().contains("Accept: application/vnd.herdlinx+postcard"), "{query}");
    }
}
