//! The form on the list of reads that has the barn reprocess what it rejected.

use super::forms::{OWN, Office};
use crate::corrections::response::away;
use crate::people::Role;
use axum::http::{StatusCode, header};
use serde_json::json;
use service::door::reply::ApiError;

const PATH: &str = "/payloads/reprocess";
const REJECTED: &str = "/payloads?status=error";

fn judging(accepted: &[u64], next: Option<u64>) -> Office {
    let body = json!({"success": true, "judged": 3, "processed": accepted.len(), "accepted": accepted, "next": next, "message": ""});
    Office::with(Ok((200, body)))
}

/// Catches a form that a viewer finds, that stands beside reads of all kinds, or that a list without one still offers.
#[tokio::test]
async fn the_form_stands_with_the_rejected_reads_for_those_who_may_correct() {
    let office = judging(&[], None);
    let viewer = office.add("Vera", Role::Viewer).await;
    assert!(!office.page(REJECTED, &viewer).await.contains(PATH));
    for (name, role) in [("Otto", Role::Operator), ("Ana", Role::Owner)] {
        let session = office.add(name, role).await;
        let page = office.page(REJECTED, &session).await;
        assert!(page.contains(&format!("action=\"{PATH}\"")), "{page}");
        assert!(page.contains("name=\"after\" value=\"0\"") && page.contains(&office.form_token(&session)), "{page}");
        for other in ["/payloads", "/payloads?status=processed"] {
            assert!(!office.page(other, &session).await.contains(PATH), "{other}");
        }
    }
}

/// Catches figures that are not the barn's, events that nobody can open, and a rest that is never judged.
#[tokio::test]
async fn the_answer_has_the_barns_figures_the_new_events_and_a_form_for_the_rest() {
    let office = judging(&[4, 12], Some(1_234));
    let session = office.add("Otto", Role::Operator).await;
    let response = office.send_own(PATH, &[("after", "0")], &session).await;
    assert_eq!(response.status, StatusCode::OK);
    for shown in [
        "3 rejected payloads were reprocessed",
        "2 are events now",
        "href=\"/payloads/4\"",
        "href=\"/payloads/12\"",
        "name=\"after\" value=\"1234\"",
        "href=\"/payloads?status=error\"",
    ] {
        assert!(response.body.contains(shown), "{shown}: {}", response.body);
    }
    office.send_own("/sites/barn/payloads/reprocess", &[("after", "1234")], &session).await;
    assert_eq!(office.reprocessed(), [("barn".to_owned(), 0), ("barn".to_owned(), 1_234)]);
    let office = judging(&[], None);
    let session = office.add("Otto", Role::Operator).await;
    let response = office.send_own(PATH, &[], &session).await;
    assert!(
        response.body.contains("0 are events now") && !response.body.contains("name=\"after\""),
        "{}",
        response.body
    );
}

/// Catches everybody who must not reprocess: another web page, a key, a viewer, a stolen form, and nobody at all.
#[tokio::test]
async fn nobody_else_reprocesses() {
    let office = judging(&[], None);
    let (viewer, session) = (office.add("Vera", Role::Viewer).await, office.add("Otto", Role::Operator).await);
    let (token, cookie) = (office.form_token(&session), format!("__Host-herdlinx-5000={session}"));
    let own = [("form_token", token.as_str())];
    assert_eq!(office.send_own(PATH, &[], &viewer).await.status, StatusCode::FORBIDDEN);
    for headers in [
        &[("cookie", cookie.as_str())][..],
        &[("cookie", &cookie), ("sec-fetch-site", "cross-site")],
        &[("cookie", &cookie), OWN, ("x-api-key", "hxb_any")],
    ] {
        assert_eq!(office.send(PATH, &own, headers).await.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let stolen = office.send(PATH, &[("form_token", "another")], &[OWN, ("cookie", &cookie)]).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN);
    let nobody = office.send(PATH, &own, &[OWN]).await;
    let to = "/login?next=%2Fpayloads%3Fstatus%3Derror";
    assert_eq!((nobody.status, nobody.header(header::LOCATION)), (StatusCode::SEE_OTHER, to));
    let program = office.send(PATH, &own, &[OWN, ("accept", "application/json")]).await;
    assert_eq!(program.status, StatusCode::UNAUTHORIZED);
    assert_eq!(office.reprocessed(), []);
    assert_eq!(office.open(PATH, &[]).await.header(header::LOCATION), REJECTED, "the address alone does nothing");
}

/// Catches an answer to a form that a browser replaces by a `GET` of its path, with another page or none.
#[tokio::test]
async fn a_form_that_comes_at_a_bad_time_is_worth_a_retry_that_no_browser_makes_by_itself() {
    let office = Office::with(Err(ApiError::unavailable("busy", "too many orders are being forwarded", 1)));
    let session = office.add("Otto", Role::Operator).await;
    let response = office.send_own(PATH, &[], &session).await;
    assert_eq!((response.status, response.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(response.body.contains("oo many orders are being forwarded"), "{}", response.body);
    assert!(!response.headers.contains_key(header::REFRESH), "{:?}", response.headers);
}

/// Catches a barn that is away, or refuses, and a page that says nothing of it.
#[tokio::test]
async fn a_barn_that_does_not_do_it_is_named_with_the_reason() {
    for (answer, status, shown) in [
        (Err(away()), StatusCode::SERVICE_UNAVAILABLE, "Nothing was sent"),
        (
            Ok((503, json!({"success": false, "error": "disk_full", "message": "the disk is full"}))),
            StatusCode::SERVICE_UNAVAILABLE,
            "the disk is full",
        ),
        (Ok((200, json!({"judged": "many"}))), StatusCode::BAD_GATEWAY, "cannot be read"),
        (Ok((500, json!([]))), StatusCode::BAD_GATEWAY, "cannot be read"),
    ] {
        let office = Office::with(answer);
        let session = office.add("Otto", Role::Operator).await;
        let response = office.send_own(PATH, &[], &session).await;
        assert_eq!(response.status, status, "{shown}");
        assert!(response.body.contains(shown), "{shown}: {}", response.body);
    }
}
