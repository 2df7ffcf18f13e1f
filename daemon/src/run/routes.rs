//! Everything that the barn serves, each part behind the keys that it asks for.

use crate::corrections::{self, Corrections};
use crate::health::{self, Health};
use crate::ingest::{self, Ingest};
use crate::metrics;
use crate::remote::OwnBarn;
use axum::Router;
use service::door::auth::{Authenticator, require};
use service::door::keys::Scope;
use service::door::reply::with_fallbacks;
use service::door::token_route;
use service::door::tokens::TokenRing;
use service::metrics::RequestTimes;
use service::sync::Served as _;
use std::sync::Arc;

/// What the routes are made of.
pub struct Routes {
    /// The barn's name.
    pub site: String,
    /// Where payloads go. Its clock, its reader and its stop are those of all routes.
    pub ingest: Ingest,
    /// How the parts of the process are.
    pub health: Health,
    /// Keys and tokens.
    pub tokens: Arc<TokenRing>,
}

impl Routes {
    /// The routes of all parts.
    pub fn router(self) -> Router {
        let Self { site, ingest, health, tokens } = self;
        let (clock, stopping) = (ingest.clock.clone(), ingest.shutdown.clone());
        let barn = Arc::new(OwnBarn::new(site, ingest.recorder.clone(), health.clone(), clock.clone()));
        let times = RequestTimes::default();
        let corrections = Corrections::beside(&ingest);
        let admits: Arc<dyn Authenticator> = tokens.clone();
        let guarded = |scope, routes| require(admits.clone(), scope).protect(routes);

        let metrics = metrics::router(&ingest, &health, barn.sync_stats(), &times, admits.clone());
        let routes = ingest::router(ingest, admits.clone())
            .merge(corrections::router(corrections, &admits))
            .merge(token_route::router(tokens))
            .merge(guarded(Scope::Sync, service::sync::serve::router(barn.clone(), stopping.clone())))
            .merge(guarded(Scope::Read, service::events::router(barn.clone(), stopping)))
            .merge(guarded(Scope::Read, service::remote::router(barn, clock)))
            .merge(metrics)
            .merge(health::router(health));
        times.measure(with_fallbacks(routes))
    }
}
