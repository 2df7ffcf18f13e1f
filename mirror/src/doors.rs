//! Access to the office over HTTPS: the routers of the pages, the programs' interfaces, metrics and the sync interface,
//! each behind the key scope that it needs.

use crate::pages::{Browsers, StillAllowed, ask_to_log_in, has_key, is_live_path};
use crate::sites::{LinkState, Office as _, OfficeMetrics, Sites};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::json;
use service::door::auth::{Authenticator, Guard, require};
use service::door::keys::{KeyRing, Scope};
use service::door::reply::{ApiError, NoQuery};
use service::door::serve::connection::Connection;
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

/// Lets people and programs open the pages.
#[derive(Clone)]
struct PagesGuard {
    keys: Guard,
    browsers: Browsers,
}

/// Puts the pages behind a guard: it lets in a user who is logged in, and a program with a key of scope read.
pub(crate) fn guarded_pages(pages: Router, keys: Arc<dyn Authenticator>, browsers: Browsers) -> Router {
    let guard = PagesGuard { keys: require(keys, Scope::Read), browsers };
    in_turns(pages).layer(from_fn_with_state(guard, authorize_page))
}

impl PagesGuard {
    /// Returns a check of whether a request with these headers would still be let in.
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

async fn authorize_page(State(guard): State<PagesGuard>, mut request: Request, next: Next) -> Response {
    if is_live_path(request.uri().path()) {
        let allowed = guard.clone().still_allows(request.headers().clone());
        request.extensions_mut().insert(allowed);
    }
    let PagesGuard { keys, browsers } = guard;
    if has_key(request.headers()) {
        return match keys.authorize(request.headers(), request.extensions()) {
            Ok(_) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        };
    }
    if let Some(user) = browsers.user(request.headers()) {
        if let Some(connection) = request.extensions().get::<Connection>() {
            connection.authenticate();
        }
        request.extensions_mut().insert(user);
        return next.run(request).await;
    }
    ask_to_log_in(&request)
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

/// Returns the read interface and the events of all sites, for keys with scope read.
///
/// Callers on this machine need a key too. A web page of any origin may open a WebSocket to the machine of its viewer
/// and read from it; only for plain requests does the browser keep the response from the page.
pub(crate) fn remote(sites: Arc<Sites>, keys: Arc<dyn Authenticator>) -> Router {
    let paths = ["/api/remote/{*call}", "/api/lora/{*call}", EVENTS_PATH];
    require(keys, Scope::Read).protect(site_routes(sites, &paths, Sites::remote_router))
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
mod tests {
    use super::*;
    use crate::follow::FollowSettings;
    use crate::people::{LoggedIn, People, Role};
    use crate::sites::{AddOptions, SiteFiles};
    use axum::Extension;
    use axum::body::Body;
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use herd::clock::SystemClock;
    use herd::pairing::Pairing;
    use herd::position::StoreId;
    use herd::randomness::SeededRandomness;
    use herd::store::LocalFile;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    /// Pages behind their guard, with a program's key and a user's session.
    struct Door {
        _directory: tempfile::TempDir,
        pages: Router,
        /// The checks that came with requests for a stream.
        streams: Arc<Mutex<Vec<StillAllowed>>>,
        people: Arc<People>,
        keys: Arc<KeyRing>,
        key: String,
        session: String,
    }

    /// Secret that is sent with a request for a page.
    #[derive(Clone, Copy)]
    enum With<'a> {
        Nothing,
        Key(&'a str),
        Session(&'a str),
    }

    async fn door() -> Door {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let clock = Arc::new(SystemClock::default());
        let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap());
        let key = keys.add("program", [Scope::Read].into()).unwrap().reveal().to_owned();
        let people = Arc::new(People::load(local, clock, SeededRandomness::new(2)).unwrap());
        let code = people.add(&"Ana".parse().unwrap(), Role::Viewer).unwrap();
        let peer = [192, 168, 1, 5].into();
        let session = people.clone().choose(code.reveal(), "", "the gate is green".to_owned(), peer).await.unwrap();
        let shown =
            async |user: Option<Extension<LoggedIn>>| user.map_or("page".to_owned(), |user| user.0.name.to_string());
        let streams = Arc::new(Mutex::new(Vec::new()));
        let opened = streams.clone();
        let stream = async move |allowed: Extension<StillAllowed>| opened.lock().unwrap().push(allowed.0);
        let pages = Router::new().route("/", get(shown)).route(STREAM, get(stream)).fallback(async || "nothing here");
        let pages = guarded_pages(pages, keys.clone(), Browsers::new(people.clone(), 5000));
        Door { _directory: directory, pages, streams, people, keys, key, session: session.reveal().to_owned() }
    }

    async fn get_page(pages: &Router, peer: &str, path: &str, with: With<'_>) -> (u16, String) {
        let request = Request::get(path).extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        let request = match with {
            With::Nothing => request,
            With::Key(key) => request.header("X-API-Key", key),
            With::Session(token) => {
                let others =
                    [b"a=\xff\xfe; ".as_slice(), format!("__Host-herdlinx-5000={token}; c=d").as_bytes()].concat();
                request.header("Cookie", others)
            }
        };
        let response = pages.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    const ELSEWHERE: &str = "192.168.1.5:9";
    /// Path of a stream.
    const STREAM: &str = "/sites/north/office/live";

    #[tokio::test]
    async fn pages_need_a_key_or_a_session_also_on_this_machine_and_without_users() {
        let Door { pages, people, key, session, .. } = &door().await;
        assert_eq!(get_page(pages, "127.0.0.1:9", "/", With::Nothing).await.0, 401);
        assert_eq!(get_page(pages, ELSEWHERE, "/", With::Key(key)).await, (200, "page".to_owned()));
        assert_eq!(get_page(pages, ELSEWHERE, "/", With::Session(session)).await, (200, "Ana".to_owned()));
        let (status, body) = get_page(pages, ELSEWHERE, "/", With::Nothing).await;
        assert!(status == 401 && body.contains("/login"), "{body}");
        let (status, body) = get_page(pages, ELSEWHERE, "/", With::Key("hxb_wrong")).await;
        assert!(status == 401 && body.contains("not known"), "{body}");
        people.remove(&"Ana".parse().unwrap()).unwrap();
        for peer in ["127.0.0.1:9", "[::1]:9", ELSEWHERE] {
            assert_eq!(get_page(pages, peer, "/", With::Nothing).await.0, 401, "{peer}, and no users");
        }
    }

    /// Catches a session that is let in after its end, or a token of another kind that is taken for one.
    #[tokio::test]
    async fn a_session_is_refused_once_it_has_ended() {
        let Door { pages, people, key, session, .. } = &door().await;
        people.log_out(session).unwrap();
        for token in [session.as_str(), key, "", "x"] {
            assert_eq!(get_page(pages, ELSEWHERE, "/", With::Session(token)).await.0, 401);
        }
    }

    /// Catches a page that goes on live for whoever was shut out, and one that ends for whoever was not.
    #[tokio::test]
    async fn a_stream_is_allowed_until_its_key_or_session_ends() {
        let Door { pages, streams, people, keys, key, session, .. } = &door().await;
        for with in [With::Key(key), With::Session(session)] {
            assert_eq!(get_page(pages, ELSEWHERE, STREAM, with).await.0, 200);
        }
        let allowed = || streams.lock().unwrap().iter().map(StillAllowed::holds).collect::<Vec<_>>();
        assert_eq!(allowed(), [true, true]);
        keys.revoke("program").unwrap();
        assert_eq!(allowed(), [false, true]);
        people.log_out(session).unwrap();
        assert_eq!(allowed(), [false, false]);
    }

    #[tokio::test]
    async fn a_browser_is_sent_to_the_log_in_page_and_back() {
        let Door { pages, .. } = &door().await;
        let request = Request::get("/batches?limit=5").header("Accept", "text/html").body(Body::empty()).unwrap();
        let response = pages.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()["location"], "/login?next=%2Fbatches%3Flimit%3D5");
        let request = Request::post("/batches").header("Accept", "text/html").body(Body::empty()).unwrap();
        assert_eq!(pages.clone().oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn callers_elsewhere_cannot_tell_which_pages_exist() {
        let Door { pages, .. } = &door().await;
        assert_eq!(get_page(pages, ELSEWHERE, "/nowhere", With::Nothing).await.0, 401);
    }

    #[test]
    fn the_site_prefix_is_stripped_and_the_query_is_kept() {
        let uri: Uri = "/sites/north%2Dbarn/api/sync/changes?after=1".parse().unwrap();
        assert_eq!(without_site(&uri).unwrap().to_string(), "/api/sync/changes?after=1");
        for other in ["/sites/north", "/api/sites/north/x", "*"] {
            assert_eq!(without_site(&other.parse().unwrap()), None, "{other}");
        }
    }

    /// Catches an office that is called healthy although it no longer follows a barn, or unhealthy because a barn is away.
    #[tokio::test]
    async fn an_office_is_unhealthy_once_it_has_stopped_following_a_barn() {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let clock = Arc::new(SystemClock::default());
        let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap());
        let files = SiteFiles::new(local, directory.path());
        for (site, store) in [("away", 1), ("misled", 2)] {
            let line = Pairing {
                site: site.to_owned(),
                addresses: vec!["127.0.0.1:9".to_owned()],
                spki_sha256: [1; 32],
                store: StoreId([store; 16]),
                key: "hxb_1".to_owned(),
            };
            files.add(&line, &AddOptions::default(), 9 - i64::from(store)).unwrap();
        }
        let settings = FollowSettings { sync_interval: std::time::Duration::from_secs(10), seed: 1 };
        let (sites, _failures) = Sites::start(files.clone(), settings, clock.clone()).await.unwrap();
        assert_eq!(sites.first_site().as_deref(), Some("misled"), "it was paired first");
        let router = health(sites, keys.clone());
        let (status, body) = get_page(&router, ELSEWHERE, HEALTH_PATH, With::Nothing).await;
        assert_eq!((status, body.as_str()), (200, r#"{"status":"healthy","success":true}"#));
        let (status, _) = get_page(&router, ELSEWHERE, "/api/remote/health?x=1", With::Nothing).await;
        assert_eq!(status, 400);

        let copy = files.begin_copy("misled").unwrap();
        let path = files.copies(&"misled".parse().unwrap()).unwrap().path(copy);
        std::os::unix::fs::symlink("nowhere", path.with_file_name("current")).unwrap();
        let (sites, _failures) = Sites::start(files, settings, clock).await.unwrap();
        let is_stopped = async || sites.status("misled").unwrap().stopped_because.map(|_| ());
        service::harness::wait_until("the office does not know which copy is the current one", is_stopped)
            .await
            .unwrap();
        let (status, body) = get_page(&health(sites, keys), ELSEWHERE, HEALTH_PATH, With::Nothing).await;
        assert!(status == 503 && body.contains(r#""failing":["replication"]"#), "{status} {body}");
        assert!(!body.contains("misled"), "it needs no key, so it names no site: {body}");
    }
}
