//! A request to a page of one site: the site's status, and a snapshot of its copy.
//!
//! # Decisions
//!
//! - **Links from before the second site go on working.** A path without a site's prefix meant the only site. Once there are
//!   several, it leads people to the one that was paired first, which was the only one then. A program gets an error that names
//!   the prefixes: it would not notice that it is at another address.

use super::conventions::Conventions;
use super::error::{PageError, no_catalog, not_served, query_error};
use super::frame::{Frame, SiteFrame};
use super::live_line::LastRead;
use super::media_type::MediaType;
use super::page::{Page, PageContent, redirect};
pub(super) use super::paths::{path_segment, query_value, site_prefix};
use super::request::PageRequest;
use super::streams::Streams;
use crate::people::{LoggedIn, People, SignIn};
use crate::sites::{Catalogs, Office, SiteDetails, SiteStatus};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use herd::catalog::Catalog;
use herd::clock::Clock;
use herd::position::{Position, Sequence};
use herd::store::{Reader, Snapshot};
use service::door::reply::ApiError;
use service::sync::NotServedError;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Builds the response of a page of a site.
pub(super) type SitePage = fn(&SiteRequest) -> Result<Response, ApiError>;

/// State of the router.
#[derive(Clone)]
pub(super) struct PagesState {
    pub(super) office: Arc<dyn Office>,
    clock: Arc<dyn Clock>,
    pub(super) conventions: Conventions,
    /// Open streams of events.
    pub(super) streams: Streams,
    /// The people of the office, for those who may see who signed in.
    people: Option<Arc<People>>,
}

/// A request to a page of one site.
pub(super) struct SiteRequest {
    pub(super) request: PageRequest,
    pub(super) status: SiteStatus,
    /// Names of all sites of the office.
    sites: Vec<String>,
    pub(super) now_us: i64,
    /// Prefix of the site's paths: empty, or `/sites/NAME` percent-encoded.
    pub(super) prefix: String,
    pub(super) conventions: Conventions,
    reader: Result<Reader, NotServedError>,
    state: PagesState,
    site: String,
}

/// The catalog of a copy.
pub(super) struct CatalogSource {
    catalogs: Arc<Catalogs>,
    site: String,
    reader: Reader,
}

impl CatalogSource {
    /// Looks into the catalog, and the snapshot that it is of.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Catalog, &Snapshot) -> Result<T, ApiError>) -> Result<T, ApiError> {
        self.catalogs.read(&self.site, &self.reader, look).map_err(|reason| no_catalog(&reason))?
    }
}

impl PagesState {
    pub(super) fn new(office: Arc<dyn Office>, clock: Arc<dyn Clock>, conventions: Conventions) -> Self {
        Self { office, clock, conventions, streams: Streams::default(), people: None }
    }

    /// Shows who signed in to those who may see it.
    pub(super) fn with_people(self, people: Arc<People>) -> Self {
        Self { people: Some(people), ..self }
    }

    pub(super) fn now_us(&self) -> i64 {
        self.clock.read().received_at_us
    }

    /// Builds a page of a site on a blocking thread: its reads are short, but may wait for the disk.
    pub(super) async fn respond(self, request: PageRequest, page: SitePage) -> Response {
        if request.media_type == MediaType::Html
            && let Some(prefix) = self.prefix_of_old_links(&request)
        {
            return redirect(&request.path_below(&prefix));
        }
        self.build(request, move |state, request| page(&state.site_request(request)?)).await
    }

    /// Builds a page of the whole office on a blocking thread.
    pub(super) async fn respond_apart(
        self,
        request: PageRequest,
        page: impl FnOnce(&Self, PageRequest) -> Response + Send + 'static,
    ) -> Response {
        self.build(request, move |state, request| Ok(page(state, request))).await
    }

    async fn build(
        self,
        request: PageRequest,
        page: impl FnOnce(&Self, PageRequest) -> Result<Response, ApiError> + Send + 'static,
    ) -> Response {
        let (media_type, began) = (request.media_type, Instant::now());
        let built = tokio::task::spawn_blocking(move || page(&self, request)).await;
        let response = built.unwrap_or_else(|error| {
            tracing::error!(%error, "the task that builds a page panicked");
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page could not be built"))
        });
        let mut response = response.unwrap_or_else(|error| PageError { media_type, error }.into_page());
        response.headers_mut().insert(SERVER_TIMING, server_timing(began.elapsed()));
        response
    }

    fn site_request(&self, request: PageRequest) -> Result<SiteRequest, ApiError> {
        let (site, prefix) = self.site_of(&request)?;
        let status = self.status(&site)?;
        let reader = self.office.reader(&site);
        Ok(SiteRequest {
            request,
            status,
            sites: self.office.sites(),
            now_us: self.now_us(),
            prefix,
            conventions: self.conventions.clone(),
            reader,
            state: self.clone(),
            site,
        })
    }

    /// Returns the frame of a page of a site that shows nothing of its copy, for a user.
    pub(super) fn frame(&self, site: &str, prefix: &str, user: LoggedIn) -> Result<Frame, ApiError> {
        let (now_us, zone) = (self.now_us(), &self.conventions.zone);
        let site = SiteFrame::new(&self.status(site)?, prefix, &self.office.sites(), (None, None), (now_us, zone));
        Ok(Frame { site: Some(site), ..Frame::without_site("") }.of(Some(user)).rendered_at(now_us, zone))
    }

    /// Looks into the catalog of a site, as [`SiteRequest::catalog`] does.
    pub(super) fn catalog<T>(
        &self,
        site: &str,
        look: impl FnOnce(&Catalog, &Snapshot) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let reader = self.office.reader(site).map_err(|reason| not_served(&reason))?;
        self.office.catalogs().read(site, &reader, look).map_err(|reason| no_catalog(&reason))?
    }

    /// Returns the site of a request and the prefix of its paths.
    pub(super) fn site_of(&self, request: &PageRequest) -> Result<(String, String), ApiError> {
        Ok(match request.site() {
            Some(site) => (site.to_owned(), site_prefix(site)),
            None => (self.only_site()?, String::new()),
        })
    }

    /// Returns the same for what an open page asks, which may be from before the second site.
    pub(super) fn site_of_page(&self, request: &PageRequest) -> Result<(String, String), ApiError> {
        match self.office.first_site().zip(self.prefix_of_old_links(request)) {
            Some(first) => Ok(first),
            None => self.site_of(request),
        }
    }

    /// Returns the prefix of the site that a path without one meant while there was one site; `None` as long as there is.
    fn prefix_of_old_links(&self, request: &PageRequest) -> Option<String> {
        let first = self.office.first_site().filter(|_| request.site().is_none() && self.office.sites().len() > 1);
        first.map(|first| site_prefix(&first))
    }

    /// Returns the status of a site, or the error 404 if no such site is paired.
    pub(super) fn status(&self, site: &str) -> Result<SiteStatus, ApiError> {
        let status = self.office.status(site);
        status.ok_or_else(|| ApiError::not_found(format!("no site {site:?} is paired with this office")))
    }

    fn only_site(&self) -> Result<String, ApiError> {
        match self.office.sites().as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(ApiError::not_found("no barn is paired with this office yet")),
            several => {
                let prefixes: Vec<_> = several.iter().map(|site| site_prefix(site)).collect();
                Err(ApiError::not_found(format!("name the site, one of {}", prefixes.join(", "))))
            }
        }
    }
}

/// Header with the time that the office took for a page. Browsers show it beside that of the network. W3C Server Timing.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

fn server_timing(took: Duration) -> HeaderValue {
    let text = format!("page;dur={:.3}", took.as_secs_f64() * 1_000.0);
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("page"))
}

impl SiteRequest {
    /// Returns a snapshot of the copy, or the error 503 while there is none.
    pub(super) fn snapshot(&self) -> Result<Snapshot, ApiError> {
        let reader = self.reader.as_ref().map_err(not_served)?;
        reader.snapshot().map_err(|error| query_error(error.into()))
    }

    /// Yields the other sites whose copy can be read, with a snapshot each.
    pub(super) fn other_snapshots(&self) -> impl Iterator<Item = (&str, Snapshot)> {
        let others = self.sites.iter().filter(|name| **name != self.site);
        others.filter_map(|name| Some((name.as_str(), self.state.office.reader(name).ok()?.snapshot().ok()?)))
    }

    /// Returns the latest sign-ins at this office.
    pub(super) fn sign_ins(&self, limit: usize) -> Vec<SignIn> {
        self.state.people.as_ref().map(|people| people.sign_ins(limit)).unwrap_or_default()
    }

    /// Returns whether the page is for people.
    pub(super) fn is_html(&self) -> bool {
        self.request.media_type == MediaType::Html
    }

    /// Returns the last read; `None` if there is none, and for a program, which gets no live line.
    fn last_read(&self) -> Option<LastRead> {
        let snapshot = self.is_html().then(|| self.reader.as_ref().ok()?.snapshot().ok()).flatten()?;
        LastRead::find(&snapshot).ok().flatten()
    }

    /// Returns the details of the site; `None` for a program, which has no use for them.
    pub(super) fn details(&self) -> Option<SiteDetails> {
        self.is_html().then(|| self.state.office.details(&self.status.name)).flatten()
    }

    /// Returns access to the catalog of the copy for a file that is sent after this request.
    pub(super) fn catalog_source(&self) -> Result<CatalogSource, ApiError> {
        let reader = self.reader.as_ref().map_err(not_served)?.clone();
        Ok(CatalogSource { catalogs: self.state.office.catalogs(), site: self.site.clone(), reader })
    }

    /// Looks into the catalog of the copy, and the snapshot that it is of. Returns the error 503 while it is being made.
    ///
    /// Be brief: requests that find new changes wait until this returns.
    pub(super) fn catalog<T>(
        &self,
        look: impl FnOnce(&Catalog, &Snapshot) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let reader = self.reader.as_ref().map_err(not_served)?;
        self.state.office.catalogs().read(&self.site, reader, look).map_err(|reason| no_catalog(&reason))?
    }

    /// Returns true if there is a copy to show.
    pub(super) fn has_copy(&self) -> bool {
        self.reader.is_ok()
    }

    /// Returns the head of the copy; `None` if there is none to show.
    pub(super) fn head(&self) -> Option<Position> {
        self.reader.as_ref().ok().map(|reader| reader.head().position)
    }

    /// Returns a path of this site.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns a page with this content, as of a change of the copy.
    pub(super) fn respond<C: PageContent>(&self, content: C, as_of: Option<Sequence>) -> Response {
        let now = (self.now_us, &self.conventions.zone);
        let frame = Frame {
            site: Some(SiteFrame::new(&self.status, &self.prefix, &self.sites, (as_of, self.last_read()), now)),
            section: C::SECTION,
            is_live: C::IS_LIVE,
            every_s: content.every_s(),
            search_text: content.search_text().unwrap_or_default().to_owned(),
            ..Frame::without_site(content.title())
        };
        Page { frame: frame.of(self.request.user.clone()).rendered_at(self.now_us, &self.conventions.zone), content }
            .respond(self.request.media_type)
    }
}
