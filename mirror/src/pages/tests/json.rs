use super::{ask, json, office};
use axum::http::{StatusCode, header};
use serde_json::json;

#[tokio::test]
async fn json_is_what_programs_get_that_name_no_type() {
    let answer = ask(&office(), "/batches", "*/*").await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(answer.json()["success"], true);
}

#[tokio::test]
async fn a_list_is_success_data_and_next() {
    let first = json("/batches?limit=2").await;
    assert_eq!((&first["success"], &first["as_of"]), (&json!(true), &json!(14)));
    let ids: Vec<_> = first["data"].as_array().unwrap().iter().map(|batch| batch["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [14, 11]);
    assert_eq!(first["next"], 11);
    let rest = json("/batches?limit=1000&before=11").await;
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next"]), (3, &json!(null)));
}

#[tokio::test]
async fn a_batch_has_its_keys_at_top_level_and_its_animals_and_others_beside() {
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

#[tokio::test]
async fn a_batch_number_is_percent_decoded_and_never_an_id() {
    assert_eq!(json("/batches/LOT%207%2FA").await["id"], 2);
    for unknown in ["/batches/2", "/batches/by-id/4", "/batches/%20"] {
        let answer = ask(&office(), unknown, "application/json").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{unknown}");
        assert_eq!((&answer.json()["success"], &answer.json()["error"]), (&json!(false), &json!("not_found")));
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
async fn payloads_are_told_by_status_and_a_change_by_its_sequence() {
    let rejected = json("/payloads?status=error").await;
    let codes: Vec<_> = rejected["data"].as_array().unwrap().iter().map(|p| p["reason"].clone()).collect();
    assert_eq!(codes, ["field_count", "unknown_prefix"]);
    assert_eq!(json("/payloads/1").await["kind"], "epoch");
    assert_eq!(json("/payloads/2").await["payload"], "hxb:LOT 7/A:124000224161433:E2801160600002044310B2E2");
}

#[tokio::test]
async fn status_names_what_was_never_heard_and_how_many_duplicates_the_barn_counted() {
    let status = json("/status").await;
    assert_eq!(status["duplicates"], serde_json::json!({"count": 1_234, "age_ms": 3_000}), "with their age");
    assert_eq!(status["gaps"][0]["text"], "118-120 never heard");
    assert_eq!((&status["link"], &status["total_syncs"]), (&json!("live"), &json!(100)));
}

#[tokio::test]
async fn sync_status_has_the_keys_of_the_original_and_its_sites_in_either_face() {
    for accept in ["application/json", super::BROWSER] {
        let answer = ask(&office(), "/office/api/sync-status", accept).await;
        let original = r#"{"running":true,"sync_interval":10,"last_sync_time":"2024-01-15T10:35:20.000Z","total_syncs":100,"successful_syncs":99,"failed_syncs":1,"total_records_synced":1500,"sites":["#;
        assert!(answer.body.starts_with(original), "{}", answer.body);
        assert_eq!(answer.json()["sites"][0]["name"], "barn");
    }
}

#[tokio::test]
async fn a_search_leads_to_the_animal_however_the_tag_is_written() {
    for (q, path) in [
        ("124000224161433", "/animals/2"),
        ("124+000+224161433", "/animals/2"),
        ("0124000224161433", "/animals/2"),
        ("e2801160600002044310b2e2", "/animals/2"),
        ("1", "/animals/3"),
        ("0900000000000003", "/animals/3"),
        ("LOT+7%2FA", "/batches/LOT%207%2FA"),
    ] {
        let answer = ask(&office(), &format!("/search?q={q}"), "application/json").await;
        assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, path), "{q}");
    }
    let nothing = ask(&office(), "/search?q=NOBODY", "application/json").await;
    assert_eq!((nothing.status, &nothing.json()["error"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_says_why() {
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
        let answer = ask(&office(), path, "application/json").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.body);
        assert_eq!(
            (&answer.json()["success"], &answer.json()["error"]),
            (&json!(false), &json!("bad_request")),
            "{path}"
        );
        assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()), "{path}");
    }
}

#[tokio::test]
async fn lists_are_also_sheets_whose_long_ids_stay_text() {
    let animals = ask(&office(), "/animals.csv?limit=1", "*/*").await;
    assert_eq!(animals.header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    assert_eq!(animals.header(header::LINK), "</animals.csv?after=2&limit=1>; rel=\"next\"");
    let rows: Vec<_> = animals.body.lines().collect();
    assert_eq!(rows[0].trim_start_matches('\u{feff}').split(',').count(), 12);
    assert!(rows[1].starts_with(r#"2,"=""124000224161433""","=""E2801160600002044310B2E2""",,active,"#), "{}", rows[1]);
    let batches = ask(&office(), "/batches.csv", "*/*").await;
    assert_eq!((batches.body.lines().count(), batches.headers.contains_key(header::LINK)), (6, false));
    let payloads = ask(&office(), "/payloads.csv?status=error", "*/*").await;
    assert!(payloads.body.contains("error,field_count,hxb:BATCH001:LF123,radio1,,"), "{}", payloads.body);
    assert_eq!(ask(&office(), "/animals.csv?x=1", "*/*").await.status, StatusCode::BAD_REQUEST);
}
