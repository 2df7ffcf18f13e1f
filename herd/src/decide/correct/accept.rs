//! Accepts a rejected payload as an event, or one whose event was voided.
//!
//! The event takes effect at the change that accepts it, with the times of its arrival.

use super::super::identity::Identity;
use super::{CorrectionEffect, CorrectionError, DecideError, era_of};
use crate::change::{self, AnimalId, CorrectionResult, LateEvent, Received};
use crate::decide::{History, Judge, Verdict};
use crate::fold::{Rows, RowsError};
use crate::payload::{self, Event, Supplement};
use crate::position::Sequence;
use crate::tables::{Amendments, TagKind, sequence_key};

impl<R: Rows> Judge<'_, R> {
    /// Accepts the payload `of` for `animal`, or for the animal that its lid and tags lead to, in the batch of this number
    /// or in its own.
    ///
    /// Its event id may be in use with another content: a person says that both events happened.
    pub(super) fn accept(
        &self,
        history: &impl History,
        of: Sequence,
        animal: Option<AnimalId>,
        batch: Option<&str>,
    ) -> Result<CorrectionEffect, DecideError> {
        let received = self.payload_to_accept(history, of)?;
        let still = |reason| CorrectionError::StillRejected { sequence: of, reason };
        let weight_unit = self.rules.weight_unit(&received.origin.reader_group);
        let said = Supplement { weight_unit, animal_is_known: animal.is_some(), batch };
        let event = payload::parse_with(&received.raw, &said).outcome.map_err(still)?;
        if batch.is_some() && event.batch.is_none() {
            return Err(CorrectionError::NamesNoBatch { sequence: of, kind: event.kind.as_str() }.into());
        }
        if let Some(same) = self.same_event(history, &received, &event)? {
            return Err(CorrectionError::AcceptedAgain { sequence: of, of: same }.into());
        }
        let (arrival, origin) = (received.arrival(), received.origin);
        // The clock of its arrival: an export belongs to the batch of that time, however long that has rested since.
        let judge = Judge::new(self.rows, self.rules, self.sequence, &origin, arrival);
        let (accepted, previous) = match animal {
            Some(animal) => {
                let identity = judge.identity_as(&event, animal)?;
                judge.place_with(event, &identity)?
            }
            None => match judge.place(event)? {
                Verdict::Accepted { accepted, previous } => (accepted, previous),
                Verdict::Rejected(rejected) => return Err(still(rejected.reason).into()),
                Verdict::Duplicate { of } => return Err(CorrectionError::NotRejected(of).into()),
            },
        };
        let event = LateEvent { of, received: arrival, accepted: *accepted, origin: origin.clone() };
        Ok((CorrectionResult::Accepted(Box::new(event)), previous))
    }

    /// Returns the payload with the same text under the same event id, if that is an event.
    fn same_event(
        &self,
        history: &impl History,
        rejected: &Received,
        event: &Event,
    ) -> Result<Option<Sequence>, RowsError> {
        let Some(id) = &event.id else { return Ok(None) };
        let (group, era) = (&rejected.origin.reader_group, rejected.origin.reader_era);
        let Some(of) = self.payload_with_id(group, era, id)? else { return Ok(None) };
        let is_same = history.received_at(of)?.is_some_and(|other| other.text() == rejected.text());
        Ok((is_same && self.amendments(of)?.void().is_none()).then_some(of))
    }

    fn payload_to_accept(&self, history: &impl History, of: Sequence) -> Result<Received, DecideError> {
        let mut received = history.received_at(of)?.ok_or(CorrectionError::UnknownPayload(of))?;
        received.origin.reader_era = era_of(self.rows, of, &received.origin)?;
        let amendments = self.amendments(of)?;
        match (&received.outcome, amendments.accepted_by) {
            _ if amendments.void().is_some() => Ok(*received),
            (_, Some(by)) => Err(CorrectionError::AlreadyAccepted { sequence: of, by }.into()),
            (change::Outcome::Accepted(_), None) => Err(CorrectionError::NotRejected(of).into()),
            (change::Outcome::Rejected(_), None) => Ok(*received),
        }
    }

    /// Returns what later changes made of the payload `of`.
    pub(super) fn amendments(&self, of: Sequence) -> Result<Amendments, RowsError> {
        Ok(self.rows.read(&sequence_key(of))?.unwrap_or_default())
    }

    /// Returns the identity of an event whose animal an operator chose.
    ///
    /// Tags that lead to other animals are unconfirmed. A lid or an old tag of another animal is refused, because it would
    /// be taken away from that animal; that needs a merge or a retag.
    fn identity_as(&self, event: &Event, animal: AnimalId) -> Result<Identity, DecideError> {
        self.known(animal)?;
        if let (Some(lid), Some(owner)) = (&event.lid, self.lid_owner(event)?)
            && owner != animal
        {
            return Err(CorrectionError::LidOfAnother { lid: lid.to_string(), owner }.into());
        }
        for (kind, tag) in [(TagKind::Lf, &event.old_lf), (TagKind::Epc, &event.old_epc)] {
            if let (Some(tag), Some(owner)) = (tag, self.tag_owner(kind, tag.as_ref())?)
                && owner != animal
            {
                return Err(CorrectionError::TagOfAnother { tag: tag.text().to_owned(), owner }.into());
            }
        }
        let owners =
            (self.tag_owner(TagKind::Lf, event.lf.as_ref())?, self.tag_owner(TagKind::Epc, event.epc.as_ref())?);
        let (lf, epc) = self.tag_uses(event, owners, animal, None)?;
        Ok(Identity { animal, absorbed: None, lf, epc })
    }
}
