//! View of an animal.

use super::QueryError;
use super::tag_view::{OtherTagView, TagView};
use crate::change::{AnimalId, BatchId};
use crate::clock::WallTime;
use crate::fold::Rows;
use crate::payload::{Grams, Traits};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{Animal, AnimalStatus, Batch, LidName, TagKind, TagState, number_key};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Not;

/// Maximum number of past and unconfirmed tags on a view. The history of the animal has all of them.
pub const MAX_TAGS_SHOWN: usize = 64;

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
    /// Latest weight.
    pub weight_kg: Option<Grams>,
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
    /// First sighting, ISO 8601 in UTC; `None` if the barn's clock had never been set, or if its change cannot be read.
    pub first_seen: Option<String>,
    /// Latest sighting, as `first_seen`.
    pub last_seen: Option<String>,
    /// `true` if the barn's clock followed no time source at the first sighting.
    #[serde(skip_serializing_if = "Not::not")]
    pub first_seen_doubtful: bool,
    /// The same for the latest sighting.
    #[serde(skip_serializing_if = "Not::not")]
    pub last_seen_doubtful: bool,
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
        let batch: Option<Batch> = snapshot.read(&number_key(id.0))?;
        let name = batch.map(|batch| BatchName { id, batch_number: batch.state.number.into() });
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
}

impl Snapshot {
    /// Makes the view of the animal with this id and row.
    pub(super) fn animal_view(
        &self,
        id: AnimalId,
        animal: Animal,
        names: &mut BatchNames,
    ) -> Result<AnimalView, QueryError> {
        let first_seen = self.first_sighting(id, &animal)?.map(|first| first.at);
        let tags = OtherTags::of(&animal);
        let [lf, epc] = [TagKind::Lf, TagKind::Epc].map(|kind| animal.worn(kind).map(|tag| TagView::new(kind, tag)));
        let Animal { last, state: animal, .. } = animal;
        Ok(AnimalView {
            id,
            absorbed: None,
            status: animal.status,
            lids: animal.lids,
            lf,
            epc,
            unconfirmed_tags: tags.unconfirmed,
            past_tags: tags.past,
            weight_kg: animal.weight_g.map(Grams),
            weighed_by: animal.weight_g.map(|_| animal.weighed),
            traits: animal.traits,
            barn_batch: names.name_if(self, animal.barn_batch)?,
            export_batch: names.name_if(self, animal.export_batch)?,
            returned: animal.returned,
            first_seen: first_seen.and_then(WallTime::iso_utc),
            last_seen: animal.last_seen.iso_utc(),
            first_seen_doubtful: first_seen.is_some_and(|first| !first.synchronized),
            last_seen_doubtful: !animal.last_seen.synchronized,
            last,
        })
    }
}

impl OtherTags {
    fn of(animal: &Animal) -> Self {
        let mut tags = Self::default();
        // The tags include the two current ones.
        for held in animal.state.tags.iter().take(MAX_TAGS_SHOWN + 2) {
            match held.state {
                TagState::Current => {}
                TagState::Past => tags.past.push(OtherTagView::from(held)),
                TagState::Unconfirmed => tags.unconfirmed.push(OtherTagView::from(held)),
            }
        }
        tags
    }
}
