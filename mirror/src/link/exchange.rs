//! A single HTTP/1.1 request and response over a connection of its own.

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

/// An HTTP exchange. Dropping it closes the connection, unless an upgrade has taken the connection over.
pub(super) struct Exchange<B> {
    requests: http1::SendRequest<B>,
    _connection: ConnectionTask,
}

/// The task that moves the bytes; aborted on drop.
struct ConnectionTask(JoinHandle<()>);

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Send + 'static> Exchange<B> {
    pub(super) async fn over(connection: Connection) -> hyper::Result<Self> {
        let (requests, connection) = http1::handshake(TokioIo::new(connection)).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an HTTP connection failed");
            }
        });
        Ok(Self { requests, _connection: ConnectionTask(task) })
    }

    pub(super) async fn send(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>> {
        self.requests.send_request(request).await
    }
}

/// Reads the whole body of a response, which may have at most `limit_bytes`.
pub(super) async fn read_body(
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
