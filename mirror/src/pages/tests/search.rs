//! Search: all meanings of what people have in their hands.
//!
//! Catches: an animal that is found by one spelling of its tag and not by another, and a meaning that another one hides.

use super::{BROWSER, filled_store, get, html_of, json_of, office_with};
use axum::Router;
use axum::http::{StatusCode, header};
use serde_json::json;

const EPC: &str = "E2801160600002044310B2E2";

/// An animal with both tags, a visual tag and a lid, in a lot and a pen, among others.
fn yard() -> Router {
    let payloads = [
        "event:hxbind000001|funder:Prairie|lot:NORTH 7|pen:P 12|lid:41|sex:Steer|visual_id:H 006",
        "event:hxbpai000001|lid:41|lf:124000224161433|epc:E2801160600002044310B2E2|weight:245.5",
        "event:hxbind000002|lot:161433|pen:H006|lid:42|visual_id:H007",
        "event:hxbpai000002|lid:42|lf:982000196588496",
        "event:hxbrep000001|lid:42|old_lf:982000196588496|new_lf:982000196588500",
        "hxb:NORTH 7:124000224161433:STRANGE1",
    ];
    office_with(filled_store(&payloads), &["barn"], true)
}

async fn leads_to(office: &Router, q: &str, path: &str) {
    for accept in [BROWSER, "application/json"] {
        let response = get(office, &format!("/search?q={q}"), accept).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER, "{q}: {}", response.body);
        assert_eq!(response.header(header::LOCATION), path, "{q}");
    }
}

#[tokio::test]
async fn an_animal_is_found_in_any_spelling_of_its_tags_and_by_their_last_signs() {
    let office = yard();
    let spellings = [
        "124000224161433",
        "124+000+224161433",
        "124-000-224161433",
        "124.000.224161433",
        "0124000224161433",
        "LA+124000224161433",
        "224161433",
        "61433",
        "1433",
        EPC,
        "e280-1160-6000-0204-4310-b2e2",
        "EPC:E2801160600002044310B2E2",
        "4310B2E2",
        "b2e2",
        "STRANGE1",
        "NGE1",
    ];
    for q in spellings {
        leads_to(&office, q, "/animals/2").await;
    }
    leads_to(&office, "982000196588496", "/animals/4").await;
    leads_to(&office, "41", "/animals/2").await;
    leads_to(&office, "h007", "/animals/4").await;
    leads_to(&office, "north7", "/lots/NORTH%207").await;
    leads_to(&office, "p12", "/animals?show=yard&pen=P%2012").await;
}

#[tokio::test]
async fn all_meanings_are_listed_with_what_they_matched() {
    let office = yard();
    let found = json_of(&office, "/search?q=161433").await;
    assert_eq!(found["animals"][0]["id"], 2);
    assert_eq!(found["animals"][0]["matched"], json!(["end of current LF tag 124000224161433"]));
    assert_eq!(found["groups"][0]["kind"], "lot");
    assert_eq!(found["groups"][0]["path"], "/lots/161433");
    // A visual tag and a pen.
    let found = json_of(&office, "/search?q=H006").await;
    assert_eq!((&found["animals"][0]["matched"], &found["groups"][0]["kind"]), (&json!(["visual tag"]), &json!("pen")));
}

/// Catches a page that hides why an animal is on it.
#[tokio::test]
async fn a_page_of_meanings_names_each() {
    let page = html_of(&yard(), "/search?q=161433").await;
    for part in ["end of current LF tag 124000224161433", "/animals/2", "H 006", "/lots/161433", "Lot"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn past_and_unconfirmed_tags_are_said_to_be_so() {
    let payloads = [
        "hxb:A:982000196588496:U1",
        "event:hxbrep000001|old_lf:982000196588496|new_lf:982000196588500|epc:U1",
        "hxb:B:982000196588511:U2",
        "hxb:B:124000224161433:U2",
        "hxb:C:124000224161433:U3",
    ];
    let office = office_with(filled_store(&payloads), &["barn"], true);
    let found = json_of(&office, "/search?q=124000224161433").await;
    let matched: Vec<_> = (0..2).map(|n| found["animals"][n]["matched"][0].as_str().unwrap().to_owned()).collect();
    assert_eq!(found["animals_found"], 2, "{found}");
    assert!(matched.contains(&"unconfirmed LF tag 124000224161433".to_owned()), "{matched:?}");
    assert!(matched.contains(&"current LF tag 124000224161433".to_owned()), "{matched:?}");
    leads_to(&office, "96588496", "/animals/2").await;
}
