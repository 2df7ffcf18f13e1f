//! Claims about the read interface, over a store that is filled through `append`.

use super::*;
use crate::door::reply::with_fallbacks;
use crate::sync::{NotServedError, SyncStats};
use axum::body::Body;
use axum::http::{Request, header};
use herd::change::Origin;
use herd::clock::{RawReading, iso_utc};
use herd::decide::Rules;
use herd::fold::FOLD_VERSION;
use herd::position::{Sequence, StoreId};
use herd::store::{Incoming, MemoryDisk, Reader, Store};
use herd::testing::ManualClock;
use herd::wire::{BarnHead, HealthFinding};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// 2024-01-15T10:35:20 UTC.
const WALL_US: i64 = 1_705_314_920_000_000;
const AT: &str = "2024-01-15T10:35:20.000Z";

/// The payloads of changes 2 to 9.
const PAYLOADS: [&str; 8] = [
    "hxb:BATCH001:124000224161433:UHF1",
    "hxb:BATCH001:LF2:UHF2",
    "hxe:EXPORT001:LF2:UHF2",
    "noise",
    "event:hxbind000001|lot:LOT7|pen:P1|lid:1|sex:M|funder:F",
    "event:hxbchi000117|weight:267.3|lid:1",
    "event:hxbchi000121|weight:270|lid:1",
    "hxb:B:L",
];

fn clock() -> ManualClock {
    ManualClock::at(RawReading { received_at_us: WALL_US, synchronized: true, since_boot_ms: 1_000 })
}

/// A process that serves a store, if it has one.
struct FakeProcess {
    reader: Result<Reader, NotServedError>,
    barn: BarnHead,
    process: ProcessState,
    duplicates: Vec<DuplicateView>,
    stats: SyncStats,
}

impl Served for FakeProcess {
    fn reader(&self) -> Result<Reader, NotServedError> {
        self.reader.clone()
    }

    fn barn_head(&self) -> BarnHead {
        self.barn
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.stats
    }
}

impl RemoteApi for FakeProcess {
    fn site_name(&self) -> String {
        "north".to_owned()
    }

    fn state(&self) -> ProcessState {
        self.process.clone()
    }

    fn duplicates_by_channel(&self) -> Vec<ChannelDuplicates> {
        let channel = ChannelDuplicates {
            channel: "gate".into(),
            count: 3,
            last_at: Some(iso_utc(WALL_US)),
            best_rssi_dbm: Some(-70),
        };
        if self.duplicates.is_empty() { Vec::new() } else { vec![channel] }
    }

    fn recent_duplicates(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        let below = |duplicate: &&DuplicateView| before.is_none_or(|before| duplicate.id < before);
        let data: Vec<_> = self.duplicates.iter().rev().filter(below).take(limit.entries()).cloned().collect();
        let next = data.last().map(|last| last.id).filter(|id| *id > 1);
        Page { data, next }
    }
}

fn filled_store() -> Reader {
    let at = clock().read();
    let mut store =
        Store::open_source(&MemoryDisk::default(), Rules::default(), at.in_boot(1), || StoreId([7; 16])).unwrap();
    for payload in PAYLOADS {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        store.append(&[Incoming { raw: payload.as_bytes().to_vec(), origin, at }]).unwrap();
    }
    store.reader()
}

fn barn() -> Router {
    let duplicate = |id| DuplicateView::new(id, Sequence(id + 1), "gate".into(), Some(-70), WALL_US);
    routes(FakeProcess {
        stats: SyncStats::default(),
        reader: Ok(filled_store()),
        barn: BarnHead { head: Sequence(9), age_ms: Some(0), duplicates: 3 },
        process: ProcessState::Source(SourceState {
            uptime_s: 12,
            radios: vec![RadioView {
                name: "radio1".into(),
                state: "failing".to_owned(),
                why: Some("no chip answers".into()),
                air_time_left_ms: Some(36_000),
                queued_packets: 7,
                queue_packets: 1_024,
                counts: RadioCounts { received: 3, without_crc: 2, malformed: 1, ..RadioCounts::default() },
            }],
            failing: vec!["disk".into()],
            findings: vec![HealthFinding { part: "disk".into(), failing: true, text: "make room".into() }],
            backup: None,
            refused_reads: [("unauthorized", 2)].into(),
            queued_payloads: 4,
            queue_payloads: 4_096,
        }),
        duplicates: (1..=3).map(duplicate).collect(),
    })
}

fn office(reader: Result<Reader, NotServedError>, age_ms: Option<u64>) -> Router {
    let barn = BarnHead { head: Sequence(9), age_ms, duplicates: if age_ms.is_some() { 3 } else { 0 } };
    let process = ProcessState::Replica(ReplicaState {
        link: "away",
        barn_trouble: None,
        barn_findings: None,
        backup: None,
        lag_changes: Some(0),
        unfolded_changes: Some(0),
        last_heartbeat_at: Some(iso_utc(WALL_US)),
        digest_equal: Some(true),
        barn_fold_version: Some(FOLD_VERSION),
        stop_reason: None,
        copy_progress: None,
        opening: None,
    });
    routes(FakeProcess { reader, barn, process, duplicates: Vec::new(), stats: SyncStats::default() })
}

fn routes(process: FakeProcess) -> Router {
    with_fallbacks(router(Arc::new(process), Arc::new(clock())))
}

async fn fetch(router: &Router, path_and_query: &str) -> (u16, Value) {
    let request = Request::get(path_and_query).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers().get(header::CACHE_CONTROL).is_some(), status == 200, "{path_and_query}");
    let bytes = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn fetch_ok(router: &Router, path_and_query: &str) -> Value {
    let (status, body) = fetch(router, path_and_query).await;
    assert_eq!((status, &body["success"]), (200, &json!(true)), "{path_and_query}: {body}");
    body
}

fn ids(list: &Value) -> Vec<u64> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
}

/// Catches a page that skips or repeats a batch, and a total that is claimed but not counted.
#[tokio::test]
async fn batches_are_listed_latest_first_by_source_and_in_adjacent_pages() {
    let barn = barn();
    let first = fetch_ok(&barn, "/api/remote/batches?limit=2").await;
    assert_eq!((ids(&first), &first["next"]), (vec![6, 4], &json!(4)));
    assert_eq!((&first["total"], &first["count"], &first["as_of"]), (&json!(3), &json!(2), &json!(9)));
    let rest = fetch_ok(&barn, "/api/remote/batches?limit=2&before=4").await;
    assert_eq!((ids(&rest), &rest["next"], &rest["total"]), (vec![2], &Value::Null, &json!(3)));
    let exported = fetch_ok(&barn, "/api/remote/batches?source_type=hxe").await;
    assert_eq!((ids(&exported), &exported["total"]), (vec![4], &Value::Null));
}

/// Catches a batch without the original's keys, or with animals that are missing between two pages.
#[tokio::test]
async fn a_batch_has_a_page_of_its_cattle() {
    let barn = barn();
    let batch = fetch_ok(&barn, "/api/remote/batches/2?limit=1").await;
    let data = &batch["data"];
    assert_eq!(
        (&data["batch_number"], &data["source_type"], &data["cattle_count"]),
        (&json!("BATCH001"), &json!("hxb"), &json!(1))
    );
    let cattle = data["cattle"].as_array().unwrap();
    assert_eq!(
        (cattle.len(), &cattle[0]["lf_tag"], &cattle[0]["uhf_tag"]),
        (1, &json!("124000224161433"), &json!("UHF1"))
    );
    assert_eq!((&cattle[0]["batch_id"], &cattle[0]["lf"]["issuer"]["code"]), (&json!(2), &json!("124")));
    assert_eq!(batch["next"], 2);
    let rest = fetch_ok(&barn, "/api/remote/batches/2?after=2").await;
    assert_eq!((&rest["data"]["cattle"][0]["status"], &rest["next"]), (&json!("exported"), &Value::Null));
    assert_eq!(fetch_ok(&barn, "/api/remote/batches/6").await["data"]["pens"], json!(["P1"]));
}

/// Catches a key that the original's programs read and do not find.
#[tokio::test]
async fn payloads_have_the_keys_of_the_original_beside_ours() {
    let barn = barn();
    let scan = fetch_ok(&barn, "/api/remote/payloads/2").await["data"].clone();
    let expected = json!({
        "id": 2, "raw_payload": PAYLOADS[0], "source_type": "hxb", "batch_number": "BATCH001", "batch_id": 2,
        "lf_tag": "124000224161433", "uhf_tag": "UHF1", "status": "processed", "error_message": null,
        "received_at": AT, "processed_at": AT, "created_at": AT, "updated_at": AT, "payload": PAYLOADS[0], "animal": 2,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&scan[key], value, "{key}");
    }
    assert_eq!(fetch_ok(&barn, "/api/remote/payloads/9").await["data"]["id"], 9, "the latest one");
    let noise = fetch_ok(&barn, "/api/remote/payloads/5").await["data"].clone();
    assert_eq!(
        (&noise["status"], &noise["source_type"], &noise["reason"]),
        (&json!("error"), &Value::Null, &json!("unknown_prefix"))
    );
    assert!(noise["error_message"].as_str().unwrap().contains("noise"));
    assert_eq!(fetch_ok(&barn, "/api/remote/payloads/4").await["data"]["source_type"], "hxe");
}

/// Catches two paths with different lists, and a total that does not match its status.
#[tokio::test]
async fn payloads_are_listed_by_status_at_both_of_their_paths() {
    let barn = barn();
    for (query, expected, total) in [
        ("", vec![9, 8, 7, 6, 5, 4, 3, 2], 8),
        ("?status=processed", vec![8, 7, 6, 4, 3, 2], 6),
        ("?status=error", vec![9, 5], 2),
        ("?status=received", vec![], 0),
        ("?status=processing", vec![], 0),
    ] {
        let list = fetch_ok(&barn, &format!("/api/remote/payloads{query}")).await;
        assert_eq!((ids(&list), &list["total"], &list["next"]), (expected, &json!(total), &Value::Null), "{query}");
        assert_eq!(list, fetch_ok(&barn, &format!("/api/lora/payloads{query}")).await);
    }
    let page = fetch_ok(&barn, "/api/lora/payloads?limit=3&before=7").await;
    assert_eq!((ids(&page), &page["next"], &page["count"]), (vec![6, 5, 4], &json!(4), &json!(3)));
}

/// Catches an office that claims to know the barn's count without contact, or hides the age of it.
#[tokio::test]
async fn the_barn_lists_duplicates_and_the_office_has_their_count_with_its_age() {
    let at_barn = fetch_ok(&barn(), "/api/remote/payloads?status=duplicate&limit=2").await;
    assert_eq!((ids(&at_barn), &at_barn["next"], &at_barn["total"]), (vec![3, 2], &json!(2), &json!(3)));
    let expected =
        json!({"id": 3, "status": "duplicate", "of": 4, "channel": "gate", "rssi_dbm": -70, "received_at": AT});
    assert_eq!(at_barn["data"][0], expected);
    let channel = json!({"channel": "gate", "count": 3, "last_at": AT, "best_rssi_dbm": -70});
    assert_eq!(at_barn["duplicates"], json!({"count": 3, "age_ms": 0, "channels": [channel]}));

    let at_office = fetch_ok(&office(Ok(filled_store()), Some(2_500)), "/api/remote/payloads?status=duplicate").await;
    assert_eq!((&at_office["data"], &at_office["total"]), (&json!([]), &json!(3)));
    assert_eq!(at_office["duplicates"], json!({"count": 3, "age_ms": 2_500, "channels": []}));
    let no_contact = fetch_ok(&office(Ok(filled_store()), None), "/api/remote/payloads?status=duplicate").await;
    assert_eq!((&no_contact["total"], &no_contact["duplicates"]["age_ms"]), (&Value::Null, &Value::Null));
}

/// Catches counts that do not add up, and payloads that are shown as stored before their commit.
#[tokio::test]
async fn the_buffer_status_counts_by_status_and_none_is_received_or_processing() {
    let at_barn = fetch_ok(&barn(), "/api/lora/buffer-status").await["data"].clone();
    let expected = json!({
        "total": 11, "received": 0, "processing": 0, "processed": 6, "duplicates": 3, "errors": 2,
        "duplicates_age_ms": 0, "suppressed": 0, "queued_payloads": 4, "as_of": 9,
    });
    assert_eq!(at_barn, expected);
    let at_office = fetch_ok(&office(Ok(filled_store()), None), "/api/lora/buffer-status").await["data"].clone();
    assert_eq!(
        (&at_office["total"], &at_office["duplicates"], &at_office["queued_payloads"]),
        (&json!(8), &Value::Null, &Value::Null)
    );
}

/// Catches a status without the original's keys, and an office whose store looks different from the barn's.
#[tokio::test]
async fn the_status_reports_the_role_the_position_and_the_missed_events() {
    let at_barn = fetch_ok(&barn(), "/api/remote/status").await["data"].clone();
    let expected = json!({
        "timestamp": AT, "batches": 3, "cattle": 2, "total_payloads": 8, "processed_payloads": 6, "error_payloads": 2,
        "processing_rate": "75.0%", "site": "north", "role": "source", "uptime_s": 12, "folded": 9, "missed_events": 3,
        "blocked": null, "failing": ["disk"], "findings": [{"part": "disk", "failing": true, "text": "make room"}],
        "refused_reads": {"unauthorized": 2}, "radios": [{
            "name": "radio1", "state": "failing", "why": "no chip answers", "air_time_left_ms": 36_000,
            "queued_packets": 7, "queue_packets": 1_024,
            "counts": {
                "received": 3, "crc_errors": 0, "without_crc": 2, "malformed": 1, "rescued": 0, "rebuilt": 0,
                "refreshed": 0, "cut": 0,
            },
        }],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&at_barn[key], value, "{key}");
    }
    assert_eq!(at_barn["gaps"][0]["text"], "118-120 never heard");
    assert_eq!((&at_barn["position"]["sequence"], &at_barn["duplicates"]["count"]), (&json!(9), &json!(3)));
    let at_office = fetch_ok(&office(Ok(filled_store()), Some(7)), "/api/remote/status").await["data"].clone();
    assert_eq!(
        (&at_office["role"], &at_office["link"], &at_office["barn"]["age_ms"]),
        (&json!("replica"), &json!("away"), &json!(7))
    );
    for key in ["position", "folded", "fold_digest", "totals", "gaps"] {
        assert_eq!(at_office[key], at_barn[key], "{key}");
    }
}

/// Catches an office that shows an unfinished copy, or hides its state until the copy is complete; and one that calls a
/// copy missing while it is only being opened, or cannot be.
#[tokio::test]
async fn only_the_status_is_available_while_there_is_no_copy_to_serve() {
    for (reason, code, message) in [
        (NotServedError::NoCopy, "no_copy_yet", "the first copy is not complete yet"),
        (NotServedError::Opening("35 % is folded".into()), "copy_opening", "35 % is folded"),
        (NotServedError::Unreadable, "not_readable", "the copy of the barn cannot be opened; the log says why"),
    ] {
        only_the_status_is_available(&office(Err(reason), None), code, message).await;
    }
}

async fn only_the_status_is_available(office: &Router, code: &str, message: &str) {
    let status = fetch_ok(office, "/api/remote/status").await["data"].clone();
    assert_eq!(
        (&status["link"], &status["position"], &status["batches"]),
        (&json!("away"), &Value::Null, &Value::Null)
    );
    for path in ["/api/remote/batches", "/api/remote/batches/1", "/api/remote/payloads", "/api/lora/buffer-status"] {
        let (status, body) = fetch(office, path).await;
        assert_eq!((status, &body["error"], &body["message"]), (503, &json!(code), &json!(message)), "{path}");
    }
}

/// Catches a wrong request that is answered as another one, and a message that shows internal names.
#[tokio::test]
async fn a_missing_item_is_404_and_a_wrong_request_is_400() {
    let barn = barn();
    for missing in [
        "/api/remote/batches/3",
        "/api/remote/payloads/1",
        "/api/remote/payloads/10",
        "/api/remote/payloads/0",
        "/api/remote",
    ] {
        assert_eq!(fetch(&barn, missing).await.0, 404, "{missing}");
    }
    for wrong in [
        "/api/remote/batches?offset=50",
        "/api/remote/batches?limit=0",
        "/api/remote/batches?limit=1001",
        "/api/remote/batches?limit=-1",
        "/api/remote/batches?limit=%2B5",
        "/api/remote/batches?limit=abc",
        "/api/remote/batches?before=18446744073709551616",
        "/api/remote/batches?source_type=HXB",
        "/api/remote/batches?limit=1&limit=2",
        "/api/remote/batches/BATCH001",
        "/api/remote/batches/-1",
        "/api/remote/batches/%ff",
        "/api/remote/batches/2?before=1",
        "/api/remote/payloads?status=kept",
        "/api/remote/payloads?status=",
        "/api/remote/payloads/2?x=1",
        "/api/remote/status?after=main",
        "/api/remote/status?x",
        "/api/lora/buffer-status?status=error",
    ] {
        let (status, body) = fetch(&barn, wrong).await;
        assert_eq!((status, &body["error"]), (400, &json!("bad_request")), "{wrong}: {body}");
        assert!(body["message"].as_str().is_some_and(|message| !message.contains("::")), "{wrong}: {body}");
    }
}
