//! Lists as JSON and as CSV files.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use herd::position::Sequence;
use herd::query::Page;
use serde::Serialize;
use service::sheet::{Row, sheet};

/// JSON of a list.
#[derive(Clone, Debug, Serialize)]
pub(super) struct List<T, C = u64> {
    success: bool,
    pub(super) data: Vec<T>,
    /// Cursor of the next page, or `None` on the last one.
    pub(super) next: Option<C>,
    /// Last change that the list includes.
    pub(super) as_of: Sequence,
}

impl<T, C> List<T, C> {
    pub(super) fn new(page: Page<T, C>, as_of: Sequence) -> Self {
        Self { success: true, data: page.data, next: page.next, as_of }
    }
}

/// Returns rows as a CSV file to save. The `Link` header (RFC 8288) points to the next page.
pub(super) fn csv_file<T: Row>(rows: &[T], disposition: &'static str, next: Option<String>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = (headers, sheet(rows)).into_response();
    let link = next.and_then(|path| HeaderValue::try_from(format!("<{path}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
