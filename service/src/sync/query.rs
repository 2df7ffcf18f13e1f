//! The query of a sync call: a position as `store`, `epoch`, `after` and `digest`, and `limit` and `wait`.

use crate::door::reply::StrictQuery;
use axum::extract::Query;
use axum::http::Uri;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::wire::MAX_PAGE_CHANGES;
use serde::Deserialize;
use std::fmt::Write as _;
use std::str::FromStr;

/// Longest time that a source waits for a change before it returns an empty page, in seconds.
pub const MAX_WAIT_S: u64 = 30;

/// A query that a source refuses. The text says what to send instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SyncQueryError(pub String);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    store: Option<String>,
    epoch: Option<String>,
    after: Option<String>,
    digest: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
}

impl Keys {
    fn from_uri(uri: &Uri) -> Result<Self, SyncQueryError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        if pairs.is_ok_and(|pairs| pairs.iter().any(|(key, _)| key == "since")) {
            return Err(SyncQueryError(
                "`since` is a time, and no time decides what to sync: send store, epoch, after and digest of the last \
                 page instead, or none of them for the start"
                    .to_owned(),
            ));
        }
        StrictQuery::from_uri(uri).map(|StrictQuery(keys)| keys).map_err(|error| SyncQueryError(error.message))
    }
}

/// A request for changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesQuery {
    /// The follower's position, or `None` for the start of whatever history the source has.
    pub position: Option<Position>,
    /// Maximum number of changes to return.
    pub limit: usize,
    /// Time to wait for the first change, in seconds.
    pub wait_s: u64,
}

impl ChangesQuery {
    /// Parses the query of `uri`.
    pub fn from_uri(uri: &Uri) -> Result<Self, SyncQueryError> {
        let keys = Keys::from_uri(uri)?;
        let limit =
            bounded("limit", keys.limit.as_deref(), 1..=MAX_PAGE_CHANGES as u64)?.unwrap_or(MAX_PAGE_CHANGES as u64);
        let wait_s = bounded("wait", keys.wait.as_deref(), 0..=MAX_WAIT_S)?.unwrap_or(0);
        let limit = usize::try_from(limit).unwrap_or(MAX_PAGE_CHANGES);
        Ok(Self { position: position(&keys)?, limit, wait_s })
    }

    /// Parses the query of a live connection or an export, which takes only a position.
    pub fn position_only(uri: &Uri) -> Result<Option<Position>, SyncQueryError> {
        let keys = Keys::from_uri(uri)?;
        let foreign = [("limit", &keys.limit), ("wait", &keys.wait)].into_iter().find(|(_, value)| value.is_some());
        if let Some((key, _)) = foreign {
            return Err(SyncQueryError(format!("`{key}` has no meaning here: send a position or nothing")));
        }
        position(&keys)
    }

    /// Returns the query as text, to append to a path.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("?limit={}&wait={}", self.limit, self.wait_s);
        if let Some(position) = &self.position {
            let _ = write!(text, "&{}", position_text(position));
        }
        text
    }
}

/// Returns a position as a query, without the `?`.
#[must_use]
pub fn position_text(position: &Position) -> String {
    let Position { store, epoch, sequence, digest } = position;
    format!("store={store}&epoch={epoch}&after={sequence}&digest={digest}")
}

fn position(keys: &Keys) -> Result<Option<Position>, SyncQueryError> {
    match (&keys.store, &keys.epoch, &keys.after, &keys.digest) {
        (None, None, None, None) => Ok(None),
        (Some(store), Some(epoch), Some(after), Some(digest)) => Ok(Some(Position {
            store: parse::<StoreId>("store", store)?,
            epoch: Epoch(parse_number("epoch", epoch)?),
            sequence: Sequence(parse_number("after", after)?),
            digest: parse::<Digest>("digest", digest)?,
        })),
        _ => Err(SyncQueryError(
            "a position has four parts, store, epoch, after and digest: send all of them, or none for the start"
                .to_owned(),
        )),
    }
}

/// Parses a number that consists of digits only. `FromStr` alone would accept a sign, too.
pub(crate) fn parse_digits<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

pub(crate) fn parse_number<T: FromStr>(key: &str, text: &str) -> Result<T, SyncQueryError> {
    parse_digits(text).ok_or_else(|| SyncQueryError(format!("`{key}` must be a whole number that a position can have")))
}

fn parse<T: FromStr>(key: &str, text: &str) -> Result<T, SyncQueryError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| SyncQueryError(format!("`{key}` does not read: {error}")))
}

fn bounded(key: &str, text: Option<&str>, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, SyncQueryError> {
    let Some(text) = text else { return Ok(None) };
    match parse_digits(text) {
        Some(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(SyncQueryError(format!("`{key}` must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_query(query: &str) -> Result<ChangesQuery, SyncQueryError> {
        ChangesQuery::from_uri(&format!("/api/sync/changes{query}").parse().unwrap())
    }

    /// Catches a follower and a source that disagree on the form of a query.
    #[test]
    fn a_query_parses_back_from_its_text() {
        let position =
            Position { store: StoreId([3; 16]), epoch: Epoch(2), sequence: Sequence(77), digest: Digest([0xfe; 32]) };
        for position in [None, Some(position)] {
            let query = ChangesQuery { position, limit: 12, wait_s: 30 };
            assert_eq!(parse_query(&query.to_text()), Ok(query));
        }
    }

    /// Catches a wrong query that is accepted, or refused without a hint.
    #[test]
    fn the_refusal_of_a_wrong_query_says_what_to_send_instead() {
        let wrong = [
            ("?limit=0", "1 to 10000"),
            ("?limit=-1", "1 to 10000"),
            ("?limit=%2B1", "1 to 10000"),
            ("?limit=abc", "1 to 10000"),
            ("?limit=99999999999999999999999", "1 to 10000"),
            ("?wait=31", "0 to 30"),
            ("?after=5", "all of them"),
            ("?store=x&epoch=1&after=5&digest=y", "store"),
            ("?since=2024-01-01", "no time decides"),
            ("?sort=asc", "unknown"),
            ("?limit=1&limit=2", "more than once"),
        ];
        for (query, hint) in wrong {
            let error = parse_query(query).unwrap_err();
            assert!(error.0.contains(hint), "{query}: {error}");
        }
    }

    /// Catches a live connection or an export that silently ignores a limit.
    #[test]
    fn limit_and_wait_are_refused_in_every_spelling_if_only_a_position_is_allowed() {
        for query in ["limit=5", "%6Cimit=5", "limit", "wait=0", "wai%74=1"] {
            let error = ChangesQuery::position_only(&format!("/api/sync/live?{query}").parse().unwrap()).unwrap_err();
            assert!(error.0.contains("no meaning here"), "{query}: {error}");
        }
    }
}
