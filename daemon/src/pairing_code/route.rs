//! `POST /api/pair`, and the end of the code when the key is used.

use super::code_pairing::{CodePairing, PairRefusal};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use herd::pairing::{EXCHANGE_VERSION, MAX_OFFICE_NAME_CHARS, MAX_REQUEST_BYTES, PairRequest};
use service::door::auth::Caller;
use service::door::keys::is_valid_name;
use service::door::reply::{ApiError, NoQuery, StrictJson};
use std::net::SocketAddr;
use std::sync::Arc;

/// Path of the route.
pub const PAIR_PATH: &str = "/api/pair";
/// `Retry-After` of a proof above the rate.
const RATE_RETRY_S: u32 = 1;
/// `Retry-After` after a failure of this machine.
const FAILURE_RETRY_S: u32 = 30;

/// Creates the route. It needs no key, and there is nothing behind it unless a code can be proved.
pub fn router(pairing: Arc<CodePairing>) -> Router {
    Router::new().route(PAIR_PATH, post(pair)).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(pairing)
}

async fn pair(State(pairing): State<Arc<CodePairing>>, _: NoQuery, request: Request) -> Result<Response, ApiError> {
    // Before the body is read: without a code, this path is none.
    if !pairing.is_live() {
        return Err(PairRefusal::NoLiveCode.into());
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let StrictJson(request) = StrictJson::<PairRequest>::from_request(request, &()).await?;
    if request.version != EXCHANGE_VERSION {
        let message = format!("this barn knows version {EXCHANGE_VERSION} of the exchange: upgrade the older program");
        return Err(ApiError::bad_request(message));
    }
    // A key gets this name, with a number behind it if another one has it.
    if !is_valid_name(&request.office_name, MAX_OFFICE_NAME_CHARS) {
        let message = format!("`office_name` needs 1 to {MAX_OFFICE_NAME_CHARS} letters, digits, `.`, `_` or `-`");
        return Err(ApiError::bad_request(message));
    }
    let answer = pairing.pair(request, peer).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

impl From<PairRefusal> for ApiError {
    fn from(refusal: PairRefusal) -> Self {
        match refusal {
            PairRefusal::NoLiveCode => Self::not_found("no pairing code waits for an office here"),
            PairRefusal::WrongProof => Self::new(
                StatusCode::FORBIDDEN,
                "wrong_proof",
                "this is not the pairing code of this barn, or somebody between office and barn answers in its place",
            ),
            PairRefusal::OtherOffice => {
                Self::new(StatusCode::CONFLICT, "other_office", "another office has paired by this code")
            }
            PairRefusal::Limited => Self {
                retry_after_s: Some(RATE_RETRY_S),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_proofs", "too many wrong proofs; try again")
            },
            PairRefusal::Failed => {
                Self::unavailable("not_paired", "the barn cannot pair at the moment; its log says why", FAILURE_RETRY_S)
            }
        }
    }
}

/// Middleware for routes of the sync interface, behind their guard: ends the code when its key is used.
///
/// The code ends before the request is answered, so that no crash leaves a code whose key is in use.
pub async fn end_code_on_sync(State(pairing): State<Arc<CodePairing>>, request: Request, next: Next) -> Response {
    if let Some(caller) = request.extensions().get::<Caller>() {
        pairing.note_sync(caller.name()).await;
    }
    next.run(request).await
}
