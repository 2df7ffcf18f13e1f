//! The people of an office: users with passwords and roles, their sessions, and the links by which they choose a password.
//!
//! # Decisions
//!
//! - **Nobody types a password on a command line, and nobody knows that of another.** `user add` and `user passwd` print a
//!   link that works once; the user opens it and chooses a password. The first owner gets such a link, too.
//! - **Tokens of sessions and codes of links are 256 random bits, and stored as hashes.** Whoever reads `local.redb` cannot
//!   use them.
//! - **A session is in memory and on disk.** A restart of the office logs nobody out, and a session that was ended is
//!   rejected at once, whatever the disk does. A removal that the disk refuses is tried again (`removed`).
//! - **Sessions and links end by a clock that never steps back** (`steady_clock`, `sweep`).
//! - **A new password voids all sessions and links of its user** (`roll`).
//! - **Who signed in is recorded** (`sign_ins`).

pub mod command;
mod enter;
mod error;
mod password;
mod removed_rows;
mod roll;
mod sign_ins;
mod steady_clock;
mod sweep;
mod throttle;
mod user;

pub use enter::SESSION_LIFETIME;
pub use error::{LoginError, MAX_USERS, PeopleError};
pub use password::{HashError, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordError};
pub use roll::MAX_SESSIONS_OF_USER;
pub use sign_ins::{MAX_SIGN_INS, SignIn, SignInWay};
pub use throttle::{ADDRESS_PERIOD, ADDRESS_TRIES, NAME_PERIOD, NAME_TRIES, SESSION_PERIOD, SESSIONS_AT_ONCE};
pub use user::{MAX_NAME_CHARS, Role, UserName, UserNameError};

use herd::clock::Clock;
use herd::randomness::{Randomness, RandomnessError};
use herd::store::LocalFile;
use password::{Hashing, PasswordMark};
use removed_rows::RemovedRows;
use roll::{Hash, LinkRow, Roll};
use serde::{Deserialize, Serialize};
use service::door::secret::{Secret, hash_secret};
use sign_ins::SignIns;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use steady_clock::SteadyClock;
use throttle::Throttle;
use user::UserRow;

/// Namespace in `local.redb` that maps the lower-case name of a user to the row.
const USERS: &str = "users";
/// Namespace that maps the hash of a session's token, in hexadecimal digits, to the row.
const SESSIONS: &str = "sessions";
/// Namespace that maps the hash of a link's code, in hexadecimal digits, to the row.
const LINKS: &str = "password links";
/// Prefix of the code of a link.
const LINK_PREFIX: &str = "hxw_";
/// Time for which a link works.
pub const LINK_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedUser {
    /// The name.
    pub name: UserName,
    /// The role.
    pub role: Role,
    /// `true` if the user has not chosen a password yet.
    pub is_invited: bool,
}

/// The user of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The name.
    pub name: UserName,
    /// The role.
    pub role: Role,
    /// Text that the forms of this session carry, and that no other web page knows.
    pub form_token: String,
}

impl LoggedIn {
    /// Returns whether a form is of this session, by the text that it carries. Takes as long for any text.
    pub fn owns_form(&self, form_token: &str) -> bool {
        blake3::hash(form_token.as_bytes()) == blake3::hash(self.form_token.as_bytes())
    }
}

/// A person who is asked to choose a password by a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The user; `None` for the first owner, who chooses a name.
    pub name: Option<UserName>,
    /// The role.
    pub role: Role,
}

/// The users of an office, their sessions and links.
pub struct People {
    file: LocalFile,
    clock: SteadyClock,
    randomness: Mutex<Box<dyn Randomness>>,
    /// Held during a change, which syncs the disk: take it on a blocking thread.
    changes: Mutex<()>,
    roll: RwLock<Roll>,
    removed: Mutex<RemovedRows>,
    hashing: Hashing,
    throttle: Throttle,
    sign_ins: SignIns,
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("People").field("file", &self.file).finish_non_exhaustive()
    }
}

impl People {
    /// Loads users, sessions and links from `local.redb`.
    pub fn load(
        file: LocalFile,
        clock: Arc<dyn Clock>,
        randomness: impl Randomness + 'static,
    ) -> Result<Self, PeopleError> {
        let users = file.list::<UserRow>(USERS)?.into_iter().collect();
        let sessions = file.list(SESSIONS)?;
        let clock = SteadyClock::new(clock, sweep::latest_us(&file, &sessions)?);
        let roll = Roll { users, sessions: by_hash(sessions), links: by_hash(file.list(LINKS)?) };
        let sign_ins = SignIns::load(&file)?;
        Ok(Self {
            file,
            clock,
            randomness: Mutex::new(Box::new(randomness)),
            changes: Mutex::new(()),
            roll: RwLock::new(roll),
            removed: Mutex::default(),
            hashing: Hashing::new(),
            throttle: Throttle::default(),
            sign_ins,
        })
    }

    /// Returns whether there are no users yet.
    pub fn is_empty(&self) -> bool {
        self.roll().users.is_empty()
    }

    /// Returns whether there is such a user, who has chosen a password.
    pub fn has(&self, name: &UserName) -> bool {
        self.roll().user(name).is_some()
    }

    /// Returns the code of a link for the first owner, or `None` if there is a user or somebody is invited. It dies with the
    /// process, or with the first user.
    pub fn first_owner(&self) -> Result<Option<Secret>, PeopleError> {
        if !self.is_empty() || self.roll().invited(self.now_us()).next().is_some() {
            return Ok(None);
        }
        let code = self.secret(LINK_PREFIX)?;
        let row = LinkRow { user: None, role: Role::Owner, password: None, ends_at_us: i64::MAX };
        self.roll_mut().links.insert(code.hash(), row);
        Ok(Some(code))
    }

    /// Adds a user, who chooses a password by the link with the returned code. Somebody who has such a link keeps it, so that a
    /// call that is repeated does not void what was sent to them already. Syncs the disk.
    pub fn add(&self, name: &UserName, role: Role) -> Result<Secret, PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        if self.roll().user(name).is_some() {
            return Err(PeopleError::Exists(name.clone()));
        }
        if self.roll().invited(self.now_us()).any(|(invited, _)| invited == name) {
            return Err(PeopleError::Invited(name.clone()));
        }
        self.make_link(name, role, None)
    }

    /// Lets a user choose a new password by the link with the returned code. Until then the old one is valid. Syncs the disk.
    pub fn renew(&self, name: &UserName) -> Result<Secret, PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let (name, role, password) = {
            let roll = self.roll();
            let known = roll.user(name).map(|user| (user.name.clone(), user.role, Some(user.password.mark())));
            let mut invited = roll.invited(self.now_us()).filter(|(invited, _)| *invited == name);
            let found = known.or_else(|| invited.next().map(|(name, role)| (name.clone(), role, None)));
            found.ok_or_else(|| PeopleError::Unknown(name.clone()))?
        };
        self.make_link(&name, role, password)
    }

    /// Makes the only valid link of a user. Changes must be locked.
    fn make_link(&self, name: &UserName, role: Role, password: Option<PasswordMark>) -> Result<Secret, PeopleError> {
        let code = self.secret(LINK_PREFIX)?;
        let now_us = self.now_us();
        let row = LinkRow { user: Some(name.clone()), role, password, ends_at_us: later(now_us, LINK_LIFETIME) };
        let known = self.roll().users.len() + self.roll().invited(now_us).filter(|(other, _)| *other != name).count();
        if password.is_none() && known >= MAX_USERS {
            return Err(PeopleError::TooMany);
        }
        let gone = self.roll_mut().remove_links(name, now_us);
        self.removed().add(LINKS, names(&gone));
        self.put(LINKS, &hex::encode(code.hash()), &row)?;
        self.roll_mut().links.insert(code.hash(), row);
        Ok(code)
    }

    /// Gives a user another role, also in the sessions that they have. The last owner stays one. Syncs the disk.
    pub fn change_role(&self, name: &UserName, role: Role) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let user = self.roll().user(name).cloned().ok_or_else(|| PeopleError::Unknown(name.clone()))?;
        if role != Role::Owner {
            self.check_not_last_owner(name)?;
        }
        let user = UserRow { role, ..user };
        self.put(USERS, &name.key(), &user)?;
        self.roll_mut().users.insert(name.key(), user);
        Ok(())
    }

    fn check_not_last_owner(&self, name: &UserName) -> Result<(), PeopleError> {
        let roll = self.roll();
        let mut others = roll.users.values().filter(|user| user.name != *name);
        let is_owner = roll.user(name).is_some_and(|user| user.role == Role::Owner);
        if is_owner && !others.any(|user| user.role == Role::Owner) {
            return Err(PeopleError::LastOwner(name.clone()));
        }
        Ok(())
    }

    /// Removes a user other than the last owner, with the sessions and links. They are rejected from now on. After an error of
    /// the disk, a restart would know them again until a sweep has removed them; the call can be repeated. Syncs the disk.
    pub fn remove(&self, name: &UserName) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        self.check_not_last_owner(name)?;
        {
            let (mut roll, mut removed) = (self.roll_mut(), self.removed());
            removed.add(USERS, roll.users.remove(&name.key()).map(|row| row.name.key()));
            removed.add(LINKS, names(&roll.remove_links(name, self.now_us())));
            removed.add(SESSIONS, names(&roll.remove_sessions(name)));
        }
        // The disk says if there was such a user: after a failure, memory does not.
        let mut links = self.file.list::<LinkRow>(LINKS)?.into_iter();
        let is_invited = links.any(|(_, row)| row.user.as_ref() == Some(name));
        let is_known = is_invited || self.file.get::<UserRow>(USERS, &name.key())?.is_some();
        self.save_removals()?;
        if is_known { Ok(()) } else { Err(PeopleError::Unknown(name.clone())) }
    }

    /// Returns all users, and those who have not chosen a password yet, sorted by name.
    pub fn list(&self) -> Vec<ListedUser> {
        let roll = self.roll();
        let listed = |name: &UserName, role, is_invited| ListedUser { name: name.clone(), role, is_invited };
        let mut all: Vec<_> = roll.users.values().map(|row| listed(&row.name, row.role, false)).collect();
        all.extend(roll.invited(self.now_us()).map(|(name, role)| listed(name, role, true)));
        all.sort_by_key(|user| user.name.key());
        all
    }

    /// Returns who is asked to choose a password by the link with this code.
    pub fn invited(&self, code: &str) -> Option<Invited> {
        let row = self.roll().link(&hash_secret(code), self.now_us())?.clone();
        Some(Invited { name: row.user, role: row.role })
    }

    /// Returns the user of a session, by its token.
    pub fn session(&self, token: &str) -> Option<LoggedIn> {
        let roll = self.roll();
        let UserRow { name, role, .. } = roll.user_of(&hash_secret(token), self.now_us())?;
        Some(LoggedIn { name: name.clone(), role: *role, form_token: form_token(token) })
    }

    /// Ends a session. It is rejected from now on. After an error, a restart would accept it again until a sweep has removed it.
    /// Syncs the disk.
    pub fn log_out(&self, token: &str) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let hash = hash_secret(token);
        let ended = self.roll_mut().sessions.remove(&hash).map(|_| hex::encode(hash));
        self.removed().add(SESSIONS, ended);
        Ok(self.save_removals()?)
    }

    /// Ends all sessions of a user, as [`log_out`](Self::log_out) does one.
    pub fn log_out_everywhere(&self, user: &UserName) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let ended = self.roll_mut().remove_sessions(user);
        self.removed().add(SESSIONS, names(&ended));
        Ok(self.save_removals()?)
    }

    fn secret(&self, prefix: &str) -> Result<Secret, RandomnessError> {
        Secret::generate(prefix, self.randomness().as_mut())
    }

    fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    fn randomness(&self) -> MutexGuard<'_, Box<dyn Randomness>> {
        self.randomness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn roll(&self) -> RwLockReadGuard<'_, Roll> {
        self.roll.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn roll_mut(&self) -> RwLockWriteGuard<'_, Roll> {
        self.roll.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the text that the forms of a session carry. It follows from the token, and not the other way.
fn form_token(token: &str) -> String {
    const CONTEXT: &str = "herdlinx-mirror 2026-11 form token of a session";
    hex::encode(&blake3::derive_key(CONTEXT, token.as_bytes())[..16])
}

fn later(now_us: i64, by: Duration) -> i64 {
    now_us.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

/// Returns the keys of rows with these hashes.
fn names(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(hex::encode).collect()
}

fn by_hash<T>(rows: Vec<(String, T)>) -> HashMap<Hash, T> {
    let decoded = |(name, row): (String, T)| Some((hex::decode(name).ok()?.try_into().ok()?, row));
    rows.into_iter().filter_map(decoded).collect()
}

#[cfg(test)]
mod tests;
