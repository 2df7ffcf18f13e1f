//! Corrections and payloads judged anew, on their way to the writer: each is a commit of its own, in the order in
//! which it came among the payloads.

use super::RecordError;
use herd::clock::RawReading;
use herd::decide::CorrectionRequest;
use herd::position::Sequence;
use herd::store::{CorrectionReceipt, ReprocessReceipt, Store, StoreError};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Whoever waits for a receipt.
pub(super) type Answering<T> = oneshot::Sender<Result<T, RecordError>>;

/// Work for the writer that is no payload, and whoever waits for its receipt.
pub(super) struct LaterEntry {
    pub(super) work: Work,
    /// Given back when the entry has been answered.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) enum Work {
    Correct { request: Box<CorrectionRequest>, at: RawReading, answer: Answering<CorrectionReceipt> },
    Reprocess { after: Sequence, limit: usize, at: RawReading, answer: Answering<ReprocessReceipt> },
}

impl LaterEntry {
    /// Tells why nothing is written now.
    pub(super) fn refuse(self, refusal: &RecordError) {
        // A caller that went away hears nothing.
        match self.work {
            Work::Correct { answer, .. } => drop(answer.send(Err(refusal.clone()))),
            Work::Reprocess { answer, .. } => drop(answer.send(Err(refusal.clone()))),
        }
    }

    /// Writes, and tells what came of it; gives back the error that ends the writer.
    pub(super) fn write(self, store: &mut Store) -> Result<(), Arc<StoreError>> {
        let Self { work, room } = self;
        let written = match work {
            Work::Correct { request, at, answer } => told(answer, store.correct(&request, at)),
            Work::Reprocess { after, limit, at, answer } => told(answer, store.reprocess(after, limit, at)),
        };
        drop(room);
        written
    }
}

fn told<T>(answer: Answering<T>, result: Result<T, StoreError>) -> Result<(), Arc<StoreError>> {
    match result {
        // A caller that went away meanwhile hears nothing; what it asked for is kept all the same.
        Ok(receipt) => drop(answer.send(Ok(receipt))),
        Err(error) => {
            let error = Arc::new(error);
            drop(answer.send(Err(RecordError::Failed(error.clone()))));
            return Err(error);
        }
    }
    Ok(())
}
