//! Who may see what over HTTPS: the pages, and the sync interface for mirrors behind this one.

use crate::sites::Sites;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use herd::door::auth::{Guard, require};
use herd::door::keys::{KeyRing, Scope};
use herd::door::reply::ApiError;
use std::sync::Arc;
use tower::ServiceExt;

/// What stands before a site's own paths.
const SITE_PREFIX: &str = "/sites/";
/// What somebody elsewhere is told who comes without a key.
const NO_USERS_YET: &str = "pages are shown on this machine only until the office has users; programs send X-API-Key";

/// The pages behind a guard: on this machine without a key, from elsewhere with one of scope read.
pub(crate) fn guarded_pages(pages: Router, keys: Arc<KeyRing>) -> Router {
    pages.layer(from_fn_with_state(require(keys, Scope::Read).or_loopback(), let_look))
}

async fn let_look(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.judge(request.headers(), request.extensions()) {
        Ok(_) => next.run(request).await,
        Err(refused) if refused.status == StatusCode::UNAUTHORIZED && !shows_a_key(&request) => {
            ApiError::unauthorized(NO_USERS_YET).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

fn shows_a_key(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(herd::door::auth::KEY_HEADER) || headers.contains_key(axum::http::header::AUTHORIZATION)
}

/// The sync interface of every site, with a key of scope sync: under `/sites/{site}`, and without that while there is
/// one site. Sites come and go, so the site's own router is looked up with each request.
pub(crate) fn sync(sites: Arc<Sites>, keys: Arc<KeyRing>) -> Router {
    let routes = Router::new()
        .route("/api/sync/{*call}", any(only_site))
        .route("/sites/{site}/api/sync/{*call}", any(named_site))
        .with_state(sites);
    require(keys, Scope::Sync).protect(routes)
}

async fn only_site(State(sites): State<Arc<Sites>>, request: Request) -> Response {
    match only_name(&sites) {
        Ok(only) => ask(&sites, &only, request).await,
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

async fn named_site(
    State(sites): State<Arc<Sites>>,
    Path((site, _)): Path<(String, String)>,
    mut request: Request,
) -> Response {
    match without_site(request.uri()) {
        Some(uri) => *request.uri_mut() = uri,
        None => return ApiError::not_found("there is nothing at this path").into_response(),
    }
    ask(&sites, &site, request).await
}

/// `/sites/NAME/rest?query` as `/rest?query`.
fn without_site(uri: &Uri) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    let rest = whole.strip_prefix(SITE_PREFIX)?;
    rest.get(rest.find('/')?..)?.parse().ok()
}

async fn ask(sites: &Sites, site: &str, request: Request) -> Response {
    match sites.sync_router(site) {
        Some(router) => router.oneshot(request).await.into_response(),
        None => ApiError::not_found(format!("no site `{site}` is paired with this office")).into_response(),
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
