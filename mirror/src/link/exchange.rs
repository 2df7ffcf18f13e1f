//! One HTTP/1.1 exchange over a connection of its own.

use super::dial::Connection;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use service::sync::link::LinkError;
use std::convert::Infallible;
use tokio::task::JoinHandle;

/// An exchange that is under way; dropped, it ends, and with it the connection, where no upgrade has taken it over.
pub(super) struct Exchange<B> {
    requests: http1::SendRequest<B>,
    _moving: Moving,
}

/// The task that moves the bytes.
struct Moving(JoinHandle<()>);

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Send + 'static> Exchange<B> {
    pub(super) async fn over(connection: Connection) -> hyper::Result<Self> {
        let (requests, exchange) = http1::handshake(TokioIo::new(connection)).await?;
        let moving = tokio::spawn(async move {
            if let Err(error) = exchange.with_upgrades().await {
                tracing::debug!(%error, "an exchange ended");
            }
        });
        Ok(Self { requests, _moving: Moving(moving) })
    }

    pub(super) async fn send(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>> {
        self.requests.send_request(request).await
    }
}

/// The whole body of an answer, of at most so many bytes.
pub(super) async fn whole_body(
    peer: &str,
    doing: &'static str,
    response: Response<Incoming>,
    limit_bytes: usize,
) -> Result<Bytes, LinkError> {
    match Limited::new(response.into_body(), limit_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(LinkError::TooLong { peer: peer.into(), limit_bytes }),
        Err(error) => Err(LinkError::Broken { peer: peer.into(), doing, why: error.to_string() }),
    }
}
