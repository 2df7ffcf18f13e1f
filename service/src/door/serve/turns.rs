//! The turns of calls that read the store on threads of their own.
//!
//! Each thread that reads keeps memory of its own: its stack, and the arena of the allocator. So few read at a time, and
//! the others wait. A peer has half of the turns and a few places to wait, so that another peer waits only for calls that
//! have begun.

use super::connection::Connection;
use crate::door::reply::ApiError;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};

/// `Retry-After` for a call that found no place to wait.
const RETRY_AFTER_S: u32 = 5;

/// Lets the calls of `router` wait for their turns.
///
/// Put it behind the guard, so that only callers with access wait. Without a server, as in tests, there are no turns.
pub fn in_turns(router: Router) -> Router {
    router.layer(from_fn(wait_for_turn))
}

async fn wait_for_turn(request: Request, next: Next) -> Response {
    let Some(connection) = request.extensions().get::<Connection>().cloned() else { return next.run(request).await };
    let Some(_held_until_the_answer) = connection.read_turn().await else {
        let message = "too many calls wait to read; wait for answers before you ask more";
        return ApiError::unavailable("busy", message, RETRY_AFTER_S).into_response();
    };
    next.run(request).await
}
