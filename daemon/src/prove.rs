//! `verify`: the store proved from its raw bytes, by the running process or in the files.
//!
//! A proof takes longer than a command waits, so the process proves on a thread of its own and is asked how far it is.

use herd::store::{
    Directory, LOG_FILE, Phase, Progress, Reader, StoreError, TablesVerdict, Verified, VerifyError, verify_disk,
    verify_reader,
};
use serde_json::{Value, json};
use service::control::{Answer, ControlError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the tables are folded anew, beside the store and not in memory; removed at the end.
const SCRATCH: &str = "verify";

/// Where a proof is.
#[derive(Clone, Debug)]
enum Stage {
    Proving(Option<Progress>),
    Ended(Result<Answer, ControlError>),
}

/// Proves the store of a running process, one proof at a time.
#[derive(Clone, Debug)]
pub struct Prover {
    reader: Reader,
    state_dir: PathBuf,
    stage: Arc<Mutex<Option<Stage>>>,
}

impl Prover {
    /// For the store behind `reader`, which lies in `state_dir`.
    pub fn new(reader: Reader, state_dir: PathBuf) -> Self {
        Self { reader, state_dir, stage: Arc::default() }
    }

    /// Starts a proof, unless one is under way, and tells how far it is.
    pub fn start(&self) -> Result<Answer, ControlError> {
        let mut stage = self.stage();
        if !matches!(*stage, Some(Stage::Proving(_))) {
            *stage = Some(Stage::Proving(None));
            let prover = self.clone();
            let thread = std::thread::Builder::new().name("herdlinx-verify".to_owned());
            thread.spawn(move || prover.prove()).map_err(|error| {
                *stage = None;
                ControlError::new("failed", format!("the thread of the proof could not be started: {error}"))
            })?;
        }
        drop(stage);
        self.look()
    }

    /// How far the proof is, or what came out of it.
    pub fn look(&self) -> Result<Answer, ControlError> {
        match &*self.stage() {
            None => Err(ControlError::new("no_proof", "no proof was started; the process may be another one by now")),
            Some(Stage::Ended(result)) => result.clone(),
            Some(Stage::Proving(progress)) => {
                Ok(Answer::from_iter([("proving".to_owned(), progress.map_or_else(|| "the log".into(), said))]))
            }
        }
    }

    fn prove(&self) {
        let mut progress = |progress| *self.stage() = Some(Stage::Proving(Some(progress)));
        let proved = in_scratch(&self.state_dir, |scratch| verify_reader(&self.reader, scratch, &mut progress));
        let result = told(proved).map_err(|error| ControlError::new("failed", error.to_string()));
        *self.stage() = Some(Stage::Ended(result));
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proves the store in a directory that no process has open.
pub fn prove_files(state_dir: &Path, mut progress: impl FnMut(String)) -> Result<Answer, StoreError> {
    if !state_dir.join(LOG_FILE).exists() {
        return Err(StoreError::Missing { place: state_dir.into() });
    }
    let disk = Directory::new(state_dir)?;
    told(in_scratch(state_dir, |scratch| verify_disk(&disk, scratch, &mut |at| progress(said(at).to_string()))))
}

fn in_scratch(
    state_dir: &Path,
    prove: impl FnOnce(&Directory) -> Result<Verified, VerifyError>,
) -> Result<Verified, VerifyError> {
    let path = state_dir.join(SCRATCH);
    let proved = prove(&Directory::new(&path)?);
    if let Err(error) = std::fs::remove_dir_all(&path) {
        tracing::warn!(%error, path = %path.display(), "what the proof wrote stays; it can be removed by hand");
    }
    proved
}

fn said(progress: Progress) -> Value {
    let what = match progress.phase {
        Phase::Chain => "digests of the log",
        Phase::Fold => "changes folded again",
        Phase::Rows => "tables compared",
    };
    format!("{what}: {} of {}", progress.done, progress.of).into()
}

/// What a proof says: `sound` or not, and the lines that people read. An error is a proof that could not be made.
fn told(proved: Result<Verified, VerifyError>) -> Result<Answer, StoreError> {
    let (sound, lines) = match proved {
        Err(VerifyError::Store(StoreError::DamagedLog { at, why })) => {
            (false, vec![StoreError::DamagedLog { at, why }.to_string()])
        }
        Err(VerifyError::Store(error)) => return Err(error),
        Err(damage) => (false, vec![damage.to_string()]),
        Ok(Verified { head, tables }) => {
            // Tables that are missing or of another fold are what a kill or an upgrade leaves, and no damage.
            let equal = matches!(tables, TablesVerdict::Equal { .. });
            let sound = equal || matches!(tables, TablesVerdict::Missing | TablesVerdict::OtherFold { .. });
            let mut lines = vec![
                format!("the log holds: {} changes of history {}, every digest recomputed", head.sequence, head.store),
                format!("the chain digest is {}", head.digest),
                tables.to_string(),
            ];
            if let TablesVerdict::Equal { fold_digest, .. } = tables {
                lines.push(format!("the fold digest is {fold_digest}"));
            }
            (sound, lines)
        }
    };
    Ok(Answer::from_iter([("sound".to_owned(), sound.into()), ("lines".to_owned(), json!(lines))]))
}
