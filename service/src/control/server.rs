//! The server side of the socket, in the running process.

use super::client::is_listening;
use super::place::Place;
use super::reserve::ReservedDescriptors;
use super::{
    ControlError, MAX_CONNECTIONS, MAX_REQUEST_BYTES, REQUEST_TIMEOUT, RESPONSE_TIMEOUT, Request, TIMED_OUT,
    WRITE_TIMEOUT, decode_request, encode_response,
};
use crate::lifecycle::{Exit, Shutdown};
use futures::future::BoxFuture;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections that the kernel queues while all places are taken.
const BACKLOG: i32 = 64;

/// Pause after a failed accept (no file descriptors left), instead of spinning.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Responds to requests.
pub type Handler<Q> =
    Arc<dyn Fn(Q) -> BoxFuture<'static, Result<<Q as Request>::Response, ControlError>> + Send + Sync>;

/// Creates a [`Handler`] from an asynchronous function.
pub fn handler<Q, F, R>(respond: F) -> Handler<Q>
where
    Q: Request,
    F: Fn(Q) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Q::Response, ControlError>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(respond(request)))
}

/// Reason why the process cannot listen for commands.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("another process answers at {}; stop it, or give this one another state directory", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The path is not a socket.
    #[error("{} is not a socket; move it away", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot listen at {}: {source}; check that the directory exists and belongs to this user", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl From<&ListenError> for Exit {
    fn from(_: &ListenError) -> Self {
        Self::CannotListen
    }
}

/// Takes the socket at `path`, replacing a stale one, and returns the future that serves it.
///
/// The future ends with the shutdown and then removes the socket. Needs a tokio runtime.
pub fn listen<Q: Request>(
    path: &Path,
    handler: Handler<Q>,
    shutdown: Shutdown,
) -> Result<impl Future<Output = ()> + Send + 'static, ListenError> {
    let io_error = |source| ListenError::Io { path: path.into(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket { path: path.into() }),
        Ok(_) if is_listening(path).map_err(io_error)? => return Err(ListenError::Taken { path: path.into() }),
        _ => {}
    }
    let listener = bind(path).map_err(io_error)?;
    let socket = SocketFile::at(path).map_err(io_error)?;
    Ok(serve(listener, socket, handler, shutdown))
}

/// Binds beside `path` and renames over it.
///
/// So the path is always a socket that somebody listens on, or the old one. Its mode is set before it has a name:
/// Linux gives a bound socket the mode of its descriptor.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let place = Place::of(&beside)?;
    match std::fs::remove_file(&place.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &place.address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    std::fs::rename(&place.path, path)?;
    UnixListener::from_std(socket.into())
}

/// The socket file of this process. Dropping it removes the file, unless another one has taken its place.
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), inode: inode(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(socket = %self.path.display(), %error, "could not remove the socket; the next start replaces it");
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

async fn serve<Q: Request>(listener: UnixListener, socket: SocketFile, handler: Handler<Q>, shutdown: Shutdown) {
    let _removed_on_drop = socket;
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        let mut reserved = ReservedDescriptors::default();
        loop {
            reserved.fill();
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let mut accepted = listener.accept().await;
            if let Err(error) = &accepted
                && reserved.release_after(error)
            {
                accepted = listener.accept().await;
            }
            match accepted {
                Ok((stream, _)) => {
                    let handler = Arc::clone(&handler);
                    tokio::spawn(async move {
                        serve_connection(stream, &handler).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection on the control socket");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.requested() => {}
    }
}

/// Serves one request.
async fn serve_connection<Q: Request>(mut stream: UnixStream, handler: &Handler<Q>) {
    let result = match timeout(REQUEST_TIMEOUT, read_line(&mut stream)).await {
        Ok(Ok(line)) if line.is_empty() => return, // a probe whether anybody listens
        Ok(Ok(line)) => respond(&line, handler).await,
        Ok(Err(error)) => Err(ControlError::new("bad_request", format!("cannot read the request: {error}"))),
        Err(_) => Err(ControlError::new("not_received", late("the request did not arrive", REQUEST_TIMEOUT))),
    };
    let line = encode_response(result);
    match timeout(WRITE_TIMEOUT, stream.write_all(line.as_bytes())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a command disconnected before its response"),
        Err(_) => tracing::debug!("a command did not take its response"),
    }
}

pub(super) async fn respond<Q: Request>(line: &[u8], handler: &Handler<Q>) -> Result<Q::Response, ControlError> {
    let request = decode_request(line)?;
    timeout(RESPONSE_TIMEOUT, handler(request))
        .await
        .unwrap_or_else(|_| Err(ControlError::new(TIMED_OUT, late("no response was ready", RESPONSE_TIMEOUT))))
}

fn late(what: &str, after: Duration) -> String {
    format!("{what} within {} s", after.as_secs())
}

async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_REQUEST_BYTES as u64).read_until(b'\n', &mut line).await?;
    Ok(line)
}
