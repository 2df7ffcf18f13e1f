//! The open connections of a server, and how many a peer may hold.
//!
//! # Decisions
//!
//! - **Unauthenticated connections have a small pool of their own, and a new one replaces an old one there.** A refusal
//!   would lock everybody out for as long as a stranger holds its connections. The victim is the oldest unauthenticated
//!   connection of the peer that has most of them, so one that floods the server only replaces itself.
//! - **One peer holds at most [`MAX_CONNECTIONS_PER_PEER`] connections; a further one is refused.** Replacing its oldest
//!   one instead would cost a TLS handshake each time. An IPv6 peer is a network of 64 bits, because a machine chooses
//!   among 2^64 addresses.
//! - **One task checks all deadlines once a second.** A body cannot check its own: hyper takes a slice of it, and polls it
//!   again only once that slice is on its way, which on HTTP/2 needs a window of the peer. A timer for each connection costs
//!   more and is no more exact than anybody needs.

use super::cap::{Cap, CapCounts};
use super::connection::{Connection, Room, SharedState};
use super::observer::AnswerObserver;
use crate::lifecycle::Shutdown;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Maximum number of open connections. A yard has tens of devices and an office.
pub const MAX_CONNECTIONS: usize = 1024;

/// Maximum number of open connections of one peer. A proxy in front of the server is one peer.
pub const MAX_CONNECTIONS_PER_PEER: usize = 128;

/// Maximum number of open connections that have not presented a valid key.
pub const MAX_UNAUTHENTICATED: usize = 256;

/// Maximum number of bytes of all answers that peers have not taken yet: four of the largest.
pub const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Maximum number of bytes of the bodies of all requests in progress: 16 of the largest.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;

/// Maximum number of open sockets. Each holds a message on its way, of up to 256 KiB.
pub const MAX_SOCKETS: usize = 128;

/// Maximum number of calls that read the store at the same time, each on a thread of its own.
pub const MAX_READS: usize = 8;

/// Maximum number of calls that read the store, or wait for that. One that waits costs some kilobytes.
pub const MAX_READERS: usize = 1024;

/// Maximum number of such calls of one peer, of which a browser has six. Smaller than its share, so that a few peers
/// cannot fill the queue.
pub const MAX_READERS_PER_PEER: usize = 32;

/// Divisor of the room of all peers: a single peer gets half, so that it cannot take the room of the others.
pub const PEER_SHARE: usize = 2;

/// Interval at which the deadlines are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Bits of an IPv6 address that a network assigns to its machines.
const IPV6_HOST_BITS: u32 = 64;

/// The limits of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) total: usize,
    pub(super) per_peer: usize,
    pub(super) unauthenticated: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: MAX_CONNECTIONS, per_peer: MAX_CONNECTIONS_PER_PEER, unauthenticated: MAX_UNAUTHENTICATED }
    }
}

/// The open connections of a server, and counts of those that a limit has hit. Clones share them.
#[derive(Clone)]
pub struct Connections(Arc<Registry>);

struct Registry {
    limits: Limits,
    shared: SharedState,
    open: Mutex<OpenConnections>,
    count: watch::Sender<usize>,
    room: Arc<Room>,
}

#[derive(Default)]
struct OpenConnections {
    /// By number, so that the oldest is the first.
    by_number: BTreeMap<u64, Connection>,
    next: u64,
}

/// Numbers of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Open connections that have presented a valid key.
    pub authenticated: usize,
    /// Other open connections.
    pub unauthenticated: usize,
    /// Bytes of answers that the peers have not taken yet.
    pub answer_bytes: usize,
    /// Connections and answers that a limit has hit.
    pub caps: CapCounts,
}

impl Default for Connections {
    fn default() -> Self {
        Self::with(Limits::default(), None)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.counts()).finish()
    }
}

impl Connections {
    /// Creates an empty set whose answers are shown to an observer.
    pub fn observed(observer: Arc<dyn AnswerObserver>) -> Self {
        Self::with(Limits::default(), Some(observer))
    }

    pub(super) fn with(limits: Limits, observer: Option<Arc<dyn AnswerObserver>>) -> Self {
        Self(Arc::new(Registry {
            limits,
            shared: SharedState { caps: Arc::default(), observer },
            open: Mutex::default(),
            count: watch::Sender::new(0),
            room: room(1, MAX_READERS),
        }))
    }

    /// Returns the numbers of this moment.
    pub fn counts(&self) -> ConnectionCounts {
        let open = self.open();
        let authenticated = open.live().filter(|connection| connection.is_authenticated()).count();
        ConnectionCounts {
            authenticated,
            unauthenticated: open.live().count() - authenticated,
            answer_bytes: ANSWER_BYTES.saturating_sub(self.0.room.answers.available_permits()),
            caps: self.0.shared.caps.counts(),
        }
    }

    /// Counts a connection or an answer that a limit has hit, and warns about it at times.
    pub(crate) fn count(&self, cap: Cap, peer: IpAddr) {
        self.0.shared.caps.count(cap, peer);
    }

    /// Admits a connection, or refuses it with the limit that it would exceed.
    pub(super) fn admit(&self, address: IpAddr) -> Result<AdmittedConnection, Cap> {
        let peer = peer_of(address);
        let Limits { total, per_peer, unauthenticated } = self.0.limits;
        let mut open = self.open();
        if open.live().filter(|connection| connection.peer() == peer).count() >= per_peer {
            return Err(Cap::PeerConnections);
        }
        let (all, strangers) = (open.live().count(), open.strangers().count());
        let replaced = if strangers >= unauthenticated || all >= total {
            Some(open.replaceable().ok_or(Cap::AllConnections)?)
        } else {
            None
        };
        let connection = open.add(&self.0, peer);
        drop(open);
        if let Some(replaced) = replaced {
            self.count(Cap::Unauthenticated, replaced.peer());
            replaced.close();
        }
        self.0.count.send_modify(|count| *count += 1);
        Ok(AdmittedConnection { connection, connections: self.clone() })
    }

    /// Waits until no connection is open.
    pub(super) async fn all_closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Closes connections whose deadlines have passed, until the shutdown.
    pub(super) async fn check_deadlines(self, shutdown: Shutdown) {
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                _ = checks.tick() => self.close_overdue(Instant::now()),
            }
        }
    }

    fn close_overdue(&self, now: Instant) {
        let overdue = |connection: &Connection| Some((connection.overdue(now)?, connection.clone()));
        let overdue: Vec<_> = self.open().live().filter_map(overdue).collect();
        for (cap, connection) in overdue {
            self.count(cap, connection.peer());
            connection.close();
        }
        self.0.shared.caps.warn_if_due();
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// Returns the connections that nobody has decided to close.
    fn live(&self) -> impl Iterator<Item = &Connection> {
        self.by_number.values().filter(|connection| !connection.is_closed())
    }

    fn strangers(&self) -> impl Iterator<Item = &Connection> {
        self.live().filter(|connection| !connection.is_authenticated())
    }

    /// Returns the oldest unauthenticated connection of the peer that has most of them.
    fn replaceable(&self) -> Option<Connection> {
        let mut by_peer: BTreeMap<IpAddr, (usize, &Connection)> = BTreeMap::new();
        for connection in self.strangers() {
            by_peer.entry(connection.peer()).or_insert((0, connection)).0 += 1;
        }
        let largest = by_peer.into_values().max_by_key(|(count, oldest)| (*count, Reverse(oldest.number())));
        largest.map(|(_, oldest)| oldest.clone())
    }

    fn add(&mut self, registry: &Registry, peer: IpAddr) -> Connection {
        let of_peer = self.live().find(|connection| connection.peer() == peer);
        let of_peer = of_peer.map(|connection| connection.rooms()[0].clone());
        let of_peer = of_peer.unwrap_or_else(|| room(PEER_SHARE, MAX_READERS_PER_PEER));
        let number = self.next;
        self.next += 1;
        let rooms = [of_peer, registry.room.clone()];
        let connection = Connection::new(number, peer, registry.shared.clone(), rooms);
        self.by_number.insert(number, connection.clone());
        connection
    }
}

/// Returns the room of all peers divided by `parts`, with places for `readers` calls that read.
fn room(parts: usize, readers: usize) -> Arc<Room> {
    let parts = [ANSWER_BYTES, BODY_BYTES, MAX_SOCKETS, MAX_READS].map(|all| Arc::new(Semaphore::new(all / parts)));
    let ([answers, bodies, sockets, reads], readers) = (parts, Arc::new(Semaphore::new(readers)));
    Arc::new(Room { answers, bodies, sockets, reads, readers })
}

/// Returns the address that stands for a peer: one machine has all addresses of an IPv6 network of 64 bits.
pub fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> IPV6_HOST_BITS << IPV6_HOST_BITS;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub(super) struct AdmittedConnection {
    pub(super) connection: Connection,
    connections: Connections,
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        self.connections.open().by_number.remove(&self.connection.number());
        self.connections.0.count.send_modify(|count| *count -= 1);
    }
}
