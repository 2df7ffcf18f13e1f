//! Paths, headers, cookies and forms that try to get past the door.

use super::yard_with;
use crate::user::{PASSWORD, User, cookie_of};
use crate::yard::Yard;
use mirror::link::{Trust, client_config};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The number of a lot, which is on no page that everybody sees.
const SECRET: &str = "LOT4711";

/// Paths as they are sent, without what a browser makes of them.
const PATHS: [&str; 24] = [
    "/animals",
    "//animals",
    "/./animals",
    "/login/../animals",
    "/login/..%2fanimals",
    "/login/%2e%2e/animals",
    "/assets/../animals",
    "/assets/..%2f..%2flocal.redb",
    "/assets/style.css/../../animals",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%5c..%5cetc%5cpasswd",
    "/animals%00.css",
    "/animals;/login",
    "/animals?/login",
    "/animals/%ff",
    "/ANIMALS",
    "/animals/",
    "/sites/..%2fanimals",
    "/sites/%2e%2e/animals",
    "/sites/barn/animals",
    "/api/remote/batches",
    "/api/sync/changes?after=0",
    "https://127.0.0.1/animals",
];

/// Headers by which proxies and frameworks tell who somebody is, or where they want to go.
const HEADERS: [(&str, &str); 16] = [
    ("X-Forwarded-For", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;proto=https"),
    ("X-Real-IP", "::1"),
    ("X-Forwarded-Host", "localhost"),
    ("X-Forwarded-User", "Otto"),
    ("X-Remote-User", "Otto"),
    ("Remote-User", "Otto"),
    ("X-Original-URL", "/login"),
    ("X-Rewrite-URL", "/login"),
    ("X-HTTP-Method-Override", "POST"),
    ("X-API-Key", ""),
    ("Authorization", "Basic T3R0bzp0aGUgZ2F0ZSBpcyBncmVlbg=="),
    ("Authorization", "Bearer null"),
    ("Cookie", "user=Otto; role=owner; __Host-herdlinx="),
    ("Sec-Fetch-Site", "same-origin"),
    ("Content-Length", "0"),
];

/// Sends a request as it is written, and returns status and answer.
async fn send_raw(yard: &Yard, request_line: &str, header: (&str, &str)) -> (u16, String) {
    let config = client_config(&Trust::Pin(yard.office.spki_sha256().unwrap())).unwrap();
    let tcp = TcpStream::connect(yard.office.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (name, value) = header;
    let head = format!(
        "{request_line} HTTP/1.1\r\nHost: office\r\nAccept: text/html\r\n{name}: {value}\r\nConnection: close\r\n\r\n"
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes without a last message of TLS has answered all the same.
    let _ = tls.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {answer}")).parse().unwrap(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_and_no_header_leads_past_the_log_in() {
    let yard = yard_with(&["event:hxbind000001|lot:LOT4711|lid:1|pen:P1"]).await;
    let owner = User::add(&yard.office, "Olga", "owner").await;
    assert!(owner.get("/animals").await.text().await.unwrap().contains(SECRET));
    for path in PATHS {
        let (status, answer) = send_raw(&yard, &format!("GET {path}"), ("X-Nothing", "")).await;
        assert!(matches!(status, 303 | 400 | 401 | 404), "{path}: {answer}");
        assert!(!answer.contains(SECRET) && !answer.contains("root:"), "{path}: {answer}");
        let to = answer.lines().find_map(|line| line.strip_prefix("location: "));
        assert!(to.is_none_or(|to| to.starts_with("/login?next=")), "{path}: {answer}");
    }
    for header in HEADERS {
        let (status, answer) = send_raw(&yard, "GET /animals", header).await;
        assert!(matches!(status, 303 | 401), "{header:?}: {answer}");
    }
    for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
        let (status, answer) = send_raw(&yard, &format!("{method} /animals"), ("X-Nothing", "")).await;
        assert!(matches!(status, 303 | 401 | 405), "{method}: {answer}");
    }
    let viewer = User::add(&yard.office, "Vera", "viewer").await;
    for (name, value) in [("X-Original-URL", "/users"), ("X-Rewrite-URL", "/users"), ("X-Forwarded-User", "Olga")] {
        let page = viewer.request("/animals").header(name, value).send().await.unwrap().text().await.unwrap();
        assert!(!page.contains("name=\"role\""), "{name}: {page}");
        assert_eq!(viewer.request("/users").header(name, value).send().await.unwrap().status(), 403, "{name}");
    }
    for next in
        ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1"]
    {
        let fields = [("name", "vera"), ("password", PASSWORD), ("next", next)];
        let entered = User::nobody(&yard.office).send("/login", &fields).await;
        assert_eq!((entered.status().as_u16(), entered.headers()["location"].to_str().unwrap()), (303, "/"), "{next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_page_or_session_is_not_taken() {
    let yard = yard_with(&["event:hxbind000001|lot:L1|lid:1|pen:P1"]).await;
    let (otto, other) =
        (User::add(&yard.office, "Otto", "operator").await, User::add(&yard.office, "Olga", "owner").await);
    let before = yard.barn.status().unwrap().sequence;
    let path = "/animals/2/correct";
    let fields = |token| [("form_token", token), ("action", "died"), ("key", "k1"), ("reason", "as seen")];
    for (name, value) in [
        ("X-Nothing", ""),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "none"),
        ("Origin", "null"),
        ("Origin", "https://evil.example"),
        ("Origin", "http://office"),
        ("Referer", "https://office/animals/2"),
    ] {
        let sent = otto.form(path, &fields(&otto.form_token)).header(name, value).send().await.unwrap();
        assert_eq!(sent.status(), 403, "{name}: {value}");
    }
    let upper = otto.form_token.to_uppercase();
    for token in ["", "x", &other.form_token, &upper, &otto.form_token[1..]] {
        assert_eq!(otto.send(path, &fields(token)).await.status(), 403, "{token}");
    }
    assert_eq!(yard.barn.status().unwrap().sequence, before);
    assert_eq!(otto.send(path, &fields(&otto.form_token)).await.status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_good_for_its_own_session_only_and_until_that_ends() {
    let yard = yard_with(&["event:hxbind000001|lot:L1|lid:1|pen:P1"]).await;
    let vera = User::add(&yard.office, "Vera", "viewer").await;
    let (name, token) = vera.cookie.split_once('=').unwrap();
    let mut altered = token.to_owned();
    let last = altered.pop().unwrap();
    altered.push(if last == 'A' { 'B' } else { 'A' });
    let made_up = format!("hxs_{}", "A".repeat(token.len() - 4));
    for forged in ["", altered.as_str(), &token[1..], &token.to_lowercase(), &made_up, &vera.form_token] {
        let thief = User { cookie: format!("{name}={forged}"), ..vera.clone() };
        assert!(!thief.is_let_in().await, "{forged}");
    }
    for cookie in [format!("__Host-herdlinx-1={token}"), format!("herdlinx={token}"), token.to_owned()] {
        assert!(!User { cookie: cookie.clone(), ..vera.clone() }.is_let_in().await, "{cookie}");
    }
    let elsewhere = yard_with(&[]).await;
    let at_other = User { base: format!("https://{}", elsewhere.office.address()), ..User::nobody(&elsewhere.office) };
    let port = elsewhere.office.address().port();
    let at_other = User { cookie: format!("__Host-herdlinx-{port}={token}"), ..at_other };
    assert!(!at_other.is_let_in().await, "the cookie of another office");

    // Stolen, and good until its user ends all sessions.
    let stolen = vera.clone();
    assert!(stolen.is_let_in().await);
    let again = User::nobody(&yard.office);
    let entered = again.send("/login", &[("name", "vera"), ("password", PASSWORD)]).await;
    let again = again.logged_in(&entered).await;
    let left = again.send("/logout", &[("form_token", again.form_token.as_str()), ("everywhere", "1")]).await;
    assert_eq!((left.status().as_u16(), cookie_of(&left).unwrap()), (303, format!("{name}=")));
    assert!(!stolen.is_let_in().await && !again.is_let_in().await);
}
