//! Bounds of the streams that open pages follow.

use crate::people::UserName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of open streams.
pub(super) const MAX_STREAMS: usize = 128;
/// Maximum number of open streams of one user. All programs, and callers without a log-in, count as one.
pub(super) const MAX_STREAMS_OF_USER: usize = 16;

/// The number of open streams of each user; `None` is everybody else.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Mutex<OpenStreams>>);

/// Numbers by the keys of the users' names.
type OpenStreams = HashMap<Option<String>, usize>;

/// The place of an open stream, which is free again when this is dropped.
pub(super) struct Place {
    streams: Streams,
    user: Option<String>,
}

impl Streams {
    /// Takes a place; `None` if the user or all users together have too many.
    pub(super) fn open(&self, user: Option<&UserName>) -> Option<Place> {
        let user = user.map(UserName::key);
        let mut open = self.lock();
        if open.values().sum::<usize>() >= MAX_STREAMS || open.get(&user).is_some_and(|n| *n >= MAX_STREAMS_OF_USER) {
            return None;
        }
        *open.entry(user.clone()).or_default() += 1;
        Some(Place { streams: self.clone(), user })
    }

    fn lock(&self) -> MutexGuard<'_, OpenStreams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(streams: &Streams, user: &str) -> Option<Place> {
        streams.open(Some(&user.parse().unwrap()))
    }

    /// Catches a user whose open pages keep those of others from being live, and a place that is never free again.
    #[test]
    fn the_streams_of_a_user_and_of_all_are_bounded() {
        let streams = Streams::default();
        let of_ana: Vec<_> = (0..MAX_STREAMS_OF_USER).map(|_| open(&streams, "Ana").unwrap()).collect();
        assert!(open(&streams, "ana").is_none() && streams.open(None).is_some());
        let others = (0..MAX_STREAMS).map_while(|n| open(&streams, &format!("user {}", n / 8)));
        let others: Vec<_> = others.collect();
        assert_eq!(of_ana.len() + others.len(), MAX_STREAMS);
        assert!(streams.open(None).is_none());
        drop((of_ana, others));
        assert!(open(&streams, "Ana").is_some() && streams.lock().is_empty());
    }
}
