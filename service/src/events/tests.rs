//! Event streams as a listener receives them, over a WebSocket in memory and a clock that stands still.
//!
//! Catches a listener that is kept although it is gone, given up although it lives, or told less than it believes.

use super::*;
use crate::harness::web_socket::{ClientSocket, next_text, open_socket};
use crate::lifecycle::ShutdownTrigger;
use crate::sync::live::SILENCE_TIMEOUT;
use crate::sync::{OwnStore, SyncCounts};
use futures::SinkExt as _;
use herd::change::{AnimalId, Correction};
use herd::store::StoreError;
use herd::testing::TestBarn;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

/// A barn whose events are served.
struct Yard {
    barn: TestBarn,
    served: Arc<OwnStore<fn() -> u64>>,
    shutdown: ShutdownTrigger,
}

impl Yard {
    fn new(payloads: u64) -> Self {
        let mut barn = TestBarn::default();
        for n in 0..payloads {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        let no_duplicates: fn() -> u64 = || 0;
        let served = Arc::new(OwnStore::new(barn.reader(), no_duplicates));
        Self { barn, served, shutdown: ShutdownTrigger::default() }
    }

    async fn listen(&self, query: &str) -> ClientSocket {
        let routes = router(self.served.clone(), self.shutdown.signal());
        open_socket(routes, &format!("{EVENTS_PATH}{query}")).await
    }

    fn counts(&self) -> SyncCounts {
        self.served.sync_stats().counts()
    }
}

/// Returns name and sequence of the next message, or its text if it is no event.
async fn next_event(listener: &mut ClientSocket) -> (String, u64) {
    let text = next_text(listener).await;
    match serde_json::from_str::<Value>(&text) {
        Ok(event) => (event["event"].as_str().unwrap().to_owned(), event["sequence"].as_u64().unwrap()),
        Err(_) => (text, 0),
    }
}

async fn next_names(listener: &mut ClientSocket, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(next_event(listener).await.0);
    }
    names
}

/// Catches a dead listener that is fed for ever, and one that is given up too early.
#[tokio::test(start_paused = true)]
async fn a_listener_that_answers_no_ping_is_given_up_after_three_heartbeats() {
    let yard = Yard::new(1);
    let mut silent = yard.listen("").await;
    assert_eq!(next_event(&mut silent).await, ("hello".to_owned(), 2));
    // A client that does not read answers no ping. Its end is there at once, and not a heartbeat later.
    sleep(SILENCE_TIMEOUT + Duration::from_secs(1)).await;
    assert_eq!(yard.counts().listeners, 0);
    let mut bytes = Vec::new();
    silent.get_mut().read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.matches(r#""event":"heartbeat""#).count(), 2, "{text}");
    assert!(text.ends_with("too slow: ask again with after=2"), "{text}");

    let mut alive = yard.listen("").await;
    next_event(&mut alive).await;
    for n in 0..6 {
        assert_eq!(next_names(&mut alive, 2).await, ["heartbeat", "ping"], "{n}");
    }
    assert_eq!(yard.counts().listeners, 1);
}

/// Catches an event that is left out at the end of a page, sent twice, or counted wrong, and a heartbeat that claims more
/// than was sent.
#[tokio::test(start_paused = true)]
async fn history_and_what_is_recorded_meanwhile_arrive_once_and_in_order() {
    let mut yard = Yard::new(120);
    let mut listener = yard.listen("?after=0").await;
    let hello: Value = serde_json::from_str(&next_text(&mut listener).await).unwrap();
    assert_eq!((&hello["sequence"], &hello["data"]["head"]), (&json!(0), &json!(121)));
    for sequence in 2..=121 {
        assert_eq!(next_event(&mut listener).await, ("payload:received".to_owned(), sequence));
        assert_eq!(next_event(&mut listener).await, ("payload:processed".to_owned(), sequence));
        if sequence == 2 {
            assert_eq!(next_event(&mut listener).await, ("batch:created".to_owned(), sequence));
        }
    }
    assert_eq!((yard.counts().events, yard.counts().listeners), (241, 1));
    yard.barn.record("hxb:LOT1:LATE:LATE");
    assert_eq!(next_event(&mut listener).await, ("payload:received".to_owned(), 122));
    assert_eq!(next_event(&mut listener).await, ("payload:processed".to_owned(), 122));
    let heartbeat: Value = serde_json::from_str(&next_text(&mut listener).await).unwrap();
    assert_eq!(heartbeat, json!({"event": "heartbeat", "sequence": 122, "data": {"head": 122}}));
}

/// Catches a listener whose memory at the barn grows with what it does not read, and one that resumes after an event which
/// it never received.
#[tokio::test(start_paused = true)]
async fn a_listener_that_stops_reading_is_told_where_to_resume() {
    let yard = Yard::new(100);
    let mut listener = yard.listen("?after=0").await;
    sleep(SEND_TIMEOUT + Duration::from_secs(1)).await;
    let (mut last, mut whole) = (String::new(), 0);
    let end = loop {
        match next_event(&mut listener).await {
            (name, 0) if name != "hello" => break name,
            (name, sequence) => {
                // The messages of the change before are complete once one of the next change arrives.
                whole = if name == "payload:processed" { sequence } else { sequence.saturating_sub(1) };
                last = name;
            }
        }
    };
    assert!(whole > 2 && whole < 101, "{whole} {last}");
    assert_eq!(end, format!("close 1013 too slow: ask again with after={whole}"), "after {last}");
}

/// Catches an end that a listener takes for another one, and a message that is swallowed.
#[tokio::test(start_paused = true)]
async fn each_end_is_told_to_the_listener() {
    let yard = Yard::new(1);
    for message in [Message::text("{}"), Message::binary(vec![1])] {
        let mut talking = yard.listen("").await;
        talking.send(Message::Ping(Vec::new().into())).await.unwrap();
        talking.send(message).await.unwrap();
        next_event(&mut talking).await;
        assert_eq!(next_text(&mut talking).await, "pong");
        assert_eq!(next_text(&mut talking).await, "close 1003 this stream accepts no messages");
    }
    let (mut closing, mut waiting) = (yard.listen("").await, yard.listen("").await);
    closing.close(None).await.unwrap();
    next_event(&mut closing).await;
    assert_eq!(next_text(&mut closing).await, "close");
    next_event(&mut waiting).await;
    yard.shutdown.request();
    assert_eq!(next_text(&mut waiting).await, "close 1001 this process is shutting down");

    let Yard { barn, served, .. } = Yard::new(1);
    let trigger = ShutdownTrigger::default();
    let mut waiting = open_socket(router(served, trigger.signal()), EVENTS_PATH).await;
    next_event(&mut waiting).await;
    drop(barn);
    assert_eq!(next_text(&mut waiting).await, "close 1012 the copy was replaced: connect again");
}

/// Catches a stream that begins at another change than the caller asked for.
#[test]
fn a_stream_begins_at_the_head_or_after_the_sequence_in_the_query() {
    let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:A:LF2:UHF2"]);
    let reader = barn.reader();
    for (after, expected) in [(None, 3), (Some("0"), 0), (Some("2"), 2), (Some("3"), 3)] {
        assert_eq!(start_position(&reader, after).unwrap().sequence, Sequence(expected), "{after:?}");
    }
    for (after, hint) in [("4", "the log ends at 3"), ("-1", "a whole number"), ("", "a whole number")] {
        let refused = start_position(&reader, Some(after)).unwrap_err();
        assert!(refused.message.contains(hint), "{after}: {}", refused.message);
    }
}

/// Catches an event that is missing or invented for a change, and one of a later decision that lacks its payload.
#[test]
fn each_change_makes_its_messages() {
    let mut barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxe:OUT:LF9:UHF9", "hxb:A:LF2", "hxb:A:LF3:UHF3"]);
    let moved =
        |batch_number: &str| Correction::MoveBatch { animal: AnimalId(5), batch_number: batch_number.to_owned() };
    barn.correct(moved("NEW"));
    barn.correct(moved("A"));
    let sequence = barn.record("hxb:A:LF4:UHF4");
    barn.correct(Correction::Void { sequence });
    barn.correct(Correction::AcceptRejected { sequence, animal: None, batch_number: None });
    let reader = barn.reader();
    let named = |sequence: u64| {
        let bytes = reader.change(Sequence(sequence)).unwrap().unwrap();
        let notices = notices_for(Sequence(sequence), &bytes, |of| reader.change(of)).unwrap();
        let shown = notices.iter().map(|notice| {
            assert_eq!(notice.sequence, Sequence(sequence));
            let data = serde_json::to_value(&notice.data).unwrap();
            let (id, of) = (data["payload_id"].as_u64().or(data["batch_id"].as_u64()), data["batch_number"].as_str());
            format!("{} {} {}", notice.event, id.unwrap(), of.or(data["status"].as_str()).unwrap_or("-"))
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(named(1), [""; 0]);
    assert_eq!(named(2), ["payload:received 2 processed", "payload:processed 2 A", "batch:created 2 A"]);
    assert_eq!(named(3), ["payload:received 3 processed", "payload:processed 3 OUT", "batch:created 3 OUT"]);
    assert_eq!(named(4), ["payload:received 4 error", "payload:processed 4 error"]);
    assert_eq!(named(5), ["payload:received 5 processed", "payload:processed 5 A"]);
    assert_eq!(named(6), ["batch:created 6 NEW"]);
    assert_eq!(named(7), [""; 0], "the batch is open already");
    assert_eq!(named(9), [""; 0]);
    assert_eq!(named(10), ["payload:processed 8 A"]);
    let later = notices_for::<StoreError>(Sequence(11), b"\xc8\x07of a later program", |_| Ok(None)).unwrap();
    assert_eq!(later, []);
}
