//! A rejected payload is an event after all, or one whose event was voided is one again.

use super::super::identity::Resolved;
use super::{Judged, or_refuse};
use crate::change::{AnimalId, CorrectionResult, LateEvent, Outcome, Received};
use crate::decide::{History, Judge, Verdict};
use crate::fold::{Rows, RowsError};
use crate::payload::{self, Event};
use crate::position::Sequence;
use crate::tables::{Afterwards, Table, TagKind, reader_key, sequence_key};

use super::Refused;

impl<R: Rows> Judge<'_, R> {
    /// Accepts the payload `of` for `animal`, or for whom its lid and tags lead to. That its event id was used for
    /// another content does not matter any more: a person says that both happened.
    pub(super) fn accept(&self, history: &impl History, of: Sequence, animal: Option<AnimalId>) -> Judged {
        let received = or_refuse!(self.payload_to_accept(history, of)?);
        let still = |reason| Refused::StillRejected { sequence: of, reason };
        let event = or_refuse!(payload::parse(&received.raw).map_err(still));
        if let Some(again) = self.accepted_again(history, &received, &event)? {
            return Ok(Err(Refused::AcceptedAgain { sequence: of, of: again }));
        }
        let Received { origin, clock: received, .. } = received;
        // By the clock of when it came: an export of then is of the batch of then, however long that has rested since.
        let judge = Judge::new(self.rows, self.rules, self.sequence, &origin, received);
        let (accepted, previous) = match animal {
            Some(animal) => {
                let resolved = or_refuse!(judge.placed_with(&event, animal)?);
                judge.placed(event, &resolved)?
            }
            None => match judge.place(event)? {
                Verdict::Accepted { accepted, previous } => (*accepted, previous),
                Verdict::Rejected(rejected) => return Ok(Err(still(rejected.reason))),
                Verdict::Duplicate { of } => return Ok(Err(Refused::NotRejected(of))),
            },
        };
        let event = LateEvent { of, received, accepted, origin: origin.clone() };
        Ok(Ok((CorrectionResult::Accepted(Box::new(event)), previous)))
    }

    /// The payload of the same text under the same event id that is an event.
    fn accepted_again(
        &self,
        history: &impl History,
        rejected: &Received,
        event: &Event,
    ) -> Result<Option<Sequence>, RowsError> {
        let Some(id) = &event.id else { return Ok(None) };
        let key = reader_key(&rejected.origin.reader_group, rejected.origin.reader_era, &id.text);
        let Some(of) = self.rows.read::<Sequence>(Table::EventIds, &key)? else { return Ok(None) };
        let is_same = history.received_at(of)?.is_some_and(|kept| kept.text() == rejected.text());
        let afterwards: Afterwards = self.rows.read(Table::Afterwards, &sequence_key(of))?.unwrap_or_default();
        Ok((is_same && afterwards.void().is_none()).then_some(of))
    }

    fn payload_to_accept(&self, history: &impl History, of: Sequence) -> Result<Result<Received, Refused>, RowsError> {
        let Some(received) = history.received_at(of)? else { return Ok(Err(Refused::UnknownPayload(of))) };
        let afterwards: Afterwards = self.rows.read(Table::Afterwards, &sequence_key(of))?.unwrap_or_default();
        Ok(match (&received.outcome, afterwards.accepted_by) {
            _ if afterwards.void().is_some() => Ok(*received),
            (_, Some(by)) => Err(Refused::AlreadyAccepted { sequence: of, by }),
            (Outcome::Accepted(_), None) => Err(Refused::NotRejected(of)),
            (Outcome::Rejected(_), None) => Ok(*received),
        })
    }

    /// A person says whose event it is. Tags that lead to others are shown beside its own; a lid or an old tag of
    /// another would be taken away from it, and that is a merge or a retag.
    fn placed_with(&self, event: &Event, animal: AnimalId) -> Result<Result<Resolved, Refused>, RowsError> {
        or_refuse!(self.known(animal)?);
        if let (Some(lid), Some(owner)) = (&event.lid, self.lid_owner(event)?)
            && owner != animal
        {
            return Ok(Err(Refused::LidOfAnother { lid: lid.clone(), owner }));
        }
        for (kind, tag) in [(TagKind::Lf, &event.old_lf), (TagKind::Epc, &event.old_epc)] {
            if let (Some(tag), Some(owner)) = (tag, self.tag_owner(kind, tag.as_ref())?)
                && owner != animal
            {
                return Ok(Err(Refused::TagOfAnother { tag: tag.text().to_owned(), owner }));
            }
        }
        let owners =
            (self.tag_owner(TagKind::Lf, event.lf.as_ref())?, self.tag_owner(TagKind::Epc, event.epc.as_ref())?);
        let (lf, epc) = self.tag_uses(event, owners, animal, None)?;
        Ok(Ok(Resolved { animal, absorbed: None, lf, epc }))
    }
}
