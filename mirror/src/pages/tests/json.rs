use super::{get, json, office};
use axum::http::{StatusCode, header};
use serde_json::json;

#[tokio::test]
async fn programs_that_accept_anything_get_json() {
    let response = get(&office(), "/batches", "*/*").await;
    assert_eq!(response.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(response.json()["success"], true);
}

#[tokio::test]
async fn a_list_has_success_data_next_and_as_of() {
    let first = json("/batches?limit=2").await;
    assert_eq!((&first["success"], &first["as_of"]), (&json!(true), &json!(14)));
    let ids: Vec<_> = first["data"].as_array().unwrap().iter().map(|batch| batch["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [14, 11]);
    assert_eq!(first["next"], 11);
    let rest = json("/batches?limit=1000&before=11").await;
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next"]), (3, &json!(null)));
}

#[tokio::test]
async fn a_batch_has_its_keys_at_top_level_beside_animals_and_others() {
    let batch = json("/batches/LOT1").await;
    assert_eq!(
        (&batch["id"], &batch["batch_number"], &batch["source_type"]),
        (&json!(9), &json!("LOT1"), &json!("hxb"))
    );
    assert_eq!(batch["cattle_count"], 1);
    assert_eq!(batch["others"], json!([{"id": 11, "source_type": "hxe", "opened": "2026-01-15T10:10:10.000Z"}]));
    let animals = batch["animals"].as_array().unwrap();
    assert_eq!(animals.len(), 2);
    assert_eq!((&animals[0]["status"], &animals[0]["left"]), (&json!("exported"), &json!(11)));
    assert_eq!(animals[1]["lf"]["text"], "LF2");
}

/// Catches a batch number that is taken for an id, which would show another batch.
#[tokio::test]
async fn a_batch_number_is_percent_decoded_and_never_an_id() {
    assert_eq!(json("/batches/LOT%207%2FA").await["id"], 2);
    for unknown in ["/batches/2", "/batches/by-id/4", "/batches/%20"] {
        let response = get(&office(), unknown, "application/json").await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{unknown}");
        assert_eq!((&response.json()["success"], &response.json()["error"]), (&json!(false), &json!("not_found")));
    }
    assert_eq!(json("/batches/by-id/2").await["batch_number"], "LOT 7/A");
}

#[tokio::test]
async fn an_animal_has_its_weights_and_its_history() {
    let animal = json("/animals/3?limit=2").await;
    assert_eq!((&animal["lf"]["text"], &animal["weight_kg"]), (&json!("LF_EAR_0099"), &json!("267.3")));
    let weights: Vec<_> = animal["weights"].as_array().unwrap().iter().map(|w| w["weight_kg"].clone()).collect();
    assert_eq!(weights, ["267.3", "245.5"]);
    assert_eq!(animal["history"][0]["sequence"], 8);
    assert_eq!(animal["next"], "6");
    assert_eq!(json("/animals/3?from=6").await["history"][0]["sequence"], 6);
}

#[tokio::test]
async fn payloads_are_filtered_by_status_and_changes_found_by_sequence() {
    let rejected = json("/payloads?status=error").await;
    let codes: Vec<_> = rejected["data"].as_array().unwrap().iter().map(|p| p["reason"].clone()).collect();
    assert_eq!(codes, ["field_count", "unknown_prefix"]);
    assert_eq!(json("/payloads/1").await["kind"], "epoch");
    assert_eq!(json("/payloads/2").await["payload"], "hxb:LOT 7/A:124000224161433:E2801160600002044310B2E2");
}

#[tokio::test]
async fn status_reports_missed_events_and_the_barns_duplicates() {
    let status = json("/status").await;
    assert_eq!(status["duplicates"], serde_json::json!({"count": 1_234, "age_ms": 3_000}), "the count has an age");
    assert_eq!(status["gaps"][0]["text"], "118-120 never heard");
    assert_eq!((&status["link"], &status["total_syncs"]), (&json!("live"), &json!(100)));
}

/// Catches a client of the original that no longer finds its keys, in their order.
#[tokio::test]
async fn sync_status_is_json_with_the_keys_of_the_original_for_any_accept_header() {
    for accept in ["application/json", super::BROWSER] {
        let response = get(&office(), "/office/api/sync-status", accept).await;
        let original = r#"{"running":true,"sync_interval":10,"last_sync_time":"2024-01-15T10:35:20.000Z","total_syncs":100,"successful_syncs":99,"failed_syncs":1,"total_records_synced":1500,"sites":["#;
        assert!(response.body.starts_with(original), "{}", response.body);
        assert_eq!(response.json()["sites"][0]["name"], "barn");
    }
}

#[tokio::test]
async fn a_search_finds_a_tag_in_any_notation() {
    for (q, path) in [
        ("124000224161433", "/animals/2"),
        ("124+000+224161433", "/animals/2"),
        ("0124000224161433", "/animals/2"),
        ("e2801160600002044310b2e2", "/animals/2"),
        ("1", "/animals/3"),
        ("0900000000000003", "/animals/3"),
        ("LOT+7%2FA", "/lots/LOT%207%2FA"),
    ] {
        let response = get(&office(), &format!("/search?q={q}"), "application/json").await;
        assert_eq!((response.status, response.header(header::LOCATION)), (StatusCode::SEE_OTHER, path), "{q}");
    }
    let not_found = get(&office(), "/search?q=NOBODY", "application/json").await;
    assert_eq!((not_found.status, &not_found.json()["error"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

/// Catches a misspelled key or an impossible value that is silently ignored.
#[tokio::test]
async fn invalid_requests_get_400_with_a_message() {
    for path in [
        "/?x=1",
        "/batches?befor=3",
        "/batches?limit=0",
        "/batches?limit=-1",
        "/batches?limit=abc",
        "/batches?limit=1001",
        "/batches?limit=1&limit=2",
        "/batches/LOT1?before=1",
        "/batches/by-id/LOT1",
        "/animals?after=x",
        "/animals/-1",
        "/animals/3?from=x",
        "/animals/3?from=2",
        "/payloads?status=duplicate",
        "/payloads/99999999999999999999",
        "/payloads/2?x",
        "/status?after=main",
        "/search",
        "/search?q=%20",
        "/office/api/sync-status?x=1",
        "/batches/%ff",
    ] {
        let response = get(&office(), path, "application/json").await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{path}: {}", response.body);
        assert_eq!(
            (&response.json()["success"], &response.json()["error"]),
            (&json!(false), &json!("bad_request")),
            "{path}"
        );
        assert!(response.json()["message"].as_str().is_some_and(|message| !message.is_empty()), "{path}");
    }
}

/// Catches a tag that a spreadsheet turns into a rounded number.
#[tokio::test]
async fn csv_files_keep_long_ids_as_text() {
    let animals = get(&office(), "/animals.csv?limit=1", "*/*").await;
    assert_eq!(animals.header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    assert_eq!(animals.header(header::LINK), "</animals.csv?show=all&sort=id&order=asc&after=2&limit=1>; rel=\"next\"");
    let rows: Vec<_> = animals.body.lines().collect();
    assert_eq!(rows[0].trim_start_matches('\u{feff}').split(',').count(), 19);
    assert!(
        rows[1]
            .starts_with(r#","=""124000224161433""","=""E2801160600002044310B2E2""","=""LOT 7/A""",,,,,2026-01-15T"#),
        "{}",
        rows[1]
    );
    let batches = get(&office(), "/batches.csv", "*/*").await;
    assert_eq!((batches.body.lines().count(), batches.headers.contains_key(header::LINK)), (6, false));
    let payloads = get(&office(), "/payloads.csv?status=error", "*/*").await;
    assert!(payloads.body.contains("error,field_count,hxb:BATCH001:LF123,radio1,,"), "{}", payloads.body);
    assert_eq!(get(&office(), "/animals.csv?x=1", "*/*").await.status, StatusCode::BAD_REQUEST);
}
