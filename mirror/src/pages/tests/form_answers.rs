//! Answers of a barn to a form, in the words of the page.

use super::forms::{MOVE, Office, PATH};
use crate::people::Role;
use axum::http::{StatusCode, header};
use serde_json::json;
use service::door::reply::ApiError;

/// Catches texts that are lost with a refusal, words of the barn that nobody sees, and a retry that counts twice.
#[tokio::test]
async fn a_refused_form_is_shown_again_with_the_barns_words_and_its_key() {
    let office = Office::refusing(409, "not_on_yard", "animal 3 is not on the yard");
    let session = office.add("Otto", Role::Operator).await;
    let fields =
        [("action", "reweigh"), ("key", "k1"), ("reason", "scale was off"), ("replaces", "7"), ("weight", "301.5")];
    let response = office.send_own(PATH, &fields, &session).await;
    assert_eq!(response.status, StatusCode::CONFLICT);
    for shown in [
        "role=\"alert\">Animal 3 is not on the yard.</p>",
        "action=\"/animals/3/correct\"",
        "name=\"key\" value=\"k1\"",
        "value=\"scale was off\"",
        "value=\"301.5\"",
        "<option value=\"7\" selected>that of change 7</option>",
    ] {
        assert!(response.body.contains(shown), "{shown}: {}", response.body);
    }
}

/// Catches somebody who is asked for an idempotency key, and one who records a correction twice without knowing.
#[tokio::test]
async fn a_form_that_is_recorded_already_says_so_before_it_gets_a_new_key() {
    let message = "idempotency key \"k1\" belongs to another correction, change 12; use a new key for each correction";
    let body = json!({"success": false, "error": "key_reused", "message": message});
    let mut of_change = body.clone();
    of_change["sequence"] = json!(12);
    for (answer, recorded) in [
        (
            of_change,
            "recorded already as <a href=\"/payloads/12\">change 12</a>. Sending now makes a second correction.",
        ),
        (body, "recorded already. Sending now makes a second correction."),
    ] {
        let office = Office::with(Ok((409, answer)));
        let session = office.add("Otto", Role::Operator).await;
        let body = office.send_own(PATH, &MOVE, &session).await.body;
        assert!(body.contains(&format!("What you sent from this form before is {recorded}")), "{body}");
        assert!(!body.contains("idempotency"), "{body}");
        assert!(body.contains("value=\"form-") && !body.contains("value=\"k1\"") && body.contains("value=\"P2\""));
    }
}

const UNSURE: &str = "It may have been recorded. Send this form again unchanged: it counts once.";

/// Catches a success that nobody can be sure of, and a page without words.
#[tokio::test]
async fn an_answer_of_another_shape_is_a_bad_answer_and_the_form_keeps_its_key() {
    for (status, answer) in [
        (200, json!({"success": true})),
        (201, json!({"sequence": "15"})),
        (200, json!([])),
        (200, json!({"success": false, "error": "e", "message": "m"})),
        (409, json!({"success": false, "error": "not_on_yard"})),
        (500, json!({"oops": true})),
        (404, json!("gone")),
    ] {
        let office = Office::with(Ok((status, answer.clone())));
        let session = office.add("Otto", Role::Operator).await;
        let response = office.send_own(PATH, &MOVE, &session).await;
        assert_eq!(response.status, StatusCode::BAD_GATEWAY, "{answer}");
        assert!(response.body.contains(UNSURE) && response.body.contains("value=\"k1\""), "{}", response.body);
    }
}

/// Catches words for programs, such as the name of a key that nobody sees.
#[tokio::test]
async fn a_barn_that_does_not_answer_is_told_in_words_for_people() {
    use crate::corrections::response::{away, bad_answer, no_answer};
    for (error, words) in
        [(no_answer(), UNSURE), (bad_answer(), UNSURE), (away(), "The barn cannot be reached. Nothing was sent.")]
    {
        let office = Office::with(Err(error.clone()));
        let session = office.add("Otto", Role::Operator).await;
        let response = office.send_own(PATH, &MOVE, &session).await;
        assert_eq!(response.status, error.status);
        assert!(response.body.contains(words) && !response.body.contains("idempotency"), "{}", response.body);
        assert!(response.body.contains("value=\"k1\"") && response.body.contains("value=\"seen there\""));
    }
}

/// Catches a form that is lost while the barn is away, or with a text that means no correction.
#[tokio::test]
async fn what_was_typed_survives_a_barn_that_is_away_and_a_wrong_text() {
    let office = Office::with(Err(ApiError::unavailable("busy", "too many orders are being forwarded", 1)));
    let session = office.add("Otto", Role::Operator).await;
    let response = office.send_own(PATH, &MOVE, &session).await;
    assert_eq!((response.status, response.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(
        response.body.contains("Too many orders are being forwarded.")
            && response.body.contains("value=\"seen there\"")
    );
    let fields = [("action", "weigh"), ("key", "k1"), ("reason", "r"), ("weight", "heavy"), ("weighed_at", "noon")];
    let response = office.send_own(PATH, &fields, &session).await;
    assert_eq!((response.status, office.sent().len()), (StatusCode::BAD_REQUEST, 1), "the barn is not asked");
    assert!(response.body.contains("is not a weight") && response.body.contains("value=\"noon\""), "{}", response.body);
}
