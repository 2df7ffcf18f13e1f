//! Access to the office over HTTPS: the routers of the pages, the programs' interfaces, metrics and the sync interface,
//! each behind the key scope that it needs.

use crate::pages::{Browsers, StillAllowed, ask_to_log_in, is_live_path, is_of_own_page};
use crate::sites::{LinkState, Office as _, OfficeMetrics, Sites};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::json;
use service::door::auth::{Authenticator, Guard, has_key, require};
use service::door::keys::{KeyRing, Scope};
use service::door::reply::{ApiError, NoQuery};
use service::door::serve::connection::{Connection, Permission};
use service::door::serve::connections::Connections;
use service::door::serve::turns::in_turns;
use service::door::token_route;
use service::door::tokens::TokenRing;
use service::events::EVENTS_PATH;
use service::metrics::{ProcessMetrics, RequestTimes};
use std::sync::Arc;
use tower::ServiceExt;

/// Path of the health.
const HEALTH_PATH: &str = "/api/remote/health";
/// Prefix of the paths of a named site.
const SITE_PREFIX: &str = "/sites/";

/// Lets people and programs in.
#[derive(Clone)]
struct ReadersGuard {
    keys: Guard,
    browsers: Browsers,
}

/// Puts the pages behind a guard: it lets in a user who is logged in, and a program with a key of scope read.
pub(crate) fn guarded_pages(pages: Router, keys: Arc<dyn Authenticator>, browsers: Browsers) -> Router {
    let guard = ReadersGuard { keys: require(keys, Scope::Read), browsers };
    in_turns(pages).layer(from_fn_with_state(guard, authorize_page))
}

impl ReadersGuard {
    /// Returns a check that a request with these headers would still be let in.
    fn still_allows(self, headers: HeaderMap) -> StillAllowed {
        StillAllowed::new(move || {
            if has_key(&headers) {
                self.keys.authorize(&headers, &Extensions::new()).is_ok()
            } else {
                self.browsers.user(&headers).is_some()
            }
        })
    }
}

/// Lets a request for a page in, and has the answer end with the key or session that it is given to.
///
/// The answer about a write is told to the end, and a stream ends itself, with an event that says why.
async fn authorize_page(State(guard): State<ReadersGuard>, mut request: Request, next: Next) -> Response {
    let is_stream = is_live_path(request.uri().path());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let allowed = guard.clone().still_allows(request.headers().clone());
    if is_stream {
        request.extensions_mut().insert(allowed.clone());
    }
    let ReadersGuard { keys, browsers } = guard;
    if has_key(request.headers()) {
        if let Err(refusal) = keys.authorize(request.headers(), request.extensions()) {
            return refusal.into_response();
        }
    } else if let Some(user) = browsers.user(request.headers()) {
        if let Some(connection) = request.extensions().get::<Connection>() {
            connection.authenticate();
        }
        request.extensions_mut().insert(user);
    } else {
        return ask_to_log_in(&request);
    }
    let mut answer = next.run(request).await;
    if is_read && !is_stream {
        answer.extensions_mut().insert(Permission::new(move || allowed.holds()));
    }
    answer
}

/// Returns the route that exchanges a key for a token.
///
/// Keys belong to the office, not to a site. The route exists below each site's prefix as well, for programs whose base
/// address is that of a site.
pub(crate) fn tokens(tokens: Arc<TokenRing>) -> Router {
    token_route::router(tokens.clone()).nest("/sites/{site}", token_route::router(tokens))
}

/// Returns the health, which needs no key. So it names no site.
pub(crate) fn health(sites: Arc<Sites>, keys: Arc<KeyRing>) -> Router {
    Router::new().route(HEALTH_PATH, get(respond_health)).with_state((sites, keys))
}

/// Answers like a barn. A barn that cannot be reached is no fault of the office; an office that has stopped to follow is.
async fn respond_health(State((sites, keys)): State<(Arc<Sites>, Arc<KeyRing>)>, _: NoQuery) -> Response {
    let mut failing = Vec::new();
    let has_stopped = |name: &String| sites.status(name).is_some_and(|status| status.link == LinkState::Stopped);
    if sites.names().iter().any(has_stopped) {
        failing.push("replication");
    }
    if keys.failure().is_some() {
        failing.push("keys");
    }
    if failing.is_empty() {
        return Json(json!({"success": true, "status": "healthy"})).into_response();
    }
    let message = format!("failing: {}", failing.join(", "));
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", message)
        .with("status", "unhealthy")
        .with("failing", failing)
        .into_response()
}

/// Returns the metrics, for keys with scope read. `times` are the request times of the whole router.
pub(crate) fn metrics(
    office: OfficeMetrics,
    times: &RequestTimes,
    connections: &Connections,
    keys: Arc<dyn Authenticator>,
) -> Router {
    let process = ProcessMetrics::new("herdlinx-mirror", env!("CARGO_PKG_VERSION"));
    let routes = service::metrics::router(vec![
        Box::new(process),
        Box::new(office),
        Box::new(times.clone()),
        Box::new(connections.clone()),
    ]);
    require(keys, Scope::Read).protect(routes)
}

/// Returns the sync interface of all sites, for keys with scope sync.
pub(crate) fn sync(sites: Arc<Sites>, keys: Arc<dyn Authenticator>) -> Router {
    require(keys, Scope::Sync).protect(site_routes(sites, &["/api/sync/{*call}"], Sites::sync_router))
}

/// Returns the read interface of all sites, for keys with scope read.
pub(crate) fn remote(sites: Arc<Sites>, keys: Arc<dyn Authenticator>) -> Router {
    let paths = ["/api/remote/{*call}", "/api/lora/{*call}"];
    require(keys, Scope::Read).protect(site_routes(sites, &paths, Sites::remote_router))
}

/// Returns the events of all sites, for keys with scope read and for users who have a page of this office open.
///
/// A browser sends the session's cookie for pages of any origin on this site, and hands them what a WebSocket receives; only
/// the response to a plain request does it keep from them. So a session counts for requests of our own pages alone.
pub(crate) fn events(sites: Arc<Sites>, keys: Arc<dyn Authenticator>, browsers: Browsers) -> Router {
    let guard = ReadersGuard { keys: require(keys, Scope::Read), browsers };
    let routes = site_routes(sites, &[EVENTS_PATH], Sites::remote_router);
    routes.route_layer(from_fn_with_state(guard, authorize_events))
}

/// Returns whether a request was sent by a page of this office that a user has open.
pub(crate) fn is_of_users_page(request: &Request, browsers: &Browsers) -> bool {
    !has_key(request.headers()) && is_of_own_page(request) && browsers.user(request.headers()).is_some()
}

/// Lets a request for events in, and has the WebSocket end with the key or session that it is opened with.
async fn authorize_events(State(guard): State<ReadersGuard>, mut request: Request, next: Next) -> Response {
    if !is_of_users_page(&request, &guard.browsers) {
        return guard.keys.let_in(request, next).await.into_response();
    }
    if let Some(connection) = request.extensions().get::<Connection>() {
        connection.authenticate();
    }
    let allowed = guard.still_allows(request.headers().clone());
    request.extensions_mut().insert(Permission::new(move || allowed.holds()));
    next.run(request).await
}

/// Function that returns the router of a site, or `None` if no such site is paired.
type FindRouter = fn(&Sites, &str) -> Option<Router>;

/// Returns the routes of all sites: below `/sites/{site}`, and without that prefix while there is only one site.
///
/// Sites are added and removed while the process runs, so each request looks the site's router up.
fn site_routes(sites: Arc<Sites>, paths: &[&str], find_router: FindRouter) -> Router {
    let mut routes = Router::new();
    for path in paths {
        routes = routes.route(path, any(only_site)).route(&format!("/sites/{{site}}{path}"), any(named_site));
    }
    routes.with_state(SiteRoutes { sites, find_router })
}

#[derive(Clone)]
struct SiteRoutes {
    sites: Arc<Sites>,
    find_router: FindRouter,
}

async fn only_site(State(routes): State<SiteRoutes>, request: Request) -> Response {
    match routes.sites.only_name() {
        Ok(only) => routes.forward(&only, request).await,
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(serde::Deserialize)]
struct NamedSite {
    site: String,
}

async fn named_site(
    State(routes): State<SiteRoutes>,
    named: Result<Path<NamedSite>, PathRejection>,
    mut request: Request,
) -> Response {
    let (Ok(Path(NamedSite { site })), Some(uri)) = (named, without_site(request.uri())) else {
        return ApiError::bad_request("the path is not UTF-8 once it is percent-decoded").into_response();
    };
    *request.uri_mut() = uri;
    routes.forward(&site, request).await
}

/// Turns `/sites/NAME/rest?query` into `/rest?query`.
fn without_site(uri: &Uri) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    let rest = whole.strip_prefix(SITE_PREFIX)?;
    rest.get(rest.find('/')?..)?.parse().ok()
}

impl SiteRoutes {
    async fn forward(&self, site: &str, request: Request) -> Response {
        match (self.find_router)(&self.sites, site) {
            Some(router) => router.oneshot(request).await.into_response(),
            None => ApiError::not_found(format!("no site `{site}` is paired with this office")).into_response(),
        }
    }
}

#[cfg(test)]
mod tests;
