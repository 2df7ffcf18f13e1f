//! One animal with its weights and its history.

use super::conventions::Conventions;
use super::error::query_error;
use super::format;
use super::forms::{Action, Choice, Forms, PageFacts, Receipt, Subject};
use super::frame::Section;
use super::page::PageContent;
use super::request::{cursor, limit};
use super::site_request::{SiteRequest, site_prefix};
use crate::zone::Zone;
use askama::Template;
use axum::response::Response;
use herd::catalog::CatalogAnimal;
use herd::change::AnimalId;
use herd::correction::CorrectionForm;
use herd::payload::{Grams, WeightUnit};
use herd::query::{AnimalView, CorrectionView, EventEntry, HistoryCursor, HistoryEntry, PageLimit, WeightView};
use herd::tables::AnimalStatus;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;
use std::borrow::Borrow;

/// Number of weights on an animal's page; its history has the others.
const MAX_WEIGHTS: u64 = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// Change of a correction that was sent from this page.
    corrected: Option<u64>,
    from: Option<String>,
    limit: Option<u64>,
}

/// JSON of an animal.
#[derive(Serialize)]
struct AnimalDetails {
    #[serde(flatten)]
    animal: AnimalView,
    /// The last of those weighed, latest first.
    weights: Vec<WeightView>,
    /// Daily gain in grams: the slope of the least squares line through all weights. `None` unless two are a day apart, and
    /// while the index of the site is being made.
    gain_g_per_day: Option<i32>,
    history: Vec<HistoryEntry>,
    /// Cursor of the older history.
    next: Option<HistoryCursor>,
}

#[derive(Template)]
#[template(path = "animal.html")]
struct AnimalContent {
    prefix: String,
    unit: WeightUnit,
    zone: Zone,
    limit: u64,
    receipt: Option<Receipt>,
    forms: Forms,
    elsewhere: Vec<Elsewhere>,
    days_on_feed: Option<i64>,
    view: AnimalDetails,
}

/// An animal with the same tag at another site.
struct Elsewhere {
    site: String,
    path: String,
    status: AnimalStatus,
    /// The tag.
    tag: String,
}

impl Elsewhere {
    /// Finds the animals of other sites that wear or wore a tag of this one. Tags that are no standard number are left out:
    /// two yards may use the same ones.
    fn find(site: &SiteRequest, animal: &AnimalView) -> Result<Vec<Self>, ApiError> {
        let tags: Vec<_> = [&animal.lf, &animal.epc].into_iter().flatten().filter(|tag| tag.well_formed).collect();
        let mut found: Vec<Self> = Vec::new();
        for (other, snapshot) in site.other_snapshots() {
            for tag in &tags {
                let Some(same) = snapshot.find_animal(&tag.key).map_err(query_error)? else { continue };
                let path = format!("{}/animals/{}", site_prefix(other), same.id);
                if same.status != AnimalStatus::Voided && found.iter().all(|found| found.path != path) {
                    let (site, status, tag) = (other.to_owned(), same.status, tag.text.clone());
                    found.push(Self { site, path, status, tag });
                }
            }
        }
        Ok(found)
    }
}

impl PageContent for AnimalContent {
    type View = AnimalDetails;

    const SECTION: Option<Section> = Some(Section::Animals);

    fn title(&self) -> String {
        self.name()
    }

    fn view(&self) -> &AnimalDetails {
        &self.view
    }
}

impl AnimalContent {
    /// Returns what people call the animal: its visual tag, else a tag, else its number.
    fn name(&self) -> String {
        let animal = &self.view.animal;
        let tag = animal.lf.as_ref().or(animal.epc.as_ref()).map(|tag| tag.key.as_str());
        let name = animal.traits.visual_id.as_deref().or(tag);
        name.map_or_else(|| format!("Animal {}", animal.id), str::to_owned)
    }

    /// Formats a weight with the decimals that all weights of the page need.
    fn weight(&self, weight: impl Borrow<Grams>) -> String {
        let of_event = |entry: &HistoryEntry| match entry {
            HistoryEntry::Event(entry) => entry.event.weight_kg,
            HistoryEntry::Correction(_) => None,
        };
        let weights = self.view.weights.iter().map(|weight| weight.weight_kg);
        let decimals = format::decimals(weights.chain(self.view.history.iter().filter_map(of_event)), self.unit);
        format::weight(weight, self.unit, decimals)
    }

    /// Returns the daily gain in the unit of the office.
    fn gain(&self) -> Option<String> {
        self.view.gain_g_per_day.map(|gain_g| format::gain(gain_g.into(), self.unit))
    }

    /// Yields label and value of the traits that were recorded at induction.
    fn traits(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let traits = &self.view.animal.traits;
        let labeled = [
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
        labeled.into_iter().filter_map(|(label, value)| Some((label, value.as_deref()?)))
    }

    /// Returns whether the event was moved into a reader era.
    fn is_move(entry: &EventEntry) -> bool {
        let correction = entry.correction.as_ref().map(|correction| &correction.correction);
        matches!(correction, Some(CorrectionForm::NewReaderEra { .. }))
    }

    /// Summarizes a correction in the history, from the view of this animal.
    fn correction_summary(&self, correction: &CorrectionView) -> String {
        correction.summary_for(self.view.animal.id, self.unit, &|at| self.zone.date_time(at))
    }
}

/// Returns the whole days from the first sighting of an animal to now, or to its export; `None` for a dead one.
fn days_on_feed(animal: &CatalogAnimal, now_us: i64) -> Option<i64> {
    let until_us = match animal.status {
        AnimalStatus::Active => now_us,
        AnimalStatus::Exported => animal.exported?.at_us,
        AnimalStatus::Dead | AnimalStatus::Voided => return None,
    };
    format::days_on_feed(animal.inducted?.at_us, until_us)
}

/// Returns the forms for the corrections that are possible for an animal.
fn forms(site: &SiteRequest, view: &AnimalDetails) -> Forms {
    let subject = Subject::Animal(view.animal.id.0);
    let actions: Vec<_> = subject.actions().iter().copied().filter(|action| is_possible(*action, view)).collect();
    let weighing = |weight: &WeightView| Choice {
        value: weight.sequence.to_string(),
        label: format!(
            "{} {}, {}",
            format::weight(weight.weight_kg, site.conventions.weight_unit, 1),
            site.conventions.weight_unit.as_str(),
            weight
                .received_at
                .as_ref()
                .map_or("at an unknown time".to_owned(), |at| site.conventions.zone.date_time(at))
        ),
    };
    let weighings = view.weights.iter().map(weighing).collect();
    Forms::new(site, subject, &actions, &PageFacts { weighings, ..PageFacts::new(&site.conventions) })
}

/// Returns whether the barn takes such a correction of an animal in its state.
fn is_possible(action: Action, view: &AnimalDetails) -> bool {
    match (view.animal.status, action) {
        (AnimalStatus::Voided, _) => false,
        (_, Action::Merge) => true,
        (AnimalStatus::Active, Action::Reweigh) => !view.weights.is_empty(),
        (status, _) => status == AnimalStatus::Active,
    }
}

/// One animal with its weights and its history.
pub(super) fn by_id(site: &SiteRequest) -> Result<Response, ApiError> {
    let query: HistoryQuery = site.request.query()?;
    let limit = limit(query.limit)?;
    let from = cursor::<HistoryCursor>(query.from.as_deref())?;
    let id = AnimalId(site.request.number("id")?);
    let not_found = || ApiError::not_found(format!("there is no animal with the id {id}"));
    let snapshot = site.snapshot()?;
    let animal = snapshot.animal(id).map_err(query_error)?.ok_or_else(not_found)?;
    let weights_limit = PageLimit::new(MAX_WEIGHTS).map_err(query_error)?;
    let mut weights = snapshot.weights(animal.id, None, weights_limit).map_err(query_error)?.ok_or_else(not_found)?;
    // ISO 8601 sorts as time does. Weights of a clock that was never set come last.
    weights.data.sort_by(|one, other| other.received_at.cmp(&one.received_at));
    let history = snapshot.history(animal.id, from, limit).map_err(query_error)?.ok_or_else(not_found)?;
    let as_of = snapshot.folded().map_err(|error| query_error(error.into()))?;
    // The page has everything else without the catalog.
    let of_catalog = site.catalog(|catalog, _| Ok(catalog.animal(animal.id))).ok().flatten();
    let view = AnimalDetails {
        animal,
        weights: weights.data,
        gain_g_per_day: of_catalog.as_ref().and_then(|animal| animal.gain_g_per_day),
        history: history.data,
        next: history.next,
    };
    let (prefix, Conventions { weight_unit: unit, zone }) = (site.prefix.clone(), site.conventions.clone());
    let (receipt, forms) = (Receipt::read(site, &snapshot, query.corrected)?, forms(site, &view));
    let days_on_feed = of_catalog.and_then(|animal| days_on_feed(&animal, site.now_us));
    let elsewhere = if site.is_html() { Elsewhere::find(site, &view.animal)? } else { Vec::new() };
    let content = AnimalContent {
        prefix,
        unit,
        zone,
        limit: limit.entries() as u64,
        receipt,
        forms,
        elsewhere,
        days_on_feed,
        view,
    };
    Ok(site.respond(content, Some(as_of)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::catalog::Catalog;
    use herd::change::Correction;
    use herd::testing::TestBarn;
    use std::ops::ControlFlow;

    const DAY_US: i64 = 86_400_000_000;

    /// Catches head that has left or died and gets older.
    #[test]
    fn days_on_feed_end_with_the_export_and_with_the_death() {
        let mut barn = TestBarn::with_payloads(&["hxb:L:A:U1", "hxb:L:B:U2", "hxb:L:C:U3"]);
        barn.advance(3 * 24);
        barn.record("hxe:OUT:B:U2");
        barn.correct(Correction::Died { animal: AnimalId(4) });
        let catalog = Catalog::build(&barn.reader(), &mut |_| ControlFlow::Continue(())).unwrap();
        let animal = |id| catalog.animal(AnimalId(id)).unwrap();
        let now_us = animal(2).inducted.unwrap().at_us + 10 * DAY_US;
        assert_eq!([2, 3, 4].map(|id| days_on_feed(&animal(id), now_us)), [Some(10), Some(3), None]);
    }
}
