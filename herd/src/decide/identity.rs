//! The animal that an event is about.
//!
//! An event *names* an animal by its lid, or else by the old tags of a repair. Its own tags *lead to* the animals that wear
//! or wore them; unconfirmed tags lead nowhere. The table "Whose animal" in ARCHITECTURE.md lists the outcomes.

use super::Judge;
use crate::change::{AnimalId, Origin, TagUse};
use crate::fold::{Rows, RowsError};
use crate::payload::{Event, EventKind, Rejection, Tag};
use crate::tables::{Animal, LidOwner, TagKind, TagOwner, TagState, reader_key, tag_owner_key};

/// The animal of an event, and what the event's tags are to it.
pub(super) struct Identity {
    pub(super) animal: AnimalId,
    pub(super) absorbed: Option<AnimalId>,
    pub(super) lf: TagUse,
    pub(super) epc: TagUse,
}

/// Why no animal was found for an event.
pub(super) enum PlaceError {
    /// The event contradicts what is known.
    Rejected(Rejection),
    /// The tables could not be read.
    Rows(RowsError),
}

impl From<Rejection> for PlaceError {
    fn from(reason: Rejection) -> Self {
        Self::Rejected(reason)
    }
}

impl From<RowsError> for PlaceError {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

/// The animals that the parts of an event lead to.
struct Leads {
    lid: Option<AnimalId>,
    old_lf: Option<AnimalId>,
    old_epc: Option<AnimalId>,
    lf: Option<AnimalId>,
    epc: Option<AnimalId>,
}

impl<R: Rows> Judge<'_, R> {
    /// Finds the animal of an event, or the reason why it has none.
    pub(super) fn identify(&self, event: &Event) -> Result<Identity, PlaceError> {
        let leads = Leads {
            lid: self.lid_owner(event)?,
            old_lf: self.tag_owner(TagKind::Lf, event.old_lf.as_ref())?,
            old_epc: self.tag_owner(TagKind::Epc, event.old_epc.as_ref())?,
            lf: self.tag_owner(TagKind::Lf, event.lf.as_ref())?,
            epc: self.tag_owner(TagKind::Epc, event.epc.as_ref())?,
        };
        let named = named_animal(event, &leads)?;
        let (animal, absorbed) = self.join_leads(event, &leads, named)?;
        if let (Some(lid), None) = (&event.lid, leads.lid)
            && let Some(row) = self.animal(animal)?
        {
            self.check_new_lid(lid, animal, &row)?;
        }
        self.check_old_tags(event, &leads, animal)?;
        let (lf, epc) = self.tag_uses(event, (leads.lf, leads.epc), animal, absorbed)?;
        Ok(Identity { animal, absorbed, lf, epc })
    }

    /// Checks that a repair takes off tags that the animal wears or wore.
    ///
    /// If it wears no tag of that kind, the old one may be unknown: the read that would have shown it is missing or comes
    /// later. If it wears another, the repair may be of another animal, unless it puts a tag on that the animal already has:
    /// then it comes after a later repair.
    fn check_old_tags(&self, event: &Event, leads: &Leads, animal: AnimalId) -> Result<(), PlaceError> {
        let old_tags = [
            (TagKind::Lf, &event.old_lf, [leads.old_lf, leads.lf]),
            (TagKind::Epc, &event.old_epc, [leads.old_epc, leads.epc]),
        ];
        for (kind, old, owners) in old_tags {
            if let Some(old) = old
                && let Some(row) = self.animal(animal)?
                && let Some(worn) = row.worn(kind)
                && worn.key() != old.key()
                && !owners.contains(&Some(animal))
            {
                let (tag, worn) = (old.text().to_owned(), worn.text().to_owned());
                return Err(Rejection::OldTagNotWorn { tag, animal: animal.0, worn }.into());
            }
        }
        Ok(())
    }

    /// Returns what the event's tags, which lead to `owners`, are to its animal.
    pub(super) fn tag_uses(
        &self,
        event: &Event,
        owners: (Option<AnimalId>, Option<AnimalId>),
        animal: AnimalId,
        absorbed: Option<AnimalId>,
    ) -> Result<(TagUse, TagUse), RowsError> {
        let row = self.animal(animal)?;
        // A tag that only the absorbed animal wears is worn too, whichever event came first.
        let other = absorbed.map(|other| self.animal(other)).transpose()?.flatten();
        let of = |kind, tag: &Option<Tag>, owner: Option<AnimalId>| {
            if owner.is_some_and(|owner| owner != animal && Some(owner) != absorbed) {
                // Only if an operator chose the animal, or a void took away why the event led to the tag's animal.
                return Ok(TagUse::Unconfirmed);
            }
            let wears_one = [&row, &other].into_iter().flatten().any(|animal| animal.worn(kind).is_some());
            self.tag_use(event, kind, tag.as_ref(), owner, wears_one)
        };
        Ok((of(TagKind::Lf, &event.lf, owners.0)?, of(TagKind::Epc, &event.epc, owners.1)?))
    }

    /// Brings the animal that the event names together with those that its tags lead to.
    fn join_leads(
        &self,
        event: &Event,
        leads: &Leads,
        named: Option<AnimalId>,
    ) -> Result<(AnimalId, Option<AnimalId>), PlaceError> {
        let mut others = [leads.lf, leads.epc].into_iter().flatten().filter(|other| Some(*other) != named);
        let first = others.next();
        let second = others.next().filter(|second| Some(*second) != first);
        match (named, first, second) {
            (None, None, _) => Ok((AnimalId::from(self.sequence), None)),
            (Some(named), None, _) => Ok((named, None)),
            (None, Some(only), None) => Ok((only, None)),
            (Some(named), Some(other), None) => {
                self.check_may_absorb(event, leads.lid, named, other)?;
                Ok((named, Some(other)))
            }
            (_, Some(first), Some(second)) => Err(two_animals(first, second).into()),
        }
    }

    /// Checks that the event shows `named` and `other` to be one animal.
    ///
    /// It does if it names the one by its lid, the other has a tag of the event and no lid, and the two do not wear tags of
    /// the same kind. `lid_owner` is the animal that the event's lid leads to.
    pub(super) fn check_may_absorb(
        &self,
        event: &Event,
        lid_owner: Option<AnimalId>,
        named: AnimalId,
        other: AnimalId,
    ) -> Result<(), PlaceError> {
        let (mine, theirs) = (self.animal(named)?.unwrap_or_default(), self.animal(other)?.unwrap_or_default());
        if let (Some(lid), Some(theirs)) = (&event.lid, theirs.state.lids.first()) {
            let (lid, tag_lid) = (lid.to_string(), theirs.lid.to_string());
            return Err(Rejection::LidOfAnother { lid, tag_animal: other.0, tag_lid }.into());
        }
        let by_lid = lid_owner == Some(named) && theirs.state.lids.is_empty();
        let (off_lf, off_epc) = (
            taken_off(event.old_lf.as_ref(), event.lf.as_ref()),
            taken_off(event.old_epc.as_ref(), event.epc.as_ref()),
        );
        let clash = both_wear(mine.worn(TagKind::Lf), theirs.worn(TagKind::Lf), off_lf)
            || both_wear(mine.worn(TagKind::Epc), theirs.worn(TagKind::Epc), off_epc);
        if by_lid && !clash { Ok(()) } else { Err(two_animals(named, other).into()) }
    }

    /// Checks that the animal may get a new lid: it must not have one of this reader era.
    fn check_new_lid(&self, lid: &str, animal: AnimalId, row: &Animal) -> Result<(), Rejection> {
        let Origin { reader_group, reader_era, .. } = self.origin;
        let own = row.state.lids.iter().find(|own| own.reader_group == *reader_group && own.reader_era == *reader_era);
        let Some(own) = own else { return Ok(()) };
        Err(Rejection::LidOfAnother { lid: lid.to_owned(), tag_animal: animal.0, tag_lid: own.lid.to_string() })
    }

    fn tag_use(
        &self,
        event: &Event,
        kind: TagKind,
        tag: Option<&Tag>,
        owner: Option<AnimalId>,
        wears_one: bool,
    ) -> Result<TagUse, RowsError> {
        let Some(tag) = tag else { return Ok(TagUse::Absent) };
        let Some(owner) = owner else {
            let free = !wears_one || event.kind == EventKind::Repair;
            return Ok(if free { TagUse::Assigned } else { TagUse::Unconfirmed });
        };
        let state = self.animal(owner)?.and_then(|animal| animal.tag(kind, tag.key()).map(|held| held.state));
        Ok(match state {
            Some(TagState::Past) => TagUse::Past,
            _ if event.kind == EventKind::Repair => TagUse::Assigned,
            _ => TagUse::Sighted,
        })
    }

    pub(super) fn lid_owner(&self, event: &Event) -> Result<Option<AnimalId>, RowsError> {
        let Some(lid) = &event.lid else { return Ok(None) };
        let key = reader_key(&self.origin.reader_group, self.origin.reader_era, lid);
        Ok(self.rows.read::<LidOwner>(&key)?.map(|owner| owner.0))
    }

    pub(super) fn tag_owner(&self, kind: TagKind, tag: Option<&Tag>) -> Result<Option<AnimalId>, RowsError> {
        let Some(tag) = tag else { return Ok(None) };
        let Some(TagOwner(owner)) = self.rows.read(&tag_owner_key(kind, tag.key()))? else { return Ok(None) };
        Ok(Some(self.animal(owner)?.and_then(|animal| animal.absorbed_by()).unwrap_or(owner)))
    }
}

/// Returns the animal that lid and old tags name. They must agree.
fn named_animal(event: &Event, leads: &Leads) -> Result<Option<AnimalId>, Rejection> {
    let old_tags = [(leads.old_lf, &event.old_lf), (leads.old_epc, &event.old_epc)];
    if let Some(named) = leads.lid {
        for (owner, tag) in old_tags {
            if let (Some(owner), Some(tag)) = (owner, tag)
                && owner != named
            {
                return Err(Rejection::OldTagOfAnother { tag: tag.text().to_owned(), named: named.0, owner: owner.0 });
            }
        }
        return Ok(Some(named));
    }
    match (leads.old_lf, leads.old_epc) {
        (Some(by_lf), Some(by_epc)) if by_lf != by_epc => Err(two_animals(by_lf, by_epc)),
        (by_lf, by_epc) => Ok(by_lf.or(by_epc)),
    }
}

fn two_animals(first: AnimalId, second: AnimalId) -> Rejection {
    Rejection::TagsOfTwoAnimals { first: first.0.min(second.0), second: first.0.max(second.0) }
}

/// Returns the tag that a repair takes off. A tag that it puts on again stays.
fn taken_off<'a>(old: Option<&'a Tag>, new: Option<&Tag>) -> Option<&'a Tag> {
    old.filter(|old| new.is_none_or(|new| new.key() != old.key()))
}

/// Returns whether both wear a tag of this kind, and the event does not take off `mine`.
fn both_wear(mine: Option<&Tag>, theirs: Option<&Tag>, off: Option<&Tag>) -> bool {
    match (mine, theirs) {
        (Some(mine), Some(_)) => off.is_none_or(|off| off.key() != mine.key()),
        _ => false,
    }
}
