//! Forms of users whose session has ended.

use super::forms::{MOVE, OWN, Office, PASSWORD, PATH};
use crate::people::Role;
use axum::http::{StatusCode, header};
use serde_json::json;

/// Catches texts that an expired session takes away, and a correction that nobody has looked at after the log-in.
#[tokio::test]
async fn what_was_typed_survives_an_expired_session() {
    let office = Office::applying();
    let session = office.add("Otto", Role::Operator).await;
    let old_token = office.form_token(&session);
    office.people.log_out(&session).unwrap();
    let cookie = format!("__Host-herdlinx-5000={session}");
    let fields: Vec<_> = MOVE.into_iter().chain([("form_token", old_token.as_str())]).collect();
    let response = office.send(PATH, &fields, &[OWN, ("cookie", &cookie)]).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert!(response.headers.contains_key(header::WWW_AUTHENTICATE));
    let kept = |body: &str| {
        let named =
            |(name, value): (&str, &str)| body.contains(&format!("type=\"hidden\" name=\"{name}\" value=\"{value}\""));
        body.contains("method=\"post\" action=\"/animals/3/correct\"") && MOVE.into_iter().all(named)
    };
    assert!(kept(&response.body) && !response.body.contains(&old_token), "{}", response.body);

    let log_in = |password: &'static str| MOVE.into_iter().chain([("name", "otto"), ("password", password)]);
    let response = office.send(PATH, &log_in("a wrong password").collect::<Vec<_>>(), &[OWN]).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert!(kept(&response.body) && !response.body.contains("a wrong password"), "{}", response.body);
    let response = office.send(PATH, &log_in(PASSWORD).collect::<Vec<_>>(), &[OWN]).await;
    assert_eq!((response.status, response.header(header::LOCATION)), (StatusCode::SEE_OTHER, PATH));
    let cookie = response.header(header::SET_COOKIE).split_once("; ").unwrap().0.to_owned();
    let response = office.open(PATH, &[("cookie", &cookie)]).await;
    assert!(response.status == StatusCode::OK && response.body.contains("Nothing was sent yet"), "{}", response.body);
    assert!(office.sent().is_empty(), "its user sends it");
    let session = cookie.strip_prefix("__Host-herdlinx-5000=").unwrap();
    assert!(response.body.contains(&office.form_token(session)) && response.body.contains("value=\"seen there\""));
    assert!(!response.body.contains(PASSWORD));
    assert_eq!(office.send_own(PATH, &MOVE, session).await.status, StatusCode::SEE_OTHER);
    assert_eq!(office.sent().len(), 1);
    let response = office.open(PATH, &[("cookie", &cookie)]).await;
    assert_eq!(response.header(header::LOCATION), "/animals/3", "what was sent is not shown again");
}

/// Catches a log-in page that leads away from the site of the form, where the texts would be lost.
#[tokio::test]
async fn a_log_in_at_a_form_stays_at_its_site() {
    let path = "/sites/barn/animals/3/correct";
    let office = Office::of(&["barn", "south"], Ok((201, json!({"success": true, "sequence": 15}))));
    office.add("Otto", Role::Operator).await;
    let page = office.send(path, &MOVE, &[OWN]).await;
    let action = page.body.split("<form class=\"entry\" method=\"post\" action=\"").nth(1).unwrap();
    assert_eq!((page.status, action.split('"').next().unwrap()), (StatusCode::UNAUTHORIZED, path));
    let fields: Vec<_> = MOVE.into_iter().chain([("name", "otto"), ("password", PASSWORD)]).collect();
    let response = office.send(path, &fields, &[OWN]).await;
    assert_eq!(response.header(header::LOCATION), path);
    let cookie = response.header(header::SET_COOKIE).split_once("; ").unwrap().0.to_owned();
    let elsewhere = office.open("/sites/south/animals/3/correct", &[("cookie", &cookie)]).await;
    assert_eq!(elsewhere.header(header::LOCATION), "/sites/south/animals/3", "the other site has another animal 3");
    let shown = office.open(path, &[("cookie", &cookie)]).await;
    assert!(
        shown.body.contains("value=\"seen there\"") && shown.body.contains("action=\"/sites/barn/animals/3/correct\"")
    );
}

/// Catches an answer to a name and a password that a browser could send again after the log-out, and texts that somebody
/// else is shown.
#[tokio::test]
async fn no_page_answers_a_form_that_carries_a_right_password() {
    let office = Office::applying();
    let other = office.add("Ana", Role::Owner).await;
    for (name, role) in [("otto", Role::Operator), ("vera", Role::Viewer)] {
        office.add(name, role).await;
        for fields in [&MOVE[..], &[("action", "fly")]] {
            let fields: Vec<_> = fields.iter().copied().chain([("name", name), ("password", PASSWORD)]).collect();
            let response = office.send(PATH, &fields, &[OWN]).await;
            assert_eq!((response.status, response.body.as_str()), (StatusCode::SEE_OTHER, ""), "{name}");
        }
    }
    let other = format!("__Host-herdlinx-5000={other}");
    for cookie in [other.as_str(), "__Host-herdlinx-5000=hxs_stolen", ""] {
        let response = office.open(PATH, &[("cookie", cookie)]).await;
        assert_eq!(response.header(header::LOCATION), "/animals/3");
    }
    assert!(office.sent().is_empty());
}

#[tokio::test]
async fn a_viewer_who_logs_in_at_a_form_is_in_and_corrects_nothing() {
    let office = Office::applying();
    office.add("Vera", Role::Viewer).await;
    let fields: Vec<_> = MOVE.into_iter().chain([("name", "vera"), ("password", PASSWORD)]).collect();
    let response = office.send(PATH, &fields, &[OWN]).await;
    let cookie = response.header(header::SET_COOKIE).split_once("; ").unwrap().0.to_owned();
    let response = office.open(PATH, &[("cookie", &cookie)]).await;
    assert_eq!((response.status, office.sent().len()), (StatusCode::FORBIDDEN, 0));
    assert!(response.body.contains("you may look, not correct"), "{}", response.body);
}

/// Catches the path of a form in a bookmark or a history that shows an error instead of the page.
#[tokio::test]
async fn the_path_of_a_form_leads_to_its_page() {
    let office = Office::applying();
    for page in ["/animals/3", "/batches/by-id/2", "/payloads/4", "/sites/barn/payloads/4"] {
        let response = office.open(&format!("{page}/correct"), &[]).await;
        assert_eq!((response.status, response.header(header::LOCATION)), (StatusCode::SEE_OTHER, page));
    }
    assert_eq!(office.open("/animals/x/correct", &[]).await.status, StatusCode::BAD_REQUEST);
}
