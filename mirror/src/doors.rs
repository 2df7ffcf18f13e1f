//! Who may see what over HTTPS: the pages, what programs are told (the read interface, events, metrics), and the sync
//! interface for mirrors behind this one.

use crate::sites::{OfficeMetrics, Sites};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use service::door::auth::{Authenticator, Guard, require};
use service::door::keys::Scope;
use service::door::reply::ApiError;
use service::door::token_route;
use service::door::tokens::TokenRing;
use service::events::EVENTS_PATH;
use service::metrics::{ProcessMetrics, RequestTimes};
use std::sync::Arc;
use tower::ServiceExt;

/// What stands before a site's own paths.
const SITE_PREFIX: &str = "/sites/";
/// What somebody elsewhere is told who comes without a key.
const NO_USERS_YET: &str = "pages are shown on this machine only until the office has users; programs send X-API-Key";

/// The pages behind a guard: on this machine without a key, from elsewhere with one of scope read.
pub(crate) fn guarded_pages(pages: Router, admits: Arc<dyn Authenticator>) -> Router {
    pages.layer(from_fn_with_state(require(admits, Scope::Read).or_loopback(), let_look))
}

async fn let_look(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.authorize(request.headers(), request.extensions()) {
        Ok(_) => next.run(request).await,
        Err(refused) if refused.status == StatusCode::UNAUTHORIZED && !shows_a_key(&request) => {
            ApiError::unauthorized(NO_USERS_YET).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

fn shows_a_key(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(service::door::auth::KEY_HEADER) || headers.contains_key(axum::http::header::AUTHORIZATION)
}

/// Where a key is exchanged for a token. Keys are the office's, so that behind a site's prefix it is the same place:
/// programs that were given a site's address as their base find it there.
pub(crate) fn tokens(tokens: Arc<TokenRing>) -> Router {
    token_route::router(tokens.clone()).nest("/sites/{site}", token_route::router(tokens))
}

/// What the process tells of itself: with a key of scope read, or from this machine. `times` are those of the whole
/// router.
pub(crate) fn metrics(office: OfficeMetrics, times: &RequestTimes, admits: Arc<dyn Authenticator>) -> Router {
    let process = ProcessMetrics::new("herdlinx-mirror", env!("CARGO_PKG_VERSION"));
    let routes = service::metrics::router(vec![Box::new(process), Box::new(office), Box::new(times.clone())]);
    require(admits, Scope::Read).or_loopback().protect(routes)
}

/// The sync interface of every site, with a key of scope sync.
pub(crate) fn sync(sites: Arc<Sites>, admits: Arc<dyn Authenticator>) -> Router {
    require(admits, Scope::Sync).protect(of_sites(sites, &["/api/sync/{*call}"], Sites::sync_router))
}

/// The read interface of every site and its events, with a key of scope read; whoever is on this machine needs one,
/// too: a page of any origin may open a WebSocket to the machine that it is looked at from, and read it.
pub(crate) fn remote(sites: Arc<Sites>, admits: Arc<dyn Authenticator>) -> Router {
    let paths = ["/api/remote/{*call}", "/api/lora/{*call}", EVENTS_PATH];
    require(admits, Scope::Read).protect(of_sites(sites, &paths, Sites::remote_router))
}

/// A site's own router; none for a site that is not paired.
type OfSite = fn(&Sites, &str) -> Option<Router>;

/// Paths of every site: under `/sites/{site}`, and without that while there is one site. Sites come and go, so the
/// site's own router is looked up with each request.
fn of_sites(sites: Arc<Sites>, paths: &[&str], of_site: OfSite) -> Router {
    let mut routes = Router::new();
    for path in paths {
        routes = routes.route(path, any(only_site)).route(&format!("/sites/{{site}}{path}"), any(named_site));
    }
    routes.with_state(Doors { sites, of_site })
}

#[derive(Clone)]
struct Doors {
    sites: Arc<Sites>,
    of_site: OfSite,
}

async fn only_site(State(doors): State<Doors>, request: Request) -> Response {
    match only_name(&doors.sites) {
        Ok(only) => doors.ask(&only, request).await,
        Err(refused) => refused.into_response(),
    }
}

/// The site that a path without a site's prefix means.
pub(crate) fn only_name(sites: &Sites) -> Result<String, ApiError> {
    match sites.names().as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(ApiError::not_found("no barn is paired with this office yet")),
        several => {
            let paths = several.iter().map(|name| format!("{SITE_PREFIX}{name}")).collect::<Vec<_>>().join(", ");
            Err(ApiError::not_found(format!("name the site, one of {paths}")))
        }
    }
}

#[derive(serde::Deserialize)]
struct NamedSite {
    site: String,
}

async fn named_site(
    State(doors): State<Doors>,
    named: Result<Path<NamedSite>, PathRejection>,
    mut request: Request,
) -> Response {
    let (Ok(Path(NamedSite { site })), Some(uri)) = (named, without_site(request.uri())) else {
        return ApiError::bad_request("the path is not UTF-8 once it is percent-decoded").into_response();
    };
    *request.uri_mut() = uri;
    doors.ask(&site, request).await
}

/// `/sites/NAME/rest?query` as `/rest?query`.
fn without_site(uri: &Uri) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    let rest = whole.strip_prefix(SITE_PREFIX)?;
    rest.get(rest.find('/')?..)?.parse().ok()
}

impl Doors {
    async fn ask(&self, site: &str, request: Request) -> Response {
        match (self.of_site)(&self.sites, site) {
            Some(router) => router.oneshot(request).await.into_response(),
            None => ApiError::not_found(format!("no site `{site}` is paired with this office")).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use herd::store::LocalFile;
    use service::door::keys::KeyRing;
    use std::net::SocketAddr;

    fn pages() -> (tempfile::TempDir, Router, String) {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = KeyRing::load(local, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap();
        let key = keys.add("program", [Scope::Read].into()).unwrap().reveal().to_owned();
        let pages = Router::new().route("/", get(async || "page")).fallback(async || "nothing here");
        (directory, guarded_pages(pages, Arc::new(keys)), key)
    }

    async fn ask(pages: &Router, peer: &str, path: &str, key: Option<&str>) -> (u16, String) {
        let mut request = Request::get(path).extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        if let Some(key) = key {
            request = request.header("X-API-Key", key);
        }
        let answer = pages.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn pages_are_for_this_machine_and_for_programs_with_a_key() {
        let (_directory, pages, key) = pages();
        assert_eq!(ask(&pages, "127.0.0.1:9", "/", None).await, (200, "page".to_owned()));
        assert_eq!(ask(&pages, "192.168.1.5:9", "/", Some(&key)).await, (200, "page".to_owned()));
        let (status, body) = ask(&pages, "192.168.1.5:9", "/", None).await;
        assert!(status == 401 && body.contains(NO_USERS_YET), "{body}");
        let (status, body) = ask(&pages, "192.168.1.5:9", "/", Some("hxb_wrong")).await;
        assert!(status == 401 && body.contains("not known"), "{body}");
    }

    #[tokio::test]
    async fn from_elsewhere_not_even_the_absence_of_a_page_can_be_seen() {
        let (_directory, pages, _) = pages();
        assert_eq!(ask(&pages, "192.168.1.5:9", "/nowhere", None).await.0, 401);
    }

    #[test]
    fn the_name_of_the_site_is_taken_off_the_path_and_the_query_stays() {
        let uri: Uri = "/sites/north%2Dbarn/api/sync/changes?after=1".parse().unwrap();
        assert_eq!(without_site(&uri).unwrap().to_string(), "/api/sync/changes?after=1");
    }
}
