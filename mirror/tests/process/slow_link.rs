//! Offices behind links that are slow, or that are cut again and again.

use crate::barn::Barn;
use crate::office::Office;
use crate::{get, sync_status};
use reqwest::Client;
use serde_json::{Value, json};
use service::harness::{NarrowLink, NarrowSettings, wait_until_within};
use std::time::Duration;

/// Maximum wait for something that takes some seconds.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A barn, and an office that reaches it over a narrow link only.
pub(crate) struct Yard {
    pub(crate) barn: Barn,
    pub(crate) office: Office,
    _link: NarrowLink,
    pub(crate) address: String,
    pub(crate) client: Client,
}

impl Yard {
    pub(crate) async fn new(animals: u64, settings: NarrowSettings) -> Self {
        let mut barn = Barn::open("barn", 1);
        barn.scan(animals);
        let link = NarrowLink::open(barn.address(), settings).unwrap();
        let mut office = Office::new();
        office.run(&["add", &barn.pair("office-1"), "--address", &link.address().to_string()]);
        office.start();
        let (address, client) = (office.address().await, office.client());
        Self { barn, office, _link: link, address, client }
    }

    pub(crate) async fn site(&self) -> Value {
        sync_status(&self.client, &self.address).await["sites"][0].clone()
    }

    /// Waits until the office shows all changes of the barn, and returns the status of the site then.
    pub(crate) async fn wait_until_equal(&self, within: Duration) -> Value {
        let wanted = json!(self.barn.position());
        let equal = wait_until_within(within, "the office is at the position of the barn", async || {
            Some(self.site().await).filter(|site| site["position"] == wanted && site["unfolded_changes"] == 0)
        });
        match equal.await {
            Ok(site) => site,
            Err(error) => panic!("{error}: {}\n{}", self.site().await, self.office.log()),
        }
    }
}

const CUT_EVERY_20_KB: NarrowSettings = NarrowSettings::cut_every(20_000);

/// Catches a page that is asked for whole again and again, although the link never carries it whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_longer_than_the_link_ever_lives_arrives() {
    let yard = Yard::new(1_200, CUT_EVERY_20_KB).await;
    let site = yard.wait_until_equal(Duration::from_secs(60)).await;
    let (ok, failed) = (site["successful_syncs"].as_u64().unwrap(), site["failed_syncs"].as_u64().unwrap());
    assert!(failed >= 3, "the link was cut: {site}");
    assert_eq!(site["total_syncs"], ok + failed);
    assert_eq!(site["total_records_synced"], 1_201, "each change is counted once: {site}");
}

/// Catches pages that wait for one another at a rate that the link has, and a copy without progress.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes"]
async fn twenty_thousand_changes_arrive_over_30_kilobytes_a_second() {
    let mut yard = Yard::new(20_000, NarrowSettings::rate(30_000)).await;
    let first = yard.wait_until_equal(Duration::from_secs(300)).await;
    assert_eq!(first["failed_syncs"], 0, "{}", yard.office.log());
    yard.barn.scan(2_000);
    let then = yard.wait_until_equal(Duration::from_secs(120)).await;
    assert_eq!(then["failed_syncs"], 0, "a burst arrives live: {}", yard.office.log());
}

/// Catches a pull, or a live page, that is given up although its bytes still arrive.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes"]
async fn five_hundred_changes_arrive_over_1_kilobyte_a_second() {
    let mut yard = Yard::new(500, NarrowSettings::rate(1_000)).await;
    let first = yard.wait_until_equal(Duration::from_secs(300)).await;
    assert_eq!(first["failed_syncs"], 0, "{}", yard.office.log());
    yard.barn.scan(300);
    let then = yard.wait_until_equal(Duration::from_secs(180)).await;
    assert_eq!(then["failed_syncs"], 0, "a burst arrives live: {}", yard.office.log());
}

/// Catches a link that spends all that it carries on repetitions.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn twenty_thousand_changes_arrive_over_a_link_that_is_cut_every_20_kilobytes() {
    let mut yard = Yard::new(20_000, CUT_EVERY_20_KB).await;
    yard.wait_until_equal(Duration::from_secs(300)).await;
    yard.barn.scan(2_000);
    yard.wait_until_equal(Duration::from_secs(120)).await;
    let (status, page) = get(&yard.client, &format!("https://{}/batches/LOT1", yard.address), None).await;
    assert_eq!((status, &page["cattle_count"]), (200, &json!(22_000)));
    assert_eq!(yard.office.stop().code(), Some(0));
}
