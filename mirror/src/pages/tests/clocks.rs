//! Times in the zone of the office, and those of a barn whose clock follows no time source, or was never set.

use super::{
    BROWSER, Conventions, PAYLOADS, START_US, TestOffice, at, filled_store, get, json_of, office_reading, office_with,
    store_filled_at,
};
use crate::zone::Zone;
use axum::Router;
use herd::clock::RawReading;
use herd::payload::WeightUnit;
use serde_json::{Value, json};
use std::sync::Mutex;

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
            let is_marked = ["clock not synchronized", "clock is not synchronized", "clock is not set"];
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

/// Catches a page that shows a time of another zone than the rest, and a program that gets local times.
#[tokio::test]
async fn pages_show_times_in_the_zone_of_the_office_and_say_which_it_is() {
    let conventions = Conventions { weight_unit: WeightUnit::Kg, zone: Zone::named("America/Denver").unwrap() };
    let store = Mutex::new(filled_store(&PAYLOADS));
    let office = office_reading(TestOffice { store, ..TestOffice::new(&["barn"]) }, conventions);
    for path in PAGES {
        let page = get(&office, path, BROWSER).await.body;
        assert!(page.contains("all times are of America/Denver."), "{path}: {page}");
        let shown: Vec<&str> = page.split("<time datetime=\"2026-01-15T10:").skip(1).collect();
        assert!(!shown.is_empty(), "{path}: {page}");
        for time in shown {
            let (utc, local) = time.split_once("Z\">").unwrap();
            // The live line leaves out the date of today.
            let local = local.strip_prefix("2026-01-15 ").unwrap_or(local);
            // The list of animals shows minutes.
            let shown = if path.starts_with("/animals") && !path.contains("/animals/") { 2 } else { 5 };
            assert!(local.starts_with(&format!("03:{}", &utc[..shown])), "{path}: {time}");
        }
        assert!(!page.contains(">2026-01-15 10:"), "{path}: {page}");
    }
    assert_eq!(json_of(&office, "/batches/by-id/9").await["created_at"], "2026-01-15T10:08:08.000Z");
    let sheet = get(&office, "/payloads.csv", "*/*").await.body;
    assert!(sheet.contains("2026-01-15T10:08:08.000Z"), "{sheet}");
}
