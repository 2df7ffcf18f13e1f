//! A request to a page: media type, path parameters and query, before anything is looked up.

use super::error::{PageError, query_error};
use super::media_type::MediaType;
use crate::people::LoggedIn;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Uri;
use axum::http::request::Parts;
use herd::query::{PageLimit, QueryError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use service::door::reply::{ApiError, StrictQuery};
use std::collections::BTreeMap;
use std::str::FromStr;

/// A request to a page.
pub(super) struct PageRequest {
    pub(super) media_type: MediaType,
    /// The user who is logged in; `None` for a program, and on this machine.
    pub(super) user: Option<LoggedIn>,
    /// Named segments of the path, percent-decoded.
    path_params: BTreeMap<String, String>,
    uri: Uri,
}

/// A query without keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyQuery {}

impl<S: Send + Sync> FromRequestParts<S> for PageRequest {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let media_type = MediaType::negotiate(&parts.headers);
        let not_utf8 = |_: RawPathParamsRejection| PageError {
            media_type,
            error: ApiError::bad_request("the path is not UTF-8 after percent-decoding"),
        };
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(not_utf8)?;
        let path_params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let user = parts.extensions.get::<LoggedIn>().cloned();
        Ok(Self { media_type, user, path_params, uri: parts.uri.clone() })
    }
}

impl PageRequest {
    /// Returns the site that the path names, or `None` if the path has no `/sites/NAME` prefix.
    pub(super) fn site(&self) -> Option<&str> {
        self.path_params.get("site").map(String::as_str)
    }

    /// Returns the path with its query, below the prefix of a site.
    pub(super) fn path_below(&self, prefix: &str) -> String {
        // The first page of a site has no slash at its end.
        let path = Some(self.uri.path()).filter(|path| *path != "/").unwrap_or_default();
        let query = self.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{prefix}{path}{query}")
    }

    /// Returns a path parameter, or an empty text if the route has none of this name.
    pub(super) fn path_param(&self, name: &str) -> &str {
        self.path_params.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Returns a path parameter that must be a number.
    pub(super) fn number(&self, name: &str) -> Result<u64, ApiError> {
        let text = self.path_param(name);
        text.parse().map_err(|_| ApiError::bad_request(format!("{name} must be a whole number, not {text:?}")))
    }

    /// Parses the query. Keys that `T` does not name are rejected.
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        StrictQuery::from_uri(&self.uri).map(|StrictQuery(query)| query)
    }

    /// Rejects any query, for pages that take none.
    pub(super) fn reject_query(&self) -> Result<(), ApiError> {
        self.query::<EmptyQuery>().map(|EmptyQuery {}| ())
    }

    /// Converts an error into one with the media type of this request.
    pub(super) fn error(&self, error: ApiError) -> PageError {
        PageError { media_type: self.media_type, error }
    }
}

/// Returns the page limit of a query, or the default.
pub(super) fn limit(limit: Option<u64>) -> Result<PageLimit, ApiError> {
    limit.map_or(Ok(PageLimit::default()), PageLimit::new).map_err(query_error)
}

/// Parses a cursor: the `next` of the page before.
pub(super) fn cursor<T: FromStr<Err = QueryError>>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    text.map(str::parse).transpose().map_err(query_error)
}
