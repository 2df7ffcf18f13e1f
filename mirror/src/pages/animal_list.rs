//! List of animals: chips with counts, filters, an order, and pages in both directions. All of it is in the address.

use super::animal_query::{ANY, AnimalSelection, END};
use super::error::query_error;
use super::format;
use super::frame::Section;
use super::head::Head;
use super::media_type::MediaType;
use super::page::PageContent;
use super::site_request::SiteRequest;
use askama::Template;
use axum::response::Response;
use herd::catalog::{AnimalPage, Catalog, CatalogAnimal, Cursor, HeadCounts, Show, SortColumn, TagFilter};
use herd::clock::WallTime;
use herd::position::Sequence;
use herd::query::AnimalView;
use herd::store::Snapshot;
use herd::text::Text;
use serde::Serialize;
use service::door::reply::ApiError;

/// Maximum number of names that each filter offers. The pages of lots and pens have all.
const MAX_OFFERED: usize = 200;

/// A place in the list: a number in the order of ids, as it always was, else a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Place {
    Number(u64),
    Text(String),
}

impl Place {
    fn new(cursor: Cursor) -> Self {
        cursor.number().map_or_else(|| Self::Text(cursor.to_string()), Self::Number)
    }
}

/// JSON of an animal in the list.
#[derive(Serialize)]
struct AnimalRow {
    #[serde(flatten)]
    animal: AnimalView,
    /// Number of the barn batch that it is in, or was in last.
    lot: Option<String>,
    /// Daily gain in grams: the slope of the least squares line through its weights.
    gain_g_per_day: Option<i32>,
    /// First sighting, ISO 8601 in UTC; `None` for an animal that was only seen in an export.
    inducted_at: Option<String>,
    /// Last export.
    exported_at: Option<String>,
}

/// JSON of the list.
#[derive(Serialize)]
struct AnimalsView {
    success: bool,
    /// Empty for people, whose page has less of each animal.
    data: Vec<AnimalRow>,
    next: Option<Place>,
    previous: Option<Place>,
    /// Number of animals in the list before the page.
    before: usize,
    /// Number of animals in the whole list.
    total: usize,
    as_of: Sequence,
}

/// Names that the filters offer.
#[derive(Default)]
struct Offered {
    lots: Vec<String>,
    pens: Vec<String>,
    funders: Vec<String>,
    sexes: Vec<String>,
}

/// Part of the catalog that the page shows.
struct ListPart {
    page: AnimalPage,
    counts: HeadCounts,
    offered: Offered,
    as_of: Sequence,
}

#[derive(Template)]
#[template(path = "animals.html")]
struct AnimalsContent {
    prefix: String,
    unit: &'static str,
    selection: AnimalSelection,
    counts: HeadCounts,
    offered: Offered,
    heads: Vec<Head>,
    view: AnimalsView,
}

impl PageContent for AnimalsContent {
    type View = AnimalsView;

    const SECTION: Option<Section> = Some(Section::Animals);

    fn title(&self) -> String {
        "Animals".to_owned()
    }

    fn view(&self) -> &AnimalsView {
        &self.view
    }
}

/// A choice of animals by state.
struct Chip {
    label: &'static str,
    count: u64,
    path: String,
    is_current: bool,
}

/// A column of the table.
struct Header {
    label: String,
    is_number: bool,
    /// Path of the list in this order, and in the other direction if it is in this order already.
    path: Option<String>,
    /// `ascending` or `descending`, if the list is in this order.
    sorted: Option<&'static str>,
}

/// A filter by a label, as the form has it.
struct LabelFilter<'a> {
    name: &'static str,
    label: &'static str,
    chosen: Option<&'a str>,
    offered: &'a [String],
}

impl<'a> LabelFilter<'a> {
    /// Returns the chosen value if the form does not offer it: all its head is gone, or there are too many others.
    fn not_offered(&self) -> Option<&'a str> {
        self.chosen.filter(|chosen| !chosen.is_empty() && self.offered.iter().all(|offered| offered != chosen))
    }
}

/// A filter that is set, with the path of the list without it.
struct ActiveFilter {
    label: String,
    path: String,
}

impl AnimalsContent {
    fn label_filters(&self) -> [LabelFilter<'_>; 4] {
        let (filter, offered) = (&self.selection.filter, &self.offered);
        [
            LabelFilter { name: "pen", label: "Pen", chosen: filter.pen.as_deref(), offered: &offered.pens },
            LabelFilter { name: "lot", label: "Lot", chosen: filter.lot.as_deref(), offered: &offered.lots },
            LabelFilter {
                name: "funder",
                label: "Funder",
                chosen: filter.funder.as_deref(),
                offered: &offered.funders,
            },
            LabelFilter { name: "sex", label: "Sex", chosen: filter.sex.as_deref(), offered: &offered.sexes },
        ]
    }

    fn path(&self, changes: &[(&str, &str)]) -> String {
        format!("{}/animals{}", self.prefix, self.selection.with(changes))
    }

    fn chips(&self) -> Vec<Chip> {
        let counts = &self.counts;
        let chips = [
            (Show::OnYard, "On the yard", counts.on_yard),
            (Show::TagMissing, "Tag missing", counts.tag_missing),
            (Show::NotWeighed, "Not weighed", counts.not_weighed),
            (Show::Exported, "Exported", counts.exported),
            (Show::Dead, "Dead", counts.dead),
            (Show::All, "All", counts.all),
        ];
        let chip = |(show, label, count): (Show, _, _)| Chip {
            label,
            count,
            path: self.path(&[("show", show.as_str())]),
            is_current: self.selection.filter.show == show,
        };
        chips.into_iter().map(chip).collect()
    }

    fn headers(&self) -> Vec<Header> {
        let columns = [
            ("Visual tag", Some(SortColumn::Visual), false),
            ("EID (LF)", Some(SortColumn::Eid), false),
            ("UHF", None, false),
            ("Lot", Some(SortColumn::Lot), false),
            ("Pen", Some(SortColumn::Pen), false),
            ("Sex", None, false),
            (self.unit, Some(SortColumn::Weight), true),
            ("a day", Some(SortColumn::Gain), true),
            ("Last read", Some(SortColumn::LastSeen), false),
        ];
        columns.into_iter().map(|(label, column, is_number)| self.header(label, column, is_number)).collect()
    }

    fn header(&self, label: &str, column: Option<SortColumn>, is_number: bool) -> Header {
        let sort = self.selection.sort;
        let is_current = column == Some(sort.column);
        // Numbers and times are looked at from the highest down.
        let starts_high = is_number || column == Some(SortColumn::LastSeen);
        let descending = if is_current { !sort.descending } else { starts_high };
        let order = if descending { "desc" } else { "asc" };
        Header {
            label: if column == Some(SortColumn::Gain) { format!("{} {label}", self.unit) } else { label.to_owned() },
            is_number,
            path: column.map(|column| self.path(&[("sort", column.as_str()), ("order", order)])),
            sorted: is_current.then_some(if sort.descending { "descending" } else { "ascending" }),
        }
    }

    fn active_filters(&self) -> Vec<ActiveFilter> {
        let filter = &self.selection.filter;
        let labels = [
            ("pen", "Pen", &filter.pen),
            ("lot", "Lot", &filter.lot),
            ("export_lot", "Export", &filter.export_lot),
            ("funder", "Funder", &filter.funder),
            ("sex", "Sex", &filter.sex),
        ];
        let active = |key: &str, label: String| ActiveFilter { label, path: self.path(&[(key, ANY)]) };
        let mut filters: Vec<_> = labels
            .into_iter()
            .filter_map(|(key, name, text)| {
                let text = text.as_deref()?;
                Some(active(key, if text.is_empty() { format!("{name}: none") } else { format!("{name}: {text}") }))
            })
            .collect();
        filters.extend(filter.tags.map(|tags| active("tags", tags_words(tags).to_owned())));
        if let (Some(day), Some(filter)) = (self.selection.day(), &filter.day) {
            let label = format!("{} on {day}", event_words(filter.event));
            filters.push(ActiveFilter { label, path: self.path(&[("day", ANY), ("event", ANY)]) });
        }
        filters
    }

    /// Returns the place of the page in the list: `51–100 of 524`.
    fn place(&self) -> String {
        let (first, last) = (self.view.before + 1, self.view.before + self.heads.len());
        let total = format::grouped(self.view.total);
        match (self.heads.len(), self.view.total) {
            (0, _) => format!("none of {total}"),
            (shown, total) if shown == total => format::counted(total, "animal", "animals"),
            _ => format!("{}–{} of {total}", format::grouped(first), format::grouped(last)),
        }
    }

    fn page_path(&self, key: &str, place: &Place) -> String {
        let place = match place {
            Place::Number(number) => number.to_string(),
            Place::Text(text) => text.clone(),
        };
        self.path(&[(key, &place), ("limit", &self.selection.limit_text())])
    }

    fn first_path(&self) -> String {
        self.path(&[("limit", &self.selection.limit_text())])
    }

    fn last_path(&self) -> String {
        self.path(&[("before", END), ("limit", &self.selection.limit_text())])
    }

    fn sheet_path(&self, path: &str) -> String {
        format!("{}{path}{}", self.prefix, self.selection.with(&[]))
    }
}

/// Says which animals a filter by tags shows.
fn tags_words(tags: TagFilter) -> &'static str {
    match tags {
        TagFilter::NoLf => "No EID",
        TagFilter::NoEpc => "No UHF tag",
        TagFilter::Unconfirmed => "Tag unconfirmed",
        TagFilter::Complete => "Both tags",
        TagFilter::OddWeight => "Odd weight",
        TagFilter::DoubtfulTime => "Doubtful time",
    }
}

/// Says what happened on a day.
fn event_words(event: herd::catalog::DayEvent) -> &'static str {
    use herd::catalog::DayEvent;
    match event {
        DayEvent::In => "In",
        DayEvent::Out => "Out",
        DayEvent::Weighed => "Weighed",
        DayEvent::Seen => "Last read",
    }
}

/// The list of animals.
pub(super) fn list(site: &SiteRequest) -> Result<Response, ApiError> {
    let selection = AnimalSelection::read(site)?;
    let is_for_people = site.request.media_type == MediaType::Html;
    let (found, data) = site.catalog(|catalog, snapshot| {
        let found = find(catalog, &selection, is_for_people);
        let data = if is_for_people { Vec::new() } else { rows(snapshot, &found.page.animals)? };
        Ok((found, data))
    })?;
    let ListPart { page, counts, offered, as_of } = found;
    let content = AnimalsContent {
        prefix: site.prefix.clone(),
        unit: site.conventions.weight_unit.as_str(),
        selection,
        counts,
        offered,
        view: AnimalsView {
            success: true,
            data,
            next: page.next.map(Place::new),
            previous: page.previous.map(Place::new),
            before: page.before,
            total: page.total,
            as_of,
        },
        heads: page.animals.into_iter().map(|animal| Head::new(animal, &site.conventions)).collect(),
    };
    Ok(site.respond(content, Some(as_of)))
}

fn find(catalog: &Catalog, selection: &AnimalSelection, is_for_people: bool) -> ListPart {
    let AnimalSelection { filter, sort, start, limit, .. } = selection;
    let (page, as_of) = (catalog.page(filter, *sort, *start, *limit), catalog.as_of());
    if !is_for_people {
        return ListPart { page, counts: HeadCounts::default(), offered: Offered::default(), as_of };
    }
    let names = |texts: Vec<Text>| texts.into_iter().map(String::from).take(MAX_OFFERED).collect();
    let offered = Offered {
        lots: names(catalog.lot_names(MAX_OFFERED)),
        pens: names(catalog.pen_names(MAX_OFFERED)),
        funders: names(catalog.funders()),
        sexes: names(catalog.sexes()),
    };
    ListPart { page, counts: catalog.counts_of(filter), offered, as_of }
}

fn rows(snapshot: &Snapshot, animals: &[CatalogAnimal]) -> Result<Vec<AnimalRow>, ApiError> {
    let mut rows = Vec::with_capacity(animals.len());
    for animal in animals {
        let Some(view) = snapshot.animal(animal.id).map_err(query_error)? else { continue };
        rows.push(AnimalRow {
            animal: view,
            lot: animal.lot.clone().map(String::from),
            gain_g_per_day: animal.gain_g_per_day,
            inducted_at: animal.inducted.and_then(WallTime::iso_utc),
            exported_at: animal.exported.and_then(WallTime::iso_utc),
        });
    }
    Ok(rows)
}
