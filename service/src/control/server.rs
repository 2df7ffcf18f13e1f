//! The running process's side of the socket.

use super::client::is_answered;
use super::place::Place;
use super::{
    ANSWER_TIMEOUT, Answer, ControlError, MAX_CONNECTIONS, MAX_REQUEST_BYTES, REQUEST_TIMEOUT, WRITE_TIMEOUT,
    answer_line, read_request,
};
use crate::lifecycle::Shutdown;
use futures::future::BoxFuture;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde_json::Value;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections that the kernel keeps while all places are taken.
const BACKLOG: i32 = 64;

/// After a failed accept (no file descriptors left) the next one waits so long instead of spinning.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Finds the answer to a request.
pub type Answerer = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Answer, ControlError>> + Send + Sync>;

/// An [`Answerer`] out of an asynchronous function.
pub fn answerer<F, R>(answer: F) -> Answerer
where
    F: Fn(Value) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Answer, ControlError>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(answer(request)))
}

/// Why the process cannot listen to commands.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there already.
    #[error("{} is answered by another process; stop it, or give this one another state directory", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something else lies in the socket's place.
    #[error("{} is no socket; move it away", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("listening at {}: {source}; check that the directory exists and belongs to this user", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Takes the socket at `path`, over a stale one that nobody answers, and returns what then serves it: a future that
/// ends when `shutdown` says true or its sender is gone, and removes the socket. Needs a tokio runtime.
pub fn listen(
    path: &Path,
    answer: Answerer,
    shutdown: Shutdown,
) -> Result<impl Future<Output = ()> + Send + 'static, ListenError> {
    let io_error = |source| ListenError::Io { path: path.into(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket { path: path.into() }),
        Ok(_) if is_answered(path).map_err(io_error)? => return Err(ListenError::Taken { path: path.into() }),
        _ => {}
    }
    let listener = bind(path).map_err(io_error)?;
    let own = Own::at(path).map_err(io_error)?;
    Ok(serve(listener, own, answer, shutdown))
}

/// Binds beside `path` and renames over it: the path shows a socket that is listened on or the old one, and its mode
/// is set before it has a name at all (Linux gives a bound socket the mode of its descriptor).
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

/// The socket file that this process made; removed at the end unless another one lies there by then.
struct Own {
    path: PathBuf,
    inode: (u64, u64),
}

impl Own {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), inode: inode(path)? })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(socket = %self.path.display(), %error, "the socket stays; the next start replaces it");
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

async fn serve(listener: UnixListener, own: Own, answer: Answerer, shutdown: Shutdown) {
    let _removed_at_the_end = own;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let answer = Arc::clone(&answer);
                    tokio::spawn(async move {
                        converse(stream, &answer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a command could not be let in");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        // An error means that the sender is gone, which is a stop as well.
        () = shutdown.requested() => {}
    }
}

/// One request, one answer.
async fn converse(mut stream: UnixStream, answer: &Answerer) {
    let result = match timeout(REQUEST_TIMEOUT, read_line(&mut stream)).await {
        Ok(Ok(line)) if line.is_empty() => return, // somebody looked whether anybody is here
        Ok(Ok(line)) => find(&line, answer).await,
        Ok(Err(error)) => Err(ControlError::new("bad_request", format!("the request could not be read: {error}"))),
        Err(_) => Err(timed_out("the request did not come", REQUEST_TIMEOUT)),
    };
    let line = answer_line(result);
    match timeout(WRITE_TIMEOUT, stream.write_all(line.as_bytes())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a command left before its answer"),
        Err(_) => tracing::debug!("a command did not take its answer"),
    }
}

pub(super) async fn find(line: &[u8], answer: &Answerer) -> Result<Answer, ControlError> {
    let request = read_request(line)?;
    timeout(ANSWER_TIMEOUT, answer(request))
        .await
        .unwrap_or_else(|_| Err(timed_out("no answer was found", ANSWER_TIMEOUT)))
}

fn timed_out(what: &str, after: Duration) -> ControlError {
    ControlError::new("timed_out", format!("{what} within {} s", after.as_secs()))
}

async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_REQUEST_BYTES as u64).read_until(b'\n', &mut line).await?;
    Ok(line)
}
