//! Times of a barn whose clock follows no time source, or was never set.

use super::{BROWSER, PAYLOADS, START_US, at, get, json_of, office_with, store_filled_at};
use axum::Router;
use herd::clock::RawReading;
use serde_json::{Value, json};

/// Pages that show times of the barn.
const PAGES: [&str; 8] =
    ["/", "/batches", "/batches/LOT1", "/animals", "/animals/3", "/payloads", "/payloads/4", "/batches/by-id/2"];

/// Returns an office whose barn had a clock that began at this time and followed no time source.
fn office_of_clock(start_us: i64) -> Router {
    let reading = move |n| RawReading {
        received_at_us: at(n).received_at_us - START_US + start_us,
        synchronized: false,
        ..at(n)
    };
    office_with(store_filled_at(&PAYLOADS, reading), &["barn"], true)
}

/// Catches a batch of 1970, and a doubtful date that looks as sure as any other.
#[tokio::test]
async fn a_doubtful_time_is_marked_on_each_page_and_1970_is_on_none() {
    for start_us in [0, START_US] {
        let office = office_of_clock(start_us);
        for path in PAGES {
            let page = get(&office, path, BROWSER).await.body;
            assert!(!page.contains("1970"), "{path}: {page}");
            let is_marked = ["clock not synchronized", "clock that is not synchronized", "clock is not set"];
            assert!(is_marked.iter().any(|mark| page.contains(mark)), "{path}: {page}");
        }
    }
}

#[tokio::test]
async fn a_doubtful_time_is_marked_in_json_and_sheets() {
    for (start_us, opened) in [(0, Value::Null), (START_US, json!("2026-01-15T10:08:08.000Z"))] {
        let office = office_of_clock(start_us);
        let batch = json_of(&office, "/batches/by-id/9").await;
        assert_eq!((&batch["created_at"], &batch["created_at_doubtful"]), (&opened, &json!(true)), "{batch}");
        assert_eq!(batch["updated_at_doubtful"], json!(true));
        let animal = json_of(&office, "/animals/3").await;
        assert_eq!((&animal["last_seen_doubtful"], &animal["first_seen_doubtful"]), (&json!(true), &json!(true)));
        assert_eq!(animal["weights"][0]["clock_synchronized"], json!(false), "{animal}");
        for (path, names) in
            [("/batches.csv", "created_at updated_at"), ("/animals.csv", "last_seen"), ("/payloads.csv", "received_at")]
        {
            let sheet = get(&office, path, "*/*").await.body;
            assert!(!sheet.contains("1970"), "{sheet}");
            assert!(sheet.lines().skip(1).all(|line| line.ends_with(names)), "{path}: {sheet}");
        }
    }
}
