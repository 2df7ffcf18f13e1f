//! `show`: what the store holds, as JSON or as a plain table.

use herd::change::{AnimalId, BatchId};
use herd::control::Answer;
use herd::position::Sequence;
use herd::query::{DEFAULT_PAGE_ENTRIES, PageLimit, PayloadFilter, PayloadStatus, QueryError};
use herd::store::{Reader, StoreError};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskGauge;
    use crate::worlds::World;
    use herd::change::Origin;
    use herd::clock::Clock as _;
    use herd::decide::Rules;
    use herd::store::Incoming;

    const FIRST: PageRequest = PageRequest { limit: 2, next: None };

    async fn world() -> World {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        for text in ["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2", "noise\u{1b}[2J", "hxb:LOT2:LF3:UHF3"] {
            let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
            let payload = Incoming { raw: text.into(), origin, at: world.clock.read() };
            world.recorder.record(payload).await.unwrap();
        }
        world
    }

    fn printed(world: &World, asked: &ShowRequest) -> String {
        let mut out = Vec::new();
        print_table(asked, &show(&world.reader, asked).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_stands_beside_its_command_on_the_socket() {
        let text = r#"{"command":"show","what":"payloads","status":"error","limit":2,"next":7}"#;
        let page = PageRequest { limit: 2, next: Some(7) };
        let expected = ShowRequest::Payloads { status: Some(StatusFilter::Error), page };
        assert_eq!(serde_json::from_str::<ShowRequest>(text).unwrap(), expected);
        let text = r#"{"command":"show","what":"change","sequence":3}"#;
        assert_eq!(serde_json::from_str::<ShowRequest>(text).unwrap(), ShowRequest::Change { sequence: 3 });
        assert!(serde_json::from_str::<ShowRequest>(r#"{"what":"everything"}"#).is_err());
    }

    #[tokio::test]
    async fn a_list_is_a_table_that_says_how_it_goes_on() {
        let world = world().await;
        let text = printed(&world, &ShowRequest::Batches(FIRST));
        assert_eq!(
            text,
            "ID  BATCH  SOURCE      CATTLE  MEMBERS  OPEN  UPDATED\n\
             5   LOT2   Barn (HXB)  1       1        yes   2024-01-15T10:35:20.000Z\n\
             2   LOT1   Barn (HXB)  2       2        yes   2024-01-15T10:35:20.000Z\n"
        );
        let text = printed(&world, &ShowRequest::Animals(FIRST));
        assert!(text.ends_with("More: --next 3\n"), "{text}");
        let rest = printed(&world, &ShowRequest::Animals(PageRequest { next: Some(3), ..FIRST }));
        assert!(rest.lines().nth(1).is_some_and(|line| line.starts_with("5   active  LF3  UHF3")), "{rest}");
    }

    /// Catches a payload off the air that clears the screen of whoever looks at it.
    #[tokio::test]
    async fn no_control_character_reaches_the_terminal() {
        let world = world().await;
        let error = ShowRequest::Payloads { status: Some(StatusFilter::Error), page: FIRST };
        for asked in [error, ShowRequest::Change { sequence: 4 }] {
            let text = printed(&world, &asked);
            assert!(text.contains("noise") && !text.contains('\u{1b}'), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_change_that_is_not_there_is_told_with_the_head() {
        let world = world().await;
        for sequence in [0, 6, u64::MAX] {
            let error = show(&world.reader, &ShowRequest::Change { sequence }).unwrap_err();
            assert!(matches!(error, ShowError::NoChange { head: Sequence(5), .. }), "{error}");
        }
        let page = PageRequest { limit: 1001, next: None };
        assert!(show(&world.reader, &ShowRequest::Batches(page)).is_err());
    }
}
