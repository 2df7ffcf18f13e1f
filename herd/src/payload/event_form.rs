//! `event:ID|key:value|...`.

use super::{Event, EventId, EventKind, Rejection, Tag, Traits, Weight, bounds};
use crate::text::Text;

/// Key of the first field. Its value is the event id.
pub(super) const EVENT: &str = "event";

/// Reads an event form from a trimmed text.
pub(super) fn parse(text: &str) -> Result<Event, Rejection> {
    let mut fields = Fields::split(text)?;
    let id = EventId::parse(fields.take(EVENT).ok_or_else(|| missing(EVENT))?)?;
    let event = build(id, &mut fields)?;
    check_identity(&event)?;
    Ok(event)
}

/// Takes the fields that the kind knows. Those that remain are unknown.
fn build(id: EventId, fields: &mut Fields<'_>) -> Result<Event, Rejection> {
    let kind = id.kind;
    let is_repair = kind == EventKind::Repair;
    let (lf, epc) = if is_repair { ("new_lf", "new_epc") } else { ("lf", "epc") };
    Ok(Event {
        kind,
        id: Some(id),
        lid: fields.take_text("lid"),
        lf: fields.take_tag(lf)?,
        epc: fields.take_tag(epc)?,
        old_lf: if is_repair { fields.take_tag("old_lf")? } else { None },
        old_epc: if is_repair { fields.take_tag("old_epc")? } else { None },
        batch: take_batch(kind, fields)?,
        weight: fields.take("weight").map_or(Weight::Absent, Weight::parse),
        traits: take_traits(kind, fields),
        unknown: fields.take_rest(),
    })
}

fn take_batch(kind: EventKind, fields: &mut Fields<'_>) -> Result<Option<Text>, Rejection> {
    match kind {
        EventKind::Induction => Ok(fields.take_text("lot")),
        EventKind::Export => match (fields.take_text("batch"), fields.take_text("lot")) {
            (Some(_), Some(_)) => Err(Rejection::RepeatedKey { key: "batch or lot".to_owned() }),
            (batch, lot) => Ok(batch.or(lot)),
        },
        EventKind::Scan | EventKind::Pairing | EventKind::CheckIn | EventKind::Repair => Ok(None),
    }
}

fn take_traits(kind: EventKind, fields: &mut Fields<'_>) -> Traits {
    let common = Traits { notes: fields.take_text("notes"), reason: fields.take_text("reason"), ..Traits::default() };
    if kind != EventKind::Induction {
        return common;
    }
    Traits {
        funder: fields.take_text("funder"),
        pen: fields.take_text("pen"),
        sex: fields.take_text("sex"),
        tag_color: fields.take_text("tag_color"),
        visual_id: fields.take_text("visual_id"),
        lot_group: fields.take_text("lot_group"),
        pen_location: fields.take_text("pen_location"),
        ..common
    }
}

/// Checks that the event names its animal, by the lid or a tag that the animal has.
///
/// In a repair, `lf` and `epc` are new tags and do not say which animal it is. It needs the lid or a tag that the animal had.
fn check_identity(event: &Event) -> Result<(), Rejection> {
    let has_new_tag = event.lf.is_some() || event.epc.is_some();
    let has_old_tag = event.old_lf.is_some() || event.old_epc.is_some();
    let is_repair = event.kind == EventKind::Repair;
    let is_named = event.lid.is_some() || if is_repair { has_old_tag } else { has_new_tag };
    if !is_named {
        return Err(Rejection::NoAnimalNamed);
    }
    if is_repair && !has_new_tag {
        return Err(missing("new_lf or new_epc"));
    }
    Ok(())
}

fn missing(field: &str) -> Rejection {
    Rejection::MissingField { field: field.to_owned() }
}

/// Keys and values that are not taken yet, in the order received. Keys are unique.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn split(text: &'a str) -> Result<Self, Rejection> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for field in text.split('|') {
            let (key, value) = split_field(field.trim())?;
            if fields.iter().any(|(seen, _)| *seen == key) {
                return Err(Rejection::RepeatedKey { key: key.to_owned() });
            }
            fields.push((key, value));
        }
        Ok(Self(fields))
    }

    fn take(&mut self, key: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(name, _)| *name == key)?;
        Some(self.0.remove(at).1)
    }

    fn take_text(&mut self, key: &str) -> Option<Text> {
        self.take(key).map(Text::from)
    }

    fn take_tag(&mut self, key: &str) -> Result<Option<Tag>, Rejection> {
        let Some(text) = self.take(key) else { return Ok(None) };
        Tag::new(text).map(Some).ok_or_else(|| Rejection::BadTag { field: key.to_owned() })
    }

    fn take_rest(&mut self) -> Vec<(String, String)> {
        self.0.drain(..).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

fn split_field(field: &str) -> Result<(&str, &str), Rejection> {
    let (key, value) =
        field.split_once(':').ok_or_else(|| Rejection::FieldWithoutValue { field: bounds::shortened(field) })?;
    let (key, value) = (key.trim(), value.trim());
    // An empty key is reported under its own name, which is empty.
    bounds::check_value(key, key)?;
    if key == "weight" {
        // A reader whose scale was not used sends the key without a value.
        bounds::check_length(key, value)?;
    } else {
        bounds::check_value(key, value)?;
    }
    Ok((key, value))
}
