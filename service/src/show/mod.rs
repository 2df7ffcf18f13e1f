//! The `show` command of both programs: what a store holds, as a table, as JSON or as CSV.
//!
//! The process that has the store open renders the text, from typed views; the command line only prints it. So the two
//! agree on a text and a continuation, and on no keys.

mod render;
mod table;

use herd::position::Sequence;
use herd::query::{CounterCursor, DEFAULT_PAGE_ENTRIES, GapCursor, PayloadFilter, PayloadStatus, QueryError};
use herd::store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{self, Write};
use std::str::FromStr;

/// The list or change to show: the arguments of the command, and its request on the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Subcommand)]
#[serde(rename_all = "snake_case")]
pub enum ShowRequest {
    /// Print one change of the log as JSON
    Change {
        /// Sequence of the change
        sequence: u64,
        /// Print it on one line
        #[arg(long)]
        json: bool,
    },
    /// List batches, newest first
    Batches(ListRequest),
    /// List animals in the order in which they were first seen
    Animals(ListRequest),
    /// List payloads, newest first
    Payloads {
        /// Only payloads with this status
        #[arg(long, value_enum)]
        status: Option<StatusFilter>,
        /// The part of the list, and its format.
        #[command(flatten)]
        list: ListRequest,
    },
    /// List event counters that were skipped and never received: missed reads
    Gaps(ListRequest<GapCursor>),
    /// List the lowest and highest value of each event counter
    Counters(ListRequest<CounterCursor>),
}

/// Status of the payloads to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Payloads that are events.
    Processed,
    /// Payloads that were rejected.
    Error,
}

/// A page of a list, and its format. `P` is the type of the place where the next page starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct ListRequest<P = u64>
where
    P: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    /// Number of entries, 1 to 1000
    #[arg(long, default_value_t = u64::from(DEFAULT_PAGE_ENTRIES))]
    pub limit: u64,
    /// Start here: the value that the previous page printed
    #[arg(long, value_name = "NEXT", value_parser = P::from_str)]
    pub next: Option<P>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print CSV for a spreadsheet; the continuation goes to standard error
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// A rendered list or change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowResponse {
    /// The text to print.
    pub text: String,
    /// Value of `--next` for the next page of a table or CSV list, if there is one.
    pub next: Option<String>,
    /// A line for standard error about the source of the text, if somebody should know something about it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Reason why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The sequence is past the head.
    #[error("there is no change {sequence}: the log ends at {head}")]
    NoChange {
        /// The sequence in the request.
        sequence: u64,
        /// The last change.
        head: Sequence,
    },
    /// The query was refused, or the store failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A view has no JSON form.
    #[error("cannot encode the result as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<StoreError> for ShowError {
    fn from(error: StoreError) -> Self {
        Self::Query(error.into())
    }
}

impl StatusFilter {
    fn filter(self) -> PayloadFilter {
        PayloadFilter::Status(match self {
            Self::Processed => PayloadStatus::Processed,
            Self::Error => PayloadStatus::Error,
        })
    }
}

impl ShowRequest {
    /// Renders the list or change from the store.
    pub fn render(&self, reader: &Reader) -> Result<ShowResponse, ShowError> {
        render::render(self, reader)
    }

    /// True if the output is for another program, which must not read the continuation.
    fn is_csv(&self) -> bool {
        match self {
            Self::Change { .. } => false,
            Self::Batches(list) | Self::Animals(list) | Self::Payloads { list, .. } => list.csv,
            Self::Gaps(list) => list.csv,
            Self::Counters(list) => list.csv,
        }
    }

    /// Prints the response to `out`; the note and the continuation of CSV go to `err`.
    pub fn print(&self, response: &ShowResponse, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        out.write_all(response.text.as_bytes())?;
        if let Some(next) = &response.next {
            let line = format!("More: --next {}\n", shell_word(next));
            if self.is_csv() { err.write_all(line.as_bytes())? } else { out.write_all(line.as_bytes())? }
        }
        out.flush()?;
        // Without a reader of the note, the list is printed all the same.
        if let Some(note) = &response.note {
            let _ = writeln!(err, "{note}");
        }
        Ok(())
    }
}

/// Quotes a text as one word of a shell, if it needs quotes.
fn shell_word(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.,".contains(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
