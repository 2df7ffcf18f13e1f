//! The pages on which people log in and out, as a browser uses them.

use crate::pages::{Browsers, login_routes};
use crate::people::{People, Role};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use herd::clock::SystemClock;
use herd::randomness::SeededRandomness;
use herd::store::{LocalFile, MemoryDisk};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;
use tower::ServiceExt as _;

const PASSWORD: &str = "the gate is green";
/// Header by which a browser names a form of our own page.
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

fn office() -> (Arc<People>, Router) {
    office_on(&MemoryDisk::default())
}

fn office_on(disk: &MemoryDisk) -> (Arc<People>, Router) {
    let local = LocalFile::open_in(disk).unwrap();
    let people = People::load(local, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap();
    let people = Arc::new(people);
    (people.clone(), login_routes(Browsers::new(people, 5000)))
}

/// An office with a user, who has a session.
async fn office_of_ana() -> (Arc<People>, Router, String) {
    office_of_ana_on(&MemoryDisk::default()).await
}

async fn office_of_ana_on(disk: &MemoryDisk) -> (Arc<People>, Router, String) {
    let (people, router) = office_on(disk);
    let code = people.add(&"Ana".parse().unwrap(), Role::Viewer).unwrap();
    let chosen = people.clone().choose(code.reveal(), "", PASSWORD.to_owned(), [127, 0, 0, 1].into()).await.unwrap();
    (people, router, chosen.reveal().to_owned())
}

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    (response.status(), body(response).await)
}

async fn body(response: Response<Body>) -> String {
    String::from_utf8(axum::body::to_bytes(response.into_body(), 100_000).await.unwrap().to_vec()).unwrap()
}

async fn post(router: &Router, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Response<Body> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let form: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let mut request =
        Request::post(path).header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::from(form.join("&"))).unwrap()).await.unwrap()
}

/// Catches a session that another origin, a script or plain HTTP could get, and a log-in that does not lead back.
#[tokio::test]
async fn a_log_in_sets_a_cookie_of_this_origin_alone_and_leads_back() {
    let (people, router, _) = office_of_ana().await;
    let fields = [("name", "ana"), ("password", PASSWORD), ("next", "/batches?limit=5")];
    let response = post(&router, "/login", &fields, &[OWN]).await;
    assert_eq!(
        (response.status(), &response.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/batches?limit=5".parse().unwrap())
    );
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1209600");
    let token = pair.strip_prefix("__Host-herdlinx-5000=").unwrap();
    assert_eq!(people.session(token).unwrap().name.as_str(), "Ana");
}

/// Catches a log-in at one of two offices on a host that ends the session at the other: browsers send cookies to all ports.
#[tokio::test]
async fn two_offices_on_one_host_have_cookies_of_different_names() {
    let (people, _, _) = office_of_ana().await;
    let mut names = Vec::new();
    for port in [5000, 5001] {
        let router = login_routes(Browsers::new(people.clone(), port));
        let response = post(&router, "/login", &[("name", "ana"), ("password", PASSWORD)], &[OWN]).await;
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split_once('=').unwrap().0.to_owned();
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        names.push(cookie);
    }
    assert_ne!(names[0], names[1]);
}

/// Catches a form of another web page that logs somebody in or out.
#[tokio::test]
async fn a_form_of_another_page_is_refused() {
    let (people, router, token) = office_of_ana().await;
    let cookie = format!("__Host-herdlinx-5000={token}");
    let form_token = people.session(&token).unwrap().form_token;
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example"), ("host", "office:5000")],
        &[("origin", "http://office:5000"), ("host", "office:5000")],
        &[("origin", "null"), ("host", "office:5000")],
    ] {
        let fields = [("name", "ana"), ("password", PASSWORD)];
        assert_eq!(post(&router, "/login", &fields, headers).await.status(), StatusCode::FORBIDDEN, "{headers:?}");
        let headers: Vec<_> = headers.iter().copied().chain([("cookie", cookie.as_str())]).collect();
        let response = post(&router, "/logout", &[("form_token", &form_token)], &headers).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    let response = post(&router, "/logout", &[("form_token", "0")], &[OWN, ("cookie", &cookie)]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    // Over HTTP/2, the host is in the URI.
    let fields = [("name", "ana"), ("password", PASSWORD)];
    for (origin, status) in [("https://office:5000", 303), ("https://evil.example", 403)] {
        let response = post(&router, "https://office:5000/login", &fields, &[("origin", origin)]).await;
        assert_eq!(response.status().as_u16(), status, "{origin}");
    }
    assert!(people.session(&token).is_some());
    let own = [("origin", "https://office:5000"), ("host", "office:5000"), ("cookie", cookie.as_str())];
    let response = post(&router, "/logout", &[("form_token", &form_token)], &own).await;
    assert_eq!(response.headers()["location"], "/login");
    assert!(response.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert!(people.session(&token).is_none());
}

/// Catches a log-in page that leads to another site, for somebody who wants to be taken for this office.
#[tokio::test]
async fn a_log_in_leads_to_pages_of_this_office_only() {
    let (_, router, _) = office_of_ana().await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb: c", ""]
    {
        let fields = [("name", "ana"), ("password", PASSWORD), ("next", next)];
        assert_eq!(post(&router, "/login", &fields, &[OWN]).await.headers()["location"], "/", "{next:?}");
    }
    let (_, page) = get(&router, "/login?next=//evil.example").await;
    assert!(page.contains("name=\"next\" value=\"/\""), "{page}");
}

#[tokio::test]
async fn a_wrong_log_in_says_neither_which_part_is_wrong_nor_what_was_typed_as_password() {
    let (_, router, _) = office_of_ana().await;
    let mut pages = Vec::new();
    for (name, password) in [("ana", "the gate is red!"), ("ben", PASSWORD)] {
        let response = post(&router, "/login", &[("name", name), ("password", password)], &[OWN]).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(!response.headers().contains_key("set-cookie"));
        let page = body(response).await;
        assert!(!page.contains(password), "{page}");
        pages.push(page.replace(name, ""));
    }
    assert_eq!(pages[0], pages[1]);
    let name = "<script>alert(1)</script>";
    let page = body(post(&router, "/login", &[("name", name), ("password", "p")], &[OWN]).await).await;
    assert!(!page.contains("<script>"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn too_many_tries_are_told_with_the_time_to_wait() {
    let (_, router, _) = office_of_ana().await;
    let fields = [("name", "ana"), ("password", "a wrong password")];
    let mut last = post(&router, "/login", &fields, &[OWN]).await;
    for _ in 0..crate::people::ADDRESS_TRIES {
        last = post(&router, "/login", &fields, &[OWN]).await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(last.headers().contains_key("retry-after"));
    assert!(body(last).await.contains("Too many tries"));
}

/// Catches a right password that is called a wrong try.
#[tokio::test(start_paused = true)]
async fn too_many_sessions_are_told_with_the_time_to_wait() {
    let (_, router, _) = office_of_ana().await;
    let fields = [("name", "ana"), ("password", PASSWORD)];
    for _ in 0..crate::people::SESSIONS_AT_ONCE {
        assert_eq!(post(&router, "/login", &fields, &[OWN]).await.status(), StatusCode::SEE_OTHER);
    }
    let refused = post(&router, "/login", &fields, &[OWN]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    let page = body(refused).await;
    assert!(page.contains("Too many log-ins with this name") && !page.contains("tries"), "{page}");
}

/// Catches an error page without the time after which it is worth a retry, and a browser that goes on with the session that has
/// ended.
#[tokio::test]
async fn a_log_out_that_is_not_on_disk_is_worth_a_retry() {
    let disk = MemoryDisk::default();
    let (people, router, token) = office_of_ana_on(&disk).await;
    let form_token = people.session(&token).unwrap().form_token;
    assert!(disk.fail_after("local.redb", 0));
    let cookie = format!("__Host-herdlinx-5000={token}");
    let failed = post(&router, "/logout", &[("form_token", &form_token)], &[OWN, ("cookie", &cookie)]).await;
    assert_eq!((failed.status().as_u16(), failed.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    assert!(failed.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert!(people.session(&token).is_none());
}

#[tokio::test]
async fn a_link_leads_to_the_choice_of_a_password_once() {
    let (people, router) = office();
    let code = people.first_owner().unwrap().unwrap();
    let path = format!("/welcome?code={}", code.reveal());
    let (status, page) = get(&router, &path).await;
    assert!(status == StatusCode::OK && page.contains("first owner"), "{page}");
    for (name, password, again, why) in [
        ("Ana", PASSWORD, "another password", "differ"),
        ("Ana", "short", "short", "at least 12 characters"),
        ("", PASSWORD, PASSWORD, "1 to 64 characters"),
    ] {
        let fields = [("code", code.reveal()), ("name", name), ("password", password), ("again", again)];
        let response = post(&router, "/welcome", &fields, &[OWN]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let page = body(response).await;
        assert!(page.contains(why) && page.contains(code.reveal()), "{page}");
    }
    let fields = [("code", code.reveal()), ("name", "Ana"), ("password", PASSWORD), ("again", PASSWORD)];
    let response = post(&router, "/welcome", &fields, &[OWN]).await;
    assert_eq!(response.headers()["location"], "/");
    assert_eq!(get(&router, &path).await.0, StatusCode::GONE);
    assert_eq!(post(&router, "/welcome", &fields, &[OWN]).await.status(), StatusCode::GONE);
}

/// Catches a form that takes memory, or one that is read although it is none.
#[tokio::test]
async fn a_form_is_bounded_and_well_formed() {
    let (_, router) = office();
    let long = "p".repeat(10_000);
    let response = post(&router, "/login", &[("name", "ana"), ("password", &long)], &[OWN]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let others = "name=ana&password=".len();
    for (bytes, status) in [(4 * 1024, StatusCode::FORBIDDEN), (4 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE)] {
        let password = "p".repeat(bytes - others);
        let response = post(&router, "/login", &[("name", "ana"), ("password", &password)], &[OWN]).await;
        assert_eq!(response.status(), status, "{bytes}");
    }
    assert!(post(&router, "/login", &[("name", "ana")], &[OWN]).await.status().is_client_error());
}
