//! Requests to the writer other than payloads: corrections, steps of those that move payloads into a reader era, the
//! reprocessing of rejected payloads, payloads that come back, rows that do, and an epoch that begins.
//!
//! Each is a commit of its own, in the order in which it arrived among the payloads.

use super::RecordError;
use herd::change::Acceptance;
use herd::clock::RawReading;
use herd::decide::CorrectionRequest;
use herd::position::{Sequence, StoreId};
use herd::store::{
    ChangeRun, CorrectionReceipt, EpochReceipt, EraMoveReceipt, LostEnd, MendReceipt, Readmitted, ReprocessReceipt,
    Store, StoreError,
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Sends a receipt, or an error, to the caller.
pub(super) type Reply<T> = oneshot::Sender<Result<T, RecordError>>;

/// A request in the writer's queue.
pub(super) struct QueuedRequest {
    pub(super) request: StoreRequest,
    /// Released once the request has been answered.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) enum StoreRequest {
    Correct { request: Box<CorrectionRequest>, at: RawReading, reply: Reply<CorrectionReceipt> },
    Reprocess { after: Sequence, limit: usize, at: RawReading, reply: Reply<ReprocessReceipt> },
    StepEraMoves { at: RawReading, reply: Reply<Option<EraMoveReceipt>> },
    Readmit { run: Box<ChangeRun>, acceptance: Acceptance, reply: Reply<Readmitted> },
    Mend { run: Box<ChangeRun>, reply: Reply<MendReceipt> },
    BeginEpoch { begin: Box<EpochRequest>, at: RawReading, reply: Reply<EpochReceipt> },
}

/// A request to begin the next epoch, because a follower has shown that the log lacks its last changes.
#[derive(Clone, Debug)]
pub struct EpochRequest {
    /// Both ends, as the follower shows them.
    pub shown: LostEnd,
    /// The decision, for the change that begins the epoch.
    pub acceptance: Acceptance,
    /// A random identity for the writer of the epoch.
    pub writer: StoreId,
}

impl QueuedRequest {
    /// Answers with the reason why nothing can be written now.
    pub(super) fn refuse(self, reason: &RecordError) {
        // A caller that was dropped needs no answer.
        match self.request {
            StoreRequest::Correct { reply, .. } => drop(reply.send(Err(reason.clone()))),
            StoreRequest::Reprocess { reply, .. } => drop(reply.send(Err(reason.clone()))),
            StoreRequest::StepEraMoves { reply, .. } => drop(reply.send(Err(reason.clone()))),
            StoreRequest::Readmit { reply, .. } => drop(reply.send(Err(reason.clone()))),
            StoreRequest::Mend { reply, .. } => drop(reply.send(Err(reason.clone()))),
            StoreRequest::BeginEpoch { reply, .. } => drop(reply.send(Err(reason.clone()))),
        }
    }

    /// Writes the request and answers it. Returns the error that ends the writer.
    pub(super) fn write(self, store: &mut Store) -> Result<(), Arc<StoreError>> {
        let Self { request, room } = self;
        let written = match request {
            StoreRequest::Correct { request, at, reply } => {
                write_and_reply(store, reply, |store| store.correct(&request, at))
            }
            StoreRequest::Reprocess { after, limit, at, reply } => {
                write_and_reply(store, reply, |store| store.reprocess(after, limit, at))
            }
            StoreRequest::StepEraMoves { at, reply } => write_and_reply(store, reply, |store| store.step_era_moves(at)),
            StoreRequest::Readmit { run, acceptance, reply } => {
                write_and_reply(store, reply, |store| store.readmit(&run, &acceptance))
            }
            StoreRequest::Mend { run, reply } => write_and_reply(store, reply, |store| store.mend(&run)),
            StoreRequest::BeginEpoch { begin, at, reply } => {
                let EpochRequest { shown, acceptance, writer } = *begin;
                write_and_reply(store, reply, |store| store.begin_epoch_after(&shown, acceptance, at, writer))
            }
        };
        drop(room);
        written
    }
}

/// Writes a request, and sends the receipt or the error. Returns the error that ends the writer.
fn write_and_reply<T>(
    store: &mut Store,
    reply: Reply<T>,
    write: impl FnOnce(&mut Store) -> Result<T, StoreError>,
) -> Result<(), Arc<StoreError>> {
    let (answer, end) = match write(store) {
        Ok(receipt) => (Ok(receipt), Ok(())),
        Err(error) if store.has_refused(&error) => (Err(RecordError::Refused(Arc::new(error))), Ok(())),
        Err(error) => {
            let error = Arc::new(error);
            (Err(RecordError::Failed(error.clone())), Err(error))
        }
    };
    // A caller that was dropped needs no answer; its request is recorded all the same.
    drop(reply.send(answer));
    end
}
