//! Animals, and one with all that is known of it.

use super::asked::{limit, place, refusal};
use super::frame::Frame;
use super::sheet::kept;
use super::visit::{List, Visit};
use super::words;
use askama::Template;
use axum::response::Response;
use herd::change::AnimalId;
use herd::query::{AnimalView, CorrectionView, HistoryCursor, HistoryEntry, PageLimit, TotalsView, WeightView};
use herd::tables::AnimalStatus;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

const PART: &str = "/animals";
/// So many weights stand on an animal's page; its history has the others.
const WEIGHTS_SHOWN: u64 = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    after: Option<u64>,
    limit: Option<u64>,
}

#[derive(Template, Serialize)]
#[template(path = "animals.html")]
struct AnimalsPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    totals: TotalsView,
    #[serde(skip)]
    limit: u64,
    #[serde(flatten)]
    list: List<AnimalView>,
}

impl AnimalsPage {
    /// Those that are neither on the yard nor left it.
    fn dead(&self) -> u64 {
        self.totals.animals.saturating_sub(self.totals.active.saturating_add(self.totals.exported))
    }
}

/// All animals, in the order in which they came.
pub(super) fn list(visit: &Visit) -> Result<Response, ApiError> {
    read(visit).map(|page| visit.show(&page))
}

/// The same for a spreadsheet.
pub(super) fn sheet(visit: &Visit) -> Result<Response, ApiError> {
    let page = read(visit)?;
    let next = page.list.next.map(|next| visit.path(&format!("/animals.csv?after={next}&limit={}", page.limit)));
    Ok(kept(&page.list.data, "attachment; filename=\"animals.csv\"", next))
}

fn read(visit: &Visit) -> Result<AnimalsPage, ApiError> {
    let query: ListQuery = visit.asked.query()?;
    let limit = limit(query.limit)?;
    let snapshot = visit.snapshot()?;
    let page = snapshot.animals(query.after.map(AnimalId), limit).map_err(refusal)?;
    let totals = snapshot.totals().map_err(refusal)?;
    Ok(AnimalsPage {
        frame: visit.frame("Animals", PART, Some(totals.as_of)),
        list: List::new(page, totals.as_of),
        limit: limit.entries() as u64,
        totals,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    from: Option<String>,
    limit: Option<u64>,
}

#[derive(Template, Serialize)]
#[template(path = "animal.html")]
struct AnimalPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    limit: u64,
    #[serde(flatten)]
    animal: AnimalView,
    weights: Vec<WeightView>,
    history: Vec<HistoryEntry>,
    /// Goes on in the history.
    next: Option<HistoryCursor>,
}

impl AnimalPage {
    /// What it was inducted with, as label and value.
    fn traits(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let traits = &self.animal.traits;
        let told = [
            ("Funder", &traits.funder),
            ("Pen", &traits.pen),
            ("Pen location", &traits.pen_location),
            ("Sex", &traits.sex),
            ("Visual tag", &traits.visual_id),
            ("Tag color", &traits.tag_color),
            ("Lot group", &traits.lot_group),
            ("Notes", &traits.notes),
            ("Reason", &traits.reason),
        ];
        told.into_iter().filter_map(|(label, value)| Some((label, value.as_deref()?)))
    }

    /// What a correction in its history did.
    fn done(&self, correction: &CorrectionView) -> String {
        correction.summary_for(self.animal.id)
    }
}

/// One animal with its weights and its history.
pub(super) fn one(visit: &Visit) -> Result<Response, ApiError> {
    let query: HistoryQuery = visit.asked.query()?;
    let limit = limit(query.limit)?;
    let from = place::<HistoryCursor>(query.from.as_deref())?;
    let id = AnimalId(visit.asked.number("id")?);
    let unknown = || ApiError::not_found(format!("there is no animal with the id {id}"));
    let snapshot = visit.snapshot()?;
    let animal = snapshot.animal(id).map_err(refusal)?.ok_or_else(unknown)?;
    let weights_limit = PageLimit::new(WEIGHTS_SHOWN).map_err(refusal)?;
    let weights = snapshot.weights(animal.id, None, weights_limit).map_err(refusal)?.ok_or_else(unknown)?;
    let history = snapshot.history(animal.id, from, limit).map_err(refusal)?.ok_or_else(unknown)?;
    let as_of = snapshot.folded().map_err(|error| refusal(error.into()))?;
    Ok(visit.show(&AnimalPage {
        frame: visit.frame(format!("Animal {}", animal.id), PART, Some(as_of)),
        limit: limit.entries() as u64,
        animal,
        weights: weights.data,
        history: history.data,
        next: history.next,
    }))
}
