//! The columns of each list.

use super::Cell::{Id, Number, Text};
use super::{Cell, Column, Row};
use herd::query::{AnimalView, BatchName, BatchView, CounterView, GapView, PayloadView, TagView};

impl Row for BatchView {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", |batch| Number(batch.id.0)),
        Column::new("batch_number", |batch| Id(&batch.batch_number)),
        Column::new("source_type", |batch| Text(batch.source_type)),
        Column::new("state", |batch| Text(if batch.open { "open" } else { "closed" })),
        Column::new("cattle_count", |batch| Number(batch.cattle_count.into())),
        Column::new("members", |batch| Number(batch.members.into())),
        Column::new("created_at", |batch| Cell::text(batch.created_at.as_deref())),
        Column::new("updated_at", |batch| Cell::text(batch.updated_at.as_deref())),
        Column::new("doubtful_times", |batch| match (batch.created_at_doubtful, batch.updated_at_doubtful) {
            (true, true) => Text("created_at updated_at"),
            (true, false) => Text("created_at"),
            (false, true) => Text("updated_at"),
            (false, false) => Cell::Empty,
        }),
    ];
}

/// Tags appear as their keys, so that two spellings of one tag do not look like two tags.
impl Row for AnimalView {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", |animal| Number(animal.id.0)),
        Column::new("lf", |animal| tag(animal.lf.as_ref())),
        Column::new("epc", |animal| tag(animal.epc.as_ref())),
        Column::new("lid", |animal| Cell::id(animal.lids.last().map(|name| name.lid.as_str()))),
        Column::new("status", |animal| Text(animal.status.as_str())),
        Column::new("weight_kg", |animal| Cell::weight(animal.weight_kg)),
        Column::new("barn_batch", |animal| batch(animal.barn_batch.as_ref())),
        Column::new("export_batch", |animal| batch(animal.export_batch.as_ref())),
        Column::new("pen", |animal| Cell::text(animal.traits.pen.as_deref())),
        Column::new("sex", |animal| Cell::text(animal.traits.sex.as_deref())),
        Column::new("funder", |animal| Cell::text(animal.traits.funder.as_deref())),
        Column::new("last_seen", |animal| Cell::text(animal.last_seen.as_deref())),
        Column::new("doubtful_times", |animal| doubtful(animal.last_seen_doubtful, "last_seen")),
    ];
}

/// The payload appears without surrounding blanks and line ends, which the grammar ignores too.
impl Row for PayloadView {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", |payload| Number(payload.id.0)),
        Column::new("received_at", |payload| Cell::text(payload.received_at.as_deref())),
        Column::new("status", |payload| Text(payload.status.as_str())),
        Column::new("reason", |payload| Cell::text(payload.reason)),
        Column::new("payload", |payload| Text(payload.payload.trim())),
        Column::new("channel", |payload| Text(&payload.channel)),
        Column::new("animal", |payload| Cell::number(payload.animal.map(|animal| animal.0))),
        Column::new("batch", |payload| Cell::number(payload.batch.map(|batch| batch.0))),
        Column::new("doubtful_times", |payload| doubtful(!payload.clock_synchronized, "received_at")),
    ];
}

impl Row for GapView {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("reader_group", |gap| Id(&gap.reader_group)),
        Column::new("reader_era", |gap| Number(gap.reader_era.into())),
        Column::new("counter", |gap| Text(&gap.counter)),
        Column::new("first", |gap| Number(gap.first)),
        Column::new("last", |gap| Number(gap.last)),
        Column::new("missed", |gap| Number(gap.missed)),
    ];
}

impl Row for CounterView {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("reader_group", |counter| Id(&counter.reader_group)),
        Column::new("reader_era", |counter| Number(counter.reader_era.into())),
        Column::new("counter", |counter| Text(&counter.counter)),
        Column::new("lowest", |counter| Number(counter.lowest)),
        Column::new("highest", |counter| Number(counter.highest)),
    ];
}

/// Returns the name of a time whose clock followed no time source.
fn doubtful(is_doubtful: bool, name: &'static str) -> Cell<'static> {
    if is_doubtful { Text(name) } else { Cell::Empty }
}

fn tag(tag: Option<&TagView>) -> Cell<'_> {
    Cell::id(tag.map(|tag| tag.key.as_str()))
}

fn batch(batch: Option<&BatchName>) -> Cell<'_> {
    Cell::id(batch.map(|batch| batch.batch_number.as_str()))
}
