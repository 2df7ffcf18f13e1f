//! The calls. Each reads one snapshot, on a thread that may block on the disk.

use super::RemoteApi;
use super::buffer::BufferStatus;
use super::compat::{BufferedPayload, CattleBatch};
use super::duplicates::DuplicateCounts;
use super::query::{BatchesQuery, Id, MembersQuery, Number, PayloadsQuery, Status, StatusQuery, limit, query};
use super::reply::{ItemReply, ListReply};
use super::status::{StatusView, StoreView};
use crate::door::reply::{ApiError, NoQuery};
use crate::sync::serve::current_reader;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use herd::change::{AnimalId, BatchId};
use herd::clock::Clock;
use herd::position::Sequence;
use herd::query::{GapCursor, Page, PageLimit, PayloadFilter, PayloadView, QueryError, TotalsView};
use herd::store::Snapshot;
use serde::Serialize;
use std::sync::Arc;

/// State that the calls share.
#[derive(Clone)]
pub(super) struct ApiState {
    pub(super) api: Arc<dyn RemoteApi>,
    pub(super) clock: Arc<dyn Clock>,
}

type CallResult = Result<Response, ApiError>;

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Store(error) => error.into(),
            client_error => Self::bad_request(client_error.to_string()),
        }
    }
}

impl ApiState {
    /// Builds a response on a thread that may block.
    async fn respond_blocking<T: Serialize + 'static>(
        self,
        read: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> CallResult {
        let response = tokio::task::spawn_blocking(move || {
            let body = read(&self)?;
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
        });
        response.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call panicked or was aborted");
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the response could not be built"))
        })
    }

    /// Builds a response from a snapshot of the store.
    async fn respond<T: Serialize + 'static>(
        self,
        read: impl FnOnce(&Self, &Snapshot) -> Result<T, ApiError> + Send + 'static,
    ) -> CallResult {
        self.respond_blocking(|state| read(state, &current_reader(&*state.api)?.snapshot()?)).await
    }
}

pub(super) async fn status(State(state): State<ApiState>, uri: Uri) -> CallResult {
    let StatusQuery { after, limit: entries } = query(&uri)?;
    let (after, limit) = (after.as_deref().map(str::parse::<GapCursor>).transpose()?, limit(entries)?);
    state
        .respond_blocking(move |state| {
            let (mut store, mut next) = (None, None);
            if let Ok(reader) = state.api.reader() {
                let snapshot = reader.snapshot()?;
                let gaps = snapshot.gaps(after.as_ref(), limit)?;
                next = gaps.next;
                let proposals = snapshot.reader_era_proposals()?;
                store = Some(StoreView::new(reader.head(), snapshot.totals()?, gaps.data, proposals));
            }
            let now_us = state.clock.read().received_at_us;
            Ok(ItemReply::with_next(StatusView::new(&*state.api, now_us, store), next))
        })
        .await
}

pub(super) async fn batches(State(state): State<ApiState>, uri: Uri) -> CallResult {
    let BatchesQuery { before, limit: entries, source_type } = query(&uri)?;
    let (before, limit) = (before.map(|Number(id)| BatchId(id)), limit(entries)?);
    state
        .respond(move |_, snapshot| {
            let TotalsView { as_of, batches, .. } = snapshot.totals()?;
            Ok(match source_type {
                None => ListReply::new(snapshot.batches(before, limit)?, Some(batches), as_of),
                Some(source) => ListReply::new(snapshot.batches_by_source(source.into(), before, limit)?, None, as_of),
            })
        })
        .await
}

pub(super) async fn batch(State(state): State<ApiState>, Id(id): Id, uri: Uri) -> CallResult {
    let MembersQuery { after, limit: entries } = query(&uri)?;
    let (after, limit) = (after.map(|Number(id)| AnimalId(id)), limit(entries)?);
    state
        .respond(move |_, snapshot| {
            let id = BatchId(id);
            let batch = snapshot.batch_with_others(id)?;
            let batch = batch.ok_or_else(|| ApiError::not_found(format!("there is no batch with the id {id}")))?;
            let members = snapshot.members(id, after, limit)?;
            Ok(ItemReply::with_next(CattleBatch::new(batch, snapshot.batch_traits(id)?, members.data), members.next))
        })
        .await
}

pub(super) async fn payloads(State(state): State<ApiState>, uri: Uri) -> CallResult {
    let PayloadsQuery { before, limit: entries, status } = query(&uri)?;
    let (before, limit) = (before.map(|Number(number)| number), limit(entries)?);
    match status {
        Some(Status::Duplicate) => {
            state.respond(move |state, snapshot| duplicates(state, snapshot, before, limit)).await
        }
        _ => state.respond(move |_, snapshot| stored(snapshot, before, limit, status)).await,
    }
}

fn duplicates(
    state: &ApiState,
    snapshot: &Snapshot,
    before: Option<u64>,
    limit: PageLimit,
) -> Result<impl Serialize + use<>, ApiError> {
    let counts = DuplicateCounts::new(&*state.api);
    let page = state.api.recent_duplicates(before, limit);
    Ok(ListReply::new(page, counts.count, snapshot.folded()?).with_duplicates(counts))
}

/// Returns payloads of the log, which are events and rejections. The list of any other status is empty.
fn stored(
    snapshot: &Snapshot,
    before: Option<u64>,
    limit: PageLimit,
    status: Option<Status>,
) -> Result<impl Serialize + use<>, ApiError> {
    let totals = snapshot.totals()?;
    let (filter, total) = match (status, status.and_then(Status::stored)) {
        (None, _) => (PayloadFilter::All, totals.received),
        (Some(Status::Error), Some(status)) => (PayloadFilter::Status(status), totals.rejected),
        (Some(_), Some(status)) => (PayloadFilter::Status(status), totals.accepted),
        (Some(_), None) => return Ok(ListReply::new(Page { data: Vec::new(), next: None }, Some(0), totals.as_of)),
    };
    let Page { data, next } = snapshot.payloads(before.map(Sequence), limit, filter)?;
    let data = data.into_iter().map(BufferedPayload::from).collect();
    Ok(ListReply::new(Page { data, next }, Some(total), totals.as_of))
}

pub(super) async fn payload(State(state): State<ApiState>, Id(id): Id, _: NoQuery) -> CallResult {
    state
        .respond(move |_, snapshot| {
            let payload: Option<PayloadView> = match Sequence(id) {
                // As in the list: a payload that is not in the tables yet would name animals that are not there.
                unfolded if unfolded > snapshot.folded()? => None,
                sequence => snapshot.payload(sequence)?,
            };
            let payload =
                payload.ok_or_else(|| ApiError::not_found(format!("no payload is recorded as change {id}")))?;
            Ok(ItemReply::new(BufferedPayload::from(payload)))
        })
        .await
}

pub(super) async fn buffer_status(State(state): State<ApiState>, _: NoQuery) -> CallResult {
    state.respond(|state, snapshot| Ok(ItemReply::new(BufferStatus::new(&*state.api, &snapshot.totals()?)))).await
}
