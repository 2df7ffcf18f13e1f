//! Limits on the tries to log in, by address and by name.
//!
//! # Decisions
//!
//! - **Each address has [`ADDRESS_TRIES`] tries, and gets one back every [`ADDRESS_PERIOD`].** A right password gives its try
//!   back.
//! - **Each name has [`NAME_TRIES`], over all addresses at which that user is not logged in.** So many machines together guess
//!   no faster than one. A user who is logged in somewhere logs in there again whatever strangers do elsewhere: the name's
//!   limit does not count there. Locking a name was rejected, because anybody could lock anybody out.
//! - **The tables are bounded.** If one is full, the entry goes that has the most tries left.

use service::door::serve::connections::peer_of;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Tries of an address at once.
pub const ADDRESS_TRIES: u32 = 10;
/// Time after which an address gets a try back.
pub const ADDRESS_PERIOD: Duration = Duration::from_secs(6);
/// Tries for a name at once, from addresses at which that user is not logged in.
pub const NAME_TRIES: u32 = 20;
/// Time after which a name gets a try back.
pub const NAME_PERIOD: Duration = Duration::from_secs(3);
/// Entries of a table.
const MAX_ENTRIES: usize = 4096;

/// The tries that were used. Clocked by tokio, which tests can pause.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    addresses: Table<IpAddr>,
    names: Table<String>,
}

/// For each key, the time at which it has all its tries again.
#[derive(Debug)]
struct Table<K>(HashMap<K, Instant>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone> Table<K> {
    /// Takes a try, or returns the time after which there is one.
    fn take(&mut self, key: K, tries: u32, period: Duration, now: Instant) -> Result<(), Duration> {
        let whole_at = self.0.get(&key).copied().unwrap_or(now).max(now) + period;
        let wait = whole_at.saturating_duration_since(now + period * tries);
        if !wait.is_zero() {
            return Err(wait);
        }
        if !self.0.contains_key(&key) {
            self.make_room(now);
        }
        self.0.insert(key, whole_at);
        Ok(())
    }

    fn give_back(&mut self, key: &K, period: Duration) {
        if let Some(whole_at) = self.0.get_mut(key) {
            *whole_at -= period;
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < MAX_ENTRIES {
            return;
        }
        self.0.retain(|_, whole_at| *whole_at > now);
        if self.0.len() >= MAX_ENTRIES
            && let Some(first) = self.0.iter().min_by_key(|(_, whole_at)| **whole_at).map(|(key, _)| key.clone())
        {
            self.0.remove(&first);
        }
    }
}

/// A try that was allowed.
#[derive(Debug)]
pub(super) struct Try {
    address: IpAddr,
    /// `None` if the name's limit does not count for it.
    name: Option<String>,
}

impl Throttle {
    /// Takes a try of an address, and one for a name unless that user `is_known` there. On an error it takes neither, and
    /// returns the time after which there is a try again.
    pub(super) fn take(&self, address: IpAddr, name: &str, is_known: bool) -> Result<Try, Duration> {
        let (now, address) = (Instant::now(), peer_of(address));
        let mut tables = self.lock();
        tables.addresses.take(address, ADDRESS_TRIES, ADDRESS_PERIOD, now)?;
        if is_known {
            return Ok(Try { address, name: None });
        }
        if let Err(wait) = tables.names.take(name.to_owned(), NAME_TRIES, NAME_PERIOD, now) {
            tables.addresses.give_back(&address, ADDRESS_PERIOD);
            return Err(wait);
        }
        Ok(Try { address, name: Some(name.to_owned()) })
    }

    /// Gives a try back: its password was right, or nobody looked at it.
    pub(super) fn give_back(&self, taken: &Try) {
        let mut tables = self.lock();
        tables.addresses.give_back(&taken.address, ADDRESS_PERIOD);
        if let Some(name) = &taken.name {
            tables.names.give_back(name, NAME_PERIOD);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 168, 1, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_gets_a_try_back_after_a_while() {
        let throttle = Throttle::default();
        for n in 0..ADDRESS_TRIES {
            throttle.take(address(1), &n.to_string(), false).unwrap();
        }
        assert_eq!(throttle.take(address(1), "other", false).unwrap_err(), ADDRESS_PERIOD);
        throttle.take(address(2), "other", false).unwrap();
        tokio::time::advance(ADDRESS_PERIOD).await;
        throttle.take(address(1), "other", false).unwrap();
        assert!(throttle.take(address(1), "other", false).is_err());
    }

    /// Catches a right password that uses a try up.
    #[tokio::test(start_paused = true)]
    async fn a_try_that_is_given_back_is_there_again() {
        let throttle = Throttle::default();
        for _ in 0..10 * ADDRESS_TRIES {
            let taken = throttle.take(address(1), "ana", false).unwrap();
            throttle.give_back(&taken);
        }
    }

    /// Catches strangers who lock a user out, and strangers who guess faster because they are many.
    #[tokio::test(start_paused = true)]
    async fn many_strangers_use_up_a_name_but_not_where_its_user_is_logged_in() {
        let throttle = Throttle::default();
        let allowed = (1..=200).filter(|n| throttle.take(address(*n), "ana", false).is_ok()).count();
        assert_eq!(allowed, NAME_TRIES as usize);
        throttle.take(address(201), "ana", true).unwrap();
        throttle.take(address(201), "ben", false).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded_and_keep_who_tried_most() {
        let throttle = Throttle::default();
        for _ in 0..ADDRESS_TRIES {
            throttle.take(address(1), "ana", true).unwrap();
        }
        for n in 0..2 * MAX_ENTRIES {
            let [_, _, high, low] = u32::try_from(n).unwrap().to_be_bytes();
            throttle.take([10, 1, high, low].into(), "ben", true).unwrap();
        }
        assert_eq!(throttle.lock().addresses.0.len(), MAX_ENTRIES);
        assert!(throttle.take(address(1), "ana", true).is_err());
    }
}
