//! `show`: what the store holds, as JSON or as a plain table.

use crate::change::{AnimalId, BatchId};
use crate::control::Answer;
use crate::position::Sequence;
use crate::query::{DEFAULT_PAGE_ENTRIES, PageLimit, PayloadFilter, PayloadStatus, QueryError};
use crate::store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{self, Write};

/// What to show; on the control socket it stands beside `"command":"show"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ShowRequest {
    /// One change of the log.
    Change {
        /// Which.
        sequence: u64,
    },
    /// Batches, the newest first.
    Batches(PageRequest),
    /// Animals, in the order in which they were made.
    Animals(PageRequest),
    /// Payloads, the newest first.
    Payloads {
        /// Only those of this status.
        status: Option<StatusFilter>,
        /// Which page.
        #[serde(flatten)]
        page: PageRequest,
    },
}

/// Which payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Those that are events.
    Processed,
    /// Those that were rejected.
    Error,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct PageRequest {
    /// How many entries, 1 to 1000
    #[arg(long, default_value_t = u64::from(DEFAULT_PAGE_ENTRIES))]
    pub limit: u64,
    /// Go on from here: `next` of the page before
    #[arg(long, value_name = "NEXT")]
    pub next: Option<u64>,
}

/// Why nothing was shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The log does not reach so far.
    #[error("there is no change {sequence}: the log ends at {head}")]
    NoChange {
        /// What was asked for.
        sequence: u64,
        /// The last one.
        head: Sequence,
    },
    /// The question was refused or the store failed.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl From<StoreError> for ShowError {
    fn from(error: StoreError) -> Self {
        Self::Query(error.into())
    }
}

/// The answer as JSON: `data`, which is one object for a change and a list for all others, and `next`.
pub fn show(reader: &Reader, asked: &ShowRequest) -> Result<Answer, ShowError> {
    let snapshot = reader.snapshot()?;
    let page = match asked {
        ShowRequest::Change { sequence } => {
            let view = snapshot.change_view(Sequence(*sequence))?.filter(|_| *sequence > 0);
            let head = reader.head().position.sequence;
            json!({"data": view.ok_or(ShowError::NoChange { sequence: *sequence, head })?})
        }
        ShowRequest::Batches(page) => {
            json!(snapshot.batches(page.next.map(BatchId), PageLimit::new(page.limit)?)?)
        }
        ShowRequest::Animals(page) => {
            json!(snapshot.animals(page.next.map(AnimalId), PageLimit::new(page.limit)?)?)
        }
        ShowRequest::Payloads { status, page } => {
            let filter = status.map_or(PayloadFilter::All, |status| {
                PayloadFilter::Status(match status {
                    StatusFilter::Processed => PayloadStatus::Processed,
                    StatusFilter::Error => PayloadStatus::Error,
                })
            });
            json!(snapshot.payloads(page.next.map(Sequence), PageLimit::new(page.limit)?, filter)?)
        }
    };
    match page {
        Value::Object(answer) => Ok(answer),
        _ => Ok(Answer::new()),
    }
}

/// The columns of a table: heading, and key of the entry.
type Columns = &'static [(&'static str, &'static str)];

const BATCHES: Columns = &[
    ("ID", "id"),
    ("BATCH", "batch_number"),
    ("SOURCE", "source"),
    ("CATTLE", "cattle_count"),
    ("MEMBERS", "members"),
    ("OPEN", "open"),
    ("UPDATED", "updated_at"),
];
const ANIMALS: Columns = &[
    ("ID", "id"),
    ("STATUS", "status"),
    ("LF", "lf"),
    ("EPC", "epc"),
    ("WEIGHT KG", "weight_kg"),
    ("BATCH", "barn_batch"),
    ("LAST SEEN", "last_seen"),
];
const PAYLOADS: Columns = &[
    ("ID", "id"),
    ("STATUS", "status"),
    ("CHANNEL", "channel"),
    ("DBM", "rssi_dbm"),
    ("RECEIVED", "received_at"),
    ("PAYLOAD", "payload"),
];

/// Prints an answer for people: a change as indented JSON, a list as a table.
pub fn print_table(asked: &ShowRequest, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let columns = match asked {
        ShowRequest::Change { .. } => return writeln!(out, "{:#}", answer.get("data").unwrap_or(&Value::Null)),
        ShowRequest::Batches(_) => BATCHES,
        ShowRequest::Animals(_) => ANIMALS,
        ShowRequest::Payloads { .. } => PAYLOADS,
    };
    let entries = answer.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let headings = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(headings)
        .chain(entries.iter().map(|entry| columns.iter().map(|(_, key)| cell(&entry[key])).collect()))
        .collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    match answer.get("next").filter(|next| !next.is_null()) {
        Some(next) => writeln!(out, "More: --next {next}"),
        None => Ok(()),
    }
}

/// One line of text for a value; of an object its most telling part.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        Value::Object(object) => {
            let telling = ["text", "batch_number", "id"].into_iter().find_map(|key| object.get(key));
            telling.map_or_else(|| "...".to_owned(), cell)
        }
        other => other.to_string(),
    }
}
