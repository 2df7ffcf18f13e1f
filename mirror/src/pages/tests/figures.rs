//! Figures by day, lot and pen: Today, lots, pens, reads and the log.

use super::{
    BROWSER, Conventions, PAYLOADS, TestOffice, at, filled_store, get, html, html_of, json, json_of, office,
    office_from, office_reading, office_with, store_filled_at, without_our_script,
};
use crate::people::{LoggedIn, Role};
use crate::zone::Zone;
use axum::Extension;
use axum::http::StatusCode;
use herd::change::{AnimalId, Correction};
use herd::clock::RawReading;
use herd::decide::CorrectionRequest;
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::store::Store;
use serde_json::{Value, json};
use std::sync::Mutex;

/// Pages of the figures.
const PAGES: [&str; 9] = [
    "/",
    "/?day=2026-01-15",
    "/lots",
    "/lots?show=out",
    "/lots/LOT1",
    "/lots/LOT1?side=out",
    "/pens",
    "/payloads?day=2026-01-15&reader=radio1&below=-90",
    "/log",
];

/// Texts that a packet can carry, in each field that a page shows.
const HOSTILE: [&str; 5] = [
    "event:hxbind000001|funder:<script>f()</script>|lot:\"><script>l()</script>|pen:<img src=x onerror=p()>|lid:1|sex:<b>s</b>|visual_id:\u{202e}<i>v</i>",
    "hxb:\"><script>l()</script>:<b>lf</b>:<b>uhf</b>",
    "event:hxbchi000007|weight:<script>w()</script>|lid:1",
    "hxe:<script>o()</script>:<b>lf</b>:<b>uhf</b>",
    "invalid:<script>alert(1)</script>\u{202e}",
];

fn correct(store: &mut Store, key: &str, correction: Correction) {
    let request = CorrectionRequest {
        correction,
        author: "<b>Otto</b>".into(),
        reason: "<script>seen</script>".into(),
        idempotency_key: key.into(),
        channel: "office".into(),
    };
    store.correct(&request, at(30)).unwrap();
}

#[tokio::test]
async fn every_page_of_figures_is_a_page_and_json() {
    for path in PAGES {
        let page = html(path).await;
        assert!(page.contains("<main id=\"main\"") && page.contains("aria-current=\"page\""), "{path}: {page}");
        assert!(json(path).await.is_object(), "{path}");
    }
}

/// Catches head that is counted on another day, or in another lot or pen.
#[tokio::test]
async fn today_shows_head_in_and_out_by_lot_and_pen() {
    let today = json("/").await["day"].clone();
    assert_eq!(
        (&today["head_in"], &today["head_out"], &today["on_yard"]),
        (&json!(5), &json!(1), &json!(4)),
        "{today}"
    );
    let lot = today["by_lot_and_pen"].as_array().unwrap().iter().find(|group| group["lot"] == "LOT2024-001").unwrap();
    assert_eq!((&lot["pen"], &lot["mean_weight_kg"], &lot["sex"]), (&json!("P1"), &json!("267.3"), &json!("M")));
    assert_eq!(today["out_by_lot_and_pen"][0]["lot"], "LOT1");
    assert_eq!(today["reads"].as_array().unwrap().len(), 24);
    assert_eq!(today["reads"][10], json!({"hour": "10", "received": 13, "rejected": 2}));
    let page = html("/").await;
    assert!(page.contains("Today, Thursday 15 January 2026 <span class=\"soft\">UTC</span>"), "{page}");
    for (what, path) in [
        ("Reads rejected that day", "/payloads?status=error&#38;day=2026-01-15"),
        ("Weights refused that day", "/payloads?status=refused_weight&#38;day=2026-01-15"),
        ("Reads missed, ever", "/status#missed"),
    ] {
        assert!(page.contains(&format!("<a href=\"{path}\">{what}</a>")), "{what}: {page}");
    }
    let before = json("/?day=2026-01-14").await["day"].clone();
    assert_eq!((&before["head_in"], &before["weighed"]), (&json!(0), &json!(0)));
}

/// Catches a day of UTC at an office that is elsewhere: a read at 23:59 and one at 00:01 are on two days.
#[tokio::test]
async fn a_day_begins_at_midnight_of_the_office() {
    const MIDNIGHT_IN_DENVER_US: i64 = 1_768_460_400_000_000;
    let reading = |n: u64| RawReading {
        received_at_us: MIDNIGHT_IN_DENVER_US + if n == 1 { -60_000_000 } else { 60_000_000 },
        synchronized: true,
        since_boot_ms: n * 100_000,
    };
    let store = Mutex::new(store_filled_at(&["hxb:L1:LF1:UHF1", "hxb:L1:LF2:UHF2"], reading));
    let conventions = Conventions { weight_unit: WeightUnit::Kg, zone: Zone::named("America/Denver").unwrap() };
    let office = office_reading(TestOffice { store, ..TestOffice::new(&["barn"]) }, conventions);
    for (day, hour) in [("2026-01-14", 23), ("2026-01-15", 0)] {
        let figures = json_of(&office, &format!("/?day={day}")).await["day"].clone();
        assert_eq!((&figures["head_in"], &figures["reads"][hour]["received"]), (&json!(1), &json!(1)), "{figures}");
        let reads = json_of(&office, &format!("/payloads?day={day}")).await;
        assert_eq!(reads["data"].as_array().unwrap().len(), 1, "{reads}");
    }
    assert!(html_of(&office, "/").await.contains("<span class=\"soft\">MST</span>"));
}

#[tokio::test]
async fn a_lot_is_found_by_any_spelling_of_its_number_and_has_all_its_head() {
    for path in ["/lots/LOT2024-001", "/lots/lot2024-001", "/lots/LOT%202024-001"] {
        let lot = json(path).await;
        assert_eq!(
            (&lot["lot"], &lot["head"], &lot["side"]),
            (&json!("LOT2024-001"), &json!(1), &json!("in")),
            "{path}"
        );
        assert_eq!((&lot["batches"][0]["id"], &lot["animals"][0]["lf"]), (&json!(3), &json!("LF_EAR_0099")), "{lot}");
    }
    let out = json("/lots/LOT1?side=out").await;
    assert_eq!(
        (&out["head"], &out["batches"][0]["source_type"], &out["animals"][0]["status"]),
        (&json!(1), &json!("hxe"), &json!("exported"))
    );
    assert!(html("/lots/LOT1").await.contains("href=\"/lots/LOT1?side=out\""));
    let page = html("/lots/LOT2024-001").await;
    for part in ["<thead>", "<tfoot>", "signatures", "data-print", "/animals/eids.txt?lot=LOT2024-001"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let lost = get(&office(), "/lots/NOBODY", "application/json").await;
    assert_eq!(lost.status, StatusCode::NOT_FOUND, "{}", lost.body);
}

/// Catches a list for the buyer or the scale with head that did not leave, or came back.
#[tokio::test]
async fn the_files_of_a_lot_have_the_head_that_its_page_counts() {
    let payloads = [
        "hxb:L1:982000196588511:E2801160600002044310B2E1",
        "hxb:L1:982000196588512:E2801160600002044310B2E2",
        "hxb:L1:982000196588513:E2801160600002044310B2E3",
        "hxe:OUT 1:982000196588511:E2801160600002044310B2E1",
        "hxe:OUT 1:982000196588512:E2801160600002044310B2E2",
        "hxe:OUT 1:982000196588513:E2801160600002044310B2E3",
        "hxb:L2:982000196588511:E2801160600002044310B2E1",
    ];
    let office = office_with(filled_store(&payloads), &["barn"], true);
    for (lot, head) in [("/lots/OUT%201?side=out", 2), ("/lots/L1", 2), ("/lots/L2", 1)] {
        assert_eq!(json_of(&office, lot).await["head"], json!(head), "{lot}");
        let page = html_of(&office, lot).await.replace("&#38;", "&").replace("&amp;", "&");
        let path = |file: &str| link(&page[page.find(&format!("href=\"{file}?")).unwrap()..]);
        assert_eq!(json_of(&office, &path("/animals")).await["total"], json!(head), "{lot}");
        for (file, heads) in [("/animals.csv", 1), ("/animals/eids.txt", 0)] {
            let sent = get(&office, &path(file), "*/*").await.body;
            assert_eq!(sent.lines().count() - heads, head, "{lot}: {file}: {sent}");
        }
    }
}

#[tokio::test]
async fn lots_and_pens_have_their_head() {
    let lots = json("/lots?limit=2").await;
    assert_eq!((lots["data"].as_array().unwrap().len(), &lots["next"]), (2, &json!(2)), "{lots}");
    assert_eq!(json("/lots?show=out").await["data"][0]["lot"], "LOT1");
    let pens = json("/pens").await;
    assert_eq!(
        (&pens["data"][0]["pen"], &pens["data"][0]["lots"][0]["lot"]),
        (&json!("P1"), &json!("LOT2024-001")),
        "{pens}"
    );
}

/// Catches a filter that shows other reads, or loses some over the edge of a page.
#[tokio::test]
async fn reads_are_filtered_by_day_reader_outcome_and_signal() {
    let ids = async |query: &str| {
        let list = json(&format!("/payloads?{query}")).await;
        let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|read| read["id"].as_u64().unwrap()).collect();
        (ids, list["next"].clone())
    };
    assert_eq!(ids("status=refused_weight").await, (vec![6], Value::Null));
    assert_eq!(ids("status=error&day=2026-01-15").await, (vec![13, 12], Value::Null));
    assert_eq!(ids("day=2026-01-14").await, (vec![], Value::Null));
    assert_eq!(ids("reader=radio2").await, (vec![], Value::Null));
    assert_eq!(ids("below=-97").await, (vec![], Value::Null));
    let (first, next) = ids("below=-96&reader=radio1&limit=5").await;
    let (second, _) = ids(&format!("below=-96&reader=radio1&limit=20&before={next}")).await;
    assert_eq!([first, second].concat(), (2..=14).rev().collect::<Vec<_>>());
    // A form sends what was left empty.
    assert_eq!(ids("status=error&day=&reader=&below=").await.0, [13, 12]);
    for wrong in ["day=2026-1-5", "day=x", "below=weak", "status=duplicate"] {
        let refused = get(&office(), &format!("/payloads?{wrong}"), "application/json").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(get(&office(), "/?day=x", BROWSER).await.status, StatusCode::BAD_REQUEST);
}

/// Catches a log that does not say what was there before.
#[tokio::test]
async fn the_log_says_who_changed_what_from_what_to_what_and_why() {
    let mut store = filled_store(&PAYLOADS);
    let weigh = |weight_g, of: u64| Correction::Weigh {
        animal: AnimalId(3),
        weight_g,
        when: herd::change::WeighingTime::InsteadOf(Sequence(of)),
    };
    correct(&mut store, "k1", Correction::MovePen { animal: AnimalId(3), pen: "P2".into() });
    correct(&mut store, "k2", Correction::MovePen { animal: AnimalId(3), pen: "P3".into() });
    correct(&mut store, "k3", weigh(257_300, 5));
    let office = office_with(store, &["barn"], true);
    let page = without_our_script(&html_of(&office, "/log").await);
    for (from, to) in [("P1", "P2"), ("P2", "P3"), ("267.3 kg", "257.3 kg")] {
        let both = format!("<bdi>{from}</bdi></td>\n<td data-label=\"To\"><bdi class=\"lines\">{to}</bdi>");
        assert!(page.contains(&both), "{both}: {page}");
    }
    assert!(page.contains("&#60;b&#62;Otto&#60;/b&#62;") && !page.contains("<script"), "{page}");
    let first = json_of(&office, "/log?limit=2").await;
    assert_eq!((&first["data"][0]["sequence"], &first["next"]), (&json!(17), &json!(16)), "{first}");
    assert_eq!(json_of(&office, "/log?limit=2&before=16").await["data"][0]["sequence"], 15);
}

/// Catches addresses of people that others than owners see.
#[tokio::test]
async fn only_owners_see_who_signed_in() {
    for (role, sees) in [(Role::Viewer, false), (Role::Operator, false), (Role::Owner, true)] {
        let user = LoggedIn { name: "Ana".parse().unwrap(), role, form_token: String::new() };
        let page = html_of(&office().layer(Extension(user)), "/log").await;
        assert_eq!(page.contains("Sign-ins"), sees, "{role}: {page}");
    }
}

/// Catches markup of a packet that reaches a page unescaped, and signs that turn a line around.
#[tokio::test]
async fn hostile_texts_stay_texts_on_every_page() {
    let mut store = filled_store(&HOSTILE);
    correct(&mut store, "k1", Correction::MovePen { animal: AnimalId(2), pen: "<script>pen</script>".into() });
    let office = office_from(TestOffice { store: Mutex::new(store), ..TestOffice::new(&["barn"]) });
    let lot = "/lots/%22%3E%3Cscript%3El%28%29%3C%2Fscript%3E";
    for path in ["/", "/lots", "/lots?show=out", "/pens", "/payloads", "/payloads?status=error", "/log", lot, "/status"]
    {
        let page = get(&office, path, BROWSER).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        let page = without_our_script(&page.body);
        for markup in ["<script", "<img", "<b>s", "<b>lf", "<b>uhf", "<i>v", "<b>Otto", "\u{202e}"] {
            assert!(!page.contains(markup), "{path}: {markup}: {page}");
        }
    }
}

/// Catches a count on Today that the list behind its link contradicts.
#[tokio::test]
async fn every_count_on_today_is_the_number_of_entries_behind_its_link() {
    let payloads = [
        "event:hxbind000001|funder:F|lot:L1|pen:P1|lid:1|sex:M",
        "event:hxbpai000001|lid:1|lf:124000224161433|epc:E2801160600002044310B2E2|weight:245.5",
        "event:hxbchi000001|lid:1|weight:445.5",
        "event:hxbind000002|lot:L1|pen:P1|lid:2",
        "hxb:L1:982000196588496:E2801160600002044310B2E3",
        "hxb:L1:982000196588511:E2801160600002044310B2E3",
        "hxb:L2:982000196588515:STRANGE",
        "hxe:OUT:982000196588515:STRANGE",
        "hxb:L2:982000196588516:E2801160600002044310B2E4",
        "hxb:L2:982000196588517:E2801160600002044310B2E4",
        "hxe:OUT:982000196588516:E2801160600002044310B2E4",
        "event:hxbchi000005|lid:2|weight:NaN",
        "event:hxbind000003|lot:L1|pen:P1|lid:3",
        "event:hxbexp000001|lid:3|batch:OUT",
        "invalid:one",
        "invalid:two",
    ];
    let mut store = filled_store(&payloads);
    correct(&mut store, "k1", Correction::MovePen { animal: AnimalId(2), pen: "P2".into() });
    let office = office_with(store, &["barn"], true);
    let page = html_of(&office, "/?day=2026-01-15").await.replace("&#38;", "&").replace("&amp;", "&");
    let figures = page.split("<dl class=\"figures\">").nth(1).unwrap().split("</dl>").next().unwrap();
    let mut counts: Vec<(String, u64)> = Vec::new();
    for figure in figures.split("<div>").skip(1) {
        let count = figure.split("<dd>").nth(1).unwrap().split('<').next().unwrap();
        counts.push((link(figure), count.parse().unwrap()));
    }
    let look = page.split("<ul class=\"look\">").nth(1).unwrap().split("</ul>").next().unwrap();
    for line in look.split("<li>").skip(1) {
        let count = line.split("<b>").nth(1).unwrap().split('<').next().unwrap();
        counts.push((link(line), count.parse().unwrap()));
    }
    assert_eq!(json_of(&office, "/?day=2026-01-15").await["day"]["tags_missing"], json!(2), "one of them left");
    assert!(counts.len() >= 9 && counts.iter().any(|(path, _)| path.contains("unconfirmed")), "{counts:?}");
    for (path, count) in counts {
        let path = path.split('#').next().unwrap();
        let listed = json_of(&office, path).await;
        let entries = match path.split('?').next().unwrap() {
            "/animals" => listed["total"].clone(),
            "/payloads" | "/log" => json!(listed["data"].as_array().unwrap().len()),
            _ => listed["totals"]["missed_events"].clone(),
        };
        assert_eq!(entries, json!(count), "{path}: {listed}");
    }
}

fn link(part: &str) -> String {
    part.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}
