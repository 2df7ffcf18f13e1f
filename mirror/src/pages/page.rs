//! One struct for every page, with two faces: HTML for people and JSON for programs.
//!
//! The HTML side is a frame around the content's template. The JSON side is the content's view alone. Frame and content
//! are not serialized, so what only HTML needs (navigation, totals beside a list, the age of a report) cannot reach
//! programs by mistake. Separate handlers for pages and programs were rejected: the two would drift apart.

use super::frame::{Frame, Section};
use super::media_type::MediaType;
use askama::Template;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Serialize;

/// Policy of a page with our own script, which may only ask this office.
const WITH_SCRIPT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// Headers of every page: load nothing but our own style sheet, store nothing, and vary by `Accept`.
pub(super) const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::VARY, "Accept"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// Content of a page: the template is its HTML side, the view its JSON side.
pub(super) trait PageContent: Template {
    type View: Serialize;

    /// Section of the site that the page belongs to.
    const SECTION: Option<Section> = None;

    /// `true` for a page that a browser fetches again when something has changed.
    const IS_LIVE: bool = false;

    /// Returns the seconds after which a browser fetches the page again; `None` if it need not.
    fn every_s(&self) -> Option<u32> {
        None
    }

    fn title(&self) -> String;

    fn view(&self) -> &Self::View;

    /// Returns the text in the search box, on a page that answers a search.
    fn search_text(&self) -> Option<&str> {
        None
    }
}

/// A page: content with a frame around it.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page<C: Template> {
    pub(super) frame: Frame,
    pub(super) content: C,
}

impl<C: PageContent> Page<C> {
    /// Returns the page as HTML, or its view as JSON.
    pub(super) fn respond(&self, media_type: MediaType) -> Response {
        match media_type {
            MediaType::Json => (HEADERS, Json(self.content.view())).into_response(),
            MediaType::Html => self.html(),
        }
    }
}

impl<C: Template> Page<C> {
    pub(super) fn html(&self) -> Response {
        match self.render() {
            Ok(text) => {
                let mut page = (HEADERS, Html(text)).into_response();
                if self.frame.has_script() {
                    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, WITH_SCRIPT);
                }
                page
            }
            Err(error) => {
                tracing::error!(%error, "failed to render a page");
                (StatusCode::INTERNAL_SERVER_ERROR, HEADERS).into_response()
            }
        }
    }
}

/// Redirects to another page, for either media type.
pub(super) fn redirect(path: &str) -> Response {
    (HEADERS, Redirect::to(path)).into_response()
}

/// Gives a page the status of an error, and the headers that belong to it.
pub(super) fn as_refusal(mut page: Response, status: StatusCode, retry_after_s: Option<u32>) -> Response {
    *page.status_mut() = status;
    if let Some(seconds) = retry_after_s {
        page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, 15.5.2 asks for it. Browsers do not know this scheme, and show the page.
        page.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    page
}
