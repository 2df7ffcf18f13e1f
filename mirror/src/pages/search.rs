//! Search by a tag in any notation, a lid, or the number of a batch.

use super::error::query_error;
use super::page::{PageContent, redirect};
use super::site_request::{SiteRequest, path_segment};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
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

/// Redirects to the animal or the batch that the text names.
pub(super) fn search(site: &SiteRequest) -> Result<Response, ApiError> {
    let SearchQuery { q } = site.request.query()?;
    let text = q.trim();
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(ApiError::bad_request(format!("a search text has at most {MAX_SEARCH_CHARS} characters")));
    }
    if text.is_empty() {
        return Err(ApiError::bad_request("enter a tag, a lid or a batch number"));
    }
    let snapshot = site.snapshot()?;
    if let Some(animal) = snapshot.find_animal(text).map_err(query_error)? {
        return Ok(redirect(&site.path(&format!("/animals/{}", animal.id))));
    }
    if let Some(found) = snapshot.batch_by_number(text).map_err(query_error)? {
        return Ok(redirect(&site.path(&format!("/batches/{}", path_segment(&found.batch.batch_number)))));
    }
    let as_of = snapshot.folded().map_err(|error| query_error(error.into()))?;
    let message = format!("no animal has the tag or lid {text:?}, and no batch has this number");
    let content =
        NotFoundContent { text: text.to_owned(), view: NotFoundView { success: false, error: "not_found", message } };
    let mut response = site.respond(content, Some(as_of));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}
