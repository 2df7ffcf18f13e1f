//! Events: in the order of the log, after the commit, the same at barn and office, and only with the right key.
//!
//! Catches: an event that is lost, doubled or out of order, one that a power cut can undo, an office whose events
//! differ from its barn's, and a listener that is not told why its connection ends.

use super::listener::{Listener, StreamItem, spawn_server};
use super::router_barn::golden::Golden;
use super::router_barn::{Barn, clock};
use super::table::Table;
use axum::body::Body;
use axum::http::Request;
use herd::change::Origin;
use herd::clock::Clock as _;
use herd::correction::CorrectionOrder;
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{CorrectionReceipt, Incoming, MemoryDisk, Receipt, Store};
use serde_json::{Value, json};
use service::events::{EVENTS_PATH, MAX_LAG_CHANGES};
use service::lifecycle::ShutdownTrigger;
use service::sync::OwnStore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::Message;

/// Payloads of which two are duplicates and one is not an event; three open a batch.
pub(crate) const TEN: [&str; 10] = [
    "hxb:LOT1:LF1:UHF1",
    "  hxb:LOT1:LF1:UHF1\r\n",
    "hxb:LOT1:LF2:UHF2",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
    "event:hxbchi000001|weight:267.3|lid:1",
    "hxb:LOT1:LF3",
    "event:hxbchi000001|weight:267.3|lid:1",
    "hxe:EXPORT001:LF2:UHF2",
    "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged",
];
/// Changes whose events take more space than the network buffers of a listener that does not read.
const NETWORK_CHANGES: u64 = 8_000;
/// Sequence after the ten payloads: eight are recorded, after the change that begins a store.
const HEAD: u64 = 1 + 8;

async fn barn_with_ten() -> (Barn, SocketAddr) {
    let barn = Barn::new(Rules::default());
    let address = spawn_server(barn.router.clone()).await;
    for payload in TEN {
        barn.record(payload).await;
    }
    assert_eq!(barn.head().sequence, Sequence(HEAD));
    (barn, address)
}

/// Applies a correction at the barn, and returns its sequence.
async fn correct(barn: &Barn, key: &str, correction: Value) -> u64 {
    let order = json!({"author": "J. Doe", "reason": "seen", "idempotency_key": key, "correction": correction});
    let order: CorrectionOrder = serde_json::from_value(order).unwrap();
    match barn.recorder.correct(order.checked("operator").unwrap(), clock().read()).await.unwrap() {
        CorrectionReceipt::Kept { sequence } => sequence.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_payload_accepted_later_is_announced_as_processed_and_a_batch_opened_by_an_operator_as_created() {
    let (barn, address) = barn_with_ten().await;
    barn.record("event:hxbchi000001|weight:300.0|lid:1").await;
    let rejected = HEAD + 1;
    let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    assert_eq!(listener.event().await["event"], "hello");

    let accepted = correct(&barn, "k1", json!({"kind": "accept_rejected", "payload": rejected})).await;
    let event = listener.event().await;
    assert_eq!((&event["event"], &event["sequence"]), (&json!("payload:processed"), &json!(accepted)));
    let data = &event["data"];
    assert_eq!((&data["payload_id"], &data["status"]), (&json!(rejected), &json!("processed")));
    assert_eq!((&data["accepted_by"], &data["event"]["weight_kg"]), (&json!(accepted), &json!("300")));

    let pen = json!({"kind": "move_pen", "animal": data["animal"], "pen": "P9"});
    correct(&barn, "k2", pen).await;
    let batch = json!({"kind": "move_batch", "animal": data["animal"], "batch_number": "NEW"});
    let opened = correct(&barn, "k3", batch).await;
    let event = listener.event().await;
    assert_eq!(
        (&event["event"], &event["sequence"]),
        (&json!("batch:created"), &json!(opened)),
        "a change of pen makes no event"
    );
    assert_eq!((&event["data"]["batch_id"], &event["data"]["batch_number"]), (&json!(opened), &json!("NEW")));
}

fn from_the_start() -> String {
    format!("{EVENTS_PATH}?after=0")
}

#[tokio::test]
async fn events_come_in_the_order_of_the_log_and_duplicates_make_none() {
    let barn = Barn::new(Rules::default());
    let address = spawn_server(barn.router.clone()).await;
    let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    let hello = listener.event().await;
    for payload in TEN {
        barn.record(payload).await;
    }
    let events = listener.events_to(HEAD).await;

    let mut golden = Golden::new("events");
    for (n, event) in std::iter::once(&hello).chain(&events).enumerate() {
        golden.add(&format!("{n:02} {}", event["event"].as_str().unwrap()), event.clone());
    }
    golden.compare();

    let mut late = Listener::open(address, &from_the_start(), &barn.read_key).await;
    assert_eq!(late.event().await["sequence"], 0);
    assert_eq!(late.events_to(HEAD).await, events, "past events are the same as when they were live");
}

#[tokio::test]
async fn a_listener_resumes_after_the_sequence_that_it_names() {
    let (barn, address) = barn_with_ten().await;
    let mut whole = Listener::open(address, &from_the_start(), &barn.read_key).await;
    whole.event().await;
    let whole = whole.events_to(HEAD).await;
    for after in 0..HEAD {
        let mut listener = Listener::open(address, &format!("{EVENTS_PATH}?after={after}"), &barn.read_key).await;
        assert_eq!(listener.event().await["sequence"], after);
        let rest: Vec<_> = whole.iter().filter(|event| event["sequence"].as_u64() > Some(after)).cloned().collect();
        assert_eq!(listener.events_to(HEAD).await, rest, "after {after}");
    }
}

/// Catches an office that makes its events from anything but the log.
#[tokio::test]
async fn the_office_sends_the_same_events_as_the_barn() {
    let (barn, address) = barn_with_ten().await;
    let mut replica = Store::open_replica(&MemoryDisk::default(), barn.reader.store()).unwrap();
    let start = barn.reader.position_at(Sequence::ZERO).unwrap().unwrap();
    replica.apply(barn.reader.run_after(start, 100, 1_000_000).unwrap()).unwrap();
    let office = Arc::new(OwnStore::new(replica.reader(), || 0));
    let at_office = spawn_server(service::events::router(office, barn.shutdown.signal())).await;

    let mut streams = Vec::new();
    for at in [address, at_office] {
        let mut listener = Listener::open(at, &from_the_start(), &barn.read_key).await;
        let mut events = vec![listener.event().await];
        events.extend(listener.events_to(HEAD).await);
        streams.push(events);
    }
    assert_eq!(streams[0], streams[1]);
}

/// Catches an event about a change that the lists do not show yet, and a gap between the lists and the first event.
#[tokio::test]
async fn the_office_sends_events_of_what_its_tables_show_although_its_log_is_ahead() {
    let (barn, _) = barn_with_ten().await;
    let mut replica = Store::open_replica(&MemoryDisk::default().with_unfolded(100), barn.reader.store()).unwrap();
    for _ in 0..HEAD {
        replica.apply(barn.reader.run_after(replica.head().position, 1, 1_000_000).unwrap()).unwrap();
    }
    replica.step_fold().unwrap();
    assert_eq!((replica.head().folded, replica.head().unfolded()), (Sequence(1), HEAD - 1));
    let office = Arc::new(OwnStore::new(replica.reader(), || 0));
    let address = spawn_server(service::events::router(office, barn.shutdown.signal())).await;
    let mut listener = Listener::open(address, EVENTS_PATH, "no key is needed").await;
    assert_eq!(listener.event().await["sequence"], 1);
    for visible in 2..=HEAD {
        let early = tokio::time::timeout(Duration::from_millis(10), listener.next()).await;
        assert!(early.is_err(), "sent before change {visible} was visible: {early:?}");
        replica.step_fold().unwrap();
        listener.events_to(visible).await;
    }
}

fn scan(n: u64) -> Incoming {
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: format!("hxb:LOT:LF{n}:UHF{n}").into_bytes(), origin, at: clock().read() }
}

/// Catches an event about a change that a power cut can still undo.
#[tokio::test]
async fn every_event_is_on_disk_before_it_is_sent_and_a_failed_commit_sends_none() {
    let disk = MemoryDisk::default();
    let open = |disk: &MemoryDisk| {
        Store::open_source(disk, Rules::default(), clock().read().in_boot(1), || StoreId([7; 16])).unwrap()
    };
    let mut store = open(&disk);
    let shutdown = ShutdownTrigger::default();
    let source = Arc::new(OwnStore::new(store.reader(), || 0));
    let address = spawn_server(service::events::router(source, shutdown.signal())).await;
    let mut listener = Listener::open(address, EVENTS_PATH, "no key is needed").await;
    listener.event().await;
    for n in 2..6 {
        assert_eq!(store.append(&[scan(n)]).unwrap(), [Receipt::Kept { sequence: Sequence(n) }]);
        listener.events_to(n).await;
        assert!(open(&disk.after_power_cut()).head().position.sequence >= Sequence(n));
    }
    assert!(disk.fail_after("log.journal", 0));
    store.append(&[scan(6)]).unwrap_err();
    drop(store);
    let end = listener.next().await;
    assert!(matches!(&end, StreamItem::Closed(1012, why) if why.contains("connect again")), "{end:?}");
}

/// Catches a listener that must guess what it missed. The network still holds events that it has not read, and the
/// close frame comes after them.
#[tokio::test]
async fn a_listener_too_far_behind_learns_where_to_resume_and_misses_nothing() {
    let barn = Barn::new(Rules::default());
    let address = spawn_server(barn.router.clone()).await;
    let mut slow = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    slow.event().await;
    while barn.head().sequence.0 < MAX_LAG_CHANGES + NETWORK_CHANGES {
        barn.record_group().await;
    }
    let mut last = 1;
    let (code, reason) = loop {
        match slow.next().await {
            StreamItem::Event(event) => last = event["sequence"].as_u64().unwrap(),
            StreamItem::Closed(code, reason) => break (code, reason),
            StreamItem::Disconnected => panic!("disconnected without a close frame after {last}"),
        }
    };
    assert_eq!(code, 1013, "{reason}");
    let after: u64 = reason.strip_prefix("too slow: ask again with after=").unwrap().parse().unwrap();
    assert!(after == last || after == last - 1, "{reason}, and change {last} was sent at least in part");
    let mut again = Listener::open(address, &format!("{EVENTS_PATH}?after={after}"), &barn.read_key).await;
    again.event().await;
    let head = barn.head().sequence.0;
    let rest = again.events_to(head).await;
    assert_eq!(rest.first().unwrap()["sequence"], after + 1);
    assert_eq!(
        rest.len() as u64,
        2 * (head - after),
        "past events come as fast as they are read, and none is left out"
    );
}

#[tokio::test]
async fn a_listener_that_sends_is_closed_with_the_reason() {
    let (barn, address) = barn_with_ten().await;
    for message in [Message::text("hello"), Message::binary(b"hello".to_vec())] {
        let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
        listener.event().await;
        listener.send(message).await;
        let end = listener.next().await;
        assert!(matches!(&end, StreamItem::Closed(1003, why) if why.contains("accepts no messages")), "{end:?}");
    }
    let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    listener.event().await;
    listener.send(Message::binary(vec![0; 5_000])).await;
    assert_ne!(listener.next().await, StreamItem::Event(Value::Null), "a message above the limit ends the connection");
}

#[tokio::test]
async fn a_revoked_key_ends_its_own_connections_and_no_others() {
    let (barn, address) = barn_with_ten().await;
    let other_key = barn.keys.add("other", [service::door::keys::Scope::Read].into()).unwrap().reveal().to_owned();
    let mut revoked = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    let mut kept = Listener::open(address, EVENTS_PATH, &other_key).await;
    revoked.event().await;
    kept.event().await;
    barn.keys.revoke("screen").unwrap();
    assert_eq!(revoked.next().await, StreamItem::Disconnected);
    barn.record("hxb:LOT1:LF9:UHF9").await;
    assert_eq!(kept.events_to(HEAD + 1).await.len(), 2);
}

#[tokio::test]
async fn a_shutdown_closes_a_listener_with_the_reason() {
    let (barn, address) = barn_with_ten().await;
    let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    listener.event().await;
    barn.shutdown.request();
    assert_eq!(listener.next().await, StreamItem::Closed(1001, "this process is shutting down".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_request_for_events_is_refused_and_changes_nothing() {
    let mut table = Table::new("events_refused");
    table.barn.record_more(3).await;
    let key = table.barn.read_key.clone();
    let request = |query: &str| {
        let request = Request::get(format!("{EVENTS_PATH}{query}")).header("X-API-Key", &key);
        request.body(Body::empty()).unwrap()
    };
    let wrong = [
        ("no upgrade", ""),
        ("no upgrade at a right sequence", "?after=2"),
        ("beyond the head", "?after=5"),
        ("far beyond the head", "?after=18446744073709551615"),
        ("beyond all numbers", "?after=18446744073709551616"),
        ("a negative sequence", "?after=-1"),
        ("a sequence with a sign", "?after=%2B1"),
        ("no number", "?after=abc"),
        ("an empty sequence", "?after="),
        ("a sequence twice", "?after=1&after=1"),
        ("an unknown key", "?since=2024-01-01"),
        ("a position of sync", "?store=1&epoch=1&after=1&digest=1"),
    ];
    for (case, query) in wrong {
        table.expect_unchanged(case, 400, request(query)).await;
    }
    let ingest = table.barn.ingest_key.clone();
    let sync = table.barn.sync_key.clone();
    let keyless = Request::get(EVENTS_PATH).body(Body::empty()).unwrap();
    table.expect_unchanged("no key", 401, keyless).await;
    for (case, key) in [("a key of scope ingest", ingest), ("a key of scope sync", sync)] {
        let request = Request::get(EVENTS_PATH).header("X-API-Key", key).body(Body::empty()).unwrap();
        table.expect_unchanged(case, 403, request).await;
    }
    table
        .expect_unchanged("a key in the query", 401, {
            Request::get(format!("{EVENTS_PATH}?key={key}")).body(Body::empty()).unwrap()
        })
        .await;
    table.compare();
}

/// Catches an event for a change of an unknown kind.
#[test]
fn a_change_that_is_not_a_payload_makes_no_event() {
    let began = json!(service::events::notices_for(Sequence(1), b"\xc8\x07new", |_| Ok::<_, ()>(None)).unwrap());
    assert_eq!(began, json!([]));
}
