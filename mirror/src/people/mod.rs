//! The people of an office: users with passwords and roles, their sessions, and the links by which they choose a password.
//!
//! # Decisions
//!
//! - **Nobody types a password on a command line, and nobody knows that of another.** `user add` and `user passwd` print a
//!   link that works once; the user opens it and chooses a password. The first owner gets such a link, too.
//! - **Tokens of sessions and links are 256 random bits, and stored as hashes.** Whoever reads `local.redb` cannot use them.
//! - **A session is in memory and on disk.** A restart of the office logs nobody out, and a session that was ended is
//!   rejected at once, whatever the disk does.
//! - **A new password ends all sessions of its user.**

pub mod command;
mod error;
mod password;
mod session;
mod throttle;
mod user;

pub use error::{LoginError, MAX_USERS, PeopleError};
pub use password::{HashError, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordError};
pub use session::{MAX_SESSIONS_OF_USER, SESSION_LIFETIME};
pub use throttle::{ADDRESS_PERIOD, ADDRESS_TRIES, NAME_PERIOD, NAME_TRIES};
pub use user::{MAX_NAME_CHARS, Role, UserName, UserNameError};

use herd::clock::Clock;
use herd::randomness::Randomness;
use herd::store::{LocalError, LocalFile};
use password::{Hashing, PasswordHash, check, draw_salt};
use serde::{Deserialize, Serialize};
use service::door::secret::{Secret, hash_secret};
use service::door::serve::connections::peer_of;
use session::{SESSION_PREFIX, SessionRow, Sessions, to_end};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
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

/// A link as stored, under the hash of its code. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LinkRow {
    /// The user; `None` for the first owner, who chooses a name.
    user: Option<UserName>,
    role: Role,
    ends_at_us: i64,
}

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
    clock: Arc<dyn Clock>,
    /// Locked during a change, so that the file and the maps change together.
    randomness: Mutex<Box<dyn Randomness>>,
    users: RwLock<HashMap<String, UserRow>>,
    sessions: RwLock<Sessions>,
    links: RwLock<HashMap<[u8; 32], LinkRow>>,
    hashing: Hashing,
    throttle: Throttle,
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
        mut randomness: impl Randomness + 'static,
    ) -> Result<Self, PeopleError> {
        let users = file.list::<UserRow>(USERS)?.into_iter().collect();
        let sessions = by_hash(file.list(SESSIONS)?);
        let links = by_hash(file.list(LINKS)?);
        let hashing = Hashing::new(&mut randomness)?;
        Ok(Self {
            file,
            clock,
            randomness: Mutex::new(Box::new(randomness)),
            users: RwLock::new(users),
            sessions: RwLock::new(sessions),
            links: RwLock::new(links),
            hashing,
            throttle: Throttle::default(),
        })
    }

    /// Returns whether there are no users yet.
    pub fn is_empty(&self) -> bool {
        read(&self.users).is_empty()
    }

    /// Returns the code of a link for the first owner, or `None` if there is a user or a link. It dies with the process.
    pub fn first_owner(&self) -> Result<Option<Secret>, PeopleError> {
        if !self.is_empty() || !read(&self.links).is_empty() {
            return Ok(None);
        }
        let code = Secret::generate(LINK_PREFIX, self.lock_changes().as_mut())?;
        let row = LinkRow { user: None, role: Role::Owner, ends_at_us: i64::MAX };
        write(&self.links).insert(code.hash(), row);
        Ok(Some(code))
    }

    /// Adds a user, who chooses a password by the link with the returned code. Syncs the disk.
    pub fn add(&self, name: &UserName, role: Role) -> Result<Secret, PeopleError> {
        if read(&self.users).contains_key(&name.key()) {
            return Err(PeopleError::Exists(name.clone()));
        }
        self.make_link(name, role)
    }

    /// Lets a user choose a new password by the link with the returned code. Until then the old one is valid. Syncs the disk.
    pub fn renew(&self, name: &UserName) -> Result<Secret, PeopleError> {
        let known = read(&self.users).get(&name.key()).map(|row| (row.name.clone(), row.role));
        let invited = || read(&self.links).values().find(|row| row.user.as_ref() == Some(name)).map(|row| row.role);
        match known.or_else(|| invited().map(|role| (name.clone(), role))) {
            Some((name, role)) => self.make_link(&name, role),
            None => Err(PeopleError::Unknown(name.clone())),
        }
    }

    fn make_link(&self, name: &UserName, role: Role) -> Result<Secret, PeopleError> {
        let mut randomness = self.lock_changes();
        let now_us = self.now_us();
        let is_over = |row: &LinkRow| row.ends_at_us <= now_us || row.user.as_ref() == Some(name);
        let gone: Vec<_> = read(&self.links).iter().filter(|(_, row)| is_over(row)).map(|(hash, _)| *hash).collect();
        if read(&self.users).len() >= MAX_USERS || read(&self.links).len() - gone.len() >= MAX_USERS {
            return Err(PeopleError::TooMany);
        }
        let code = Secret::generate(LINK_PREFIX, randomness.as_mut())?;
        let row = LinkRow { user: Some(name.clone()), role, ends_at_us: later(now_us, LINK_LIFETIME) };
        self.file.replace(LINKS, &names(&gone), Some((&hex::encode(code.hash()), &row)))?;
        let mut links = write(&self.links);
        links.retain(|hash, _| !gone.contains(hash));
        links.insert(code.hash(), row);
        Ok(code)
    }

    /// Removes a user, with the sessions and links. Syncs the disk.
    pub fn remove(&self, name: &UserName) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let was_user = write(&self.users).remove(&name.key()).is_some();
        let links = self.links_of(name);
        write(&self.links).retain(|_, row| row.user.as_ref() != Some(name));
        if !was_user && links.is_empty() {
            return Err(PeopleError::Unknown(name.clone()));
        }
        self.file.remove(USERS, &name.key())?;
        self.file.replace::<LinkRow>(LINKS, &names(&links), None)?;
        Ok(self.end_sessions(|row| row.user == *name)?)
    }

    /// Returns all users, and those who have not chosen a password yet, sorted by name.
    pub fn list(&self) -> Vec<ListedUser> {
        let users = read(&self.users);
        let listed = |name: &UserName, role, is_invited| ListedUser { name: name.clone(), role, is_invited };
        let mut all: Vec<_> = users.values().map(|row| listed(&row.name, row.role, false)).collect();
        let links = read(&self.links);
        let invited = links.values().filter_map(|row| Some((row.user.as_ref()?, row.role)));
        let new = invited.filter(|(name, _)| !users.contains_key(&name.key()));
        all.extend(new.map(|(name, role)| listed(name, role, true)));
        all.sort_by_key(|user| user.name.key());
        all
    }

    /// Returns who is asked to choose a password by the link with this code.
    pub fn invited(&self, code: &str) -> Option<Invited> {
        let row = read(&self.links).get(&hash_secret(code)).filter(|row| row.ends_at_us > self.now_us()).cloned()?;
        Some(Invited { name: row.user, role: row.role })
    }

    /// Gives a user the password that they chose by a link, and logs them in. The link is used up, and all other sessions of
    /// the user end.
    ///
    /// `chosen` is the name of the first owner; other links have the name.
    pub async fn choose(
        self: Arc<Self>,
        code: &str,
        chosen: &str,
        password: String,
        peer: IpAddr,
    ) -> Result<Secret, LoginError> {
        let Invited { name, role } = self.invited(code).ok_or(LoginError::Link)?;
        let name = name.map_or_else(|| chosen.parse(), Ok)?;
        check(&password, &name.key())?;
        let salt = draw_salt(self.lock_changes().as_mut()).map_err(PeopleError::from)?;
        let password = self.hashing.hash(password, salt).await?;
        let hash = hash_secret(code);
        self.on_disk(move |people| {
            people.enroll(&hash, &UserRow { name, role, password, made_at_us: people.now_us() }, peer)
        })
        .await
    }

    fn enroll(&self, link: &[u8; 32], user: &UserRow, peer: IpAddr) -> Result<Secret, LoginError> {
        {
            let _one_change_at_a_time = self.lock_changes();
            // Only one of two who use the link at the same time finds it.
            if !read(&self.links).contains_key(link) {
                return Err(LoginError::Link);
            }
            self.file.put(USERS, &user.name.key(), user).map_err(PeopleError::from)?;
            write(&self.users).insert(user.name.key(), user.clone());
            write(&self.links).retain(|hash, row| hash != link && row.user.is_some());
            self.file.remove(LINKS, &hex::encode(link)).map_err(PeopleError::from)?;
            self.end_sessions(|row| row.user == user.name).map_err(PeopleError::from)?;
        }
        Ok(self.begin_session(&user.name, peer)?)
    }

    /// Logs a user in who has this name and password, and returns the token of the session.
    pub async fn log_in(self: Arc<Self>, name: &str, password: String, peer: IpAddr) -> Result<Secret, LoginError> {
        // A text that is no name is that of nobody. It is tried like any other, so that it takes as long.
        let name = name.parse::<UserName>().ok();
        let key = name.as_ref().map(UserName::key).unwrap_or_default();
        let user = read(&self.users).get(&key).cloned();
        let is_known = name.as_ref().is_some_and(|name| self.is_logged_in_at(name, peer));
        let taken = self.throttle.take(peer, &key, is_known).map_err(|wait| LoginError::TooManyTries { wait })?;
        let hash: Option<PasswordHash> = user.as_ref().map(|user| user.password.clone());
        let is_right = match self.hashing.verify(password, hash).await {
            Ok(is_right) => is_right,
            Err(error) => {
                self.throttle.give_back(&taken);
                return Err(error.into());
            }
        };
        let Some(user) = user.filter(|_| is_right) else { return Err(LoginError::Wrong) };
        self.throttle.give_back(&taken);
        self.on_disk(move |people| Ok(people.begin_session(&user.name, peer)?)).await
    }

    /// Runs what syncs the disk on a blocking thread.
    async fn on_disk<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, LoginError> + Send + 'static,
    ) -> Result<T, LoginError> {
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|error| Err(HashError::Failed(error.to_string()).into()))
    }

    fn begin_session(&self, user: &UserName, peer: IpAddr) -> Result<Secret, PeopleError> {
        let mut randomness = self.lock_changes();
        // The user may have been removed while the password was hashed.
        if !read(&self.users).contains_key(&user.key()) {
            return Err(PeopleError::Unknown(user.clone()));
        }
        let token = Secret::generate(SESSION_PREFIX, randomness.as_mut())?;
        let now_us = self.now_us();
        let gone = to_end(&read(&self.sessions), user, now_us);
        let row = SessionRow {
            user: user.clone(),
            peer: peer_of(peer),
            began_at_us: now_us,
            ends_at_us: later(now_us, SESSION_LIFETIME),
        };
        self.file.replace(SESSIONS, &names(&gone), Some((&hex::encode(token.hash()), &row)))?;
        let mut sessions = write(&self.sessions);
        sessions.retain(|hash, _| !gone.contains(hash));
        sessions.insert(token.hash(), row);
        Ok(token)
    }

    /// Returns the user of a session, by its token.
    pub fn session(&self, token: &str) -> Option<LoggedIn> {
        let hash = hash_secret(token);
        let user = read(&self.sessions).get(&hash).filter(|row| row.ends_at_us > self.now_us())?.user.clone();
        let users = read(&self.users);
        let UserRow { name, role, .. } = users.get(&user.key())?;
        Some(LoggedIn { name: name.clone(), role: *role, form_token: form_token(token) })
    }

    /// Ends a session. It is rejected from now on; an error means that a restart would accept it again. Syncs the disk.
    pub fn log_out(&self, token: &str) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let hash = hash_secret(token);
        Ok(self.end_sessions_by(|of, _| *of == hash)?)
    }

    /// Ends all sessions of a user, as [`log_out`](Self::log_out) does one.
    pub fn log_out_everywhere(&self, user: &UserName) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        Ok(self.end_sessions(|row| row.user == *user)?)
    }

    fn end_sessions(&self, is_over: impl Fn(&SessionRow) -> bool) -> Result<(), LocalError> {
        self.end_sessions_by(|_, row| is_over(row))
    }

    fn end_sessions_by(&self, is_over: impl Fn(&[u8; 32], &SessionRow) -> bool) -> Result<(), LocalError> {
        let gone: Vec<_> = {
            let mut sessions = write(&self.sessions);
            let gone =
                sessions.iter().filter(|(hash, row)| is_over(hash, row)).map(|(hash, _)| *hash).collect::<Vec<_>>();
            sessions.retain(|hash, _| !gone.contains(hash));
            gone
        };
        if gone.is_empty() { Ok(()) } else { self.file.replace::<SessionRow>(SESSIONS, &names(&gone), None) }
    }

    fn is_logged_in_at(&self, user: &UserName, peer: IpAddr) -> bool {
        let (peer, now_us) = (peer_of(peer), self.now_us());
        read(&self.sessions).values().any(|row| row.user == *user && row.peer == peer && row.ends_at_us > now_us)
    }

    fn links_of(&self, name: &UserName) -> Vec<[u8; 32]> {
        read(&self.links).iter().filter(|(_, row)| row.user.as_ref() == Some(name)).map(|(hash, _)| *hash).collect()
    }

    fn now_us(&self) -> i64 {
        self.clock.read().received_at_us
    }

    fn lock_changes(&self) -> MutexGuard<'_, Box<dyn Randomness>> {
        self.randomness.lock().unwrap_or_else(PoisonError::into_inner)
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

fn names(hashes: &[[u8; 32]]) -> Vec<String> {
    hashes.iter().map(hex::encode).collect()
}

fn by_hash<T>(rows: Vec<(String, T)>) -> HashMap<[u8; 32], T> {
    let decoded = |(name, row): (String, T)| Some((hex::decode(name).ok()?.try_into().ok()?, row));
    rows.into_iter().filter_map(decoded).collect()
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
