//! The roll: users, sessions and links in memory, and which of them are valid.
//!
//! Sessions and links name the password that their user has ([`PasswordMark`]). With another password, or without the user,
//! they are void, whatever else is still on disk: an old password, a used link or the session of a removed user comes back
//! neither by a race nor by a cut between two commits.

use super::password::PasswordMark;
use super::user::{Role, UserName, UserRow};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// Number of sessions of one user. A further one ends the oldest.
pub const MAX_SESSIONS_OF_USER: usize = 16;

/// Hash of a token or code.
pub(super) type Hash = [u8; 32];

/// A session as stored, under the hash of its token. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SessionRow {
    pub(super) user: UserName,
    /// The password with which the user logged in.
    pub(super) password: PasswordMark,
    /// Address from which the user logged in.
    pub(super) peer: IpAddr,
    /// Beginning and end by the office's clock, in microseconds since the Unix epoch.
    pub(super) began_at_us: i64,
    pub(super) ends_at_us: i64,
}

/// A link as stored, under the hash of its code. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LinkRow {
    /// The user; `None` for the first owner, who chooses a name.
    pub(super) user: Option<UserName>,
    pub(super) role: Role,
    /// The password that the link replaces; `None` for a new user.
    pub(super) password: Option<PasswordMark>,
    pub(super) ends_at_us: i64,
}

/// Users by their keys, sessions and links by the hashes of their secrets.
#[derive(Debug, Default)]
pub(super) struct Roll {
    pub(super) users: HashMap<String, UserRow>,
    pub(super) sessions: HashMap<Hash, SessionRow>,
    pub(super) links: HashMap<Hash, LinkRow>,
}

impl Roll {
    pub(super) fn user(&self, name: &UserName) -> Option<&UserRow> {
        self.users.get(&name.key())
    }

    /// Returns the user of a valid session.
    pub(super) fn user_of(&self, session: &Hash, now_us: i64) -> Option<&UserRow> {
        self.valid_user(self.sessions.get(session)?, now_us)
    }

    fn valid_user(&self, session: &SessionRow, now_us: i64) -> Option<&UserRow> {
        let user = self.user(&session.user)?;
        (session.ends_at_us > now_us && user.password.mark() == session.password).then_some(user)
    }

    /// Returns a valid link.
    pub(super) fn link(&self, code: &Hash, now_us: i64) -> Option<&LinkRow> {
        self.links.get(code).filter(|row| self.is_valid(row, now_us))
    }

    fn is_valid(&self, link: &LinkRow, now_us: i64) -> bool {
        let is_current = match &link.user {
            None => self.users.is_empty(),
            Some(name) => self.user(name).map(|user| user.password.mark()) == link.password,
        };
        is_current && link.ends_at_us > now_us
    }

    /// Yields those who are invited and have not chosen a password yet.
    pub(super) fn invited(&self, now_us: i64) -> impl Iterator<Item = (&UserName, Role)> {
        let links = self.links.values().filter(move |row| row.password.is_none() && self.is_valid(row, now_us));
        links.filter_map(|row| Some((row.user.as_ref()?, row.role)))
    }

    /// Returns whether a user is logged in at this address.
    pub(super) fn is_logged_in_at(&self, user: &UserName, peer: IpAddr, now_us: i64) -> bool {
        let mut at = self.sessions.values().filter(|row| row.user == *user && row.peer == peer);
        at.any(|row| self.valid_user(row, now_us).is_some())
    }

    /// Removes the void sessions, and the oldest ones of a user, so that the user may have another one. Returns their hashes.
    pub(super) fn make_room_for_session(&mut self, user: &UserName, now_us: i64) -> Vec<Hash> {
        let is_void = |row: &SessionRow| self.valid_user(row, now_us).is_none();
        let mut gone: Vec<_> = self.sessions.iter().filter(|(_, row)| is_void(row)).map(|(hash, _)| *hash).collect();
        let mut own: Vec<_> = self.sessions.iter().filter(|(_, row)| row.user == *user && !is_void(row)).collect();
        own.sort_by_key(|(_, row)| row.began_at_us);
        let surplus = (own.len() + 1).saturating_sub(MAX_SESSIONS_OF_USER);
        gone.extend(own.into_iter().take(surplus).map(|(hash, _)| *hash));
        self.sessions.retain(|hash, _| !gone.contains(hash));
        gone
    }

    /// Removes the sessions of a user, and returns their hashes.
    pub(super) fn remove_sessions(&mut self, user: &UserName) -> Vec<Hash> {
        self.sessions.extract_if(|_, row| row.user == *user).map(|(hash, _)| hash).collect()
    }

    /// Removes the void sessions and links, and returns their hashes.
    pub(super) fn remove_void(&mut self, now_us: i64) -> (Vec<Hash>, Vec<Hash>) {
        let void = self.sessions.iter().filter(|(_, row)| self.valid_user(row, now_us).is_none());
        let sessions: Vec<_> = void.map(|(hash, _)| *hash).collect();
        let void = self.links.iter().filter(|(_, row)| !self.is_valid(row, now_us));
        let links: Vec<_> = void.map(|(hash, _)| *hash).collect();
        self.sessions.retain(|hash, _| !sessions.contains(hash));
        self.links.retain(|hash, _| !links.contains(hash));
        (sessions, links)
    }

    /// Removes the void links and those of a user, and returns their hashes.
    pub(super) fn remove_links(&mut self, user: &UserName, now_us: i64) -> Vec<Hash> {
        let is_over = |row: &LinkRow| row.user.as_ref() == Some(user) || !self.is_valid(row, now_us);
        let gone: Vec<_> = self.links.iter().filter(|(_, row)| is_over(row)).map(|(hash, _)| *hash).collect();
        self.links.retain(|hash, _| !gone.contains(hash));
        gone
    }
}
