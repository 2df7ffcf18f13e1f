//! Forms for corrections, from the page that shows them to the order that the barn gets.

use super::{
    BROWSER, MAX_PAGE_BYTES, TestOffice, TestResponse, at, clock, conventions, filled_store, without_our_script,
};
use crate::corrections::response::away;
use crate::corrections::{BarnResponse, Orders};
use crate::pages::{Browsers, correction_routes, router};
use crate::people::{People, Role, UserName};
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{Request, StatusCode, header};
use axum::{Extension, Router};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use herd::change::{AnimalId, Correction, Origin};
use herd::correction::CorrectionOrder;
use herd::decide::CorrectionRequest;
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::randomness::SeededRandomness;
use herd::store::{Incoming, LocalFile, MemoryDisk, Store};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use service::door::reply::ApiError;
use service::sync::NotServedError;
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

pub(super) const PASSWORD: &str = "the gate is green";
pub(super) const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const SCRIPT: &str = "\"><script>alert(1)</script>";
/// Change of the test store that moved animal 3 to pen P2.
const APPLIED: u64 = 15;

/// A barn with a given answer, which keeps the orders that reach it.
struct FakeBarn {
    answer: Result<(u16, Value), ApiError>,
    sent: Mutex<Vec<(String, CorrectionOrder)>>,
    /// Sites that were asked to reprocess, and the payloads after which.
    reprocessed: Mutex<Vec<(String, u64)>>,
}

impl FakeBarn {
    fn answer(&self) -> BoxFuture<'_, Result<BarnResponse, ApiError>> {
        let answer = self.answer.clone().map(|(status, body)| BarnResponse {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after_s: None,
            body: body.to_string().into(),
        });
        async move { answer }.boxed()
    }
}

impl Orders for FakeBarn {
    fn send<'a>(
        &'a self,
        site: &'a str,
        _: &'a UserName,
        order: &'a CorrectionOrder,
    ) -> BoxFuture<'a, Result<BarnResponse, ApiError>> {
        self.sent.lock().unwrap().push((site.to_owned(), order.clone()));
        self.answer()
    }

    fn reprocess<'a>(
        &'a self,
        site: &'a str,
        _: &'a UserName,
        after: Sequence,
    ) -> BoxFuture<'a, Result<BarnResponse, ApiError>> {
        self.reprocessed.lock().unwrap().push((site.to_owned(), after.0));
        self.answer()
    }
}

/// An office with one user of each role, and a barn.
pub(super) struct Office {
    sites: Arc<TestOffice>,
    pub(super) people: Arc<People>,
    barn: Arc<FakeBarn>,
    forms: Router,
}

impl Office {
    pub(super) fn with(answer: Result<(u16, Value), ApiError>) -> Self {
        Self::of(&["barn"], answer)
    }

    /// An office with these sites, whose barns give this answer.
    pub(super) fn of(names: &[&'static str], answer: Result<(u16, Value), ApiError>) -> Self {
        Self::serving(TestOffice::new(names), answer)
    }

    /// An office whose copy is not served, for this reason.
    pub(super) fn opening(reason: NotServedError) -> Self {
        Self::serving(TestOffice { has_copy: false, reason, ..TestOffice::new(&["barn"]) }, Err(away()))
    }

    fn serving(office: TestOffice, answer: Result<(u16, Value), ApiError>) -> Self {
        let mut store = filled_store(&super::PAYLOADS);
        let request = CorrectionRequest {
            author: "Ana".to_owned(),
            reason: "seen".to_owned(),
            idempotency_key: "k".to_owned(),
            channel: "office".to_owned(),
            correction: Correction::MovePen { animal: AnimalId(3), pen: "P2".to_owned() },
        };
        store.correct(&request, at(APPLIED)).unwrap();
        let sites = Arc::new(TestOffice { store: Mutex::new(store), ..office });
        let local = LocalFile::open_in(&MemoryDisk::default()).unwrap();
        let people = Arc::new(People::load(local, clock(), SeededRandomness::new(1)).unwrap());
        let barn = Arc::new(FakeBarn { answer, sent: Mutex::default(), reprocessed: Mutex::default() });
        let (of, by) = (sites.clone(), Browsers::new(people.clone(), 5000));
        let forms = correction_routes(of, clock(), conventions(WeightUnit::Kg), by, barn.clone());
        Self { sites, people, barn, forms }
    }

    /// Shows another copy from now on.
    pub(super) fn show(&self, copy: Store) {
        *self.sites.store.lock().unwrap() = copy;
    }

    /// Records a payload, which follows all others.
    pub(super) fn record(&self, payload: &str) {
        let (raw, origin) = (payload.as_bytes().to_vec(), Origin { reader_group: "main".into(), ..Origin::default() });
        self.sites.store.lock().unwrap().append(&[Incoming { raw, origin, at: at(APPLIED + 1) }]).unwrap();
    }

    pub(super) fn applying() -> Self {
        Self::with(Ok((201, json!({"success": true, "status": "corrected", "sequence": APPLIED}))))
    }

    pub(super) fn refusing(status: u16, error: &str, message: &str) -> Self {
        Self::with(Ok((status, json!({"success": false, "error": error, "message": message}))))
    }

    /// Adds a user, and returns the token of a session of theirs.
    pub(super) async fn add(&self, name: &str, role: Role) -> String {
        let code = self.people.add(&name.parse().unwrap(), role).unwrap();
        let peer = [127, 0, 0, 1].into();
        let chosen = self.people.clone().choose(code.reveal(), "", PASSWORD.to_owned(), peer).await;
        chosen.unwrap().reveal().to_owned()
    }

    pub(super) fn form_token(&self, session: &str) -> String {
        self.people.session(session).unwrap().form_token
    }

    /// Opens a page as the user of a session does.
    pub(super) async fn page(&self, path: &str, session: &str) -> String {
        let browsers = Browsers::new(self.people.clone(), 5000);
        let pages = router(self.sites.clone(), clock(), conventions(WeightUnit::Kg), &browsers);
        let user = self.people.session(session).unwrap();
        super::html_of(&pages.layer(Extension(user)), path).await
    }

    /// Sends a form with these headers besides those of a browser.
    pub(super) async fn send(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> TestResponse {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let form: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.answer(request, Body::from(form.join("&")), headers).await
    }

    /// Opens the path of a form, as the address bar of a browser does.
    pub(super) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> TestResponse {
        self.answer(Request::get(path), Body::empty(), headers).await
    }

    async fn answer(&self, request: Builder, body: Body, headers: &[(&str, &str)]) -> TestResponse {
        let has_accept = headers.iter().any(|(name, _)| *name == "accept");
        let request = if has_accept { request } else { request.header("accept", BROWSER) };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self.forms.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), MAX_PAGE_BYTES).await.unwrap();
        TestResponse { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Sends a form of a session as our own page does.
    pub(super) async fn send_own(&self, path: &str, fields: &[(&str, &str)], session: &str) -> TestResponse {
        let (token, cookie) = (self.form_token(session), format!("__Host-herdlinx-5000={session}"));
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.send(path, &fields, &[OWN, ("cookie", &cookie)]).await
    }

    pub(super) fn sent(&self) -> Vec<(String, CorrectionOrder)> {
        self.barn.sent.lock().unwrap().clone()
    }

    pub(super) fn reprocessed(&self) -> Vec<(String, u64)> {
        self.barn.reprocessed.lock().unwrap().clone()
    }
}

/// A form that moves animal 3.
pub(super) const MOVE: [(&str, &str); 4] =
    [("action", "move_pen"), ("key", "k1"), ("reason", "seen there"), ("pen", "P2")];
pub(super) const PATH: &str = "/animals/3/correct";

/// Catches a form that a viewer finds, or one that a page offers and the barn always refuses.
#[tokio::test]
async fn forms_are_for_those_who_may_correct_and_for_what_is_possible() {
    let office = Office::applying();
    let viewer = office.add("Vera", Role::Viewer).await;
    for path in ["/animals/3", "/batches/by-id/2", "/payloads/4"] {
        assert!(!office.page(path, &viewer).await.contains("/correct\""), "{path}");
    }
    for (name, role) in [("Otto", Role::Operator), ("Ana", Role::Owner)] {
        let session = office.add(name, role).await;
        for (path, actions) in [
            ("/animals/3", &["weigh", "reweigh", "retag", "move_pen", "move_batch", "died", "merge"][..]),
            ("/animals/9", &["merge"]),
            ("/batches/by-id/2", &["edit_batch", "close_batch"]),
            ("/payloads/4", &["void"]),
            ("/payloads/12", &["accept"]),
            ("/payloads/1", &[]),
        ] {
            let page = office.page(path, &session).await;
            let offered: Vec<_> = page.split("name=\"action\" value=\"").skip(1).collect();
            let offered: Vec<_> = offered.iter().map(|rest| rest.split('"').next().unwrap()).collect();
            assert_eq!(offered, actions, "{path}");
            assert_eq!(
                page.matches(&office.form_token(&session)).count(),
                actions.len() + 1,
                "{path}: each, and log-out"
            );
        }
    }
}

#[tokio::test]
async fn the_forms_of_a_page_have_different_keys_and_another_page_has_others() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let page = office.page("/animals/3", &session).await;
        keys.extend(page.split("name=\"key\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 14, "{keys:?}");
    let weighing = "<option value=\"5\">267.3 kg, 2026-01-15 10:04:04</option>";
    let page = office.page("/animals/3", &session).await;
    assert!(page.contains(weighing), "{page}");
}

/// Catches a correction under another name than that of its user, and one that does not lead back to its page.
#[tokio::test]
async fn a_form_is_an_order_of_its_user_and_leads_back_to_its_page() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let fields: Vec<_> = MOVE.into_iter().chain([("author", "Ana"), ("name", "Ana"), ("user", "Ana")]).collect();
    let response = office.send_own(PATH, &fields, &session).await;
    assert_eq!(
        (response.status, response.header(header::LOCATION)),
        (StatusCode::SEE_OTHER, "/animals/3?corrected=15")
    );
    let order = json!({"author": "Otto", "reason": "seen there", "idempotency_key": "k1",
        "correction": {"kind": "move_pen", "animal": 3, "pen": "P2"}});
    let sent = office.sent();
    assert_eq!((sent.len(), sent[0].0.as_str(), json!(sent[0].1)), (1, "barn", order));
    let page = office.page("/animals/3?corrected=15", &session).await;
    assert!(
        page.contains("Applied as <a href=\"/payloads/15\">change 15</a>:</strong> animal 3 moved to pen P2."),
        "{page}"
    );
    assert!(!office.page("/animals/3?corrected=4", &session).await.contains("Applied as"), "that is no correction");
    let named = office.send_own("/sites/barn/animals/3/correct", &MOVE, &session).await;
    assert_eq!(named.header(header::LOCATION), "/sites/barn/animals/3?corrected=15");
}

#[tokio::test(start_paused = true)]
async fn a_correction_is_pending_until_its_change_is_here() {
    let office = Office::with(Ok((201, json!({"success": true, "status": "corrected", "sequence": 99}))));
    let session = office.add("Otto", Role::Operator).await;
    let response = office.send_own("/batches/by-id/2/correct", &[("action", "close_batch"), ("reason", "r")], &session);
    assert_eq!(response.await.header(header::LOCATION), "/batches/by-id/2?corrected=99");
    for path in ["/batches/by-id/2?corrected=99", "/payloads/4?corrected=99", "/animals/3?corrected=99"] {
        let page = office.page(path, &session).await;
        assert!(page.contains("<strong>Pending:</strong> the barn has recorded it as change 99"), "{page}");
    }
}

/// Catches everybody who must not correct: another web page, a key, a viewer, a stolen form, and nobody at all.
#[tokio::test]
async fn nobody_else_corrects() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let other = office.add("Ana", Role::Owner).await;
    let viewer = office.add("Vera", Role::Viewer).await;
    let cookie = format!("__Host-herdlinx-5000={session}");
    let token = office.form_token(&session);
    let form = |token: &'static str| MOVE.into_iter().chain([("form_token", token)]).collect::<Vec<_>>();
    let own: Vec<_> = MOVE.into_iter().chain([("form_token", token.as_str())]).collect();
    for headers in [
        &[("cookie", cookie.as_str())][..],
        &[("cookie", &cookie), ("sec-fetch-site", "cross-site")],
        &[("cookie", &cookie), ("sec-fetch-site", "same-site")],
        &[("cookie", &cookie), ("origin", "https://evil.example"), ("host", "office:5000")],
        &[("cookie", &cookie), OWN, ("x-api-key", "hxb_any")],
        &[OWN, ("authorization", "Bearer hxb_any")],
    ] {
        let response = office.send(PATH, &own, headers).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(!response.body.contains("seen there"), "{headers:?}");
    }
    for token in ["", "0", "<script>"] {
        let response = office.send(PATH, &form(token), &[OWN, ("cookie", &cookie)]).await;
        assert!(response.status == StatusCode::FORBIDDEN && response.body.contains("another session"), "{token}");
        assert!(response.body.contains("value=\"seen there\"") && !response.body.contains("<script>"));
    }
    let with_token_of_another: Vec<_> = own.clone();
    let response =
        office.send(PATH, &with_token_of_another, &[OWN, ("cookie", &format!("__Host-herdlinx-5000={other}"))]).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    let response = office.send_own(PATH, &MOVE, &viewer).await;
    assert!(response.status == StatusCode::FORBIDDEN && response.body.contains("you may look, not correct"));
    for cookie in ["", "__Host-herdlinx-5000=", "__Host-herdlinx-5000=hxs_stolen", "herdlinx=x"] {
        let response = office.send(PATH, &own, &[OWN, ("cookie", cookie), ("accept", "application/json")]).await;
        assert_eq!((response.status, &response.json()["error"]), (StatusCode::UNAUTHORIZED, &json!("unauthorized")));
    }
    assert!(office.sent().is_empty());
}

/// Catches a script in any field, on the form that is shown again, on the log-in page and in a message.
#[tokio::test]
async fn a_script_in_any_field_stays_text() {
    let office = Office::refusing(409, SCRIPT, SCRIPT);
    let session = office.add("Otto", Role::Operator).await;
    let names =
        ["key", "reason", "weight", "weighed_at", "replaces", "tag_kind", "tag", "pen", "batch_number", "absorbed"];
    for (path, action) in [
        (PATH, "weigh"),
        (PATH, "reweigh"),
        (PATH, "retag"),
        (PATH, "move_pen"),
        (PATH, "move_batch"),
        (PATH, "died"),
        (PATH, "merge"),
        (PATH, SCRIPT),
        ("/batches/by-id/2/correct", "edit_batch"),
        ("/batches/by-id/2/correct", "close_batch"),
        ("/payloads/4/correct", "void"),
        ("/payloads/4/correct", "accept"),
        ("/sites/%22%3E%3Cscript%3E/payloads/4/correct", "void"),
        ("/animals/%22%3E%3Cscript%3E/correct", "died"),
    ] {
        let typed = names.into_iter().chain(["notes", "animal", "name"]).map(|name| (name, SCRIPT));
        let fields: Vec<_> = typed.chain([("action", action)]).collect();
        for response in [office.send_own(path, &fields, &session).await, office.send(path, &fields, &[OWN]).await] {
            assert!(response.status.is_client_error(), "{action}: {}", response.status);
            assert!(!without_our_script(&response.body).contains("<script"), "{action}: {}", response.body);
            assert!(response.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
        }
    }
}

/// Catches a form that takes memory, and the longest texts that do not fit.
#[tokio::test]
async fn a_form_is_bounded_and_takes_the_longest_texts() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let (notes, reason) = ("€".repeat(1_000), "é".repeat(200));
    let fields = [("action", "edit_batch"), ("key", "k"), ("reason", reason.as_str()), ("notes", notes.as_str())];
    assert_eq!(office.send_own("/batches/by-id/2/correct", &fields, &session).await.status, StatusCode::SEE_OTHER);
    let long = "n".repeat(30_000);
    let response = office.send_own(PATH, &[("notes", &long)], &session).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Catches a form whose page is from before the second site, and that is lost with what was typed.
#[tokio::test]
async fn a_form_from_before_the_second_site_goes_to_the_first() {
    let office = Office::of(&["barn", "south"], Ok((201, json!({"success": true, "sequence": APPLIED}))));
    let session = office.add("Otto", Role::Operator).await;
    let answer = office.send_own(PATH, &MOVE, &session).await;
    let to = format!("/sites/barn/animals/3?corrected={APPLIED}");
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, to.as_str()));
    assert_eq!(office.sent()[0].0, "barn");
}
