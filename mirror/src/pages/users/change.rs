//! A change of the users that an owner asks for.

use super::NOT_STORED;
use crate::pages::owners::RETRY_AFTER_S;
use crate::people::{People, PeopleError, Role, UserName};
use axum::http::StatusCode;
use service::door::reply::ApiError;
use service::door::secret::Secret;
use std::sync::Arc;

/// A change that an owner asks for.
pub(super) struct UserChange {
    pub(super) by: UserName,
    pub(super) action: UserAction,
    pub(super) name: UserName,
    pub(super) role: Role,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserAction {
    Add,
    Link,
    ChangeRole,
    LogOut,
    Remove,
}

impl UserChange {
    /// Returns the change in words, for the log.
    fn what(&self) -> String {
        match self.action {
            UserAction::Add => format!("add as {}", self.role),
            UserAction::Link => "link for a password".to_owned(),
            UserAction::ChangeRole => format!("make {}", self.role),
            UserAction::LogOut => "log out everywhere".to_owned(),
            UserAction::Remove => "remove".to_owned(),
        }
    }

    /// Makes the change, and returns the code of a link if it made one.
    pub(super) async fn make(&self, people: Arc<People>) -> Result<Option<Secret>, ApiError> {
        let (action, name, role) = (self.action, self.name.clone(), self.role);
        let changing = tokio::task::spawn_blocking(move || match action {
            UserAction::Add => people.add(&name, role).map(Some),
            UserAction::Link => people.renew(&name).map(Some),
            UserAction::ChangeRole => people.change_role(&name, role).map(|()| None),
            UserAction::LogOut if !people.has(&name) => Err(PeopleError::Unknown(name)),
            UserAction::LogOut => people.log_out_everywhere(&name).map(|()| None),
            UserAction::Remove => people.remove(&name).map(|()| None),
        });
        let failed = |why: String, message: String| {
            tracing::error!(by = %self.by, user = %self.name, what = self.what(), why, "user not changed on disk");
            ApiError::unavailable("storage_failed", message, RETRY_AFTER_S)
        };
        let changed = changing.await.map_err(|error| failed(error.to_string(), NOT_STORED.to_owned()))?;
        match &changed {
            Ok(_) => tracing::info!(by = %self.by, user = %self.name, what = self.what(), "user changed"),
            Err(error) => {
                tracing::warn!(by = %self.by, user = %self.name, what = self.what(), %error, "user not changed");
            }
        }
        changed.map_err(|error| refusal(&error).unwrap_or_else(|| failed(error.to_string(), self.half_made())))
    }

    /// Returns what holds if the disk has failed. Whoever was to be out is out in memory.
    fn half_made(&self) -> String {
        let name = &self.name;
        match self.action {
            UserAction::Remove => format!(
                "{name} is out now, but a restart would undo it until the disk of this office can be written; the office \
                 tries again every few minutes"
            ),
            UserAction::LogOut => format!(
                "{name} is logged out everywhere now, but a restart would undo it until the disk of this office can be \
                 written; the office tries again every few minutes"
            ),
            _ => NOT_STORED.to_owned(),
        }
    }
}

/// Returns the answer to a change that is not possible; `None` if the office itself has failed.
fn refusal(error: &PeopleError) -> Option<ApiError> {
    let (status, code, message) = match error {
        PeopleError::Exists(name) => (StatusCode::CONFLICT, "user_exists", format!("there is a user {name} already")),
        PeopleError::Unknown(name) => {
            (StatusCode::NOT_FOUND, "unknown_user", format!("there is no user {name} any more"))
        }
        PeopleError::Invited(name) => {
            let message = format!(
                "{name} has a link already, and it still works. \"New link for a password\" makes another one instead"
            );
            (StatusCode::CONFLICT, "user_invited", message)
        }
        PeopleError::LastOwner(name) => {
            let message = format!("{name} is the last owner; make somebody else an owner first");
            (StatusCode::CONFLICT, "last_owner", message)
        }
        PeopleError::TooMany => (StatusCode::CONFLICT, "too_many_users", error.to_string()),
        PeopleError::Local(_) | PeopleError::Randomness(_) | PeopleError::Hash(_) => return None,
    };
    Some(ApiError::new(status, code, message))
}
