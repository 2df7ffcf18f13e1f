//! The site itself: pending decisions, the link to the barn, both sides of a divergence, pairing and disk, event counters,
//! and missed events. Its address is `/status`, which is older than its name.

use super::error::query_error;
use super::format;
use super::frame::Section;
use super::login::sentence;
use super::page::PageContent;
use super::request::{cursor, limit};
use super::site_request::SiteRequest;
use super::sync_status::SyncStatus;
use crate::people::Role;
use crate::sites::{LinkState, SiteDetails, SiteStatus};
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use herd::clock::iso_utc;
use herd::correction::MAX_REASON_CHARS;
use herd::fold::FOLD_VERSION;
use herd::position::Position;
use herd::query::{
    CounterView, GapCursor, GapView, HeardRead, PageLimit, ReaderEraMoves, ReaderEraProposal, TotalsView,
};
use serde::{Deserialize, Serialize};
use service::backup::VerifiedBackup;
use service::door::reply::ApiError;
use service::sync::divergence::Divergence;

/// Seconds after which the page is fetched again: its figures are of the link, not of the herd.
const EVERY_S: u32 = 10;
/// The same while a copy is made, opened or brought up to date, so that the page shows how far that is.
pub(super) const PROGRESS_EVERY_S: u32 = 2;
/// Number of event counters on the page; each reader era has six.
const MAX_COUNTERS: u64 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    /// Cursor of the gaps.
    after: Option<String>,
    limit: Option<u64>,
}

/// JSON of the status page.
#[derive(Serialize)]
struct StatusView {
    #[serde(flatten)]
    sync: SyncStatus,
    #[serde(flatten)]
    copy: CopyView,
}

/// The part of the status that is read from the copy; empty while there is no copy to show.
#[derive(Default, Serialize)]
struct CopyView {
    totals: Option<TotalsView>,
    /// Decisions that only a person can make.
    reader_era_proposals: Vec<ReaderEraProposal>,
    /// Orders that move payloads into a reader era.
    reader_era_moves: Vec<ReaderEraMoves>,
    counters: Vec<CounterView>,
    gaps: Vec<GapView>,
    /// Cursor of the next gaps.
    next: Option<GapCursor>,
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusContent {
    prefix: String,
    limit: u64,
    site: SiteStatus,
    /// `None` if they cannot be read.
    details: Option<SiteDetails>,
    /// Text of the session, for the forms of an owner.
    form_token: Option<String>,
    now_us: i64,
    zone: Zone,
    /// The reads before and after each gap; none for a program.
    neighbors: Vec<[Option<HeardRead>; 2]>,
    view: StatusView,
}

impl PageContent for StatusContent {
    type View = StatusView;

    const SECTION: Option<Section> = Some(Section::Site);

    fn every_s(&self) -> Option<u32> {
        let is_on_its_way = matches!(self.site.link, LinkState::Copying | LinkState::Opening | LinkState::Pulling);
        Some(if is_on_its_way { PROGRESS_EVERY_S } else { EVERY_S })
    }

    fn title(&self) -> String {
        "Site".to_owned()
    }

    fn view(&self) -> &StatusView {
        &self.view
    }
}

impl StatusContent {
    fn last_report(&self) -> Option<String> {
        self.site.barn_heard_at_us.map(|at| format::ago(at, self.now_us))
    }

    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn paired_at(&self, details: &SiteDetails) -> String {
        self.zone.date_time(iso_utc(details.paired_at_us))
    }

    /// Returns free and total room for copies.
    fn room(details: &SiteDetails) -> Option<(String, String)> {
        details.disk.map(|disk| (gigabytes(disk.free_bytes), gigabytes(disk.total_bytes)))
    }

    /// Returns age and last change of the latest backup.
    fn backup_age(backup: &VerifiedBackup) -> String {
        backup.age_s.map_or_else(|| "at an unknown time".to_owned(), |age_s| format!("{} ago", format::seconds(age_s)))
    }

    /// Returns a divergence in a sentence.
    fn divergence(&self) -> String {
        self.site.diverged.map(|both| sentence(&both.divergence.to_string())).unwrap_or_default()
    }

    /// Yields each gap with the reads before and after it.
    fn gaps(&self) -> impl Iterator<Item = (&GapView, &[Option<HeardRead>; 2])> {
        self.view.copy.gaps.iter().zip(&self.neighbors)
    }

    /// Returns the heads of both sides of a divergence.
    fn sides(&self) -> [(&'static str, Option<Position>); 2] {
        let both = self.site.diverged.as_ref();
        [("This office", both.and_then(|both| both.own)), ("The barn", both.and_then(|both| both.theirs))]
    }

    /// Returns whether a new copy is being made beside the shown one.
    fn is_recopying(&self) -> bool {
        self.site.copied.is_some() && self.site.head.is_some()
    }

    /// Returns the number of changes that only kept copies hold, if there are any.
    fn kept_only_here(&self) -> Option<u64> {
        self.site.only_here.filter(|only_here| *only_here > 0)
    }

    /// Returns the number of changes that only the shown copy has, if the barn holds a part of it.
    fn beyond_barn(&self) -> Option<u64> {
        let both = self.site.diverged.filter(|both| both.divergence == Divergence::Shorter)?;
        both.own?.sequence.0.checked_sub(both.theirs?.sequence.0)
    }

    /// Returns how the tables here compare with the barn's, as far as that is known.
    fn comparison(&self) -> String {
        match (self.site.digest_equal, self.site.barn_fold_version) {
            (Some(true), _) => "equal".to_owned(),
            (Some(false), _) => "different".to_owned(),
            (None, Some(theirs)) if theirs != FOLD_VERSION => format!(
                "unknown: the barn has fold version {theirs} and this office {FOLD_VERSION}; upgrade the older one"
            ),
            (None, _) => "unknown: not compared yet".to_owned(),
        }
    }

    /// Returns what the barn reports of itself, in words.
    fn barn_health(&self) -> &'static str {
        match &self.site.barn_findings {
            None => "unknown: no current report",
            Some(findings) if findings.iter().any(|finding| finding.failing) => "it reports a failure, see above",
            Some(findings) if findings.is_empty() => "it reports no failure",
            Some(_) => "it reports no failure, but see above",
        }
    }

    /// Returns the number of changes that are not in the lists yet, if there are any.
    fn unfolded(&self) -> Option<u64> {
        self.site.unfolded_changes.filter(|unfolded| *unfolded > 0)
    }

    fn last_sync(&self) -> Option<String> {
        let at = self.site.last_sync_at_us?;
        Some(format!("{}, {}", self.zone.date_time(iso_utc(at)), format::ago(at, self.now_us)))
    }
}

fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}.{} GB", format::grouped(tenths / 10), tenths % 10)
}

/// The status page.
pub(super) fn page(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: StatusQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let after = cursor::<GapCursor>(query.after.as_deref())?;
    let copy = if site.has_copy() { read_copy(site, after.as_ref(), limit)? } else { CopyView::default() };
    let as_of = copy.totals.as_ref().map(|totals| totals.as_of);
    let neighbors = if site.is_html() && !copy.gaps.is_empty() {
        site.snapshot()?.gap_neighbors(&copy.gaps).map_err(query_error)?
    } else {
        Vec::new()
    };
    let owner = site.request.user.as_ref().filter(|user| user.role == Role::Owner);
    let content = StatusContent {
        prefix: site.prefix.clone(),
        limit: limit.entries() as u64,
        site: site.status.clone(),
        details: site.details(),
        form_token: owner.map(|owner| owner.form_token.clone()),
        now_us: site.now_us,
        zone: site.conventions.zone.clone(),
        neighbors,
        view: StatusView { sync: SyncStatus::from(&site.status), copy },
    };
    Ok(site.respond(content, as_of))
}

fn read_copy(site: &SiteRequest, after: Option<&GapCursor>, limit: PageLimit) -> Result<CopyView, ApiError> {
    let snapshot = site.snapshot()?;
    let counters_limit = PageLimit::new(MAX_COUNTERS).map_err(query_error)?;
    let gaps = snapshot.gaps(after, limit).map_err(query_error)?;
    Ok(CopyView {
        totals: Some(snapshot.totals().map_err(query_error)?),
        reader_era_proposals: snapshot.reader_era_proposals().map_err(query_error)?,
        reader_era_moves: snapshot.reader_era_moves().map_err(query_error)?,
        counters: snapshot.counters(None, counters_limit).map_err(query_error)?.data,
        gaps: gaps.data,
        next: gaps.next,
    })
}
