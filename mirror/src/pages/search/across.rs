//! The search at an office with several sites: the meanings of a text at each of them.

use super::{Meanings, NotFoundContent, SearchQuery, Site, checked, search};
use crate::pages::error::PageError;
use crate::pages::format;
use crate::pages::frame::Frame;
use crate::pages::page::{Page, PageContent, as_refusal, redirect};
use crate::pages::request::PageRequest;
use crate::pages::site_request::{PagesState, site_prefix};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use service::door::reply::ApiError;

/// Meanings at one site.
#[derive(Serialize)]
struct FoundAtSite {
    site: String,
    #[serde(flatten)]
    meanings: Meanings,
    #[serde(skip)]
    prefix: String,
}

/// A site that cannot be searched now.
#[derive(Serialize)]
struct NotSearched {
    site: String,
    reason: String,
}

/// JSON of a search at several sites.
#[derive(Serialize)]
struct SitesFoundView {
    success: bool,
    query: String,
    /// The sites at which the text means something, in order.
    sites: Vec<FoundAtSite>,
    not_searched: Vec<NotSearched>,
}

#[derive(Template)]
#[template(path = "found_at_sites.html")]
struct SitesFoundContent {
    view: SitesFoundView,
}

impl PageContent for SitesFoundContent {
    type View = SitesFoundView;

    fn title(&self) -> String {
        format!("Search: {}", self.view.query)
    }

    fn view(&self) -> &SitesFoundView {
        &self.view
    }

    fn search_text(&self) -> Option<&str> {
        Some(&self.view.query)
    }
}

impl SitesFoundView {
    /// Returns the path of the only meaning; `None` if there are several, or if a site was not searched.
    fn only_path(&self) -> Option<String> {
        match (self.sites.as_slice(), self.not_searched.as_slice()) {
            ([only], []) => only.meanings.only_path(&only.prefix),
            _ => None,
        }
    }
}

/// Searches the only site, or all of several.
pub(in crate::pages) async fn office(State(state): State<PagesState>, request: PageRequest) -> Response {
    if state.office.sites().len() <= 1 {
        return state.respond(request, search).await;
    }
    let respond = |state: &PagesState, request: PageRequest| {
        let media_type = request.media_type;
        search_all(state, request).unwrap_or_else(|error| PageError { media_type, error }.into_page())
    };
    state.respond_apart(request, respond).await
}

fn search_all(state: &PagesState, request: PageRequest) -> Result<Response, ApiError> {
    let SearchQuery { q } = request.query()?;
    let text = checked(&q)?;
    let (mut sites, mut not_searched) = (Vec::new(), Vec::new());
    for site in state.office.sites() {
        match search_site(state, &site, text) {
            Ok(found) if found.meanings.is_empty() => {}
            Ok(found) => sites.push(found),
            Err(error) => not_searched.push(NotSearched { site, reason: error.message }),
        }
    }
    let view = SitesFoundView { success: true, query: text.to_owned(), sites, not_searched };
    if let Some(path) = view.only_path() {
        return Ok(redirect(&path));
    }
    if view.sites.is_empty() && view.not_searched.is_empty() {
        let page = respond(state, request, NotFoundContent::new(text));
        return Ok(as_refusal(page, StatusCode::NOT_FOUND, None));
    }
    Ok(respond(state, request, SitesFoundContent { view }))
}

fn search_site(state: &PagesState, site: &str, text: &str) -> Result<FoundAtSite, ApiError> {
    let prefix = site_prefix(site);
    let of = Site { prefix: &prefix, conventions: &state.conventions };
    let (meanings, _) = state.catalog(site, |catalog, snapshot| of.search(catalog, snapshot, text))?;
    Ok(FoundAtSite { site: site.to_owned(), meanings, prefix })
}

fn respond<C: PageContent>(state: &PagesState, request: PageRequest, content: C) -> Response {
    let frame = Frame {
        search_text: content.search_text().unwrap_or_default().to_owned(),
        searches_sites: true,
        ..Frame::without_site(content.title())
    };
    let frame = frame.of(request.user).rendered_at(state.now_us(), &state.conventions.zone);
    Page { frame, content }.respond(request.media_type)
}
