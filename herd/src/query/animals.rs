//! Queries about animals.
//!
//! # Decisions
//!
//! - **A full export pins its end, but not its moment.** It lists the animals that existed when it began, each as it is
//!   when its page is read. One moment for all pages would hold a read transaction for as long as the slowest client
//!   reads, and redb reuses no page meanwhile.
//! - **An animal that is merged during such an export is listed as the one that it became**, with its own id in
//!   [`AnimalView::absorbed`]. If it were skipped, it could be missing from all pages.

use super::animal_view::BatchNames;
use super::{AnimalView, Page, PageLimit, QueryError};
use crate::change::AnimalId;
use crate::fold::{KeyRange, Rows, decode};
use crate::payload::Tag;
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{
    Animal, AnimalStatus, Key, LidOwner, ReaderEra, Table, TagKind, TagOwner, after_key, last_successor, number_in,
    number_key, reader_key, sequence_key, tag_owner_key,
};

/// Reader group in which lids are searched. It is the default of every radio and key.
const MAIN_READERS: &str = "main";
/// Number of earlier reader eras in which a lid is searched, after the current one.
const MAX_EARLIER_ERAS: u32 = 64;

impl Snapshot {
    /// Returns animals by id, starting after `after`. Animals that were merged into another or voided are left out.
    pub fn animals(&self, after: Option<AnimalId>, limit: PageLimit) -> Result<Page<AnimalView>, QueryError> {
        self.list_animals(after, limit, None)
    }

    /// Returns the animals that existed at the change `through`, by id, each as it is now.
    ///
    /// An animal that was merged into another since then is listed as that other, with its own id in `absorbed`. So no
    /// animal is lost between pages of different snapshots.
    pub fn animals_through(
        &self,
        through: Sequence,
        after: Option<AnimalId>,
        limit: PageLimit,
    ) -> Result<Page<AnimalView>, QueryError> {
        self.list_animals(after, limit, Some(through))
    }

    fn list_animals(
        &self,
        after: Option<AnimalId>,
        limit: PageLimit,
        through: Option<Sequence>,
    ) -> Result<Page<AnimalView>, QueryError> {
        let mut names = BatchNames::default();
        let mut from = after.map_or_else(Key::new, |animal| after_key(&number_key(animal.0)));
        // The id of an animal is the sequence of the change that created it.
        let to = through.map(|through| after_key(&sequence_key(through)));
        let mut found = Vec::with_capacity(limit.entries());
        let mut rows_read = 0;
        while found.len() < limit.entries() && rows_read < limit.rows() {
            let wanted = limit.entries() - found.len();
            let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: wanted };
            let rows = self.range(Table::Animals, range)?;
            let is_end = rows.len() < wanted;
            rows_read += rows.len();
            for (key, value) in rows {
                let animal = decode(&key, &value)?;
                found.extend(self.list_entry(&key, animal, through, &mut names)?);
                from = after_key(&key);
            }
            if is_end {
                return Ok(Page::last(found));
            }
        }
        let range = KeyRange { from: &from, to: to.as_deref(), backwards: false, limit: 1 };
        let has_more = !self.range(Table::Animals, range)?.is_empty();
        Ok(Page { data: found, next: number_in(&from).filter(|_| has_more) })
    }

    /// Returns the entry of a list for one row, or `None` if the list leaves it out.
    fn list_entry(
        &self,
        key: &[u8],
        animal: Animal,
        through: Option<Sequence>,
        names: &mut BatchNames,
    ) -> Result<Option<AnimalView>, QueryError> {
        let id = AnimalId(number_in(key).unwrap_or_default());
        match (animal.absorbed_by(), through) {
            (None, _) if animal.state.status == AnimalStatus::Voided => Ok(None),
            (None, _) => self.animal_view(id, animal, names).map(Some),
            (Some(_), Some(through)) if animal.last > through => self.animal(id),
            (Some(_), _) => Ok(None),
        }
    }

    /// Returns the animal with this id, or the one that it was merged into, with the requested id in `absorbed`.
    pub fn animal(&self, id: AnimalId) -> Result<Option<AnimalView>, QueryError> {
        let Some((found, animal)) = self.animal_row(id)? else { return Ok(None) };
        let mut view = self.animal_view(found, animal, &mut BatchNames::default())?;
        view.absorbed = Some(id).filter(|requested| *requested != found);
        Ok(Some(view))
    }

    /// Returns the row of an animal, or of the one that it was merged into, with its id.
    pub(super) fn animal_row(&self, id: AnimalId) -> Result<Option<(AnimalId, Animal)>, QueryError> {
        let mut row = None;
        let absorbed_by = |id: AnimalId| -> Result<_, QueryError> {
            row = self.read::<Animal>(&number_key(id.0))?;
            Ok(row.as_ref().and_then(Animal::absorbed_by))
        };
        Ok(last_successor(id, absorbed_by)?.zip(row))
    }

    /// Returns the animal that wears or wore this tag, in any spelling of it.
    ///
    /// If there is none, `text` is taken as a lid of the reader group `main`. The current reader era is searched first,
    /// then earlier ones.
    pub fn find_animal(&self, text: &str) -> Result<Option<AnimalView>, QueryError> {
        for kind in [TagKind::Lf, TagKind::Epc] {
            if let Ok(Some(tag)) = Tag::read(kind, text)
                && let Some(TagOwner(owner)) = self.read(&tag_owner_key(kind, tag.key()))?
            {
                return self.current_animal(owner);
            }
        }
        let era = self.read::<ReaderEra>(&MAIN_READERS.into())?.map_or(1, |era| era.0);
        for era in (era.saturating_sub(MAX_EARLIER_ERAS)..=era).rev() {
            if let Some(LidOwner(owner)) = self.read(&reader_key(MAIN_READERS, era, text.trim()))? {
                return self.current_animal(owner);
            }
        }
        Ok(None)
    }

    /// Same as [`Snapshot::animal`], but leaves `absorbed` empty, because the caller did not name the id.
    fn current_animal(&self, id: AnimalId) -> Result<Option<AnimalView>, QueryError> {
        Ok(self.animal(id)?.map(|animal| AnimalView { absorbed: None, ..animal }))
    }
}
