//! One search box: a tag in whichever way it is written, a lid, or the number of a batch.

use super::asked::refusal;
use super::frame::Frame;
use super::reply::lead_to;
use super::visit::{Visit, encoded};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

/// The longest text that is searched for: no tag, lid or number has more than 64 characters, blanks set aside.
const MAX_SEARCH_CHARS: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// Nothing was found, or nothing was asked. One struct, two faces, as every page.
#[derive(Template, Serialize)]
#[template(path = "search.html")]
struct SearchPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    looked_for: String,
    success: bool,
    error: &'static str,
    message: String,
}

/// Leads to the animal or the batch.
pub(super) fn search(visit: &Visit) -> Result<Response, ApiError> {
    let SearchQuery { q } = visit.asked.query()?;
    let text = q.trim();
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(ApiError::bad_request(format!("a search has at most {MAX_SEARCH_CHARS} characters")));
    }
    if text.is_empty() {
        return Err(ApiError::bad_request("type a tag, a lid or the number of a batch"));
    }
    let snapshot = visit.snapshot()?;
    if let Some(animal) = snapshot.find_animal(text).map_err(refusal)? {
        return Ok(lead_to(&visit.path(&format!("/animals/{}", animal.id))));
    }
    if let Some(found) = snapshot.batch_by_number(text).map_err(refusal)? {
        return Ok(lead_to(&visit.path(&format!("/batches/{}", encoded(&found.batch.batch_number)))));
    }
    let as_of = snapshot.folded().map_err(|error| refusal(error.into()))?;
    let mut page = visit.show(&SearchPage {
        frame: Frame { asked: text.to_owned(), ..visit.frame("Not found", "", Some(as_of)) },
        looked_for: text.to_owned(),
        success: false,
        error: "not_found",
        message: format!("no animal has the tag or lid {text:?}, and no batch has it as its number"),
    });
    *page.status_mut() = StatusCode::NOT_FOUND;
    Ok(page)
}
