//! Verifications in the running process.

use super::{VerifyReport, VerifyState, progress_text};
use herd::store::{Reader, verify_reader};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The verifications of a process: at most one at a time per store, whose last state is kept.
#[derive(Clone, Debug, Default)]
pub struct VerifyJobs {
    jobs: Arc<Mutex<BTreeMap<String, VerifyState>>>,
}

impl VerifyJobs {
    /// Starts to verify the store behind `reader`, unless that is running. `store` names it in [`state`](Self::state).
    pub fn start(&self, store: &str, reader: Reader) -> io::Result<()> {
        let mut jobs = self.lock();
        if matches!(jobs.get(store), Some(VerifyState::Running(_))) {
            return Ok(());
        }
        let (this, name) = (self.clone(), store.to_owned());
        let thread = std::thread::Builder::new().name("herdlinx-verify".to_owned());
        thread.spawn(move || this.run(&name, &reader))?;
        jobs.insert(store.to_owned(), VerifyState::Running("the log".to_owned()));
        Ok(())
    }

    /// Returns the state of the last verification of `store`; `None` if this process started none.
    pub fn state(&self, store: &str) -> Option<VerifyState> {
        self.lock().get(store).cloned()
    }

    fn run(&self, store: &str, reader: &Reader) {
        let set = |state| drop(self.lock().insert(store.to_owned(), state));
        let mut progress = |at| set(VerifyState::Running(progress_text(at)));
        let outcome = verify_reader(reader, &mut progress);
        set(match VerifyReport::new(outcome) {
            Ok(report) => VerifyState::Finished(report),
            Err(error) => VerifyState::Failed(error.to_string()),
        });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, VerifyState>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
