//! Errors of the users and their sessions.

use super::password::{HashError, PasswordError};
use super::user::{UserName, UserNameError};
use herd::randomness::RandomnessError;
use herd::store::LocalError;
use service::lifecycle::Exit;
use std::time::Duration;

/// Maximum number of users, with those who are invited.
pub const MAX_USERS: usize = 500;

/// Failure to read or change the users.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Another user has this name.
    #[error("there is a user `{0}` already; `user passwd` gives them a new password, `user remove` removes them")]
    Exists(UserName),
    /// This person is invited by a link that still works.
    #[error(
        "`{0}` has a link already, and it still works; `user passwd` makes another one instead, `user remove` takes it back"
    )]
    Invited(UserName),
    /// There is no such user.
    #[error("there is no user `{0}`; `user list` prints the users")]
    Unknown(UserName),
    /// Without this user, no owner would be left.
    #[error("`{0}` is the last owner; make somebody else an owner first")]
    LastOwner(UserName),
    /// There are [`MAX_USERS`] users, with those who are invited.
    #[error("there are {MAX_USERS} users already, with those who are invited; remove some first")]
    TooMany,
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No secret could be generated.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

impl From<&PeopleError> for Exit {
    fn from(error: &PeopleError) -> Self {
        match error {
            PeopleError::Local(error) => Self::from(error),
            _ => Self::Failure,
        }
    }
}

/// Reason why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No user has this name and password. It does not say which of the two is wrong.
    #[error("no user has this name and password")]
    Wrong,
    /// The password is right, but this user has begun too many sessions.
    #[error("too many log-ins with this name; try again in {} s", wait.as_secs() + 1)]
    TooManySessions {
        /// Time after which the user may begin another one.
        wait: Duration,
    },
    /// Too many wrong tries.
    #[error("too many tries; try again in {} s", wait.as_secs() + 1)]
    TooManyTries {
        /// Time after which there is a try again.
        wait: Duration,
    },
    /// The link is not known here, was used, or is too old.
    #[error("this link was used already, or is too old; ask for a new one (`herdlinx-mirror user passwd NAME`)")]
    Link,
    /// The name cannot be that of a user.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// The password is not good enough.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Users cannot be read or changed.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl From<HashError> for LoginError {
    fn from(error: HashError) -> Self {
        Self::People(error.into())
    }
}
