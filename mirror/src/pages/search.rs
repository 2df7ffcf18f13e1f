//! Search by what people have in their hands: a tag or its last digits, a visual tag, a lid, a lot, a pen.
//!
//! # Decisions
//!
//! - **All meanings of a text are listed, each with what it matched.** It leads straight on only if there is exactly one.
//! - **Programs get the same answers.** With one meaning they are redirected as people are.

use super::error::query_error;
use super::format;
use super::head::Head;
use super::page::{PageContent, redirect};
use super::site_request::{SiteRequest, path_segment};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use herd::catalog::{FoundAnimal, HeadFigures, Match, SearchResults};
use herd::change::AnimalId;
use herd::clock::WallTime;
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

/// A lot or a pen that was found.
#[derive(Serialize)]
struct GroupHit {
    /// `lot`, `export_lot` or `pen`.
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
            _ => "Pen",
        }
    }
}

/// JSON of a search with several meanings.
#[derive(Serialize)]
struct FoundView {
    success: bool,
    query: String,
    /// Last seen first; at most 50.
    animals: Vec<AnimalHit>,
    /// Number of animals that were found.
    animals_found: usize,
    /// Lots and pens.
    groups: Vec<GroupHit>,
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
    let text = q.trim();
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(ApiError::bad_request(format!("a search text has at most {MAX_SEARCH_CHARS} characters")));
    }
    if text.is_empty() {
        return Err(ApiError::bad_request("enter a tag or its last digits, a visual tag, a lid, a lot or a pen"));
    }
    let (found, as_of) =
        site.catalog(|catalog, snapshot| Ok((catalog.search(snapshot, text).map_err(query_error)?, catalog.as_of())))?;
    let view = FoundView {
        success: true,
        query: text.to_owned(),
        animals_found: found.animals_found,
        groups: groups(site, &found),
        animals: found.animals.into_iter().map(|found| animal_found(site, found)).collect(),
    };
    match (view.animals.as_slice(), view.groups.as_slice()) {
        ([animal], []) => return Ok(redirect(&site.path(&format!("/animals/{}", animal.id)))),
        ([], [group]) => return Ok(redirect(&group.path)),
        ([], []) => {}
        _ => return Ok(site.respond(FoundContent { prefix: site.prefix.clone(), view }, Some(as_of))),
    }
    // A batch whose animals are gone.
    if let Some(found) = site.snapshot()?.batch_by_number(text).map_err(query_error)? {
        return Ok(redirect(&batch_path(site, &found.batch.batch_number)));
    }
    let message = format!("no animal has the tag or lid {text:?}, and no batch has this number");
    let content =
        NotFoundContent { text: text.to_owned(), view: NotFoundView { success: false, error: "not_found", message } };
    let mut response = site.respond(content, Some(as_of));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

fn batch_path(site: &SiteRequest, number: &str) -> String {
    site.path(&format!("/batches/{}", path_segment(number)))
}

/// Makes the path of a lot or a pen of its name.
type Path<'a> = &'a dyn Fn(&str) -> String;

fn groups(site: &SiteRequest, found: &SearchResults) -> Vec<GroupHit> {
    let pen_path = |name: &str| site.path(&format!("/animals?show=yard&pen={}", path_segment(name)));
    let batch = |name: &str| batch_path(site, name);
    let all: [(_, _, Path<'_>); 3] =
        [("lot", &found.lot, &batch), ("export_lot", &found.export_lot, &batch), ("pen", &found.pen, &pen_path)];
    let group = |(kind, named, path): (_, &Option<(_, HeadFigures)>, Path<'_>)| {
        let (name, figures) = named.as_ref()?;
        let name = ToString::to_string(name);
        Some(GroupHit { kind, path: path(&name), name, head: figures.head, on_yard: figures.on_yard })
    };
    all.into_iter().filter_map(group).collect()
}

fn animal_found(site: &SiteRequest, found: FoundAnimal) -> AnimalHit {
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
        head: Head::new(animal, &site.conventions),
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
