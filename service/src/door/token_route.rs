//! `POST /api/remote/auth/token`: a key, or a token that is still good, for a fresh token.

use super::auth::{Caller, require_any};
use super::reply::{ApiError, NoQuery, StrictJson};
use super::tokens::{TOKEN_LIFE, TokenError, TokenRing};
use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Where tokens are made.
pub const TOKEN_PATH: &str = "/api/remote/auth/token";
/// A body is a number at most.
pub const MAX_TOKEN_BODY_BYTES: usize = 4 * 1024;
/// Whoever could not be served comes again after so many seconds.
const RETRY_AFTER_S: u32 = 5;

/// What the route shares.
#[derive(Clone)]
struct Mint {
    tokens: Arc<TokenRing>,
    /// One token at a time goes to the disk; the others wait here and hold no thread.
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

/// The body that programs of the original send. A token is its key's, so the number says nothing; it is read all the
/// same, because a body that is not understood must not be passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default, rename = "user_id")]
    _user_id: Option<u64>,
}

/// The route, behind any key or token.
pub fn router(tokens: Arc<TokenRing>) -> Router {
    let mint = Mint { tokens: tokens.clone(), one_at_a_time: Arc::default() };
    let routes =
        Router::new().route(TOKEN_PATH, post(make)).layer(DefaultBodyLimit::max(MAX_TOKEN_BODY_BYTES)).with_state(mint);
    require_any(tokens).protect(routes)
}

async fn make(State(mint): State<Mint>, caller: Caller, _: NoQuery, request: Request) -> Result<Response, ApiError> {
    if request.body().size_hint().exact() != Some(0) {
        StrictJson::<Asked>::from_request(request, &()).await?;
    }
    let Caller::Key(key) = caller else { return Err(ApiError::unauthorized("a token stands for a key: send one")) };
    let _one_at_a_time = mint.one_at_a_time.lock().await;
    let (tokens, scopes) = (mint.tokens.clone(), key.scopes.clone());
    let made = tokio::task::spawn_blocking(move || tokens.make(&key)).await;
    let token = made.map_err(|error| not_made(&error))??;
    let body = json!({
        "success": true,
        "token": token.reveal(),
        "expires_in": TOKEN_LIFE.as_secs(),
        "token_type": "Bearer",
        "scopes": scopes,
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeyGone => Self::unauthorized("this key was revoked"),
            TokenError::Local(_) | TokenError::Randomness(_) => not_made(&error),
        }
    }
}

fn not_made(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "a token could not be made");
    ApiError::unavailable(
        "token_not_made",
        "no token can be made at the moment; the key itself is as good",
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

    async fn ask(yard: &Yard, secret: &str, body: Option<&str>) -> (u16, Value) {
        let request = Request::post(TOKEN_PATH).header("Authorization", format!("Bearer {secret}"));
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(Body::from(body.to_owned())),
            None => request.body(Body::empty()),
        };
        let answer = router(yard.tokens.clone()).oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.headers().get(header::CACHE_CONTROL).is_some(), answer.status() == 200);
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_key_of_any_scope_is_exchanged_for_a_token_and_a_token_for_the_next() {
        let yard = yard();
        let (status, first) = ask(&yard, &yard.ingest, None).await;
        assert_eq!((status, &first["success"], &first["expires_in"]), (200, &json!(true), &json!(86_400)));
        assert_eq!((&first["token_type"], &first["scopes"]), (&json!("Bearer"), &json!(["ingest"])));
        let (status, next) = ask(&yard, first["token"].as_str().unwrap(), Some(r#"{"user_id":1}"#)).await;
        assert_eq!((status, &next["scopes"]), (200, &json!(["ingest"])));
        assert_ne!(first["token"], next["token"]);
    }

    #[tokio::test]
    async fn without_a_good_key_or_token_no_token_is_made() {
        let yard = yard();
        let token = ask(&yard, &yard.read, None).await.1["token"].as_str().unwrap().to_owned();
        yard.tokens.keys().revoke("screen").unwrap();
        for secret in ["", "hxb_no", "hxt_no", &token, &yard.read] {
            assert_eq!(ask(&yard, secret, None).await.0, 401, "{secret}");
        }
        for body in ["{", "[]", r#"{"user_id":"me"}"#, r#"{"scopes":["admin"]}"#] {
            assert_eq!(ask(&yard, &yard.ingest, Some(body)).await.0, 400, "{body}");
        }
    }
}
