//! Verifications in the running process.

use super::{VerifyReport, VerifyState, progress_text, with_scratch};
use herd::store::{Reader, verify_reader};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The verifications of a process: at most one at a time per store, whose last state is kept.
#[derive(Clone, Debug)]
pub struct VerifyJobs {
    state_dir: PathBuf,
    jobs: Arc<Mutex<BTreeMap<String, VerifyState>>>,
}

impl VerifyJobs {
    /// Creates an empty set. Tables are folded again in directories within `state_dir`.
    pub fn new(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.into(), jobs: Arc::default() }
    }

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

    /// Returns the directory in which the tables of `store` are folded again.
    pub fn scratch_dir(state_dir: &Path, store: &str) -> PathBuf {
        state_dir.join(format!("verify-{store}"))
    }

    fn run(&self, store: &str, reader: &Reader) {
        let set = |state| drop(self.lock().insert(store.to_owned(), state));
        let scratch = Self::scratch_dir(&self.state_dir, store);
        let mut progress = |at| set(VerifyState::Running(progress_text(at)));
        let outcome = with_scratch(&scratch, |scratch| verify_reader(reader, scratch, &mut progress));
        set(match VerifyReport::new(outcome) {
            Ok(report) => VerifyState::Finished(report),
            Err(error) => VerifyState::Failed(error.to_string()),
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, VerifyState>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
