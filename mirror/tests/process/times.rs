//! Times on the pages of a real office: reads around midnight, days on which the clocks are set, and a barn's wrong clock.
//!
//! Catches: a day that begins at midnight in UTC or lasts 24 hours when it does not, a read on two days or on none, an age by a
//! clock that is wrong, and a wrong or doubtful clock that no page mentions.

use super::barn::Barn;
use super::office::Office;
use super::{get, sync_status, wait_until_copied};
use herd::clock::{Clock as _, SystemClock};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Client;
use serde_json::Value;
use std::collections::BTreeMap;

const ZONE: &str = "America/Denver";
const HOUR_US: i64 = 3_600_000_000;
/// Longest age in seconds of what this test has just recorded.
const JUST_NOW_S: u64 = 60;

/// A day with its number of hours, and the reads of it in UTC with the hours of the office and the time on the page.
type DayOfReads = (&'static str, usize, &'static [(&'static str, &'static str, &'static str)]);

/// The days on which the clocks were set in 2025, and those around them.
const DAYS: [DayOfReads; 6] = [
    ("2025-03-08", 24, &[("2025-03-09T06:59:00Z", "23", "2025-03-08 23:59:00")]),
    (
        "2025-03-09",
        23,
        &[
            ("2025-03-09T07:01:00Z", "00", "2025-03-09 00:01:00"),
            ("2025-03-09T08:59:00Z", "01", "2025-03-09 01:59:00"),
            ("2025-03-09T09:01:00Z", "03", "2025-03-09 03:01:00"),
            ("2025-03-10T05:59:00Z", "23", "2025-03-09 23:59:00"),
        ],
    ),
    ("2025-03-10", 24, &[("2025-03-10T06:01:00Z", "00", "2025-03-10 00:01:00")]),
    ("2025-11-01", 24, &[("2025-11-02T05:59:00Z", "23", "2025-11-01 23:59:00")]),
    (
        "2025-11-02",
        25,
        &[
            ("2025-11-02T06:01:00Z", "00", "2025-11-02 00:01:00"),
            ("2025-11-02T07:30:00Z", "01 MDT", "2025-11-02 01:30:00 MDT"),
            ("2025-11-02T08:30:00Z", "01 MST", "2025-11-02 01:30:00 MST"),
            ("2025-11-03T06:59:00Z", "23", "2025-11-02 23:59:00"),
        ],
    ),
    ("2025-11-03", 24, &[("2025-11-03T07:01:00Z", "00", "2025-11-03 00:01:00")]),
];

fn at_us(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

/// Returns the payload of a new head.
fn induction(n: usize) -> String {
    format!("event:hxbind{n:06}|lid:{n}|lot:L1|pen:P1|visual_id:V{n}|weight:250.5")
}

/// Pages of an office, for a program and for a browser.
struct Pages {
    client: Client,
    address: String,
}

impl Pages {
    async fn json(&self, path: &str) -> Value {
        let (status, body) = get(&self.client, &format!("https://{}{path}", self.address), None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn html(&self, path: &str) -> String {
        let request = self.client.get(format!("https://{}{path}", self.address)).header("Accept", "text/html");
        request.send().await.unwrap().text().await.unwrap()
    }
}

/// Starts an office in the zone of the test, and waits until it has copied the barn.
async fn follow(barn: &Barn) -> (Office, Pages) {
    let mut office = Office::new();
    office.run(&["add", &barn.pair("office-1")]);
    office.start_with_env(&[("HERDLINX_MIRROR_TIME_ZONE", ZONE)]);
    let pages = Pages { address: office.address().await, client: office.client() };
    wait_until_copied(&office, &pages.client, &pages.address, "barn", barn).await;
    (office, pages)
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_of_the_day_and_hour_that_the_clock_of_the_office_showed() {
    let mut barn = Barn::open("barn", 1);
    for (n, (utc, ..)) in DAYS.iter().flat_map(|(_, _, reads)| *reads).enumerate() {
        barn.read(&induction(n + 1), at_us(utc), true);
    }
    let (mut office, pages) = follow(&barn).await;
    for (day, hours, reads) in DAYS {
        let today = pages.json(&format!("/?day={day}")).await;
        let figures = &today["day"];
        assert_eq!((&figures["head_in"], &figures["weighed"]), (&reads.len().into(), &reads.len().into()), "{today}");
        let listed = figures["reads"].as_array().unwrap();
        assert_eq!(listed.len(), hours, "{today}");
        let counts = |hour: &Value| (hour["hour"].as_str().unwrap().to_owned(), hour["received"].as_u64().unwrap());
        let counted: BTreeMap<_, _> = listed.iter().map(counts).filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, reads.iter().map(|(_, hour, _)| ((*hour).to_owned(), 1)).collect(), "{today}");
        for event in ["in", "weighed", "seen"] {
            let list = pages.json(&format!("/animals?day={day}&event={event}")).await;
            assert_eq!(list["total"], reads.len(), "{event}: {list}");
        }
        let path = format!("/payloads?day={day}");
        assert_eq!(pages.json(&path).await["data"].as_array().unwrap().len(), reads.len());
        let page = pages.html(&path).await;
        // The line above it has the last read of all.
        let (_, list) = page.split_once("<main").unwrap();
        for (.., shown) in reads {
            assert_eq!(list.matches(&format!(">{shown}<")).count(), 1, "{shown}: {page}");
        }
    }
    assert_eq!(office.stop().code(), Some(0));
}

/// Records a read at this difference to the right time, and returns that time and the first page that shows it.
async fn read_live(
    barn: &mut Barn,
    office: &Office,
    pages: &Pages,
    n: usize,
    ahead_us: i64,
    synchronized: bool,
) -> (i64, String) {
    let at_us = SystemClock::default().read().received_at_us + ahead_us;
    barn.read(&induction(n), at_us, synchronized);
    wait_until_copied(office, &pages.client, &pages.address, "barn", barn).await;
    (at_us, pages.html("/").await)
}

/// Checks that the age of the last read counts from its arrival.
fn assert_just_arrived(page: &str) {
    let (_, age) = page.split_once("last read <b data-age=\"").unwrap_or_else(|| panic!("no age: {page}"));
    let (seconds, words) = age.split_once("\">").unwrap();
    assert!(seconds.parse::<u64>().unwrap() < JUST_NOW_S, "{page}");
    assert!(words.starts_with("now</b>") || words.split_once("</b>").unwrap().0.ends_with(" s ago"), "{page}");
}

fn day_of(at_us: i64) -> String {
    let zone = TimeZone::get(ZONE).unwrap();
    Timestamp::from_microsecond(at_us).unwrap().to_zoned(zone).date().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_of_the_barn_is_named_and_gives_no_wrong_age() {
    let mut barn = Barn::open("barn", 1);
    barn.scan(1);
    let (mut office, pages) = follow(&barn).await;
    office
        .wait_until("the link is live", async || {
            let status = sync_status(&pages.client, &pages.address).await;
            (status["sites"][0]["link"] == "live").then_some(())
        })
        .await;
    let cases = [
        (-72 * HOUR_US, true, "the barn’s clock is 3 days slow"),
        (2 * HOUR_US + HOUR_US / 10, true, "the barn’s clock is 2 h fast"),
        (0, false, "the barn’s clock is not synchronized"),
    ];
    for (n, (ahead_us, synchronized, said)) in (10..).zip(cases) {
        let (read_at_us, page) = read_live(&mut barn, &office, &pages, n, ahead_us, synchronized).await;
        assert!(page.contains(said), "{said}: {page}");
        assert_just_arrived(&page);
        // What the clock was wrong about is counted on the day that it showed.
        let today = pages.json(&format!("/?day={}", day_of(read_at_us))).await;
        assert!(today["day"]["head_in"].as_u64().unwrap() >= 1, "{today}");
        let looked_at = &today["day"]["to_look_at"]["doubtful_times"];
        assert_eq!(looked_at.as_u64().unwrap() > 0, !synchronized, "{today}");
        let read = &pages.json("/payloads?limit=1").await["data"][0];
        assert_eq!(read["clock_synchronized"], synchronized, "{read}");
        let page = pages.html("/payloads?limit=1").await;
        assert_eq!(page.contains("clock not synchronized"), !synchronized, "{page}");
    }
    let (_, page) =
        read_live(&mut barn, &office, &pages, 20, -SystemClock::default().read().received_at_us, false).await;
    assert!(page.contains("the barn’s clock is not set") && !page.contains("1970"), "{page}");
    assert_just_arrived(&page);
    assert_eq!(office.stop().code(), Some(0));
}
