//! Coming in: by a link and the choice of a password, or by name and password.

use super::error::{LoginError, PeopleError};
use super::password::{HashError, PasswordMark, check, draw_salt};
use super::roll::{Hash, SessionRow};
use super::sign_ins::SignInWay;
use super::user::{UserName, UserRow};
use super::{Invited, LINKS, People, SESSIONS, USERS, later, names};
use service::door::secret::{Secret, hash_secret};
use service::door::serve::connections::peer_of;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Prefix of a session's token.
const SESSION_PREFIX: &str = "hxs_";
/// Time after which a session ends, however much it is used.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

impl People {
    /// Gives a user the password that they chose by a link, and logs them in. The link and all other sessions of the user are
    /// void from then on. `chosen` is the name of the first owner; other links have the name.
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
        let salt = draw_salt(self.randomness().as_mut()).map_err(PeopleError::from)?;
        let one_try = self.throttle.take_at(peer).map_err(|wait| LoginError::TooManyTries { wait })?;
        let hashed = self.hashing.hash(password, salt).await;
        let password = hashed.inspect_err(|_| self.throttle.give_back(&one_try))?;
        let (people, hash) = (self.clone(), hash_secret(code));
        let user = UserRow { name, role, password, made_at_us: self.now_us() };
        let token = on_disk(move || people.enroll(&hash, &user, peer)).await?;
        self.throttle.give_back(&one_try);
        Ok(token)
    }

    fn enroll(&self, link: &Hash, user: &UserRow, peer: IpAddr) -> Result<Secret, LoginError> {
        let _one_change_at_a_time = self.lock_changes();
        let now_us = self.now_us();
        // Only one of two who use the link at the same time finds it.
        if self.roll().link(link, now_us).is_none() {
            return Err(LoginError::Link);
        }
        // A link keeps the role of its day. A user who has got another one since keeps that.
        let known = self.roll().user(&user.name).map(|known| known.role);
        let user = &UserRow { role: known.unwrap_or(user.role), ..user.clone() };
        self.put(USERS, &user.name.key(), user).map_err(PeopleError::from)?;
        let gone = {
            let mut roll = self.roll_mut();
            roll.users.insert(user.name.key(), user.clone());
            roll.remove_links(&user.name, now_us)
        };
        // The session removes them from the disk. They are void by now, so it does not matter if they stay there for a while.
        self.removed().add(LINKS, names(&gone));
        let token = self.begin_session(&user.name, &user.password.mark(), peer)?;
        self.record_sign_in(&user.name, peer_of(peer), SignInWay::Link);
        Ok(token)
    }

    /// Logs a user in who has this name and password, and returns the token of the session.
    pub async fn log_in(self: Arc<Self>, name: &str, password: String, peer: IpAddr) -> Result<Secret, LoginError> {
        // A text that is no name is that of nobody. It is tried like any other, so that it takes as long.
        let name = name.parse::<UserName>().ok();
        let key = name.as_ref().map(UserName::key).unwrap_or_default();
        let (user, is_logged_in) = {
            let roll = self.roll();
            let at = |name: &UserName| roll.is_logged_in_at(name, peer_of(peer), self.now_us());
            (roll.users.get(&key).cloned(), name.as_ref().is_some_and(at))
        };
        let one_try = self.throttle.take(peer, &key, is_logged_in);
        let one_try = one_try.map_err(|wait| LoginError::TooManyTries { wait })?;
        let hash = user.as_ref().map(|user| user.password.clone());
        let is_right = self.hashing.verify(password, hash).await.inspect_err(|_| self.throttle.give_back(&one_try))?;
        let Some(user) = user.filter(|_| is_right) else { return Err(LoginError::Wrong) };
        self.throttle.give_back(&one_try);
        self.throttle.take_session(&key).map_err(|wait| LoginError::TooManySessions { wait })?;
        on_disk(move || {
            let _one_change_at_a_time = self.lock_changes();
            let token = self.begin_session(&user.name, &user.password.mark(), peer)?;
            self.record_sign_in(&user.name, peer_of(peer), SignInWay::Password);
            Ok(token)
        })
        .await
    }

    /// Begins the session of a user who has shown this password. Changes must be locked.
    pub(super) fn begin_session(
        &self,
        user: &UserName,
        password: &PasswordMark,
        peer: IpAddr,
    ) -> Result<Secret, LoginError> {
        // While the password was hashed, the user may have got another one, or been removed.
        if self.roll().user(user).is_none_or(|row| row.password.mark() != *password) {
            return Err(LoginError::Wrong);
        }
        let token = self.secret(SESSION_PREFIX).map_err(PeopleError::from)?;
        let now_us = self.now_us();
        let row = SessionRow {
            user: user.clone(),
            password: *password,
            peer: peer_of(peer),
            began_at_us: now_us,
            ends_at_us: later(now_us, SESSION_LIFETIME),
        };
        let gone = self.roll_mut().make_room_for_session(user, now_us);
        self.removed().add(SESSIONS, names(&gone));
        self.put(SESSIONS, &hex::encode(token.hash()), &row).map_err(PeopleError::from)?;
        self.roll_mut().sessions.insert(token.hash(), row);
        Ok(token)
    }
}

/// Runs a change, which syncs the disk, on a blocking thread.
async fn on_disk<T: Send + 'static>(
    change: impl FnOnce() -> Result<T, LoginError> + Send + 'static,
) -> Result<T, LoginError> {
    let done = tokio::task::spawn_blocking(change).await;
    done.unwrap_or_else(|error| Err(HashError::Failed(error.to_string()).into()))
}
