use super::{BROWSER, get, html_of, json_of, office, office_of, office_preparing, office_reporting};
use crate::sites::PreparedSummary;
use axum::http::{StatusCode, header};
use herd::wire::HealthFinding;
use serde_json::json;

#[tokio::test]
async fn with_one_site_every_page_exists_with_and_without_the_prefix() {
    for path in ["", "/batches", "/batches/LOT1", "/animals/3", "/payloads/2", "/status", "/office/api/sync-status"] {
        let own = get(&office(), &format!("/sites/barn{path}"), "application/json").await;
        assert_eq!(own.status, StatusCode::OK, "{path}: {}", own.body);
        if path != "/office/api/sync-status" {
            let bare = get(&office(), if path.is_empty() { "/" } else { path }, "application/json").await;
            assert_eq!(own.json(), bare.json(), "{path}");
        }
    }
}

#[tokio::test]
async fn links_stay_within_the_site() {
    let office = office_of(&["north barn", "south"], true);
    let page = get(&office, "/sites/north%20barn/batches", BROWSER).await;
    assert_eq!(page.status, StatusCode::OK);
    for link in ["/sites/north%20barn/animals", "/sites/north%20barn/batches/by-id/2", "/sites/north%20barn/search"] {
        assert!(page.body.contains(&format!("\"{link}\"")), "{link}: {}", page.body);
    }
    let found = get(&office, "/sites/north%20barn/search?q=LF1", BROWSER).await;
    assert_eq!(found.header(header::LOCATION), "/sites/north%20barn/animals/9");
}

#[tokio::test]
async fn with_several_sites_the_first_page_lists_them_and_programs_are_asked_for_one() {
    let office = office_of(&["north barn", "south"], true);
    let first = get(&office, "/", BROWSER).await;
    assert!(first.body.contains("href=\"/sites/north%20barn\"") && first.body.contains("href=\"/sites/south\""));
    assert_eq!(get(&office, "/", "application/json").await.json()["sites"][1]["name"], "south");
    let bare = get(&office, "/batches", "application/json").await;
    assert_eq!(bare.status, StatusCode::NOT_FOUND);
    assert_eq!(bare.json()["message"], "name the site, one of /sites/north%20barn, /sites/south");
    assert_eq!(get(&office, "/sites/south/batches", "application/json").await.status, StatusCode::OK);
    let sums = get(&office, "/office/api/sync-status", "application/json").await.json();
    assert_eq!((&sums["total_syncs"], &sums["sites"][0]["total_syncs"]), (&json!(200), &json!(100)));
}

/// Catches an office that says "live" of a barn that reports a failure, on any page or in any JSON.
#[tokio::test]
async fn a_barn_that_reports_a_failure_is_nowhere_called_live() {
    let finding = |failing| HealthFinding { part: "reads".into(), failing, text: "no read <was> taken".into() };
    let unwell = office_reporting(&["barn"], finding(true));
    for path in ["/", "/status", "/animals"] {
        let page = html_of(&unwell, path).await;
        assert!(page.contains("Barn unwell") && !page.contains(">Live<"), "{path}: {page}");
        let says = page.contains("Connected, but the barn reports (reads):</strong> no read &#60;was&#62; taken");
        assert_eq!(says, path == "/status", "{path}: {page}");
        let says = page.contains("connected, but the barn reports: reads: no read &#60;was&#62; taken");
        assert_eq!(says, path == "/", "{path}: {page}");
    }
    let trouble = "connected, but the barn reports: reads: no read <was> taken";
    for status in
        [json_of(&unwell, "/office/api/sync-status").await["sites"][0].clone(), json_of(&unwell, "/status").await]
    {
        let finding = json!([{"part": "reads", "failing": true, "text": "no read <was> taken"}]);
        assert_eq!((&status["link"], &status["barn_trouble"]), (&json!("unwell"), &json!(trouble)));
        assert_eq!(status["barn_findings"], finding);
    }
    let list = html_of(&office_reporting(&["north", "south"], finding(true)), "/").await;
    assert_eq!(list.matches("connected, but the barn reports: reads").count(), 2, "{list}");

    let noted = html_of(&office_reporting(&["barn"], finding(false)), "/status").await;
    assert!(noted.contains(">Live<") && noted.contains("The barn notes (reads):"), "{noted}");
}

/// Catches a site without contact that hides behind one that is well.
#[tokio::test]
async fn above_several_sites_stands_the_oldest_contact() {
    let status = async |sites: &[&'static str]| {
        get(&office_of(sites, true), "/office/api/sync-status", "application/json").await.json()
    };
    let two = status(&["north", "south"]).await;
    assert_eq!((&two["last_sync_time"], &two["running"]), (&json!("2024-01-15T09:35:20.000Z"), &json!(true)));
    assert_eq!(status(&["north", "new", "south"]).await["last_sync_time"], json!(null));
    assert_eq!(status(&[]).await["last_sync_time"], json!(null));
}

#[tokio::test]
async fn an_unpaired_site_is_not_found() {
    for path in ["/sites/else", "/sites/else/batches", "/sites/else/office/api/sync-status"] {
        let response = get(&office(), path, "application/json").await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}");
        assert!(response.json()["message"].as_str().unwrap().contains("\"else\""), "{path}");
    }
}

#[tokio::test]
async fn without_a_site_the_first_page_explains_pairing() {
    let none = office_of(&[], false);
    assert!(get(&none, "/", BROWSER).await.body.contains("herdlinx-mirror add"));
    assert_eq!(get(&none, "/batches", "application/json").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&none, "/office/api/sync-status", "*/*").await.json()["running"], false);
}

fn prepared(name: &str, expired: bool, last_error: Option<&str>) -> PreparedSummary {
    PreparedSummary {
        name: name.to_owned(),
        addresses: vec![format!("herdlinx-{name}.local:5001")],
        prepared_at: "2026-01-10T08:00:00.000Z".to_owned(),
        tries: 3,
        expired,
        last_error: last_error.map(str::to_owned),
    }
}

/// Catches a prepared barn that nobody sees because another one is paired already.
#[tokio::test]
async fn the_first_page_shows_the_barns_that_have_not_paired_yet() {
    let waiting = [prepared("north", false, Some("cannot reach <it>")), prepared("south", true, None)];
    for sites in [&[][..], &["barn"]] {
        let office = office_preparing(sites, &waiting);
        let page = get(&office, "/", BROWSER).await;
        assert!(page.body.contains("waiting for the barn of north: cannot reach &#60;it&#62;"), "{}", page.body);
        assert!(page.body.contains("its code is too old: prepare it again"), "{}", page.body);
        assert!(!page.body.contains("role=\"search\""), "there are no two sites to search: {}", page.body);
        let json = get(&office, "/", "application/json").await.json();
        assert_eq!((&json["prepared"][0]["name"], &json["prepared"][1]["expired"]), (&json!("north"), &json!(true)));
    }
}

/// Catches a link in somebody's mail that leads nowhere since a second barn was paired.
#[tokio::test]
async fn links_from_before_the_second_site_lead_to_the_first() {
    let office = office_of(&["north barn", "south"], true);
    for path in ["/animals/3", "/animals?show=yard&pen=P%201", "/batches/LOT1", "/payloads.csv", "/status"] {
        let old = get(&office, path, BROWSER).await;
        let to = format!("/sites/north%20barn{path}");
        assert_eq!((old.status, old.header(header::LOCATION)), (StatusCode::SEE_OTHER, to.as_str()));
        assert_eq!(get(&office, &to, BROWSER).await.status, StatusCode::OK, "{path}");
        assert_eq!(get(&office, path, "application/json").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(get(&office, "/animals/999", BROWSER).await.header(header::LOCATION), "/sites/north%20barn/animals/999");
    // The list of sites has the path of the first page.
    let day = get(&office, "/?day=2026-01-15", BROWSER).await;
    let to = "/sites/north%20barn?day=2026-01-15";
    assert_eq!((day.status, day.header(header::LOCATION)), (StatusCode::SEE_OTHER, to));
    assert_eq!(get(&office, to, BROWSER).await.status, StatusCode::OK);
    assert_eq!(get(&office, "/?day=2026-01-15", "application/json").await.status, StatusCode::BAD_REQUEST);
}

/// Catches a link to a day that is refused for as long as a card is on its way.
#[tokio::test]
async fn links_to_a_day_lead_to_the_only_site_while_a_barn_is_prepared() {
    let prepared = [prepared("south", false, None)];
    let day = get(&office_preparing(&["barn"], &prepared), "/?day=2026-01-15", BROWSER).await;
    assert_eq!((day.status, day.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/sites/barn?day=2026-01-15"));
    let nowhere = get(&office_preparing(&[], &prepared), "/?day=2026-01-15", BROWSER).await;
    assert_eq!(nowhere.status, StatusCode::BAD_REQUEST);
}

/// Catches an animal of two sites that nobody knows to be one. The sites of this office have the same herd.
#[tokio::test]
async fn an_animal_is_linked_to_itself_at_other_sites_by_a_whole_tag() {
    let office = office_of(&["north", "south"], true);
    let page = html_of(&office, "/sites/north/animals/2").await;
    assert!(page.contains("<a href=\"/sites/south/animals/2\"><bdi>south</bdi></a>"), "{page}");
    let page = html_of(&office, "/sites/north/animals/9").await;
    assert!(!page.contains("/sites/south/animals"), "LF1 and UHF1 are no numbers of the world: {page}");
    assert!(!html_of(&office_of(&["north"], true), "/animals/2").await.contains("At other sites"));
}

#[tokio::test]
async fn the_search_looks_at_every_site() {
    let office = office_of(&["north", "south"], true);
    let page = html_of(&office, "/search?q=LF1").await;
    for path in ["/sites/north/animals/9", "/sites/south/animals/9"] {
        assert!(page.contains(&format!("<a href=\"{path}\">")), "{path}: {page}");
    }
    assert!(page.contains("<form role=\"search\" action=\"/search\""), "{page}");
    let found = get(&office, "/search?q=LF1", "application/json").await.json();
    assert_eq!((&found["sites"][1]["site"], &found["sites"][1]["animals"][0]["id"]), (&json!("south"), &json!(9)));
    assert_eq!(found["not_searched"], json!([]));
    let none = get(&office, "/search?q=nobody", BROWSER).await;
    assert!(none.status == StatusCode::NOT_FOUND && none.body.contains("Nothing found"), "{}", none.body);
    assert_eq!(get(&office, "/search?q=", BROWSER).await.status, StatusCode::BAD_REQUEST);
    assert!(html_of(&office, "/").await.contains("<form role=\"search\" action=\"/search\""));
}

/// Catches a search that says "nothing" of a site that it has not looked at.
#[tokio::test]
async fn a_site_without_a_copy_is_said_not_to_be_searched() {
    let page = html_of(&office_of(&["north", "south"], false), "/search?q=LF1").await;
    assert!(page.contains("<bdi>north</bdi> was not searched: the first copy"), "{page}");
}
