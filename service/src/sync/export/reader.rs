//! The one thread that reads for exports.
//!
//! A read fills the store's page caches with memory from the reading thread's own arena of the allocator. Reads of
//! another thread do not reuse what is freed there, so with a pool of threads the caches exist several times over. A
//! single thread also leaves the other cores to those who deliver payloads.

use super::{ExportError, ExportParts};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Maximum number of exports at a time; each holds one or two parts in memory. A further one is told to retry.
pub(in crate::sync) const MAX_EXPORTS: usize = 8;

/// Reads one part and sends it to the task that waits for it.
type Job = Box<dyn FnOnce() + Send>;

/// Reads for all exports of one router, in turns. The thread starts with the first export and ends with the router.
#[derive(Clone)]
pub(in crate::sync) struct ExportReader {
    slots: Arc<Semaphore>,
    jobs: Arc<Mutex<Option<mpsc::Sender<Job>>>>,
}

/// The right to run one export; dropping it frees the slot.
pub(in crate::sync) struct ExportSlot {
    reader: ExportReader,
    _permit: OwnedSemaphorePermit,
}

impl ExportReader {
    pub(in crate::sync) fn new() -> Self {
        Self { slots: Arc::new(Semaphore::new(MAX_EXPORTS)), jobs: Arc::default() }
    }

    /// Takes a slot; returns `None` if [`MAX_EXPORTS`] are running.
    pub(in crate::sync) fn slot(&self) -> Option<ExportSlot> {
        let permit = self.slots.clone().try_acquire_owned().ok()?;
        Some(ExportSlot { reader: self.clone(), _permit: permit })
    }

    /// Returns the queue of the thread. Starts a new thread if a panic has ended the last one.
    fn jobs(&self) -> Result<mpsc::Sender<Job>, ExportError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = jobs.as_ref().filter(|jobs| !jobs.is_closed()) {
            return Ok(jobs.clone());
        }
        // Each slot has at most one job.
        let (sender, mut queue) = mpsc::channel::<Job>(MAX_EXPORTS);
        std::thread::Builder::new().name("export-reader".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job();
            }
        })?;
        Ok(jobs.insert(sender).clone())
    }
}

impl ExportSlot {
    /// Reads the next part on the thread. Cancel-safe: the part of a canceled read is dropped.
    pub(super) async fn read<P: ExportParts>(&self, parts: P) -> Result<Option<(Vec<u8>, P)>, ExportError> {
        let (result, read) = oneshot::channel();
        let job = move || {
            // The send fails if the read was canceled.
            let _ = result.send(parts.next());
        };
        self.reader.jobs()?.send(Box::new(job)).await.map_err(|_| ExportError::Panicked)?;
        read.await.map_err(|_| ExportError::Panicked)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanickingParts;

    impl ExportParts for PanickingParts {
        fn next(self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
            panic!("the test wants a panic")
        }
    }

    /// One part, if true.
    struct OnePart(bool);

    impl ExportParts for OnePart {
        fn next(self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
            Ok(self.0.then(|| (b"part".to_vec(), Self(false))))
        }
    }

    /// Catches a panic after which no export works until the process restarts.
    #[tokio::test]
    async fn a_panic_ends_one_export_and_the_next_one_works() {
        let reader = ExportReader::new();
        let slot = reader.slot().unwrap();
        assert!(matches!(slot.read(PanickingParts).await, Err(ExportError::Panicked)));
        let (part, rest) = loop {
            // Until the end of the thread has closed its queue, a job may still be accepted and dropped.
            match slot.read(OnePart(true)).await {
                Err(ExportError::Panicked) => tokio::task::yield_now().await,
                read => break read.unwrap().unwrap(),
            }
        };
        assert_eq!(part, b"part");
        assert!(slot.read(rest).await.unwrap().is_none());
    }

    /// Catches exports without a limit, and slots that are never freed.
    #[test]
    fn slots_are_limited_and_a_dropped_one_is_free_again() {
        let reader = ExportReader::new();
        let mut slots: Vec<_> = (0..MAX_EXPORTS).map(|_| reader.slot().unwrap()).collect();
        assert!(reader.slot().is_none());
        slots.pop();
        assert!(reader.slot().is_some());
    }
}
