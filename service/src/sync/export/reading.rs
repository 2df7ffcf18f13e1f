//! The one thread that reads for exports.
//!
//! What a thread reads fills the page caches of the store with memory of that thread's own arena of the allocator, and
//! what another thread reads later does not take the room that is given back there: with a pool of threads the caches
//! are held several times over. One thread also leaves the other cores to those who deliver payloads.

use super::{ExportError, Parts};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Exports at one time; one more is asked to come again. Each holds a part or two.
pub(in crate::sync) const MAX_EXPORTS: usize = 8;

/// Reads one part and hands it over.
type Job = Box<dyn FnOnce() + Send>;

/// Reads for all exports of one router, in turns. The thread begins with the first export and ends with the router.
#[derive(Clone)]
pub(in crate::sync) struct ExportReader {
    places: Arc<Semaphore>,
    jobs: Arc<Mutex<Option<mpsc::Sender<Job>>>>,
}

/// A place among the exports of one time, given back when it is dropped.
pub(in crate::sync) struct ExportPlace {
    reader: ExportReader,
    _permit: OwnedSemaphorePermit,
}

impl ExportReader {
    pub(in crate::sync) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_EXPORTS)), jobs: Arc::default() }
    }

    /// A place, unless all are taken.
    pub(in crate::sync) fn place(&self) -> Option<ExportPlace> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(ExportPlace { reader: self.clone(), _permit: permit })
    }

    /// Where jobs go; a thread that a panic has ended is replaced.
    fn jobs(&self) -> Result<mpsc::Sender<Job>, ExportError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = jobs.as_ref().filter(|jobs| !jobs.is_closed()) {
            return Ok(jobs.clone());
        }
        // Each place has one job at most.
        let (sender, mut queue) = mpsc::channel::<Job>(MAX_EXPORTS);
        std::thread::Builder::new().name("export-reader".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job();
            }
        })?;
        Ok(jobs.insert(sender).clone())
    }
}

impl ExportPlace {
    /// The next part, read on the thread. Cancel-safe: what is read for nobody is dropped.
    pub(super) async fn read<P: Parts>(&self, parts: P) -> Result<Option<(Vec<u8>, P)>, ExportError> {
        let (hand_over, read) = oneshot::channel();
        let job = move || {
            // An error: nobody waits for it any more.
            let _ = hand_over.send(parts.next());
        };
        self.reader.jobs()?.send(Box::new(job)).await.map_err(|_| ExportError::Cut)?;
        read.await.map_err(|_| ExportError::Cut)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panics;

    impl Parts for Panics {
        fn next(self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
            panic!("as it is told to")
        }
    }

    struct One(bool);

    impl Parts for One {
        fn next(self) -> Result<Option<(Vec<u8>, Self)>, ExportError> {
            Ok(self.0.then(|| (b"part".to_vec(), Self(false))))
        }
    }

    #[tokio::test]
    async fn a_panic_cuts_one_export_and_the_next_one_is_read_all_the_same() {
        let reader = ExportReader::new();
        let place = reader.place().unwrap();
        assert!(matches!(place.read(Panics).await, Err(ExportError::Cut)));
        let (part, rest) = loop {
            // Until the thread's end has closed its queue, a job may still be taken and dropped.
            match place.read(One(true)).await {
                Err(ExportError::Cut) => tokio::task::yield_now().await,
                read => break read.unwrap().unwrap(),
            }
        };
        assert_eq!(part, b"part");
        assert!(place.read(rest).await.unwrap().is_none());
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let reader = ExportReader::new();
        let mut places: Vec<_> = (0..MAX_EXPORTS).map(|_| reader.place().unwrap()).collect();
        assert!(reader.place().is_none());
        places.pop();
        assert!(reader.place().is_some());
    }
}
