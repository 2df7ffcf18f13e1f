//! A listener to events, over a TCP connection to the shipped router.

use axum::Router;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use service::harness::TIMEOUT;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Serves `router` on its own port until the test ends.
pub(crate) async fn spawn_server(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

/// One thing that a listener receives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StreamItem {
    Event(Value),
    /// The close frame: its code and its reason.
    Closed(u16, String),
    /// The connection ended without a close frame.
    Disconnected,
}

pub(crate) struct Listener {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Listener {
    /// Opens `path_and_query`, which the server must accept.
    pub(crate) async fn open(address: SocketAddr, path_and_query: &str, key: &str) -> Self {
        let mut request = format!("ws://{address}{path_and_query}").into_client_request().unwrap();
        request.headers_mut().insert("X-API-Key", key.parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(request, stream).await.unwrap();
        Self { socket }
    }

    /// Returns the next message other than a heartbeat.
    pub(crate) async fn next(&mut self) -> StreamItem {
        loop {
            let message = timeout(TIMEOUT, self.socket.next()).await.expect("no message in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    if event["event"] != "heartbeat" {
                        return StreamItem::Event(event);
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return StreamItem::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return StreamItem::Disconnected,
            }
        }
    }

    /// Returns the next message, which must be an event.
    pub(crate) async fn event(&mut self) -> Value {
        match self.next().await {
            StreamItem::Event(event) => event,
            other => panic!("expected an event, got {other:?}"),
        }
    }

    /// Returns all events up to the last one of the change `sequence`, which must be the last of the log.
    pub(crate) async fn events_to(&mut self, sequence: u64) -> Vec<Value> {
        let mut events = Vec::new();
        while events.last().is_none_or(|last: &Value| !ends_change(last, sequence)) {
            events.push(self.event().await);
        }
        events
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }
}

/// Returns `true` for the last event of a change. A change that opens a batch has one event more than others.
fn ends_change(event: &Value, sequence: u64) -> bool {
    let (name, data) = (event["event"].as_str().unwrap(), &event["data"]);
    let opened = name == "payload:processed" && data["batch_id"] == event["sequence"];
    event["sequence"] == sequence && (name == "batch:created" || name == "payload:processed" && !opened)
}
