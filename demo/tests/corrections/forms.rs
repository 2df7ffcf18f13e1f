//! Corrections by people, on the office's pages.
//!
//! Catches: a form whose correction reaches the barn under another name or twice, a viewer who corrects, and texts that are
//! lost while the barn is away or with the session.

use crate::correction_yard::CorrectionYard;
use mirror::link::{Trust, client};
use reqwest::Response;
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PASSWORD: &str = "the gate is green";

/// A user at a browser.
struct User {
    /// Host and port of the office.
    office: String,
    browser: reqwest::Client,
    cookie: String,
}

impl User {
    /// Adds a user, who chooses a password by the link.
    async fn add(yard: &CorrectionYard, name: &str, role: &str) -> Self {
        let office = &yard.yard.office;
        let printed = office.run(&["user", "add", name, "--role", role]).unwrap();
        let code = printed.lines().last().unwrap().split_once("/welcome?code=").unwrap().1.to_owned();
        let browser = client(&Trust::Pin(office.spki_sha256().unwrap())).unwrap();
        let user = Self { office: office.address().to_string(), browser, cookie: String::new() };
        let response = user.send("/welcome", &[("code", &code), ("password", PASSWORD), ("again", PASSWORD)]).await;
        Self { cookie: cookie_of(&response), ..user }
    }

    async fn page(&self, path: &str) -> String {
        let request = self.browser.get(self.url(path)).header(ACCEPT, "text/html").header(COOKIE, &self.cookie);
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let fields: BTreeMap<_, _> = fields.iter().copied().collect();
        let request = self.browser.post(self.url(path)).header(ACCEPT, "text/html").header(COOKIE, &self.cookie);
        request.header("Sec-Fetch-Site", "same-origin").form(&fields).send().await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.office)
    }
}

fn cookie_of(response: &Response) -> String {
    response.headers()[SET_COOKIE].to_str().unwrap().split_once(';').unwrap().0.to_owned()
}

/// Returns the value of a hidden field of the form for an action.
fn hidden<'a>(page: &'a str, action: &str, field: &str) -> &'a str {
    let of = page.split("<form ").find(|form| form.contains(&format!("name=\"action\" value=\"{action}\"")));
    let of = of.unwrap_or_else(|| panic!("no form {action}: {page}"));
    of.split_once(&format!("name=\"{field}\" value=\"")).unwrap().1.split('"').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_corrects_a_weight_on_its_day_and_it_counts_once() {
    let yard = CorrectionYard::open().await;
    let animal = yard.record("event:hxbpai000001|lid:1|lf:A|epc:U1|weight:245.5").await;
    yard.yard.wait_until_equal().await;
    let path = format!("/animals/{animal}");
    let (operator, viewer) = (User::add(&yard, "Otto", "operator").await, User::add(&yard, "Vera", "viewer").await);

    let page = operator.page(&path).await;
    let (token, key) = (hidden(&page, "weigh", "form_token"), hidden(&page, "weigh", "key"));
    let fields = [
        ("form_token", token),
        ("action", "weigh"),
        ("key", key),
        ("weight", "231.5"),
        ("weighed_at", "2026-05-04T08:30"),
        ("reason", "the scale's <slip>"),
    ];
    let before = yard.yard.barn.status().unwrap().sequence.0;
    let correct = format!("{path}/correct");
    let (one, two) = tokio::join!(operator.send(&correct, &fields), operator.send(&correct, &fields));
    let change = before + 1;
    for response in [one, two] {
        assert_eq!(response.headers()[LOCATION], format!("{path}?corrected={change}"));
    }
    assert_eq!(yard.yard.barn.status().unwrap().sequence.0, change, "sent twice, it is one change");
    let kept = yard.yard.barn.run(&["show", "change", &change.to_string(), "--json"]).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["author"], &kept["reason"]), (&json!("Otto"), &json!("the scale's <slip>")), "{kept}");
    assert_eq!(kept["correction"]["weighed_at"], "2026-05-04T08:30:00.000Z", "{kept}");
    yard.yard.wait_until_equal().await;
    let applied = operator.page(&format!("{path}?corrected={change}")).await;
    assert!(applied.contains("Applied as") && applied.contains("weighed 231.5 kg"), "{applied}");

    assert!(!viewer.page(&path).await.contains("/correct\""));
    let page = viewer.page(&path).await;
    let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let fields = [("form_token", token), ("action", "died"), ("key", "k1"), ("reason", "r")];
    let refused = viewer.send(&correct, &fields).await;
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("you may look, not correct"));
    assert_eq!(yard.yard.barn.status().unwrap().sequence.0, change);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_survives_a_barn_that_is_away_and_the_end_of_the_session() {
    let mut yard = CorrectionYard::open().await;
    let animal = yard.record("hxb:L1:A:U1").await;
    yard.yard.wait_until_equal().await;
    let correct = format!("/animals/{animal}/correct");
    assert_eq!(yard.yard.barn.terminate().await.unwrap().code(), Some(0));

    let operator = User::add(&yard, "Otto", "operator").await;
    let page = operator.page(&format!("/animals/{animal}")).await;
    let (token, key) = (hidden(&page, "move_pen", "form_token"), hidden(&page, "move_pen", "key"));
    let typed = [("action", "move_pen"), ("key", key), ("pen", "P <7>"), ("reason", "fence broken")];
    let own: Vec<_> = typed.into_iter().chain([("form_token", token)]).collect();
    let away = operator.send(&correct, &own).await;
    assert_eq!(away.status(), 503);
    let page = away.text().await.unwrap();
    for kept in ["value=\"P &#60;7&#62;\"", "value=\"fence broken\"", "The barn cannot be reached"] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    assert_eq!(hidden(&page, "move_pen", "key"), key);

    assert_eq!(operator.send("/logout", &[("form_token", token)]).await.status(), 303);
    let out = operator.send(&correct, &own).await;
    assert_eq!(out.status(), 401);
    let page = out.text().await.unwrap();
    assert!(page.contains("value=\"P &#60;7&#62;\"") && page.contains(&format!("action=\"{correct}\"")), "{page}");
    let log_in: Vec<_> = typed.into_iter().chain([("name", "otto"), ("password", PASSWORD)]).collect();
    let back = operator.send(&correct, &log_in).await;
    assert_eq!((back.status().as_u16(), back.headers()[LOCATION].to_str().unwrap()), (303, correct.as_str()));
    let operator = User { cookie: cookie_of(&back), ..operator };
    let page = operator.page(&correct).await;
    assert!(page.contains("value=\"P &#60;7&#62;\""), "{page}");
    let token = hidden(&page, "move_pen", "form_token");

    yard.yard.barn.start().await.unwrap();
    let own: Vec<_> = typed.into_iter().chain([("form_token", token)]).collect();
    let applied = operator.send(&correct, &own).await;
    assert_eq!(applied.status(), 303, "{}", applied.text().await.unwrap());
    yard.yard.wait_until_equal().await;
    assert_eq!(yard.office(&format!("/animals/{animal}")).await["traits"]["pen"], "P <7>");
}
