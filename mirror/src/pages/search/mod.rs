//! Search by what people have in their hands: a tag or its last digits, a visual tag, a lid, a lot, a pen.
//!
//! # Decisions
//!
//! - **All meanings of a text are listed, each with what it matched.** It leads straight on only if there is exactly one.
//! - **Programs get the same answers.** With one meaning they are redirected as people are.
//! - **Several sites are searched one after the other** (`across`), and the answer names the site of each meaning.

mod across;

pub(super) use across::office;

use super::conventions::Conventions;
use super::error::query_error;
use super::format;
use super::head::Head;
use super::lots::{Side, lot_path};
use super::page::{PageContent, redirect};
use super::site_request::{SiteRequest, path_segment};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use herd::catalog::{Catalog, FoundAnimal, HeadFigures, Match, SearchResults};
use herd::change::AnimalId;
use herd::clock::WallTime;
use herd::position::Sequence;
use herd::query::BatchView;
use herd::store::Snapshot;
use herd::tables::{AnimalStatus, TagState};
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// Maximum length of a search text. A tag, lid or number has at most 64 characters, not counting blanks.
const MAX_SEARCH_CHARS: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// JSON of a search without a result, in the form of an error.
#[derive(Serialize)]
struct NotFoundView {
    success: bool,
    error: &'static str,
    message: String,
}

/// Page of a search without a result.
#[derive(Template)]
#[template(path = "search.html")]
struct NotFoundContent {
    text: String,
    view: NotFoundView,
}

impl PageContent for NotFoundContent {
    type View = NotFoundView;

    fn title(&self) -> String {
        "Not found".to_owned()
    }

    fn view(&self) -> &NotFoundView {
        &self.view
    }

    fn search_text(&self) -> Option<&str> {
        Some(&self.text)
    }
}

/// An animal that was found.
#[derive(Serialize)]
struct AnimalHit {
    id: AnimalId,
    status: AnimalStatus,
    visual_id: Option<String>,
    lf: Option<String>,
    epc: Option<String>,
    lot: Option<String>,
    pen: Option<String>,
    /// ISO 8601 in UTC.
    last_seen: Option<String>,
    /// Relations of the text to the animal, in words.
    matched: Vec<String>,
    #[serde(skip)]
    head: Head,
}

/// A lot, a pen or a batch that was found.
#[derive(Serialize)]
struct GroupHit {
    /// `lot`, `export_lot`, `pen`, or `batch` for one whose head is in another batch by now.
    kind: &'static str,
    name: String,
    head: u64,
    on_yard: u64,
    /// Path of its page.
    path: String,
}

impl GroupHit {
    fn kind_words(&self) -> &'static str {
        match self.kind {
            "lot" => "Lot",
            "export_lot" => "Export",
            "batch" => "Batch",
            _ => "Pen",
        }
    }
}

/// Meanings of a text at one site.
#[derive(Serialize)]
struct Meanings {
    /// Last seen first; at most 50.
    animals: Vec<AnimalHit>,
    /// Number of animals that were found.
    animals_found: usize,
    /// Lots and pens; a batch if nothing else was found.
    groups: Vec<GroupHit>,
}

/// JSON of a search with several meanings.
#[derive(Serialize)]
struct FoundView {
    success: bool,
    query: String,
    #[serde(flatten)]
    meanings: Meanings,
}

#[derive(Template)]
#[template(path = "found.html")]
struct FoundContent {
    prefix: String,
    view: FoundView,
}

impl PageContent for FoundContent {
    type View = FoundView;

    fn title(&self) -> String {
        format!("Search: {}", self.view.query)
    }

    fn view(&self) -> &FoundView {
        &self.view
    }

    fn search_text(&self) -> Option<&str> {
        Some(&self.view.query)
    }
}

/// Leads to what a text means, or lists all of its meanings.
pub(super) fn search(site: &SiteRequest) -> Result<Response, ApiError> {
    let SearchQuery { q } = site.request.query()?;
    let text = checked(&q)?;
    let of = Site { prefix: &site.prefix, conventions: &site.conventions };
    let (meanings, as_of) = site.catalog(|catalog, snapshot| of.search(catalog, snapshot, text))?;
    if let Some(path) = meanings.only_path(&site.prefix) {
        return Ok(redirect(&path));
    }
    if meanings.is_empty() {
        let mut response = site.respond(NotFoundContent::new(text), Some(as_of));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let view = FoundView { success: true, query: text.to_owned(), meanings };
    Ok(site.respond(FoundContent { prefix: site.prefix.clone(), view }, Some(as_of)))
}

/// Returns the text that is searched, or the error for one that cannot be.
fn checked(q: &str) -> Result<&str, ApiError> {
    let text = q.trim();
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(ApiError::bad_request(format!("a search text has at most {MAX_SEARCH_CHARS} characters")));
    }
    if text.is_empty() {
        return Err(ApiError::bad_request("enter a tag or its last digits, a visual tag, a lid, a lot or a pen"));
    }
    Ok(text)
}

impl NotFoundContent {
    fn new(text: &str) -> Self {
        let message = format!("no animal has the tag or lid {text:?}, and no batch has this number");
        Self { text: text.to_owned(), view: NotFoundView { success: false, error: "not_found", message } }
    }
}

impl Meanings {
    fn is_empty(&self) -> bool {
        self.animals.is_empty() && self.groups.is_empty()
    }

    /// Returns the path of the only meaning; `None` if there are none or several.
    fn only_path(&self, prefix: &str) -> Option<String> {
        match (self.animals.as_slice(), self.groups.as_slice()) {
            ([animal], []) => Some(format!("{prefix}/animals/{}", animal.id)),
            ([], [group]) => Some(group.path.clone()),
            _ => None,
        }
    }
}

/// A site that is searched.
#[derive(Clone, Copy)]
struct Site<'a> {
    /// Prefix of its paths.
    prefix: &'a str,
    conventions: &'a Conventions,
}

impl Site<'_> {
    fn search(self, catalog: &Catalog, snapshot: &Snapshot, text: &str) -> Result<(Meanings, Sequence), ApiError> {
        let found = catalog.search(snapshot, text).map_err(query_error)?;
        let mut groups = self.groups(&found);
        if found.is_empty() {
            let batch = snapshot.batch_by_number(text).map_err(query_error)?;
            groups.extend(batch.map(|found| self.batch(&found.batch)));
        }
        let animals_found = found.animals_found;
        let animals = found.animals.into_iter().map(|found| animal_found(self.conventions, found)).collect();
        Ok((Meanings { animals, animals_found, groups }, catalog.as_of()))
    }

    fn groups(self, found: &SearchResults) -> Vec<GroupHit> {
        let lot = |name: &str| lot_path(self.prefix, name, Side::In);
        let export_lot = |name: &str| lot_path(self.prefix, name, Side::Out);
        let pen = |name: &str| format!("{}/animals?show=yard&pen={}", self.prefix, path_segment(name));
        let all: [(_, _, Path<'_>); 3] =
            [("lot", &found.lot, &lot), ("export_lot", &found.export_lot, &export_lot), ("pen", &found.pen, &pen)];
        let group = |(kind, named, path): (_, &Option<(_, HeadFigures)>, Path<'_>)| {
            let (name, figures) = named.as_ref()?;
            let name = ToString::to_string(name);
            Some(GroupHit { kind, path: path(&name), name, head: figures.head, on_yard: figures.on_yard })
        };
        all.into_iter().filter_map(group).collect()
    }

    /// Returns a batch whose head is in other batches by now, so that its number is that of no lot.
    fn batch(self, batch: &BatchView) -> GroupHit {
        let name = batch.batch_number.clone();
        let path = format!("{}/batches/{}", self.prefix, path_segment(&name));
        GroupHit { kind: "batch", name, head: batch.members.into(), on_yard: batch.cattle_count.into(), path }
    }
}

/// Makes the path of a lot or a pen of its name.
type Path<'a> = &'a dyn Fn(&str) -> String;

fn animal_found(conventions: &Conventions, found: FoundAnimal) -> AnimalHit {
    let FoundAnimal { animal, matches } = found;
    let text = |text: &Option<_>| text.as_ref().map(ToString::to_string);
    AnimalHit {
        id: animal.id,
        status: animal.status,
        visual_id: text(&animal.visual_id),
        lf: text(&animal.lf),
        epc: text(&animal.epc),
        lot: text(&animal.lot),
        pen: text(&animal.pen),
        last_seen: animal.last_seen.and_then(WallTime::iso_utc),
        matched: matches.iter().map(match_words).collect(),
        head: Head::new(animal, conventions),
    }
}

/// Says what a text is of an animal.
fn match_words(of: &Match) -> String {
    match of {
        Match::Id => "number".to_owned(),
        Match::VisualTag => "visual tag".to_owned(),
        Match::Lid { reader_group, reader_era } => format!("lid of readers {reader_group}, era {reader_era}"),
        Match::Tag { kind, state, tag, is_whole } => {
            let kind = match kind {
                herd::tables::TagKind::Lf => "LF",
                herd::tables::TagKind::Epc => "UHF",
            };
            let state = match state {
                TagState::Current => "current",
                TagState::Past => "past",
                TagState::Unconfirmed => "unconfirmed",
            };
            let part = if *is_whole { "" } else { "end of " };
            format!("{part}{state} {kind} tag {tag}")
        }
    }
}
