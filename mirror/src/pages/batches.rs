//! Batches, and one with its animals.

use super::asked::{limit, refusal};
use super::frame::Frame;
use super::sheet::kept;
use super::visit::{List, Visit};
use super::words;
use askama::Template;
use axum::response::Response;
use herd::change::{AnimalId, BatchId};
use herd::correction::CorrectionForm;
use herd::query::{BatchTraitValues, BatchView, CorrectionView, MemberView, NumberedBatch};
use herd::store::Snapshot;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

const PART: &str = "/batches";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    before: Option<u64>,
    limit: Option<u64>,
}

#[derive(Template, Serialize)]
#[template(path = "batches.html")]
struct BatchesPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    total: u64,
    #[serde(skip)]
    open: u64,
    #[serde(skip)]
    limit: u64,
    #[serde(flatten)]
    list: List<BatchView>,
}

/// All batches, the latest opened first.
pub(super) fn list(visit: &Visit) -> Result<Response, ApiError> {
    read(visit).map(|page| visit.show(&page))
}

/// The same for a spreadsheet.
pub(super) fn sheet(visit: &Visit) -> Result<Response, ApiError> {
    let page = read(visit)?;
    let next = page.list.next.map(|next| visit.path(&format!("/batches.csv?before={next}&limit={}", page.limit)));
    Ok(kept(&page.list.data, "attachment; filename=\"batches.csv\"", next))
}

fn read(visit: &Visit) -> Result<BatchesPage, ApiError> {
    let query: ListQuery = visit.asked.query()?;
    let limit = limit(query.limit)?;
    let snapshot = visit.snapshot()?;
    let page = snapshot.batches(query.before.map(BatchId), limit).map_err(refusal)?;
    let totals = snapshot.totals().map_err(refusal)?;
    Ok(BatchesPage {
        frame: visit.frame("Batches", PART, Some(totals.as_of)),
        total: totals.batches,
        open: totals.open_batches,
        limit: limit.entries() as u64,
        list: List::new(page, totals.as_of),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersQuery {
    after: Option<u64>,
    limit: Option<u64>,
}

#[derive(Template, Serialize)]
#[template(path = "batch.html")]
struct BatchPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    limit: u64,
    #[serde(flatten)]
    found: NumberedBatch,
    #[serde(flatten)]
    traits: BatchTraitValues,
    /// The correction that `closed_by` is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by_correction: Option<CorrectionView>,
    animals: Vec<MemberView>,
    /// Goes on in the animals.
    next: Option<u64>,
}

impl BatchPage {
    /// What the correction was that closed it, where that was not to close it.
    fn closed_as(&self) -> Option<String> {
        let by_the_way = |it: &&CorrectionView| !matches!(it.correction, CorrectionForm::CloseBatch { .. });
        self.closed_by_correction.as_ref().filter(by_the_way).map(CorrectionView::summary)
    }
}

/// The batch that a number means.
pub(super) fn by_number(visit: &Visit) -> Result<Response, ApiError> {
    let number = visit.asked.place("number");
    let snapshot = visit.snapshot()?;
    let found = snapshot.batch_by_number(number).map_err(refusal)?;
    one(visit, &snapshot, found.ok_or_else(|| ApiError::not_found(format!("no batch has the number {number:?}")))?)
}

/// The batch with an id.
pub(super) fn by_id(visit: &Visit) -> Result<Response, ApiError> {
    let id = visit.asked.number("id")?;
    let snapshot = visit.snapshot()?;
    let found = snapshot.batch_with_others(BatchId(id)).map_err(refusal)?;
    one(visit, &snapshot, found.ok_or_else(|| ApiError::not_found(format!("there is no batch with the id {id}")))?)
}

fn one(visit: &Visit, snapshot: &Snapshot, found: NumberedBatch) -> Result<Response, ApiError> {
    let query: MembersQuery = visit.asked.query()?;
    let limit = limit(query.limit)?;
    let id = found.batch.id;
    let members = snapshot.members(id, query.after.map(AnimalId), limit).map_err(refusal)?;
    let closed = found.batch.closed_by.map_or(Ok(None), |by| snapshot.correction(by)).map_err(refusal)?;
    let as_of = snapshot.folded().map_err(|error| refusal(error.into()))?;
    Ok(visit.show(&BatchPage {
        frame: visit.frame(format!("Batch {}", found.batch.batch_number), PART, Some(as_of)),
        limit: limit.entries() as u64,
        traits: snapshot.batch_traits(id).map_err(refusal)?,
        closed_by_correction: closed,
        found,
        animals: members.data,
        next: members.next,
    }))
}
