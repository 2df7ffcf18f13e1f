//! An event that is put into the history of its animal at an earlier place.
//!
//! Lids and tags lead to the animals to which they led at that place, and the rows of a replay up to it tell these. Two
//! kinds of leads are younger:
//!
//! - **A lid of the event's own era leads where it leads today.** Only payloads of that era can have given it.
//! - **An animal that was founded later, by a tag or lid which the event gives to its own animal, is the event's own.** Had
//!   the event counted then, the founding event would have led to its animal. So the later animal joins it, with its
//!   corrections. It must not have a lid that is not moved too: that of another group, or of this era.

use super::replay::Replay;
use super::{CorrectionError, DecideError};
use crate::change::{AnimalId, BatchId, BatchUse, Origin, PlacedEvent, TagUse};
use crate::clock::ClockReading;
use crate::decide::Judge;
use crate::decide::identity::PlaceError;
use crate::decide::readmit::is_seen_later;
use crate::fold::{Rows, RowsError};
use crate::payload::Event;
use crate::position::Sequence;
use crate::tables::{Animal, Batch, LatestBatch, LidName, LidOwner, TagKind, latest_batch_key, number_key, reader_key};
use std::collections::BTreeSet;

/// An event to be put in.
pub(super) struct Insertion<'a> {
    /// The Received change that holds its payload: its place.
    pub(super) of: Sequence,
    /// Its origin, with the era to which it belongs.
    pub(super) origin: &'a Origin,
    pub(super) received: ClockReading,
    pub(super) event: &'a Event,
    /// The batch that it had before, if it was an event already: that which its number meant then.
    pub(super) batch: Option<BatchId>,
}

impl Insertion<'_> {
    /// Returns whether a later event has founded the animal.
    fn is_before(&self, animal: AnimalId) -> bool {
        animal.0 > self.of.0
    }
}

/// The animals to which the lid and the tags of an event lead today.
#[derive(Default)]
pub(super) struct InsertionLeads {
    /// All of them, and the animal that the payload founded itself.
    pub(super) roots: BTreeSet<AnimalId>,
    lid: Option<AnimalId>,
    lf: Option<AnimalId>,
    epc: Option<AnimalId>,
}

impl<R: Rows> Judge<'_, R> {
    /// Looks up where the lid and the tags of an event lead today.
    pub(super) fn leads_of(&self, event: &Insertion<'_>) -> Result<InsertionLeads, DecideError> {
        let judge = Judge::new(self.rows, self.rules, self.sequence, event.origin, event.received);
        let root = |owner: Option<AnimalId>| owner.map(|owner| self.successor(owner)).transpose();
        let tag = |kind, tag| root(judge.tag_owner(kind, tag)?);
        let Event { lf, epc, old_lf, old_epc, .. } = event.event;
        let lid = root(judge.lid_owner(event.event)?)?;
        let (lf, epc) = (tag(TagKind::Lf, lf.as_ref())?, tag(TagKind::Epc, epc.as_ref())?);
        let old = [tag(TagKind::Lf, old_lf.as_ref())?, tag(TagKind::Epc, old_epc.as_ref())?];
        let founded = AnimalId::from(event.of);
        let founded = self.rows.shared::<Animal>(&number_key(founded.0))?.map(|_| founded);
        let roots = [lid, lf, epc, root(founded)?].into_iter().chain(old).flatten().collect();
        Ok(InsertionLeads { roots, lid, lf, epc })
    }

    /// Finds the animal of an event on the rows of the replay so far, and puts the event in.
    ///
    /// Returns the event as placed, and the animals that join its own.
    pub(super) fn insert(
        &self,
        replay: &mut Replay<'_, R>,
        event: &Insertion<'_>,
        leads: &InsertionLeads,
    ) -> Result<(PlacedEvent, Vec<AnimalId>), DecideError> {
        let Insertion { of, origin, received, .. } = *event;
        if let (Some(owner), Some(lid)) = (leads.lid.filter(|owner| !event.is_before(*owner)), &event.event.lid) {
            replay.rows.write(reader_key(&origin.reader_group, origin.reader_era, lid), LidOwner(owner))?;
        }
        let judge = Judge::new(&replay.rows, self.rules, of, origin, received);
        let identity = judge.identify(event.event).map_err(|error| match error {
            PlaceError::Rejected(reason) => CorrectionError::StillRejected { sequence: of, reason }.into(),
            PlaceError::Rows(error) => DecideError::Rows(error),
        })?;
        let batch = self.batch_at_place(event)?;
        let mut placed = PlacedEvent {
            event: event.event.clone(),
            animal: identity.animal,
            absorbed: identity.absorbed,
            lf: identity.lf,
            epc: identity.epc,
            batch,
        };
        if received.is_of_no_boot() && is_seen_later(&replay.rows, &placed, &received)? {
            // As when it came back: it would open a batch that its animal is not in.
            placed.batch = None;
        }
        let joining = self.joining_animals(replay, event, leads, &placed)?;
        replay.insert(of, origin, received, &placed)?;
        replay.join(self.sequence, placed.animal, &joining)?;
        Ok((placed, joining))
    }

    /// Returns the animals that later events have founded, and that the event shows to be its own.
    fn joining_animals(
        &self,
        replay: &Replay<'_, R>,
        event: &Insertion<'_>,
        leads: &InsertionLeads,
        placed: &PlacedEvent,
    ) -> Result<Vec<AnimalId>, DecideError> {
        let is_later = |owner: &AnimalId| event.is_before(*owner);
        let mut owners: BTreeSet<AnimalId> = leads.lid.into_iter().filter(is_later).collect();
        for (owner, tag_use) in [(leads.lf, placed.lf), (leads.epc, placed.epc)] {
            if let Some(owner) = owner.filter(|owner| tag_use == TagUse::Assigned && is_later(owner))
                && self.has_only_former_lids(owner, event.origin)?
            {
                owners.insert(owner);
            }
        }
        // With all that are merged into them: the tag may have been one of theirs.
        let mut joining = Vec::new();
        for id in replay.family.iter().filter(|id| is_later(id) && **id != placed.animal) {
            if owners.contains(&self.successor(*id)?) {
                joining.push(*id);
            }
        }
        Ok(joining)
    }

    /// Returns the batch of the event: the one that it had, or that which its number means.
    ///
    /// A batch that was closed since is meant too: with the event's animal in it, it would not have been empty.
    fn batch_at_place(&self, event: &Insertion<'_>) -> Result<Option<BatchUse>, RowsError> {
        let found = |batch| BatchUse { batch, closes: None };
        let (Some(number), None) = (&event.event.batch, event.batch) else { return Ok(event.batch.map(found)) };
        let key = latest_batch_key(event.event.kind.batch_source(), number);
        if let Some(LatestBatch(latest)) = self.rows.read(&key)?
            && let Some(batch) = self.rows.shared::<Batch>(&number_key(latest.0))?
            && batch.state.closed.is_some_and(|by| by > event.of)
        {
            return Ok(Some(found(latest)));
        }
        Judge::new(self.rows, self.rules, self.sequence, event.origin, event.received).batch_named(event.event)
    }

    /// Returns whether all lids of the animal are of earlier eras of these readers.
    fn has_only_former_lids(&self, animal: AnimalId, origin: &Origin) -> Result<bool, DecideError> {
        let Some(row) = self.rows.shared::<Animal>(&number_key(animal.0))? else { return Ok(false) };
        let is_former = |lid: &LidName| lid.reader_group == origin.reader_group && lid.reader_era < origin.reader_era;
        Ok(row.state.lids.iter().all(is_former))
    }
}
