//! `hxb:BATCH:LF:UHF` and `hxe:BATCH:LF:UHF`.

use super::{Event, Rejection, SourceType, Tag, Traits, Weight, bounds};

/// Reads a short form of this source from a trimmed text.
pub(super) fn parse(source: SourceType, text: &str) -> Result<Event, Rejection> {
    let fields: Vec<&str> = text.split(':').map(str::trim).collect();
    let [_prefix, batch, lf, epc] = fields[..] else {
        return Err(Rejection::FieldCount { found: bounds::count(fields.len()) });
    };
    for (name, value) in [("batch", batch), ("lf", lf), ("epc", epc)] {
        bounds::check_value(name, value)?;
    }
    Ok(Event {
        kind: source.short_form_kind(),
        id: None,
        lid: None,
        lf: Some(tag("lf", lf)?),
        epc: Some(tag("epc", epc)?),
        old_lf: None,
        old_epc: None,
        batch: Some(batch.into()),
        weight: Weight::Absent,
        traits: Traits::default(),
        unknown: Vec::new(),
    })
}

fn tag(field: &str, text: &str) -> Result<Tag, Rejection> {
    Tag::new(text).ok_or_else(|| Rejection::BadTag { field: field.to_owned() })
}
