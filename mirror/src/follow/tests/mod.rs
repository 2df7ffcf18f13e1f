//! Tests of a follower against a barn in memory, over a link whose answers the tests may replace.

mod fill;
mod live;
mod mend;
mod pull;

use super::*;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri};
use bytes::Bytes;
use herd::clock::RawReading;
use herd::position::{Position, Sequence};
use herd::store::{MemoryDisk, Reader, Store, StoreError};
use herd::testing::{ManualClock, TestBarn};
use herd::wire::{BarnHead, MAX_PAGE_BYTES, Page, to_blob};
use service::lifecycle::ShutdownTrigger;
use service::sync::link::{LinkError, LinkResponse, LiveChannel, LiveResponse};
use service::sync::query::ChangesQuery;
use service::sync::{OwnStore, serve};
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

/// Time by the office's clock at the start.
const START_US: i64 = 1_768_500_000_000_000;
/// Duplicates that the barn reports.
const DUPLICATES: u64 = 3;
/// Time by the paused clock after which something counts as not happening.
const LIMIT: Duration = Duration::from_secs(3_600);

/// A request of the follower, and the time at which it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FollowerRequest {
    query: ChangesQuery,
    fresh: bool,
    at: Instant,
}

/// A link to a barn, which notes the requests. Answers of the test come first, in order.
#[derive(Clone)]
struct TestLink {
    barn: Router,
    asked: Arc<Mutex<Vec<FollowerRequest>>>,
    answers: Arc<Mutex<VecDeque<Result<LinkResponse, LinkError>>>>,
    standing: Arc<Mutex<Option<StandingAnswer>>>,
    live_refusals: Arc<Mutex<VecDeque<LinkResponse>>>,
    opened: mpsc::UnboundedSender<BarnEnd>,
}

/// An answer to each request for the changes after one of them.
#[derive(Clone)]
struct StandingAnswer {
    after: u64,
    delay: Duration,
    answer: Result<LinkResponse, LinkError>,
}

/// The barn's end of a live connection.
struct BarnEnd {
    path: String,
    received: mpsc::UnboundedReceiver<Bytes>,
    send: mpsc::UnboundedSender<Bytes>,
    last_byte_at: Arc<Mutex<Option<Instant>>>,
}

/// The follower's end of a live connection.
#[derive(Debug)]
struct TestChannel {
    send: mpsc::UnboundedSender<Bytes>,
    received: mpsc::UnboundedReceiver<Bytes>,
    last_byte_at: Arc<Mutex<Option<Instant>>>,
}

impl TestLink {
    fn new(barn: &TestBarn) -> (Self, mpsc::UnboundedReceiver<BarnEnd>) {
        let served = Arc::new(OwnStore::new(barn.reader(), || DUPLICATES));
        let barn = serve::router(served, ShutdownTrigger::default().signal());
        let (opened, ends) = mpsc::unbounded_channel();
        let (asked, answers, standing) = (Arc::default(), Arc::default(), Arc::default());
        (Self { barn, asked, answers, standing, live_refusals: Arc::default(), opened }, ends)
    }

    /// Gives this answer to the next request that has none yet.
    fn answer(&self, answer: Result<LinkResponse, LinkError>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    /// Gives this answer to each request for the changes after `after`, once `delay` has passed.
    fn answer_always(&self, after: u64, delay: Duration, answer: Result<LinkResponse, LinkError>) {
        *self.standing.lock().unwrap() = Some(StandingAnswer { after, delay, answer });
    }

    fn asked(&self) -> Vec<FollowerRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the position after which each request asks for changes, and for how many.
    fn pulls(&self) -> Vec<(u64, usize)> {
        let pull = |asked: FollowerRequest| (asked.query.position.unwrap().sequence.0, asked.query.limit);
        self.asked().into_iter().map(pull).collect()
    }
}

impl Link for TestLink {
    type Channel = TestChannel;

    async fn get(&self, path_and_query: &str, fresh: bool, limit: usize, _: u64) -> Result<LinkResponse, LinkError> {
        let uri: Uri = path_and_query.parse().unwrap();
        let query = ChangesQuery::from_uri(&uri).unwrap();
        let after = query.position.map(|position| position.sequence.0);
        self.asked.lock().unwrap().push(FollowerRequest { query, fresh, at: Instant::now() });
        let standing = self.standing.lock().unwrap().clone();
        if let Some(StandingAnswer { delay, answer, .. }) = standing.filter(|standing| Some(standing.after) == after) {
            tokio::time::sleep(delay).await;
            return answer;
        }
        if let Some(answer) = self.answers.lock().unwrap().pop_front() {
            return answer;
        }
        let request = Request::get(uri).header("Accept", service::sync::link::BLOB_TYPE).body(Body::empty()).unwrap();
        let response = self.barn.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        Ok(LinkResponse::whole(status, to_bytes(response.into_body(), limit).await.unwrap()))
    }

    async fn open_live(&self, path_and_query: &str, _: u64) -> Result<LiveResponse<TestChannel>, LinkError> {
        if let Some(refusal) = self.live_refusals.lock().unwrap().pop_front() {
            return Ok(LiveResponse::Refused(refusal));
        }
        let (to_barn, at_barn) = mpsc::unbounded_channel();
        let (from_barn, received) = mpsc::unbounded_channel();
        let last_byte_at = Arc::new(Mutex::new(None));
        let path = path_and_query.to_owned();
        let end = BarnEnd { path, received: at_barn, send: from_barn, last_byte_at: last_byte_at.clone() };
        self.opened.send(end).map_err(|_| broken())?;
        Ok(LiveResponse::Open(TestChannel { send: to_barn, received, last_byte_at }))
    }
}

impl LiveChannel for TestChannel {
    async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
        self.send.send(blob).map_err(|_| broken())
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        Ok(self.received.recv().await)
    }

    fn last_byte_at(&self) -> Option<Instant> {
        *self.last_byte_at.lock().unwrap()
    }

    async fn close(&mut self) {}
}

fn broken() -> LinkError {
    LinkError::Broken { peer: "the barn".into(), doing: "sending", why: "the test ended it".into() }
}

fn unreachable() -> LinkError {
    LinkError::Unreachable { peer: "the barn".into(), why: "it is off".into() }
}

/// A follower of a barn.
struct Followed {
    link: TestLink,
    ends: mpsc::UnboundedReceiver<BarnEnd>,
    copy: Reader,
    clock: Arc<ManualClock>,
    status: watch::Receiver<FollowStatus>,
    shutdown: ShutdownTrigger,
    writer: JoinHandle<Result<(), StoreError>>,
    running: JoinHandle<FollowEnd>,
}

/// Options of a follower.
struct Options {
    sync_interval: Duration,
    room: Room,
    /// The barn refused the copy before.
    is_refused: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync_interval: Duration::from_secs(10), room: Room::plenty(), is_refused: false }
    }
}

impl Followed {
    /// Starts a follower of a barn whose first answers are these.
    fn start(barn: &TestBarn, answers: Vec<Result<LinkResponse, LinkError>>) -> Self {
        Self::with(barn, answers, Options::default())
    }

    fn with(barn: &TestBarn, answers: Vec<Result<LinkResponse, LinkError>>, options: Options) -> Self {
        let store = Store::open_replica(&MemoryDisk::default(), barn.reader().store()).unwrap();
        Self::into_store(store, barn, answers, options)
    }

    /// Starts a follower into this copy.
    fn into_store(
        store: Store,
        barn: &TestBarn,
        answers: Vec<Result<LinkResponse, LinkError>>,
        Options { sync_interval, room, is_refused }: Options,
    ) -> Self {
        let (link, ends) = TestLink::new(barn);
        link.answers.lock().unwrap().extend(answers);
        let (handle, writer) = split_writer(store);
        let writer = tokio::spawn(writer);
        let copy = handle.reader().clone();
        let clock = Arc::new(ManualClock::at(RawReading { received_at_us: START_US, ..RawReading::default() }));
        let (status, published) = watch::channel(FollowStatus { is_refused, ..FollowStatus::default() });
        let shutdown = ShutdownTrigger::default();
        let settings = FollowSettings { sync_interval, seed: 7 };
        let follower = run(link.clone(), handle.with_room(room), settings, clock.clone(), status, shutdown.signal());
        let running = tokio::spawn(follower);
        Self { link, ends, copy, clock, status: published, shutdown, writer, running }
    }

    /// Waits until the status is as wanted, and returns it.
    async fn until(&mut self, what: &str, is_wanted: impl FnMut(&FollowStatus) -> bool) -> FollowStatus {
        let status = timeout(LIMIT, self.status.wait_for(is_wanted)).await;
        status.unwrap_or_else(|_| panic!("never: {what}")).unwrap().clone()
    }

    /// Waits until an attempt fails, and returns the status then.
    async fn failed(&mut self, attempts: u64) -> FollowStatus {
        self.until("an attempt fails", |status| status.failed_syncs == attempts).await
    }

    /// Waits for the next live connection.
    async fn opened(&mut self) -> BarnEnd {
        timeout(LIMIT, self.ends.recv()).await.expect("no live connection is opened").unwrap()
    }

    /// Waits for the end of the follower.
    async fn ended(&mut self) -> FollowEnd {
        timeout(LIMIT, &mut self.running).await.expect("the follower goes on").unwrap()
    }

    fn status(&self) -> FollowStatus {
        self.status.borrow().clone()
    }
}

/// Returns a position of a barn.
fn position(barn: &TestBarn, sequence: u64) -> Position {
    barn.reader().position_at(Sequence(sequence)).unwrap().unwrap()
}

/// Returns a page of a barn whose head is at this change.
fn page(barn: &TestBarn, after: u64, changes: usize, head: u64) -> Page {
    let run = barn.reader().run_after(position(barn, after), changes, MAX_PAGE_BYTES).unwrap();
    Page::new(run, Sequence(head), BarnHead { head: Sequence(head), age_ms: Some(0), duplicates: DUPLICATES })
}

/// Returns the answer with this page.
#[expect(clippy::unnecessary_wraps, reason = "a link answers with errors, too")]
fn whole(page: &Page) -> Result<LinkResponse, LinkError> {
    Ok(LinkResponse::whole(200, to_blob(page)))
}

/// Returns the answer of a barn that refuses with these words.
fn refusal(status: u16, message: &str) -> LinkResponse {
    LinkResponse::whole(status, serde_json::json!({"success": false, "message": message}).to_string())
}

/// Returns the answer of a barn whose history ends at `held`.
fn divergence(held: &Position) -> LinkResponse {
    let body = serde_json::json!({"success": false, "error": "diverged", "message": "not here", "held": held});
    LinkResponse::whole(409, body.to_string())
}

/// Returns a barn with this number of changes, the first of which begins its history.
fn barn(changes: u64) -> TestBarn {
    let mut barn = TestBarn::default();
    for n in 1..changes {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    barn
}
