//! View of an animal.

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

/// Maximum number of past and unconfirmed tags on a view. The history of the animal has all of them.
pub const MAX_TAGS_SHOWN: usize = 64;
/// Maximum number of an animal's batches that are read to find when it was first seen. A batch that came from an
/// absorbed, tag-only animal has an early id, so it is among the first.
const MAX_MEMBERSHIPS_READ: usize = 4;

/// Id and number of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchName {
    /// Id of the batch.
    pub id: BatchId,
    /// Number that the readers use for it.
    pub batch_number: String,
}

/// An animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnimalView {
    /// Id of the animal.
    pub id: AnimalId,
    /// Requested animal, if it was merged into this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<AnimalId>,
    /// Current status.
    pub status: AnimalStatus,
    /// Lids: one per reader era, or more if an operator merged two animals.
    pub lids: Vec<LidName>,
    /// Current LF tag.
    pub lf: Option<TagView>,
    /// Current UHF tag.
    pub epc: Option<TagView>,
    /// Tags that were read together with its own but never confirmed. With the past tags, at most [`MAX_TAGS_SHOWN`].
    pub unconfirmed_tags: Vec<OtherTagView>,
    /// Tags that it used to wear.
    pub past_tags: Vec<OtherTagView>,
    /// Latest weight, in decimal kilograms.
    pub weight_kg: Option<String>,
    /// Change that recorded the weight.
    pub weighed_by: Option<Sequence>,
    /// Latest values of funder, pen, sex and the other traits.
    pub traits: Traits,
    /// Current barn batch.
    pub barn_batch: Option<BatchName>,
    /// Export batch in which it last left.
    pub export_batch: Option<BatchName>,
    /// Change that made it active again after an export.
    pub returned: Option<Sequence>,
    /// First sighting, ISO 8601 in UTC.
    pub first_seen: Option<String>,
    /// Latest sighting, ISO 8601 in UTC.
    pub last_seen: String,
    /// Latest change of the animal, at which its history starts.
    pub last: Sequence,
}

/// Cache of the batch names on one page.
#[derive(Debug, Default)]
pub(super) struct BatchNames(BTreeMap<BatchId, Option<BatchName>>);

impl BatchNames {
    /// Returns the name of a batch, or `None` if there is no such batch.
    pub(super) fn name(&mut self, snapshot: &Snapshot, id: BatchId) -> Result<Option<BatchName>, QueryError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let batch: Option<Batch> = snapshot.read(Table::Batches, &number_key(id.0))?;
        let name = batch.map(|batch| BatchName { id, batch_number: batch.number });
        self.0.insert(id, name.clone());
        Ok(name)
    }

    fn name_if(&mut self, snapshot: &Snapshot, id: Option<BatchId>) -> Result<Option<BatchName>, QueryError> {
        id.map_or(Ok(None), |id| self.name(snapshot, id))
    }
}

/// Tags of an animal other than its current ones.
#[derive(Default)]
struct OtherTags {
    past: Vec<OtherTagView>,
    unconfirmed: Vec<OtherTagView>,
    /// Earliest change among all its tags, including the current ones.
    earliest: Option<Sequence>,
}

impl Snapshot {
    /// Makes the view of the animal with this id and row.
    pub(super) fn animal_view(
        &self,
        id: AnimalId,
        animal: Animal,
        names: &mut BatchNames,
    ) -> Result<AnimalView, QueryError> {
        let tags = self.other_tags(id)?;
        let created_by = Sequence(id.0);
        let evidence = [tags.earliest, self.first_joined(id)?].into_iter().flatten().min();
        // A voided event is not a sighting, even if the animal was created by it and has its number.
        let first = match evidence {
            Some(evidence) if self.amendments(created_by)?.event_change(created_by) != Some(created_by) => evidence,
            evidence => evidence.map_or(created_by, |evidence| evidence.min(created_by)),
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

    /// Reads the past and unconfirmed tags of an animal.
    fn other_tags(&self, animal: AnimalId) -> Result<OtherTags, QueryError> {
        let from = number_key(animal.0);
        let to = after_prefix(&from);
        let mut tags = OtherTags::default();
        // The rows include the two current tags.
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

    /// Returns the earliest change that brought an animal into a batch.
    fn first_joined(&self, animal: AnimalId) -> Result<Option<Sequence>, QueryError> {
        let from = number_key(animal.0);
        let to = after_prefix(&from);
        let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: MAX_MEMBERSHIPS_READ };
        let mut first: Option<Sequence> = None;
        for (key, value) in self.range(Table::Memberships, range)? {
            let membership: Membership = decode(Table::Memberships, &key, &value)?;
            first = Some(first.map_or(membership.joined, |first| first.min(membership.joined)));
        }
        Ok(first)
    }
}
