//! Pages and refusals as answers, in the face that was asked for.

use super::asked::Asked;
use super::face::Face;
use super::frame::Frame;
use askama::Template;
use axum::Json;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Serialize;
use service::door::reply::ApiError;

/// With every page: nothing is loaded but our own style sheet, nothing is kept, and what comes back depends on `Accept`.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::VARY, "Accept"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// A page in its face.
pub(super) fn shown<P: Template + Serialize>(face: Face, page: &P) -> Response {
    match face {
        Face::Json => (HEADERS, Json(page)).into_response(),
        Face::Html => html(page),
    }
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (HEADERS, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written out");
            (StatusCode::INTERNAL_SERVER_ERROR, HEADERS).into_response()
        }
    }
}

/// Leads on to another page, in either face.
pub(super) fn lead_to(path: &str) -> Response {
    (HEADERS, Redirect::to(path)).into_response()
}

/// A refusal and the face to tell it in.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) face: Face,
    pub(super) error: ApiError,
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    message: String,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { face, error } = self;
        if face == Face::Json {
            return (HEADERS, error).into_response();
        }
        let title = match error.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::SERVICE_UNAVAILABLE => "Not now",
            _ => "This cannot be shown",
        };
        let status = error.status;
        let mut page = html(&FailurePage { frame: Frame::bare(title), message: error.message });
        *page.status_mut() = status;
        page
    }
}

pub(super) async fn nothing_here(asked: Asked) -> Failure {
    Failure { face: asked.face, error: ApiError::not_found("there is nothing at this path") }
}

pub(super) async fn not_by_this_method(asked: Asked) -> Failure {
    let message = "pages are only read: ask with GET";
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    Failure { face: asked.face, error }
}
