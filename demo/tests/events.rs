//! Events of the real processes, over TLS.
//!
//! Catches: a barn whose memory grows with the events that a listener does not read, a listener whose connection stays
//! open but silent, an office whose events differ from the barn's, and an end of either side that the other learns nothing
//! of.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{Barn, BarnSettings, Client, Process, Side};
use futures::StreamExt as _;
use mirror::link::{Trust, client};
use reqwest::{Response, Upgraded};
use serde_json::{Value, json};
use service::harness::TIMEOUT;
use std::collections::BTreeMap;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use yard::{Yard, deliver, log_end, own_programs, until};

/// Listeners that stop reading.
const LISTENERS: usize = 8;
/// Payloads delivered before anyone listens, so that memory that grows with the store alone has grown already.
const PAYLOADS_BEFORE: u64 = 10_000;
/// Payloads delivered while no listener reads. Their events, buffered for each listener, would take about 500 MiB.
const PAYLOADS_UNREAD: u64 = 30_000;
/// Payloads in one call.
const CALL_PAYLOADS: u64 = 1_000;
/// Limit for the growth of the barn's memory meanwhile, including all that recording the payloads takes.
const MAX_GROWTH_BYTES: u64 = 64 * 1024 * 1024;

type Listener = WebSocketStream<Upgraded>;

/// Asks for a WebSocket with these headers.
async fn ask<S: Side>(process: &Process<S>, path_and_query: &str, headers: &[(&str, &str)]) -> Response {
    let http = client(&Trust::Pin(process.spki_sha256().unwrap())).unwrap();
    let request = http
        .get(format!("https://{}{path_and_query}", process.address()))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.timeout(TIMEOUT).send().await.unwrap()
}

/// Opens an event stream with these headers, which the process accepts.
async fn listen_with<S: Side>(process: &Process<S>, path_and_query: &str, headers: &[(&str, &str)]) -> Listener {
    let answer = ask(process, path_and_query, headers).await;
    assert_eq!(answer.status(), 101, "{path_and_query}");
    WebSocketStream::from_raw_socket(answer.upgrade().await.unwrap(), Role::Client, None).await
}

/// Opens an event stream with a key that the process accepts.
async fn listen<S: Side>(process: &Process<S>, path_and_query: &str, key: &str) -> Listener {
    listen_with(process, path_and_query, &[("X-API-Key", key)]).await
}

/// Returns the next event other than a heartbeat, as text. At the end of the connection, returns the close code and
/// reason as the error, or `None` if it ended without a close frame.
async fn next_event(listener: &mut Listener) -> Result<String, Option<(u16, String)>> {
    loop {
        match timeout(TIMEOUT, listener.next()).await.expect("no event in time") {
            Some(Ok(Message::Text(text))) if text.starts_with(r#"{"event":"heartbeat""#) => {}
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Close(Some(frame)))) => return Err(Some((frame.code.into(), frame.reason.to_string()))),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err(None),
        }
    }
}

async fn events(listener: &mut Listener, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(next_event(listener).await.unwrap());
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn barn_and_office_send_the_same_events_and_close_with_a_reason_on_shutdown() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    for (payload, status) in [("hxb:LOT:LF1:UHF1", 201), ("hxb:LOT:LF1:UHF1", 409), ("hxb:LOT:LF1", 422)] {
        assert_eq!(yard.deliver(payload).await.0, status);
    }
    yard.wait_until_equal().await;
    let at_barn = yard.barn.key("screen", &["read"]).unwrap();
    let at_office = yard.office.key("screen", &["read"]).unwrap();
    // The hello, three events of the first payload, and two of the payload that is not an event.
    let mut barn = listen(&yard.barn, "/api/events?after=0", &at_barn).await;
    let of_barn = events(&mut barn, 6).await;
    for path in ["/api/events?after=0", "/sites/barn/api/events?after=0"] {
        let mut office = listen(&yard.office, path, &at_office).await;
        assert_eq!(events(&mut office, 6).await, of_barn, "{path}");
    }

    let mut office = listen(&yard.office, "/api/events", &at_office).await;
    next_event(&mut office).await.unwrap();
    assert_eq!(yard.deliver("hxb:LOT:LF2:UHF2").await.0, 201);
    assert_eq!(events(&mut barn, 2).await, events(&mut office, 2).await, "live events");

    assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0), "{}", log_end(&yard.barn.log()));
    assert_eq!(next_event(&mut barn).await, Err(Some((1001, "this process is shutting down".to_owned()))));
    assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0), "{}", log_end(&yard.office.log()));
    assert_eq!(next_event(&mut office).await, Err(Some((1001, "this process is shutting down".to_owned()))));
}

/// Catches a client that reports a broken connection (1006) although both sides closed in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_answered_and_a_browser_shows_its_key_as_a_subprotocol() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let key = yard.barn.key("screen", &["read"]).unwrap();
    let at_office = yard.office.key("screen", &["read"]).unwrap();
    yard.wait_until_equal().await;
    let listeners =
        [listen(&yard.barn, "/api/events", &key).await, listen(&yard.office, "/api/events", &at_office).await];
    for (side, mut listener) in ["barn", "office"].into_iter().zip(listeners) {
        next_event(&mut listener).await.unwrap();
        let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        listener.close(Some(normal)).await.unwrap();
        assert_eq!(next_event(&mut listener).await, Err(Some((1000, String::new()))), "{side}");
    }

    for (protocols, status, chosen) in [
        (format!("herdlinx, {key}"), 101, Some("herdlinx")),
        ("herdlinx, hxb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(), 401, None),
        ("herdlinx".to_owned(), 401, None),
    ] {
        let answer = ask(&yard.barn, "/api/events", &[("Sec-WebSocket-Protocol", &protocols)]).await;
        let protocol = answer.headers().get("Sec-WebSocket-Protocol").map(|value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), protocol), (status, chosen));
    }
}

/// Catches a page of another origin that reads along by the cookie of a user, and a screen that reads on after its user was
/// removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_office_opens_events_by_the_session_of_its_user_and_no_other_page_does() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    yard.wait_until_equal().await;
    let browser = client(&Trust::Pin(yard.office.spki_sha256().unwrap())).unwrap();
    let link = yard.office.run(&["user", "add", "Ana", "--role", "viewer"]).unwrap();
    let code = link.trim().rsplit("code=").next().unwrap();
    let own = format!("https://{}", yard.office.address());
    let form = browser.post(format!("{own}/welcome")).header("Origin", &own);
    let fields = [("code", code), ("password", "the gate is green"), ("again", "the gate is green")];
    let answer = form.form(&BTreeMap::from(fields)).send().await.unwrap();
    let cookie = answer.headers()["Set-Cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

    for (headers, status) in [
        (vec![("Origin", own.as_str())], 101),
        (vec![("Sec-Fetch-Site", "same-origin")], 101),
        (vec![("Origin", "https://elsewhere.example")], 401),
        (vec![("Origin", own.as_str()), ("Sec-Fetch-Site", "cross-site")], 401),
        (vec![("Sec-Fetch-Site", "same-site")], 401),
        (vec![("Origin", own.as_str()), ("Sec-WebSocket-Protocol", "hxb_wrong")], 401),
        (vec![], 401),
    ] {
        let with_cookie = [&[("Cookie", cookie.as_str())], &headers[..]].concat();
        for path in ["/api/events", "/sites/barn/api/events"] {
            assert_eq!(ask(&yard.office, path, &with_cookie).await.status(), status, "{path} {headers:?}");
        }
        assert_eq!(ask(&yard.office, "/api/events", &headers).await.status(), 401, "without the cookie: {headers:?}");
    }

    yard.office.run(&["key", "revoke", "auditor"]).unwrap();
    assert_eq!(ask(&yard.office, "/api/events", &[("Origin", &own)]).await.status(), 403, "the office has no key now");
    let mut screen = listen_with(&yard.office, "/api/events", &[("Cookie", &cookie), ("Origin", &own)]).await;
    assert!(next_event(&mut screen).await.unwrap().starts_with(r#"{"event":"hello""#));
    assert_eq!(yard.deliver("hxb:LOT:LF1:UHF1").await.0, 201);
    assert!(next_event(&mut screen).await.unwrap().contains("payload:received"));
    yard.office.run(&["user", "remove", "Ana"]).unwrap();
    // Events that were on their way arrive before that.
    let end = timeout(TIMEOUT, async {
        loop {
            if let Err(close) = next_event(&mut screen).await {
                return close;
            }
        }
    });
    assert_eq!(end.await.expect("the WebSocket outlives the session"), None, "it is cut, not closed");
}

async fn deliver_more(device: &Client, payloads: std::ops::Range<u64>) {
    let texts: Vec<_> = payloads.map(|n| format!("hxb:LOT{}:LF{n}:UHF{n}", n / 100)).collect();
    for call in texts.chunks(usize::try_from(CALL_PAYLOADS).unwrap()) {
        let (status, _) = deliver(device, &json!({ "payloads": call })).await.unwrap();
        assert_eq!(status, 200);
    }
}

/// Returns the resident memory of a process.
fn resident_bytes(barn: &Barn) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", barn.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_stops_reading_costs_no_memory_and_is_closed_with_the_place_to_resume() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&own_programs(), &directory.path().join("barn"), &BarnSettings::default()).unwrap();
    barn.start().await.unwrap();
    let device = barn.client(&barn.key("chute-1", &["ingest"]).unwrap()).unwrap();
    let key = barn.key("screen", &["read"]).unwrap();
    deliver_more(&device, 0..PAYLOADS_BEFORE).await;

    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        let mut listener = listen(&barn, "/api/events", &key).await;
        next_event(&mut listener).await.unwrap();
        listeners.push(listener);
    }
    let before = resident_bytes(&barn);
    deliver_more(&device, PAYLOADS_BEFORE..PAYLOADS_BEFORE + PAYLOADS_UNREAD).await;
    let grown = resident_bytes(&barn).saturating_sub(before);
    println!("{LISTENERS} listeners that read nothing: the barn grew by {grown} bytes");
    assert!(grown < MAX_GROWTH_BYTES, "{grown} bytes more");

    for listener in &mut listeners {
        let mut sequences = Vec::new();
        let end = loop {
            match next_event(listener).await {
                Ok(event) => {
                    let event: Value = serde_json::from_str(&event).unwrap();
                    sequences.push(event["sequence"].as_u64().unwrap());
                }
                Err(end) => break end,
            }
        };
        let last = *sequences.last().unwrap();
        assert!(sequences.is_sorted() && last < PAYLOADS_BEFORE + PAYLOADS_UNREAD, "closed before the end");
        // If the network buffers were full, even the close frame was lost, and the connection just ends.
        if let Some((code, reason)) = end {
            let after = [last, last - 1].map(|after| format!("too slow: ask again with after={after}"));
            assert!(
                code == 1013 && after.contains(&reason),
                "{code}: {reason}; change {last} was sent at least in part"
            );
        }
    }
    // A listener that reconnects receives the rest.
    let mut again = listen(&barn, &format!("/api/events?after={}", PAYLOADS_BEFORE + PAYLOADS_UNREAD), &key).await;
    assert_eq!(events(&mut again, 3).await.len(), 3);
    until("the barn is healthy", async || barn.check_running().ok()).await;
}
