//! The writer on an OS thread of its own: a commit blocks for as long as the disk takes.

use super::writer::Writer;
use herd::store::{LocalError, StoreError};
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the thread is called, for `top -H` and for whoever looks at a process that hangs.
const WRITER_THREAD: &str = "herdlinx-writer";

/// Why there is no writer, or no longer one.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The operating system gave no thread or no timer.
    #[error("the writer's thread could not be started: {0}")]
    Start(#[source] io::Error),
    /// What is kept besides the log could not be read.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A commit failed.
    #[error("the writer ended: {0}")]
    Store(#[from] Arc<StoreError>),
    /// It panicked: a fault of this program, with its place in the log.
    #[error("the writer's thread panicked; the log says where")]
    Panicked,
}

/// The running thread.
#[derive(Debug)]
pub struct WriterThread {
    ended: oneshot::Receiver<Result<(), Arc<StoreError>>>,
}

impl WriterThread {
    pub(super) fn spawn(writer: Writer) -> Result<Self, WriterError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(WriterError::Start)?;
        let (end, ended) = oneshot::channel();
        let write = move || {
            let result = runtime.block_on(writer.write_loop());
            if let Err(Err(error)) = end.send(result) {
                tracing::error!(%error, "the writer ended and nobody waited for it");
            }
        };
        std::thread::Builder::new().name(WRITER_THREAD.to_owned()).spawn(write).map_err(WriterError::Start)?;
        Ok(Self { ended })
    }

    /// Waits until the writer has closed the store: after a stop, or because a commit failed. Cancel-safe; once it
    /// has returned, a further call says [`WriterError::Panicked`].
    pub async fn ended(&mut self) -> Result<(), WriterError> {
        match (&mut self.ended).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(WriterError::Panicked),
        }
    }
}
