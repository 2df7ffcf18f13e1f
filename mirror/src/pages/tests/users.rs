//! The page on which owners manage users.

use super::BROWSER;
use crate::pages::{Browsers, users_routes};
use crate::people::{People, Role};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{Request, Response, StatusCode, header};
use herd::clock::SystemClock;
use herd::randomness::SeededRandomness;
use herd::store::{LocalFile, MemoryDisk};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::door::keys::{KeyRing, Scope};
use std::sync::Arc;
use tower::ServiceExt as _;

const PASSWORD: &str = "the gate is green";
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

struct Office {
    disk: MemoryDisk,
    people: Arc<People>,
    keys: Arc<KeyRing>,
    router: Router,
}

/// Status, `Location` and body of an answer.
type Answer = (StatusCode, Option<String>, String);

impl Office {
    fn new() -> Self {
        let disk = MemoryDisk::default();
        let local = LocalFile::open_in(&disk).unwrap();
        let clock = Arc::new(SystemClock::default());
        let keys = KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(2)).unwrap();
        let people = Arc::new(People::load(local, clock, SeededRandomness::new(1)).unwrap());
        let keys = Arc::new(keys);
        Self { disk, router: users_routes(Browsers::new(people.clone(), 5000), keys.clone()), people, keys }
    }

    /// Adds a user, and returns the token of a session of theirs.
    async fn add(&self, name: &str, role: Role) -> String {
        let code = self.people.add(&name.parse().unwrap(), role).unwrap();
        self.choose(code.reveal()).await
    }

    async fn choose(&self, code: &str) -> String {
        let chosen = self.people.clone().choose(code, "", PASSWORD.to_owned(), [127, 0, 0, 1].into()).await;
        chosen.unwrap().reveal().to_owned()
    }

    async fn get(&self, headers: &[(&str, &str)]) -> Answer {
        read(self.send(Request::get("/users"), "", headers).await).await
    }

    async fn post(&self, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        read(self.answer(fields, headers).await).await
    }

    async fn answer(&self, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Response<Body> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let form: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let request = Request::post("/users").header("content-type", "application/x-www-form-urlencoded");
        self.send(request.header("host", "office:5000"), &form.join("&"), headers).await
    }

    /// Sends a form as the page of this session does.
    async fn post_own(&self, fields: &[(&str, &str)], session: &str) -> Answer {
        let token = self.people.session(session).unwrap().form_token;
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post(&fields, &[OWN, ("cookie", &cookie(session))]).await
    }

    async fn send(&self, request: Builder, body: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = headers
            .iter()
            .fold(request.header("accept", BROWSER), |request, (name, value)| request.header(*name, *value));
        self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
    }

    fn role(&self, name: &str) -> Option<Role> {
        self.people.list().into_iter().find(|user| user.name.as_str() == name).map(|user| user.role)
    }
}

async fn read(response: Response<Body>) -> Answer {
    let location = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body(), 100_000).await.unwrap();
    (status, location, String::from_utf8(body.to_vec()).unwrap())
}

fn cookie(session: &str) -> String {
    format!("__Host-herdlinx-5000={session}")
}

/// Catches anybody else who sees the users or changes them.
#[tokio::test]
async fn only_owners_see_and_change_users() {
    let office = Office::new();
    let owner = office.add("Ana", Role::Owner).await;
    let token = office.people.session(&owner).unwrap().form_token;
    let fields = [("action", "remove"), ("name", "Otto"), ("form_token", token.as_str())];
    for (name, role) in [("Vera", Role::Viewer), ("Otto", Role::Operator)] {
        let session = office.add(name, role).await;
        let own = cookie(&session);
        assert_eq!(office.get(&[("cookie", &own)]).await.0, StatusCode::FORBIDDEN);
        assert_eq!(office.post_own(&fields[..2], &session).await.0, StatusCode::FORBIDDEN);
        assert_eq!(office.post(&fields, &[OWN, ("cookie", &own)]).await.0, StatusCode::FORBIDDEN, "a stolen form");
    }
    let own = cookie(&owner);
    for headers in [
        &[("cookie", own.as_str())][..],
        &[("cookie", &own), ("sec-fetch-site", "cross-site")],
        &[("cookie", &own), OWN, ("x-api-key", "hxb_any")],
    ] {
        assert_eq!(office.post(&fields, headers).await.0, StatusCode::FORBIDDEN, "{headers:?}");
    }
    for token in ["", "0"] {
        let fields = [("action", "remove"), ("name", "Otto"), ("form_token", token)];
        assert_eq!(office.post(&fields, &[OWN, ("cookie", &own)]).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(office.get(&[("x-api-key", "hxb_any"), ("cookie", &own)]).await.0, StatusCode::FORBIDDEN);
    for cookie in ["", "__Host-herdlinx-5000=hxs_stolen"] {
        let (status, to, _) = office.get(&[("cookie", cookie)]).await;
        assert_eq!((status, to.as_deref()), (StatusCode::SEE_OTHER, Some("/login?next=%2Fusers")));
        let (status, to, _) = office.post(&fields, &[OWN, ("cookie", cookie)]).await;
        assert_eq!((status, to.as_deref()), (StatusCode::SEE_OTHER, Some("/login?next=%2Fusers")));
    }
    assert!(office.role("Otto").is_some());
}

#[tokio::test]
async fn an_owner_adds_changes_logs_out_and_removes_a_user() {
    let office = Office::new();
    let owner = office.add("Ana", Role::Owner).await;
    let (status, _, page) = office.post_own(&[("action", "add"), ("name", "Ben"), ("role", "operator")], &owner).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let link = page.split("<code>https://office:5000/welcome?code=").nth(1).unwrap();
    let session = office.choose(link.split('<').next().unwrap()).await;
    let (_, _, page) = office.get(&[("cookie", &cookie(&owner))]).await;
    assert!(page.contains("Ben</th>") && !page.contains("welcome?code"), "{page}");
    assert_eq!(office.role("Ben"), Some(Role::Operator));

    let done = (StatusCode::SEE_OTHER, Some("/users".to_owned()), String::new());
    let change = [("action", "change_role"), ("name", "ben"), ("role", "viewer")];
    assert_eq!(office.post_own(&change, &owner).await, done);
    assert_eq!(office.people.session(&session).unwrap().role, Role::Viewer);
    assert_eq!(office.post_own(&[("action", "log_out"), ("name", "Ben")], &owner).await, done);
    assert!(office.people.session(&session).is_none());
    assert!(office.post_own(&[("action", "link"), ("name", "Ben")], &owner).await.2.contains("welcome?code=hxw_"));
    assert_eq!(office.post_own(&[("action", "remove"), ("name", "Ben")], &owner).await, done);
    assert_eq!(office.role("Ben"), None);
}

/// Catches an office without owners, and a refusal that says nothing or runs as a script.
#[tokio::test]
async fn a_change_that_is_not_possible_is_explained() {
    let office = Office::new();
    let owner = office.add("Ana", Role::Owner).await;
    for (fields, status, why) in [
        (
            &[("action", "remove"), ("name", "ana")][..],
            409,
            "Ana is the last owner; make somebody else an owner first.",
        ),
        (&[("action", "change_role"), ("name", "Ana"), ("role", "viewer")], 409, "last owner"),
        (&[("action", "add"), ("name", "ANA"), ("role", "owner")], 409, "There is a user ANA already."),
        (&[("action", "log_out"), ("name", "Ben")], 404, "There is no user Ben any more."),
        (&[("action", "link"), ("name", "Ben")], 404, "There is no user Ben any more."),
        (&[("action", "remove"), ("name", "Ben")], 404, "There is no user Ben any more."),
        (&[("action", "add"), ("name", "\"><script>"), ("role", "owner")], 400, "value=\"&#34;&#62;&#60;script&#62;\""),
        (&[("action", "fly"), ("name", "Ben")], 422, "cannot be read"),
        (&[("action", "add"), ("name", "Ben"), ("role", "king")], 422, "cannot be read"),
    ] {
        let (found, _, page) = office.post_own(fields, &owner).await;
        assert_eq!(found.as_u16(), status, "{fields:?}");
        assert!(page.contains(why) && !page.contains("<script"), "{fields:?}: {page}");
    }
    assert_eq!(office.role("Ana"), Some(Role::Owner));
}

/// Catches a link that was just sent to somebody and is void because its page was loaded again.
#[tokio::test]
async fn an_invitation_that_is_sent_twice_keeps_its_link() {
    let office = Office::new();
    let owner = office.add("Ana", Role::Owner).await;
    let fields = [("action", "add"), ("name", "Ben"), ("role", "viewer")];
    let (_, _, page) = office.post_own(&fields, &owner).await;
    let code = page.split("welcome?code=").nth(1).unwrap().split('<').next().unwrap();
    let (status, _, page) = office.post_own(&fields, &owner).await;
    assert_eq!(status, StatusCode::CONFLICT, "{page}");
    assert!(page.contains("Ben has a link already, and it still works.") && !page.contains("code="), "{page}");
    office.choose(code).await;
}

/// Catches an owner who believes that somebody is still in, or is out for good, after the disk has failed.
#[tokio::test]
async fn a_removal_that_is_not_on_disk_says_what_holds_now() {
    for (action, words) in [
        ("remove", "Ben is out now, but a restart would undo it until the disk of this office can be written"),
        ("log_out", "Ben is logged out everywhere now, but a restart would undo it until the disk"),
    ] {
        let office = Office::new();
        let owner = office.add("Ana", Role::Owner).await;
        let session = office.add("Ben", Role::Viewer).await;
        assert!(office.disk.fail_after("local.redb", 0));
        let token = office.people.session(&owner).unwrap().form_token;
        let fields = [("action", action), ("name", "Ben"), ("form_token", token.as_str())];
        let response = office.answer(&fields, &[OWN, ("cookie", &cookie(&owner))]).await;
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
        let page = to_bytes(response.into_body(), 100_000).await.unwrap();
        let page = String::from_utf8_lossy(&page).replace("&#34;", "\"");
        assert!(page.contains(words), "{page}");
        assert!(office.people.session(&session).is_none());
    }
}

/// Catches a key that is shown again, one that may do more than read, and one that works after it was revoked.
#[tokio::test]
async fn an_owner_makes_and_revokes_a_read_key() {
    let office = Office::new();
    let owner = office.add("Ana", Role::Owner).await;
    let make = [("action", "add_key"), ("name", "scale-house")];
    let (status, _, page) = office.post_own(&make, &owner).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let secret = page.split("<code>hxb_").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let keys = || office.keys.list().iter().map(|key| (key.name.clone(), key.scopes.clone())).collect::<Vec<_>>();
    assert_eq!(keys(), [("scale-house".to_owned(), [Scope::Read].into())]);
    let (_, _, page) = office.get(&[("cookie", &cookie(&owner))]).await;
    assert!(page.contains("scale-house") && !page.contains(&secret), "{page}");

    for (name, status) in [("scale-house", StatusCode::CONFLICT), ("a b", StatusCode::BAD_REQUEST)] {
        let (answered, _, page) = office.post_own(&[("action", "add_key"), ("name", name)], &owner).await;
        assert_eq!(answered, status, "{page}");
        assert!(
            page.contains(&format!("value=\"{name}\"")) && !page.contains("<code>hxb_"),
            "what was typed stays: {page}"
        );
    }
    let revoke = [("action", "revoke_key"), ("name", "scale-house")];
    let done = (StatusCode::SEE_OTHER, Some("/users".to_owned()), String::new());
    assert_eq!(office.post_own(&revoke, &owner).await, done);
    assert_eq!(keys(), []);
    assert_eq!(office.post_own(&revoke, &owner).await.0, StatusCode::NOT_FOUND);
    let operator = office.add("Otto", Role::Operator).await;
    assert_eq!(office.post_own(&make, &operator).await.0, StatusCode::FORBIDDEN);
    assert_eq!(keys(), []);
}

/// Catches a link that stops working because the answer that shows it was loaded again.
#[tokio::test]
async fn an_answer_that_is_loaded_again_takes_back_no_link() {
    let office = Office::new();
    let owner = office.add("Ana", Role::Owner).await;
    office.add("Ben", Role::Viewer).await;
    let (_, _, page) = office.get(&[("cookie", &cookie(&owner))]).await;
    let form_key = page.split("name=\"form_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let fields = [("action", "link"), ("name", "Ben"), ("form_key", form_key.as_str())];
    let (_, _, page) = office.post_own(&fields, &owner).await;
    let code = page.split("welcome?code=").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let (status, _, page) = office.post_own(&fields, &owner).await;
    assert_eq!(status, StatusCode::CONFLICT, "{page}");
    assert!(page.contains("and it still works") && !page.contains(&form_key), "the page has another text: {page}");
    office.choose(&code).await;
}
