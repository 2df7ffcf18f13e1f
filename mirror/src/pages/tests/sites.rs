use super::{BROWSER, ask, office, office_of};
use axum::http::{StatusCode, header};
use serde_json::json;

#[tokio::test]
async fn with_one_site_every_page_stands_with_and_without_its_prefix() {
    for path in ["", "/batches", "/batches/LOT1", "/animals/3", "/payloads/2", "/status", "/office/api/sync-status"] {
        let own = ask(&office(), &format!("/sites/barn{path}"), "application/json").await;
        assert_eq!(own.status, StatusCode::OK, "{path}: {}", own.body);
        if path != "/office/api/sync-status" {
            let bare = ask(&office(), if path.is_empty() { "/" } else { path }, "application/json").await;
            assert_eq!(own.json(), bare.json(), "{path}");
        }
    }
}

#[tokio::test]
async fn links_stay_within_the_site() {
    let office = office_of(&["north barn", "south"], true);
    let page = ask(&office, "/sites/north%20barn/batches", BROWSER).await;
    assert_eq!(page.status, StatusCode::OK);
    for link in ["/sites/north%20barn/animals", "/sites/north%20barn/batches/by-id/2", "/sites/north%20barn/search"] {
        assert!(page.body.contains(&format!("\"{link}\"")), "{link}: {}", page.body);
    }
    let found = ask(&office, "/sites/north%20barn/search?q=LF1", BROWSER).await;
    assert_eq!(found.header(header::LOCATION), "/sites/north%20barn/animals/9");
}

#[tokio::test]
async fn with_several_sites_the_first_page_lists_them_and_others_say_which_there_are() {
    let office = office_of(&["north barn", "south"], true);
    let first = ask(&office, "/", BROWSER).await;
    assert!(first.body.contains("href=\"/sites/north%20barn\"") && first.body.contains("href=\"/sites/south\""));
    assert_eq!(ask(&office, "/", "application/json").await.json()["sites"][1]["name"], "south");
    let bare = ask(&office, "/batches", "application/json").await;
    assert_eq!(bare.status, StatusCode::NOT_FOUND);
    assert_eq!(bare.json()["message"], "name the site, one of /sites/north%20barn, /sites/south");
    assert_eq!(ask(&office, "/sites/south/batches", "application/json").await.status, StatusCode::OK);
    let sums = ask(&office, "/office/api/sync-status", "application/json").await.json();
    assert_eq!((&sums["total_syncs"], &sums["sites"][0]["total_syncs"]), (&json!(200), &json!(100)));
}

#[tokio::test]
async fn a_site_that_is_not_paired_is_not_found() {
    for path in ["/sites/else", "/sites/else/batches", "/sites/else/office/api/sync-status"] {
        let answer = ask(&office(), path, "application/json").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.json()["message"].as_str().unwrap().contains("\"else\""), "{path}");
    }
}

#[tokio::test]
async fn without_a_site_the_first_page_says_how_to_pair_one() {
    let none = office_of(&[], false);
    assert!(ask(&none, "/", BROWSER).await.body.contains("herdlinx-mirror add"));
    assert_eq!(ask(&none, "/batches", "application/json").await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&none, "/office/api/sync-status", "*/*").await.json()["running"], false);
}
