use super::{BROWSER, ask, html, office, office_of};
use axum::http::{StatusCode, header};

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

#[tokio::test]
async fn every_page_says_how_old_it_is_and_has_its_landmarks() {
    for path in PAGES {
        let page = html(path).await;
        assert!(page.contains("As of change 14, barn last heard <span class=\"whole\">3 s ago</span>."), "{path}");
        for mark in ["<main id=\"main\">", "<h1>", "lang=\"en\"", "role=\"search\"", "Skip to the content", "Live"] {
            assert!(page.contains(mark), "{path}: {mark}");
        }
    }
}

#[tokio::test]
async fn pages_load_nothing_but_our_style_and_are_not_kept() {
    for path in PAGES {
        let answer = ask(&office(), path, BROWSER).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
        assert_eq!((answer.header(header::CACHE_CONTROL), answer.header(header::VARY)), ("no-store", "Accept"));
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        for forbidden in ["<script", " style=", "<style", "http://", "https://", " onclick"] {
            assert!(!answer.body.contains(forbidden), "{path}: {forbidden}");
        }
    }
    let style = ask(&office(), "/assets/style.css", "text/css").await;
    assert_eq!((style.status, style.header(header::CONTENT_TYPE)), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(!style.body.contains("url(") && !style.body.contains("@import"));
}

#[tokio::test]
async fn what_came_out_of_the_air_is_never_markup() {
    let payloads = html("/payloads").await;
    assert!(payloads.contains("invalid:&#60;script&#62;alert(1)&#60;/script&#62;"), "{payloads}");
    let batch = html("/batches/%3Cb%3Ebold%3C%2Fb%3E").await;
    assert!(!batch.contains("<b>"));
    let searched = ask(&office(), "/search?q=%22%3E%3Cscript%3E", BROWSER).await;
    assert!(!searched.body.contains("<script"), "{}", searched.body);
}

#[tokio::test]
async fn the_first_screen_says_whether_the_barn_is_alive_and_how_many_head_there_are() {
    let page = html("/").await;
    for told in ["Reads arrive here", "<dd>46 min ago</dd>", "<dd>0 changes</dd>", "<dt>On the yard</dt><dd>4</dd>"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(page.contains("5 open of 5 batches"));
}

#[tokio::test]
async fn lists_lead_on_to_their_next_page() {
    let page = html("/batches?limit=2").await;
    assert!(page.contains("href=\"/batches?before=11&amp;limit=2\""), "{page}");
    assert!(page.contains("2 shown of 5"));
    assert!(!html("/batches").await.contains("rel=\"next\""));
    assert!(html("/animals/3?limit=2").await.contains("href=\"/animals/3?from=6&amp;limit=2\""));
    assert!(
        html("/payloads?limit=1&status=error")
            .await
            .contains("href=\"/payloads?status=error&amp;before=13&amp;limit=1\"")
    );
}

#[tokio::test]
async fn refusals_are_pages_too() {
    for (path, status) in [
        ("/batches/NOBODY", StatusCode::NOT_FOUND),
        ("/nowhere", StatusCode::NOT_FOUND),
        ("/batches?limit=abc", StatusCode::BAD_REQUEST),
        ("/batches?x=1", StatusCode::BAD_REQUEST),
        ("/search?q=NOBODY", StatusCode::NOT_FOUND),
    ] {
        let answer = ask(&office(), path, BROWSER).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.starts_with("<!doctype html>"), "{path}: {}", answer.body);
        assert!(answer.headers.contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
    }
}

#[tokio::test]
async fn while_the_first_copy_is_made_the_first_screen_says_how_far_it_is() {
    let copying = office_of(&["barn"], false);
    let page = ask(&copying, "/", BROWSER).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("12,000 of 1,000,000 changes copied"), "{}", page.body);
    assert_eq!(ask(&copying, "/status", BROWSER).await.status, StatusCode::OK);
    let batches = ask(&copying, "/batches", BROWSER).await;
    assert_eq!(batches.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(batches.body.contains("still being made"));
}
