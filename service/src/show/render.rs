//! Renders pages of the store.

use super::table::{TableRow, table};
use super::{ListRequest, ShowError, ShowRequest, ShowResponse, StatusFilter};
use crate::sheet::{Row, sheet, visible_json};
use herd::change::{AnimalId, BatchId};
use herd::position::Sequence;
use herd::query::{Page, PageLimit, PayloadFilter, QueryError};
use herd::store::Reader;
use serde::Serialize;
use std::error::Error;
use std::str::FromStr;

pub(super) fn render(request: &ShowRequest, reader: &Reader) -> Result<ShowResponse, ShowError> {
    let snapshot = reader.snapshot()?;
    match request {
        ShowRequest::Change { sequence, json } => {
            let view = snapshot.change_view(Sequence(*sequence))?;
            let head = reader.head().position.sequence;
            let view = serde_json::to_value(view.ok_or(ShowError::NoChange { sequence: *sequence, head })?)?;
            let text = if *json { format!("{view}\n") } else { format!("{view:#}\n") };
            Ok(ShowResponse { text: visible_json(&text), next: None, note: None })
        }
        ShowRequest::Batches(list) => list.render(|limit| snapshot.batches(list.next.map(BatchId), limit)),
        ShowRequest::Animals(list) => list.render(|limit| snapshot.animals(list.next.map(AnimalId), limit)),
        ShowRequest::Payloads { status, list } => {
            let filter = status.map_or(PayloadFilter::All, StatusFilter::filter);
            list.render(|limit| snapshot.payloads(list.next.map(Sequence), limit, filter))
        }
        ShowRequest::Gaps(list) => list.render(|limit| snapshot.gaps(list.next.as_ref(), limit)),
        ShowRequest::Counters(list) => list.render(|limit| snapshot.counters(list.next.as_ref(), limit)),
    }
}

impl<P> ListRequest<P>
where
    P: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    fn render<T: Row + TableRow + Serialize, C: Serialize + ToString>(
        &self,
        fetch: impl FnOnce(PageLimit) -> Result<Page<T, C>, QueryError>,
    ) -> Result<ShowResponse, ShowError> {
        let page = fetch(PageLimit::new(self.limit)?)?;
        if self.json {
            // The object holds its continuation.
            let text = format!("{}\n", serde_json::to_value(&page)?);
            return Ok(ShowResponse { text: visible_json(&text), next: None, note: None });
        }
        let text = if self.csv { sheet(&page.data) } else { table(&page.data) };
        Ok(ShowResponse { text, next: page.next.map(|next| next.to_string()), note: None })
    }
}
