//! A source that can be made to lie, as a [`Link`]: the shipped router gives the honest answer, and a lie falsifies it.

use super::router_barn::Barn;
use axum::body::Body;
use axum::http::{Request, header};
use axum::{Router, response::Response};
use bytes::Bytes;
use futures::future::lazy;
use herd::position::{Position, Sequence};
use herd::store::Reader;
use herd::wire::{Acknowledgment, BlobKind, Heartbeat, Page, blob_kind, from_blob, to_blob};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use service::lifecycle::Shutdown;
use service::sync::OwnStore;
use service::sync::link::{
    BLOB_TYPE, CHANGES_PATH, ExtraBlobs, Link, LinkError, LinkResponse, LiveChannel, LiveResponse,
};
use service::sync::live::serve_live;
use service::sync::query::ChangesQuery;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt as _;

/// Capacity of the live connection in each direction, in blobs.
const QUEUED_BLOBS: usize = 4;

/// Makes a wrong answer from an honest one.
pub(crate) type PulledLie = fn(&HonestAnswer) -> Response;
/// Makes a wrong heartbeat from an honest one.
pub(crate) type HeartbeatLie = fn(Heartbeat) -> Heartbeat;
/// Makes a wrong blob from an honest page.
pub(crate) type LiveLie = fn(&Page) -> Vec<u8>;

/// The way in which the source departs from the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    /// All answers are honest.
    None,
    /// The function falsifies every page that is pulled.
    Pulled(PulledLie),
    /// Pulls are honest, and the live connection is refused with this answer.
    Refused(fn() -> LinkResponse),
    /// Pulls are honest until the function has falsified a page on the live connection. Then the source is silent.
    Live(LiveLie),
    /// The function falsifies every heartbeat on the live connection.
    Heartbeat(HeartbeatLie),
    /// The live connection opens, and nothing arrives on it in this direction or the other.
    Silent,
}

/// The honest answer to a pull.
pub(crate) struct HonestAnswer {
    pub(crate) page: Page,
    /// The page as a blob.
    pub(crate) blob: Vec<u8>,
    /// Reader of the barn's store, for lies that need other changes.
    pub(crate) reader: Reader,
}

/// Returns the position that the office would find after a power cut now.
pub(crate) type Survives = Arc<dyn Fn() -> Position + Send + Sync>;
/// The positions that the office acknowledged, each with the one that would have survived a power cut at that moment.
pub(crate) type Acknowledgments = Arc<Mutex<Vec<(Position, Position)>>>;

/// Link to a source that can lie.
#[derive(Clone)]
pub(crate) struct Source {
    router: Router,
    reader: Reader,
    key: String,
    lie: watch::Receiver<Lie>,
    /// Set once a page on the current live connection was falsified.
    lied_live: Arc<AtomicBool>,
    survives: Survives,
    acknowledged: Acknowledgments,
    shutdown: Shutdown,
}

fn broken(doing: &'static str) -> LinkError {
    LinkError::Broken { peer: "the barn".to_owned(), doing, why: "cut".to_owned() }
}

impl Source {
    pub(crate) fn new(
        barn: &Barn,
        lie: watch::Receiver<Lie>,
        survives: Survives,
        acknowledged: Acknowledgments,
    ) -> Self {
        let (router, reader) = (barn.router.clone(), barn.reader.clone());
        let (key, shutdown) = (barn.sync_key.clone(), barn.shutdown.signal());
        Self { router, reader, key, lie, lied_live: Arc::default(), survives, acknowledged, shutdown }
    }

    /// Returns the answer of the shipped router.
    async fn honest(&self, path_and_query: &str) -> Response {
        let request = Request::get(path_and_query).header(header::ACCEPT, BLOB_TYPE).header("X-API-Key", &self.key);
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Falsifies an honest page. A refusal stays as it is.
    async fn falsify(&self, honest: Response, lie: fn(&HonestAnswer) -> Response) -> Response {
        if honest.status() != 200 {
            return honest;
        }
        let blob = honest.into_body().collect().await.unwrap().to_bytes().to_vec();
        lie(&HonestAnswer { page: from_blob(&blob).unwrap(), blob, reader: self.reader.clone() })
    }

    /// Opens a live connection to the barn's own handler, with ends that falsify pages.
    fn live(&self, path_and_query: &str) -> LiveResponse<End> {
        let mut lie = self.lie.clone();
        if let Lie::Refused(answer) = *lie.borrow_and_update() {
            return LiveResponse::Refused(answer());
        }
        self.lied_live.store(false, Ordering::Relaxed);
        let from = ChangesQuery::position_only(&path_and_query.parse().unwrap()).unwrap();
        let from = from.or_else(|| self.reader.position_at(Sequence::ZERO).unwrap()).unwrap();
        let ((to_office, at_office), (to_barn, at_barn)) = (mpsc::channel(QUEUED_BLOBS), mpsc::channel(QUEUED_BLOBS));
        let end = |is_barn, send, receive| End {
            is_barn,
            send,
            receive,
            lie: lie.clone(),
            lied_live: self.lied_live.clone(),
            survives: self.survives.clone(),
            acknowledged: self.acknowledged.clone(),
        };
        let (near, mut far) = (end(false, to_barn, at_office), end(true, to_office, at_barn));
        let (reader, shutdown) = (self.reader.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            let store = OwnStore::new(reader.clone(), || 0);
            serve_live(&mut far, &store, reader, from, ExtraBlobs::ALL, shutdown).await
        });
        LiveResponse::Open(near)
    }
}

impl Link for Source {
    type Channel = End;

    async fn get(&self, path_and_query: &str, _: bool, limit_bytes: usize, _: u64) -> Result<LinkResponse, LinkError> {
        assert!(path_and_query.starts_with(CHANGES_PATH), "a follower asks for nothing else: {path_and_query}");
        let lie = *self.lie.borrow();
        if matches!(lie, Lie::Live(_)) && self.lied_live.load(Ordering::Relaxed) {
            return Err(LinkError::Unreachable { peer: "the barn".to_owned(), why: "silent".to_owned() });
        }
        let honest = self.honest(path_and_query).await;
        let answer = if let Lie::Pulled(lie) = lie { self.falsify(honest, lie).await } else { honest };
        let status = answer.status().as_u16();
        let (mut body, mut arrived) = (Limited::new(answer.into_body(), limit_bytes), Vec::new());
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => arrived.extend(frame.into_data().unwrap_or_default()),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(LinkError::TooLong { peer: "the barn".to_owned(), limit_bytes });
                }
                Err(_) => {
                    let cut = Some(broken("reading the answer"));
                    return Ok(LinkResponse { status, body: arrived.into(), cut });
                }
            }
        }
        Ok(LinkResponse::whole(status, arrived))
    }

    fn open_live(
        &self,
        path_and_query: &str,
        _: u64,
    ) -> impl Future<Output = Result<LiveResponse<End>, LinkError>> + Send {
        lazy(move |_| Ok(self.live(path_and_query)))
    }
}

/// One end of a live connection, which breaks whenever the lie changes.
pub(crate) struct End {
    is_barn: bool,
    send: mpsc::Sender<Bytes>,
    receive: mpsc::Receiver<Bytes>,
    lie: watch::Receiver<Lie>,
    lied_live: Arc<AtomicBool>,
    survives: Survives,
    acknowledged: Acknowledgments,
}

impl LiveChannel for End {
    async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
        let lie = *self.lie.borrow();
        let blob = match (lie, blob_kind(&blob)) {
            (Lie::Live(lie), Ok(BlobKind::Page)) => {
                self.lied_live.store(true, Ordering::Relaxed);
                lie(&from_blob(&blob).unwrap()).into()
            }
            (Lie::Heartbeat(lie), Ok(BlobKind::Heartbeat)) if self.is_barn => {
                to_blob(&lie(from_blob(&blob).unwrap())).into()
            }
            (Lie::Silent, _) => return Ok(()),
            (_, Ok(BlobKind::Acknowledgment)) => {
                let Acknowledgment { durable } = from_blob(&blob).unwrap();
                self.acknowledged.lock().unwrap().push((durable, (self.survives)()));
                blob
            }
            _ => blob,
        };
        self.send.send(blob).await.map_err(|_| broken("sending"))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        tokio::select! {
            biased;
            _ = self.lie.changed() => Err(broken("receiving")),
            blob = self.receive.recv() => Ok(blob),
        }
    }

    async fn close(&mut self) {
        self.receive.close();
    }
}
