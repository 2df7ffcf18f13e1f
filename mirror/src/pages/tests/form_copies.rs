//! Forms of pages that stayed open while another copy took the place of their own.

use super::forms::{MOVE, OWN, Office, PASSWORD, PATH};
use super::{PAYLOADS, START_US, at, filled_store};
use crate::people::Role;
use axum::http::{StatusCode, header};
use herd::change::Origin;
use herd::clock::ClockReading;
use herd::decide::Rules;
use herd::position::StoreId;
use herd::store::{Incoming, MemoryDisk, Store};
use serde_json::json;
use service::sync::NotServedError;

const READ: &str = "/payloads/4";
const FORM: &str = "/payloads/4/correct";

/// Returns a hidden field of the first form with it.
fn hidden(page: &str, name: &str) -> String {
    let value = page.split(&format!("type=\"hidden\" name=\"{name}\" value=\"")).nth(1);
    value.unwrap_or_else(|| panic!("no {name}: {page}")).split('"').next().unwrap().to_owned()
}

/// Returns a barn of another history with the same payloads, and one more.
fn other_barn() -> Store {
    let clock = ClockReading { received_at_us: START_US, synchronized: true, boot: 1, since_boot_ms: 0 };
    let mut store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([8; 16])).unwrap();
    for (payload, at) in PAYLOADS.iter().chain([&"hxb:LOT9:LF91:UHF91"]).zip((1..).map(at)) {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        store.append(&[Incoming { raw: payload.as_bytes().to_vec(), origin, at }]).unwrap();
    }
    store
}

/// Returns the same history up to change 10, and another one after it.
fn fork() -> Store {
    let other = ["hxb:LOT9:LF91:UHF91", "hxb:LOT9:LF92:UHF92", "hxb:LOT9:LF93:UHF93", "hxb:LOT9:LF94:UHF94"];
    let more = (95..99).map(|n| format!("hxb:LOT9:LF{n}:UHF{n}")).collect::<Vec<_>>();
    let payloads: Vec<_> = PAYLOADS[..9].iter().copied().chain(other).chain(more.iter().map(String::as_str)).collect();
    filled_store(&payloads)
}

/// Catches a form that voids the read of another animal, because another copy or another site is behind the number now, and one
/// whose user has to type again.
#[tokio::test]
async fn a_form_of_another_history_is_not_sent_and_is_shown_again() {
    for other in [fork(), other_barn()] {
        let office = Office::applying();
        let session = office.add("Otto", Role::Operator).await;
        let copy = hidden(&office.page(READ, &session).await, "copy");
        office.show(other);
        let fields = |copy| [("action", "void"), ("key", "k1"), ("reason", "seen twice"), ("copy", copy)];
        let answer = office.send_own(FORM, &fields(&copy), &session).await;
        assert_eq!((answer.status, office.sent().len()), (StatusCode::CONFLICT, 0));
        for shown in ["This page is of another copy of the barn", "value=\"seen twice\"", "name=\"key\" value=\"k1\""] {
            assert!(answer.body.contains(shown), "{shown}: {}", answer.body);
        }
        // Its user has looked again.
        let copy = hidden(&answer.body, "copy");
        let sent = office.send_own(FORM, &fields(&copy), &session).await;
        assert_eq!((sent.status, office.sent().len()), (StatusCode::SEE_OTHER, 1));
    }
}

/// Catches forms that nobody can send while reads arrive.
#[tokio::test]
async fn a_copy_that_has_only_grown_takes_the_form() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let copy = hidden(&office.page(READ, &session).await, "copy");
    office.record("hxb:LOT9:LF91:UHF91");
    let fields = [("action", "void"), ("key", "k1"), ("reason", "seen twice"), ("copy", copy.as_str())];
    assert_eq!(office.send_own(FORM, &fields, &session).await.status, StatusCode::SEE_OTHER);
    assert_eq!(office.sent().len(), 1);
}

/// Catches a weight of another animal that a form corrects because the number was chosen in the other copy, and an answer to a
/// program that it cannot tell from another refusal.
#[tokio::test]
async fn a_choice_of_another_copy_is_not_kept_and_programs_get_a_code() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let copy = hidden(&office.page("/animals/3", &session).await, "copy");
    office.show(fork());
    let fields = [
        ("action", "reweigh"),
        ("key", "k1"),
        ("reason", "scale was off"),
        ("replaces", "5"),
        ("weight", "301.5"),
        ("copy", copy.as_str()),
    ];
    let answer = office.send_own(PATH, &fields, &session).await;
    assert!(answer.body.contains("value=\"301.5\"") && !answer.body.contains("<option"), "{}", answer.body);
    let (token, cookie) = (office.form_token(&session), format!("__Host-herdlinx-5000={session}"));
    let fields: Vec<_> = fields.into_iter().chain([("form_token", token.as_str())]).collect();
    let answer = office.send(PATH, &fields, &[OWN, ("cookie", &cookie), ("accept", "application/json")]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (StatusCode::CONFLICT, &json!("other_copy")));
    assert!(office.sent().is_empty());
}

/// Catches a log-in that lets a form go to another copy than that of its page.
#[tokio::test]
async fn a_log_in_keeps_the_copy_of_a_form() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let copy = hidden(&office.page("/animals/3", &session).await, "copy");
    office.people.log_out(&session).unwrap();
    let fields: Vec<_> = MOVE.into_iter().chain([("copy", copy.as_str())]).collect();
    let page = office.send(PATH, &fields, &[OWN]).await;
    assert_eq!((page.status, hidden(&page.body, "copy")), (StatusCode::UNAUTHORIZED, copy.clone()));
    let log_in: Vec<_> = fields.iter().copied().chain([("name", "otto"), ("password", PASSWORD)]).collect();
    let response = office.send(PATH, &log_in, &[OWN]).await;
    let cookie = response.header(header::SET_COOKIE).split_once("; ").unwrap().0.to_owned();
    office.show(fork());
    let shown = office.open(PATH, &[("cookie", &cookie)]).await;
    assert_eq!(hidden(&shown.body, "copy"), copy);
    let session = cookie.strip_prefix("__Host-herdlinx-5000=").unwrap();
    let answer = office.send_own(PATH, &fields, session).await;
    assert_eq!((answer.status, office.sent().len()), (StatusCode::CONFLICT, 0));
}

/// Catches a form that is sent although nobody can tell which copy it is of, and a text of a form that becomes a script.
#[tokio::test]
async fn a_form_that_cannot_be_compared_is_refused() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    for copy in ["7", "\"><script>alert(1)</script>", "0707:4:00"] {
        let fields: Vec<_> = MOVE.into_iter().chain([("copy", copy)]).collect();
        let answer = office.send_own(PATH, &fields, &session).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{copy}");
        assert!(!super::without_our_script(&office.send(PATH, &fields, &[OWN]).await.body).contains("<script"));
    }
    let copy = hidden(&office.page("/animals/3", &session).await, "copy");
    let opening = Office::opening(NotServedError::Opening("35 % done".to_owned()));
    let session = opening.add("Otto", Role::Operator).await;
    let fields: Vec<_> = MOVE.into_iter().chain([("copy", copy.as_str())]).collect();
    let answer = opening.send_own(PATH, &fields, &session).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("35 % done") && answer.body.contains("value=\"seen there\""), "{}", answer.body);
    assert!(office.sent().is_empty() && opening.sent().is_empty());
}
