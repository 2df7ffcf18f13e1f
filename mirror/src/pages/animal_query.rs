//! The address of a list of animals: filters, order and place, all of them in the query.

use super::media_type::MediaType;
use super::request::limit;
use super::site_request::{SiteRequest, path_segment};
use crate::day::{Day, DayError};
use crate::zone::Zone;
use herd::catalog::{AnimalFilter, Cursor, DayEvent, DayFilter, PageStart, Show, Sort, SortColumn, TagFilter};
use herd::query::PageLimit;
use serde::Deserialize;
use service::door::reply::ApiError;
use std::fmt::Write as _;

/// Value of a label in a form that means any label. An empty one means animals without the label.
pub(super) const ANY: &str = "*";
/// Value of `form` for a sheet without formulas.
const PLAIN: &str = "plain";
/// Value of `before` for the last page.
pub(super) const END: &str = "end";

/// The query as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnimalQuery {
    pub(super) show: Option<String>,
    pub(super) pen: Option<String>,
    pub(super) lot: Option<String>,
    pub(super) export_lot: Option<String>,
    pub(super) funder: Option<String>,
    pub(super) sex: Option<String>,
    pub(super) tags: Option<String>,
    pub(super) day: Option<String>,
    pub(super) event: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) order: Option<String>,
    after: Option<String>,
    before: Option<String>,
    limit: Option<u64>,
    form: Option<String>,
}

/// The query as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnimalSelection {
    /// The filters and the order as they are written, without the place in the list.
    written: AnimalQuery,
    pub(super) filter: AnimalFilter,
    pub(super) sort: Sort,
    pub(super) start: PageStart,
    pub(super) limit: PageLimit,
    /// `true` if the query asks for a page: it has a place or a limit.
    pub(super) is_page: bool,
    /// `true` if a sheet is for a program.
    pub(super) is_plain: bool,
}

/// Reads a name, or returns an error that lists none of the others: the page has them.
fn named<T>(key: &str, text: Option<&str>, of_name: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
    let Some(text) = text.filter(|text| !matches!(*text, "" | ANY)) else { return Ok(None) };
    let unknown = || ApiError::bad_request(format!("{key} cannot be {text:?}"));
    of_name(text).map(Some).ok_or_else(unknown)
}

impl AnimalSelection {
    /// Reads the query of a request.
    pub(super) fn read(site: &SiteRequest) -> Result<Self, ApiError> {
        let query: AnimalQuery = site.request.query()?;
        let is_page_of_people = site.request.media_type == MediaType::Html;
        Self::new(query, is_page_of_people, &site.conventions.zone)
    }

    /// Reads the query of a file. Whoever saves one gets what a program gets.
    pub(super) fn read_for_programs(site: &SiteRequest) -> Result<Self, ApiError> {
        Self::new(site.request.query()?, false, &site.conventions.zone)
    }

    /// Reads a query. Without any, people see the yard by visual tag, and programs all animals in the order of their ids.
    pub(super) fn new(query: AnimalQuery, is_for_people: bool, zone: &Zone) -> Result<Self, ApiError> {
        let show = named("show", query.show.as_deref(), Show::of_name)?;
        let is_bare = AnimalQuery { limit: None, ..query.clone() } == AnimalQuery::default();
        let show = show.unwrap_or(if is_for_people && is_bare { Show::OnYard } else { Show::All });
        let label = |text: &Option<String>| text.clone().filter(|text| text != ANY);
        let filter = AnimalFilter {
            show,
            pen: label(&query.pen),
            lot: label(&query.lot),
            export_lot: label(&query.export_lot),
            funder: label(&query.funder),
            sex: label(&query.sex),
            tags: named("tags", query.tags.as_deref(), TagFilter::of_name)?,
            day: day_filter(&query, zone)?,
        };
        let column = named("sort", query.sort.as_deref(), SortColumn::of_name)?;
        let by_visual_tag = is_for_people && query.after.is_none();
        let sort = Sort {
            column: column.unwrap_or(if by_visual_tag { SortColumn::Visual } else { SortColumn::Id }),
            descending: named("order", query.order.as_deref(), order)?.unwrap_or_default(),
        };
        Ok(Self {
            start: start(&query)?,
            limit: limit(query.limit)?,
            is_page: query.limit.is_some() || query.after.is_some() || query.before.is_some(),
            is_plain: named("form", query.form.as_deref(), |form| (form == PLAIN).then_some(true))?.is_some(),
            written: AnimalQuery { after: None, before: None, limit: None, form: None, ..query },
            filter,
            sort,
        })
    }

    /// Returns the query of this list with other values: `?show=yard&pen=P1`.
    pub(super) fn with(&self, changes: &[(&str, &str)]) -> String {
        let written = &self.written;
        let (column, order) = (self.sort.column.as_str(), self.order());
        let own = [
            ("show", Some(self.filter.show.as_str())),
            ("pen", self.filter.pen.as_deref()),
            ("lot", self.filter.lot.as_deref()),
            ("export_lot", self.filter.export_lot.as_deref()),
            ("funder", self.filter.funder.as_deref()),
            ("sex", self.filter.sex.as_deref()),
            ("tags", self.filter.tags.map(TagFilter::as_str)),
            ("day", written.day.as_deref().filter(|_| self.filter.day.is_some())),
            ("event", self.filter.day.as_ref().map(|day| day.event.as_str())),
            ("sort", Some(column)),
            ("order", Some(order)),
        ];
        let change_of = |key: &str| changes.iter().find(|(changed, _)| *changed == key).map(|(_, value)| *value);
        let kept = own.iter().filter_map(|(key, value)| Some((*key, change_of(key).or(*value)?)));
        let new = changes.iter().copied().filter(|(key, _)| own.iter().all(|(own, _)| own != key));
        kept.chain(new).filter(|(_, value)| *value != ANY).fold(String::new(), |mut text, (key, value)| {
            let sign = if text.is_empty() { '?' } else { '&' };
            // Writing to a `String` does not fail.
            let _ = write!(text, "{sign}{key}={}", path_segment(value));
            text
        })
    }

    /// Returns the query of the page of a file that begins after a place. It keeps the form.
    pub(super) fn next_page(&self, after: &str) -> String {
        let limit = self.limit_text();
        let form = if self.is_plain { PLAIN } else { ANY };
        self.with(&[("after", after), ("limit", &limit), ("form", form)])
    }

    /// Returns the direction of the order.
    pub(super) fn order(&self) -> &'static str {
        if self.sort.descending { "desc" } else { "asc" }
    }

    /// Returns the number of entries on a page, for a link to another page.
    pub(super) fn limit_text(&self) -> String {
        self.limit.entries().to_string()
    }

    /// Returns the day of the filter as it is written.
    pub(super) fn day(&self) -> Option<&str> {
        self.written.day.as_deref().filter(|_| self.filter.day.is_some())
    }
}

/// Reads a direction: true for the highest value first.
fn order(text: &str) -> Option<bool> {
    match text {
        "asc" => Some(false),
        "desc" => Some(true),
        _ => None,
    }
}

fn start(query: &AnimalQuery) -> Result<PageStart, ApiError> {
    let cursor = |text: &str| text.parse::<Cursor>().map_err(|error| ApiError::bad_request(error.to_string()));
    Ok(match (query.after.as_deref(), query.before.as_deref()) {
        (None, None) => PageStart::First,
        (Some(after), None) => PageStart::After(cursor(after)?),
        (None, Some(END)) => PageStart::Last,
        (None, Some(before)) => PageStart::Before(cursor(before)?),
        (Some(_), Some(_)) => return Err(ApiError::bad_request("give after or before, and not both")),
    })
}

fn day_filter(query: &AnimalQuery, zone: &Zone) -> Result<Option<DayFilter>, ApiError> {
    let Some(text) = query.day.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
    let day: Day = text.parse().map_err(|error: DayError| ApiError::bad_request(error.to_string()))?;
    let event = named("event", query.event.as_deref(), DayEvent::of_name)?.unwrap_or_default();
    Ok(Some(DayFilter { event, range: zone.range_us(day) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(query: AnimalQuery, is_for_people: bool) -> AnimalSelection {
        AnimalSelection::new(query, is_for_people, &Zone::named("America/Denver").unwrap()).unwrap()
    }

    #[test]
    fn people_see_the_yard_first_and_programs_all_animals() {
        let (people, program) = (selection(AnimalQuery::default(), true), selection(AnimalQuery::default(), false));
        assert_eq!((people.filter.show, people.sort.column), (Show::OnYard, SortColumn::Visual));
        assert_eq!((program.filter.show, program.sort.column), (Show::All, SortColumn::Id));
        let of_a_pen = selection(AnimalQuery { pen: Some("P 1".into()), ..AnimalQuery::default() }, true);
        assert_eq!(of_a_pen.filter.show, Show::All);
        assert_eq!(of_a_pen.with(&[("sort", "weight")]), "?show=all&pen=P%201&sort=weight&order=asc");
        assert_eq!(of_a_pen.with(&[("pen", ANY)]), "?show=all&sort=visual&order=asc");
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_office() {
        let day = Some("2026-03-08".to_owned());
        let range = selection(AnimalQuery { day, ..AnimalQuery::default() }, true).filter.day.unwrap().range;
        assert_eq!((range.end - range.start) / 3_600_000_000, 23);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let bad = |query| AnimalSelection::new(query, true, &Zone::UTC).is_err();
        let text = || Some("x".to_owned());
        assert!(bad(AnimalQuery { show: text(), ..AnimalQuery::default() }));
        assert!(bad(AnimalQuery { sort: text(), ..AnimalQuery::default() }));
        assert!(bad(AnimalQuery { tags: text(), ..AnimalQuery::default() }));
        assert!(bad(AnimalQuery { day: text(), ..AnimalQuery::default() }));
        assert!(bad(AnimalQuery { after: text(), ..AnimalQuery::default() }));
        assert!(bad(AnimalQuery { limit: Some(0), ..AnimalQuery::default() }));
        assert!(bad(AnimalQuery { after: Some("1".into()), before: Some("2".into()), ..AnimalQuery::default() }));
    }
}
