//! List of batches, and one batch with its animals.

use super::conventions::Conventions;
use super::error::query_error;
use super::format;
use super::forms::{Action, Forms, PageFacts, Receipt, Subject};
use super::frame::Section;
use super::list::{List, csv_file};
use super::page::PageContent;
use super::request::limit;
use super::site_request::SiteRequest;
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use herd::change::{AnimalId, BatchId};
use herd::correction::CorrectionForm;
use herd::payload::WeightUnit;
use herd::query::{BatchTraitValues, BatchView, CorrectionView, MemberView, NumberedBatch, TotalsView};
use herd::store::Snapshot;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// Number of batches in the sheet to which the list leads. The list says so if there are more.
const SHEET_BATCHES: u64 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    before: Option<u64>,
    limit: Option<u64>,
}

#[derive(Template)]
#[template(path = "batches.html")]
struct BatchesContent {
    prefix: String,
    zone: Zone,
    limit: u64,
    totals: TotalsView,
    list: List<BatchView>,
}

impl PageContent for BatchesContent {
    type View = List<BatchView>;

    const SECTION: Option<Section> = Some(Section::Batches);

    fn title(&self) -> String {
        "Batches".to_owned()
    }

    fn view(&self) -> &List<BatchView> {
        &self.list
    }
}

/// The list of batches, newest first.
pub(super) fn list(site: &SiteRequest) -> Result<Response, ApiError> {
    let content = read_list(site)?;
    let as_of = content.list.as_of;
    Ok(site.respond(content, Some(as_of)))
}

/// The same list as CSV.
pub(super) fn csv(site: &SiteRequest) -> Result<Response, ApiError> {
    let BatchesContent { list, limit, .. } = read_list(site)?;
    let next = list.next.map(|next| site.path(&format!("/batches.csv?before={next}&limit={limit}")));
    Ok(csv_file(&list.data, "attachment; filename=\"batches.csv\"", next))
}

fn read_list(site: &SiteRequest) -> Result<BatchesContent, ApiError> {
    let query: ListQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let snapshot = site.snapshot()?;
    let page = snapshot.batches(query.before.map(BatchId), limit).map_err(query_error)?;
    let totals = snapshot.totals().map_err(query_error)?;
    Ok(BatchesContent {
        prefix: site.prefix.clone(),
        zone: site.conventions.zone.clone(),
        limit: limit.entries() as u64,
        list: List::new(page, totals.as_of),
        totals,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersQuery {
    /// Change of a correction that was sent from this page.
    corrected: Option<u64>,
    after: Option<u64>,
    limit: Option<u64>,
}

/// JSON of a batch.
#[derive(Serialize)]
struct BatchDetails {
    #[serde(flatten)]
    found: NumberedBatch,
    #[serde(flatten)]
    traits: BatchTraitValues,
    /// The correction that closed the batch; `None` if an event did, or if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by_correction: Option<CorrectionView>,
    animals: Vec<MemberView>,
    /// Cursor of the next animals.
    next: Option<u64>,
}

#[derive(Template)]
#[template(path = "batch.html")]
struct BatchContent {
    prefix: String,
    unit: WeightUnit,
    zone: Zone,
    limit: u64,
    receipt: Option<Receipt>,
    forms: Forms,
    view: BatchDetails,
}

impl PageContent for BatchContent {
    type View = BatchDetails;

    const SECTION: Option<Section> = Some(Section::Batches);

    fn title(&self) -> String {
        format!("Batch {}", self.view.found.batch.batch_number)
    }

    fn view(&self) -> &BatchDetails {
        &self.view
    }
}

impl BatchContent {
    /// Summarizes the correction that closed the batch as a side effect.
    ///
    /// Returns `None` if its purpose was to close the batch, which the page says anyway.
    fn closing_correction(&self) -> Option<String> {
        let is_side_effect = |it: &&CorrectionView| !matches!(it.correction, CorrectionForm::CloseBatch { .. });
        self.view
            .closed_by_correction
            .as_ref()
            .filter(is_side_effect)
            .map(|view| view.summary(self.unit, &|at| self.zone.date_time(at)))
    }
}

/// The batch with a number.
pub(super) fn by_number(site: &SiteRequest) -> Result<Response, ApiError> {
    let number = site.request.path_param("number");
    let snapshot = site.snapshot()?;
    let found = snapshot.batch_by_number(number).map_err(query_error)?;
    let not_found = || ApiError::not_found(format!("no batch has the number {number:?}"));
    batch(site, &snapshot, found.ok_or_else(not_found)?)
}

/// The batch with an id.
pub(super) fn by_id(site: &SiteRequest) -> Result<Response, ApiError> {
    let id = site.request.number("id")?;
    let snapshot = site.snapshot()?;
    let found = snapshot.batch_with_others(BatchId(id)).map_err(query_error)?;
    let not_found = || ApiError::not_found(format!("there is no batch with the id {id}"));
    batch(site, &snapshot, found.ok_or_else(not_found)?)
}

/// Returns the forms for the corrections that are possible for a batch.
fn forms(site: &SiteRequest, batch: &BatchView) -> Forms {
    let actions: &[Action] = if batch.open { &[Action::EditBatch, Action::CloseBatch] } else { &[Action::EditBatch] };
    let facts = PageFacts { notes: batch.notes.clone(), ..PageFacts::new(&site.conventions) };
    Forms::new(site, Subject::Batch(batch.id.0), actions, &facts)
}

fn batch(site: &SiteRequest, snapshot: &Snapshot, found: NumberedBatch) -> Result<Response, ApiError> {
    let query: MembersQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let id = found.batch.id;
    let members = snapshot.members(id, query.after.map(AnimalId), limit).map_err(query_error)?;
    let closed_by = found.batch.closed_by.map_or(Ok(None), |by| snapshot.correction(by)).map_err(query_error)?;
    let as_of = snapshot.folded().map_err(|error| query_error(error.into()))?;
    let view = BatchDetails {
        traits: snapshot.batch_traits(id).map_err(query_error)?,
        closed_by_correction: closed_by,
        found,
        animals: members.data,
        next: members.next,
    };
    let (prefix, Conventions { weight_unit: unit, zone }) = (site.prefix.clone(), site.conventions.clone());
    let (receipt, forms) = (Receipt::read(site, snapshot, query.corrected)?, forms(site, &view.found.batch));
    let content = BatchContent { prefix, unit, zone, limit: limit.entries() as u64, receipt, forms, view };
    Ok(site.respond(content, Some(as_of)))
}
