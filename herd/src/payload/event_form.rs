//! `event:ID|key:value|...`. A field that says nothing is absent.

use super::blank::{says_nothing, trimmed};
use super::short_form::read_tag;
use super::{Event, EventId, EventKind, Rejection, Supplement, Tag, TagKind, Traits, Weight, bounds};
use crate::text::Text;

/// Key of the first field. Its value is the event id.
pub(super) const EVENT: &str = "event";
/// A lid that says nothing, which some readers send if no animal is chosen.
const NO_LID: &str = "-1";
/// Number of fields that an event has at most, as a rule. It is room, not a limit.
const USUAL_FIELDS: usize = 12;
/// Keys of free texts, which may be as long as the payload.
const FREE_TEXTS: [&str; 2] = ["notes", "reason"];

/// Reads an event form from a trimmed text.
pub(super) fn parse(text: &str, supplement: &Supplement<'_>) -> Result<Event, Rejection> {
    let mut fields = Fields::split(text)?;
    let id = fields.take_text(EVENT).ok_or_else(|| Rejection::EmptyField { field: EVENT.to_owned() })?;
    let id = EventId::parse(&id)?;
    let event = build(id, &mut fields, supplement)?;
    check_identity(&event, supplement)?;
    Ok(event)
}

/// Takes the fields that the kind knows. Those that remain are unknown.
fn build(id: EventId, fields: &mut Fields<'_>, supplement: &Supplement<'_>) -> Result<Event, Rejection> {
    let kind = id.kind;
    let is_repair = kind == EventKind::Repair;
    let (lf, epc) = if is_repair { ("new_lf", "new_epc") } else { ("lf", "epc") };
    Ok(Event {
        kind,
        id: Some(id),
        lid: fields.take_text("lid").filter(|lid| lid != NO_LID),
        lf: fields.take_tag(TagKind::Lf, lf)?,
        epc: fields.take_tag(TagKind::Epc, epc)?,
        old_lf: if is_repair { fields.take_tag(TagKind::Lf, "old_lf")? } else { None },
        old_epc: if is_repair { fields.take_tag(TagKind::Epc, "old_epc")? } else { None },
        batch: take_batch(kind, fields, supplement)?,
        weight: fields.take_raw("weight").map_or(Weight::Absent, |text| Weight::parse(text, supplement.weight_unit)),
        traits: take_traits(kind, fields),
        unknown: fields.take_rest(),
    })
}

/// Takes the number of the batch. A reader that has a field for it and leaves it blank has lost it.
fn take_batch(
    kind: EventKind,
    fields: &mut Fields<'_>,
    supplement: &Supplement<'_>,
) -> Result<Option<Text>, Rejection> {
    let keys: &[&str] = match kind {
        EventKind::Induction => &["lot"],
        EventKind::Export => &["batch", "lot"],
        EventKind::Scan | EventKind::Pairing | EventKind::CheckIn | EventKind::Repair => return Ok(None),
    };
    let sent: Vec<(&str, &str)> = keys.iter().filter_map(|key| Some((*key, fields.take_raw(key)?))).collect();
    if let Some(number) = supplement.batch {
        return Ok(Some(number.into()));
    }
    let named: Vec<&str> = sent.iter().map(|(_, number)| *number).filter(|number| !says_nothing(number)).collect();
    match (&named[..], sent.first()) {
        ([number], _) => Ok(Some((*number).into())),
        ([], None) => Ok(None),
        ([], Some((key, _))) => Err(Rejection::EmptyField { field: (*key).to_owned() }),
        _ => Err(Rejection::RepeatedKey { key: keys.join(" or ") }),
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
fn check_identity(event: &Event, supplement: &Supplement<'_>) -> Result<(), Rejection> {
    let has_new_tag = event.lf.is_some() || event.epc.is_some();
    let has_old_tag = event.old_lf.is_some() || event.old_epc.is_some();
    let is_repair = event.kind == EventKind::Repair;
    let is_named = event.lid.is_some() || if is_repair { has_old_tag } else { has_new_tag };
    if !is_named && !supplement.animal_is_known {
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
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(USUAL_FIELDS);
        for field in text.split('|').map(trimmed).filter(|field| !field.is_empty()) {
            let (key, value) = split_field(field)?;
            match fields.iter_mut().find(|(seen, _)| *seen == key) {
                None => fields.push((key, value)),
                Some((_, before)) if before.is_empty() => *before = value,
                Some(_) if value.is_empty() => {}
                Some(_) => return Err(Rejection::RepeatedKey { key: key.to_owned() }),
            }
        }
        Ok(Self(fields))
    }

    /// Takes a value, also one that says nothing.
    fn take_raw(&mut self, key: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(name, _)| *name == key)?;
        Some(self.0.remove(at).1)
    }

    fn take_text(&mut self, key: &str) -> Option<Text> {
        self.take_raw(key).filter(|value| !says_nothing(value)).map(Text::from)
    }

    fn take_tag(&mut self, kind: TagKind, key: &str) -> Result<Option<Tag>, Rejection> {
        self.take_raw(key).map_or(Ok(None), |text| read_tag(kind, key, text))
    }

    /// Takes the others. What a filler means there is unknown, so that only blank ones are dropped.
    fn take_rest(&mut self) -> Vec<(String, String)> {
        let said = self.0.drain(..).filter(|(_, value)| !value.is_empty());
        said.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

fn split_field(field: &str) -> Result<(&str, &str), Rejection> {
    let (key, value) =
        field.split_once(':').ok_or_else(|| Rejection::FieldWithoutValue { field: bounds::shortened(field) })?;
    let (key, value) = (trimmed(key), trimmed(value));
    // An empty key is reported under its own name, which is empty.
    bounds::check_value(key, key)?;
    if !FREE_TEXTS.contains(&key) {
        bounds::check_length(key, value)?;
    }
    Ok((key, value))
}
