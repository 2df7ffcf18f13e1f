//! The calls: each reads one snapshot on a thread that may wait for the disk.

use super::Remote;
use super::buffer::BufferStatus;
use super::compat::{BatchOfCattle, BufferedPayload};
use super::duplicates::Duplicates;
use super::query::{BatchesQuery, Id, MembersQuery, PayloadsQuery, Status, StatusQuery, Whole, limit, query};
use super::reply::{List, One};
use super::status::{StatusView, StoreView};
use crate::door::reply::{ApiError, NoQuery};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use herd::change::{AnimalId, BatchId};
use herd::clock::Clock;
use herd::position::Sequence;
use herd::query::{GapCursor, Page, PageLimit, PayloadFilter, PayloadView, QueryError, TotalsView};
use herd::store::{Reader, Snapshot};
use serde::Serialize;
use std::sync::Arc;

/// While there is no copy, it is worth asking again after so many seconds.
const RETRY_AFTER_S: u32 = 5;

/// What the calls share.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) remote: Arc<dyn Remote>,
    pub(super) clock: Arc<dyn Clock>,
}

type Answer = Result<Response, ApiError>;

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Store(error) => error.into(),
            of_the_asker => Self::bad_request(of_the_asker.to_string()),
        }
    }
}

impl Desk {
    fn reader(&self) -> Result<Reader, ApiError> {
        let message = "the first copy is still being fetched";
        self.remote.reader().ok_or_else(|| ApiError::unavailable("no_copy_yet", message, RETRY_AFTER_S))
    }

    /// Makes an answer where it may block.
    async fn apart<T: Serialize + 'static>(
        self,
        read: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Answer {
        let made = tokio::task::spawn_blocking(move || {
            let body = read(&self)?;
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
        });
        made.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer ended before it was made");
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be made"))
        })
    }

    /// Makes an answer from the store as it stands now.
    async fn look<T: Serialize + 'static>(
        self,
        read: impl FnOnce(&Self, &Snapshot) -> Result<T, ApiError> + Send + 'static,
    ) -> Answer {
        self.apart(|desk| read(desk, &desk.reader()?.snapshot()?)).await
    }
}

pub(super) async fn status(State(desk): State<Desk>, uri: Uri) -> Answer {
    let StatusQuery { after, limit: entries } = query(&uri)?;
    let (after, limit) = (after.as_deref().map(str::parse::<GapCursor>).transpose()?, limit(entries)?);
    desk.apart(move |desk| {
        let (mut store, mut next) = (None, None);
        if let Some(reader) = desk.remote.reader() {
            let snapshot = reader.snapshot()?;
            let gaps = snapshot.gaps(after.as_ref(), limit)?;
            next = gaps.next;
            let proposals = snapshot.reader_era_proposals()?;
            store = Some(StoreView::new(reader.head(), snapshot.totals()?, gaps.data, proposals));
        }
        let now_us = desk.clock.read().received_at_us;
        Ok(One::with_next(StatusView::new(&*desk.remote, now_us, store), next))
    })
    .await
}

pub(super) async fn batches(State(desk): State<Desk>, uri: Uri) -> Answer {
    let BatchesQuery { before, limit: entries, source_type } = query(&uri)?;
    let (before, limit) = (before.map(|Whole(id)| BatchId(id)), limit(entries)?);
    desk.look(move |_, snapshot| {
        let TotalsView { as_of, batches, .. } = snapshot.totals()?;
        Ok(match source_type {
            None => List::new(snapshot.batches(before, limit)?, Some(batches), as_of),
            Some(source) => List::new(snapshot.batches_by_source(source.into(), before, limit)?, None, as_of),
        })
    })
    .await
}

pub(super) async fn batch(State(desk): State<Desk>, Id(id): Id, uri: Uri) -> Answer {
    let MembersQuery { after, limit: entries } = query(&uri)?;
    let (after, limit) = (after.map(|Whole(id)| AnimalId(id)), limit(entries)?);
    desk.look(move |_, snapshot| {
        let id = BatchId(id);
        let found = snapshot.batch_with_others(id)?;
        let found = found.ok_or_else(|| ApiError::not_found(format!("there is no batch with the id {id}")))?;
        let members = snapshot.members(id, after, limit)?;
        Ok(One::with_next(BatchOfCattle::new(found, snapshot.batch_traits(id)?, members.data), members.next))
    })
    .await
}

pub(super) async fn payloads(State(desk): State<Desk>, uri: Uri) -> Answer {
    let PayloadsQuery { before, limit: entries, status } = query(&uri)?;
    let (before, limit) = (before.map(|Whole(number)| number), limit(entries)?);
    match status {
        Some(Status::Duplicate) => desk.look(move |desk, snapshot| duplicates(desk, snapshot, before, limit)).await,
        _ => desk.look(move |_, snapshot| kept(snapshot, before, limit, status)).await,
    }
}

fn duplicates(
    desk: &Desk,
    snapshot: &Snapshot,
    before: Option<u64>,
    limit: PageLimit,
) -> Result<impl Serialize + use<>, ApiError> {
    let counted = Duplicates::of(&*desk.remote);
    let page = desk.remote.recent_duplicates(before, limit);
    Ok(List::new(page, counted.count, snapshot.folded()?).with(counted))
}

/// Payloads that the log holds: the events and the rejections. None of another status is kept.
fn kept(
    snapshot: &Snapshot,
    before: Option<u64>,
    limit: PageLimit,
    status: Option<Status>,
) -> Result<impl Serialize + use<>, ApiError> {
    let totals = snapshot.totals()?;
    let (filter, total) = match (status, status.and_then(Status::of_kept)) {
        (None, _) => (PayloadFilter::All, totals.received),
        (Some(Status::Error), Some(status)) => (PayloadFilter::Status(status), totals.rejected),
        (Some(_), Some(status)) => (PayloadFilter::Status(status), totals.accepted),
        (Some(_), None) => return Ok(List::new(Page { data: Vec::new(), next: None }, Some(0), totals.as_of)),
    };
    let Page { data, next } = snapshot.payloads(before.map(Sequence), limit, filter)?;
    let data = data.into_iter().map(BufferedPayload::from).collect();
    Ok(List::new(Page { data, next }, Some(total), totals.as_of))
}

pub(super) async fn payload(State(desk): State<Desk>, Id(id): Id, _: NoQuery) -> Answer {
    desk.look(move |_, snapshot| {
        let found: Option<PayloadView> = match Sequence(id) {
            // As in the list: what the tables do not hold yet names animals that are not there.
            beyond if beyond > snapshot.folded()? => None,
            sequence => snapshot.payload(sequence)?,
        };
        let found = found.ok_or_else(|| ApiError::not_found(format!("no payload is kept as change {id}")))?;
        Ok(One::new(BufferedPayload::from(found)))
    })
    .await
}

pub(super) async fn buffer_status(State(desk): State<Desk>, _: NoQuery) -> Answer {
    desk.look(|desk, snapshot| Ok(One::new(BufferStatus::of(&*desk.remote, &snapshot.totals()?)))).await
}
