//! Answers to `show` as they are printed.

use super::{ListRequest, ShowRequest};
use crate::control::Answer;
use serde_json::Value;
use std::io::{self, Write};

/// Why an answer was not printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// The answer is another one.
    #[error("the answer lacks `{0}`; is the process of another version?")]
    Incomplete(&'static str),
    /// It could not be written.
    #[error("printing the result: {0}")]
    Io(#[from] io::Error),
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
const GAPS: Columns = &[
    ("READERS", "reader_group"),
    ("ERA", "reader_era"),
    ("COUNTER", "counter"),
    ("FIRST", "first"),
    ("LAST", "last"),
    ("MISSED", "missed"),
];
const COUNTERS: Columns = &[
    ("READERS", "reader_group"),
    ("ERA", "reader_era"),
    ("COUNTER", "counter"),
    ("LOWEST", "lowest"),
    ("HIGHEST", "highest"),
];

/// How a list is printed.
enum Form {
    Table(Columns),
    Json,
    Sheet,
}

impl ShowRequest {
    /// None for what is no list.
    fn form(&self) -> Option<Form> {
        let (columns, json, csv) = match self {
            Self::Change { .. } => return None,
            Self::Batches(ListRequest { json, csv, .. }) => (BATCHES, json, csv),
            Self::Animals(ListRequest { json, csv, .. }) => (ANIMALS, json, csv),
            Self::Payloads { list: ListRequest { json, csv, .. }, .. } => (PAYLOADS, json, csv),
            Self::Gaps(ListRequest { json, csv, .. }) => (GAPS, json, csv),
            Self::Counters(ListRequest { json, csv, .. }) => (COUNTERS, json, csv),
        };
        Some(match (json, csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Sheet,
            _ => Form::Table(columns),
        })
    }
}

/// Prints the answer to what was asked, in the form that was asked for. Where a sheet goes on is said on `aside`, which
/// is no part of it.
pub fn print(
    asked: &ShowRequest,
    answer: &Answer,
    out: &mut dyn Write,
    aside: &mut dyn Write,
) -> Result<(), PrintError> {
    let of = |key| answer.get(key).ok_or(PrintError::Incomplete(key));
    match asked.form() {
        None if matches!(asked, ShowRequest::Change { json: true, .. }) => writeln!(out, "{}", of("data")?)?,
        None => writeln!(out, "{:#}", of("data")?)?,
        Some(Form::Json) => writeln!(out, "{}", Value::Object(answer.clone()))?,
        Some(Form::Table(columns)) => {
            print_table(columns, of("data")?.as_array().ok_or(PrintError::Incomplete("data"))?, out)?;
            say_more(answer, out)?;
        }
        Some(Form::Sheet) => {
            out.write_all(of("sheet")?.as_str().ok_or(PrintError::Incomplete("sheet"))?.as_bytes())?;
            say_more(answer, aside)?;
        }
    }
    Ok(out.flush()?)
}

fn say_more(answer: &Answer, to: &mut dyn Write) -> io::Result<()> {
    match answer.get("next") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(next)) => writeln!(to, "More: --next {}", in_shell(next)),
        Some(next) => writeln!(to, "More: --next {next}"),
    }
}

/// As a shell takes it for one word.
fn in_shell(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.,".contains(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn print_table(columns: Columns, entries: &[Value], out: &mut dyn Write) -> io::Result<()> {
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
    Ok(())
}

/// One line of text for a value; of an object its most telling part.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        Value::Object(object) => {
            let telling = ["text", "batch_number", "id"].into_iter().find_map(|key| object.get(key));
            telling.map_or_else(|| "...".to_owned(), cell)
        }
        other => other.to_string(),
    }
}
