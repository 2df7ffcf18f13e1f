//! Animals as they are shown.

use super::QueryError;
use super::tag_view::{OtherTagView, TagView};
use crate::change::{AnimalId, BatchId};
use crate::clock::iso_utc;
use crate::fold::{KeyRange, Rows, decode};
use crate::payload::{Traits, kilograms};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{
    Animal, AnimalStatus, AnimalTag, Batch, LidName, Membership, Table, TagState, after_prefix, number_key, tag_kind_in,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many past and unconfirmed tags of an animal are shown; all of them stand in its history.
pub const MAX_TAGS_SHOWN: usize = 64;
/// How many of an animal's batches are looked at to find when it was first seen: one absorbed from a tag-only animal
/// has the earliest id, and it is among the first.
const FIRST_MEMBERSHIPS: usize = 4;

/// A batch by its id and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchName {
    /// Which.
    pub id: BatchId,
    /// What the readers call it.
    pub batch_number: String,
}

/// One head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnimalView {
    /// Which.
    pub id: AnimalId,
    /// The animal that was asked for, where it turned out to be this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<AnimalId>,
    /// Where it is in its life.
    pub status: AnimalStatus,
    /// Its lids: one for each reader era, more only where an operator merged two animals.
    pub lids: Vec<LidName>,
    /// The LF tag it wears.
    pub lf: Option<TagView>,
    /// The UHF tag it wears.
    pub epc: Option<TagView>,
    /// Tags read beside its own and never confirmed; at most [`MAX_TAGS_SHOWN`] with the past ones.
    pub unconfirmed_tags: Vec<OtherTagView>,
    /// Tags that it wore.
    pub past_tags: Vec<OtherTagView>,
    /// The last weight, decimal kilograms.
    pub weight_kg: Option<String>,
    /// The change that brought it.
    pub weighed_by: Option<Sequence>,
    /// Funder, pen, sex and the rest, as last said.
    pub traits: Traits,
    /// The barn batch that it is in.
    pub barn_batch: Option<BatchName>,
    /// The export batch that it last left in.
    pub export_batch: Option<BatchName>,
    /// The change that made it active again after an export.
    pub returned: Option<Sequence>,
    /// When it was first seen, ISO 8601 in UTC.
    pub first_seen: Option<String>,
    /// When it was last seen, ISO 8601 in UTC.
    pub last_seen: String,
    /// The change that it was last seen by: the start of its history.
    pub last: Sequence,
}

/// The numbers of batches that were looked up for one page.
#[derive(Debug, Default)]
pub(super) struct BatchNames(BTreeMap<BatchId, Option<BatchName>>);

impl BatchNames {
    pub(super) fn name(&mut self, of: &Snapshot, id: BatchId) -> Result<Option<BatchName>, QueryError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let batch: Option<Batch> = of.read(Table::Batches, &number_key(id.0))?;
        let name = batch.map(|batch| BatchName { id, batch_number: batch.number });
        self.0.insert(id, name.clone());
        Ok(name)
    }

    fn name_if(&mut self, of: &Snapshot, id: Option<BatchId>) -> Result<Option<BatchName>, QueryError> {
        id.map_or(Ok(None), |id| self.name(of, id))
    }
}

/// What the rows of one animal's tags say.
#[derive(Default)]
struct OtherTags {
    past: Vec<OtherTagView>,
    unconfirmed: Vec<OtherTagView>,
    earliest: Option<Sequence>,
}

impl Snapshot {
    pub(super) fn animal_view(
        &self,
        id: AnimalId,
        animal: Animal,
        names: &mut BatchNames,
    ) -> Result<AnimalView, QueryError> {
        let tags = self.other_tags(id)?;
        let made_by = Sequence(id.0);
        let told = [tags.earliest, self.first_joined(id)?].into_iter().flatten().min();
        // An event that was voided showed nobody, even if the animal bears its number.
        let first = match told {
            Some(told) if self.afterwards(made_by)?.told_by(made_by) != Some(made_by) => told,
            told => told.map_or(made_by, |told| told.min(made_by)),
        };
        Ok(AnimalView {
            id,
            absorbed: None,
            status: animal.status,
            lids: animal.lids,
            lf: animal.lf.as_ref().map(TagView::from),
            epc: animal.epc.as_ref().map(TagView::from),
            unconfirmed_tags: tags.unconfirmed,
            past_tags: tags.past,
            weight_kg: animal.weight_g.map(kilograms),
            weighed_by: animal.weight_g.map(|_| animal.weighed),
            traits: animal.traits,
            barn_batch: names.name_if(self, animal.barn_batch)?,
            export_batch: names.name_if(self, animal.export_batch)?,
            returned: animal.returned,
            first_seen: self.happened_at(first)?,
            last_seen: iso_utc(animal.last_at_us),
            last: animal.last,
        })
    }

    fn other_tags(&self, animal: AnimalId) -> Result<OtherTags, QueryError> {
        let from = number_key(animal.0);
        let to = after_prefix(&from);
        let mut tags = OtherTags::default();
        // The two that it wears stand among them.
        let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: MAX_TAGS_SHOWN + 2 };
        for (key, value) in self.range(Table::AnimalTags, range)? {
            let row: AnimalTag = decode(Table::AnimalTags, &key, &value)?;
            let kind = tag_kind_in(&key);
            tags.earliest = Some(tags.earliest.map_or(row.since, |earliest| earliest.min(row.since)));
            match row.state {
                TagState::Current => {}
                TagState::Past => tags.past.push(OtherTagView::new(kind, &row)),
                TagState::Unconfirmed => tags.unconfirmed.push(OtherTagView::new(kind, &row)),
            }
        }
        Ok(tags)
    }

    fn first_joined(&self, animal: AnimalId) -> Result<Option<Sequence>, QueryError> {
        let from = number_key(animal.0);
        let to = after_prefix(&from);
        let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: FIRST_MEMBERSHIPS };
        let mut first: Option<Sequence> = None;
        for (key, value) in self.range(Table::Memberships, range)? {
            let membership: Membership = decode(Table::Memberships, &key, &value)?;
            first = Some(first.map_or(membership.joined, |first| first.min(membership.joined)));
        }
        Ok(first)
    }
}
