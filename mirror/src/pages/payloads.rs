//! One change of the log, of any kind.

use super::conventions::Conventions;
use super::error::query_error;
use super::format;
use super::forms::{Action, Forms, PageFacts, Receipt, Subject};
use super::frame::Section;
use super::page::PageContent;
use super::site_request::SiteRequest;
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use herd::correction::CorrectionForm;
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::query::{ChangeBody, ChangeView, CorrectionView, KindName, QueryError};
use herd::store::Snapshot;
use serde::Deserialize;
use service::door::reply::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeQuery {
    /// Change of a correction that was sent from this page.
    corrected: Option<u64>,
}

#[derive(Template)]
#[template(path = "change.html")]
struct ChangeContent {
    prefix: String,
    unit: WeightUnit,
    zone: Zone,
    receipt: Option<Receipt>,
    forms: Forms,
    change: ChangeView,
    amendments: Amendments,
}

/// A change that amended a payload, and its correction if a person made it.
type Amendment = (Sequence, Option<CorrectionView>);

/// Later changes that amended the payload of a change.
#[derive(Default)]
struct Amendments {
    accepted: Option<Amendment>,
    voided: Option<Amendment>,
}

impl Amendments {
    fn read(snapshot: &Snapshot, change: &ChangeView) -> Result<Self, QueryError> {
        let payload = match &change.body {
            ChangeBody::Received { payload, .. } => Some(payload.id),
            ChangeBody::Reprocessed { event, .. }
            | ChangeBody::Corrected { event: Some(event), .. }
            | ChangeBody::EraMove { event: Some(event), .. } => Some(event.of),
            _ => None,
        };
        let Some(payload) = payload.map_or(Ok(None), |payload| snapshot.payload(payload))? else {
            return Ok(Self::default());
        };
        let accepted = amendment(snapshot, payload.accepted_by)?;
        Ok(Self { accepted, voided: amendment(snapshot, payload.voided_by)? })
    }
}

fn amendment(snapshot: &Snapshot, by: Option<Sequence>) -> Result<Option<Amendment>, QueryError> {
    by.map(|by| Ok((by, snapshot.correction(by)?))).transpose()
}

impl PageContent for ChangeContent {
    type View = ChangeView;

    const SECTION: Option<Section> = Some(Section::Reads);

    fn title(&self) -> String {
        let sequence = self.change.sequence;
        match self.change.body {
            ChangeBody::Received { .. } => format!("Payload {sequence}"),
            _ => format!("Change {sequence}"),
        }
    }

    fn view(&self) -> &ChangeView {
        &self.change
    }
}

impl ChangeContent {
    fn summary(&self, correction: &CorrectionView) -> String {
        correction.summary(self.unit, &|at| self.zone.date_time(at))
    }

    fn correction(&self) -> Option<&CorrectionForm> {
        match &self.change.body {
            ChangeBody::Corrected { correction, .. } => Some(&correction.correction),
            _ => None,
        }
    }

    /// Returns whether the change that accepted the payload moved it into a reader era.
    fn is_moved(&self) -> bool {
        let correction = self.amendments.accepted.as_ref().and_then(|(_, correction)| correction.as_ref());
        correction.is_some_and(|correction| matches!(correction.correction, CorrectionForm::NewReaderEra { .. }))
    }

    /// Returns the notes that the correction set.
    fn notes(&self) -> Option<&str> {
        match self.correction() {
            Some(CorrectionForm::EditBatch { notes, .. }) => notes.as_deref(),
            _ => None,
        }
    }

    /// Returns the payload that the correction accepted or voided.
    fn corrected_payload(&self) -> Option<u64> {
        match self.correction() {
            Some(CorrectionForm::Void { payload } | CorrectionForm::AcceptRejected { payload, .. }) => Some(*payload),
            _ => None,
        }
    }
}

/// Returns the form for the correction that is possible for a payload: an event can be voided, and another one accepted.
fn forms(site: &SiteRequest, change: &ChangeView) -> Forms {
    let ChangeBody::Received { payload, .. } = &change.body else { return Forms::default() };
    let is_event = payload.event.is_some() && payload.voided_by.is_none();
    let action = if is_event { Action::Void } else { Action::Accept };
    let facts = PageFacts::new(&site.conventions);
    Forms::new(site, Subject::Payload(payload.id.0), &[action], &facts)
}

/// One change of the log, of any kind.
pub(super) fn by_sequence(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: ChangeQuery = site.request.query()?;
    let sequence = Sequence(site.request.number("sequence")?);
    let snapshot = site.snapshot()?;
    let change = snapshot.change_view(sequence).map_err(query_error)?;
    let change = change.ok_or_else(|| ApiError::not_found(format!("this copy has no change {sequence}")))?;
    let amendments = Amendments::read(&snapshot, &change).map_err(query_error)?;
    let as_of = snapshot.folded().map_err(|error| query_error(error.into()))?;
    let (prefix, Conventions { weight_unit: unit, zone }) = (site.prefix.clone(), site.conventions.clone());
    let (receipt, forms) = (Receipt::read(site, &snapshot, query.corrected)?, forms(site, &change));
    Ok(site.respond(ChangeContent { prefix, unit, zone, receipt, forms, change, amendments }, Some(as_of)))
}
