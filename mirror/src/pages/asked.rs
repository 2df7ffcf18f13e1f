//! A request to a page: what it asks for, before anything is looked up.

use super::face::Face;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Uri;
use axum::http::request::Parts;
use herd::query::{PageLimit, QueryError};
use serde::de::DeserializeOwned;
use service::door::reply::{ApiError, StrictQuery};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a request asks for.
pub(super) struct Asked {
    pub(super) face: Face,
    /// The parts of the path that have a name, percent-decoded.
    places: BTreeMap<String, String>,
    uri: Uri,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = super::reply::Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let face = Face::of(&parts.headers);
        let refused = |_: RawPathParamsRejection| super::reply::Failure {
            face,
            error: ApiError::bad_request("the path is not UTF-8 once it is percent-decoded"),
        };
        let named = RawPathParams::from_request_parts(parts, state).await.map_err(refused)?;
        let places = named.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { face, places, uri: parts.uri.clone() })
    }
}

impl Asked {
    /// The site that the path names.
    pub(super) fn site(&self) -> Option<&str> {
        self.places.get("site").map(String::as_str)
    }

    /// A named part of the path.
    pub(super) fn place(&self, name: &str) -> &str {
        self.places.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A named part of the path that must be a number.
    pub(super) fn number(&self, name: &str) -> Result<u64, ApiError> {
        let text = self.place(name);
        text.parse().map_err(|_| ApiError::bad_request(format!("{name} must be a whole number, and {text:?} is none")))
    }

    /// The query; each page names the keys that it knows, and all others are refused.
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        StrictQuery::from_uri(&self.uri).map(|StrictQuery(query)| query)
    }
}

/// The limit that a query names, or the default.
pub(super) fn limit(asked: Option<u64>) -> Result<PageLimit, ApiError> {
    asked.map_or(Ok(PageLimit::default()), PageLimit::new).map_err(refusal)
}

/// A place in a list, as `next` of the page before told it.
pub(super) fn place<T: FromStr<Err = QueryError>>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    text.map(str::parse).transpose().map_err(refusal)
}

/// What to tell whoever asked. Nothing of the inside is told; it is in the log.
pub(super) fn refusal(error: QueryError) -> ApiError {
    match error {
        QueryError::Store(error) => {
            tracing::error!(%error, "a page could not be made");
            ApiError::unavailable("store_unreadable", "the copy of the barn could not be read; the log says why", 10)
        }
        of_the_asker => ApiError::bad_request(of_the_asker.to_string()),
    }
}
