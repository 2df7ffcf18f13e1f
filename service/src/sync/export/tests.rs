//! Claims about the tables as JSON, asked for over the router as a program asks.

use super::reading::MAX_EXPORTS;
use super::tables::PART_BYTES;
use crate::lifecycle::ShutdownTrigger;
use crate::sync::OwnStore;
use crate::sync::serve::{FULL_EXPORT_PATH, router};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use herd::change::{AnimalId, BatchId};
use herd::position::Sequence;
use herd::query::{CounterCursor, GapCursor, PayloadFilter};
use herd::store::{LOG_FILE, MemoryDisk, Reader, Store, TABLES_FILE};
use herd::testing::{TestBarn, all_pages, page_limit};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

/// What a yard hears in a day, some of it wrong: batches that open and close, merges, repairs, exports, gaps.
fn mixed(barn: &mut TestBarn, payloads: u64) {
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

/// A day of a yard in a store.
fn yard(payloads: u64) -> TestBarn {
    let mut barn = TestBarn::default();
    mixed(&mut barn, payloads);
    barn
}

/// The answer while it comes, and the switch that stops the process.
struct Asked {
    status: StatusCode,
    kind: String,
    body: Body,
    stop: ShutdownTrigger,
}

async fn ask(reader: Reader, query: &str) -> Asked {
    let stop = ShutdownTrigger::default();
    let routes = router(Arc::new(OwnStore::new(reader, || 0)), stop.signal());
    let request = Request::get(format!("{FULL_EXPORT_PATH}{query}")).body(Body::empty()).unwrap();
    let answer = routes.oneshot(request).await.unwrap();
    let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    Asked { status: answer.status(), kind, body: answer.into_body(), stop }
}

impl Asked {
    /// The next part; none at the end. An error where the answer is broken off.
    async fn part(&mut self) -> Result<Option<Vec<u8>>, axum::Error> {
        let frame = self.body.frame().await.transpose()?;
        Ok(frame.map(|frame| frame.into_data().unwrap().to_vec()))
    }

    /// What is left of it.
    async fn rest(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(part) = self.part().await.unwrap() {
            whole.extend(part);
        }
        whole
    }
}

async fn exported(reader: Reader) -> Value {
    serde_json::from_slice(&ask(reader, "").await.rest().await).unwrap()
}

fn ids(of: &Value) -> Vec<u64> {
    of.as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_tables_are_the_lists_told_to_their_ends() {
    let barn = yard(700);
    let export = exported(barn.reader()).await;
    let (of, all) = (barn.snapshot(), page_limit(1_000));
    let lists = json!({
        "batches": all_pages(|from: Option<u64>| of.batches(from.map(BatchId), all).unwrap()),
        "animals": all_pages(|from: Option<u64>| of.animals(from.map(AnimalId), all).unwrap()),
        "payloads": all_pages(|from: Option<u64>| of.payloads(from.map(Sequence), all, PayloadFilter::All).unwrap()),
        "gaps": all_pages(|from: Option<GapCursor>| of.gaps(from.as_ref(), all).unwrap()),
        "counters": all_pages(|from: Option<CounterCursor>| of.counters(from.as_ref(), all).unwrap()),
    });
    for (table, list) in lists.as_object().unwrap() {
        assert!(list.as_array().unwrap().len() >= 4, "the yard has hardly any {table}");
        assert_eq!(&export["tables"][table], list, "{table}");
        assert_eq!(export["count"][table], list.as_array().unwrap().len(), "{table}");
    }
    let totals = of.totals().unwrap();
    assert_eq!(
        (&export["count"]["payloads"], &export["count"]["animals"], &export["count"]["batches"]),
        (&json!(totals.received), &json!(totals.animals), &json!(totals.batches))
    );
    let head = barn.reader().head();
    let standing = json!({"position": head.position, "folded": head.folded, "fold_digest": head.fold_digest});
    assert_eq!((&export["success"], &export["ended_at"]), (&json!(true), &standing));
    assert_eq!((&export["position"], &export["folded"]), (&standing["position"], &standing["folded"]));
}

#[tokio::test]
async fn an_empty_barn_has_empty_tables() {
    let export = exported(TestBarn::default().reader()).await;
    assert_eq!(export["tables"], json!({"batches": [], "animals": [], "payloads": [], "gaps": [], "counters": []}));
    assert_eq!((&export["folded"], &export["count"]["payloads"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_replica_exports_the_same_bytes() {
    let source = yard(300).reader();
    let mut replica = Store::open_replica(&MemoryDisk::default(), source.store()).unwrap();
    while replica.head() != source.head() {
        replica.apply(&source.run_after(replica.head().position, 70, 1_000_000).unwrap()).unwrap();
    }
    let told = ask(source, "").await.rest().await;
    assert_eq!(ask(replica.reader(), "").await.rest().await, told);
}

#[tokio::test]
async fn a_part_is_bounded_and_an_export_is_many() {
    let mut asked = ask(yard(1_500).reader(), "").await;
    assert_eq!((asked.status, asked.kind.as_str()), (StatusCode::OK, "application/json"));
    let mut parts = 0;
    while let Some(part) = asked.part().await.unwrap() {
        assert!(part.len() < 2 * PART_BYTES, "a part has {} bytes", part.len());
        parts += 1;
    }
    assert!(parts > 10, "{parts} parts");
}

#[tokio::test]
async fn what_comes_after_the_beginning_is_not_told_and_nothing_that_was_there_is_lost() {
    let mut barn = yard(400);
    let (tag_only, twin) = (barn.record("hxb:LATE:LFX:UHFX"), barn.record("event:hxbind900001|lot:LATE|lid:900"));
    let began = barn.reader().head().folded;
    let mut asked = ask(barn.reader(), "").await;
    let mut text = asked.part().await.unwrap().unwrap();
    let made_later = barn.record("event:hxbind900002|lot:LATER|lid:901");
    let absorbed_later = barn.record("event:hxbpai900002|lid:901|lf:LFX|epc:UHFX");
    barn.record("event:hxbpai900001|lid:900|lf:LFZ|epc:UHFZ|weight:333");
    text.extend(asked.rest().await);

    let export: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&export["folded"], &export["ended_at"]["folded"]), (&json!(began), &json!(began.0 + 3)));
    for table in ["batches", "payloads"] {
        assert!(ids(&export["tables"][table]).iter().all(|id| *id <= began.0), "{table}");
    }
    assert_eq!(ids(&export["tables"]["payloads"])[..2], [twin.0, tag_only.0]);
    let animals = export["tables"]["animals"].as_array().unwrap();
    let [.., merged, weighed] = animals.as_slice() else { panic!("two animals at least") };
    assert_eq!((&merged["id"], &merged["absorbed"]), (&json!(made_later), &json!(tag_only)));
    assert_eq!((&merged["lf"]["text"], &merged["last"]), (&json!("LFX"), &json!(absorbed_later)));
    assert_eq!((&weighed["id"], &weighed["weight_kg"]), (&json!(twin), &json!("333")));
}

#[tokio::test]
async fn a_store_that_fails_half_way_breaks_the_answer_off() {
    for file in [LOG_FILE, TABLES_FILE] {
        let disk = MemoryDisk::default().uncached();
        let mut barn = TestBarn::on(&disk);
        mixed(&mut barn, 300);
        let mut asked = ask(barn.reader(), "").await;
        let mut text = asked.part().await.unwrap().unwrap();
        assert!(disk.fail_reads(file));
        let broken = loop {
            match asked.part().await {
                Ok(Some(part)) => text.extend(part),
                Ok(None) => panic!("{file} cannot be read, and the answer has an end"),
                Err(error) => break error,
            }
        };
        assert!(serde_json::from_slice::<Value>(&text).is_err(), "{file}: {broken}");
        assert!(text.starts_with(br#"{"success":true,"position":{"store":""#), "{file}");
    }
}

#[tokio::test]
async fn a_stop_breaks_the_answer_off() {
    let mut asked = ask(yard(700).reader(), "").await;
    let begun = asked.part().await.unwrap().unwrap();
    asked.stop.request();
    assert!(asked.part().await.is_err());
    assert!(serde_json::from_slice::<Value>(&begun).is_err());
}

#[tokio::test]
async fn more_exports_than_are_served_at_one_time_are_asked_to_come_again() {
    let reader = yard(10).reader();
    let stop = ShutdownTrigger::default();
    let routes = router(Arc::new(OwnStore::new(reader, || 0)), stop.signal());
    let ask = || routes.clone().oneshot(Request::get(FULL_EXPORT_PATH).body(Body::empty()).unwrap());
    let mut answers = Vec::new();
    for _ in 0..MAX_EXPORTS {
        answers.push(ask().await.unwrap());
    }
    let refused = ask().await.unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()[header::RETRY_AFTER]),
        (StatusCode::SERVICE_UNAVAILABLE, &"30".parse().unwrap())
    );
    answers.pop();
    assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn tables_take_no_query_and_say_who_does() {
    let reader = yard(10).reader();
    for query in ["?limit=5", "?after=3", "?since=0", "?format=json", "?&"] {
        let mut asked = ask(reader.clone(), query).await;
        let refusal: Value = serde_json::from_slice(&asked.rest().await).unwrap();
        assert_eq!((asked.status, &refusal["error"]), (StatusCode::BAD_REQUEST, &json!("bad_request")), "{query}");
        assert!(refusal["message"].as_str().unwrap().contains("Accept: application/vnd.herdlinx+postcard"), "{query}");
    }
}
