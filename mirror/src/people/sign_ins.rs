//! The record of who signed in: when, from which address, and how.
//!
//! # Decisions
//!
//! - **It is on disk**, because people ask about yesterday, and an office restarts with each upgrade. A sign-in writes its
//!   session to the same file anyway, and a user signs in once in two weeks on each device.
//! - **Only those who got in are recorded.** Anybody can try wrong passwords; a record of tries would wear the disk and push the
//!   honest ones out. The throttle bounds them, and the log file has them.
//! - **It is a ring of [`MAX_SIGN_INS`] places**, so it is bounded by its keys. A later entry takes the place of the oldest.
//! - **A sign-in is not refused because it cannot be recorded.** The log says so then.

use super::People;
use super::user::UserName;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Namespace in `local.redb` that maps a place to the sign-in.
const SIGN_INS: &str = "sign-ins";
/// Maximum number of sign-ins that are kept.
pub const MAX_SIGN_INS: u64 = 1_000;

/// The way in which a user signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignInWay {
    /// With name and password.
    Password,
    /// By a link, and the choice of a password.
    Link,
}

/// A sign-in as stored. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Number of the sign-in, from 1.
    number: u64,
    /// The user.
    pub user: UserName,
    /// Address from which the user signed in.
    pub peer: IpAddr,
    /// Time by the office's clock, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// The way in.
    pub way: SignInWay,
}

/// The sign-ins in memory, latest last.
#[derive(Debug, Default)]
pub(super) struct SignIns(Mutex<VecDeque<SignIn>>);

impl SignIns {
    pub(super) fn load(file: &herd::store::LocalFile) -> Result<Self, herd::store::LocalError> {
        let mut all: Vec<_> = file.list::<SignIn>(SIGN_INS)?.into_iter().map(|(_, sign_in)| sign_in).collect();
        all.sort_by_key(|sign_in| sign_in.number);
        Ok(Self(Mutex::new(all.into())))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SignIn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SignInWay {
    /// Returns the way in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Password => "with the password",
            Self::Link => "by a link",
        }
    }
}

impl People {
    /// Records a sign-in. Syncs the disk.
    pub(super) fn record_sign_in(&self, user: &UserName, peer: IpAddr, way: SignInWay) {
        let at_us = self.now_us();
        let sign_in = {
            let mut kept = self.sign_ins.lock();
            let number = kept.back().map_or(0, |latest| latest.number) + 1;
            let sign_in = SignIn { number, user: user.clone(), peer, at_us, way };
            kept.push_back(sign_in.clone());
            if kept.len() as u64 > MAX_SIGN_INS {
                kept.pop_front();
            }
            sign_in
        };
        let place = format!("{:03}", sign_in.number % MAX_SIGN_INS);
        if let Err(error) = self.file.put(SIGN_INS, &place, &sign_in) {
            tracing::warn!(%error, %user, "a sign-in is not recorded on disk");
        }
    }

    /// Returns the latest sign-ins, latest first.
    pub fn sign_ins(&self, limit: usize) -> Vec<SignIn> {
        self.sign_ins.lock().iter().rev().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Role;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use herd::store::{LocalFile, MemoryDisk};
    use std::sync::Arc;

    const PASSWORD: &str = "the gate is green";

    fn load(disk: &MemoryDisk, seed: u64) -> Arc<People> {
        let file = LocalFile::open_in(disk).unwrap();
        Arc::new(People::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(seed)).unwrap())
    }

    /// Catches a record that a restart loses, and a wrong password in it.
    #[tokio::test]
    async fn who_got_in_is_known_after_a_restart_and_who_did_not_is_not_listed() {
        let (disk, peer) = (MemoryDisk::default(), IpAddr::from([192, 168, 1, 20]));
        let people = load(&disk, 1);
        let code = people.add(&"Ana".parse().unwrap(), Role::Viewer).unwrap();
        people.clone().choose(code.reveal(), "", PASSWORD.to_owned(), peer).await.unwrap();
        people.clone().log_in("ana", PASSWORD.to_owned(), peer).await.unwrap();
        assert!(people.clone().log_in("Ana", "the gate is blue".to_owned(), peer).await.is_err());
        let before = people.sign_ins(10);
        drop(people);
        assert_eq!(load(&disk, 2).sign_ins(10), before);
        let told = |sign_in: &SignIn| (sign_in.user.to_string(), sign_in.peer, sign_in.way);
        let expected = [SignInWay::Password, SignInWay::Link].map(|way| ("Ana".to_owned(), peer, way));
        assert_eq!(before.iter().map(told).collect::<Vec<_>>(), expected);
    }

    /// Catches a record that grows for ever, in memory or on disk, and one that loses the latest.
    #[test]
    fn only_the_latest_are_kept() {
        let disk = MemoryDisk::default();
        let people = load(&disk, 1);
        let name = "Ana".parse().unwrap();
        for host in 0..MAX_SIGN_INS + 3 {
            let peer = IpAddr::from([10, 0, u8::try_from(host / 250).unwrap(), u8::try_from(host % 250).unwrap()]);
            people.record_sign_in(&name, peer, SignInWay::Password);
        }
        drop(people);
        let kept = load(&disk, 2).sign_ins(usize::MAX);
        assert_eq!((kept.len() as u64, kept[0].peer), (MAX_SIGN_INS, IpAddr::from([10, 0, 4, 2])));
    }

    /// Catches a change of the stored form, which an older office could not read.
    #[test]
    fn a_stored_sign_in_has_frozen_bytes() {
        let peer = IpAddr::from([192, 168, 1, 20]);
        let sign_in = SignIn { number: 7, user: "Ana".parse().unwrap(), peer, at_us: 1, way: SignInWay::Link };
        let bytes = postcard::to_stdvec(&sign_in).unwrap();
        assert_eq!(bytes, [7, 3, b'A', b'n', b'a', 0, 192, 168, 1, 20, 2, 1]);
        assert_eq!(postcard::from_bytes::<SignIn>(&bytes).unwrap(), sign_in);
    }
}
