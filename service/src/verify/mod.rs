//! The `verify` command of both programs: checks a store against its digests.
//!
//! A verification takes longer than a command waits. The running process verifies on a thread of its own, and the
//! command asks how far it is. Without a process, the command verifies the files itself.

mod command;
mod job;

pub use command::{VerifyCommandError, verify_with};
pub use job::VerifyJobs;

use crate::lifecycle::Exit;
use herd::store::{Directory, Phase, Progress, StoreError, TablesVerdict, VerifyError, VerifyOutcome, verify_disk};
use serde::{Deserialize, Serialize};

/// State of a verification, as it crosses the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyState {
    /// It is running; the text says how far it is.
    Running(String),
    /// It is finished.
    Finished(VerifyReport),
    /// It could not be done; the text says why. The store may be sound.
    Failed(String),
}

/// Result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// True if nothing is damaged. Tables that are missing or of another version are not: the next start folds them.
    pub sound: bool,
    /// The findings, one sentence each.
    pub lines: Vec<String>,
}

impl VerifyReport {
    /// Turns the outcome of a verification into a report. An error means that it could not be done.
    fn new(outcome: Result<VerifyOutcome, VerifyError>) -> Result<Self, StoreError> {
        match outcome {
            Ok(verified) => Ok(Self::of(&verified)),
            Err(VerifyError::Store(error)) if Exit::from(&error) != Exit::Damaged => Err(error),
            Err(damage) => Ok(Self { sound: false, lines: vec![damage.to_string()] }),
        }
    }

    fn of(VerifyOutcome { head, tables }: &VerifyOutcome) -> Self {
        let mut lines = vec![
            format!("the log holds {} changes of history {}, every digest recomputed", head.sequence, head.store),
            format!("the chain digest is {}", head.digest),
            tables.to_string(),
        ];
        let equal = if let TablesVerdict::Equal { fold_digest, .. } = tables {
            lines.push(format!("the fold digest is {fold_digest}"));
            true
        } else {
            false
        };
        let sound = equal || matches!(tables, TablesVerdict::Missing | TablesVerdict::OtherFold { .. });
        Self { sound, lines }
    }
}

/// Verifies the store in `directory`, which no process may have open.
pub fn verify_files(directory: &Directory, progress: &mut dyn FnMut(String)) -> Result<VerifyReport, StoreError> {
    VerifyReport::new(verify_disk(directory, &mut |at| progress(progress_text(at))))
}

fn progress_text(Progress { phase, done, of }: Progress) -> String {
    let phase = match phase {
        Phase::Chain => "digests of the log",
        Phase::Rows => "tables",
        Phase::Pages => "pages of the log",
    };
    format!("{phase}: {done} of {of}")
}

#[cfg(test)]
mod tests;
