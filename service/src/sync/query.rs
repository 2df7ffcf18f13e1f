//! What a follower asks: `store`, `epoch`, `after`, `digest`, all four or none, and `limit` and `wait`.

use crate::door::reply::StrictQuery;
use axum::extract::Query;
use axum::http::Uri;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::wire::MAX_PAGE_CHANGES;
use serde::Deserialize;
use std::fmt::Write as _;
use std::str::FromStr;

/// The longest that a source waits for a change before it answers with an empty page, seconds.
pub const WAIT_S: u64 = 30;

/// A question that a source does not take. The text says what to send instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadQuery(pub String);

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
    fn from_uri(uri: &Uri) -> Result<Self, BadQuery> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        if pairs.is_ok_and(|pairs| pairs.iter().any(|(key, _)| key == "since")) {
            return Err(BadQuery(
                "`since` is a time, and no time decides what to sync: send store, epoch, after and digest of the last \
                 page instead, or none of them for the start"
                    .to_owned(),
            ));
        }
        StrictQuery::from_uri(uri).map(|StrictQuery(keys)| keys).map_err(|refused| BadQuery(refused.message))
    }
}

/// A question for changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesQuery {
    /// The follower's position; none for the start of whatever history the source has.
    pub position: Option<Position>,
    /// At most so many changes.
    pub limit: usize,
    /// Wait so long for the first one, seconds.
    pub wait_s: u64,
}

impl ChangesQuery {
    /// Reads the query of `uri`.
    pub fn from_uri(uri: &Uri) -> Result<Self, BadQuery> {
        let keys = Keys::from_uri(uri)?;
        let limit =
            bounded("limit", keys.limit.as_deref(), 1..=MAX_PAGE_CHANGES as u64)?.unwrap_or(MAX_PAGE_CHANGES as u64);
        let wait_s = bounded("wait", keys.wait.as_deref(), 0..=WAIT_S)?.unwrap_or(0);
        let limit = usize::try_from(limit).unwrap_or(MAX_PAGE_CHANGES);
        Ok(Self { position: position(&keys)?, limit, wait_s })
    }

    /// Reads the query of a live connection or an export, which has a position only.
    pub fn position_only(uri: &Uri) -> Result<Option<Position>, BadQuery> {
        let keys = Keys::from_uri(uri)?;
        let foreign = [("limit", &keys.limit), ("wait", &keys.wait)].into_iter().find(|(_, value)| value.is_some());
        if let Some((key, _)) = foreign {
            return Err(BadQuery(format!("`{key}` has no meaning here: send a position or nothing")));
        }
        position(&keys)
    }

    /// The query's text, to be put behind a path.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("?limit={}&wait={}", self.limit, self.wait_s);
        if let Some(position) = &self.position {
            let _ = write!(text, "&{}", position_text(position));
        }
        text
    }
}

/// A position as a query, without the `?`.
#[must_use]
pub fn position_text(position: &Position) -> String {
    let Position { store, epoch, sequence, digest } = position;
    format!("store={store}&epoch={epoch}&after={sequence}&digest={digest}")
}

fn position(keys: &Keys) -> Result<Option<Position>, BadQuery> {
    match (&keys.store, &keys.epoch, &keys.after, &keys.digest) {
        (None, None, None, None) => Ok(None),
        (Some(store), Some(epoch), Some(after), Some(digest)) => Ok(Some(Position {
            store: read::<StoreId>("store", store)?,
            epoch: Epoch(number("epoch", epoch)?),
            sequence: Sequence(number("after", after)?),
            digest: read::<Digest>("digest", digest)?,
        })),
        _ => Err(BadQuery(
            "a position has four parts, store, epoch, after and digest: send all of them, or none for the start"
                .to_owned(),
        )),
    }
}

/// A number of digits alone: Rust itself would read a sign, too.
pub(crate) fn whole<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

pub(crate) fn number<T: FromStr>(key: &str, text: &str) -> Result<T, BadQuery> {
    whole(text).ok_or_else(|| BadQuery(format!("`{key}` must be a whole number that a position can have")))
}

fn read<T: FromStr>(key: &str, text: &str) -> Result<T, BadQuery>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|why| BadQuery(format!("`{key}` does not read: {why}")))
}

fn bounded(key: &str, text: Option<&str>, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, BadQuery> {
    let Some(text) = text else { return Ok(None) };
    match whole(text) {
        Some(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(BadQuery(format!("`{key}` must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_query(query: &str) -> Result<ChangesQuery, BadQuery> {
        ChangesQuery::from_uri(&format!("/api/sync/changes{query}").parse().unwrap())
    }

    #[test]
    fn a_query_reads_back_from_its_own_text() {
        let position =
            Position { store: StoreId([3; 16]), epoch: Epoch(2), sequence: Sequence(77), digest: Digest([0xfe; 32]) };
        for position in [None, Some(position)] {
            let query = ChangesQuery { position, limit: 12, wait_s: 30 };
            assert_eq!(read_query(&query.to_text()), Ok(query));
        }
    }

    #[test]
    fn wrong_queries_are_refused_with_what_to_send_instead() {
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
            let error = read_query(query).unwrap_err();
            assert!(error.0.contains(hint), "{query}: {error}");
        }
    }

    #[test]
    fn where_only_a_position_is_taken_limit_and_wait_are_refused_however_they_are_written() {
        for query in ["limit=5", "%6Cimit=5", "limit", "wait=0", "wai%74=1"] {
            let error = ChangesQuery::position_only(&format!("/api/sync/live?{query}").parse().unwrap()).unwrap_err();
            assert!(error.0.contains("no meaning here"), "{query}: {error}");
        }
    }
}
