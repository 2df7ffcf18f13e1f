//! The wire of the simulated world: a [`Link`] that calls the source's own router, and cuts, truncates and stalls
//! what passes, as the seed says.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use herd::position::{Position, Sequence};
use http_body_util::BodyExt;
use service::lifecycle::Shutdown;
use service::sync::Served;
use service::sync::divergence::refusing_head;
use service::sync::link::{BLOB_TYPE, Link, LinkError, LinkResponse, LiveChannel, LiveResponse};
use service::sync::live::serve_live;
use service::sync::query::ChangesQuery;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

use super::chance::Chance;

/// Blobs that are on the wire in one direction.
const BLOBS_ON_THE_WIRE: usize = 4;

/// The barn as the network reaches it: replaced when the barn is started anew.
#[derive(Clone)]
pub(super) struct Barn {
    pub(super) router: Router,
    pub(super) served: Arc<dyn Served>,
    pub(super) stop: Shutdown,
}

/// What the network does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// Nothing passes, and what is open breaks.
    pub(super) cut: bool,
    /// Of a hundred answers, so many end before their end.
    pub(super) truncated_percent: u8,
    /// How long everything takes, milliseconds.
    pub(super) delay_ms: u64,
}

/// The office's way to the barn.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) barn: Arc<Mutex<Option<Barn>>>,
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
    LinkError::Broken { peer: "the barn".to_owned(), doing, why: "cut".to_owned() }
}

impl Wire {
    async fn reach(&self) -> Result<Barn, LinkError> {
        let Weather { cut, delay_ms, .. } = *self.weather.borrow();
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        if cut {
            return Err(unreachable("the link is cut"));
        }
        lock(&self.barn).clone().ok_or_else(|| unreachable("the barn is off"))
    }

    fn truncate(&self, body: Bytes) -> Bytes {
        let mut chance = lock(&self.chance);
        if chance.percent(self.weather.borrow().truncated_percent) {
            return body.slice(..chance.length_below(body.len()));
        }
        body
    }
}

impl Link for Wire {
    type Channel = End;

    async fn get(&self, path_and_query: &str, _: bool, limit: usize, _: u64) -> Result<LinkResponse, LinkError> {
        let barn = self.reach().await?;
        let request = Request::get(path_and_query).header(header::ACCEPT, BLOB_TYPE).body(Body::empty());
        let request = request.map_err(|_| unreachable("the path is none"))?;
        let Ok(response) = barn.router.oneshot(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|_| broken("reading"))?.to_bytes();
        if body.len() > limit {
            return Err(LinkError::TooLong { peer: "the barn".to_owned(), limit_bytes: limit });
        }
        Ok(LinkResponse { status, body: self.truncate(body) })
    }

    async fn open_live(&self, path_and_query: &str, _: u64) -> Result<LiveResponse<End>, LinkError> {
        let barn = self.reach().await?;
        let uri = path_and_query.parse().map_err(|_| unreachable("the path is none"))?;
        let asked = ChangesQuery::position_only(&uri).map_err(|_| unreachable("the query is none"))?;
        let Some(reader) = barn.served.reader() else { return Err(unreachable("no copy yet")) };
        let start = reader.position_at(Sequence::ZERO).ok().flatten().ok_or_else(|| unreachable("no log"))?;
        let from: Position = asked.unwrap_or(start);
        if let Some(held) = refusing_head(&reader, &from).map_err(|_| unreachable("no log"))? {
            let body = serde_json::json!({ "success": false, "error": "diverged", "held": held });
            return Ok(LiveResponse::Refused(LinkResponse { status: 409, body: body.to_string().into() }));
        }
        let (near, mut far) = self.pair();
        tokio::spawn(async move { serve_live(&mut far, &*barn.served, reader, from, barn.stop).await });
        Ok(LiveResponse::Open(near))
    }
}

impl Wire {
    fn pair(&self) -> (End, End) {
        let (there, here) = (mpsc::channel(BLOBS_ON_THE_WIRE), mpsc::channel(BLOBS_ON_THE_WIRE));
        let end = |send, receive| End { send, receive, weather: self.weather.clone(), chance: self.chance.clone() };
        (end(there.0, here.1), end(here.0, there.1))
    }
}

/// One end of a live connection.
#[derive(Debug)]
pub(super) struct End {
    send: mpsc::Sender<Bytes>,
    receive: mpsc::Receiver<Bytes>,
    weather: watch::Receiver<Weather>,
    chance: Arc<Mutex<Chance>>,
}

async fn until_cut(weather: &mut watch::Receiver<Weather>) {
    // Whoever makes the weather being gone ends the world, and every connection with it.
    let _ = weather.wait_for(|weather| weather.cut).await;
}

impl LiveChannel for End {
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
