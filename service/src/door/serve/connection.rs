//! One open connection: whether its peer has a key, its requests in progress, and its deadlines.

use super::cap::{Cap, Caps};
use super::observer::{AnswerObserver, ObservedAnswer};
use axum::response::Response;
use futures::task::AtomicWaker;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// Idle time after which a connection that has not presented a valid key is closed.
///
/// Longer than the timeouts of a handshake and of the head of a request, which close most of them.
pub const UNAUTHENTICATED_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Time in which a peer must take the next slice of an answer (16 KiB): 273 bytes a second.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Interval at which the permission of a WebSocket is looked at.
const PERMISSION_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Room for what costs memory beside the connections themselves.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes of answers.
    pub(super) answers: Arc<Semaphore>,
    /// Bytes of the bodies of requests.
    pub(super) bodies: Arc<Semaphore>,
    /// Open sockets.
    pub(super) sockets: Arc<Semaphore>,
    /// Calls that read at the same time.
    pub(super) reads: Arc<Semaphore>,
    /// Calls that read, or wait for that.
    pub(super) readers: Arc<Semaphore>,
}

/// The right to do something that has limited room: of the peer, and of all peers.
#[derive(Debug)]
pub(super) struct Places {
    _permits: [OwnedSemaphorePermit; 2],
}

/// The turn of a call that reads, until this is dropped.
#[derive(Debug)]
pub(super) struct ReadTurn {
    _places: [Places; 2],
}

/// The place of a WebSocket, which is free again when this is dropped.
#[derive(Debug)]
pub struct SocketPlace {
    _places: Places,
}

/// The part of a connection's state that is the same for all connections of a server.
#[derive(Clone)]
pub(super) struct SharedState {
    pub(super) caps: Arc<Caps>,
    pub(super) observer: Option<Arc<dyn AnswerObserver>>,
}

/// One open connection, as its requests see it. Every request has it among its extensions.
#[derive(Clone)]
pub struct Connection(Arc<ConnectionState>);

struct ConnectionState {
    number: u64,
    peer: IpAddr,
    caps: Arc<Caps>,
    observer: Option<Arc<dyn AnswerObserver>>,
    /// Room of this peer, and of all peers.
    rooms: [Arc<Room>; 2],
    is_authenticated: AtomicBool,
    is_closed: AtomicBool,
    /// Wakes the task that serves the connection.
    waker: AtomicWaker,
    activity: Mutex<Activity>,
}

/// The requests of a connection that are not complete.
#[derive(Debug)]
struct Activity {
    idle_since: Instant,
    requests: BTreeMap<u64, RequestState>,
    next: u64,
}

/// The state of one request.
#[derive(Clone, Debug, Default)]
struct RequestState {
    /// Time since which the answer waits for the peer; `None` while the server is at work.
    waiting_since: Option<Instant>,
    permission: Option<Permission>,
}

/// The permission to go on with an answer. A guard adds it to the extensions of the answer, or to those of a request that
/// becomes a WebSocket.
///
/// An answer ends with the key that it was given to. A check of the request alone would serve the holder of a revoked key
/// for as long as its export runs.
#[derive(Clone)]
pub struct Permission(Arc<dyn Fn() -> bool + Send + Sync>);

impl Permission {
    /// Creates a permission that holds while `is_valid` returns true.
    pub fn new(is_valid: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_valid))
    }

    fn is_valid(&self) -> bool {
        (self.0)()
    }

    /// Waits until the permission has ended, which is looked at every [`PERMISSION_LOOK_INTERVAL`]. Cancel-safe.
    pub(crate) async fn ended(&self) {
        while self.is_valid() {
            sleep(PERMISSION_LOOK_INTERVAL).await;
        }
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permission").field(&self.is_valid()).finish()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("number", &self.0.number).field("peer", &self.0.peer).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(number: u64, peer: IpAddr, shared: SharedState, rooms: [Arc<Room>; 2]) -> Self {
        let SharedState { caps, observer } = shared;
        Self(Arc::new(ConnectionState {
            number,
            peer,
            caps,
            observer,
            rooms,
            is_authenticated: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            activity: Mutex::new(Activity { idle_since: Instant::now(), requests: BTreeMap::new(), next: 0 }),
        }))
    }

    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    pub(super) fn peer(&self) -> IpAddr {
        self.0.peer
    }

    /// Shows an answer to the observer, if there is one.
    pub(super) fn show_answer(&self, path: &str, response: &Response) {
        if let Some(observer) = &self.0.observer {
            observer.observe(ObservedAnswer { peer: self.0.peer, path, response });
        }
    }

    /// Marks the connection as one whose peer has presented a valid key.
    pub fn authenticate(&self) {
        self.0.is_authenticated.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.0.is_authenticated.load(Ordering::Relaxed)
    }

    /// Closes the connection; its next read or write fails.
    pub(super) fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// Returns whether the connection was closed. Otherwise the task of `cx` is woken when that happens.
    ///
    /// One task serves a connection, so there is one waker.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.waker.register(cx.waker());
        if self.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the connection is closed from here.
    pub(super) async fn closed(&self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// Returns the room of this peer, and that of all peers.
    pub(super) fn rooms(&self) -> &[Arc<Room>; 2] {
        &self.0.rooms
    }

    /// Takes a place for a WebSocket; returns `None` if this peer or all peers together have too many.
    pub fn open_socket(&self) -> Option<SocketPlace> {
        let places = self.place_in(|room| &room.sockets);
        if places.is_none() {
            self.count(Cap::Sockets);
        }
        places.map(|places| SocketPlace { _places: places })
    }

    /// Waits for the turn of a call that reads. Returns `None` if too many wait already.
    pub(super) async fn read_turn(&self) -> Option<ReadTurn> {
        let Some(waiting) = self.place_in(|room| &room.readers) else {
            self.count(Cap::Readers);
            return None;
        };
        let [of_peer, of_all] = &self.0.rooms;
        // Nobody closes the semaphores. The turn of the peer comes first: who waits for it is in nobody else's way.
        let of_peer = of_peer.reads.clone().acquire_owned().await.ok()?;
        let of_all = of_all.reads.clone().acquire_owned().await.ok()?;
        Some(ReadTurn { _places: [waiting, Places { _permits: [of_peer, of_all] }] })
    }

    /// Takes a place in a part of the rooms; returns `None` if this peer or all peers together have none.
    fn place_in(&self, part: impl Fn(&Room) -> &Arc<Semaphore>) -> Option<Places> {
        let [of_peer, of_all] = &self.0.rooms;
        let of_peer = part(of_peer).clone().try_acquire_owned().ok()?;
        let of_all = part(of_all).clone().try_acquire_owned().ok()?;
        Some(Places { _permits: [of_peer, of_all] })
    }

    /// Counts an answer or a call of this peer that a limit has hit.
    pub(super) fn count(&self, cap: Cap) {
        self.0.caps.count(cap, self.0.peer);
    }

    /// Counts a request as in progress until the returned value is dropped.
    pub(super) fn begin_request(&self) -> RequestProgress {
        let mut activity = self.activity();
        let number = activity.next;
        activity.next += 1;
        activity.requests.insert(number, RequestState::default());
        drop(activity);
        RequestProgress { connection: self.clone(), number, permission: None }
    }

    /// Returns the limit that the connection has hit by now.
    pub(super) fn overdue(&self, now: Instant) -> Option<Cap> {
        let activity = self.activity();
        let has_passed = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let is_late =
            |request: &RequestState| request.waiting_since.is_some_and(|since| has_passed(since, ANSWER_TIMEOUT));
        if activity.requests.values().any(is_late) {
            return Some(Cap::AnswerTime);
        }
        if activity.requests.values().filter_map(|request| request.permission.as_ref()).any(|it| !it.is_valid()) {
            return Some(Cap::Keys);
        }
        let is_idle = activity.requests.is_empty() && has_passed(activity.idle_since, UNAUTHENTICATED_IDLE_TIMEOUT);
        (is_idle && !self.is_authenticated()).then_some(Cap::Idle)
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.0.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress, until its answer has been taken.
#[derive(Debug)]
pub(super) struct RequestProgress {
    connection: Connection,
    number: u64,
    permission: Option<Permission>,
}

impl RequestProgress {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ends the answer with this permission.
    pub(super) fn require(&mut self, permission: Permission) {
        self.update(|request| request.permission = Some(permission.clone()));
        self.permission = Some(permission);
    }

    /// Returns whether the answer may go on.
    pub(super) fn is_permitted(&self) -> bool {
        self.permission.as_ref().is_none_or(Permission::is_valid)
    }

    /// Notes that the peer has taken something, and has to take the next part.
    pub(super) fn wait_for_peer(&self) {
        self.update(|request| request.waiting_since = Some(Instant::now()));
    }

    /// Notes that the next part is not ready, which is not the fault of the peer.
    pub(super) fn wait_for_server(&self) {
        self.update(|request| request.waiting_since = None);
    }

    fn update(&self, change: impl FnOnce(&mut RequestState)) {
        change(self.connection.activity().requests.entry(self.number).or_default());
    }
}

impl Drop for RequestProgress {
    fn drop(&mut self) {
        let mut activity = self.connection.activity();
        activity.requests.remove(&self.number);
        activity.idle_since = Instant::now();
    }
}
