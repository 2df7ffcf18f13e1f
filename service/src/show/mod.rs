//! `show`: what the store holds, as a plain table, as JSON or as a sheet. One command line for both programs.

mod print;

pub use print::{PrintError, print};

use crate::control::Answer;
use crate::sheet::{Row, sheet};
use herd::change::{AnimalId, BatchId};
use herd::position::Sequence;
use herd::query::{
    CounterCursor, DEFAULT_PAGE_ENTRIES, GapCursor, Page, PageLimit, PayloadFilter, PayloadStatus, QueryError,
};
use herd::store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::error::Error;
use std::str::FromStr;

/// What to show: a command's arguments, and on the control socket what stands beside `"command":"show"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Subcommand)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ShowRequest {
    /// One change of the log, as JSON
    Change {
        /// Its sequence
        sequence: u64,
        /// On one line
        #[arg(long)]
        #[serde(skip)]
        json: bool,
    },
    /// Batches, the newest first
    Batches(ListRequest),
    /// Animals, in the order in which they were first seen
    Animals(ListRequest),
    /// Payloads, the newest first
    Payloads {
        /// Only those of this status
        #[arg(long, value_enum)]
        status: Option<StatusFilter>,
        /// Which part of them.
        #[command(flatten)]
        #[serde(flatten)]
        list: ListRequest,
    },
    /// Event counters that were passed over and never heard: missed reads
    Gaps(ListRequest<GapCursor>),
    /// How far each event counter was heard
    Counters(ListRequest<CounterCursor>),
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

/// A page of a list, and how to print it. `P` is the place at which such a list goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct ListRequest<P = u64>
where
    P: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    /// How many entries, 1 to 1000
    #[arg(long, default_value_t = u64::from(DEFAULT_PAGE_ENTRIES))]
    pub limit: u64,
    /// Go on from here: `next` of the page before
    #[arg(long, value_name = "NEXT", value_parser = P::from_str)]
    pub next: Option<P>,
    /// As JSON
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,
    /// As a sheet for a spreadsheet; standard error says where it goes on
    #[arg(long, conflicts_with = "json")]
    #[serde(default)]
    pub csv: bool,
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

impl<P> ListRequest<P>
where
    P: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    fn answer<T: Row + Serialize, C: Serialize>(
        &self,
        page: impl FnOnce(PageLimit) -> Result<Page<T, C>, QueryError>,
    ) -> Result<Value, QueryError> {
        let page = page(PageLimit::new(self.limit)?)?;
        Ok(if self.csv { json!({"sheet": sheet(&page.data), "next": page.next}) } else { json!(page) })
    }
}

/// The answer as JSON: `data`, which is one object for a change and a list for all others, and `next`. Of a list that
/// was asked for as CSV it is `sheet`, a text, in place of `data`.
pub fn show(reader: &Reader, asked: &ShowRequest) -> Result<Answer, ShowError> {
    let of = reader.snapshot()?;
    let answer = match asked {
        ShowRequest::Change { sequence, .. } => {
            let view = of.change_view(Sequence(*sequence))?.filter(|_| *sequence > 0);
            let head = reader.head().position.sequence;
            json!({"data": view.ok_or(ShowError::NoChange { sequence: *sequence, head })?})
        }
        ShowRequest::Batches(list) => list.answer(|limit| of.batches(list.next.map(BatchId), limit))?,
        ShowRequest::Animals(list) => list.answer(|limit| of.animals(list.next.map(AnimalId), limit))?,
        ShowRequest::Payloads { status, list } => {
            let filter = status.map_or(PayloadFilter::All, StatusFilter::filter);
            list.answer(|limit| of.payloads(list.next.map(Sequence), limit, filter))?
        }
        ShowRequest::Gaps(list) => list.answer(|limit| of.gaps(list.next.as_ref(), limit))?,
        ShowRequest::Counters(list) => list.answer(|limit| of.counters(list.next.as_ref(), limit))?,
    };
    match answer {
        Value::Object(answer) => Ok(answer),
        _ => Ok(Answer::new()),
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
