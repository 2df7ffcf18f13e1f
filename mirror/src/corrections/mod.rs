//! Corrections at the office: an order is validated here, forwarded to the barn, and answered with the barn's response. So is the
//! request to reprocess what the barn rejected, of a page or a program.
//!
//! - The order is forwarded byte for byte, and is neither stored nor retried here. A queue at the office would be a
//!   second source of truth beside the barn's log, and an order carried out a day later is one that nobody means any
//!   more. The sender can safely retry, because the idempotency key makes the barn apply the order once. Pages show a
//!   correction once it arrives in the log.
//! - Each order has a connection of its own, so that the office knows whether anything was sent: a failure before that
//!   is a 503, and only one after it a 504. On a pooled connection that the barn is closing, nobody would know.
//! - No order is forwarded from a copy that is not followed, or that the barn has refused. Its numbers may belong to another
//!   history, and so to other animals at the barn. A refusal holds until the barn agrees with the copy again, or another
//!   one is shown. That the site goes on, with a new copy or after a command, says nothing about the one that is shown.
//!
//! | outcome | response |
//! |---|---|
//! | the barn responded | its status and body, byte for byte |
//! | invalid request | 400 `bad_request`, 408, 413 or 415; the barn is not asked |
//! | unknown site | 404 `not_found` |
//! | the site is not followed, or the barn has refused the shown copy | 409 `not_followed`; the barn is not asked |
//! | more than [`MAX_CONCURRENT_ORDERS`] at a time | 503 `busy` with `Retry-After` |
//! | no connection to the barn | 503 `barn_away` with `Retry-After`; nothing was sent |
//! | another peer at the barn's address | 502 `not_the_barn`; nothing was sent |
//! | sent, but without a complete response | 504 `no_answer`; it is unknown whether the barn applied the order |
//! | the response is not one to an order | 502 `bad_answer`; it is unknown whether the barn applied the order |
//! | the barn rejects the office's key | 502 `barn_refused` |
//! | the version of the barn, or of an office between, has no such call | 502 `barn_too_old` |

mod reprocess;
pub(crate) mod response;
#[cfg(test)]
mod tests;

pub(crate) use response::BarnResponse;

use crate::link::PostBounds;
use crate::people::UserName;
use crate::sites::{Office as _, Sites};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::post;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use herd::correction::{CorrectionOrder, MAX_ORDER_BYTES};
use herd::position::Sequence;
use reprocess::{REPROCESS_PATH, ReprocessQuery};
use service::door::auth::{Access, Authenticator, Caller, require};
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

/// The way of a correction from a form to a barn, as the pages know it.
pub(crate) trait Orders: Send + Sync {
    /// Forwards the order of a user to the barn of a site, and returns the barn's response.
    fn send<'a>(
        &'a self,
        site: &'a str,
        user: &'a UserName,
        order: &'a CorrectionOrder,
    ) -> BoxFuture<'a, Result<BarnResponse, ApiError>>;

    /// Has the barn of a site reprocess its rejected payloads after a sequence, and returns the barn's response. The barn
    /// limits the number of payloads. To send it twice does no harm.
    fn reprocess<'a>(
        &'a self,
        site: &'a str,
        user: &'a UserName,
        after: Sequence,
    ) -> BoxFuture<'a, Result<BarnResponse, ApiError>>;
}

/// Forwards orders to the barns.
#[derive(Clone)]
pub(crate) struct Forwarder {
    sites: Arc<Sites>,
    bounds: PostBounds,
    permits: Arc<Semaphore>,
}

/// Returns the routes of all sites, for keys with scope correct or admin: below `/sites/{site}`, and without that prefix
/// while there is only one site.
pub(crate) fn router(forwarder: Forwarder, keys: Arc<dyn Authenticator>) -> Router {
    let routes = Router::new()
        .route(CORRECTIONS_PATH, post(to_only_site))
        .route("/sites/{site}/api/corrections", post(to_named_site))
        .route(REPROCESS_PATH, post(reprocess::at_only_site))
        .route("/sites/{site}/api/lora/process", post(reprocess::at_named_site))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_ORDER_BYTES))
        .with_state(forwarder);
    require(keys, Scope::Correct).or(Scope::Admin).protect(routes)
}

async fn to_only_site(
    State(forwarder): State<Forwarder>,
    caller: Caller,
    access: Access,
    _: NoQuery,
    order: RawJson<CorrectionOrder>,
) -> Result<BarnResponse, ApiError> {
    let site = forwarder.sites.only_name()?;
    access.begin_write()?;
    forwarder.answer(&site, &caller, order).await
}

async fn to_named_site(
    State(forwarder): State<Forwarder>,
    caller: Caller,
    access: Access,
    site: Result<Path<String>, PathRejection>,
    _: NoQuery,
    order: RawJson<CorrectionOrder>,
) -> Result<BarnResponse, ApiError> {
    let Path(site) = site.map_err(|_| ApiError::bad_request("the path is not UTF-8 once it is percent-decoded"))?;
    access.begin_write()?;
    forwarder.answer(&site, &caller, order).await
}

impl Orders for Forwarder {
    fn send<'a>(
        &'a self,
        site: &'a str,
        user: &'a UserName,
        order: &'a CorrectionOrder,
    ) -> BoxFuture<'a, Result<BarnResponse, ApiError>> {
        let forwarding = async move {
            let bytes = serde_json::to_vec(order).map_err(|error| ApiError::bad_request(error.to_string()))?;
            self.forward(site, &format!("user {user}"), order.clone(), bytes.into()).await
        };
        forwarding.boxed()
    }

    fn reprocess<'a>(
        &'a self,
        site: &'a str,
        user: &'a UserName,
        after: Sequence,
    ) -> BoxFuture<'a, Result<BarnResponse, ApiError>> {
        let query = ReprocessQuery { after: after.0, limit: None };
        async move { self.send_reprocess(site, &format!("user {user}"), query).await }.boxed()
    }
}

impl Forwarder {
    pub(crate) fn new(sites: Arc<Sites>) -> Self {
        Self::with_bounds(sites, BOUNDS)
    }

    fn with_bounds(sites: Arc<Sites>, bounds: PostBounds) -> Self {
        Self { sites, bounds, permits: Arc::new(Semaphore::new(MAX_CONCURRENT_ORDERS)) }
    }

    async fn answer(
        &self,
        site: &str,
        caller: &Caller,
        order: RawJson<CorrectionOrder>,
    ) -> Result<BarnResponse, ApiError> {
        self.forward(site, caller.name(), order.value, order.bytes).await
    }

    /// Validates an order and sends its bytes to the barn. `caller` names the key or user.
    async fn forward(
        &self,
        site: &str,
        caller: &str,
        order: CorrectionOrder,
        bytes: Bytes,
    ) -> Result<BarnResponse, ApiError> {
        order.checked(caller).map_err(|error| ApiError::bad_request(error.to_string()))?;
        self.post(site, caller, CORRECTIONS_PATH, bytes).await
    }

    /// Has the barn of a site reprocess rejected payloads. `caller` names the key or user.
    async fn send_reprocess(&self, site: &str, caller: &str, query: ReprocessQuery) -> Result<BarnResponse, ApiError> {
        self.post(site, caller, &query.path(), Bytes::new()).await
    }

    /// Sends a body to the barn of a site, if the copy that is shown is followed.
    async fn post(&self, site: &str, caller: &str, path: &str, body: Bytes) -> Result<BarnResponse, ApiError> {
        let status = self.sites.status(site).ok_or_else(|| response::unknown_site(site))?;
        if status.stopped_because.is_some() || status.is_refused {
            return Err(response::not_followed());
        }
        let _permit = self.permits.try_acquire().map_err(|_| response::busy())?;
        let link = self.sites.link(site).await.map_err(|error| response::no_link(site, &error))?;
        let outcome = link.post(path, body, self.bounds).await;
        match &outcome {
            Ok(response) => {
                tracing::info!(site, caller, path, status = response.status, "order forwarded");
            }
            Err(error) => tracing::warn!(site, caller, path, %error, "order not answered by the barn"),
        }
        response::from_outcome(outcome)
    }
}
