//! Lists of reads, lots and pens: what is on a page, what is left out, and where the next one begins.

use super::{BROWSER, START_US, get, html_of, json_of, office, office_with};
use axum::Router;
use axum::http::{StatusCode, header};
use herd::change::{Correction, Origin};
use herd::clock::{ClockReading, RawReading};
use herd::decide::{CorrectionRequest, Rules};
use herd::position::StoreId;
use herd::store::{Incoming, MemoryDisk, Store};
use serde_json::{Value, json};

/// A read: payload, channel, signal in dBm, and the second after the start at which it was received.
type Read<'a> = (&'a str, &'a str, Option<i16>, u64);

fn store_of(reads: &[Read<'_>]) -> Store {
    let clock = ClockReading { received_at_us: START_US, synchronized: true, boot: 1, since_boot_ms: 0 };
    let mut store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([7; 16])).unwrap();
    for (payload, channel, rssi_dbm, second) in reads {
        let origin = Origin {
            channel: (*channel).into(),
            rssi_dbm: *rssi_dbm,
            reader_group: "main".into(),
            ..Origin::default()
        };
        let received_at_us = START_US + i64::try_from(*second).unwrap() * 1_000_000;
        let at = RawReading { received_at_us, synchronized: true, since_boot_ms: second * 1_000 };
        store.append(&[Incoming { raw: payload.as_bytes().to_vec(), origin, at }]).unwrap();
    }
    store
}

/// Returns the ids on a page of reads, and the cursor of the next page.
async fn reads(office: &Router, query: &str) -> (Vec<u64>, Value) {
    let list = json_of(office, &format!("/payloads?{query}")).await;
    let ids = list["data"].as_array().unwrap().iter().map(|read| read["id"].as_u64().unwrap()).collect();
    (ids, list["next"].clone())
}

/// Catches a filter that shows a read at its edge, or one without a signal, and one that skips a quarter of an hour with
/// such reads.
#[tokio::test]
async fn weak_signals_are_those_below_the_limit_in_any_quarter_of_an_hour() {
    let office = office_with(
        store_of(&[
            ("hxb:L:A1:U1", "gate", Some(-97), 1),
            ("hxb:L:A2:U2", "gate", Some(-98), 2),
            ("hxb:L:A3:U3", "chute", None, 3),
            ("hxb:L:A4:U4", "gate", Some(-110), 2_000),
            ("hxb:L:A5:U5", "gate", Some(-111), 4_000),
            ("hxb:L:A6:U6", "chute", Some(-120), 6_000),
        ]),
        &["barn"],
        true,
    );
    for (query, ids) in [
        ("below=-97", vec![7, 6, 5, 3]),
        ("below=-109", vec![7, 6, 5]),
        ("below=-110", vec![7, 6]),
        ("below=-111", vec![7]),
        ("below=-120", vec![]),
        ("below=0", vec![7, 6, 5, 3, 2]),
        ("reader=chute", vec![7, 4]),
        ("reader=chute&below=-97", vec![7]),
        ("reader=gate&day=2026-01-15&below=-100", vec![6, 5]),
        ("status=voided", vec![]),
        ("status=processed&reader=gate", vec![6, 5, 3, 2]),
    ] {
        assert_eq!(reads(&office, query).await, (ids, Value::Null), "{query}");
    }
    let page = html_of(&office, "/payloads?reader=gate&below=-97").await;
    assert!(page.contains(">chute</option>") && page.contains("value=\"gate\" selected"), "{page}");
    assert!(page.contains("status=error&#38;reader=gate&#38;below=-97\""), "{page}");
}

/// Catches a page of a filter that reads the whole log, and a read between two pages that neither of them shows.
#[tokio::test]
async fn a_filtered_page_ends_after_some_changes_and_the_next_one_goes_on_there() {
    let payloads: Vec<_> = (0..60).map(|n| format!("hxb:L:A{n}:U{n}")).collect();
    let of = |n: usize| if n == 0 || n == 59 { "chute" } else { "gate" };
    let list: Vec<_> = payloads.iter().enumerate().map(|(n, text)| (text.as_str(), of(n), None, n as u64)).collect();
    let office = office_with(store_of(&list), &["barn"], true);
    let (mut found, mut pages, mut at) = (Vec::new(), Vec::new(), String::new());
    loop {
        let (ids, next) = reads(&office, &format!("reader=chute&limit=1{at}")).await;
        pages.push(ids.len());
        found.extend(ids);
        let Some(next) = next.as_u64() else { break };
        at = format!("&before={next}");
    }
    assert_eq!(found, [61, 2]);
    assert_eq!(pages, [1, 0, 0, 1], "20 changes for each entry");
    let (both, next) = reads(&office, "reader=chute&limit=3").await;
    assert_eq!((both, next), (vec![61, 2], Value::Null), "the last change of the walk is within the bound");
    for (limit, listed, next) in [(57, 57, json!(4)), (58, 58, Value::Null), (59, 58, Value::Null)] {
        let (ids, at) = reads(&office, &format!("reader=gate&limit={limit}")).await;
        assert_eq!((ids.len(), at), (listed, next), "{limit}");
    }
    let sheet = get(&office, "/payloads.csv?reader=gate&limit=2", "*/*").await;
    let link = "</payloads.csv?status=all&before=59&limit=2&reader=gate>; rel=\"next\"";
    assert_eq!((sheet.body.lines().count(), sheet.header(header::LINK)), (3, link));
}

/// Returns whether a page says that its sheet may end early, and whether the sheet leads to more.
async fn is_cut(office: &Router, path: &str) -> (bool, bool) {
    let page = html_of(office, path).await.replace("&#38;", "&").replace("&amp;", "&");
    let sheet = page.split("\" download>Download for a spreadsheet").next().unwrap().rsplit('"').next().unwrap();
    let sent = get(office, sheet, "*/*").await;
    assert_eq!(sent.status, StatusCode::OK, "{sheet}");
    (page.contains("the newest 1,000"), sent.headers.contains_key(header::LINK))
}

/// Catches a sheet that somebody takes for the whole list although older rows are left out, and one that is whole and is said to
/// be cut.
#[tokio::test]
async fn a_page_says_if_its_sheet_has_the_newest_rows_only() {
    let payloads: Vec<_> = (0..1_001).map(|n| format!("hxb:L{n}:A{n}:U{n}")).collect();
    let of = |n: usize| if n.is_multiple_of(500) { "chute" } else { "gate" };
    let list: Vec<_> =
        payloads.iter().enumerate().map(|(n, text)| (text.as_str(), of(n), Some(-97), n as u64)).collect();
    let office = office_with(store_of(&list), &["barn"], true);
    for (path, cut) in [
        ("/payloads", true),
        ("/payloads?status=processed&limit=3", true),
        ("/payloads?day=2026-01-15", true),
        ("/payloads?below=-90", true),
        ("/payloads?before=100", true),
        ("/payloads?reader=gate", false),
        ("/payloads?reader=chute", false),
        ("/payloads?day=2026-01-14", false),
        ("/payloads?status=error", false),
        ("/batches", true),
    ] {
        assert_eq!(is_cut(&office, path).await, (cut, cut), "{path}");
    }
    let office = office_with(store_of(&list[..1_000]), &["barn"], true);
    for path in ["/payloads", "/batches"] {
        assert_eq!(is_cut(&office, path).await, (false, false), "{path}");
    }
    let rejected = ("invalid:one", "gate", None, 1_000);
    let office = office_with(store_of(&[&list[..1_000], &[rejected]].concat()), &["barn"], true);
    for (path, cut) in [("/payloads", true), ("/payloads?status=processed", false), ("/payloads?status=error", false)] {
        assert_eq!(is_cut(&office, path).await, (cut, cut), "{path}");
    }
}

/// Catches a chart whose bars stand elsewhere than its numbers, and links to days on which nothing can have happened.
#[tokio::test]
async fn the_chart_of_a_day_has_a_bar_for_each_hour() {
    let page = html_of(&office(), "/").await;
    assert!(page.contains("Reads by hour. 10: 13<") || page.contains("Reads by hour. 10: 13\""), "{page}");
    assert!(page.contains("viewBox=\"0 0 480 ") && page.contains("x=\"200\" y=\"0\""), "{page}");
    // Two of 13 reads were rejected.
    assert!(page.contains("y=\"84\"") && page.contains("height=\"16\""), "{page}");
    assert!(page.contains("?day=2026-01-14\"") && !page.contains("?day=2026-01-16\""), "{page}");
    let before = html_of(&office(), "/?day=2026-01-14").await;
    assert!(before.contains("?day=2026-01-15\"") && before.contains("Wednesday 14 January 2026"), "{before}");
    assert!(before.contains("<title>Wednesday 14 January 2026") && !before.contains("Today, "), "{before}");
}

/// A lot with head in seven pens, and six more lots in the first of them. The last lot has left.
fn lots() -> Router {
    let mut payloads: Vec<_> =
        (1..=7).map(|n| format!("event:hxbind{n:06}|lot:L1|pen:P{n}|lid:{n}|sex:M|visual_id:V{n}")).collect();
    payloads.extend((8..=13).map(|n| format!("event:hxbind{n:06}|lot:L{n}|pen:P1|lid:{n}|sex:M|visual_id:V{n}")));
    payloads.push("event:hxbexp000001|lid:13|batch:OUT1".to_owned());
    let day = |n: usize| if n == 0 { 0 } else { 86_400 + n as u64 };
    let list: Vec<_> = payloads.iter().enumerate().map(|(n, text)| (text.as_str(), "gate", None, day(n))).collect();
    office_with(store_of(&list), &["barn"], true)
}

/// Catches a pen or lot that is neither named nor counted, a lot that is on no page or on two, and one that is said to be on the
/// yard although it has left.
#[tokio::test]
async fn lots_and_pens_name_some_of_each_other_and_count_the_rest() {
    let office = lots();
    let list = json_of(&office, "/lots").await;
    let lot = list["data"].as_array().unwrap().iter().find(|lot| lot["lot"] == "L1").unwrap();
    assert_eq!((lot["pens"].as_array().unwrap().len(), &lot["more_pens"]), (5, &json!(2)), "{lot}");
    let pens = json_of(&office, "/pens").await;
    let pen = pens["data"].as_array().unwrap().iter().find(|pen| pen["pen"] == "P1").unwrap();
    assert_eq!((pen["lots"].as_array().unwrap().len(), &pen["more_lots"]), (5, &json!(1)), "{pen}");
    assert_eq!((&pen["head"], &pens["total"]), (&json!(6), &json!(7)));

    for (show, total) in [("yard", 6), ("in", 7), ("out", 1)] {
        assert_eq!(json_of(&office, &format!("/lots?show={show}")).await["total"], total, "{show}");
    }
    for (query, head, next) in [
        ("show=in&limit=4", 4, json!(4)),
        ("show=in&limit=4&skip=3", 4, Value::Null),
        ("show=in&limit=4&skip=2", 4, json!(6)),
        ("show=in&limit=7", 7, Value::Null),
        ("show=in&skip=7", 0, Value::Null),
        ("show=in&skip=99", 0, Value::Null),
    ] {
        let page = json_of(&office, &format!("/lots?{query}")).await;
        assert_eq!((page["data"].as_array().unwrap().len(), &page["next"]), (head, &next), "{query}");
    }
    for (lot, days) in [("L1", "2026-01-15 to 2026-01-16"), ("L9", "2026-01-16")] {
        let page = html_of(&office, &format!("/lots/{lot}")).await;
        assert!(page.contains(&format!("<dt>In</dt><dd>{days}</dd>")), "{lot}: {page}");
    }
}

/// Catches a log without its last page, and a week that begins or ends a day too early.
#[tokio::test]
async fn the_log_has_a_next_page_only_if_there_is_more_and_a_week_has_seven_days() {
    const DAY_S: u64 = 86_400;
    let mut store = store_of(&[("hxb:L:A1:U1", "gate", None, 1)]);
    for (key, day) in [("a", 1), ("b", 2), ("c", 8), ("d", 9)] {
        let pen = format!("P{day}");
        let request = CorrectionRequest {
            correction: Correction::MovePen { animal: herd::change::AnimalId(2), pen },
            author: "Otto".into(),
            reason: "seen".into(),
            idempotency_key: key.into(),
            channel: "office".into(),
        };
        let second = day * DAY_S;
        let received_at_us = START_US + i64::try_from(second).unwrap() * 1_000_000;
        let at = RawReading { received_at_us, synchronized: true, since_boot_ms: second * 1_000 };
        store.correct(&request, at).unwrap();
    }
    let office = office_with(store, &["barn"], true);
    for (query, sequences, next) in [
        ("limit=4", vec![6, 5, 4, 3], Value::Null),
        ("limit=3", vec![6, 5, 4], json!(4)),
        ("limit=3&before=4", vec![3], Value::Null),
        // From 2026-01-17 to 2026-01-23.
        ("week=2026-01-23", vec![5, 4], Value::Null),
        ("week=2026-01-22", vec![4, 3], Value::Null),
        ("week=2026-01-24", vec![6, 5], Value::Null),
        ("week=2026-01-24&limit=1", vec![6], json!(6)),
    ] {
        let log = json_of(&office, &format!("/log?{query}")).await;
        let listed: Vec<_> = log["data"].as_array().unwrap().iter().map(|one| one["sequence"].clone()).collect();
        assert_eq!((json!(listed), log["next"].clone()), (json!(sequences), next), "{query}");
    }
    assert_eq!(get(&office, "/log?week=23.1.2026", BROWSER).await.status, StatusCode::BAD_REQUEST);
}

/// Catches a tag of full length that cannot be searched, and a text of any length that can.
#[tokio::test]
async fn a_search_text_is_bounded() {
    for (chars, status) in [(200, StatusCode::NOT_FOUND), (201, StatusCode::BAD_REQUEST)] {
        let path = format!("/search?q=%20{}%20", "x".repeat(chars));
        assert_eq!(get(&office(), &path, "application/json").await.status, status, "{chars}");
    }
}
