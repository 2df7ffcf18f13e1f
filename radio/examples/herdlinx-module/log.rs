//! What a barn kept, as its own program shows it.

use std::io;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::ledger::in_base64;

/// The most that `show` gives at a time.
const PAGE_PAYLOADS: &str = "1000";

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("starting {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} show payloads: {status}")]
    Failed { program: String, status: std::process::ExitStatus },
    #[error("{program} show payloads printed no list: {source}")]
    Form { program: String, source: serde_json::Error },
}

/// A payload of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
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

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        let payload = row.raw_base64.map_or(row.payload, |base64| in_base64(&base64));
        Self { payload, received_at: row.received_at }
    }
}

/// All payloads of a barn, the newest first.
pub(crate) fn read(barn: &[String]) -> Result<Vec<Stored>, LogError> {
    let mut stored = Vec::new();
    let mut next = None;
    loop {
        let page = page(barn, next)?;
        stored.extend(page.data.into_iter().map(Stored::from));
        next = page.next;
        if next.is_none() {
            return Ok(stored);
        }
    }
}

fn page(barn: &[String], next: Option<u64>) -> Result<Page, LogError> {
    let (program, arguments) = barn.split_first().map_or(("", barn), |(first, rest)| (first.as_str(), rest));
    let program = program.to_owned();
    let mut command = Command::new(&program);
    command.args(arguments).args(["show", "payloads", "--json", "--limit", PAGE_PAYLOADS]);
    command.args(next.iter().flat_map(|next| ["--next".to_owned(), next.to_string()])).stderr(Stdio::inherit());
    let Output { status, stdout, .. } =
        command.output().map_err(|source| LogError::Start { program: program.clone(), source })?;
    if !status.success() {
        return Err(LogError::Failed { program, status });
    }
    serde_json::from_slice(&stdout).map_err(|source| LogError::Form { program, source })
}
