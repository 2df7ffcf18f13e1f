//! The pens, with the head in them.

use super::figures::{mean_in_words, rounded};
use super::format;
use super::frame::Section;
use super::page::PageContent;
use super::site_request::{SiteRequest, query_value};
use askama::Template;
use axum::response::Response;
use herd::catalog::LotFigures;
use herd::payload::{Grams, WeightUnit};
use serde::Serialize;
use service::door::reply::ApiError;

/// Maximum number of pens on the page. A yard has some dozens.
const MAX_PENS: usize = 500;
/// Maximum number of lots that are named for a pen.
const MAX_LOTS_NAMED: usize = 5;

/// JSON of the pens.
#[derive(Serialize)]
struct PensView {
    success: bool,
    data: Vec<PenView>,
    /// Number of pens, of which `data` may have the first ones only.
    total: usize,
}

#[derive(Serialize)]
struct PenView {
    /// `None` for the head on the yard that is in no pen.
    pen: Option<String>,
    head: u64,
    mean_weight_kg: Option<Grams>,
    tags_missing: u64,
    /// Lots with their head, most head first.
    lots: Vec<LotOfPen>,
    /// Number of lots that are left out of `lots`.
    more_lots: usize,
}

#[derive(Serialize)]
struct LotOfPen {
    lot: Option<String>,
    head: u64,
}

impl From<LotFigures> for PenView {
    fn from(pen: LotFigures) -> Self {
        let more_lots = pen.others.len().saturating_sub(MAX_LOTS_NAMED);
        let lots = pen.others.into_iter().take(MAX_LOTS_NAMED);
        Self {
            pen: pen.name.map(Into::into),
            head: pen.figures.head,
            mean_weight_kg: pen.figures.mean_weight_g().map(rounded),
            tags_missing: pen.figures.tag_missing,
            lots: lots.map(|(lot, head)| LotOfPen { lot: lot.map(Into::into), head }).collect(),
            more_lots,
        }
    }
}

#[derive(Template)]
#[template(path = "pens.html")]
struct PensContent {
    prefix: String,
    unit: WeightUnit,
    head: u64,
    view: PensView,
}

impl PageContent for PensContent {
    type View = PensView;

    const SECTION: Option<Section> = Some(Section::Pens);
    const IS_LIVE: bool = true;

    fn title(&self) -> String {
        "Pens".to_owned()
    }

    fn view(&self) -> &PensView {
        &self.view
    }
}

impl PensContent {
    fn mean(&self, pen: &PenView) -> String {
        mean_in_words(pen.mean_weight_kg, self.unit)
    }

    fn path(&self, pen: &PenView, show: &str) -> String {
        format!("{}/animals?show={show}&pen={}", self.prefix, query_value(pen.pen.as_deref().unwrap_or_default()))
    }

    /// Returns the path of a lot; `None` for head without one.
    fn lot_path(&self, lot: &LotOfPen) -> Option<String> {
        Some(format!("{}/lots/{}", self.prefix, query_value(lot.lot.as_deref()?)))
    }
}

/// The list of pens.
pub(super) fn list(site: &SiteRequest) -> Result<Response, ApiError> {
    site.request.reject_query()?;
    let (pens, as_of) = site.catalog(|catalog, _| Ok((catalog.pens(), catalog.as_of())))?;
    let (total, head) = (pens.len(), pens.iter().map(|pen| pen.figures.head).sum());
    let data = pens.into_iter().take(MAX_PENS).map(PenView::from).collect();
    let view = PensView { success: true, data, total };
    let content = PensContent { prefix: site.prefix.clone(), unit: site.conventions.weight_unit, head, view };
    Ok(site.respond(content, Some(as_of)))
}
