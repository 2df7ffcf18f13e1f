//! Sessions: who is logged in, by a token that only the browser has.

use super::user::UserName;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Prefix of a session's token.
pub(super) const SESSION_PREFIX: &str = "hxs_";
/// Time after which a session ends, however much it is used.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// Number of sessions of one user. A further one ends the oldest.
pub const MAX_SESSIONS_OF_USER: usize = 16;

/// A session as stored, under the hash of its token. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionRow {
    pub(super) user: UserName,
    /// Address from which the user logged in.
    pub(super) peer: IpAddr,
    /// Beginning and end by the office's clock, in microseconds since the Unix epoch.
    pub(super) began_at_us: i64,
    pub(super) ends_at_us: i64,
}

/// The sessions in memory, by the hashes of their tokens.
pub(super) type Sessions = HashMap<[u8; 32], SessionRow>;

/// Returns the sessions that have ended, and as many of the user's oldest ones as make room for another one.
pub(super) fn to_end(sessions: &Sessions, user: &UserName, now_us: i64) -> Vec<[u8; 32]> {
    let has_ended = |row: &SessionRow| row.ends_at_us <= now_us;
    let mut own: Vec<_> = sessions.iter().filter(|(_, row)| row.user == *user && !has_ended(row)).collect();
    own.sort_by_key(|(_, row)| row.began_at_us);
    let surplus = (own.len() + 1).saturating_sub(MAX_SESSIONS_OF_USER);
    let oldest = own.into_iter().take(surplus).map(|(hash, _)| *hash);
    sessions.iter().filter(|(_, row)| has_ended(row)).map(|(hash, _)| *hash).chain(oldest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_session_ends_the_oldest_of_its_user_and_all_that_are_over() {
        let row = |user: &str, began_at_us, ends_at_us| SessionRow {
            user: user.parse().unwrap(),
            peer: [127, 0, 0, 1].into(),
            began_at_us,
            ends_at_us,
        };
        let count = u8::try_from(MAX_SESSIONS_OF_USER).unwrap();
        let mut sessions: Sessions = (0..count).map(|n| ([n; 32], row("ana", i64::from(n), 100))).collect();
        sessions.insert([100; 32], row("ben", 0, 100));
        sessions.insert([101; 32], row("ben", 0, 50));
        let mut ended = to_end(&sessions, &"Ana".parse().unwrap(), 50);
        ended.sort_unstable();
        assert_eq!(ended, [[0; 32], [101; 32]]);
    }
}
