//! Reading the rest of a request's body before the answer is sent.
//!
//! An answer that comes before the body was read ends the upload: by a reset of the stream in HTTP/2, and by a closed
//! connection in HTTP/1.1. Common clients then report a broken connection and lose the answer, which says why the request
//! was refused. The rest is read and dropped, so it costs no memory.

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// Maximum time for the rest of a body.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum pause within it.
const DRAIN_PAUSE: Duration = Duration::from_secs(1);

/// A body that two can read. Clones share it.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<BodyState>>);

struct BodyState {
    body: Body,
    /// True once somebody has asked for the body. The first poll sends `100 Continue` if the client waits for that.
    was_polled: bool,
    has_ended: bool,
}

impl SharedBody {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(BodyState { body, was_polled: false, has_ended: false })))
    }

    fn state(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.state();
        if state.has_ended {
            return Poll::Ready(None);
        }
        state.was_polled = true;
        let polled = Pin::new(&mut state.body).poll_frame(cx);
        state.has_ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.state();
        state.has_ended || state.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}

/// Reads the rest of a body, within [`DRAIN_TIMEOUT`]. A client that waits for `100 Continue` is not asked for it.
pub(super) async fn drain(body: &SharedBody, awaits_go_ahead: bool) {
    if body.is_end_stream() || (awaits_go_ahead && !body.state().was_polled) {
        return;
    }
    let rest = async {
        // A pause that is too long, the end, and an error all end it.
        while let Ok(Some(Ok(_))) = timeout(DRAIN_PAUSE, poll_fn(|cx| body.poll(cx))).await {}
    };
    let _ = timeout(DRAIN_TIMEOUT, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use http_body_util::BodyExt as _;
    use std::io;

    /// Returns a body of a part after each pause, for ever.
    fn parts_after(pause: Duration) -> SharedBody {
        let parts = futures::stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>("x")
        });
        SharedBody::new(Body::from_stream(parts))
    }

    /// Catches a client that is asked for a body which nobody wants, and one whose upload is broken off.
    #[tokio::test]
    async fn a_body_is_read_to_its_end_unless_the_client_still_waits_for_a_go_ahead() {
        for (was_polled, awaits_go_ahead, is_drained) in
            [(false, false, true), (false, true, false), (true, false, true), (true, true, true)]
        {
            let parts = futures::stream::iter(["first", "second"].map(Ok::<_, io::Error>));
            let body = SharedBody::new(Body::from_stream(parts));
            if was_polled {
                body.clone().frame().await.unwrap().unwrap();
            }
            drain(&body, awaits_go_ahead).await;
            assert_eq!(body.is_end_stream(), is_drained, "{was_polled} {awaits_go_ahead}");
            let rest = body.collect().await.unwrap().to_bytes();
            assert_eq!(rest.is_empty(), is_drained, "{was_polled} {awaits_go_ahead}");
        }
        assert_eq!(SharedBody::new(Body::from("abc")).size_hint().exact(), Some(3));
    }

    /// Catches a client that holds a connection by a body that never ends.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_or_goes_on_is_given_up() {
        for (pause, limit) in [(Duration::MAX / 2, DRAIN_PAUSE * 2), (DRAIN_PAUSE / 2, DRAIN_TIMEOUT * 2)] {
            let body = parts_after(pause);
            assert!(tokio::time::timeout(limit, drain(&body, false)).await.is_ok(), "{pause:?}");
            assert!(!body.is_end_stream());
        }
    }
}
