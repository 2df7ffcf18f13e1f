//! The bytes of requests in progress, and of answers that peers have not taken yet.
//!
//! # Decisions
//!
//! - **An answer claims its bytes from a budget of its peer and one of all peers, until the network has taken them.** A
//!   peer that opens no window, or reads nothing, holds the memory of its answers. An answer of known size that finds no
//!   room is 503, a stream waits for room.
//! - **The body of a request claims its whole size before it is read, and waits for room.** To claim each part as it comes
//!   was rejected: bodies that are all half read would wait for each other. Bodies up to [`SMALL_BODY_BYTES`] claim nothing,
//!   because the number of requests bounds them.
//! - **An answer is handed over in slices of [`SLICE_BYTES`].** Each slice is a sign that the peer has taken the one
//!   before. So a slow peer may take an hour for a long answer, and one that takes nothing is noticed after
//!   [`ANSWER_TIMEOUT`](super::connection::ANSWER_TIMEOUT).

use super::connection::{Connection, RequestProgress};
use super::connections::{ANSWER_BYTES, PEER_SHARE};
use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// Number of bytes of an answer that are handed over at once: a record of TLS, and a frame of HTTP/2.
pub(super) const SLICE_BYTES: usize = 16 * 1024;

/// Size of a body that claims no room: that of a single payload.
const SMALL_BODY_BYTES: u64 = 4 * 1024;

/// Maximum size of a body that a route reads. A body of unknown size claims as much.
const MAX_BODY_BYTES: u64 = 512 * 1024;

/// Maximum time that a body waits for room.
pub(super) const BODY_ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// The right to hold bytes in memory.
#[derive(Debug)]
pub(super) struct Claim {
    _permits: [OwnedSemaphorePermit; 2],
}

impl Claim {
    /// Claims room for `bytes`; returns `None` if there is none.
    pub(super) fn now(connection: &Connection, bytes: usize) -> Option<Self> {
        let permits = permits(bytes);
        let [of_peer, of_all] = connection.rooms();
        let of_peer = of_peer.answers.clone().try_acquire_many_owned(permits).ok()?;
        let of_all = of_all.answers.clone().try_acquire_many_owned(permits).ok()?;
        Some(Self { _permits: [of_peer, of_all] })
    }

    /// Claims room for the body of a request, within [`BODY_ROOM_TIMEOUT`]. Returns an error if there is none.
    pub(super) async fn for_body(connection: &Connection, size: &SizeHint) -> Result<Option<Self>, Elapsed> {
        let bytes = size.exact().unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES);
        if bytes <= SMALL_BODY_BYTES {
            return Ok(None);
        }
        let [of_peer, of_all] = connection.rooms();
        let rooms = [of_peer.bodies.clone(), of_all.bodies.clone()];
        timeout(BODY_ROOM_TIMEOUT, Self::of_rooms(rooms, u32::try_from(bytes).unwrap_or(u32::MAX))).await
    }

    /// Claims room for `bytes` as soon as there is some.
    async fn in_turn(connection: Connection, bytes: usize) -> Option<Self> {
        let [of_peer, of_all] = connection.rooms();
        Self::of_rooms([of_peer.answers.clone(), of_all.answers.clone()], permits(bytes)).await
    }

    /// Claims permits of both rooms. Nobody closes the semaphores, so there is always a claim.
    async fn of_rooms([of_peer, of_all]: [Arc<Semaphore>; 2], permits: u32) -> Option<Self> {
        let of_peer = of_peer.acquire_many_owned(permits).await.ok()?;
        let of_all = of_all.acquire_many_owned(permits).await.ok()?;
        Some(Self { _permits: [of_peer, of_all] })
    }
}

/// Returns the permits for a number of bytes. An answer above the budget of a peer takes all of it.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.min(ANSWER_BYTES / PEER_SHARE)).unwrap_or(u32::MAX)
}

/// A part of an answer that is being handed over.
struct Part {
    bytes: Bytes,
    claim: Arc<Claim>,
}

/// Bytes that keep their claim until the network has taken them.
struct Slice {
    bytes: Bytes,
    _claim: Arc<Claim>,
    _progress: Arc<RequestProgress>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

type FrameResult = Result<Frame<Bytes>, axum::Error>;
type ClaimFuture = Pin<Box<dyn Future<Output = Option<Claim>> + Send>>;

/// The body of an answer, whose bytes are claimed before they are handed over.
pub(super) struct AnswerBody {
    inner: Body,
    /// Claim of the first frame, if the size of the answer was known.
    claim: Option<Claim>,
    /// A frame that waits for room.
    claiming: Option<(Bytes, ClaimFuture)>,
    part: Option<Part>,
    progress: Arc<RequestProgress>,
}

impl AnswerBody {
    /// Wraps a body. `claim` is the room for its first frame; later ones claim theirs.
    pub(super) fn new(inner: Body, claim: Option<Claim>, progress: RequestProgress) -> Self {
        Self { inner, claim, claiming: None, part: None, progress: Arc::new(progress) }
    }

    fn held_bytes(&self) -> u64 {
        let claiming = self.claiming.as_ref().map_or(0, |(bytes, _)| bytes.len());
        let part = self.part.as_ref().map_or(0, |part| part.bytes.len());
        (claiming + part) as u64
    }

    /// Returns the next slice of the part that is being handed over.
    fn next_slice(&mut self) -> Option<Bytes> {
        let part = self.part.as_mut()?;
        let bytes = part.bytes.split_to(part.bytes.len().min(SLICE_BYTES));
        let slice = Slice { bytes, _claim: part.claim.clone(), _progress: self.progress.clone() };
        if part.bytes.is_empty() {
            self.part = None;
        }
        self.progress.wait_for_peer();
        Some(Bytes::from_owner(slice))
    }

    fn begin_part(&mut self, bytes: Bytes, claim: Claim) {
        self.part = Some(Part { bytes, claim: Arc::new(claim) });
    }

    /// Polls for the next part. Breaks with a frame that needs no room, or with the end.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<Option<FrameResult>>> {
        if let Some((bytes, claiming)) = &mut self.claiming {
            let claim = ready!(claiming.as_mut().poll(cx));
            let bytes = std::mem::take(bytes);
            self.claiming = None;
            let Some(claim) = claim else { return Poll::Ready(ControlFlow::Break(None)) };
            self.begin_part(bytes, claim);
            return Poll::Ready(ControlFlow::Continue(()));
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(ControlFlow::Break(end)),
        };
        let bytes = match frame.into_data() {
            Ok(bytes) if bytes.is_empty() => return Poll::Ready(ControlFlow::Break(Some(Ok(Frame::data(bytes))))),
            Ok(bytes) => bytes,
            Err(trailers) => return Poll::Ready(ControlFlow::Break(Some(Ok(trailers)))),
        };
        if let Some(claim) = self.claim.take() {
            self.begin_part(bytes, claim);
        } else {
            let claiming = Claim::in_turn(self.progress.connection().clone(), bytes.len());
            self.claiming = Some((bytes, Box::pin(claiming)));
        }
        Poll::Ready(ControlFlow::Continue(()))
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.progress.is_permitted() {
            let why = "the key of this answer was revoked, or its token has ended";
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(why)))));
        }
        loop {
            if let Some(slice) = self.next_slice() {
                return Poll::Ready(Some(Ok(Frame::data(slice))));
            }
            match self.poll_part(cx) {
                Poll::Ready(ControlFlow::Continue(())) => {}
                Poll::Ready(ControlFlow::Break(frame)) => return Poll::Ready(frame),
                Poll::Pending => {
                    self.progress.wait_for_server();
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held_bytes() == 0 && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (held, inner) = (self.held_bytes(), self.inner.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}
