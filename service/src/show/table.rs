//! Plain tables for terminals.

use crate::sheet::visible;
use herd::query::{AnimalView, BatchView, CounterView, GapView, PayloadView, TagView};

/// A column: its heading, and its text in a row.
type Column<T> = (&'static str, fn(&T) -> String);

/// An entry that can be a row of a table.
pub(super) trait TableRow: Sized + 'static {
    /// The columns, from the left.
    const TABLE: &'static [Column<Self>];
}

impl TableRow for BatchView {
    const TABLE: &'static [Column<Self>] = &[
        ("ID", |batch| batch.id.to_string()),
        ("BATCH", |batch| batch.batch_number.clone()),
        ("SOURCE", |batch| batch.source.to_owned()),
        ("CATTLE", |batch| batch.cattle_count.to_string()),
        ("MEMBERS", |batch| batch.members.to_string()),
        ("OPEN", |batch| if batch.open { "yes" } else { "no" }.to_owned()),
        ("UPDATED", |batch| time(batch.updated_at.as_ref(), batch.updated_at_doubtful)),
    ];
}

impl TableRow for AnimalView {
    const TABLE: &'static [Column<Self>] = &[
        ("ID", |animal| animal.id.to_string()),
        ("STATUS", |animal| animal.status.as_str().to_owned()),
        ("LF", |animal| tag(animal.lf.as_ref())),
        ("EPC", |animal| tag(animal.epc.as_ref())),
        ("WEIGHT KG", |animal| or_dash(animal.weight_kg.map(|weight| weight.to_string()))),
        ("BATCH", |animal| or_dash(animal.barn_batch.as_ref().map(|batch| batch.batch_number.clone()))),
        ("LAST SEEN", |animal| time(animal.last_seen.as_ref(), animal.last_seen_doubtful)),
    ];
}

impl TableRow for PayloadView {
    const TABLE: &'static [Column<Self>] = &[
        ("ID", |payload| payload.id.to_string()),
        ("STATUS", |payload| payload.status.as_str().to_owned()),
        ("CHANNEL", |payload| payload.channel.clone()),
        ("DBM", |payload| or_dash(payload.rssi_dbm.map(|dbm| dbm.to_string()))),
        ("RECEIVED", |payload| time(payload.received_at.as_ref(), !payload.clock_synchronized)),
        ("PAYLOAD", |payload| payload.payload.clone()),
    ];
}

impl TableRow for GapView {
    const TABLE: &'static [Column<Self>] = &[
        ("READERS", |gap| gap.reader_group.clone()),
        ("ERA", |gap| gap.reader_era.to_string()),
        ("COUNTER", |gap| gap.counter.clone()),
        ("FIRST", |gap| gap.first.to_string()),
        ("LAST", |gap| gap.last.to_string()),
        ("MISSED", |gap| if gap.is_leap { "leap".to_owned() } else { gap.missed.to_string() }),
    ];
}

impl TableRow for CounterView {
    const TABLE: &'static [Column<Self>] = &[
        ("READERS", |counter| counter.reader_group.clone()),
        ("ERA", |counter| counter.reader_era.to_string()),
        ("COUNTER", |counter| counter.counter.clone()),
        ("LOWEST", |counter| counter.lowest.to_string()),
        ("HIGHEST", |counter| counter.highest.to_string()),
    ];
}

/// Returns a time, with a question mark if its clock followed no time source.
fn time(at: Option<&String>, is_doubtful: bool) -> String {
    match (at, is_doubtful) {
        (Some(at), false) => at.clone(),
        (Some(at), true) => format!("{at} ?"),
        (None, _) => "unknown".to_owned(),
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn tag(tag: Option<&TagView>) -> String {
    or_dash(tag.map(|tag| tag.text.clone()))
}

/// Renders rows as aligned columns under their headings.
pub(super) fn table<T: TableRow>(entries: &[T]) -> String {
    let headings = T::TABLE.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let cells = |entry| T::TABLE.iter().map(|(_, text)| visible(&text(entry))).collect();
    let rows: Vec<Vec<String>> = std::iter::once(headings).chain(entries.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..T::TABLE.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
