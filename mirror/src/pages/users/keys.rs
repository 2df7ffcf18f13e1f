//! Keys of programs, made and revoked on the page as the command `key` does it.

use super::NewSecret;
use crate::pages::owners::RETRY_AFTER_S;
use crate::people::LoggedIn;
use axum::http::StatusCode;
use service::control::ControlError;
use service::door::key_command::{KeyRequest, KeyResponse, respond};
use service::door::keys::{KeyRing, Scope};
use service::door::reply::ApiError;
use std::sync::Arc;

/// Makes a key that reads.
pub(super) async fn add(keys: &Arc<KeyRing>, owner: &LoggedIn, name: &str) -> Result<NewSecret, ApiError> {
    let name = name.trim().to_owned();
    let request = KeyRequest::Add { name: name.clone(), scopes: [Scope::Read].into() };
    match ask(keys, owner, &name, request).await? {
        KeyResponse::Added { secret } => Ok(NewSecret::Key { name, secret }),
        _ => Err(refusal(ControlError::failed("the key was answered with something else"))),
    }
}

/// Revokes a key at once.
pub(super) async fn revoke(keys: &Arc<KeyRing>, owner: &LoggedIn, name: &str) -> Result<(), ApiError> {
    ask(keys, owner, name, KeyRequest::Revoke { name: name.to_owned() }).await.map(|_| ())
}

async fn ask(keys: &Arc<KeyRing>, owner: &LoggedIn, name: &str, request: KeyRequest) -> Result<KeyResponse, ApiError> {
    let what = if matches!(request, KeyRequest::Add { .. }) { "add to read" } else { "revoke" };
    let (keys, by) = (keys.clone(), &owner.name);
    let answer = tokio::task::spawn_blocking(move || respond(&keys, &request)).await;
    match answer.unwrap_or_else(|error| Err(ControlError::failed(error))) {
        Ok(response) => {
            tracing::info!(%by, key = name, what, "key changed on a page");
            Ok(response)
        }
        Err(error) => {
            tracing::warn!(%by, key = name, what, %error, "key not changed");
            Err(refusal(error))
        }
    }
}

/// Converts the refusal of the command.
fn refusal(error: ControlError) -> ApiError {
    let (status, code) = match error.code.as_str() {
        "failed" => return ApiError::unavailable("storage_failed", error.message, RETRY_AFTER_S),
        "key_exists" => (StatusCode::CONFLICT, "key_exists"),
        "key_unknown" => (StatusCode::NOT_FOUND, "unknown_key"),
        "too_many_keys" => (StatusCode::CONFLICT, "too_many_keys"),
        _ => (StatusCode::BAD_REQUEST, "bad_request"),
    };
    ApiError::new(status, code, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a refusal that a program reads as another one.
    #[test]
    fn each_refusal_of_the_command_has_its_status_and_its_code() {
        for (code, status, expected) in [
            ("failed", StatusCode::SERVICE_UNAVAILABLE, "storage_failed"),
            ("key_exists", StatusCode::CONFLICT, "key_exists"),
            ("key_unknown", StatusCode::NOT_FOUND, "unknown_key"),
            ("too_many_keys", StatusCode::CONFLICT, "too_many_keys"),
            ("bad_name", StatusCode::BAD_REQUEST, "bad_request"),
        ] {
            let refused = refusal(ControlError::new(code, "why"));
            assert_eq!((refused.status, refused.code), (status, expected));
        }
    }
}
