//! Questions about animals.

use super::animal_view::BatchNames;
use super::{AnimalView, Page, PageLimit, QueryError};
use crate::change::AnimalId;
use crate::fold::{KeyRange, Rows, decode};
use crate::payload::Tag;
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{
    Animal, AnimalStatus, MAX_SUCCESSORS, Table, TagKind, after_key, number_in, number_key, reader_key, sequence_key,
    tag_owner_key,
};

/// The reader group whose lids are searched: the default of every radio and key.
const MAIN_READERS: &str = "main";
/// So many reader eras are searched for a lid, the present one first.
const ERAS_SEARCHED: u32 = 64;

impl Snapshot {
    /// Animals in the order of their ids, from above the id `after`; without those that turned out to be others or never
    /// were.
    pub fn animals(&self, after: Option<AnimalId>, limit: PageLimit) -> Result<Page<AnimalView>, QueryError> {
        self.listed(after, limit, None)
    }

    /// The animals that there were at the change `through`, in the same order, each as it is now. One that turned out
    /// to be another since is told as that other, which then says so in `absorbed`: in a walk over pages of different
    /// moments none is lost.
    pub fn animals_through(
        &self,
        through: Sequence,
        after: Option<AnimalId>,
        limit: PageLimit,
    ) -> Result<Page<AnimalView>, QueryError> {
        self.listed(after, limit, Some(through))
    }

    fn listed(
        &self,
        after: Option<AnimalId>,
        limit: PageLimit,
        through: Option<Sequence>,
    ) -> Result<Page<AnimalView>, QueryError> {
        let mut names = BatchNames::default();
        let mut from = after.map_or_else(Vec::new, |animal| after_key(&number_key(animal.0)));
        // An animal's id is the sequence of the change that made it.
        let to = through.map(|through| after_key(&sequence_key(through)));
        let mut found = Vec::with_capacity(limit.entries());
        let mut seen_rows = 0;
        while found.len() < limit.entries() && seen_rows < limit.rows() {
            let wanted = limit.entries() - found.len();
            let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: wanted };
            let rows = self.range(Table::Animals, range)?;
            let is_end = rows.len() < wanted;
            seen_rows += rows.len();
            for (key, value) in rows {
                let animal = decode(Table::Animals, &key, &value)?;
                found.extend(self.listed_animal(&key, animal, through, &mut names)?);
                from = after_key(&key);
            }
            if is_end {
                return Ok(Page::end(found));
            }
        }
        let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: 1 };
        let is_more = !self.range(Table::Animals, range)?.is_empty();
        Ok(Page { data: found, next: number_in(&from).filter(|_| is_more) })
    }

    fn listed_animal(
        &self,
        key: &[u8],
        animal: Animal,
        through: Option<Sequence>,
        names: &mut BatchNames,
    ) -> Result<Option<AnimalView>, QueryError> {
        let id = AnimalId(number_in(key).unwrap_or_default());
        match (animal.absorbed_by, through) {
            (None, _) if animal.status == AnimalStatus::Voided => Ok(None),
            (None, _) => self.animal_view(id, animal, names).map(Some),
            (Some(_), Some(through)) if animal.last > through => self.animal(id),
            (Some(_), _) => Ok(None),
        }
    }

    /// The animal with this id, or the one that it turned out to be, which then says so in `absorbed`.
    pub fn animal(&self, id: AnimalId) -> Result<Option<AnimalView>, QueryError> {
        let Some((found, animal)) = self.animal_row(id)? else { return Ok(None) };
        let mut view = self.animal_view(found, animal, &mut BatchNames::default())?;
        view.absorbed = Some(id).filter(|asked| *asked != found);
        Ok(Some(view))
    }

    /// The animal's row, or that of the one that it turned out to be.
    pub(super) fn animal_row(&self, id: AnimalId) -> Result<Option<(AnimalId, Animal)>, QueryError> {
        let mut id = id;
        for _ in 0..MAX_SUCCESSORS {
            let Some(animal) = self.read::<Animal>(Table::Animals, &number_key(id.0))? else { return Ok(None) };
            match animal.absorbed_by {
                Some(successor) => id = successor,
                None => return Ok(Some((id, animal))),
            }
        }
        Ok(None)
    }

    /// The animal that wears or wore the tag of this text, in whichever way it is written; else the one with this lid
    /// among the readers of the group `main`, the present era before earlier ones.
    pub fn find_animal(&self, text: &str) -> Result<Option<AnimalView>, QueryError> {
        if let Some(tag) = Tag::new(text) {
            for kind in [TagKind::Lf, TagKind::Epc] {
                let owner: Option<AnimalId> = self.read(Table::TagOwners, &tag_owner_key(kind, tag.key()))?;
                if let Some(owner) = owner {
                    return self.found(owner);
                }
            }
        }
        let era: u32 = self.read(Table::ReaderEras, MAIN_READERS.as_bytes())?.unwrap_or(1);
        for era in (era.saturating_sub(ERAS_SEARCHED)..=era).rev() {
            let owner: Option<AnimalId> = self.read(Table::Lids, &reader_key(MAIN_READERS, era, text.trim()))?;
            if let Some(owner) = owner {
                return self.found(owner);
            }
        }
        Ok(None)
    }

    /// As [`Snapshot::animal`], for an id that the asker did not name.
    fn found(&self, id: AnimalId) -> Result<Option<AnimalView>, QueryError> {
        Ok(self.animal(id)?.map(|animal| AnimalView { absorbed: None, ..animal }))
    }
}
