//! `POST /api/remote/auth/token`: exchanges a key, or a token that is still valid, for a new token.

use super::auth::{Caller, require_any};
use super::reply::{ApiError, NoQuery, StrictJson};
use super::tokens::{TOKEN_LIFETIME, TokenError, TokenRing};
use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Path of the route.
pub const TOKEN_PATH: &str = "/api/remote/auth/token";
/// Maximum size of a body, which is one number at most.
pub const MAX_TOKEN_BODY_BYTES: usize = 4 * 1024;
/// `Retry-After` of a request that could not get a token.
const RETRY_AFTER_S: u32 = 5;

/// State of the route.
#[derive(Clone)]
struct TokenIssuer {
    tokens: Arc<TokenRing>,
    /// Locked while a token is written. Further requests wait here, where they occupy no thread.
    write_lock: Arc<tokio::sync::Mutex<()>>,
}

/// The body that programs of the original send.
///
/// A token belongs to its key, so the number has no meaning. It is parsed nevertheless, because an invalid body must
/// not be ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    #[serde(default, rename = "user_id")]
    _user_id: Option<u64>,
}

/// Creates the route, which accepts any key or token.
pub fn router(tokens: Arc<TokenRing>) -> Router {
    let issuer = TokenIssuer { tokens: tokens.clone(), write_lock: Arc::default() };
    let routes = Router::new()
        .route(TOKEN_PATH, post(issue))
        .layer(DefaultBodyLimit::max(MAX_TOKEN_BODY_BYTES))
        .with_state(issuer);
    require_any(tokens).protect(routes)
}

async fn issue(
    State(issuer): State<TokenIssuer>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, ApiError> {
    if request.body().size_hint().exact() != Some(0) {
        StrictJson::<TokenRequest>::from_request(request, &()).await?;
    }
    let Caller(key) = caller;
    let _one_at_a_time = issuer.write_lock.lock().await;
    let (tokens, scopes) = (issuer.tokens.clone(), key.scopes.clone());
    let result = tokio::task::spawn_blocking(move || tokens.issue(&key)).await;
    let token = result.map_err(|error| not_issued(&error))??;
    let body = json!({
        "success": true,
        "token": token.reveal(),
        "expires_in": TOKEN_LIFETIME.as_secs(),
        "token_type": "Bearer",
        "scopes": scopes,
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeyRevoked => Self::unauthorized("this key was revoked"),
            TokenError::Local(_) | TokenError::Randomness(_) => not_issued(&error),
        }
    }
}

/// Logs a failure of this machine, and returns a reply that does not reveal it.
fn not_issued(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "failed to issue a token");
    ApiError::unavailable(
        "token_not_made",
        "tokens cannot be issued at the moment; use the key itself instead",
        RETRY_AFTER_S,
    )
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tests::{Yard, yard};
    use super::*;
    use axum::body::Body;
    use serde_json::Value;
    use tower::ServiceExt as _;

    async fn request_token(yard: &Yard, secret: &str, body: Option<&str>) -> (u16, Value) {
        let request = Request::post(TOKEN_PATH).header("Authorization", format!("Bearer {secret}"));
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(Body::from(body.to_owned())),
            None => request.body(Body::empty()),
        };
        let reply = router(yard.tokens.clone()).oneshot(request.unwrap()).await.unwrap();
        assert_eq!(reply.headers().get(header::CACHE_CONTROL).is_some(), reply.status() == 200);
        let status = reply.status().as_u16();
        let bytes = axum::body::to_bytes(reply.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    /// Catches a route that demands a certain scope, or that does not renew a token.
    #[tokio::test]
    async fn a_key_of_any_scope_gets_a_token_and_a_token_gets_the_next_one() {
        let yard = yard();
        let (status, first) = request_token(&yard, &yard.ingest, None).await;
        assert_eq!((status, &first["success"], &first["expires_in"]), (200, &json!(true), &json!(86_400)));
        assert_eq!((&first["token_type"], &first["scopes"]), (&json!("Bearer"), &json!(["ingest"])));
        let (status, next) = request_token(&yard, first["token"].as_str().unwrap(), Some(r#"{"user_id":1}"#)).await;
        assert_eq!((status, &next["scopes"]), (200, &json!(["ingest"])));
        assert_ne!(first["token"], next["token"]);
    }

    /// Catches tokens for revoked keys, and bodies that are ignored instead of parsed.
    #[tokio::test]
    async fn invalid_keys_tokens_and_bodies_get_no_token() {
        let yard = yard();
        let token = request_token(&yard, &yard.read, None).await.1["token"].as_str().unwrap().to_owned();
        yard.tokens.keys().revoke("screen").unwrap();
        for secret in ["", "hxb_no", "hxt_no", &token, &yard.read] {
            assert_eq!(request_token(&yard, secret, None).await.0, 401, "{secret}");
        }
        for body in ["{", "[]", r#"{"user_id":"me"}"#, r#"{"scopes":["admin"]}"#] {
            assert_eq!(request_token(&yard, &yard.ingest, Some(body)).await.0, 400, "{body}");
        }
        for (bytes, status) in [(4_096, 200), (4_097, 413)] {
            assert_eq!(
                request_token(&yard, &yard.ingest, Some(&format!("{:bytes$}", "{}"))).await.0,
                status,
                "{bytes}"
            );
        }
    }
}
