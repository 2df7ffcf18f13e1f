//! One lot with its head, on a screen and on paper.
//!
//! # Decisions
//!
//! - **The page is the print view.** Styles for paper leave out the bar, the search and the forms, repeat the heads of the
//!   columns on each sheet, and add lines for signatures. A page of its own for paper would drift from the other.
//! - **All head stand on one page**, up to [`MAX_HEAD`]: a list that is signed must be whole. A larger lot says what is left
//!   out, and where the rest is.

use super::{LotHead, Side, lot_path};
use crate::pages::conventions::Conventions;
use crate::pages::error::query_error;
use crate::pages::format;
use crate::pages::frame::Section;
use crate::pages::head::Head;
use crate::pages::page::PageContent;
use crate::pages::site_request::{SiteRequest, query_value};
use askama::Template;
use axum::response::Response;
use herd::catalog::{AnimalFilter, Catalog, CatalogAnimal, LotFigures, PageStart, Sort, SortColumn};
use herd::clock::{WallTime, iso_utc};
use herd::payload::Grams;
use herd::position::Sequence;
use herd::query::{BatchView, MAX_PAGE_ENTRIES, PageLimit};
use herd::store::Snapshot;
use herd::tables::AnimalStatus;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// Maximum number of head on the page.
const MAX_HEAD: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LotQuery {
    #[serde(default)]
    side: Side,
}

/// JSON of a lot.
#[derive(Serialize)]
struct LotDetails {
    success: bool,
    lot: String,
    side: Side,
    #[serde(flatten)]
    figures: LotHead,
    /// Its batches, latest first: each time that the number was opened.
    batches: Vec<BatchView>,
    animals: Vec<HeadView>,
    /// Number of head that are left out of `animals`.
    more_animals: usize,
}

/// An animal of the lot.
#[derive(Serialize)]
struct HeadView {
    id: u64,
    status: AnimalStatus,
    visual_id: Option<String>,
    lf: Option<String>,
    epc: Option<String>,
    sex: Option<String>,
    pen: Option<String>,
    weight_kg: Option<Grams>,
    gain_g_per_day: Option<i32>,
    first_seen: Option<String>,
    exported: Option<String>,
    /// The same as lists of animals show it.
    #[serde(skip)]
    shown: Head,
    /// Day of the first sighting, in the zone of the office.
    #[serde(skip)]
    day_in: String,
}

impl HeadView {
    fn new(animal: CatalogAnimal, conventions: &Conventions) -> Self {
        let text = |text: &Option<_>| text.as_ref().map(ToString::to_string);
        let first_seen = animal.inducted.and_then(WallTime::iso_utc);
        let day_in =
            animal.inducted.filter(|_| first_seen.is_some()).map(|at| conventions.zone.day_of(at.at_us).to_string());
        Self {
            id: animal.id.0,
            status: animal.status,
            visual_id: text(&animal.visual_id),
            lf: text(&animal.lf),
            epc: text(&animal.epc),
            sex: text(&animal.sex),
            pen: text(&animal.pen),
            weight_kg: animal.weight_g.map(Grams),
            gain_g_per_day: animal.gain_g_per_day,
            first_seen,
            exported: animal.exported.and_then(WallTime::iso_utc),
            shown: Head::new(animal, conventions),
            day_in: day_in.unwrap_or_default(),
        }
    }

    fn word(&self) -> &'static str {
        match self.status {
            AnimalStatus::Active => "",
            AnimalStatus::Exported => "exported",
            AnimalStatus::Dead => "dead",
            AnimalStatus::Voided => "voided",
        }
    }
}

#[derive(Template)]
#[template(path = "lot.html")]
struct LotContent {
    prefix: String,
    site: String,
    conventions: Conventions,
    now_us: i64,
    /// `true` if there is a lot of this number on the other side.
    has_other_side: bool,
    view: LotDetails,
}

impl PageContent for LotContent {
    type View = LotDetails;

    const SECTION: Option<Section> = Some(Section::Lots);

    fn title(&self) -> String {
        format!("Lot {}", self.view.lot)
    }

    fn view(&self) -> &LotDetails {
        &self.view
    }
}

impl LotContent {
    fn is_out(&self) -> bool {
        self.view.side == Side::Out
    }

    fn other_path(&self) -> String {
        let other = if self.is_out() { Side::In } else { Side::Out };
        lot_path(&self.prefix, &self.view.lot, other)
    }

    /// Returns a path to the same head in another form. Head that came back keeps its export lot, and is not of the lot
    /// that left.
    fn animals_path(&self, path: &str) -> String {
        let filter = if self.is_out() { "show=exported&export_lot" } else { "lot" };
        format!("{}{path}?{filter}={}", self.prefix, query_value(&self.view.lot))
    }

    fn now(&self) -> String {
        self.conventions.zone.date_time(iso_utc(self.now_us))
    }

    fn mean(&self) -> String {
        self.view.figures.mean(self.conventions.weight_unit)
    }

    fn mean_gain(&self) -> String {
        self.view.figures.gain(self.conventions.weight_unit)
    }

    fn weight_sum(&self) -> String {
        format::tenths(self.view.figures.weight_sum_g, self.conventions.weight_unit)
    }
}

/// The lot of a number.
pub(in crate::pages) fn by_number(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: LotQuery = site.request.query()?;
    let number = site.request.path_param("number");
    let (view, has_other_side, as_of) = site.catalog(|catalog, snapshot| {
        let (shown_side, found, has_other_side) = find(catalog, number, query.side)?;
        let animals = read_head(catalog, shown_side, &found, &site.conventions)?;
        let lot = found.name.map(String::from).unwrap_or_default();
        let view = LotDetails {
            success: true,
            side: shown_side,
            figures: LotHead::new(&found.figures, site.now_us, &site.conventions.zone),
            batches: batches(snapshot, &lot, shown_side)?,
            more_animals: usize::try_from(found.figures.head).unwrap_or(usize::MAX).saturating_sub(animals.len()),
            animals,
            lot,
        };
        Ok((view, has_other_side, catalog.as_of()))
    })?;
    let content = LotContent {
        prefix: site.prefix.clone(),
        site: site.status.name.clone(),
        conventions: site.conventions.clone(),
        now_us: site.now_us,
        has_other_side,
        view,
    };
    Ok(site.respond(content, Some(as_of)))
}

/// Returns the lot of a number, and whether there is one on the other side too. A number that is of the other side only leads
/// there.
fn find(catalog: &Catalog, number: &str, side: Side) -> Result<(Side, LotFigures, bool), ApiError> {
    let find = |side| if side == Side::Out { catalog.export_lot(number) } else { catalog.lot(number) };
    let other = if side == Side::Out { Side::In } else { Side::Out };
    match (find(side), find(other)) {
        (Some(found), of_other) => Ok((side, found, of_other.is_some())),
        (None, Some(found)) => Ok((other, found, false)),
        (None, None) => Err(ApiError::not_found(format!("no lot has the number {number:?}"))),
    }
}

/// Reads the head of a lot, in the order of visual tags.
fn read_head(
    catalog: &Catalog,
    side: Side,
    lot: &LotFigures,
    conventions: &Conventions,
) -> Result<Vec<HeadView>, ApiError> {
    let number = lot.name.as_ref().map(ToString::to_string);
    let filter = match side {
        Side::In => AnimalFilter { lot: number, ..AnimalFilter::default() },
        Side::Out => AnimalFilter { export_lot: number, ..AnimalFilter::default() },
    };
    let sort = Sort { column: SortColumn::Visual, descending: false };
    let limit = PageLimit::new(MAX_PAGE_ENTRIES.into()).map_err(query_error)?;
    let (mut head, mut start) = (Vec::new(), PageStart::First);
    loop {
        let page = catalog.page(&filter, sort, start, limit);
        let left = side == Side::Out;
        head.extend(
            page.animals
                .into_iter()
                .filter(|animal| !left || animal.status == AnimalStatus::Exported)
                .map(|animal| HeadView::new(animal, conventions)),
        );
        match page.next {
            Some(next) if head.len() < MAX_HEAD => start = PageStart::After(next),
            _ => break,
        }
    }
    head.truncate(MAX_HEAD);
    Ok(head)
}

/// Returns the batches of a number, latest first.
fn batches(snapshot: &Snapshot, number: &str, side: Side) -> Result<Vec<BatchView>, ApiError> {
    let source = if side == Side::Out { "hxe" } else { "hxb" };
    let found = snapshot.batch_by_number(number).map_err(query_error)?;
    let Some(found) = found else { return Ok(Vec::new()) };
    let mut batches = vec![found.batch];
    for other in found.others {
        batches.extend(snapshot.batch(other.id).map_err(query_error)?);
    }
    batches.retain(|batch| batch.source_type == source);
    batches.sort_by_key(|batch| std::cmp::Reverse(Sequence(batch.id.0)));
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Zone;
    use herd::catalog::HeadFigures;
    use herd::payload::WeightUnit;

    /// Catches a total on a sheet that is signed for less than the head weighs: 32 bits hold 4,294,967 kg.
    #[test]
    fn the_total_weight_of_a_large_lot_is_whole() {
        for (weight_sum_g, weight_unit, total) in [
            (4_500_000_000, WeightUnit::Kg, "4500000.0"),
            (4_500_000_049, WeightUnit::Kg, "4500000.0"),
            (4_500_000_050, WeightUnit::Kg, "4500000.1"),
            (4_500_000_000, WeightUnit::Lb, "9920801.8"),
        ] {
            let figures = HeadFigures { head: 9_000, weighed: 9_000, weight_sum_g, ..HeadFigures::default() };
            let view = LotDetails {
                success: true,
                lot: "L1".to_owned(),
                side: Side::In,
                figures: LotHead::new(&figures, 0, &Zone::UTC),
                batches: Vec::new(),
                animals: Vec::new(),
                more_animals: 9_000,
            };
            let (prefix, site) = (String::new(), "barn".to_owned());
            let conventions = Conventions { weight_unit, zone: Zone::UTC };
            let page =
                LotContent { prefix, site, conventions, now_us: 0, has_other_side: false, view }.render().unwrap();
            assert!(page.contains(&format!(">{total}</td>")), "{weight_sum_g} {weight_unit:?}: {page}");
        }
    }
}
