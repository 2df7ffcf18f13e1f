//! The network of a world: a [`Link`] that calls the router of a source directly, and cuts, truncates and delays messages as
//! the seed determines.

use super::chance::Chance;
use super::clock::WorldClock;
use super::plant::Plant;
use super::seams::{Seams, acceptance, lock};
use super::tamper::{TrustedPosition, altered};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use daemon::recorder::{EpochRequest, Recorder};
use herd::clock::Clock as _;
use herd::position::{Position, Sequence};
use herd::store::{EpochReceipt, LostEnd, Reader, Readmitted};
use herd::wire::{Acknowledgment, BlobKind, Page, blob_kind, from_blob, to_blob};
use http_body_util::BodyExt;
use service::backup::EncodedRun;
use service::lifecycle::Shutdown;
use service::sync::Served;
use service::sync::divergence::refusing_head;
use service::sync::link::{BLOB_TYPE, ExtraBlobs, Link, LinkError, LinkResponse, LiveChannel, LiveResponse};
use service::sync::live::serve_live;
use service::sync::query::ChangesQuery;
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

/// Maximum number of blobs in transit in one direction.
const MAX_BLOBS_IN_TRANSIT: usize = 4;

/// A source as the network reaches it. Each boot of it replaces it.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) router: Router,
    pub(super) served: Arc<dyn Served>,
    /// The writer and its clock, at a barn.
    pub(super) writer: Option<(Recorder, Arc<WorldClock>)>,
    pub(super) shutdown: Shutdown,
}

/// The address of a source, and who answers there.
pub(super) type Address = Arc<Mutex<Option<Endpoint>>>;

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

/// The connection from a follower to its source.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) address: Address,
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) chance: Arc<Mutex<Chance>>,
    pub(super) seams: Seams,
    /// The copy that follows over this connection.
    pub(super) follower: Option<Reader>,
}

fn unreachable(why: &str) -> LinkError {
    LinkError::Unreachable { peer: "the source".to_owned(), why: why.to_owned() }
}

fn broken(doing: &'static str) -> LinkError {
    LinkError::Broken { peer: "the source".to_owned(), doing, why: "the link was cut".to_owned() }
}

impl Wire {
    async fn reach(&self) -> Result<Endpoint, LinkError> {
        let Weather { cut, delay_ms, .. } = *self.weather.borrow();
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        if cut {
            return Err(unreachable("the link is cut"));
        }
        lock(&self.address).clone().ok_or_else(|| unreachable("the source is off"))
    }

    /// Returns whether the weather spoils a message.
    fn is_spoiled(&self) -> bool {
        lock(&self.chance).percent(self.weather.borrow().truncated_percent)
    }

    /// Returns a response as it arrives: half of those that the weather truncates break off, the others just end.
    fn deliver(&self, status: u16, body: Bytes) -> LinkResponse {
        if !self.is_spoiled() {
            return LinkResponse::whole(status, body);
        }
        let mut chance = lock(&self.chance);
        let body = body.slice(..chance.length_below(body.len()));
        LinkResponse { status, body, cut: chance.percent(50).then(|| broken("reading")) }
    }

    /// Gives changes back to the barn. Order and answer may be lost.
    pub(super) async fn give_back(&self, changes: EncodedRun) -> Result<Readmitted, LinkError> {
        let barn = self.reach().await?;
        let (recorder, _) = barn.writer.ok_or_else(|| unreachable("it is no barn"))?;
        if self.is_spoiled() {
            return Err(broken("sending"));
        }
        let run = changes.decode().map_err(|_| unreachable("the order does not read"))?;
        if barn.served.reader().ok().map(|reader| reader.store()) != Some(run.after.store) {
            return Err(unreachable("the changes are of another history"));
        }
        let done = recorder.readmit(run, acceptance("they are only here")).await;
        let done = done.map_err(|error| unreachable(&error.to_string()))?;
        let is_unheard = self.seams.has(Plant::UnheardAnswer) && done.duplicates > 0;
        if is_unheard || self.is_spoiled() { Err(broken("reading")) } else { Ok(done) }
    }

    /// Shows the barn that its log lacks the last changes of a copy. Order and answer may be lost.
    pub(super) async fn show_lost_end(&self, shown: LostEnd) -> Result<EpochReceipt, LinkError> {
        let barn = self.reach().await?;
        let (recorder, clock) = barn.writer.ok_or_else(|| unreachable("it is no barn"))?;
        if self.is_spoiled() {
            return Err(broken("sending"));
        }
        let acceptance = acceptance("its copy goes on");
        let begin = EpochRequest { shown, acceptance, writer: self.seams.new_ids()() };
        let receipt = recorder.begin_epoch(begin, clock.read()).await;
        let receipt = receipt.map_err(|error| unreachable(&error.to_string()))?;
        if self.is_spoiled() { Err(broken("reading")) } else { Ok(receipt) }
    }

    fn pair(&self) -> (LiveEnd, LiveEnd) {
        let (there, here) = (mpsc::channel(MAX_BLOBS_IN_TRANSIT), mpsc::channel(MAX_BLOBS_IN_TRANSIT));
        let end = |send, receive, follower| LiveEnd { send, receive, wire: self.clone(), is_follower: follower };
        (end(there.0, here.1, true), end(here.0, there.1, false))
    }
}

impl Link for Wire {
    type Channel = LiveEnd;

    async fn get(&self, path_and_query: &str, _: bool, limit: usize, _: u64) -> Result<LinkResponse, LinkError> {
        let source = self.reach().await?;
        let reader = source.served.reader().ok().filter(|_| self.seams.has(Plant::UncomparedDigest));
        let trusted = reader.and_then(|reader| TrustedPosition::of(path_and_query, &reader));
        let path = trusted.as_ref().map_or(path_and_query, |(_, path)| path);
        let request = Request::get(path).header(header::ACCEPT, BLOB_TYPE).body(Body::empty());
        let request = request.map_err(|_| unreachable("invalid path"))?;
        let Ok(response) = source.router.oneshot(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|_| broken("reading"))?.to_bytes();
        if body.len() > limit {
            return Err(LinkError::TooLong { peer: "the source".to_owned(), limit_bytes: limit });
        }
        let body = trusted.map_or(body.clone(), |(trusted, _)| trusted.answer(body));
        let body = altered(self.seams.plant, &mut lock(&self.chance), body);
        Ok(self.deliver(status, body))
    }

    async fn open_live(&self, path_and_query: &str, _: u64) -> Result<LiveResponse<LiveEnd>, LinkError> {
        let source = self.reach().await?;
        let uri = path_and_query.parse().map_err(|_| unreachable("invalid path"))?;
        let requested = ChangesQuery::position_only(&uri).map_err(|_| unreachable("invalid query"))?;
        let Ok(reader) = source.served.reader() else { return Err(unreachable("the source has no store")) };
        let start = reader.position_at(Sequence::ZERO).ok().flatten().ok_or_else(|| unreachable("no log"))?;
        let from: Position = requested.unwrap_or(start);
        if let Some(head) = refusing_head(&reader, &from).map_err(|_| unreachable("no log"))? {
            if self.seams.has(Plant::UncomparedDigest) && from.sequence <= head.sequence {
                return Err(unreachable("the live connection does not open"));
            }
            let body = serde_json::json!({ "success": false, "error": "diverged", "held": head });
            return Ok(LiveResponse::Refused(LinkResponse::whole(409, body.to_string())));
        }
        let (near, mut far) = self.pair();
        tokio::spawn(async move {
            serve_live(&mut far, &*source.served, reader, from, ExtraBlobs::ALL, source.shutdown).await
        });
        Ok(LiveResponse::Open(near))
    }
}

/// One end of a live connection.
pub(super) struct LiveEnd {
    send: mpsc::Sender<Bytes>,
    receive: mpsc::Receiver<Bytes>,
    wire: Wire,
    is_follower: bool,
}

impl Debug for LiveEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveEnd").field("is_follower", &self.is_follower).finish_non_exhaustive()
    }
}

async fn until_cut(weather: &mut watch::Receiver<Weather>) {
    // An error means that the sender of the weather is gone, which ends the world and every connection in it.
    let _ = weather.wait_for(|weather| weather.cut).await;
}

impl LiveEnd {
    /// Checks that what a follower acknowledges is durable there.
    fn check_acknowledgment(&self, blob: &Bytes) {
        let (Some(copy), Ok(Acknowledgment { durable })) = (&self.wire.follower, from_blob(blob)) else { return };
        let head = copy.head().position.sequence;
        if durable.sequence > head {
            let what = format!("change {} was acknowledged as durable, and the copy ends at {head}", durable.sequence);
            self.wire.seams.fault(what);
        }
    }

    async fn pass(&mut self, blob: Bytes) -> Result<(), LinkError> {
        tokio::select! {
            biased;
            () = until_cut(&mut self.wire.weather) => Err(broken("sending")),
            sent = self.send.send(blob) => sent.map_err(|_| broken("sending")),
        }
    }
}

impl LiveChannel for LiveEnd {
    async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
        if blob_kind(&blob) == Ok(BlobKind::Acknowledgment) {
            if self.wire.seams.has(Plant::EarlyAcknowledgment) {
                return Ok(());
            }
            self.check_acknowledgment(&blob);
        }
        let blob =
            if self.wire.is_spoiled() { blob.slice(..lock(&self.wire.chance).length_below(blob.len())) } else { blob };
        self.pass(blob).await
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        let blob = tokio::select! {
            biased;
            () = until_cut(&mut self.wire.weather) => return Err(broken("receiving")),
            blob = self.receive.recv() => blob,
        };
        let Some(blob) = blob else { return Ok(None) };
        if !self.is_follower {
            return Ok(Some(blob));
        }
        let is_early = self.wire.seams.has(Plant::EarlyAcknowledgment);
        if let Some(page) = from_blob::<Page>(&blob).ok().filter(|_| is_early) {
            let early: Bytes = to_blob(&Acknowledgment { durable: page.end.end }).into();
            self.check_acknowledgment(&early);
            self.pass(early).await?;
        }
        Ok(Some(altered(self.wire.seams.plant, &mut lock(&self.wire.chance), blob)))
    }

    async fn close(&mut self) {
        self.receive.close();
    }
}
