//! Lots in and out, and one lot with its head.
//!
//! # Decisions
//!
//! - **A lot is the number of a batch**, compared without blanks and without the case of letters. A batch is one episode of it:
//!   the number of a closed batch opens a new one.
//! - **An animal is of the lot in which it is, or was last.** So a lot keeps its head after they have left.
//! - **Lots out are those of exports**, with the head that left and was not seen since.

mod lot;

pub(super) use lot::by_number;

use super::figures::{days_on_feed, mean_in_words, rounded};
use super::format;
use super::frame::Section;
use super::page::PageContent;
use super::request::limit;
use super::site_request::{SiteRequest, query_value};
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use herd::catalog::{HeadFigures, LotFigures};
use herd::clock::iso_utc;
use herd::payload::{Grams, WeightUnit};
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// Maximum number of pens that are named for a lot.
const MAX_PENS_NAMED: usize = 5;

/// The way of a lot, in or out, named as in the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    #[default]
    In,
    Out,
}

/// The lots of a list, named as in the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShowLots {
    /// Lots with head on the yard.
    #[default]
    Yard,
    /// All lots that came in.
    In,
    /// Lots that went out.
    Out,
}

impl ShowLots {
    const ALL: [Self; 3] = [Self::Yard, Self::In, Self::Out];

    fn as_str(self) -> &'static str {
        match self {
            Self::Yard => "yard",
            Self::In => "in",
            Self::Out => "out",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Yard => "On the yard",
            Self::In => "All in",
            Self::Out => "Out",
        }
    }

    fn side(self) -> Side {
        if self == Self::Out { Side::Out } else { Side::In }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LotsQuery {
    #[serde(default)]
    show: ShowLots,
    /// Number of lots before the page.
    skip: Option<usize>,
    limit: Option<u64>,
}

/// JSON of the list of lots.
#[derive(Serialize)]
struct LotsView {
    success: bool,
    data: Vec<LotView>,
    /// Number of lots in the list.
    total: usize,
    /// `skip` of the next page.
    next: Option<usize>,
}

/// A lot in a list.
#[derive(Serialize)]
struct LotView {
    /// `None` for the head in no lot.
    lot: Option<String>,
    side: Side,
    #[serde(flatten)]
    figures: LotHead,
    pens: Vec<String>,
    /// Number of pens that are left out of `pens`.
    more_pens: usize,
}

/// Figures of the head of a lot.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LotHead {
    pub(super) head: u64,
    pub(super) on_yard: u64,
    pub(super) exported: u64,
    pub(super) dead: u64,
    pub(super) weighed: u64,
    pub(super) mean_weight_kg: Option<Grams>,
    pub(super) mean_gain_g_per_day: Option<i64>,
    pub(super) tags_missing: u64,
    /// Mean of whole days from the first sighting to now, or to the last export if none is on the yard any more.
    pub(super) days_on_feed: Option<i64>,
    pub(super) first_in: Option<String>,
    pub(super) last_in: Option<String>,
    pub(super) first_out: Option<String>,
    pub(super) last_out: Option<String>,
    #[serde(skip)]
    pub(super) weight_sum_g: u64,
    /// Days of the first and last sighting, in the zone of the office.
    #[serde(skip)]
    pub(super) days_in: String,
    /// Days of the first and last export.
    #[serde(skip)]
    pub(super) days_out: String,
}

/// Formats the days of the first and the last of some times: `2026-11-20 to 2026-11-27`.
fn days(zone: &Zone, first_us: Option<i64>, last_us: Option<i64>) -> String {
    let day = |at_us: Option<i64>| at_us.map(|at_us| zone.day_of(at_us).to_string()).unwrap_or_default();
    let (first, last) = (day(first_us), day(last_us));
    if first == last { first } else { format!("{first} to {last}") }
}

impl LotHead {
    pub(super) fn new(figures: &HeadFigures, now_us: i64, zone: &Zone) -> Self {
        Self {
            days_in: days(zone, figures.first_in_us, figures.last_in_us),
            days_out: days(zone, figures.first_out_us, figures.last_out_us),
            head: figures.head,
            on_yard: figures.on_yard,
            exported: figures.exported,
            dead: figures.dead,
            weighed: figures.weighed,
            mean_weight_kg: figures.mean_weight_g().map(rounded),
            mean_gain_g_per_day: figures.mean_gain_g(),
            tags_missing: figures.tag_missing,
            days_on_feed: days_on_feed(figures, now_us),
            first_in: figures.first_in_us.map(iso_utc),
            last_in: figures.last_in_us.map(iso_utc),
            first_out: figures.first_out_us.map(iso_utc),
            last_out: figures.last_out_us.map(iso_utc),
            weight_sum_g: figures.weight_sum_g,
        }
    }

    pub(super) fn mean(&self, unit: WeightUnit) -> String {
        mean_in_words(self.mean_weight_kg, unit)
    }

    pub(super) fn gain(&self, unit: WeightUnit) -> String {
        self.mean_gain_g_per_day.map(|gain_g| format::gain(gain_g, unit)).unwrap_or_default()
    }

    pub(super) fn days(&self) -> String {
        self.days_on_feed.map(format::grouped).unwrap_or_default()
    }
}

impl LotView {
    fn new(lot: LotFigures, side: Side, now_us: i64, zone: &Zone) -> Self {
        let named: Vec<String> = lot.others.into_iter().filter_map(|(pen, _)| pen.map(Into::into)).collect();
        Self {
            lot: lot.name.map(Into::into),
            side,
            figures: LotHead::new(&lot.figures, now_us, zone),
            more_pens: named.len().saturating_sub(MAX_PENS_NAMED),
            pens: named.into_iter().take(MAX_PENS_NAMED).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "lots.html")]
struct LotsContent {
    prefix: String,
    unit: WeightUnit,
    limit: u64,
    show: ShowLots,
    view: LotsView,
}

impl PageContent for LotsContent {
    type View = LotsView;

    const SECTION: Option<Section> = Some(Section::Lots);

    fn title(&self) -> String {
        "Lots".to_owned()
    }

    fn view(&self) -> &LotsView {
        &self.view
    }
}

impl LotsContent {
    /// Yields value and label of each choice, and true for the current one.
    fn choices(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let current = self.show;
        ShowLots::ALL.into_iter().map(move |show| (show.as_str(), show.label(), show == current))
    }

    fn is_out(&self) -> bool {
        self.show == ShowLots::Out
    }

    /// Returns the path of a lot; head in no lot is in the list of animals.
    fn path(&self, lot: &LotView) -> String {
        match &lot.lot {
            Some(number) => lot_path(&self.prefix, number, lot.side),
            None => format!("{}/animals?show=yard&lot=", self.prefix),
        }
    }
}

/// Returns the path of a lot.
pub(super) fn lot_path(prefix: &str, number: &str, side: Side) -> String {
    let query = if side == Side::Out { "?side=out" } else { "" };
    format!("{prefix}/lots/{}{query}", query_value(number))
}

/// The list of lots.
pub(super) fn list(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: LotsQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let (mut lots, as_of) = site.catalog(|catalog, _| {
        let lots = match query.show {
            ShowLots::Out => catalog.export_lots(),
            ShowLots::Yard | ShowLots::In => catalog.lots(),
        };
        Ok((lots, catalog.as_of()))
    })?;
    if query.show == ShowLots::Yard {
        lots.retain(|lot| lot.figures.on_yard > 0);
    }
    let (total, skip) = (lots.len(), query.skip.unwrap_or(0));
    let page = lots.into_iter().skip(skip).take(limit.entries());
    let data: Vec<_> =
        page.map(|lot| LotView::new(lot, query.show.side(), site.now_us, &site.conventions.zone)).collect();
    let end = skip.saturating_add(data.len());
    let next = (end < total).then_some(end).filter(|end| *end > skip);
    let content = LotsContent {
        prefix: site.prefix.clone(),
        unit: site.conventions.weight_unit,
        limit: limit.entries() as u64,
        show: query.show,
        view: LotsView { success: true, data, total, next },
    };
    Ok(site.respond(content, Some(as_of)))
}
