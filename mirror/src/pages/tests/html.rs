use super::{
    BROWSER, TestOffice, conventions, filled_store, get, html, html_of, office, office_of, office_reading,
    office_without, without_our_script,
};
use axum::http::{StatusCode, header};
use herd::payload::WeightUnit;
use service::sheet::is_hidden;
use service::sync::NotServedError;
use std::sync::Mutex;

const PAGES: [&str; 12] = [
    "/",
    "/batches",
    "/batches/LOT1",
    "/batches/by-id/2",
    "/animals",
    "/animals/2",
    "/animals/3",
    "/payloads",
    "/payloads?status=error",
    "/payloads/1",
    "/payloads/4",
    "/status",
];

/// Catches a page without the age of its data, or one that a screen reader cannot navigate.
#[tokio::test]
async fn every_page_shows_its_age_and_landmarks() {
    for path in PAGES {
        let page = html(path).await;
        assert!(
            page.contains("46 min ago</b> by the barn’s clock") && page.contains("as of 11:00:00"),
            "{path}: {page}"
        );
        assert!(page.contains("<span>nothing waiting</span>") && page.contains("Up to change 14."), "{path}");
        for mark in ["<main id=\"main\"", "<h1>", "lang=\"en\"", "role=\"search\"", "Skip to content", "Live"] {
            assert!(page.contains(mark), "{path}: {mark}");
        }
    }
}

/// Catches a page that loads anything from elsewhere, runs a script but our own, or stays in a cache.
#[tokio::test]
async fn pages_load_only_our_style_sheet_and_script_and_are_not_cached() {
    for path in PAGES {
        let response = get(&office(), path, BROWSER).await;
        let policy = response.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
        assert_eq!((response.header(header::CACHE_CONTROL), response.header(header::VARY)), ("no-store", "Accept"));
        assert_eq!(response.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert!(policy.contains("; script-src 'self'; connect-src 'self'; "), "{policy}");
        let body = without_our_script(&response.body);
        for forbidden in ["<script", " style=", "<style", "http://", "https://", " onclick"] {
            assert!(!body.contains(forbidden), "{path}: {forbidden}");
        }
    }
    let style = get(&office(), "/assets/style.css", "text/css").await;
    assert_eq!((style.status, style.header(header::CONTENT_TYPE)), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(!style.body.contains("url(") && !style.body.contains("@import"));
    let script = get(&office(), "/assets/office.js", "*/*").await;
    assert_eq!(script.header(header::CONTENT_TYPE), "text/javascript; charset=utf-8");
    assert!(!script.body.contains("://") && !script.body.contains("eval"));
    let login = get(&office(), "/login", BROWSER).await;
    assert!(!login.body.contains("<script"));
    assert!(!login.header(header::CONTENT_SECURITY_POLICY).contains("script-src"));
}

/// Catches markup from a payload or a URL that reaches the page unescaped.
#[tokio::test]
async fn received_text_is_escaped() {
    let payloads = html("/payloads").await;
    assert!(payloads.contains("invalid:&#60;script&#62;alert(1)&#60;/script&#62;"), "{payloads}");
    let batch = html("/batches/%3Cb%3Ebold%3C%2Fb%3E").await;
    assert!(!batch.contains("<b>"));
    let searched = get(&office(), "/search?q=%22%3E%3Cscript%3E", BROWSER).await;
    assert!(!without_our_script(&searched.body).contains("<script"), "{}", searched.body);
}

#[tokio::test]
async fn the_page_of_the_site_shows_the_link_and_the_pairing() {
    let page = html("/status").await;
    for text in ["Reads arrive here", "<dd>0 changes</dd>", "<dd>3 s ago</dd>", "Pairing and disk", "Backup"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("id=\"divergence\""), "{page}");
}

#[tokio::test]
async fn lists_link_to_their_next_page() {
    let page = html("/batches?limit=2").await;
    assert!(page.contains("href=\"/batches?before=11&amp;limit=2\""), "{page}");
    assert!(page.contains("Showing 2 of 5"));
    assert!(!html("/batches").await.contains("rel=\"next\""));
    assert!(html("/animals/3?limit=2").await.contains("href=\"/animals/3?from=6&amp;limit=2\""));
    assert!(
        html("/payloads?limit=1&status=error")
            .await
            .contains("href=\"/payloads?status=error&#38;before=13&#38;limit=1\"")
    );
}

/// Catches an error that a browser shows as bare JSON.
#[tokio::test]
async fn errors_are_pages_for_browsers() {
    for (path, status) in [
        ("/batches/NOBODY", StatusCode::NOT_FOUND),
        ("/nowhere", StatusCode::NOT_FOUND),
        ("/batches?limit=abc", StatusCode::BAD_REQUEST),
        ("/batches?x=1", StatusCode::BAD_REQUEST),
        ("/search?q=NOBODY", StatusCode::NOT_FOUND),
    ] {
        let response = get(&office(), path, BROWSER).await;
        assert_eq!(response.status, status, "{path}");
        assert!(response.body.starts_with("<!doctype html>"), "{path}: {}", response.body);
        assert!(response.headers.contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
    }
}

#[tokio::test]
async fn the_first_page_shows_the_progress_of_the_first_copy() {
    let copying = office_of(&["barn"], false);
    let page = get(&copying, "/", BROWSER).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("12,000 of 1,000,000 changes copied"), "{}", page.body);
    assert!(page.body.contains("<main id=\"main\" data-live data-every=\"2\">"), "it stands still: {}", page.body);
    assert_eq!(get(&copying, "/status", BROWSER).await.status, StatusCode::OK);
    let batches = get(&copying, "/batches", BROWSER).await;
    assert_eq!(batches.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(batches.body.contains("still being made"));
    assert_eq!((batches.header(header::REFRESH), batches.header(header::RETRY_AFTER)), ("10", "10"));
}

/// Catches an office that calls a whole copy unfinished while it is opened, for example after an upgrade.
#[tokio::test]
async fn a_copy_that_is_being_opened_is_never_called_unfinished() {
    let progress = "the copy of 1,000,000 changes is being folded again, 35 % done";
    let opening = office_without(NotServedError::Opening(progress.to_owned()));
    for path in ["/", "/status", "/batches", "/animals/2", "/payloads.csv", "/search?q=LF1"] {
        let page = get(&opening, path, BROWSER).await;
        let is_state = matches!(path, "/" | "/status");
        assert_eq!(page.status, if is_state { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, "{path}");
        assert!(!page.body.contains("first copy") && !page.body.contains("being made"), "{path}: {}", page.body);
        assert!(path == "/status" || page.body.contains(progress), "{path}: {}", page.body);
    }
    assert!(get(&opening, "/", BROWSER).await.body.contains("<progress value=\"35\" max=\"100\""));
    let refused = get(&opening, "/batches", "application/json").await;
    assert_eq!((refused.json()["error"].as_str(), refused.header(header::RETRY_AFTER)), (Some("copy_opening"), "10"));
    let status = get(&opening, "/", "application/json").await.json();
    assert_eq!(status["site_status"]["opening"], serde_json::json!({"text": progress, "percent": 35}));

    let unreadable = get(&office_without(NotServedError::Unreadable), "/batches", "application/json").await;
    assert_eq!(unreadable.json()["error"], "store_unreadable");
}

/// Returns a page without what its forms send back.
fn without_values(page: &str) -> String {
    let mut parts = page.split(" value=\"");
    let shown: Vec<_> = parts.next().into_iter().chain(parts.map(|part| part.split_once('"').unwrap().1)).collect();
    shown.join("")
}

/// Catches a text off the air that looks like another one, on any page, and a filter that a browser sends back altered.
#[tokio::test]
async fn hidden_characters_are_shown_in_all_texts_and_stay_in_what_a_form_sends_back() {
    let store = filled_store(&[
        "event:hxbind000001|funder:Co\u{200b}A|sex:M\u{ad}|lot:L\u{202e}1|pen:P\u{202e}2|lid:1\u{2066}|visual_id:V\u{feff}1",
        "event:hxbpai000002|lf:LF\u{200f}7|epc:E\u{200d}7|lid:1\u{2066}|weight:25\u{202e}0",
        "hxe:OUT\u{2069}:LF\u{200f}7:E\u{200d}7",
        "invalid:\u{202e}txt",
    ]);
    let office = TestOffice { store: Mutex::new(store), ..TestOffice::new(&["barn"]) };
    let office = office_reading(office, conventions(WeightUnit::Kg));
    for path in [
        "/",
        "/?day=2026-01-15",
        "/animals?show=all",
        "/animals/2",
        "/batches",
        "/batches/by-id/2",
        "/lots?show=in",
        "/lots?show=out",
        "/pens",
        "/payloads",
        "/payloads/2",
        "/payloads/3",
        "/payloads/5",
        "/status",
    ] {
        let page = html_of(&office, path).await;
        let shown = without_values(&page);
        let hidden = shown.find(|c: char| is_hidden(c) && c != '\n');
        assert!(hidden.is_none(), "{path}: {:?}", &shown[hidden.unwrap_or_default().saturating_sub(80)..]);
    }
    let list = html_of(&office, "/animals?show=all").await;
    assert!(list.contains("<option value=\"Co\u{200b}A\">Co\\u{200b}A</option>"), "{list}");
}
