//! What is asked for: the number in the path, and the queries.

use crate::door::reply::{ApiError, StrictQuery};
use crate::sync::query::whole;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Uri;
use axum::http::request::Parts;
use herd::payload::SourceType;
use herd::query::{PageLimit, PayloadStatus, QueryError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// A number of digits alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = whole(&String::deserialize(from)?);
        number.map(Self).ok_or_else(|| D::Error::custom("it must be a whole number"))
    }
}

/// The part of the path that is named `id`. By its name: behind a site's prefix there are parts before it.
pub(super) struct Id(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let places = RawPathParams::from_request_parts(parts, state).await;
        let id =
            places.ok().and_then(|places| places.iter().find(|(name, _)| *name == "id").and_then(|(_, id)| whole(id)));
        id.map(Self).ok_or_else(|| ApiError::bad_request("the id in the path must be a whole number"))
    }
}

/// A query that names what it knows.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    StrictQuery::from_uri(uri).map(|StrictQuery(query)| query)
}

/// The limit that a query names, or the default.
pub(super) fn limit(asked: Option<Whole>) -> Result<PageLimit, QueryError> {
    asked.map_or(Ok(PageLimit::default()), |Whole(entries)| PageLimit::new(entries))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusQuery {
    /// Goes on in the gaps.
    pub(super) after: Option<String>,
    pub(super) limit: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchesQuery {
    pub(super) before: Option<Whole>,
    pub(super) limit: Option<Whole>,
    pub(super) source_type: Option<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersQuery {
    pub(super) after: Option<Whole>,
    pub(super) limit: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PayloadsQuery {
    pub(super) before: Option<Whole>,
    pub(super) limit: Option<Whole>,
    pub(super) status: Option<Status>,
}

/// A source of batches, as it stands in a URL.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Hxb,
    Hxe,
}

impl From<Source> for SourceType {
    fn from(source: Source) -> Self {
        match source {
            Source::Hxb => Self::Hxb,
            Source::Hxe => Self::Hxe,
        }
    }
}

/// The statuses of the original, as they stand in a URL.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Received,
    Processing,
    Processed,
    Duplicate,
    Error,
}

impl Status {
    /// The same where it is one of what is kept.
    pub(super) fn of_kept(self) -> Option<PayloadStatus> {
        match self {
            Self::Processed => Some(PayloadStatus::Processed),
            Self::Error => Some(PayloadStatus::Error),
            Self::Received | Self::Processing | Self::Duplicate => None,
        }
    }
}
