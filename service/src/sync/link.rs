//! The network between a follower and its source, as a seam.

use bytes::Bytes;
use std::future::Future;
use tokio::time::Instant;

/// Path of the call for changes; a position follows as the query.
pub const CHANGES_PATH: &str = "/api/sync/changes";
/// Path of the live connection; a position follows as the query.
pub const LIVE_PATH: &str = "/api/sync/live";
/// Path of the call that describes the source's wire version and head.
pub const SCHEMA_PATH: &str = "/api/sync/schema";
/// Media type of blobs, for the `Accept` header.
pub const BLOB_TYPE: &str = "application/vnd.herdlinx+postcard";

/// Header in which a follower names the blobs that it reads besides those of the first release, separated by commas.
pub const EXTRA_BLOBS_HEADER: &str = "herdlinx-blobs";

/// Blobs besides those of the first release that a follower reads.
///
/// A header carries them, because a source of the first release refuses a query that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraBlobs {
    /// The health of the barn.
    pub barn_health: bool,
}

impl ExtraBlobs {
    /// All that this program reads.
    pub const ALL: Self = Self { barn_health: true };
    /// Value of [`EXTRA_BLOBS_HEADER`] for [`ALL`](Self::ALL).
    pub const ALL_TEXT: &str = "barn-health";

    /// Reads the value of [`EXTRA_BLOBS_HEADER`]. Unknown names are those of a later follower, and are ignored.
    pub fn from_text(text: &str) -> Self {
        Self { barn_health: text.split(',').any(|name| name.trim() == "barn-health") }
    }
}

/// Failure of a call over the link. Every kind is worth a retry after a while.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no connection: no listener, no route, or an unknown name.
    #[error("cannot reach {peer}: {why}")]
    Unreachable {
        /// Address of the source.
        peer: String,
        /// Reason from the network.
        why: String,
    },
    /// The server has neither the paired key nor a certificate that the given CA signed.
    #[error("{peer} is not the paired barn: {why}. If its key was replaced on purpose, pair it again")]
    NotTrusted {
        /// Address of the source.
        peer: String,
        /// Reason why the certificate was rejected.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to {peer} broke while {doing}: {why}")]
    Broken {
        /// Address of the other side.
        peer: String,
        /// Step that was under way, for example `sending`.
        doing: &'static str,
        /// Reason from the network.
        why: String,
    },
    /// The other side did not answer in time.
    #[error("{peer} did not answer within {after_ms} ms while {doing}")]
    TimedOut {
        /// Address of the other side.
        peer: String,
        /// Step that was under way, for example `sending`.
        doing: &'static str,
        /// Time that was waited, in milliseconds.
        after_ms: u64,
    },
    /// The response is longer than any that a source sends.
    #[error("{peer} answered with more than {limit_bytes} bytes")]
    TooLong {
        /// Address of the source.
        peer: String,
        /// Maximum number of bytes that are read.
        limit_bytes: usize,
    },
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body: a blob if the status is 200, and an error in JSON otherwise.
    pub body: Bytes,
    /// The failure that cut the body short; `None` if the body is whole.
    pub cut: Option<LinkError>,
}

impl LinkResponse {
    /// Creates a response whose body is whole.
    pub fn whole(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), cut: None }
    }
}

/// Outcome of a request for a live connection.
#[derive(Debug)]
pub enum LiveResponse<C> {
    /// The connection is open.
    Open(C),
    /// The source refused to open it.
    Refused(LinkResponse),
}

/// A connection to one source. The implementation sets a timeout on every call and never retries by itself.
pub trait Link: Send + Sync {
    /// An open live connection.
    type Channel: LiveChannel;

    /// Requests `path_and_query` with `Accept:` [`BLOB_TYPE`] and reads at most `limit_bytes`.
    ///
    /// With `fresh`, the call opens a new connection. A follower whose live connection is silent learns from it if the
    /// network still works. `idle_ms` is the longest time without progress: on a slow link a whole response may take much
    /// longer. A response that breaks off after its status is returned with what arrived of it.
    fn get(
        &self,
        path_and_query: &str,
        fresh: bool,
        limit_bytes: usize,
        idle_ms: u64,
    ) -> impl Future<Output = Result<LinkResponse, LinkError>> + Send;

    /// Opens the live connection at `path_and_query`.
    fn open_live(
        &self,
        path_and_query: &str,
        timeout_ms: u64,
    ) -> impl Future<Output = Result<LiveResponse<Self::Channel>, LinkError>> + Send;
}

/// An open connection that carries whole blobs both ways, in order. Both ends use this trait.
pub trait LiveChannel: Send {
    /// Sends one blob; waits while the network accepts none. Not cancel-safe: a canceled send ends the connection.
    fn send(&mut self, blob: Bytes) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// Returns the next blob, or `None` once the other side has closed. Cancel-safe.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Bytes>, LinkError>> + Send;

    /// Returns the time when the last byte arrived, be it in the middle of a blob. `None` if the channel does not know.
    fn last_byte_at(&self) -> Option<Instant> {
        None
    }

    /// Sends a close message, if the network still accepts it.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a follower that gets no health because a later version names more, and one that gets it unasked.
    #[test]
    fn extra_blobs_are_read_by_name_and_later_ones_ignored() {
        assert_eq!(ExtraBlobs::from_text(ExtraBlobs::ALL_TEXT), ExtraBlobs::ALL);
        assert_eq!(ExtraBlobs::from_text("weather, barn-health"), ExtraBlobs::ALL);
        for text in ["", "barn-health-2", "health"] {
            assert_eq!(ExtraBlobs::from_text(text), ExtraBlobs::default(), "{text}");
        }
    }
}
