//! Verifying the copies of a running mirror: a job on a thread of its own, which a command begins and asks about.

use herd::store::{
    Directory, Phase, Progress, Reader, StoreError, TablesVerdict, Verified, VerifyError, verify_reader,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a verification stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It goes on.
    UnderWay(Progress),
    /// It has ended: what a command is answered.
    Ended(Value),
}

/// The verifications of this process: one at a time for each site, the last result kept.
#[derive(Debug)]
pub struct Verifications {
    state_dir: PathBuf,
    jobs: Arc<Mutex<HashMap<String, Standing>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Verifications {
    /// None yet. Tables are folded anew in a directory of their own within `state_dir`.
    pub fn new(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.into(), jobs: Arc::default() }
    }

    /// Begins to verify the copy behind `reader`, unless that is under way.
    pub fn begin(&self, site: &str, reader: Reader) {
        let mut jobs = lock(&self.jobs);
        if matches!(jobs.get(site), Some(Standing::UnderWay(_))) {
            return;
        }
        jobs.insert(site.to_owned(), Standing::UnderWay(Progress { phase: Phase::Chain, done: 0, of: 0 }));
        let (site, jobs, scratch) = (site.to_owned(), self.jobs.clone(), scratch_place(&self.state_dir, site));
        tokio::task::spawn_blocking(move || {
            let mut note = |progress| drop(lock(&jobs).insert(site.clone(), Standing::UnderWay(progress)));
            let outcome = with_scratch(&scratch, |scratch| verify_reader(&reader, scratch, &mut note));
            lock(&jobs).insert(site.clone(), Standing::Ended(told(&outcome)));
        });
    }

    /// How the last one of this site stands; none where none was begun.
    pub fn standing(&self, site: &str) -> Option<Standing> {
        lock(&self.jobs).get(site).cloned()
    }
}

/// Where the tables of a site are folded anew.
pub fn scratch_place(state_dir: &Path, site: &str) -> PathBuf {
    state_dir.join(format!("verify-{site}"))
}

/// Gives `work` an empty scratch directory and takes it away afterwards.
pub fn with_scratch<T>(
    place: &Path,
    work: impl FnOnce(&Directory) -> Result<T, VerifyError>,
) -> Result<T, VerifyError> {
    let outcome = work(&Directory::new(place)?);
    if let Err(error) = std::fs::remove_dir_all(place) {
        tracing::warn!(place = %place.display(), %error, "the scratch directory stays: remove it");
    }
    outcome
}

/// The answer of a command: `sound` is false where something is damaged.
pub fn told(outcome: &Result<Verified, VerifyError>) -> Value {
    match outcome {
        Ok(Verified { head, tables }) => json!({
            "done": true,
            "sound": is_sound(tables),
            "position": head,
            "log": format!(
                "the log is whole: {} changes, each chained to the one before; the chain digest is {}",
                head.sequence, head.digest
            ),
            "tables": told_tables(tables),
        }),
        Err(error) => json!({"done": true, "sound": false, "damaged": is_damage(error), "log": error.to_string()}),
    }
}

/// The digest stands beside the verdict, so that it can be compared with what the barn's `verify` says.
fn told_tables(tables: &TablesVerdict) -> String {
    match tables {
        TablesVerdict::Equal { fold_digest, .. } => format!("{tables}; the fold digest is {fold_digest}"),
        other => other.to_string(),
    }
}

/// Tables that are missing or of another version are no damage: the next start folds them.
fn is_sound(tables: &TablesVerdict) -> bool {
    matches!(tables, TablesVerdict::Equal { .. } | TablesVerdict::Missing | TablesVerdict::OtherFold { .. })
}

/// Whether the log itself is damaged; else it could only not be read at the moment.
fn is_damage(error: &VerifyError) -> bool {
    !matches!(error, VerifyError::Store(other) if !matches!(other, StoreError::DamagedLog { .. }))
}
