//! Limits on the tries to log in, by address and by name.
//!
//! # Decisions
//!
//! - **Each address has [`ADDRESS_TRIES`] tries, and gets one back every [`ADDRESS_PERIOD`].** A right password gives its try
//!   back.
//! - **Each name has [`NAME_TRIES`], over all addresses at which that user is not logged in.** So many machines together guess
//!   no faster than one.
//! - **Each user begins [`SESSIONS_AT_ONCE`] sessions, and one more every [`SESSION_PERIOD`].** Each costs a sync of the disk,
//!   and a right password gives its tries back. Only somebody who has the password uses these up; sessions go on.
//! - **A user who is logged in at an address has tries of their own there,** which others use up only with that name at that
//!   address. Elsewhere a flood of wrong tries delays the user. From an address that has tries left, a new link lets them in.
//!   Locking a name was rejected, because anybody could lock anybody out.
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
/// Sessions that a user begins at once.
pub const SESSIONS_AT_ONCE: u32 = 20;
/// Time after which a user may begin another one.
pub const SESSION_PERIOD: Duration = Duration::from_secs(30);
/// Entries of a table.
const MAX_ENTRIES: usize = 4096;

/// The tries that were used. Clocked by tokio, which tests can pause.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    addresses: Table<IpAddr>,
    /// By the key of the name; with the address, the tries of a user who is logged in there.
    names: Table<(String, Option<IpAddr>)>,
    sessions: Table<String>,
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

/// A try that was allowed, by the limits that count for it.
#[derive(Debug)]
pub(super) struct Try {
    address: Option<IpAddr>,
    name: Option<(String, Option<IpAddr>)>,
}

impl Throttle {
    /// Takes a try of an address.
    pub(super) fn take_at(&self, address: IpAddr) -> Result<Try, Duration> {
        let address = peer_of(address);
        self.lock().addresses.take(address, ADDRESS_TRIES, ADDRESS_PERIOD, Instant::now())?;
        Ok(Try { address: Some(address), name: None })
    }

    /// Takes a try of a user who is logged in at an address, or else one of the address and one of the name. On an error it
    /// takes neither, and returns the time after which there is a try again.
    pub(super) fn take(&self, address: IpAddr, name: &str, is_logged_in: bool) -> Result<Try, Duration> {
        if is_logged_in {
            let own = (name.to_owned(), Some(peer_of(address)));
            self.lock().names.take(own.clone(), NAME_TRIES, NAME_PERIOD, Instant::now())?;
            return Ok(Try { address: None, name: Some(own) });
        }
        let of_address = self.take_at(address)?;
        let anywhere = (name.to_owned(), None);
        let of_name = self.lock().names.take(anywhere.clone(), NAME_TRIES, NAME_PERIOD, Instant::now());
        if let Err(wait) = of_name {
            self.give_back(&of_address);
            return Err(wait);
        }
        Ok(Try { name: Some(anywhere), ..of_address })
    }

    /// Takes one of the sessions that a user may begin, or returns the time after which there is one.
    pub(super) fn take_session(&self, name: &str) -> Result<(), Duration> {
        self.lock().sessions.take(name.to_owned(), SESSIONS_AT_ONCE, SESSION_PERIOD, Instant::now())
    }

    /// Gives a try back: its password was right, or nobody looked at it.
    pub(super) fn give_back(&self, taken: &Try) {
        let mut tables = self.lock();
        if let Some(address) = &taken.address {
            tables.addresses.give_back(address, ADDRESS_PERIOD);
        }
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
    async fn strangers_use_up_a_name_and_an_address_but_not_for_a_user_who_is_logged_in_there() {
        let throttle = Throttle::default();
        let allowed = (1..=200).filter(|n| throttle.take(address(*n), "ana", false).is_ok()).count();
        assert_eq!(allowed, NAME_TRIES as usize);
        throttle.take(address(201), "ben", false).unwrap();
        for _ in 0..2 * ADDRESS_TRIES {
            let _ = throttle.take(address(201), "ben", false);
        }
        for _ in 0..NAME_TRIES {
            throttle.take(address(201), "ana", true).unwrap();
        }
        assert_eq!(throttle.take(address(201), "ana", true).unwrap_err(), NAME_PERIOD, "not even there for ever");
        throttle.take(address(202), "ana", true).unwrap();
    }

    /// Catches a name that reads like the tries of somebody else.
    #[tokio::test(start_paused = true)]
    async fn no_name_uses_up_the_tries_of_a_user_at_an_address() {
        let throttle = Throttle::default();
        for n in 0..200 {
            let _ = throttle.take(address(n), "ana at 192.168.1.5", false);
        }
        throttle.take(address(5), "ana", true).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded_and_keep_who_tried_most() {
        let throttle = Throttle::default();
        for _ in 0..ADDRESS_TRIES {
            throttle.take_at(address(1)).unwrap();
        }
        for n in 0..2 * MAX_ENTRIES {
            let [_, _, high, low] = u32::try_from(n).unwrap().to_be_bytes();
            throttle.take_at([10, 1, high, low].into()).unwrap();
        }
        assert_eq!(throttle.lock().addresses.0.len(), MAX_ENTRIES);
        assert!(throttle.take_at(address(1)).is_err());
    }
}
