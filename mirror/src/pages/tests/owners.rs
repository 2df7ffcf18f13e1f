//! The forms by which owners pair barns and choose between copies. They run the commands of the control socket.

use super::{BROWSER, MAX_PAGE_BYTES, TestOffice, TestResponse, clock, conventions, router};
use crate::control::{OfficeRequest, OfficeResponse, PairedResponse};
use crate::pages::{Browsers, owner_routes};
use crate::people::{People, Role};
use crate::sites::DivergedHistories;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::{Extension, Router};
use herd::payload::WeightUnit;
use herd::randomness::SeededRandomness;
use herd::store::{LocalFile, MemoryDisk};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::control::{ControlError, handler};
use service::sync::divergence::Divergence;
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

const PASSWORD: &str = "the gate is green";
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const PAIR: [(&str, &str); 2] = [("line", "herdlinx:1:abc"), ("reason", "the new yard")];
const ACCEPT: [(&str, &str); 2] = [("choice", "accept_barn"), ("reason", "the card was replaced")];

struct Office {
    sites: Arc<TestOffice>,
    people: Arc<People>,
    asked: Arc<Mutex<Vec<OfficeRequest>>>,
    forms: Router,
}

impl Office {
    fn of(sites: TestOffice) -> Self {
        let local = LocalFile::open_in(&MemoryDisk::default()).unwrap();
        let people = Arc::new(People::load(local, clock(), SeededRandomness::new(1)).unwrap());
        let (sites, asked) = (Arc::new(sites), Arc::new(Mutex::new(Vec::new())));
        let log = asked.clone();
        let commands = handler(move |request: OfficeRequest| {
            log.lock().unwrap().push(request.clone());
            async move { answer(request) }
        });
        let browsers = Browsers::new(people.clone(), 5000);
        let forms = owner_routes(sites.clone(), clock(), conventions(WeightUnit::Kg), browsers, commands);
        Self { sites, people, asked, forms }
    }

    async fn add(&self, name: &str, role: Role) -> String {
        let code = self.people.add(&name.parse().unwrap(), role).unwrap();
        let chosen = self.people.clone().choose(code.reveal(), "", PASSWORD.to_owned(), [127, 0, 0, 1].into()).await;
        chosen.unwrap().reveal().to_owned()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> TestResponse {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let form: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("accept", BROWSER);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self.forms.clone().oneshot(request.body(Body::from(form.join("&"))).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), MAX_PAGE_BYTES).await.unwrap();
        TestResponse { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Sends a form of a session as our own page does.
    async fn post_own(&self, path: &str, fields: &[(&str, &str)], session: &str) -> TestResponse {
        let token = self.people.session(session).unwrap().form_token;
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post(path, &fields, &[OWN, ("cookie", &cookie(session))]).await
    }

    /// Opens a page as the user of a session does.
    async fn page(&self, path: &str, session: &str) -> String {
        let browsers = Browsers::new(self.people.clone(), 5000);
        let pages = router(self.sites.clone(), clock(), conventions(WeightUnit::Kg), &browsers);
        super::html_of(&pages.layer(Extension(self.people.session(session).unwrap())), path).await
    }

    fn asked(&self) -> String {
        format!("{:?}", self.asked.lock().unwrap())
    }
}

fn cookie(session: &str) -> String {
    format!("__Host-herdlinx-5000={session}")
}

/// Answers as the running office does: a line of two letters is damaged.
fn answer(request: OfficeRequest) -> Result<OfficeResponse, ControlError> {
    match request {
        OfficeRequest::Add { line, .. } if line.len() == 2 => Err(ControlError::new("bad_line", "this is no line")),
        OfficeRequest::Add { name, .. } => Ok(OfficeResponse::Paired(PairedResponse {
            site: name.unwrap_or_else(|| "north".parse().unwrap()),
            is_new: true,
            changed: Vec::new(),
            addresses: Vec::new(),
            trust: String::new(),
            unusable: Vec::new(),
        })),
        OfficeRequest::Resync { .. } => Ok(OfficeResponse::CopyStarted { copy: "copy-2".to_owned() }),
        OfficeRequest::CancelResync { .. } => Ok(OfficeResponse::CopyCanceled { copy: "copy-2".to_owned() }),
        other => panic!("no form asks for {other:?}"),
    }
}

fn location(response: &TestResponse) -> &str {
    response.header(header::LOCATION)
}

/// Catches a form that anybody else sends, or that another page sends in an owner's name.
#[tokio::test]
async fn only_owners_pair_and_choose_and_only_by_our_own_forms() {
    let office = Office::of(TestOffice::new(&["barn"]));
    let owner = office.add("Ana", Role::Owner).await;
    let token = office.people.session(&owner).unwrap().form_token;
    for (path, fields) in [("/pair", PAIR), ("/status/copy", ACCEPT), ("/sites/barn/status/copy", ACCEPT)] {
        let stolen: Vec<_> = fields.into_iter().chain([("form_token", token.as_str())]).collect();
        for (name, role) in [("Vera", Role::Viewer), ("Otto", Role::Operator)] {
            let name = format!("{name} {}", path.len());
            let session = office.add(&name, role).await;
            assert_eq!(office.post_own(path, &fields, &session).await.status, StatusCode::FORBIDDEN, "{path}");
            let answer = office.post(path, &stolen, &[OWN, ("cookie", &cookie(&session))]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
        let own = cookie(&owner);
        for headers in [
            &[("cookie", own.as_str())][..],
            &[("cookie", &own), ("sec-fetch-site", "cross-site")],
            &[("cookie", &own), OWN, ("x-api-key", "hxb_any")],
        ] {
            assert_eq!(office.post(path, &stolen, headers).await.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
        let other: Vec<_> = fields.into_iter().chain([("form_token", "0")]).collect();
        let answer = office.post(path, &other, &[OWN, ("cookie", &own)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        let answer = office.post(path, &stolen, &[OWN]).await;
        assert!(location(&answer).starts_with("/login?next="), "{path}");
    }
    assert_eq!(office.asked(), "[]");
}

/// Catches a line that a terminal has broken, and a name or a reason that gets lost.
#[tokio::test]
async fn an_owner_pairs_by_pasting_and_gets_to_the_page_of_the_site() {
    let office = Office::of(TestOffice::new(&[]));
    let owner = office.add("Ana", Role::Owner).await;
    let answer = office.post_own("/pair", &PAIR, &owner).await;
    assert_eq!((answer.status, location(&answer)), (StatusCode::SEE_OTHER, "/sites/north/status"));
    let broken = [("line", " herdlinx:1:ab\r\nc\n"), ("name", "south yard"), ("reason", "new")];
    let refused = office.post_own("/pair", &broken, &owner).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "a site has no such name");
    assert!(
        refused.body.contains("value=\"south yard\"") && refused.body.contains("herdlinx:1:ab"),
        "{}",
        refused.body
    );
    let answer = office.post_own("/pair", &[broken[0], ("name", "south"), broken[2]], &owner).await;
    assert_eq!(location(&answer), "/sites/south/status");
    let asked = office.asked();
    assert_eq!(asked.matches("Add { line: \"herdlinx:1:abc\"").count(), 2, "{asked}");

    for (fields, message) in [
        (&[("line", "xx"), ("reason", "new")][..], "This is no line."),
        (&[("line", "herdlinx:1:abc"), ("reason", " ")], "The reason is empty."),
    ] {
        let refused = office.post_own("/pair", fields, &owner).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.body.contains(message) && !refused.body.contains('`'), "{}", refused.body);
    }
}

/// Catches a choice that is made without a reason, and one that does something else than its button says.
#[tokio::test]
async fn an_owner_chooses_between_two_histories() {
    let divergence = Divergence::Shorter;
    let diverged = Some(DivergedHistories { divergence, own: None, theirs: None });
    let office = Office::of(TestOffice { diverged, only_here: Some(3), ..TestOffice::new(&["barn"]) });
    let (owner, viewer) = (office.add("Ana", Role::Owner).await, office.add("Vera", Role::Viewer).await);
    let page = office.page("/status", &owner).await;
    for part in
        ["action=\"/status/copy\"", "value=\"accept_barn\"", "value=\"keep_old\"", "3 changes are in kept copies"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!office.page("/status", &viewer).await.contains("/status/copy"));

    let refused = office.post_own("/status/copy", &[ACCEPT[0], ("reason", "")], &owner).await;
    assert!(
        refused.status == StatusCode::BAD_REQUEST && refused.body.contains("the reason is empty"),
        "{}",
        refused.body
    );
    let keep = [("choice", "keep_old"), ("reason", "look first")];
    assert_eq!(location(&office.post_own("/status/copy", &keep, &owner).await), "/status");
    assert_eq!(office.asked(), "[]", "the old copy is shown anyway");
    assert_eq!(location(&office.post_own("/sites/barn/status/copy", &ACCEPT, &owner).await), "/sites/barn/status");
    assert_eq!(office.asked(), "[Resync { site: \"barn\" }]");

    let copying = Office::of(TestOffice { has_copy: false, ..TestOffice::new(&["barn"]) });
    let owner = copying.add("Ana", Role::Owner).await;
    let page = copying.page("/status", &owner).await;
    assert!(page.contains("data-every=\"2\"") && page.contains("12,000 of 1,000,000 changes copied"), "{page}");
    assert_eq!(location(&copying.post_own("/status/copy", &keep, &owner).await), "/status");
    assert_eq!(copying.asked(), "[CancelResync { site: \"barn\" }]");
}
