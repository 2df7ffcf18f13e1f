//! Corrections at the office: an order is checked here, sent on to the barn as it came, and what the barn says of it is
//! given back.
//!
//! Only the barn's log says what was corrected. So nothing of an order is kept here and nothing is tried twice: whoever
//! sent it sends it again, and its idempotency key sees to it that it is made once. Pages show a correction when it
//! comes back in the log.
//!
//! | what came of it | answer |
//! |---|---|
//! | the barn answered | its status and its body, byte for byte |
//! | a form that nobody can mean | 400 `bad_request`, 408, 413, 415; the barn is not asked |
//! | no such site | 404 `not_found` |
//! | the site is not followed | 409 `not_followed`: numbers in this copy may be others at the barn, which is not asked |
//! | more than [`MAX_UNDER_WAY`] at one time | 503 `busy` with `Retry-After` |
//! | no connection with the barn | 503 `barn_away` with `Retry-After`; nothing was sent |
//! | somebody else at its address | 502 `not_the_barn`; nothing was sent |
//! | sent, and no whole answer | 504 `no_answer`: whether the barn made it is not known |
//! | an answer that is none | 502 `bad_answer`: whether the barn made it is not known |
//! | the barn does not take this office's key | 502 `barn_refused` |
//! | a barn whose program knows no such call | 502 `barn_too_old` |

mod answer;
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
use herd::correction::CorrectionOrder;
use service::door::auth::{Authenticator, Caller, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, NoQuery, RawJson, method_not_allowed};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Where the barn takes corrections, and the office too.
const CORRECTIONS_PATH: &str = "/api/corrections";
/// The largest order: the longest texts fit, every character of them escaped.
const MAX_ORDER_BYTES: usize = 16 * 1024;
/// Orders at one time; operators are few.
const MAX_UNDER_WAY: usize = 16;
/// A connection must stand by then, an answer be there by then, and it is a short text.
const BOUNDS: PostBounds = PostBounds { connect_ms: 5_000, answer_ms: 10_000, answer_bytes: 64 * 1024 };

/// What forwarding needs.
#[derive(Clone)]
struct Forwarding {
    sites: Arc<Sites>,
    bounds: PostBounds,
    under_way: Arc<Semaphore>,
}

/// The call for every site, behind keys of scope correct or admin: under `/sites/{site}`, and without that while there
/// is one site.
pub(crate) fn router(sites: Arc<Sites>, admits: Arc<dyn Authenticator>) -> Router {
    bounded(sites, admits, BOUNDS)
}

fn bounded(sites: Arc<Sites>, admits: Arc<dyn Authenticator>, bounds: PostBounds) -> Router {
    let routes = Router::new()
        .route(CORRECTIONS_PATH, post(to_only_site))
        .route("/sites/{site}/api/corrections", post(to_named_site))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_ORDER_BYTES))
        .with_state(Forwarding { sites, bounds, under_way: Arc::new(Semaphore::new(MAX_UNDER_WAY)) });
    require(admits, Scope::Correct).or(Scope::Admin).protect(routes)
}

async fn to_only_site(
    State(forwarding): State<Forwarding>,
    caller: Caller,
    _: NoQuery,
    order: RawJson<CorrectionOrder>,
) -> Result<Response, ApiError> {
    let site = only_name(&forwarding.sites)?;
    forwarding.forward(&site, &caller, order).await
}

async fn to_named_site(
    State(forwarding): State<Forwarding>,
    caller: Caller,
    site: Result<Path<String>, PathRejection>,
    _: NoQuery,
    order: RawJson<CorrectionOrder>,
) -> Result<Response, ApiError> {
    let Path(site) = site.map_err(|_| ApiError::bad_request("the path is not UTF-8 once it is percent-decoded"))?;
    forwarding.forward(&site, &caller, order).await
}

impl Forwarding {
    async fn forward(
        &self,
        site: &str,
        caller: &Caller,
        order: RawJson<CorrectionOrder>,
    ) -> Result<Response, ApiError> {
        order.value.checked(caller.name()).map_err(|error| ApiError::bad_request(error.to_string()))?;
        let status = self.sites.status(site).ok_or_else(|| answer::unknown(site))?;
        if status.stopped_because.is_some() {
            return Err(answer::not_followed());
        }
        let _place = self.under_way.try_acquire().map_err(|_| answer::busy())?;
        self.send(site, caller, order.bytes).await
    }

    async fn send(&self, site: &str, caller: &Caller, order: Bytes) -> Result<Response, ApiError> {
        let link = self.sites.link(site).await.map_err(|error| answer::no_link(site, &error))?;
        let outcome = link.post(CORRECTIONS_PATH, order, self.bounds).await;
        match &outcome {
            Ok(said) => tracing::info!(site, caller = caller.name(), status = said.status, "an order was sent on"),
            Err(error) => tracing::warn!(site, caller = caller.name(), %error, "an order was not answered"),
        }
        answer::told(outcome)
    }
}
