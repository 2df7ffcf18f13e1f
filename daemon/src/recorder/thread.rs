//! The writer on an OS thread of its own, because a commit blocks while the disk writes.

use super::RecorderSeams;
use super::writer::WaitingWriter;
use herd::store::{LocalError, Store, StoreError};
use service::process::WorkerThread;
use std::io;
use std::sync::Arc;

/// Name of the thread, for `top -H` and debuggers.
const WRITER_THREAD: &str = "herdlinx-writer";

/// Reason why the writer did not start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The operating system gave no thread or no timer.
    #[error("cannot start the thread of the writer: {0}")]
    Start(#[source] io::Error),
    /// The duplicate counts could not be read.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A commit failed.
    #[error("the writer ended: {0}")]
    Store(#[from] Arc<StoreError>),
    /// It panicked. This is a bug; the log has its location.
    #[error("the thread of the writer panicked; see the log for the location")]
    Panicked,
}

/// The running writer.
#[derive(Debug)]
pub struct WriterThread(WorkerThread<Result<(), Arc<StoreError>>>);

impl WaitingWriter {
    /// Begins to write to the store, on an OS thread of its own.
    pub fn on_thread(self, store: Store, seams: RecorderSeams) -> Result<WriterThread, WriterError> {
        let writer = self.with_store(store, seams)?;
        WorkerThread::spawn(WRITER_THREAD, writer.write_loop()).map(WriterThread).map_err(WriterError::Start)
    }
}

impl WriterThread {
    /// Waits until the writer has closed the store: after a shutdown, or because a commit failed. Cancel-safe; further
    /// calls return [`WriterError::Panicked`].
    pub async fn ended(&mut self) -> Result<(), WriterError> {
        match self.0.join().await {
            Some(result) => Ok(result?),
            None => Err(WriterError::Panicked),
        }
    }
}
