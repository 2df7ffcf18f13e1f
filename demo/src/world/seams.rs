//! Seams that all machines of a world share, and the tasks of a machine.

use super::chance::Chance;
use super::ledger::Ledger;
use super::plant::Plant;
use herd::change::Acceptance;
use herd::position::StoreId;
use herd::store::{Reader, Receipt};
use service::lifecycle::ShutdownTrigger;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seams that all machines of a world share.
#[derive(Clone, Debug)]
pub(super) struct Seams {
    pub(super) seed: u64,
    pub(super) plant: Option<Plant>,
    pub(super) ids: Arc<Mutex<Chance>>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

impl Seams {
    pub(super) fn new(seed: u64, plant: Option<Plant>) -> Self {
        Self { seed, plant, ids: Arc::new(Mutex::new(Chance::new(seed))), ledger: Arc::default() }
    }

    pub(super) fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// Returns a source of identities, which a seed determines.
    pub(super) fn new_ids(&self) -> impl FnMut() -> StoreId {
        let ids = self.ids.clone();
        move || StoreId(std::array::from_fn(|_| u8::try_from(lock(&ids).below(256)).unwrap_or(0)))
    }

    /// Notes that a claim does not hold.
    pub(super) fn fault(&self, what: String) {
        lock(&self.ledger).fault(what);
    }
}

/// Returns the decision of the person who tends a world.
pub(super) fn acceptance(reason: &str) -> Acceptance {
    Acceptance { author: "the operator".to_owned(), reason: reason.to_owned() }
}

/// The tasks of a machine, which a power cut aborts.
pub(super) struct MachineTasks {
    pub(super) tasks: Vec<JoinHandle<()>>,
    pub(super) shutdown: ShutdownTrigger,
}

impl Drop for MachineTasks {
    fn drop(&mut self) {
        self.shutdown.request();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A handle on the ledger for the machine of a branch.
#[derive(Clone, Debug)]
pub(super) struct BranchLedger {
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) branch: u32,
}

impl BranchLedger {
    pub(super) fn note_receipt(&self, raw: &[u8], receipt: &Receipt, log: &Reader) {
        lock(&self.ledger).note_receipt(self.branch, raw, receipt, log);
    }

    pub(super) fn note_packet(&self, raw: &[u8], log: &Reader) {
        lock(&self.ledger).note_packet(self.branch, raw, log);
    }
}
