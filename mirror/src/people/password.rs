//! Passwords: what is accepted, and their Argon2id hashes.
//!
//! # Decisions
//!
//! - **Argon2id with 19 MiB, 2 passes, 1 lane**, the first choice of OWASP's password storage cheat sheet, and the default of
//!   the crate. A stored hash names its parameters, so they can be raised later.
//! - **Two hashes at a time** ([`HASHES_AT_ONCE`]), and a bounded number that wait: a flood of log-ins takes 38 MiB and two
//!   processors at most.
//! - **A password has at least 12 characters, whatever they are.** Rules about their kinds were rejected, as NIST SP 800-63B
//!   (section 3.1.1.2) does.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use herd::randomness::{Randomness, RandomnessError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Minimum length of a password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Maximum length of a password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 512;
/// Minimum number of different characters in a password.
const MIN_DISTINCT_CHARS: usize = 5;
/// Number of passwords that are hashed at the same time.
const HASHES_AT_ONCE: usize = 2;
/// Number of log-ins that wait for their turn. A hash takes some 20 ms on a PC.
const MAX_WAITING: usize = 64;
/// Bytes of the salt of a hash (RFC 9106, section 3.1: 16 are recommended).
const SALT_BYTES: usize = 16;

/// Reason why a password is not accepted for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("a password has at least {MIN_PASSWORD_CHARS} characters; a sentence is a good one")]
    TooShort,
    /// Too many bytes.
    #[error("a password has at most {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// A few characters again and again, or the user's own name.
    #[error("this password is easy to guess: use more different characters, and not the user's name")]
    Guessable,
}

/// Checks that a password is good enough for a user whose name is `user` in lower case.
pub(super) fn check(password: &str, user: &str) -> Result<(), PasswordError> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(PasswordError::TooShort);
    }
    let distinct: std::collections::BTreeSet<char> = password.chars().collect();
    let rest = password.to_lowercase().replace(user, "");
    let is_guessable = distinct.len() < MIN_DISTINCT_CHARS || rest.chars().count() < MIN_PASSWORD_CHARS / 2;
    if is_guessable { Err(PasswordError::Guessable) } else { Ok(()) }
}

/// The hash of a password, as a PHC string.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PasswordHash(String);

/// Stands for a password in sessions and links, which are void once the user has another one. The salt of the hash makes it
/// unique, also for the same password chosen twice.
pub(super) type PasswordMark = [u8; 16];

impl PasswordHash {
    pub(super) fn mark(&self) -> PasswordMark {
        const CONTEXT: &str = "herdlinx-mirror 2026-11 mark of a password hash";
        let mut mark = PasswordMark::default();
        mark.copy_from_slice(&blake3::derive_key(CONTEXT, self.0.as_bytes())[..16]);
        mark
    }
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// No salt could be drawn.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The library refused, or its thread ended.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
    /// Too many log-ins wait already.
    #[error("too many people log in at this moment; try again in a moment")]
    Busy,
}

/// Hash that stands for the password of a name that nobody has: random bytes, to which no password is known. So an unknown name
/// takes as long as a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JQO9GNj3+TC0VG62AreYNA$pegsNNpX8wFs0HN+CI8YpVmub0WRf13Vao19sBOPEDQ";

/// The hashing of passwords, of which only a few take place at a time.
pub(super) struct Hashing {
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        let at_once = Arc::new(Semaphore::new(HASHES_AT_ONCE));
        Self { at_once, waiting: Arc::new(Semaphore::new(HASHES_AT_ONCE + MAX_WAITING)) }
    }

    /// Takes all places, so that everybody is told that the office is busy.
    #[cfg(test)]
    pub(super) fn occupy(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(HASHES_AT_ONCE + MAX_WAITING).unwrap();
        self.waiting.clone().try_acquire_many_owned(all).unwrap()
    }

    /// Hashes a password with this salt.
    pub(super) async fn hash(&self, password: String, salt: Salt) -> Result<PasswordHash, HashError> {
        self.run(move || hash(&password, salt)).await?
    }

    /// Returns whether a password is that of the user with this hash. Without a user it is not, and takes as long.
    pub(super) async fn verify(&self, password: String, of: Option<PasswordHash>) -> Result<bool, HashError> {
        let (is_known, hash) = (of.is_some(), of.unwrap_or_else(|| PasswordHash(NOBODY.to_owned())));
        let matches = self.run(move || Argon2::default().verify_password(password.as_bytes(), hash.0.as_str()).is_ok());
        Ok(matches.await? && is_known)
    }

    /// Runs a hash on a blocking thread, once it has its turn.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let _place = self.waiting.clone().try_acquire_owned().map_err(|_| HashError::Busy)?;
        let turn = self.at_once.clone().acquire_owned().await.map_err(|_| HashError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| HashError::Failed(error.to_string()))
    }
}

/// A salt.
pub(super) type Salt = [u8; SALT_BYTES];

/// Draws a salt.
pub(super) fn draw_salt(randomness: &mut dyn Randomness) -> Result<Salt, RandomnessError> {
    let mut salt = [0; SALT_BYTES];
    randomness.fill(&mut salt)?;
    Ok(salt)
}

fn hash(password: &str, salt: Salt) -> Result<PasswordHash, HashError> {
    let hashed: Result<phc::PasswordHash, _> = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hashed.map(|hash| PasswordHash(hash.to_string())).map_err(|error| HashError::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::randomness::SeededRandomness;

    #[test]
    fn a_password_is_long_and_not_the_name() {
        assert_eq!(check("the gate is green", "ana"), Ok(()));
        for (password, why) in [
            ("elevenchars", PasswordError::TooShort),
            ("abcdabcdabcd", PasswordError::Guessable),
            ("anaanaanaana1", PasswordError::Guessable),
            ("ANAanaAna12345", PasswordError::Guessable),
            (&"x1y2z3".repeat(100)[..=MAX_PASSWORD_BYTES], PasswordError::TooLong),
        ] {
            assert_eq!(check(password, "ana"), Err(why), "{password}");
        }
        let longest = &"x1y2z3".repeat(100)[..MAX_PASSWORD_BYTES];
        for password in ["twelve chars", "abcdeabcdeab", "ANAanaAna123456", longest] {
            assert_eq!(check(password, "ana"), Ok(()), "{password}");
        }
    }

    /// Catches a hash that is not Argon2id, or that is stored with weaker parameters than the documented ones.
    #[tokio::test]
    async fn the_hash_is_argon2id_of_19_mib_and_only_its_password_matches() {
        let mut randomness = SeededRandomness::new(1);
        let hashing = Hashing::new();
        let salt = draw_salt(&mut randomness).unwrap();
        let hash = hashing.hash("the gate is green".to_owned(), salt).await.unwrap();
        let parameters = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash.0.starts_with(parameters) && NOBODY.starts_with(parameters), "{}", hash.0);
        assert!(phc::PasswordHash::new(NOBODY).is_ok(), "an unknown name would be refused at once");
        assert!(hashing.verify("the gate is green".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!hashing.verify("the gate is red".to_owned(), Some(hash)).await.unwrap());
        assert!(!hashing.verify("the gate is green".to_owned(), None).await.unwrap());
    }
}
