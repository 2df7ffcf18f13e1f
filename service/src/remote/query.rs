//! The number in the path, and the queries.

use crate::door::reply::{ApiError, StrictQuery};
use crate::sync::query::parse_digits;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Uri;
use axum::http::request::Parts;
use herd::payload::SourceType;
use herd::query::{PageLimit, PayloadStatus, QueryError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// A number that consists of digits only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = parse_digits(&String::deserialize(from)?);
        number.map(Self).ok_or_else(|| D::Error::custom("it must be a whole number"))
    }
}

/// The path parameter named `id`. It is found by name, because the prefix of a site adds parameters before it.
pub(super) struct Id(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let id = params
            .and_then(|params| params.iter().find(|(name, _)| *name == "id").and_then(|(_, id)| parse_digits(id)));
        id.map(Self).ok_or_else(|| ApiError::bad_request("the id in the path must be a whole number"))
    }
}

/// Parses the query of `uri`; unknown keys are refused.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    StrictQuery::from_uri(uri).map(|StrictQuery(query)| query)
}

/// Returns the limit of a query, or the default.
pub(super) fn limit(limit: Option<Number>) -> Result<PageLimit, QueryError> {
    limit.map_or(Ok(PageLimit::default()), |Number(entries)| PageLimit::new(entries))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusQuery {
    /// Cursor in the gaps.
    pub(super) after: Option<String>,
    pub(super) limit: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchesQuery {
    pub(super) before: Option<Number>,
    pub(super) limit: Option<Number>,
    pub(super) source_type: Option<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersQuery {
    pub(super) after: Option<Number>,
    pub(super) limit: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PayloadsQuery {
    pub(super) before: Option<Number>,
    pub(super) limit: Option<Number>,
    pub(super) status: Option<Status>,
}

/// A source of batches, as written in a URL.
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

/// A status of the original, as written in a URL.
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
    /// Returns the status among the stored payloads, or `None` if no stored payload has it.
    pub(super) fn stored(self) -> Option<PayloadStatus> {
        match self {
            Self::Processed => Some(PayloadStatus::Processed),
            Self::Error => Some(PayloadStatus::Error),
            Self::Received | Self::Processing | Self::Duplicate => None,
        }
    }
}
