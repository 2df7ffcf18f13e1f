//! The list of animals as a file: a sheet, or the EIDs alone.
//!
//! # Decisions
//!
//! - **A file is complete, whatever its length.** The animals and their order are those of the moment at which it begins; each
//!   line is as the animal is when it is written. Lines are made in parts, when the client has taken the part before, so that
//!   no file is held in memory and no thread waits for a slow client. The first part is short, so that it is there at once.
//! - **The list of EIDs has nothing but 15 digits on each line,** because programs that import it take a comment for a wrong
//!   tag. The number of head without an EID is in the header `Herdlinx-Without-Eid`.
//! - **An address with a place or a limit returns one page with a `Link` to the next, in the same form.**

use super::animal_query::AnimalSelection;
use super::error::query_error;
use super::site_request::{CatalogSource, SiteRequest};
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use herd::catalog::{AnimalIds, Catalog, CatalogAnimal};
use herd::change::AnimalId;
use herd::clock::WallTime;
use herd::fold::Rows as _;
use herd::payload::Grams;
use herd::store::Snapshot;
use herd::tables::{Animal, number_key};
use service::door::reply::ApiError;
use service::sheet::Cell::{Empty, Id, Number, Text};
use service::sheet::{Cell, Column, Form, Row, add_line, first_line};
use std::io;
use std::sync::Arc;

/// Number of animals that are written with one look into the catalog.
const PART_ANIMALS: usize = 500;
/// The same for the first part of a file.
const FIRST_ANIMALS: usize = 10;
/// Header with the number of head in the selection that has no EID of 15 digits.
const WITHOUT_EID: HeaderName = HeaderName::from_static("herdlinx-without-eid");
const CSV: &str = "text/csv; charset=utf-8";

/// An animal in the sheet.
struct Line {
    animal: CatalogAnimal,
    lid: Option<String>,
    gain_kg: Option<String>,
    inducted: Option<String>,
    exported: Option<String>,
    last_seen: Option<String>,
    doubtful: String,
}

impl Line {
    fn new(animal: CatalogAnimal, snapshot: &Snapshot) -> Result<Self, ApiError> {
        let row = snapshot.shared::<Animal>(&number_key(animal.id.0)).map_err(|error| query_error(error.into()))?;
        let times = [("inducted", animal.inducted), ("exported", animal.exported), ("last_seen", animal.last_seen)];
        let doubtful = times.into_iter().filter(|(_, at)| at.is_some_and(|at| !at.synchronized));
        let gain = |gain: i32| super::format::gain(gain.into(), herd::payload::WeightUnit::Kg);
        Ok(Self {
            lid: row.and_then(|row| row.state.lids.last().map(|name| name.lid.to_string())),
            gain_kg: animal.gain_g_per_day.map(gain),
            doubtful: doubtful.map(|(name, _)| name).collect::<Vec<_>>().join(" "),
            inducted: animal.inducted.and_then(WallTime::iso_utc),
            exported: animal.exported.and_then(WallTime::iso_utc),
            last_seen: animal.last_seen.and_then(WallTime::iso_utc),
            animal,
        })
    }

    /// Returns the number of the barn batch that the animal is in now.
    fn barn_batch(&self) -> Option<&str> {
        self.animal.lot.as_deref().filter(|_| self.animal.is_in_lot)
    }
}

/// The columns of the page first, in its order. Tags appear as their keys, so that two spellings of one tag do not look like
/// two tags. An empty text is no text.
impl Row for Line {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("visual_id", |line| Cell::id(line.animal.visual_id.as_deref())),
        Column::new("lf", |line| Cell::id(line.animal.lf.as_deref())),
        Column::new("epc", |line| Cell::id(line.animal.epc.as_deref())),
        Column::new("lot", |line| Cell::id(line.animal.lot.as_deref())),
        Column::new("pen", |line| Cell::text(line.animal.pen.as_deref())),
        Column::new("sex", |line| Cell::text(line.animal.sex.as_deref())),
        Column::new("weight_kg", |line| Cell::weight(line.animal.weight_g.map(Grams))),
        Column::new("gain_kg_per_day", |line| line.gain_kg.as_deref().map_or(Empty, Cell::Decimal)),
        Column::new("last_seen", |line| Cell::text(line.last_seen.as_deref())),
        Column::new("id", |line| Number(line.animal.id.0)),
        Column::new("lid", |line| Cell::id(line.lid.as_deref())),
        Column::new("status", |line| Text(line.animal.status.as_str())),
        Column::new("funder", |line| Cell::text(line.animal.funder.as_deref())),
        Column::new("barn_batch", |line| Cell::id(line.barn_batch())),
        Column::new("export_batch", |line| line.animal.export_lot.as_deref().map_or(Empty, Id)),
        Column::new("inducted", |line| Cell::text(line.inducted.as_deref())),
        Column::new("exported", |line| Cell::text(line.exported.as_deref())),
        Column::new("unconfirmed_tag", |line| if line.animal.is_unconfirmed { Text("yes") } else { Empty }),
        Column::new("doubtful_times", |line| Cell::text(Some(line.doubtful.as_str()).filter(|text| !text.is_empty()))),
    ];
}

/// Adds the line of an animal to a file.
type AddLine = fn(&mut String, CatalogAnimal, &Snapshot, Form) -> Result<(), ApiError>;

fn add_animal(to: &mut String, animal: CatalogAnimal, snapshot: &Snapshot, form: Form) -> Result<(), ApiError> {
    add_line(to, &Line::new(animal, snapshot)?, form);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the functions that add a line")]
fn add_eid(to: &mut String, animal: CatalogAnimal, _: &Snapshot, _: Form) -> Result<(), ApiError> {
    if let Some(eid) = animal.lf.filter(|_| animal.lf_is_identity) {
        to.push_str(&eid);
        to.push_str("\r\n");
    }
    Ok(())
}

/// A file that is being sent.
struct Sending {
    source: CatalogSource,
    ids: Arc<Vec<AnimalId>>,
    /// Number of animals that are written.
    done: usize,
    /// First line, until it is sent.
    first: Option<String>,
    form: Form,
    add: AddLine,
}

impl Sending {
    /// Returns the next part; `None` at the end.
    fn next_part(&mut self) -> Result<Option<String>, ApiError> {
        let mut part = self.first.take().unwrap_or_default();
        let (ids, form, add) = (self.ids.clone(), self.form, self.add);
        while part.is_empty() || self.done == 0 {
            let Some(next) = ids.get(self.done..).filter(|rest| !rest.is_empty()) else { break };
            let part_animals = if self.done == 0 { FIRST_ANIMALS } else { PART_ANIMALS };
            let next = &next[..next.len().min(part_animals)];
            self.source.read(|catalog, snapshot| {
                // An animal that was merged into another since the file began has no line of its own.
                let animals = next.iter().filter_map(|id| catalog.animal(*id));
                animals.into_iter().try_for_each(|animal| add(&mut part, animal, snapshot, form))
            })?;
            self.done += next.len();
        }
        Ok(Some(part).filter(|part| !part.is_empty()))
    }

    /// Makes the body of the first part, and of those that follow.
    fn into_body(self, first: Option<String>) -> Body {
        let first = futures::stream::iter(first.map(|first| Ok(Bytes::from(first))));
        let rest = futures::stream::unfold(Some(self), async |sending| {
            let mut sending = sending?;
            let part = tokio::task::spawn_blocking(move || {
                let part = sending.next_part();
                (sending, part)
            });
            match part.await {
                Ok((sending, Ok(Some(part)))) => Some((Ok(Bytes::from(part)), Some(sending))),
                Ok((_, Ok(None))) => None,
                // The client must see that the file is cut.
                Ok((_, Err(error))) => Some((Err(io::Error::other(error.message)), None)),
                Err(error) => Some((Err(io::Error::other(error)), None)),
            }
        });
        Body::from_stream(first.chain(rest))
    }
}

/// Begins a file. If its first part cannot be made, the answer says why.
fn file(mut sending: Sending, media_type: &'static str, name: &'static str) -> Result<Response, ApiError> {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let first = sending.next_part()?;
    Ok((headers, sending.into_body(first)).into_response())
}

/// The sheet of the animals that the filters show, or of one page of them.
pub(super) fn csv(site: &SiteRequest) -> Result<Response, ApiError> {
    let selection = AnimalSelection::read_for_programs(site)?;
    let (AnimalIds { ids, .. }, next) = site.catalog(|catalog, _| Ok(ids_of(catalog, &selection)))?;
    let form = if selection.is_plain { Form::Plain } else { Form::Spreadsheet };
    let sending = Sending {
        source: site.catalog_source()?,
        ids: ids.into(),
        done: 0,
        first: Some(first_line::<Line>(form)),
        form,
        add: add_animal,
    };
    let response = file(sending, CSV, "attachment; filename=\"animals.csv\"")?;
    Ok(with_next(response, next.map(|next| site.path(&format!("/animals.csv{}", selection.next_page(&next))))))
}

/// Adds a `Link` to the next page of a file, if there is one.
fn with_next(mut response: Response, path: Option<String>) -> Response {
    let link = path.and_then(|path| HeaderValue::try_from(format!("<{path}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// Returns the animals of a sheet in order, and the place after which the next page begins, if it is one page of several.
fn ids_of(catalog: &Catalog, selection: &AnimalSelection) -> (AnimalIds, Option<String>) {
    let AnimalSelection { filter, sort, start, limit, .. } = selection;
    if !selection.is_page {
        return (catalog.ids(filter, *sort), None);
    }
    let page = catalog.page(filter, *sort, *start, *limit);
    let ids = AnimalIds {
        ids: page.animals.iter().map(|animal| animal.id).collect(),
        without_identity: page.animals.iter().filter(|animal| !animal.lf_is_identity).count(),
    };
    (ids, page.next.map(|next| next.to_string()))
}

/// The EIDs of the animals that the filters show, 15 digits a line.
pub(super) fn eids(site: &SiteRequest) -> Result<Response, ApiError> {
    let selection = AnimalSelection::read_for_programs(site)?;
    let (AnimalIds { ids, without_identity }, next) = site.catalog(|catalog, _| Ok(ids_of(catalog, &selection)))?;
    let sending = Sending {
        source: site.catalog_source()?,
        ids: ids.into(),
        done: 0,
        first: None,
        form: Form::Plain,
        add: add_eid,
    };
    let mut response = file(sending, "text/plain; charset=utf-8", "attachment; filename=\"eids.txt\"")?;
    response.headers_mut().insert(WITHOUT_EID, without_identity.into());
    Ok(with_next(response, next.map(|next| site.path(&format!("/animals/eids.txt{}", selection.next_page(&next))))))
}
