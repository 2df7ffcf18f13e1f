//! People at an office: links, log-in and log-out, over HTTPS with the real process.
//!
//! Catches: a page that somebody sees who is not logged in, a session that a kill forgets or that outlives its user, a link that
//! works twice, a secret in the log, and a change of the users that is not in it.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use demo::processes::{Office, OfficeSettings, Programs};
use mirror::link::{Trust, client};
use reqwest::Response;
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use std::collections::BTreeMap;
use tempfile::TempDir;

const PASSWORD: &str = "the gate is green";

/// An office, and a browser on its machine.
struct Bench {
    office: Office,
    browser: reqwest::Client,
    _directory: TempDir,
}

impl Bench {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = Programs::Own(env!("CARGO_BIN_EXE_herdlinx-demo").into());
        let mut office = Office::new(&programs, &directory.path().join("office"), &OfficeSettings::default()).unwrap();
        office.start().await.unwrap();
        let browser = client(&Trust::Pin(office.spki_sha256().unwrap())).unwrap();
        Self { office, browser, _directory: directory }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.office.address())
    }

    /// Opens a page as a browser does that has this cookie.
    async fn page(&self, path: &str, cookie: &str) -> Response {
        let request = self.browser.get(self.url(path)).header(ACCEPT, "text/html").header(COOKIE, cookie);
        request.send().await.unwrap()
    }

    /// Sends a form as a page of the office does, and returns the cookie that the answer sets, if it sets one.
    async fn send(&self, path: &str, fields: &[(&str, &str)], cookie: &str) -> (u16, Option<String>) {
        let fields: BTreeMap<_, _> = fields.iter().copied().collect();
        let request = self.browser.post(self.url(path)).header(ACCEPT, "text/html").header(COOKIE, cookie);
        let response = request.header("Sec-Fetch-Site", "same-origin").form(&fields).send().await.unwrap();
        let set = response.headers().get(SET_COOKIE).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), set.and_then(|set| Some(set.split_once(';')?.0.to_owned())))
    }

    /// Runs a command that prints a link, and returns the link's code.
    fn code(&self, args: &[&str]) -> String {
        let printed = self.office.run(args).unwrap();
        let link = printed.lines().last().unwrap();
        link.split_once("/welcome?code=").unwrap_or_else(|| panic!("no link: {printed}")).1.to_owned()
    }

    /// Chooses the password, and returns the cookie of the session.
    async fn choose(&self, code: &str) -> String {
        let fields = [("code", code), ("password", PASSWORD), ("again", PASSWORD)];
        let (status, cookie) = self.send("/welcome", &fields, "").await;
        assert_eq!(status, 303);
        cookie.unwrap()
    }

    async fn is_let_in(&self, cookie: &str) -> bool {
        let response = self.page("/", cookie).await;
        match response.status().as_u16() {
            200 => true,
            303 => {
                assert_eq!(response.headers()[LOCATION], "/login?next=%2F");
                false
            }
            other => panic!("status {other}"),
        }
    }
}

#[tokio::test]
async fn a_user_comes_in_by_a_link_and_stays_until_the_log_out() {
    let mut bench = Bench::open().await;
    assert!(!bench.is_let_in("").await);
    assert_eq!(bench.browser.get(bench.url("/animals")).send().await.unwrap().status(), 401, "a program needs a key");

    let code = bench.code(&["user", "add", "Ana", "--role", "viewer"]);
    let welcome = bench.page(&format!("/welcome?code={code}"), "").await.text().await.unwrap();
    assert!(welcome.contains("Welcome, Ana"), "{welcome}");
    let first = bench.choose(&code).await;
    assert!(bench.is_let_in(&first).await);
    assert_eq!(bench.page(&format!("/welcome?code={code}"), "").await.status(), 410, "the link is used");

    bench.office.kill();
    bench.office.start().await.unwrap();
    assert!(bench.is_let_in(&first).await, "a kill logs nobody out");
    let (status, second) = bench.send("/login", &[("name", "ana"), ("password", PASSWORD)], "").await;
    assert_eq!(status, 303);
    let second = second.unwrap();

    let page = bench.page("/", &first).await.text().await.unwrap();
    let form_token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(bench.send("/logout", &[("form_token", form_token)], &second).await.0, 403, "it is of another session");
    assert_eq!(bench.send("/logout", &[("form_token", form_token)], &first).await.0, 303);
    assert_eq!([bench.is_let_in(&first).await, bench.is_let_in(&second).await], [false, true]);

    bench.office.run(&["user", "remove", "ana"]).unwrap();
    assert!(!bench.is_let_in(&second).await);
    assert_eq!(bench.send("/login", &[("name", "ana"), ("password", PASSWORD)], "").await.0, 403);
    let log = std::fs::read_to_string(bench.office.log()).unwrap();
    for secret in [PASSWORD, &code, &first, &second] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn users_are_managed_while_the_office_is_stopped_and_the_first_owner_needs_no_command() {
    let mut bench = Bench::open().await;
    let log = std::fs::read_to_string(bench.office.log()).unwrap();
    let link = log.split("/welcome?code=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let fields = [("code", link.as_str()), ("name", "Ana"), ("password", PASSWORD), ("again", PASSWORD)];
    let (status, owner) = bench.send("/welcome", &fields, "").await;
    let owner = owner.unwrap();
    assert_eq!(status, 303);
    assert!(bench.is_let_in(&owner).await);

    let page = bench.page("/users", &owner).await.text().await.unwrap();
    let form_token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let fields = [("form_token", form_token), ("action", "add"), ("name", "Cleo"), ("role", "viewer")];
    let request = bench.browser.post(bench.url("/users")).header(ACCEPT, "text/html").header(COOKIE, &owner);
    let request = request.header("Sec-Fetch-Site", "same-origin").form(&BTreeMap::from(fields));
    let page = request.send().await.unwrap().text().await.unwrap();
    let link = format!("<code>https://{}/welcome?code=", bench.office.address());
    let code = page.split(&link).nth(1).unwrap().split('<').next().unwrap();
    let viewer = bench.choose(code).await;
    assert_eq!(bench.page("/users", &viewer).await.status(), 403, "she only looks");
    let fields = [("form_token", form_token), ("action", "remove"), ("name", "Cleo")];
    assert_eq!(bench.send("/users", &fields, &owner).await.0, 303);
    assert!(!bench.is_let_in(&viewer).await);
    let log = std::fs::read_to_string(bench.office.log()).unwrap();
    for line in ["by=Ana user=Cleo what=\"add as viewer\"", "by=Ana user=Cleo what=\"remove\""] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains(code), "{log}");

    assert_eq!(bench.office.terminate().await.unwrap().code(), Some(0));
    let code = bench.code(&["user", "add", "Ben", "--role", "operator"]);
    let listed = bench.office.run(&["user", "list", "--json"]).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&listed).unwrap(),
        serde_json::json!([
            {"name": "Ana", "role": "owner", "is_invited": false},
            {"name": "Ben", "role": "operator", "is_invited": true},
        ])
    );
    bench.office.start().await.unwrap();
    let cookie = bench.choose(&code).await;
    assert!(bench.is_let_in(&cookie).await);
    let log = std::fs::read_to_string(bench.office.log()).unwrap();
    assert_eq!(log.matches("has no users yet").count(), 1, "only the first start invites an owner: {log}");
}
