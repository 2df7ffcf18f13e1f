//! Sheets as answers.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use service::sheet::{Row, sheet};

/// These rows as a file to keep; where the list goes on stands in `Link` (RFC 8288).
pub(super) fn kept<T: Row>(rows: &[T], file: &'static str, next: Option<String>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, file),
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
