//! A plain reverse proxy in front of the office.

use super::yard_with;
use crate::user::{PASSWORD, User, cookie_of};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::response::Response;
use axum::{Router, serve};
use reqwest::Client;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// Maximum size of a body that the proxy passes on.
const MAX_BYTES: usize = 1024 * 1024;
/// Headers that proxies add about the client, here all of the machine of the office.
const ADDED: [(&str, &str); 6] = [
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-user", "Otto"),
    ("x-real-ip", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;proto=https;host=office"),
    ("via", "1.1 proxy"),
];
/// Headers of one connection, which a proxy does not pass on.
const OWN: [&str; 3] = ["connection", "transfer-encoding", "content-length"];

/// The office behind the proxy.
#[derive(Clone)]
struct Behind {
    client: Client,
    base: String,
}

async fn pass_on(State(behind): State<Behind>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let url = format!("{}{}", behind.base, parts.uri.path_and_query().unwrap());
    let mut headers = parts.headers;
    for name in OWN {
        headers.remove(name);
    }
    for (name, value) in ADDED {
        headers.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    let body = to_bytes(body, MAX_BYTES).await.unwrap();
    let answer = behind.client.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_log_in_works_and_no_header_lets_anybody_in() {
    let yard = yard_with(&["event:hxbind000001|lot:LOT4711|lid:1|pen:P1"]).await;
    let otto = User::add(&yard.office, "Otto", "operator").await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let behind = Behind { client: otto.browser.clone(), base: otto.base.clone() };
    let serving =
        tokio::spawn(async move { serve(listener, Router::new().fallback(pass_on).with_state(behind)).await });

    let visitor = User { base: proxy.clone(), ..User::nobody(&yard.office) };
    for path in ["/", "/animals", "/animals.csv", "/users", "/office/api/sync-status"] {
        let answer = visitor.get(path).await;
        assert_eq!(answer.status(), 303, "{path}");
        assert!(answer.headers()["location"].to_str().unwrap().starts_with("/login?next="), "{path}");
        assert_eq!(visitor.request_as(path, "application/json").send().await.unwrap().status(), 401, "{path}");
    }
    assert_eq!(visitor.send("/login", &[("name", "otto"), ("password", "not the right one")]).await.status(), 403);
    let entered = visitor.send("/login", &[("name", "otto"), ("password", PASSWORD)]).await;
    assert_eq!(entered.status(), 303);
    assert!(cookie_of(&entered).unwrap().starts_with("__Host-"));
    let user = visitor.logged_in(&entered).await;
    assert!(user.get("/animals").await.text().await.unwrap().contains("LOT4711"));
    let fields = [
        ("form_token", user.form_token.as_str()),
        ("action", "move_pen"),
        ("key", "k1"),
        ("pen", "P2"),
        ("reason", "r"),
    ];
    assert_eq!(user.send("/animals/2/correct", &fields).await.status(), 303);
    assert!(!visitor.is_let_in().await, "the session of another client of the proxy");
    serving.abort();
}
