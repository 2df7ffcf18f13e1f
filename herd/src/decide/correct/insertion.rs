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
    ) -> Result<(Option<PlacedEvent>, Vec<AnimalId>), DecideError> {
        let Insertion { of, origin, received, .. } = *event;
        let is_later = |owner: Option<AnimalId>| owner.is_some_and(|owner| owner.0 > of.0);
        let lid_joins = is_later(leads.lid);
        if let (Some(owner), Some(lid)) = (leads.lid.filter(|_| !lid_joins), &event.event.lid) {
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
        let mut joining = BTreeSet::new();
        joining.extend(leads.lid.filter(|_| lid_joins));
        for (owner, tag_use) in [(leads.lf, placed.lf), (leads.epc, placed.epc)] {
            if tag_use == TagUse::Assigned && is_later(owner) && self.has_only_former_lids(owner, origin)? {
                joining.extend(owner);
            }
        }
        // With all that are merged into them: the tag may have been one of theirs.
        let mut joined = Vec::new();
        for id in replay.family.iter().filter(|id| id.0 > of.0 && **id != placed.animal) {
            if joining.contains(&self.successor(*id)?) {
                joined.push(*id);
            }
        }
        replay.insert(of, origin, received, &placed)?;
        replay.join(self.sequence, placed.animal, &joined)?;
        Ok((Some(placed), joined))
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
    fn has_only_former_lids(&self, animal: Option<AnimalId>, origin: &Origin) -> Result<bool, DecideError> {
        let Some(animal) = animal else { return Ok(false) };
        let Some(row) = self.rows.shared::<Animal>(&number_key(animal.0))? else { return Ok(false) };
        let is_former = |lid: &LidName| lid.reader_group == origin.reader_group && lid.reader_era < origin.reader_era;
        Ok(row.state.lids.iter().all(is_former))
    }
}
