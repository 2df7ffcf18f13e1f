//! The network between a follower and its source, as a seam.

use bytes::Bytes;
use std::future::Future;

/// Where changes are asked for; the query of a position follows.
pub const CHANGES_PATH: &str = "/api/sync/changes";
/// Where the live connection is opened; the query of a position follows.
pub const LIVE_PATH: &str = "/api/sync/live";
/// Where a source says what it holds.
pub const SCHEMA_PATH: &str = "/api/sync/schema";
/// What `Accept` asks for blobs.
pub const BLOB_TYPE: &str = "application/vnd.herdlinx+postcard";

/// Why nothing came over the link. All of them are worth another try after a while.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No connection: nobody listens, no route, no name.
    #[error("cannot reach {peer}: {why}")]
    Unreachable {
        /// Whom.
        peer: String,
        /// What the network said.
        why: String,
    },
    /// Whoever answered could not show the key that was paired, or a certificate that the given CA signed.
    #[error("{peer} is not the paired barn: {why}. If its key was replaced on purpose, pair it again")]
    NotTrusted {
        /// Whom.
        peer: String,
        /// What did not match.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to {peer} broke while {doing}: {why}")]
    Broken {
        /// With whom.
        peer: String,
        /// What was under way.
        doing: &'static str,
        /// What the network said.
        why: String,
    },
    /// Nothing came in time.
    #[error("{peer} did not answer within {after_ms} ms while {doing}")]
    TimedOut {
        /// Who.
        peer: String,
        /// What was under way.
        doing: &'static str,
        /// How long was waited.
        after_ms: u64,
    },
    /// The answer is longer than any that a source gives.
    #[error("{peer} answered with more than {limit_bytes} bytes")]
    TooLong {
        /// Who.
        peer: String,
        /// How many are read at most.
        limit_bytes: usize,
    },
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body: a blob where the status is 200, else the JSON of an error, or a blob for 409.
    pub body: Bytes,
}

/// What opening the live connection came to.
#[derive(Debug)]
pub enum Opened<C> {
    /// It is open.
    Live(C),
    /// The source answered without opening it.
    Refused(Answer),
}

/// A way to one source. Every call has a time-out of the implementation's; none retries by itself.
pub trait Link: Send + Sync {
    /// An open live connection.
    type Channel: LiveChannel;

    /// Asks for `path_and_query` with `Accept:` [`BLOB_TYPE`] and reads at most `limit_bytes`. With `fresh`, on a
    /// connection that no earlier call used: a follower whose live connection is silent wants to know whether the
    /// network is. `timeout_ms` covers the whole call.
    fn get(
        &self,
        path_and_query: &str,
        fresh: bool,
        limit_bytes: usize,
        timeout_ms: u64,
    ) -> impl Future<Output = Result<Answer, LinkError>> + Send;

    /// Opens the live connection at `path_and_query`.
    fn open_live(
        &self,
        path_and_query: &str,
        timeout_ms: u64,
    ) -> impl Future<Output = Result<Opened<Self::Channel>, LinkError>> + Send;
}

/// An open connection that carries whole blobs both ways, in order. Both ends of it look alike.
pub trait LiveChannel: Send {
    /// Hands over one blob; waits while the network takes none. Not cancel-safe: a cut send ends the connection.
    fn send(&mut self, blob: Bytes) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// The next blob; `None` once the other side has closed. Cancel-safe.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Bytes>, LinkError>> + Send;

    /// Says goodbye, as far as the network still takes it.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
