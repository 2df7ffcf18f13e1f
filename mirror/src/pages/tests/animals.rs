//! List of animals: chips, filters, orders, pages in both directions, and files.
//!
//! Catches: an animal that no page shows or that two pages show, a filter that a link forgets, a sheet that ends early, and a
//! line of a list for importers that is no EID.

use super::{BROWSER, filled_store, get, html_of, json_of, office, office_with};
use axum::Router;
use axum::http::{StatusCode, header};
use serde_json::json;

/// Head `H1` to `H{head}` in two pens and two lots. One in ten has no EID, every second was weighed, and the last one left.
fn yard(head: usize) -> Router {
    let mut payloads = Vec::new();
    for n in 1..=head {
        let (lot, pen) = (n % 2, n % 3);
        let weight = if n % 2 == 0 { format!("|weight:{}", 200 + n % 100) } else { String::new() };
        payloads.push(format!("event:hxbind{n:06}|lot:LOT{lot}|pen:P {pen}|lid:{n}|sex:Steer|visual_id:H{n}{weight}"));
        if n % 10 != 0 {
            payloads.push(format!(
                "event:hxbpai{n:06}|lid:{n}|lf:{}|epc:E28011606000020443{n:06}",
                982_000_100_000_000 + n
            ));
        }
    }
    payloads.push(format!("event:hxbexp000001|lid:{head}|batch:OUT1"));
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    office_with(filled_store(&payloads), &["barn"], true)
}

/// Returns the visual tags of a page in their order.
fn visual_tags(page: &serde_json::Value) -> Vec<String> {
    let rows = page["data"].as_array().unwrap().iter();
    rows.map(|row| row["traits"]["visual_id"].as_str().unwrap().to_owned()).collect()
}

fn place(value: &serde_json::Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}

#[tokio::test]
async fn pages_lead_through_the_list_in_both_directions_and_any_order() {
    let office = yard(25);
    for (sort, order) in [
        ("visual", "asc"),
        ("visual", "desc"),
        ("eid", "asc"),
        ("weight", "desc"),
        ("lot", "asc"),
        ("pen", "desc"),
        ("gain", "asc"),
        ("last_seen", "desc"),
        ("id", "asc"),
        ("id", "desc"),
    ] {
        let path = format!("/animals?show=yard&sort={sort}&order={order}");
        let all = visual_tags(&json_of(&office, &format!("{path}&limit=1000")).await);
        assert_eq!(all.len(), 24, "{path}");
        let (mut forwards, mut at) = (Vec::new(), String::new());
        loop {
            let page = json_of(&office, &format!("{path}&limit=7{at}")).await;
            assert_eq!(
                (&page["total"], page["before"].as_u64().unwrap()),
                (&json!(24), forwards.len() as u64),
                "{path}"
            );
            forwards.extend(visual_tags(&page));
            match place(&page["next"]) {
                Some(next) => at = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(forwards, all, "{path}");
        let (mut backwards, mut at) = (Vec::new(), "&before=end".to_owned());
        loop {
            let page = json_of(&office, &format!("{path}&limit=7{at}")).await;
            backwards.splice(0..0, visual_tags(&page));
            match place(&page["previous"]) {
                Some(previous) => at = format!("&before={previous}"),
                None => break,
            }
        }
        assert_eq!(backwards, all, "{path}");
    }
    let by_tag = visual_tags(&json_of(&office, "/animals?show=yard&sort=visual").await);
    assert_eq!(by_tag[..3], ["H1", "H2", "H3"]);
    assert_eq!(by_tag[8..11], ["H9", "H10", "H11"]);
}

#[tokio::test]
async fn filters_and_chips_agree_and_stay_in_every_link() {
    let office = yard(30);
    let page = html_of(&office, "/animals").await;
    for part in ["On the yard 29", "Tag missing 2", "Not weighed 15", "Exported 1", "Dead 0", "All 30", "29 animals"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for (filter, total) in [
        ("show=tag_missing", 2),
        ("show=not_weighed", 15),
        ("show=exported", 1),
        ("show=dead", 0),
        ("show=all", 30),
        ("pen=p1", 10),
        ("lot=lot%200", 15),
        ("lot=LOT0&pen=P+1", 5),
        ("pen=nowhere", 0),
        ("pen=", 0),
        ("pen=*", 30),
        ("sex=STEER", 30),
        ("tags=no_lf", 3),
        ("tags=complete", 27),
        ("tags=unconfirmed", 0),
        ("export_lot=out1", 1),
        ("day=2026-01-15", 30),
        ("day=2026-01-16", 0),
        ("day=2026-01-15&event=out", 1),
        ("day=2026-01-15&event=weighed", 15),
    ] {
        assert_eq!(json_of(&office, &format!("/animals?{filter}")).await["total"], total, "{filter}");
    }
    let page = html_of(&office, "/animals?show=yard&pen=P+1&sort=weight&order=desc&limit=3").await;
    for part in [
        "href=\"/animals?show=not_weighed&#38;pen=P%201&#38;sort=weight&#38;order=desc\"",
        "href=\"/animals?show=yard&#38;pen=P%201&#38;sort=weight&#38;order=asc\"",
        "href=\"/animals.csv?show=yard&#38;pen=P%201&#38;sort=weight&#38;order=desc\"",
        "href=\"/animals/eids.txt?show=yard&#38;pen=P%201",
        "href=\"/animals?show=yard&#38;sort=weight&#38;order=desc\"",
        "rel=\"next\"",
        "aria-sort=\"descending\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for bad in ["show=x", "sort=x", "order=x", "tags=x", "day=15.1.2026", "event=x&day=2026-01-15", "after=1&before=2"]
    {
        assert_eq!(get(&office, &format!("/animals?{bad}"), BROWSER).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

/// Catches a filter or an order that somebody loses who sets another filter.
#[tokio::test]
async fn the_form_of_filters_sends_back_all_that_is_set() {
    let office = yard(4);
    let page = html_of(&office, "/animals?export_lot=out1&lot=GONE&order=desc").await;
    for part in [
        "<input type=\"hidden\" name=\"export_lot\" value=\"out1\">",
        "<option value=\"GONE\" selected>GONE</option>",
        "<input type=\"hidden\" name=\"order\" value=\"desc\">",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for name in ["pen", "funder", "sex"] {
        let page = html_of(&office, &format!("/animals?{name}=GONE")).await;
        assert!(page.contains("<option value=\"GONE\" selected>GONE</option>"), "{name}: {page}");
    }
    let page = html_of(&office, "/animals?export_lot=&lot=LOT1&pen=&sex=*").await;
    assert!(page.contains("name=\"export_lot\" value=\"\""), "those that left in no lot: {page}");
    assert_eq!(page.matches("<option value=\"LOT1\"").count(), 1, "{page}");
    let chosen = page.split("<details class=\"filters\">").nth(1).unwrap().split("</details>").next().unwrap();
    assert_eq!(chosen.matches(" selected>").count(), 2, "LOT1 and no pen: {chosen}");
    assert!(!html_of(&office, "/animals?pen=*").await.contains("name=\"export_lot\""));
}

/// Catches an address of a program or a bookmark that shows something else than before.
#[tokio::test]
async fn old_addresses_show_all_animals_in_the_order_of_their_ids() {
    let office = office();
    let list = json_of(&office, "/animals?limit=2").await;
    assert_eq!((&list["data"][0]["id"], &list["data"][1]["id"], &list["next"]), (&json!(2), &json!(3), &json!(3)));
    let rest = json_of(&office, "/animals?after=3&limit=50").await;
    assert_eq!((&rest["data"][0]["id"], &rest["next"]), (&json!(9), &json!(null)));
    assert!(html_of(&office, "/animals?after=3&limit=1").await.contains("href=\"/animals/9\""));
}

#[tokio::test]
async fn a_sheet_is_complete_and_has_the_columns_of_the_page() {
    let office = yard(1_300);
    let sheet = get(&office, "/animals.csv?show=all&sort=visual", "*/*").await;
    let lines: Vec<_> = sheet.body.lines().collect();
    assert_eq!(lines.len(), 1 + 1_300);
    assert!(
        lines[0].starts_with("\u{feff}visual_id,lf,epc,lot,pen,sex,weight_kg,gain_kg_per_day,last_seen,id,"),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("\"=\"\"H1\"\"\",\"=\"\"982000100000001\"\"\""), "{}", lines[1]);
    assert!(lines[1_300].starts_with("\"=\"\"H1300\"\"\""), "{}", lines[1_300]);
    assert_eq!(sheet.headers.get(header::LINK), None);
    let plain = get(&office, "/animals.csv?show=exported&form=plain", "*/*").await.body;
    assert!(plain.starts_with("visual_id,lf,") && plain.contains("\r\nH1300,,,LOT0,P 1,Steer,200,,"), "{plain}");
    let page = get(&office, "/animals.csv?limit=2&show=yard&sort=visual", "*/*").await;
    assert_eq!(page.body.lines().count(), 3);
    assert!(
        page.header(header::LINK).contains("/animals.csv?show=yard&sort=visual&order=asc&after="),
        "{:?}",
        page.headers
    );
}

#[tokio::test]
async fn a_list_of_eids_has_15_digits_a_line_and_nothing_else() {
    let office = yard(1_300);
    let list = get(&office, "/animals/eids.txt?show=all", "*/*").await;
    let lines: Vec<_> = list.body.lines().collect();
    assert_eq!(lines.len(), 1_170);
    assert!(lines.iter().all(|line| line.len() == 15 && line.bytes().all(|byte| byte.is_ascii_digit())));
    assert_eq!(list.headers["herdlinx-without-eid"], "130");
    let none = get(&office, "/animals/eids.txt?show=dead", "*/*").await;
    assert_eq!((none.status, none.body.as_str()), (StatusCode::OK, ""));
}

/// Returns the lines of a file and of the pages to which its links lead, without the heads, and the number of pages.
async fn lines_of_all_pages(office: &Router, first: &str) -> (Vec<String>, usize) {
    let has_head = first.contains(".csv");
    let (mut lines, mut pages, mut path) = (Vec::new(), 0, first.to_owned());
    loop {
        let page = get(office, &path, "*/*").await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        pages += 1;
        lines.extend(page.body.lines().skip(usize::from(has_head)).map(str::to_owned));
        let Some(link) = page.headers.get(header::LINK) else { return (lines, pages) };
        let link = link.to_str().unwrap().strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = link.unwrap().to_owned();
    }
}

/// Catches a second page in another form than the first, and a page of EIDs that leads to no other.
#[tokio::test]
async fn the_links_of_a_file_lead_through_the_whole_list_in_the_same_form() {
    let office = yard(25);
    for file in ["/animals.csv?show=yard", "/animals.csv?show=yard&form=plain", "/animals/eids.txt?show=yard"] {
        let whole = lines_of_all_pages(&office, file).await;
        let by_pages = lines_of_all_pages(&office, &format!("{file}&limit=7")).await;
        assert_eq!((whole.1, by_pages.1), (1, 4), "{file}");
        assert_eq!(by_pages.0, whole.0, "{file}");
    }
    let plain = get(&office, "/animals.csv?form=plain&limit=1", "*/*").await;
    assert!(plain.header(header::LINK).contains("&form=plain"), "{:?}", plain.headers);
}

/// Catches an EID with blanks between its digits, which no other program takes.
#[tokio::test]
async fn an_eid_is_shown_in_groups_and_copied_as_15_digits() {
    let page = html_of(&yard(2), "/animals").await;
    assert!(page.contains("<span>982</span><span>000100</span><b>000001</b>"), "{page}");
    let animal = html_of(&yard(2), "/animals/2").await;
    assert!(animal.contains("<h1><bdi>H1</bdi>") && animal.contains("animal 2</span>"), "{animal}");
}

#[tokio::test]
async fn radio_text_in_a_list_is_isolated_and_never_markup() {
    let payloads = ["event:hxbind000001|lot:<b>L|pen:\"><script>|lid:1|sex:'x|visual_id:<img src=x>|funder:&amp;"];
    let office = office_with(filled_store(&payloads), &["barn"], true);
    for path in ["/animals", "/animals?pen=%22%3E%3Cscript%3E", "/search?q=%3Cimg%20src=x%3E"] {
        let page = get(&office, path, BROWSER).await.body;
        for markup in ["<script>", "<img", "<b>L"] {
            assert!(!page.contains(markup), "{path}: {page}");
        }
    }
}
