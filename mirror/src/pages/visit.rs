//! One request to the pages of a site: the site, a snapshot of its store, and the face that was asked for.

use super::asked::{Asked, refusal};
use super::frame::{Age, Frame};
use super::reply::{Failure, shown};
use super::state::{Office, SiteStatus};
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use herd::clock::Clock;
use herd::position::Sequence;
use herd::query::Page;
use herd::store::{Reader, Snapshot};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use service::door::reply::ApiError;
use std::sync::Arc;

/// What need not be encoded in a part of a path (RFC 3986, unreserved).
const IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a page is made of a visit.
pub(super) type Show = fn(&Visit) -> Result<Response, ApiError>;

/// All that every visit needs.
#[derive(Clone)]
pub(super) struct Visitors {
    pub(super) office: Arc<dyn Office>,
    clock: Arc<dyn Clock>,
}

/// One request to a site.
pub(super) struct Visit {
    pub(super) asked: Asked,
    pub(super) status: SiteStatus,
    pub(super) now_us: i64,
    prefix: String,
    reader: Option<Reader>,
}

/// A list as JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct List<T, C = u64> {
    success: bool,
    pub(super) data: Vec<T>,
    pub(super) next: Option<C>,
    /// The change that the list shows the state after.
    as_of: Sequence,
}

impl<T, C> List<T, C> {
    pub(super) fn new(page: Page<T, C>, as_of: Sequence) -> Self {
        Self { success: true, data: page.data, next: page.next, as_of }
    }
}

impl Visitors {
    pub(super) fn new(office: Arc<dyn Office>, clock: Arc<dyn Clock>) -> Self {
        Self { office, clock }
    }

    pub(super) fn now_us(&self) -> i64 {
        self.clock.read().received_at_us
    }

    /// Makes a page of a site. The reads are short, but they may wait for the disk: they have a thread of their own.
    pub(super) async fn visit(self, asked: Asked, show: Show) -> Response {
        let face = asked.face;
        let made = tokio::task::spawn_blocking(move || show(&self.enter(asked)?)).await;
        let shown = made.unwrap_or_else(|error| {
            tracing::error!(%error, "a page ended before it was made");
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page could not be made"))
        });
        shown.unwrap_or_else(|error| Failure { face, error }.into_response())
    }

    fn enter(&self, asked: Asked) -> Result<Visit, ApiError> {
        let (site, prefix) = match asked.site() {
            Some(site) => (site.to_owned(), prefix_of(site)),
            None => (self.only_site()?, String::new()),
        };
        let status = self.office.status(&site);
        let status =
            status.ok_or_else(|| ApiError::not_found(format!("no site {site:?} is paired with this office")))?;
        let reader = self.office.reader(&site);
        Ok(Visit { asked, status, now_us: self.now_us(), prefix, reader })
    }

    fn only_site(&self) -> Result<String, ApiError> {
        let mut sites = self.office.sites();
        match (sites.len(), sites.pop()) {
            (1, Some(only)) => Ok(only),
            (0, _) | (_, None) => Err(ApiError::not_found("no barn is paired with this office yet")),
            (_, Some(last)) => {
                sites.push(last);
                let named: Vec<_> = sites.iter().map(|site| prefix_of(site)).collect();
                Err(ApiError::not_found(format!("name the site, one of {}", named.join(", "))))
            }
        }
    }
}

/// What the paths of a site begin with.
pub(super) fn prefix_of(site: &str) -> String {
    format!("/sites/{}", encoded(site))
}

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, IN_PATHS).to_string()
}

impl Visit {
    /// The copy as it is now; a refusal while there is none.
    pub(super) fn snapshot(&self) -> Result<Snapshot, ApiError> {
        let message = "the first copy of the barn is still being made; see the first page";
        let reader = self.reader.as_ref().ok_or_else(|| ApiError::unavailable("copying", message, 10))?;
        reader.snapshot().map_err(|error| refusal(error.into()))
    }

    /// Whether there is a copy.
    pub(super) fn has_copy(&self) -> bool {
        self.reader.is_some()
    }

    /// The paths of this site.
    pub(super) fn path(&self, of: &str) -> String {
        format!("{}{of}", self.prefix)
    }

    pub(super) fn frame(&self, title: impl Into<String>, part: &'static str, as_of: Option<Sequence>) -> Frame {
        Frame {
            title: title.into(),
            site: Some(self.status.name.clone()),
            prefix: self.prefix.clone(),
            part,
            asked: String::new(),
            age: Some(Age::new(&self.status, as_of, self.now_us)),
            made: Frame::made_at(self.now_us),
        }
    }

    pub(super) fn show<P: Template + Serialize>(&self, page: &P) -> Response {
        shown(self.asked.face, page)
    }
}
