//! Resyncs of an office that goes on following.

use crate::barn::Barn;
use crate::get;
use crate::slow_link::{LONG, Yard};
use futures::StreamExt as _;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use service::harness::{NarrowSettings, wait_until_within};
use std::path::PathBuf;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

/// Rate at which a copy of 2,000 changes takes more than ten seconds.
const SLOW: NarrowSettings = NarrowSettings::rate(12_000);

/// A program that listens to the events of the office.
struct Listener(WebSocketStream<TlsStream<TcpStream>>);

impl Listener {
    async fn connect(yard: &Yard) -> Self {
        let key = yard.office.key("listener", "read");
        let stream = TcpStream::connect(&yard.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = TlsConnector::from(yard.office.tls()).connect(name, stream).await.unwrap();
        let mut request = format!("wss://{}/api/events", yard.address).into_client_request().unwrap();
        request.headers_mut().insert("x-api-key", key.parse().unwrap());
        let (socket, _) = tokio_tungstenite::client_async(request, tls).await.unwrap();
        Self(socket)
    }

    /// Returns the next event that is no heartbeat, or the close frame.
    async fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            let message = timeout(LONG, self.0.next()).await.expect("an event or the end").expect("a message");
            match message.unwrap() {
                Message::Text(text) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    if event["event"] != "heartbeat" {
                        return Ok(event);
                    }
                }
                Message::Close(frame) => return Err(frame),
                _ => {}
            }
        }
    }
}

fn current(yard: &Yard) -> PathBuf {
    std::fs::read_link(yard.office.state_dir().join("sites/barn/current")).unwrap()
}

/// Catches a copy that stands still while a new one is made, and listeners that are told of a replacement before it.
#[tokio::test(flavor = "multi_thread")]
async fn the_shown_copy_goes_on_during_a_resync_until_the_new_one_replaces_it() {
    let mut yard = Yard::new(2_000, SLOW).await;
    yard.wait_until_equal(LONG).await;
    let mut listener = Listener::connect(&yard).await;
    assert_eq!(listener.next().await.unwrap()["event"], "hello");

    assert!(yard.office.run(&["resync", "barn"]).contains("copy-2"));
    yard.barn.scan(2);
    let site = yard.wait_until_equal(LONG).await;
    assert!(current(&yard).ends_with("copy-1"), "the shown copy is the old one: {site}");
    // The new copy hears from the barn a moment after it was begun.
    let copying = wait_until_within(LONG, "the new copy is under way", async || {
        let site = yard.site().await;
        (site["link"] == "copying" && site["copied"]["of"].as_u64() >= Some(2_001)).then_some(())
    });
    copying.await.unwrap();
    for n in [2_002, 2_003] {
        let event = listener.next().await.unwrap();
        assert_eq!((&event["event"], &event["sequence"]), (&json!("payload:received"), &json!(n)));
        assert_eq!(listener.next().await.unwrap()["event"], "payload:processed");
    }

    let closed = listener.next().await.unwrap_err().unwrap();
    assert_eq!((u16::from(closed.code), closed.reason.as_str()), (1012, "the copy was replaced: connect again"));
    assert!(current(&yard).ends_with("copy-2"));
    yard.barn.scan(1);
    let site = yard.wait_until_equal(LONG).await;
    let (ok, failed) = (site["successful_syncs"].as_u64().unwrap(), site["failed_syncs"].as_u64().unwrap());
    assert_eq!((&site["total_syncs"], failed), (&json!(ok + failed), 0));
    assert_eq!(site["total_records_synced"], 2_001 + 2 + 2_003 + 1, "what both copies received: {site}");
    let (_, page) = get(&yard.client, &format!("https://{}/batches/LOT1", yard.address), None).await;
    assert_eq!(page["cattle_count"], 2_003);
    assert_eq!(yard.office.stop().code(), Some(0));
}

/// Catches a resync that cannot be taken back, and a cancellation that takes the shown copy away.
#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_resync_leaves_the_shown_copy_as_it_was() {
    let mut yard = Yard::new(2_000, SLOW).await;
    yard.wait_until_equal(LONG).await;
    assert_eq!(yard.office.output(&["resync", "barn", "--cancel"]).status.code(), Some(7), "nothing to cancel");
    yard.office.run(&["resync", "barn"]);
    assert!(yard.office.run(&["resync", "barn", "--cancel"]).contains("Canceled copy-2"));
    assert!(!yard.office.state_dir().join("sites/barn/copy-2").exists());
    yard.barn.scan(2);
    let site = yard.wait_until_equal(LONG).await;
    assert_eq!((&site["copied"], site["failed_syncs"].as_u64()), (&Value::Null, Some(0)), "{site}");

    // And without a process.
    assert_eq!(yard.office.stop().code(), Some(0));
    yard.office.run(&["resync", "barn"]);
    yard.office.run(&["resync", "barn", "--cancel"]);
    assert_eq!(yard.office.output(&["resync", "barn", "--cancel"]).status.code(), Some(7));
    assert!(current(&yard).ends_with("copy-1"));
    let unfinished = yard.office.state_dir().join("sites/barn/copy-2");
    let removed = wait_until_within(LONG, "the new copy is gone", async || (!unfinished.exists()).then_some(()));
    removed.await.unwrap();
}

/// Returns a barn with the first 1,500 animals of a yard's, and then others.
fn forked() -> Barn {
    let mut other = Barn::open("barn", 1);
    other.scan(1_500);
    other.skip(10_000);
    other.scan(600);
    other
}

async fn wait_until_link(yard: &Yard, link: &str) -> Value {
    let is_there = async || Some(yard.site().await).filter(|site| site["link"] == link);
    match wait_until_within(LONG, link, is_there).await {
        Ok(site) => site,
        Err(error) => panic!("{error}: {}\n{}", yard.site().await, yard.office.log()),
    }
}

/// Catches a wrong card in the barn whose reads replace those of the right one on the pages, although nobody decided so,
/// and a new copy of it that stops the right one later.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_copy_replaces_one_that_does_not_fit_the_barn_only_if_a_person_decides_so_then() {
    let (mut yard, mut other) = (Yard::new(2_000, NarrowSettings::rate(24_000)).await, forked());
    yard.wait_until_equal(LONG).await;
    yard.office.run(&["resync", "barn"]);
    wait_until_link(&yard, "copying").await;
    yard.barn = yard.barn.exchange_card(&mut other).await;
    wait_until_link(&yard, "stopped").await;
    assert!(current(&yard).ends_with("copy-1"));

    // A person decides for the wrong card, and then the right one is back.
    assert!(yard.office.run(&["resync", "barn"]).contains("copy-3"));
    let copies_the_fork = async || (yard.site().await["copied"]["changes"].as_u64() > Some(1_700)).then_some(());
    let waited = wait_until_within(LONG, "the new copy holds what only the other card has", copies_the_fork).await;
    waited.unwrap_or_else(|error| panic!("{error}: {}", yard.office.log()));
    yard.barn = yard.barn.exchange_card(&mut other).await;
    yard.barn.scan(2);
    yard.wait_until_equal(LONG).await;
    let is_alone = async || yard.site().await["copied"].is_null().then_some(());
    let waited = wait_until_within(LONG, "the new copy is given up", is_alone).await;
    waited.unwrap_or_else(|error| panic!("{error}: {}", yard.office.log()));
    assert!(current(&yard).ends_with("copy-1"));
    assert!(yard.office.state_dir().join("sites/barn/copy-3").exists(), "only it holds what the other card has");
    assert_eq!(yard.office.stop().code(), Some(0));
}
