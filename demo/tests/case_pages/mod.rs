//! Office pages that the rows of the case table must lead to, once all payloads have arrived.
//!
//! Catches: a page, batch or animal that shows a row of the table differently than the field's documents say.

use crate::case_table::numbers_of;
use crate::yard::log::OfficeLog;
use crate::yard::pages::{Animals, json, texts};
use demo::processes::Client;
use serde_json::{Value, json};

/// Animals after all rows. Rows 1 and 7 together, 4 and 5 make one each; 6 three; 9 to 12 two; 13 and 17 one for each
/// of six orders; 16 two; 18 and 19 one each; 20 three.
const ANIMALS: usize = 3 + 3 + 2 + 12 + 2 + 1 + 1 + 3;

/// Checks the pages of all rows.
pub(crate) async fn assert_rows(pages: &Client, log: &OfficeLog) {
    let animals = Animals::fetch(pages).await;
    assert_eq!(animals.count(), ANIMALS);
    rows_1_and_7(pages, &animals, log).await;
    rows_4_to_6(pages, &animals).await;
    row_8(pages, log).await;
    rows_9_to_12(pages, &animals).await;
    row_13(&animals).await;
    rows_15_and_16(pages, &animals, log).await;
    row_17(pages, &animals).await;
    rows_18_to_20(&animals).await;
    row_21(pages).await;
}

async fn batch(pages: &Client, number: &str) -> Value {
    json(pages, &format!("/batches/{number}")).await.unwrap()
}

/// Returns the LF tags of the batch's present and former animals.
fn lf_tags(batch: &Value) -> Vec<&str> {
    batch["animals"].as_array().unwrap().iter().map(|animal| animal["lf"]["text"].as_str().unwrap()).collect()
}

/// An export batch and a barn batch with the same number are two batches.
async fn rows_1_and_7(pages: &Client, animals: &Animals<'_>, log: &OfficeLog) {
    let (scanned, exported) =
        (log.sequence_of("hxb:BATCH001:LF123:UHF456"), log.sequence_of("hxe:BATCH001:LF123:UHF456"));
    let export = batch(pages, "BATCH001").await;
    assert_eq!((&export["source"], &export["cattle_count"]), (&json!("Export (HXE)"), &json!(1)), "{export}");
    assert_eq!(export["id"], exported);
    assert_eq!(
        (&export["others"][0]["id"], &export["others"][0]["source_type"]),
        (&json!(scanned), &json!("hxb")),
        "{export}"
    );
    let barn = json(pages, &format!("/batches/by-id/{scanned}")).await.unwrap();
    assert_eq!((&barn["source"], &barn["batch_number"]), (&json!("Barn (HXB)"), &json!("BATCH001")), "{barn}");
    assert_eq!((&barn["cattle_count"], &barn["members"]), (&json!(0), &json!(1)), "{barn}");
    assert_eq!(barn["animals"][0]["left"], exported);

    let animal = animals.with_lf("LF123").await;
    assert_eq!((&animal["id"], &animal["epc"]["text"]), (&json!(scanned), &json!("UHF456")), "{animal}");
    assert_eq!((&animal["status"], &animal["barn_batch"]), (&json!("exported"), &Value::Null), "{animal}");
    assert_eq!(animal["export_batch"]["id"], exported);
}

async fn rows_4_to_6(pages: &Client, animals: &Animals<'_>) {
    let export = batch(pages, "EXPORT001").await;
    assert_eq!((&export["source_type"], &export["cattle_count"]), (&json!("hxe"), &json!(1)), "{export}");
    let animal = animals.with_lf("LF789").await;
    assert_eq!((&animal["status"], &animal["epc"]["text"]), (&json!("exported"), &json!("UHF012")), "{animal}");

    let barn = batch(pages, "TEST001").await;
    assert_eq!((&barn["source_type"], &barn["cattle_count"]), (&json!("hxb"), &json!(1)), "{barn}");
    let lot = batch(pages, "LOT1").await;
    assert_eq!((&lot["cattle_count"], lf_tags(&lot)), (&json!(3), vec!["LF0", "LF1", "LF2"]), "{lot}");
}

/// Rejections are listed with their reason and create no batch.
async fn row_8(pages: &Client, log: &OfficeLog) {
    for number in ["data", "B", "%20"] {
        assert_eq!(json(pages, &format!("/batches/{number}")).await, Err(404), "{number}");
    }
    let rejected = json(pages, "/payloads?status=error&limit=100").await.unwrap();
    let rejected = rejected["data"].as_array().unwrap();
    for text in ["invalid:data", "hxb:BATCH001:LF123", "hxb:B:L:U:X", "hxx:B:1:2", "hxb::LF:UHF", "hxb: :LF1:UHF1"] {
        let shown = rejected.iter().find(|payload| payload["payload"] == text);
        let shown = shown.unwrap_or_else(|| panic!("{text} is not shown"));
        assert_eq!(shown["id"], log.sequence_of(text));
        assert!(shown["reason_text"].as_str().unwrap().ends_with('.'), "{shown}");
    }
}

async fn rows_9_to_12(pages: &Client, animals: &Animals<'_>) {
    let lot = batch(pages, "LOT2024-001").await;
    assert_eq!(lot["pens"], json!(["P1"]));
    assert_eq!((&lot["sexes"], &lot["funders"]), (&json!(["M"]), &json!(["Southwest Cattle Co"])));
    assert_eq!(lot["animals"].as_array().unwrap().len(), 1);

    let one = animals.with_lid("1").await;
    assert_eq!(one["barn_batch"]["batch_number"], "LOT2024-001");
    assert_eq!(one["traits"]["tag_color"], "Red");
    assert_eq!((&one["lf"]["text"], texts(&one["past_tags"])), (&json!("LF_EAR_0099"), vec!["LF_EAR_0001"]), "{one}");
    assert_eq!(one["epc"]["text"], "EPC:30143B7C84D500000000000");
    let weights: Vec<_> = one["weights"].as_array().unwrap().iter().map(|weight| &weight["weight_kg"]).collect();
    assert_eq!(weights, ["267.3", "245.5"], "row 14 adds no third weight");
    assert_eq!(one["weight_kg"], "267.3");

    let two = animals.with_lid("2").await;
    let traits = &two["traits"];
    for (name, value) in [
        ("lot_group", "G7"),
        ("pen", "PEN14"),
        ("pen_location", "East Section"),
        ("visual_id", "V 12"),
        ("notes", "off feed: watch"),
        ("sex", "Steer"),
        ("funder", "Prairie Feedlot Partners"),
    ] {
        assert_eq!(traits[name], value, "{traits}");
    }
    assert_eq!((&two["epc"]["text"], &two["weight_kg"]), (&json!("E2801160600002044310B2E2"), &json!("250")), "{two}");
    assert_eq!(texts(&two["past_tags"]), ["0900000000000003"]);
}

/// The same three payloads in any order make the same animal. The comparison leaves out sequences and times, and blanks
/// the number that is unique to each order.
async fn row_13(animals: &Animals<'_>) {
    for number in numbers_of(13).take(6) {
        let animal = animals.with_lid(&number.to_string()).await;
        let seen = json!({
            "lids": animal["lids"].as_array().unwrap().iter().map(|named| &named["lid"]).collect::<Vec<_>>(),
            "tags": [animal["lf"]["text"], animal["epc"]["text"]],
            "past": texts(&animal["past_tags"]),
            "unconfirmed": texts(&animal["unconfirmed_tags"]),
            "weights": animal["weights"].as_array().unwrap().iter().map(|weight| &weight["weight_g"]).collect::<Vec<_>>(),
            "batch": animal["barn_batch"]["batch_number"],
            "traits": [animal["traits"]["pen"], animal["traits"]["sex"], animal["traits"]["tag_color"]],
            "status": animal["status"],
            "happened": animal["history"].as_array().unwrap().len(),
        });
        let expected = json!({
            "lids": ["N"],
            "tags": ["LF_EAR_NN", "EPC:30143B7C84D50000000N"],
            "past": ["LF_EAR_N"],
            "unconfirmed": [],
            "weights": [245_500],
            "batch": "LOT2024-N",
            "traits": ["P1", "M", "Red"],
            "status": "active",
            "happened": 3,
        });
        let blanked: Value = serde_json::from_str(&seen.to_string().replace(&number.to_string(), "N")).unwrap();
        assert_eq!(blanked, expected, "order {number}");
    }
}

/// Rejections for a reused event id or a foreign tag name the payload or the animals concerned.
async fn rows_15_and_16(pages: &Client, animals: &Animals<'_>, log: &OfficeLog) {
    let reused = log.sequence_of("event:hxbchi000001|weight:300.0|lid:1");
    let shown = json(pages, &format!("/payloads/{reused}")).await.unwrap();
    let first = log.sequence_of("event:hxbchi000001|weight:267.3|lid:1");
    assert!(shown["reason_text"].as_str().unwrap().contains(&format!("Payload {first} ")), "{shown}");

    let mixed = log.sequence_of("event:hxbrep001601|lid:161|old_lf:LF162|new_lf:LF163");
    let shown = json(pages, &format!("/payloads/{mixed}")).await.unwrap();
    for lid in ["161", "162"] {
        let named = format!("animal {}", animals.with_lid(lid).await["id"]);
        assert!(shown["reason_text"].as_str().unwrap().contains(&named), "{named}: {shown}");
        assert_eq!(animals.with_lid(lid).await["lf"]["text"], format!("LF{lid}"));
    }
}

/// Scan, induction and pairing make one animal. It is in the batch that was named last, and has left the other.
async fn row_17(pages: &Client, animals: &Animals<'_>) {
    for (number, order) in numbers_of(17).zip(crate::case_table::ORDERS) {
        let animal = animals.with_lid(&number.to_string()).await;
        let tags = [&animal["lf"]["text"], &animal["epc"]["text"]];
        assert_eq!(tags, [&json!(format!("LF{number}")), &json!(format!("UHF{number}"))], "order {order:?}: {animal}");
        assert_eq!(animal["lids"].as_array().unwrap().len(), 1);
        assert_eq!(animals.with_lf(&format!("LF{number}")).await["id"], animal["id"]);

        let (scanned, inducted) = (format!("SCANNED{number}"), format!("INDUCTED{number}"));
        // The pairing, text 2, names no batch.
        let scanned_last = order.into_iter().rfind(|text| *text != 2) == Some(0);
        let (open, left) = if scanned_last { (scanned, inducted) } else { (inducted, scanned) };
        assert_eq!(animal["barn_batch"]["batch_number"], open, "order {order:?}");
        for (number, cattle, has_left) in [(open, 1, false), (left, 0, true)] {
            let batch = batch(pages, &number).await;
            assert_eq!(batch["cattle_count"], cattle, "order {order:?}: {batch}");
            let member = &batch["animals"][0];
            assert_eq!(
                (&member["id"], !member["left"].is_null()),
                (&animal["id"], has_left),
                "order {order:?}: {batch}"
            );
        }
    }
}

async fn rows_18_to_20(animals: &Animals<'_>) {
    let animal = animals.with_lf("LF6").await;
    assert_eq!(
        (&animal["epc"]["text"], texts(&animal["unconfirmed_tags"])),
        (&json!("UHF6"), vec!["UHF7"]),
        "{animal}"
    );

    let animal = animals.with_lf("124000224161433").await;
    assert_eq!(
        (&animal["lf"]["issuer"]["code"], &animal["lf"]["number"]),
        (&json!("124"), &json!("000224161433")),
        "{animal}"
    );
    assert_eq!(animal["history"].as_array().unwrap().len(), 3);
    assert_eq!((texts(&animal["past_tags"]), texts(&animal["unconfirmed_tags"])), (vec![], vec![]));

    for (lid, refused) in [("201", Value::Null), ("202", json!("-5")), ("203", json!("NaN"))] {
        let animal = animals.with_lid(lid).await;
        let tags = [&animal["lf"]["text"], &animal["epc"]["text"]];
        assert_eq!(tags, [&json!(format!("LF{lid}")), &json!(format!("UHF{lid}"))], "{animal}");
        assert_eq!((&animal["weight_kg"], &animal["weights"]), (&Value::Null, &json!([])), "{animal}");
        assert_eq!(animal["history"][0]["weight_refused"], refused, "{animal}");
    }
}

async fn row_21(pages: &Client) {
    let status = json(pages, "/status?limit=1000").await.unwrap();
    let gaps_of = |counter: &str| -> Vec<String> {
        let gaps = status["gaps"].as_array().unwrap().iter().filter(|gap| gap["counter"] == counter);
        gaps.map(|gap| gap["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(gaps_of("hxechi"), ["118-120 never heard"]);
    assert_eq!(gaps_of("hxbchi")[1..], ["118 never heard", "120 never heard"]);
}
