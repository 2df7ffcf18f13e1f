//! Building a catalog, and bringing it up to date.
//!
//! The log is read a page at a time, each with a snapshot of its own, so that a long build does not keep redb from reusing
//! pages. The entries are made at the end, of the snapshot whose tables end where the reading did.

use super::facts::{FactKind, NewFact};
use super::{Catalog, CatalogError};
use crate::change::{Change, Corrected, Correction, MoveResult, Origin, Outcome, PlacedEvent, WeighingTime};
use crate::clock::WallTime;
use crate::fold::{KeyRange, Rows, decode};
use crate::payload::EventKind;
use crate::position::Sequence;
use crate::store::{Reader, Snapshot, StoreError};
use crate::tables::{Animal, Key, Table, after_key, number_in, number_key};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Maximum number of changes that are read with one snapshot.
const PAGE_CHANGES: u64 = 10_000;
/// Maximum number of bytes of changes that are read with one snapshot.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Number of animals that are read from the tables at once.
const PAGE_ROWS: usize = 1_000;

/// Progress of a build, or of catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogProgress {
    /// Changes and animals that were read.
    pub done: u64,
    /// Changes and animals that are to be read.
    pub of: u64,
}

impl CatalogProgress {
    /// Returns the part that is done, in percent.
    pub fn percent(self) -> u64 {
        (self.done.min(self.of) * 100).checked_div(self.of).unwrap_or(0)
    }
}

/// Called after each step. `Break` ends the building with [`CatalogError::Canceled`].
pub type Watch<'a> = &'a mut dyn FnMut(CatalogProgress) -> ControlFlow<()>;

/// The animals that changes have touched.
#[derive(Debug, Default)]
struct TouchedAnimals {
    ids: BTreeSet<u64>,
    /// A part of the log could not be read, so any animal may be.
    is_unknown: bool,
}

impl TouchedAnimals {
    fn add(&mut self, change: &Change) {
        self.ids.extend(change.previous().iter().map(|(animal, _)| animal.0));
        if let Some(states) = change.states() {
            self.ids.extend(states.animals.iter().map(|state| state.animal.0));
        }
        let event = match change {
            Change::Received(received) => match &received.outcome {
                Outcome::Accepted(accepted) => Some(&**accepted),
                Outcome::Rejected(_) => None,
            },
            later => later.late_event().map(|late| &late.accepted),
        };
        if let Some(event) = event {
            self.ids.extend([Some(event.animal), event.absorbed].into_iter().flatten().map(|animal| animal.0));
        }
    }
}

/// An event of a payload, as a change makes it.
struct EventOf<'a> {
    by: Sequence,
    /// The change that holds the payload.
    of: Sequence,
    at: WallTime,
    origin: &'a Origin,
    event: &'a PlacedEvent,
}

impl Catalog {
    /// Builds the catalog of a store.
    pub fn build(reader: &Reader, watch: Watch<'_>) -> Result<Self, CatalogError> {
        let mut catalog = Self::empty(reader.store());
        catalog.advance(reader, true, watch)?;
        catalog.order_all();
        Ok(catalog)
    }

    /// Brings the catalog to the current tables of a store, in steps. If this fails, the catalog must be built anew.
    pub fn catch_up(&mut self, reader: &Reader, watch: Watch<'_>) -> Result<(), CatalogError> {
        if self.lag(&reader.snapshot()?)?.is_none() {
            return Err(CatalogError::OtherHistory);
        }
        self.advance(reader, false, watch)
    }

    /// Brings the catalog to the tables of a snapshot. If this fails, the catalog must be built anew.
    pub fn follow(&mut self, snapshot: &Snapshot) -> Result<(), CatalogError> {
        match self.lag(snapshot)? {
            None => return Err(CatalogError::OtherHistory),
            Some(0) => return Ok(()),
            Some(_) => {}
        }
        let (through, mut touched) = (snapshot.folded()?, TouchedAnimals::default());
        while self.at.sequence < through {
            self.read_page(snapshot, through, &mut touched)?;
        }
        self.refresh(snapshot, &touched, &mut |_| ControlFlow::Continue(()))
    }

    fn advance(&mut self, reader: &Reader, refreshes_all: bool, watch: Watch<'_>) -> Result<(), CatalogError> {
        let mut touched = TouchedAnimals::default();
        loop {
            let snapshot = reader.snapshot()?;
            let through = snapshot.folded()?;
            if self.at.sequence < through {
                self.read_page(&snapshot, through, &mut touched)?;
                let done = self.at.sequence.0;
                tell(watch, CatalogProgress { done, of: through.0 + self.columns.len() as u64 })?;
            }
            touched.is_unknown |= refreshes_all;
            if refreshes_all {
                touched.ids.clear();
            }
            if self.at.sequence >= through {
                return self.refresh(&snapshot, &touched, watch);
            }
        }
    }

    /// Reads the next changes of the log, up to `through`.
    fn read_page(
        &mut self,
        snapshot: &Snapshot,
        through: Sequence,
        touched: &mut TouchedAnimals,
    ) -> Result<(), CatalogError> {
        let after = self.at.sequence;
        let wanted = through.0.saturating_sub(after.0).min(PAGE_CHANGES);
        let read = snapshot.changes_after(after, usize::try_from(wanted).unwrap_or(usize::MAX), PAGE_BYTES);
        let (changes, end) = match read {
            Err(StoreError::DamagedLog { row, .. }) => {
                touched.is_unknown = true;
                return self.skip(snapshot, row.last.max(after.next()).min(through));
            }
            read => read?,
        };
        let Some(end) = end else { return self.skip(snapshot, through) };
        for (sequence, bytes) in changes.numbered(after) {
            match Change::from_bytes(bytes) {
                Ok(change) => self.add_change(snapshot, sequence, &change, touched)?,
                Err(_) => self.unread += 1,
            }
        }
        self.at = end;
        Ok(())
    }

    /// Goes on after changes that cannot be read.
    fn skip(&mut self, snapshot: &Snapshot, last: Sequence) -> Result<(), CatalogError> {
        let end = snapshot.position_at(last)?.ok_or(CatalogError::OtherHistory)?;
        self.unread += end.sequence.0.saturating_sub(self.at.sequence.0);
        self.at = end;
        Ok(())
    }

    /// Adds what a change records.
    fn add_change(
        &mut self,
        snapshot: &Snapshot,
        sequence: Sequence,
        change: &Change,
        touched: &mut TouchedAnimals,
    ) -> Result<(), CatalogError> {
        touched.add(change);
        if may_move_events(change) {
            let mut moved = TouchedAnimals::default();
            moved.add(change);
            self.voided.append(&mut moved.ids);
        }
        match change {
            Change::Received(received) => {
                self.reads.receive(sequence, received);
                if let Outcome::Accepted(event) = &received.outcome {
                    let (at, origin) = (received.clock.wall(), &received.origin);
                    self.add_event(&EventOf { by: sequence, of: sequence, at, origin, event })?;
                }
            }
            Change::Corrected(corrected) => self.add_correction(snapshot, sequence, corrected)?,
            Change::EraMove(step) => {
                if let Some(payload) = step.moved_payload()
                    && matches!(payload.result, MoveResult::Voided(_))
                {
                    self.reads.void(snapshot, payload.of)?;
                }
            }
            Change::Reprocessed(_) | Change::Suppressed(_) | Change::Epoch(_) => {}
        }
        let Some(late) = change.late_event() else { return Ok(()) };
        self.reads.accept(snapshot, late)?;
        let (at, origin, event) = (late.received.wall(), &late.origin, &late.accepted);
        self.add_event(&EventOf { by: sequence, of: late.of, at, origin, event })
    }

    fn add_event(&mut self, added: &EventOf<'_>) -> Result<(), CatalogError> {
        let EventOf { by, of, at, origin, event, .. } = *added;
        let era = self.readers.entry(origin.reader_group.clone()).or_default();
        *era = (*era).max(origin.reader_era);
        // In the order of the log, which is that of ids.
        self.place(event.animal.0)?;
        let weight = event.event.weight.grams().map(FactKind::Weighed);
        let export = (event.event.kind == EventKind::Export).then_some(FactKind::Exported);
        // An animal that the event absorbed has it through the one that absorbed it, for as long as they are one.
        let mut kinds = [weight, export].into_iter().flatten();
        kinds.try_for_each(|kind| self.add_fact(event.animal.0, NewFact { by, of, at, kind }))
    }

    fn add_fact(&mut self, animal: u64, new: NewFact) -> Result<(), CatalogError> {
        let place = self.place(animal)?;
        let last = &mut self.columns.facts[place];
        *last = self.facts.add(place, new, *last);
        Ok(())
    }

    fn add_correction(
        &mut self,
        snapshot: &Snapshot,
        sequence: Sequence,
        corrected: &Corrected,
    ) -> Result<(), CatalogError> {
        self.corrections.push((sequence, corrected.clock.received_at_us));
        match &corrected.correction {
            Correction::Void { sequence: of } => self.reads.void(snapshot, *of)?,
            Correction::Weigh { weight_g, when, .. } => {
                let at = match when {
                    WeighingTime::At(at_us) => WallTime { at_us: *at_us, synchronized: true },
                    WeighingTime::Now | WeighingTime::InsteadOf(_) => corrected.clock.wall(),
                };
                let replaces = matches!(when, WeighingTime::InsteadOf(_));
                let kind = FactKind::WeighedByHand { weight_g: *weight_g, replaces };
                for (animal, _) in &corrected.previous {
                    self.add_fact(animal.0, NewFact { by: sequence, of: sequence, at, kind })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes the entries of the animals that were touched anew.
    fn refresh(&mut self, snapshot: &Snapshot, touched: &TouchedAnimals, watch: Watch<'_>) -> Result<(), CatalogError> {
        if touched.is_unknown {
            self.refresh_all(snapshot, watch)?;
        } else {
            self.refresh_some(snapshot, &touched.ids)?;
        }
        self.fold_digest = snapshot.state()?.fold_digest;
        Ok(())
    }

    fn refresh_some(&mut self, snapshot: &Snapshot, ids: &BTreeSet<u64>) -> Result<(), CatalogError> {
        // An animal that was separated from another changes that other, and one that was merged its successor.
        let mut wanted: BTreeSet<u64> = ids.iter().map(|id| self.merges.successor(*id)).collect();
        for id in ids {
            let row = snapshot.shared::<Animal>(&number_key(*id))?;
            self.merges.set(*id, row.and_then(|row| row.absorbed_by()).map(|into| into.0));
        }
        wanted.extend(ids.iter().map(|id| self.merges.successor(*id)));
        wanted.extend(ids);
        wanted.into_iter().try_for_each(|id| self.refresh_entry(snapshot, id))
    }

    /// Makes all entries anew.
    fn refresh_all(&mut self, snapshot: &Snapshot, watch: Watch<'_>) -> Result<(), CatalogError> {
        let changes = self.at.sequence.0;
        let mut from = Key::new();
        let mut rows_read = 0;
        loop {
            let range = KeyRange { from: &from, to: None, backwards: false, limit: PAGE_ROWS };
            let rows = snapshot.range(Table::Animals, range)?;
            for (key, value) in &rows {
                let (id, row): (_, Animal) = (number_in(key).unwrap_or_default(), decode(key, value)?);
                self.merges.set(id, row.absorbed_by().map(|into| into.0));
                self.refresh_entry(snapshot, id)?;
            }
            rows_read += rows.len() as u64;
            let of = changes + rows_read.max(self.columns.len() as u64);
            tell(watch, CatalogProgress { done: changes + rows_read, of })?;
            match rows.last().filter(|_| rows.len() == PAGE_ROWS) {
                Some((key, _)) => from = after_key(key),
                None => break,
            }
        }
        let successors: BTreeSet<u64> = self.merges.successors().map(|id| self.merges.successor(id)).collect();
        successors.into_iter().try_for_each(|id| self.refresh_entry(snapshot, id))?;
        Ok(())
    }
}

/// Returns whether a change may take events of earlier changes from one animal to another.
fn may_move_events(change: &Change) -> bool {
    match change {
        Change::Corrected(corrected) => matches!(corrected.correction, Correction::Void { .. }),
        Change::EraMove(_) => true,
        _ => false,
    }
}

fn tell(watch: Watch<'_>, progress: CatalogProgress) -> Result<(), CatalogError> {
    match watch(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CatalogError::Canceled),
    }
}
