//! `hxb:BATCH:LF:UHF` and `hxe:BATCH:LF:UHF`. One of the two tags may be missing: a reader has two antennas.

use super::{Event, Rejection, SourceType, Supplement, Tag, TagKind, Traits, Weight, blank, bounds, tag};

/// Reads a short form of this source from a trimmed text.
pub(super) fn parse(source: SourceType, text: &str, supplement: &Supplement<'_>) -> Result<Event, Rejection> {
    let [batch, lf, epc] = fields(text)?;
    for (name, value) in [("batch", batch), ("lf", lf), ("epc", epc)] {
        bounds::check_length(name, value)?;
    }
    let batch = supplement.batch.unwrap_or(batch);
    if blank::says_nothing(batch) {
        return Err(Rejection::EmptyField { field: "batch".to_owned() });
    }
    let (lf, epc) = (read_tag(TagKind::Lf, "lf", lf)?, read_tag(TagKind::Epc, "epc", epc)?);
    if lf.is_none() && epc.is_none() && !supplement.animal_is_known {
        return Err(Rejection::NoAnimalNamed);
    }
    Ok(Event {
        kind: source.short_form_kind(),
        id: None,
        lid: None,
        lf,
        epc,
        old_lf: None,
        old_epc: None,
        batch: Some(batch.into()),
        weight: Weight::Absent,
        traits: Traits::default(),
        unknown: Vec::new(),
    })
}

/// Returns batch, LF and UHF. Only a UHF tag may contain colons.
fn fields(text: &str) -> Result<[&str; 3], Rejection> {
    let mut fields = text.splitn(4, ':').map(blank::trimmed).skip(1);
    match [fields.next(), fields.next(), fields.next()] {
        [Some(batch), Some(lf), Some(epc)] if !epc.contains(':') || tag::is_number_with_colons(epc) => {
            Ok([batch, lf, epc])
        }
        _ => Err(Rejection::FieldCount { found: bounds::count(text.split(':').count()) }),
    }
}

/// Reads a tag; `None` if the field says nothing.
pub(super) fn read_tag(kind: TagKind, field: &str, text: &str) -> Result<Option<Tag>, Rejection> {
    Tag::read(kind, text).map_err(|_| Rejection::RoundedTag { field: field.to_owned(), text: text.to_owned() })
}
