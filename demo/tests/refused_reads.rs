//! Reads over HTTPS that a barn refuses, as its log, its metrics and its office tell them.
//!
//! Catches: a sender that is refused for days while every screen says that all is well, and one that fills the log.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{BarnSettings, Client};
use serde_json::{Value, json};
use std::time::Duration;
use yard::pages::html;
use yard::{Yard, deliver, own_programs, until};

/// Pause between two calls of a sender that is refused.
const BETWEEN_CALLS: Duration = Duration::from_secs(5);
/// Number of such calls that are more than the three minutes after which a barn is unwell.
const MAX_CALLS: u32 = 60;

/// Returns a client whose key the barn does not know.
fn stranger(yard: &Yard) -> Client {
    let key = yard.barn.key("gone", &["ingest"]).unwrap();
    yard.barn.run(&["key", "revoke", "gone"]).unwrap();
    yard.barn.client(&key).unwrap()
}

/// Returns the number of refused reads with this code, by the barn's metrics.
async fn refused(yard: &Yard, code: &str) -> u64 {
    let metrics = yard.barn.reader().unwrap().get("/metrics", "*/*").await.unwrap().text();
    let name = format!("herdlinx_refused_reads_total{{error=\"{code}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// Returns the number of lines of the barn's log about this kind.
fn logged(yard: &Yard, code: &str) -> usize {
    let log = std::fs::read_to_string(yard.barn.log()).unwrap();
    let is_of_kind = |line: &&str| line.contains("reads over HTTPS not recorded as events") && line.contains(code);
    log.lines().filter(is_of_kind).count()
}

async fn site(yard: &Yard) -> Value {
    yard.office.sync_status().await.unwrap()["sites"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_refusal_is_counted_and_has_a_line_in_the_log() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let reader = yard.barn.client(&yard.barn.key("screen", &["read"]).unwrap()).unwrap();
    let read = json!({ "payload": "hxb:R:982000000000001:U1" });
    for (sender, body, expected) in
        [(&stranger(&yard), &read, 401), (&reader, &read, 403), (&yard.device, &json!({ "payload": 7 }), 400)]
    {
        for _ in 0..3 {
            let (status, answer) = deliver(sender, body).await.unwrap();
            assert_eq!(status, expected, "{answer}");
        }
    }
    assert_eq!(yard.deliver("hxb:R::").await.0, 422);
    for (code, count) in [("unauthorized", 3), ("forbidden", 3), ("bad_request", 3), ("rejected", 1)] {
        assert_eq!(refused(&yard, code).await, count, "{code}");
        until(code, async || (logged(&yard, code) == 1).then_some(())).await;
    }
    assert_eq!(yard.deliver("hxb:R:982000000000001:U1").await.0, 201);
    assert_eq!(site(&yard).await["link"], "live");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes more than three minutes, after which a barn that takes no read is unwell; .ci/long runs it"]
async fn an_office_does_not_say_live_of_a_barn_that_takes_no_read() {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let stranger = stranger(&yard);
    let mut calls = 0;
    let told = loop {
        assert!(calls < MAX_CALLS, "the office still says: {}", site(&yard).await);
        assert_eq!(deliver(&stranger, &json!({ "payload": "hxb:R:982000000000001:U1" })).await.unwrap().0, 401);
        calls += 1;
        let site = site(&yard).await;
        if site["link"] == "unwell" {
            break site;
        }
        assert_eq!(site["link"], "live", "{site}");
        tokio::time::sleep(BETWEEN_CALLS).await;
    };
    let trouble = told["barn_trouble"].as_str().unwrap();
    assert!(trouble.contains("no read over HTTPS was taken in 3 min"), "{trouble}");
    let home = html(&yard.pages, "/").await.unwrap();
    assert!(home.contains("Barn unwell") && home.contains("herdlinxd key add"), "{home}");
    let lines = logged(&yard, "unauthorized");
    assert!((1..=5).contains(&lines), "{lines} lines for {calls} calls");
    assert_eq!(refused(&yard, "unauthorized").await, u64::from(calls));
    assert_eq!(yard.deliver("hxb:R:982000000000001:U1").await.0, 201);
    until("the link is live", async || (site(&yard).await["link"] == "live").then_some(())).await;
}
