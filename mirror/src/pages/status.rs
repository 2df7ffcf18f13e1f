//! The link to the barn in numbers, event counters, what was never heard, and what a person has to decide.

use super::asked::{limit, place, refusal};
use super::frame::Frame;
use super::state::SiteStatus;
use super::sync_status::SyncStatus;
use super::visit::Visit;
use super::words;
use askama::Template;
use axum::response::Response;
use herd::clock::iso_utc;
use herd::query::{CounterView, GapCursor, GapView, Page, PageLimit, ReaderEraProposal, TotalsView};
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

const PART: &str = "/status";
/// So many event counters are shown: six for each reader era.
const COUNTERS_SHOWN: u64 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    /// Goes on in the gaps.
    after: Option<String>,
    limit: Option<u64>,
}

#[derive(Template, Serialize)]
#[template(path = "status.html")]
struct StatusPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    now_us: i64,
    #[serde(skip)]
    site: SiteStatus,
    #[serde(skip)]
    limit: u64,
    #[serde(flatten)]
    sync: SyncStatus,
    /// None while there is no copy.
    totals: Option<TotalsView>,
    /// What a person has to decide.
    reader_era_proposals: Vec<ReaderEraProposal>,
    counters: Vec<CounterView>,
    gaps: Vec<GapView>,
    /// Goes on in the gaps.
    next: Option<GapCursor>,
}

impl StatusPage {
    /// How long ago the barn was heard.
    fn heard(&self) -> Option<&str> {
        self.frame.age.as_ref()?.heard.as_deref()
    }

    fn last_sync(&self) -> Option<String> {
        let at = self.site.last_sync_time?;
        Some(format!("{} UTC, {}", words::clock(iso_utc(at)), words::ago(at, self.now_us)))
    }
}

/// How the sync goes, and what was missed.
pub(super) fn page(visit: &Visit) -> Result<Response, ApiError> {
    let query: StatusQuery = visit.asked.query()?;
    let limit = limit(query.limit)?;
    let after = place::<GapCursor>(query.after.as_deref())?;
    let (mut totals, mut counters, mut gaps) = (None, Vec::new(), Page { data: Vec::new(), next: None });
    let mut proposals = Vec::new();
    if visit.has_copy() {
        let snapshot = visit.snapshot()?;
        let counters_limit = PageLimit::new(COUNTERS_SHOWN).map_err(refusal)?;
        totals = Some(snapshot.totals().map_err(refusal)?);
        proposals = snapshot.reader_era_proposals().map_err(refusal)?;
        counters = snapshot.counters(None, counters_limit).map_err(refusal)?.data;
        gaps = snapshot.gaps(after.as_ref(), limit).map_err(refusal)?;
    }
    let as_of = totals.as_ref().map(|totals| totals.as_of);
    Ok(visit.show(&StatusPage {
        frame: visit.frame("Status", PART, as_of),
        now_us: visit.now_us,
        site: visit.status.clone(),
        limit: limit.entries() as u64,
        sync: SyncStatus::from(&visit.status),
        totals,
        reader_era_proposals: proposals,
        counters,
        gaps: gaps.data,
        next: gaps.next,
    }))
}
