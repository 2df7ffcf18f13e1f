//! Somebody who listens to events, over a TCP connection to the shipped router.

use axum::Router;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// So long a message is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves `router` on a port of its own until the test ends.
pub(crate) async fn served(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Event(Value),
    /// The goodbye: its code and its reason.
    Closed(u16, String),
    /// The connection ended without a goodbye.
    Cut,
}

pub(crate) struct Listener {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Listener {
    /// Opens `path_and_query`, which must be let in.
    pub(crate) async fn open(address: SocketAddr, path_and_query: &str, key: &str) -> Self {
        let mut request = format!("ws://{address}{path_and_query}").into_client_request().unwrap();
        request.headers_mut().insert("X-API-Key", key.parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(request, stream).await.unwrap();
        Self { socket }
    }

    /// The next message, heartbeats aside.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("nothing comes any more");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    if event["event"] != "heartbeat" {
                        return Heard::Event(event);
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Heard::Cut,
            }
        }
    }

    /// The next message, which must be an event.
    pub(crate) async fn event(&mut self) -> Value {
        match self.next().await {
            Heard::Event(event) => event,
            other => panic!("an event was to come, not {other:?}"),
        }
    }

    /// All events up to the last one of the change `sequence`, which must be the last of the log.
    pub(crate) async fn events_to(&mut self, sequence: u64) -> Vec<Value> {
        let mut events = Vec::new();
        while events.last().is_none_or(|last: &Value| !ends_change(last, sequence)) {
            events.push(self.event().await);
        }
        events
    }

    pub(crate) async fn say(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }
}

/// Whether this is the last event of the change: the one that opens a batch has one more than others.
fn ends_change(event: &Value, sequence: u64) -> bool {
    let (name, data) = (event["event"].as_str().unwrap(), &event["data"]);
    let opened = name == "payload:processed" && data["batch_id"] == event["sequence"];
    event["sequence"] == sequence && (name == "batch:created" || name == "payload:processed" && !opened)
}
