//! Corrections at the office: an order is validated here, forwarded to the barn, and answered with the barn's response.
//!
//! - The order is forwarded byte for byte, and is neither stored nor retried here. A queue at the office would be a
//!   second source of truth beside the barn's log, and an order carried out a day later is one that nobody means any
//!   more. The sender can safely retry, because the idempotency key makes the barn apply the order once. Pages show a
//!   correction once it arrives in the log.
//! - Each order has a connection of its own, so that the office knows whether anything was sent: a failure before that
//!   is a 503, and only one after it a 504. On a pooled connection that the barn is closing, nobody would know.
//! - No order is forwarded from a copy that is not followed. Its numbers may belong to another history, and so to other
//!   animals at the barn.
//!
//! | outcome | response |
//! |---|---|
//! | the barn responded | its status and body, byte for byte |
//! | invalid request | 400 `bad_request`, 408, 413 or 415; the barn is not asked |
//! | unknown site | 404 `not_found` |
//! | the site is not followed | 409 `not_followed`; the barn is not asked |
//! | more than [`MAX_CONCURRENT_ORDERS`] at a time | 503 `busy` with `Retry-After` |
//! | no connection to the barn | 503 `barn_away` with `Retry-After`; nothing was sent |
//! | another peer at the barn's address | 502 `not_the_barn`; nothing was sent |
//! | sent, but without a complete response | 504 `no_answer`; it is unknown whether the barn applied the order |
//! | the response is not one to an order | 502 `bad_answer`; it is unknown whether the barn applied the order |
//! | the barn rejects the office's key | 502 `barn_refused` |
//! | the barn's version has no corrections | 502 `barn_too_old` |

mod response;
#[cfg(test)]
mod tests;

use crate::doors::only_name;
use crate::link::PostBounds;
use crate::sites::{Office as _, Sites};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use herd::correction::{CorrectionOrder, MAX_ORDER_BYTES};
use service::door::auth::{Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery, RawJson, method_not_allowed};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Path of corrections, at the barn and at the office.
const CORRECTIONS_PATH: &str = "/api/corrections";
/// Maximum number of orders at a time. An office has few operators.
const MAX_CONCURRENT_ORDERS: usize = 16;
/// Limits of a forwarded order. Its response is a short text.
const BOUNDS: PostBounds = PostBounds { connect_ms: 5_000, response_ms: 10_000, response_bytes: 64 * 1024 };

/// Forwards orders to the barns.
#[derive(Clone)]
struct Forwarder {
    sites: Arc<Sites>,
    bounds: PostBounds,
    permits: Arc<Semaphore>,
}

/// Returns the route of all sites, for keys with scope correct or admin: below `/sites/{site}`, and without that prefix
/// while there is only one site.
pub(crate) fn router(sites: Arc<Sites>, keys: Arc<dyn Authenticator>) -> Router {
    router_with(sites, keys, BOUNDS)
}

fn router_with(sites: Arc<Sites>, keys: Arc<dyn Authenticator>, bounds: PostBounds) -> Router {
    let routes = Router::new()
        .route(CORRECTIONS_PATH, post(to_only_site))
        .route("/sites/{site}/api/corrections", post(to_named_site))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_ORDER_BYTES))
        .with_state(Forwarder { sites, bounds, permits: Arc::new(Semaphore::new(MAX_CONCURRENT_ORDERS)) });
    require(keys, Scope::Correct).or(Scope::Admin).protect(routes)
}

async fn to_only_site(
    State(forwarder): State<Forwarder>,
    caller: Caller,
    _: NoQuery,
    order: RawJson<CorrectionOrder>,
) -> Result<Response, ApiError> {
    let site = only_name(&forwarder.sites)?;
    forwarder.forward(&site, &caller, order).await
}

async fn to_named_site(
    State(forwarder): State<Forwarder>,
    caller: Caller,
    site: Result<Path<String>, PathRejection>,
    _: NoQuery,
    order: RawJson<CorrectionOrder>,
) -> Result<Response, ApiError> {
    let Path(site) = site.map_err(|_| ApiError::bad_request("the path is not UTF-8 once it is percent-decoded"))?;
    forwarder.forward(&site, &caller, order).await
}

impl Forwarder {
    async fn forward(
        &self,
        site: &str,
        caller: &Caller,
        order: RawJson<CorrectionOrder>,
    ) -> Result<Response, ApiError> {
        order.value.checked(caller.name()).map_err(|error| ApiError::bad_request(error.to_string()))?;
        let status = self.sites.status(site).ok_or_else(|| response::unknown_site(site))?;
        if status.stopped_because.is_some() {
            return Err(response::not_followed());
        }
        let _permit = self.permits.try_acquire().map_err(|_| response::busy())?;
        self.send(site, caller, order.bytes).await
    }

    async fn send(&self, site: &str, caller: &Caller, order: Bytes) -> Result<Response, ApiError> {
        let link = self.sites.link(site).await.map_err(|error| response::no_link(site, &error))?;
        let outcome = link.post(CORRECTIONS_PATH, order, self.bounds).await;
        match &outcome {
            Ok(response) => {
                tracing::info!(site, caller = caller.name(), status = response.status, "correction forwarded");
            }
            Err(error) => tracing::warn!(site, caller = caller.name(), %error, "correction not answered by the barn"),
        }
        response::from_outcome(outcome)
    }
}
