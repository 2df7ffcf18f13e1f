//! The way of a connection from the listener to TLS: its limits, its socket, and peers that speak no TLS.

use super::connection::Connection;
use super::connections::{AdmittedConnection, Connections};
use super::plain;
use super::{HANDSHAKE_TIMEOUT, STALLED_PEER_MS};
use crate::door::reply::ApiError;
use axum::Extension;
use axum::middleware::AddExtension;
use axum::response::IntoResponse as _;
use axum_server::accept::Accept;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Layer as _;

/// Admits connections, configures their sockets, and lets those pass that begin TLS.
#[derive(Clone)]
pub(super) struct ConnectionAcceptor {
    pub(super) connections: Connections,
}

impl<S: Send + 'static> Accept<TcpStream, S> for ConnectionAcceptor {
    type Stream = CountedStream;
    /// Every request has its connection among its extensions.
    type Service = AddExtension<S, Connection>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(CountedStream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = self.admit(stream);
        Box::pin(async move {
            let stream = wait_for_tls(admitted?).await?;
            let connection = stream.admitted.connection.clone();
            Ok((stream, Extension(connection).layer(service)))
        })
    }
}

impl ConnectionAcceptor {
    pub(super) fn admit(&self, stream: TcpStream) -> io::Result<CountedStream> {
        let peer = stream.peer_addr()?.ip();
        let admitted = self.connections.admit(peer).map_err(|cap| {
            self.connections.count(cap, peer);
            io::Error::other(format!("the connection is one too many: {}", cap.name()))
        })?;
        stream.set_nodelay(true)?;
        set_tcp_user_timeout(&stream, STALLED_PEER_MS)?;
        Ok(CountedStream { stream, admitted })
    }
}

/// Waits for the first byte, before any memory is spent on TLS. Answers a peer that speaks plain HTTP, and refuses it.
async fn wait_for_tls(mut counted: CountedStream) -> io::Result<CountedStream> {
    let mut first = [0; 1];
    let connection = counted.admitted.connection.clone();
    let peeked = tokio::select! {
        biased;
        () = connection.closed() => Err(closed()),
        peeked = timeout(HANDSHAKE_TIMEOUT, counted.stream.peek(&mut first)) => peeked?,
    };
    if peeked? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // A method of HTTP begins with a letter, and a record of TLS does not: with 22 for a handshake (RFC 8446, 5.1).
    if first[0].is_ascii_alphabetic() {
        let local = counted.stream.local_addr()?;
        let show = |path: &str, refusal: ApiError| connection.show_answer(path, &refusal.into_response());
        timeout(HANDSHAKE_TIMEOUT, plain::answer(&mut counted, local, show)).await??;
        return Err(io::Error::other("the peer speaks HTTP without TLS"));
    }
    Ok(counted)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "a limit of the server has closed the connection")
}

/// A connection that counts as open until it is dropped, even after an upgrade, and that a limit can close.
pub(super) struct CountedStream {
    pub(super) stream: TcpStream,
    admitted: AdmittedConnection,
}

impl CountedStream {
    /// Returns an error once the connection was closed from here, and otherwise wakes the task when that happens.
    fn check_open(&self, cx: &Context<'_>) -> io::Result<()> {
        match self.admitted.connection.poll_closed(cx) {
            Poll::Ready(()) => Err(closed()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_open(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_open(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
