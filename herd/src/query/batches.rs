//! Queries about batches.

use super::animal_view::BatchNames;
use super::batch_view::{BatchTraitValues, BatchView, MAX_OTHER_BATCHES, NumberedBatch, OtherBatch};
use super::page::cut;
use super::{AnimalView, Page, PageLimit, QueryError};
use crate::change::{AnimalId, BatchId, HeldMembership};
use crate::fold::{KeyRange, Rows, decode};
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{
    Animal, Batch, Key, LatestBatch, Table, after_key, after_prefix, latest_batch_key, number_at_end, number_key,
    pair_key,
};
use crate::text::Text;
use serde::Serialize;

/// Current or former member of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberView {
    /// The animal.
    #[serde(flatten)]
    pub animal: AnimalView,
    /// Change that brought it in.
    pub joined: Sequence,
    /// Change that took it out.
    pub left: Option<Sequence>,
}

impl Snapshot {
    /// Returns batches, latest opened first, with ids below `before`.
    pub fn batches(&self, before: Option<BatchId>, limit: PageLimit) -> Result<Page<BatchView>, QueryError> {
        let found = self.batches_below(before, limit.entries() + 1)?;
        Ok(cut(found, limit, |batch| batch.id.0))
    }

    /// Returns open batches, latest opened first, with ids below `before`.
    pub fn open_batches(&self, before: Option<BatchId>, limit: PageLimit) -> Result<Page<BatchView>, QueryError> {
        self.batches_where(before, limit, |batch| batch.open)
    }

    /// Returns batches of one source, latest opened first, with ids below `before`.
    pub fn batches_by_source(
        &self,
        source: SourceType,
        before: Option<BatchId>,
        limit: PageLimit,
    ) -> Result<Page<BatchView>, QueryError> {
        self.batches_where(before, limit, |batch| batch.source_type == source.as_str())
    }

    /// Lists the batches that pass a filter. Reads at most [`PageLimit::rows`] batches for one page.
    fn batches_where(
        &self,
        before: Option<BatchId>,
        limit: PageLimit,
        is_listed: impl Fn(&BatchView) -> bool,
    ) -> Result<Page<BatchView>, QueryError> {
        let read = self.batches_below(before, limit.rows())?;
        let last_read = read.last().filter(|_| read.len() == limit.rows()).map(|batch| batch.id.0);
        let mut found: Vec<_> = read.into_iter().filter(is_listed).collect();
        if found.len() > limit.entries() {
            found.truncate(limit.entries() + 1);
            return Ok(cut(found, limit, |batch| batch.id.0));
        }
        Ok(Page { data: found, next: last_read })
    }

    /// Reads batches with ids below `before`, latest first.
    fn batches_below(&self, before: Option<BatchId>, limit: usize) -> Result<Vec<BatchView>, QueryError> {
        let to = before.map(|id| number_key(id.0));
        let rows = self.range(Table::Batches, KeyRange { from: &[], to: to.as_deref(), backwards: true, limit })?;
        let view = |(key, value): (Key, Vec<u8>)| Ok(BatchView::new(decode(&key, &value)?));
        rows.into_iter().map(view).collect()
    }

    /// Returns the batch with this id.
    pub fn batch(&self, id: BatchId) -> Result<Option<BatchView>, QueryError> {
        Ok(self.batch_row(id)?.map(BatchView::new))
    }

    fn batch_row(&self, id: BatchId) -> Result<Option<Batch>, QueryError> {
        Ok(self.read(&number_key(id.0))?)
    }

    fn latest_batch(&self, source: SourceType, number: &str) -> Result<Option<BatchId>, QueryError> {
        Ok(self.read::<LatestBatch>(&latest_batch_key(source, number))?.map(|latest| latest.0))
    }

    /// Returns the batch that this number refers to: the open barn batch, or else the one opened last.
    pub fn batch_by_number(&self, number: &str) -> Result<Option<NumberedBatch>, QueryError> {
        let barn = self.latest_batch(SourceType::Hxb, number)?;
        let barn = barn.map(|id| self.batch(id)).transpose()?.flatten().filter(|batch| batch.open);
        let mut same_number = self.batches_of_number(number, MAX_OTHER_BATCHES + 1)?;
        let batch = match barn {
            Some(barn) => barn,
            None if same_number.is_empty() => return Ok(None),
            None => same_number.remove(0),
        };
        Ok(Some(with_others(batch, same_number)))
    }

    /// Returns the batch with this id, and the other batches with its number.
    pub fn batch_with_others(&self, id: BatchId) -> Result<Option<NumberedBatch>, QueryError> {
        let Some(batch) = self.batch(id)? else { return Ok(None) };
        let same_number = self.batches_of_number(&batch.batch_number, MAX_OTHER_BATCHES + 1)?;
        Ok(Some(with_others(batch, same_number)))
    }

    /// Returns the batches with this number, latest opened first.
    fn batches_of_number(&self, number: &str, limit: usize) -> Result<Vec<BatchView>, QueryError> {
        // Each batch names the one before of its source and number, so that two lists are merged.
        let mut next = [self.latest_batch(SourceType::Hxb, number)?, self.latest_batch(SourceType::Hxe, number)?];
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(latest) = next.iter_mut().max().filter(|latest| latest.is_some())
            && let Some(batch) = latest.map(|id| self.batch_row(id)).transpose()?.flatten()
        {
            *latest = batch.before;
            found.push(BatchView::new(batch));
        }
        Ok(found)
    }

    /// Returns the pens, sexes and funders of a batch.
    pub fn batch_traits(&self, id: BatchId) -> Result<BatchTraitValues, QueryError> {
        let texts = |values: Vec<Text>| values.into_iter().map(String::from).collect();
        let values = |Batch { pens, sexes, funders, .. }| BatchTraitValues {
            pens: texts(pens),
            sexes: texts(sexes),
            funders: texts(funders),
        };
        Ok(self.batch_row(id)?.map(values).unwrap_or_default())
    }

    /// Returns the current and former members of a batch by id, starting after `after`.
    pub fn members(
        &self,
        batch: BatchId,
        after: Option<AnimalId>,
        limit: PageLimit,
    ) -> Result<Page<MemberView>, QueryError> {
        let from = pair_key(batch.0, 0);
        let from = after.map_or(from, |animal| after_key(&pair_key(batch.0, animal.0)));
        let to = after_prefix(&number_key(batch.0));
        let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: limit.entries() + 1 };
        let rows = self.range(Table::Members, range)?;
        let ids: Vec<_> = rows.iter().map(|(key, _)| AnimalId(number_at_end(key).unwrap_or_default())).collect();
        let mut names = BatchNames::default();
        let mut members =
            cut(ids, limit, |animal| animal.0).try_map(|animal| self.member(batch, animal, &mut names))?;
        Ok(Page { data: members.data.drain(..).flatten().collect(), next: members.next })
    }

    /// Makes the view of a member, or returns `None` if its row is missing.
    fn member(
        &self,
        batch: BatchId,
        animal: AnimalId,
        names: &mut BatchNames,
    ) -> Result<Option<MemberView>, QueryError> {
        let Some(row) = self.read::<Animal>(&number_key(animal.0))? else { return Ok(None) };
        let Some(held) = row.state.memberships.iter().find(|held| held.batch == batch).copied() else {
            return Ok(None);
        };
        let HeldMembership { joined, left, .. } = held;
        Ok(Some(MemberView { animal: self.animal_view(animal, row, names)?, joined, left }))
    }
}

/// Puts a batch beside the others with its number, from which it is left out.
fn with_others(batch: BatchView, same_number: Vec<BatchView>) -> NumberedBatch {
    let others = same_number
        .into_iter()
        .filter(|other| other.id != batch.id)
        .take(MAX_OTHER_BATCHES)
        .map(|other| OtherBatch { id: other.id, source_type: other.source_type, opened: other.created_at })
        .collect();
    NumberedBatch { batch, others }
}
