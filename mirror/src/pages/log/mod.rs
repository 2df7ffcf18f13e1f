//! The log: corrections with what they changed, and for owners, who signed in.
//!
//! # Decisions
//!
//! - **Corrections are of a site, sign-ins of the office.** Both stand here, because who looks for one asks for the other.
//! - **Sign-ins have addresses of people, so only owners see them**, and no program does.

mod effect;

use super::conventions::Conventions;
use super::error::query_error;
use super::format;
use super::frame::Section;
use super::list::List;
use super::page::PageContent;
use super::request::limit;
use super::site_request::SiteRequest;
use crate::day::{Day, DayError};
use crate::people::{Role, SignIn};
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use effect::{Corrected, Effect, Effects};
use herd::clock::iso_utc;
use herd::position::Sequence;
use herd::query::{CorrectionView, Page, PageLimit, QueryError};
use herd::store::Snapshot;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;
use std::ops::Range;

/// Number of days whose corrections one link shows, up to a day.
const WEEK_DAYS: i64 = 7;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// Maximum number of sign-ins on the page.
const MAX_SIGN_INS_SHOWN: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// Change of the last correction on the page before.
    before: Option<u64>,
    limit: Option<u64>,
    /// Last day of the week whose corrections are listed, as `2026-11-27`.
    week: Option<String>,
}

/// Returns the range of the week that ends with a day, in microseconds since the Unix epoch.
pub(super) fn week_us(zone: &Zone, last: Day) -> Range<i64> {
    let end = zone.range_us(last).end;
    end.saturating_sub(WEEK_DAYS * DAY_US)..end
}

/// A correction in the list.
#[derive(Clone, Debug, Serialize)]
struct LoggedCorrection {
    sequence: Sequence,
    #[serde(flatten)]
    correction: CorrectionView,
    #[serde(skip)]
    effect: Effect,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogContent {
    prefix: String,
    zone: Zone,
    limit: u64,
    /// Last day of the week that is shown; `None` for all corrections.
    week: Option<Day>,
    list: List<LoggedCorrection>,
    total: u64,
    /// `None` for everybody but owners.
    sign_ins: Option<Vec<SignIn>>,
}

impl PageContent for LogContent {
    type View = List<LoggedCorrection>;

    const SECTION: Option<Section> = Some(Section::Log);

    fn title(&self) -> String {
        "Log".to_owned()
    }

    fn view(&self) -> &List<LoggedCorrection> {
        &self.list
    }
}

impl LogContent {
    fn time(&self, sign_in: &SignIn) -> String {
        self.zone.date_time(iso_utc(sign_in.at_us))
    }

    /// Returns path and name of what was corrected; `None` if it has no page.
    fn subject(&self, effect: &Effect) -> Option<(String, String)> {
        let (path, name) = match effect.of {
            Corrected::Animal(id) => (format!("animals/{id}"), format!("animal {id}")),
            Corrected::Batch(id) => (format!("batches/by-id/{id}"), format!("batch {id}")),
            Corrected::Payload(id) => (format!("payloads/{id}"), format!("read {id}")),
            Corrected::Readers => return None,
        };
        Some((format!("{}/{path}", self.prefix), name))
    }
}

/// The page.
pub(super) fn page(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: LogQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let before = query.before.map(Sequence);
    let week = query.week.as_deref().map(str::parse::<Day>).transpose();
    let week = week.map_err(|error: DayError| ApiError::bad_request(error.to_string()))?;
    let range_us = week.map(|last| week_us(&site.conventions.zone, last));
    let (page, total, as_of) = site.catalog(|catalog, snapshot| {
        let most = limit.entries() + 1;
        let (found, total) = if let Some(range_us) = &range_us {
            let found = catalog.corrections_of(range_us.clone(), before).take(most).collect();
            (found, catalog.corrections_in(range_us))
        } else {
            let found = catalog.corrections(before).take(most).collect();
            (found, snapshot.totals().map_err(query_error)?.corrected)
        };
        let page = read(snapshot, &site.conventions, found, limit).map_err(query_error)?;
        Ok((page, total, catalog.as_of()))
    })?;
    let is_owner = site.request.user.as_ref().is_some_and(|user| user.role == Role::Owner);
    let content = LogContent {
        prefix: site.prefix.clone(),
        zone: site.conventions.zone.clone(),
        limit: limit.entries() as u64,
        week,
        list: List::new(page, as_of),
        total,
        sign_ins: is_owner.then(|| site.sign_ins(MAX_SIGN_INS_SHOWN)),
    };
    Ok(site.respond(content, Some(as_of)))
}

/// Reads corrections with their effects. There is one more than the page holds, if another page follows.
fn read(
    snapshot: &Snapshot,
    conventions: &Conventions,
    mut found: Vec<Sequence>,
    limit: PageLimit,
) -> Result<Page<LoggedCorrection>, QueryError> {
    let has_more = found.len() > limit.entries();
    found.truncate(limit.entries());
    let next = found.last().filter(|_| has_more).map(|last| last.0);
    let effects = Effects { snapshot, conventions };
    let mut data = Vec::with_capacity(found.len());
    for sequence in found {
        if let Some(correction) = snapshot.correction(sequence)? {
            let effect = effects.of(sequence, &correction)?;
            data.push(LoggedCorrection { sequence, correction, effect });
        }
    }
    Ok(Page { data, next })
}
