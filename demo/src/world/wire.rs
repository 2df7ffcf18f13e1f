//! The network of a world: a [`Link`] that calls the router of the barn directly, and cuts, truncates and delays
//! messages as the seed determines.

use super::chance::Chance;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use herd::position::{Position, Sequence};
use http_body_util::BodyExt;
use service::lifecycle::Shutdown;
use service::sync::Served;
use service::sync::divergence::refusing_head;
use service::sync::link::{BLOB_TYPE, ExtraBlobs, Link, LinkError, LinkResponse, LiveChannel, LiveResponse};
use service::sync::live::serve_live;
use service::sync::query::ChangesQuery;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

/// Maximum number of blobs in transit in one direction.
const MAX_BLOBS_IN_TRANSIT: usize = 4;

/// The barn as the network reaches it. Each boot of the barn replaces it.
#[derive(Clone)]
pub(super) struct BarnEndpoint {
    pub(super) router: Router,
    pub(super) served: Arc<dyn Served>,
    pub(super) shutdown: Shutdown,
}

/// The state of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// No message passes, and open connections break.
    pub(super) cut: bool,
    /// Share of messages that are truncated, in percent.
    pub(super) truncated_percent: u8,
    /// Delay of a request, milliseconds.
    pub(super) delay_ms: u64,
}

/// The connection from the office to the barn.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) barn: Arc<Mutex<Option<BarnEndpoint>>>,
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) chance: Arc<Mutex<Chance>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreachable(why: &str) -> LinkError {
    LinkError::Unreachable { peer: "the barn".to_owned(), why: why.to_owned() }
}

fn broken(doing: &'static str) -> LinkError {
    LinkError::Broken { peer: "the barn".to_owned(), doing, why: "the link was cut".to_owned() }
}

impl Wire {
    async fn reach(&self) -> Result<BarnEndpoint, LinkError> {
        let Weather { cut, delay_ms, .. } = *self.weather.borrow();
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        if cut {
            return Err(unreachable("the link is cut"));
        }
        lock(&self.barn).clone().ok_or_else(|| unreachable("the barn is off"))
    }

    /// Returns a response as it arrives: half of those that the weather truncates break off, the others just end.
    fn deliver(&self, status: u16, body: Bytes) -> LinkResponse {
        let mut chance = lock(&self.chance);
        if !chance.percent(self.weather.borrow().truncated_percent) {
            return LinkResponse::whole(status, body);
        }
        let body = body.slice(..chance.length_below(body.len()));
        LinkResponse { status, body, cut: chance.percent(50).then(|| broken("reading")) }
    }
}

impl Link for Wire {
    type Channel = LiveEnd;

    async fn get(&self, path_and_query: &str, _: bool, limit: usize, _: u64) -> Result<LinkResponse, LinkError> {
        let barn = self.reach().await?;
        let request = Request::get(path_and_query).header(header::ACCEPT, BLOB_TYPE).body(Body::empty());
        let request = request.map_err(|_| unreachable("invalid path"))?;
        let Ok(response) = barn.router.oneshot(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|_| broken("reading"))?.to_bytes();
        if body.len() > limit {
            return Err(LinkError::TooLong { peer: "the barn".to_owned(), limit_bytes: limit });
        }
        Ok(self.deliver(status, body))
    }

    async fn open_live(&self, path_and_query: &str, _: u64) -> Result<LiveResponse<LiveEnd>, LinkError> {
        let barn = self.reach().await?;
        let uri = path_and_query.parse().map_err(|_| unreachable("invalid path"))?;
        let requested = ChangesQuery::position_only(&uri).map_err(|_| unreachable("invalid query"))?;
        let Ok(reader) = barn.served.reader() else { return Err(unreachable("the store has no reader")) };
        let start = reader.position_at(Sequence::ZERO).ok().flatten().ok_or_else(|| unreachable("no log"))?;
        let from: Position = requested.unwrap_or(start);
        if let Some(head) = refusing_head(&reader, &from).map_err(|_| unreachable("no log"))? {
            let body = serde_json::json!({ "success": false, "error": "diverged", "held": head });
            return Ok(LiveResponse::Refused(LinkResponse::whole(409, body.to_string())));
        }
        let (near, mut far) = self.pair();
        tokio::spawn(
            async move { serve_live(&mut far, &*barn.served, reader, from, ExtraBlobs::ALL, barn.shutdown).await },
        );
        Ok(LiveResponse::Open(near))
    }
}

impl Wire {
    fn pair(&self) -> (LiveEnd, LiveEnd) {
        let (there, here) = (mpsc::channel(MAX_BLOBS_IN_TRANSIT), mpsc::channel(MAX_BLOBS_IN_TRANSIT));
        let end = |send, receive| LiveEnd { send, receive, weather: self.weather.clone(), chance: self.chance.clone() };
        (end(there.0, here.1), end(here.0, there.1))
    }
}

/// One end of a live connection.
#[derive(Debug)]
pub(super) struct LiveEnd {
    send: mpsc::Sender<Bytes>,
    receive: mpsc::Receiver<Bytes>,
    weather: watch::Receiver<Weather>,
    chance: Arc<Mutex<Chance>>,
}

async fn until_cut(weather: &mut watch::Receiver<Weather>) {
    // An error means that the sender of the weather is gone, which ends the world and every connection in it.
    let _ = weather.wait_for(|weather| weather.cut).await;
}

impl LiveChannel for LiveEnd {
    async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
        let percent = self.weather.borrow().truncated_percent;
        let blob = {
            let mut chance = lock(&self.chance);
            if chance.percent(percent) { blob.slice(..chance.length_below(blob.len())) } else { blob }
        };
        tokio::select! {
            biased;
            () = until_cut(&mut self.weather) => Err(broken("sending")),
            sent = self.send.send(blob) => sent.map_err(|_| broken("sending")),
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        tokio::select! {
            biased;
            () = until_cut(&mut self.weather) => Err(broken("receiving")),
            blob = self.receive.recv() => Ok(blob),
        }
    }

    async fn close(&mut self) {
        self.receive.close();
    }
}
