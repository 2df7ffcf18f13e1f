//! An office that follows the copy of another office.

use super::barn::Barn;
use super::office::Office;
use super::{get, wait_until_copied};
use serde_json::json;

/// Catches a line that leads to another site, an office between that must be watched, and a lag that counts against the office
/// between instead of the barn.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_office_follows_one_site_of_the_first_also_after_that_was_away() {
    let (mut north, mut south) = (Barn::open("north", 1), Barn::open("south", 2));
    north.scan(30);
    south.scan(5);
    let mut first = Office::new();
    first.run(&["add", &north.pair("office-1")]);
    first.run(&["add", &south.pair("office-1")]);
    first.start();
    let (address, client) = (first.address().await, first.client());
    wait_until_copied(&first, &client, &address, "north", &north).await;

    let line = first.run(&["pair", "north", "--name", "owner"]).lines().last().unwrap().to_owned();
    let mut second = Office::new();
    let output = second.run(&["add", &line]);
    assert!(output.starts_with(&format!("Paired with `north` at {address}/sites/north")), "{output}");
    second.start();
    let (address_of_second, client_of_second) = (second.address().await, second.client());
    wait_until_copied(&second, &client_of_second, &address_of_second, "north", &north).await;

    assert_eq!(first.stop().code(), Some(0), "{}", first.log());
    north.scan(20);
    first.start_with_env(&[("HERDLINX_MIRROR_LISTEN", &address)]);
    wait_until_copied(&second, &client_of_second, &address_of_second, "north", &north).await;
    let url = format!("https://{address_of_second}/office/api/sync-status");
    second
        .wait_until("the lag counts against the barn", async || {
            let (_, body) = get(&client_of_second, &url, None).await;
            let site = &body["sites"][0];
            let is_known = site["lag_changes"] == 0 && site["barn_head"] == json!(north.position().sequence);
            is_known.then_some(())
        })
        .await;

    first.run(&["key", "revoke", "owner"]);
    north.scan(1);
    second
        .wait_until("the second office is refused", async || {
            let (_, body) = get(&client_of_second, &url, None).await;
            (body["sites"][0]["lag_changes"].is_null()).then_some(())
        })
        .await;
    let unknown = first.output(&["pair", "west"]);
    assert_eq!(unknown.status.code(), Some(7), "{unknown:?}");
    assert_eq!(second.stop().code(), Some(0));
}

/// Catches a line that only a running office can print, or one with a port that nobody listens on.
#[test]
fn a_stopped_office_prints_a_line_for_the_address_of_its_settings() {
    let north = runtime().block_on(async { Barn::open("north", 1) });
    let office = Office::new();
    office.run(&["add", &north.pair("office-1")]);
    let without_port = office.output(&["pair", "north"]);
    let why = String::from_utf8_lossy(&without_port.stderr).into_owned();
    assert!(!without_port.status.success() && why.contains("port 0"), "{why}");
    let line = office.run(&["--listen", "127.0.0.1:5999", "pair", "north"]);
    assert!(line.lines().last().is_some_and(|line| line.starts_with("herdlinx:1:")), "{line}");
    let keys = office.run(&["key", "list"]);
    assert_eq!(keys.matches("office-").count(), 1, "a line that was refused leaves no key: {keys}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}
