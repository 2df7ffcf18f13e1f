//! The payloads that a barn stored, as its own program shows them.

use crate::ledger::in_base64;
use serde::Deserialize;
use std::io;
use std::process::{Command, ExitStatus, Output, Stdio};

/// Maximum page size of `show`.
const PAGE_PAYLOADS: &str = "1000";

/// Reason why the payloads could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("`{program} show payloads` failed: {status}")]
    Failed { program: String, status: ExitStatus },
    #[error("`{program} show payloads` did not print a page of payloads: {source}")]
    Form { program: String, source: serde_json::Error },
}

/// A payload in the barn's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredPayload {
    pub(crate) payload: String,
    /// ISO 8601 in UTC.
    pub(crate) received_at: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Row>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Row {
    payload: String,
    raw_base64: Option<String>,
    received_at: String,
}

impl From<Row> for StoredPayload {
    fn from(row: Row) -> Self {
        let payload = row.raw_base64.map_or(row.payload, |base64| in_base64(&base64));
        Self { payload, received_at: row.received_at }
    }
}

/// Returns all payloads of a barn, newest first.
pub(crate) fn read(barn: &[String]) -> Result<Vec<StoredPayload>, ShowError> {
    let mut stored = Vec::new();
    let mut next = None;
    loop {
        let page = read_page(barn, next)?;
        stored.extend(page.data.into_iter().map(StoredPayload::from));
        next = page.next;
        if next.is_none() {
            return Ok(stored);
        }
    }
}

fn read_page(barn: &[String], next: Option<u64>) -> Result<Page, ShowError> {
    let (program, arguments) = barn.split_first().map_or(("", barn), |(first, rest)| (first.as_str(), rest));
    let program = program.to_owned();
    let mut command = Command::new(&program);
    command.args(arguments).args(["show", "payloads", "--json", "--limit", PAGE_PAYLOADS]);
    command.args(next.iter().flat_map(|next| ["--next".to_owned(), next.to_string()])).stderr(Stdio::inherit());
    let Output { status, stdout, .. } =
        command.output().map_err(|source| ShowError::Start { program: program.clone(), source })?;
    if !status.success() {
        return Err(ShowError::Failed { program, status });
    }
    serde_json::from_slice(&stdout).map_err(|source| ShowError::Form { program, source })
}
