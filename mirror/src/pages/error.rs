//! Errors as pages or as JSON.
//!
//! # Decisions
//!
//! - **A browser loads a page again by itself once it may be there; it does not send a form again.** The header `Refresh` makes
//!   it ask with a `GET`. After a form, that would be the path of the form: another page, or none, in the place of the reason.

use super::format;
use super::frame::Frame;
use super::media_type::MediaType;
use super::page::{HEADERS, Page, as_refusal};
use crate::sites::NoCatalogError;
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use herd::catalog::CatalogError;
use herd::query::QueryError;
use service::door::reply::ApiError;
use service::sync::NotServedError;

/// An error, and the media type of its response.
#[derive(Debug)]
pub(super) struct PageError {
    pub(super) media_type: MediaType,
    pub(super) error: ApiError,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorContent {
    title: &'static str,
    message: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Self { media_type, error } = self;
        if media_type == MediaType::Json {
            return (HEADERS, error).into_response();
        }
        let title = match error.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::SERVICE_UNAVAILABLE => "Not available yet",
            _ => "Cannot show this page",
        };
        let content = ErrorContent { title, message: error.message };
        let page = Page { frame: Frame::without_site(title), content }.html();
        as_refusal(page, error.status, error.retry_after_s)
    }
}

impl PageError {
    /// Returns the response to a `GET`. If the error is temporary, a browser loads the page again by itself.
    pub(super) fn into_page(self) -> Response {
        let is_temporary = self.media_type == MediaType::Html && self.error.status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after_s = self.error.retry_after_s.filter(|_| is_temporary);
        let mut page = self.into_response();
        if let Some(seconds) = retry_after_s {
            page.headers_mut().insert(header::REFRESH, seconds.into());
        }
        page
    }
}

/// Seconds after which a page without a copy to show is worth a retry.
const RETRY_AFTER_S: u32 = 10;

/// Converts the reason why there is no copy to show.
pub(super) fn not_served(reason: &NotServedError) -> ApiError {
    let (code, message) = match reason {
        NotServedError::NoCopy => ("copying", "the first copy of the barn is still being made"),
        NotServedError::Opening(progress) => ("copy_opening", progress.as_str()),
        NotServedError::Unreadable => return unreadable(),
    };
    ApiError::unavailable(code, format!("{message}; the first page shows its progress"), RETRY_AFTER_S)
}

/// Seconds after which a page that needs a catalog is worth a retry. Browsers load it again by themselves.
const CATALOG_RETRY_AFTER_S: u32 = 2;

/// Converts the reason why there is no catalog.
pub(super) fn no_catalog(reason: &NoCatalogError) -> ApiError {
    match reason {
        NoCatalogError::Building { .. } => {
            ApiError::unavailable("catalog_building", reason.to_string(), CATALOG_RETRY_AFTER_S)
        }
        NoCatalogError::Failed(CatalogError::TooManyAnimals { .. }) => {
            ApiError::new(StatusCode::NOT_IMPLEMENTED, "too_many_animals", reason.to_string())
        }
        NoCatalogError::Failed(error) => {
            tracing::error!(%error, "failed to make the catalog for a page");
            unreadable()
        }
    }
}

fn unreadable() -> ApiError {
    let message = "the copy of the barn could not be read; the log says why";
    ApiError::unavailable("store_unreadable", message, RETRY_AFTER_S)
}

/// Converts an error of a query. Details of a storage error go to the log, not to the client.
pub(super) fn query_error(error: QueryError) -> ApiError {
    match error {
        QueryError::Store(error) => {
            tracing::error!(%error, "failed to read the copy for a page");
            unreadable()
        }
        invalid_request => ApiError::bad_request(invalid_request.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches an error page that a browser never fetches again although it will do, one that it fetches for ever, and one
    /// that it fetches although it was the answer to a form.
    #[test]
    fn only_temporary_errors_ask_for_a_retry() {
        let building = NoCatalogError::Building { percent: 7 };
        let many = NoCatalogError::Failed(CatalogError::TooManyAnimals { max: 8 });
        for (error, status, code, retry_after) in [
            (not_served(&NotServedError::NoCopy), 503, "copying", Some("10")),
            (not_served(&NotServedError::Opening("35 %".into())), 503, "copy_opening", Some("10")),
            (not_served(&NotServedError::Unreadable), 503, "store_unreadable", Some("10")),
            (no_catalog(&building), 503, "catalog_building", Some("2")),
            (no_catalog(&many), 501, "too_many_animals", None),
            (no_catalog(&NoCatalogError::Failed(CatalogError::OtherHistory)), 503, "store_unreadable", Some("10")),
            (ApiError::not_found("nothing"), 404, "not_found", None),
        ] {
            assert_eq!((error.status.as_u16(), error.code), (status, code));
            let answer = || PageError { media_type: MediaType::Html, error: error.clone() };
            for (response, refresh, is_page) in
                [(answer().into_page(), retry_after, true), (answer().into_response(), None, false)]
            {
                assert_eq!(response.status(), status, "{code}");
                let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
                let headers = (header(header::REFRESH), header(header::RETRY_AFTER));
                assert_eq!(headers, (refresh, retry_after), "{code}: {is_page}");
            }
        }
    }
}
