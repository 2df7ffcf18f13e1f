//! The routes of the barn, each behind the scope that it requires.

use crate::corrections::{self, Corrections};
use crate::give_back;
use crate::health::{self, Health};
use crate::ingest::{self, Ingest};
use crate::lost_end;
use crate::metrics;
use crate::pairing_code::{self, CodePairing, end_code_on_sync};
use crate::remote::BarnApi;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use service::door::auth::{Authenticator, KeylessGuard, require};
use service::door::keys::Scope;
use service::door::reply::{ApiError, with_fallbacks, with_method_fallback};
use service::door::serve::connections::Connections;
use service::door::token_route;
use service::door::tokens::TokenRing;
use service::metrics::RequestTimes;
use service::sync::Served as _;
use std::sync::Arc;

/// Message for callers on other machines while there is no key.
const NO_KEYS: &str = "this barn has no API key, so it tells nobody more than its health: at the barn, run \
    `sudo herdlinxd pair` for an office, or `sudo herdlinxd key add NAME --scope ingest` for a device";

/// Message for every caller while the keys cannot be read.
const KEYS_DAMAGED: &str = "local.redb, which has the keys of this barn, is damaged: nobody is let in until it is repaired. \
    What the radios hear is recorded; keep what you have and send it later";

/// The parts of the daemon that the routes serve.
pub struct Routes {
    /// Name of the barn.
    pub site: String,
    /// State of the route for payloads. All routes share its clock, reader and shutdown.
    pub ingest: Ingest,
    /// Health of the parts of the process.
    pub health: Health,
    /// Keys and tokens.
    pub tokens: Arc<TokenRing>,
    /// Open connections of the server, for the metrics.
    pub connections: Connections,
    /// The one-time pairing code.
    pub pairing: Arc<CodePairing>,
}

impl Routes {
    /// Returns the router of a barn whose keys cannot be read: it tells its health, and lets nobody in.
    pub fn closed(self) -> Router {
        let refuse = || async { ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "keys_damaged", KEYS_DAMAGED) };
        with_method_fallback(health::router(self.health)).fallback(refuse)
    }

    /// Returns the router of all parts.
    pub fn router(self) -> Router {
        let Self { site, ingest, health, tokens, connections, pairing } = self;
        let (clock, shutdown) = (ingest.clock.clone(), ingest.shutdown.clone());
        let barn = Arc::new(BarnApi::new(site, ingest.recorder.clone(), health.clone(), clock.clone()));
        let times = RequestTimes::default();
        let corrections = Corrections::from_ingest(&ingest);
        let authenticator: Arc<dyn Authenticator> = tokens.clone();
        let keyless = KeylessGuard::new(tokens.keys().clone(), NO_KEYS);
        let guarded = |scope, routes| require(authenticator.clone(), scope).protect(routes);

        let sync = service::sync::serve::router(barn.clone(), shutdown.clone())
            .merge(lost_end::router(&ingest))
            .route_layer(from_fn_with_state(pairing.clone(), end_code_on_sync));
        let metrics = metrics::router(&ingest, &health, barn.sync_stats(), &times, &connections, authenticator.clone());
        let give_back = give_back::router(&ingest, &authenticator);
        let routes = ingest::router(ingest, authenticator.clone())
            .merge(corrections::router(corrections, &authenticator))
            .merge(give_back)
            .merge(token_route::router(tokens))
            .merge(guarded(Scope::Sync, sync))
            .merge(guarded(Scope::Read, service::events::router(barn.clone(), shutdown)))
            .merge(guarded(Scope::Read, service::remote::router(barn, clock)))
            .merge(metrics);
        let pairing_route = with_method_fallback(pairing_code::router(pairing.clone()));
        let pairing_route = keyless.clone().unless(move |_| pairing.is_live()).protect(pairing_route);
        let health = with_method_fallback(health::router(health));
        times.measure(keyless.protect(with_fallbacks(routes)).merge(pairing_route).merge(health))
    }
}
