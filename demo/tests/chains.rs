//! A mirror behind a mirror, and several sites on one mirror, as real processes.
//!
//! ```sh
//! cargo test -p herdlinx-demo --test chains --release -- --ignored --nocapture
//! ```
//!
//! Catches: a mirror behind a mirror that differs from the barn, that shows its lag against the mirror between, or that does
//! not go on after that one was away; and a site that is slow or stopped and holds another one up.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stderr, reason = "the tests print lags, and assert none")]

mod yard;

use demo::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, StoreState};
use herd::wire::Page;
use mirror::sites::SiteSummary;
use serde_json::json;
use service::harness::{NarrowLink, NarrowSettings, wait_until_within};
use service::sync::link::BLOB_TYPE;
use service::sync::query::position_text;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use yard::{Yard, own_programs};

/// Payloads of the barn in CI, and in `.ci/long`.
const PAYLOADS: [u64; 2] = [4_000, 100_000];
/// Payloads in one call.
const ARRAY: u64 = 500;
/// Reads of which the lag is measured, in CI and in `.ci/long`.
const READS: [usize; 2] = [20, 200];
/// Bound of a wait for copies of this size, on a machine that does much else.
const COPY_TIMEOUT: Duration = Duration::from_secs(300);
/// Rate of the link that crawls.
const CRAWL_BYTES_PER_S: u64 = 1_000;

async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    wait_until_within(COPY_TIMEOUT, what, look).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Delivers many payloads, all of which are stored.
async fn fill(device: &Client, name: &str, payloads: u64) {
    for begin in (0..payloads).step_by(usize::try_from(ARRAY).unwrap()) {
        let texts: Vec<_> = (begin..payloads.min(begin + ARRAY))
            .map(|n| format!("hxb:{name}{}:LF{name}{n}:UHF{name}{n}", n / 100))
            .collect();
        let answer = device.post_json("/api/lora/receive", &json!({ "payloads": texts })).await.unwrap();
        let results = answer.expect(200).unwrap().json().unwrap();
        assert!(results["results"].as_array().unwrap().iter().all(|result| result["status"] == "stored"), "{results}");
    }
}

fn state_of(office: &Office, site: &str) -> Option<(SiteSummary, StoreState)> {
    let site = office.status().ok()?.sites.into_iter().find(|summary| summary.name == site)?;
    let state = StoreState::of_site(&site)?;
    Some((site, state))
}

/// Checks that the head of the barn that an office was told of is none that the barn has not reached.
fn check_lag(site: &SiteSummary, head: u64) {
    assert!(site.barn_head.is_none_or(|told| told <= head), "the barn is at {head}: {site:?}");
}

async fn until_all_equal(yard: &Yard, second: &Office) {
    let head = yard.barn.store_state().unwrap();
    until("both offices equal the barn", async || {
        let (first, second) = (state_of(&yard.office, "barn")?, state_of(second, "barn")?);
        check_lag(&first.0, head.position.sequence.0);
        check_lag(&second.0, head.position.sequence.0);
        (first.1 == head && second.1 == head && second.0.lag_changes == Some(0)).then_some(())
    })
    .await;
}

async fn mirror_behind_mirror(payloads: u64) {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let directory = yard.directory.path().join("second");
    let mut second = Office::new(&own_programs(), &directory, &OfficeSettings::default()).unwrap();
    second.start().await.unwrap();
    second.add(&yard.office.secret(&["pair", "barn"]).unwrap()).unwrap();
    fill(&yard.device, "A", payloads / 2).await;
    until_all_equal(&yard, &second).await;

    // The one between is away: the last one does not claim to know its lag.
    yard.office.terminate().await.unwrap();
    until("the lag is unknown", async || {
        state_of(&second, "barn").filter(|(site, _)| site.lag_changes.is_none()).map(drop)
    })
    .await;
    let before = yard.barn.store_state().unwrap().position.sequence.0;
    fill(&yard.device, "B", payloads - payloads / 2).await;
    yard.office.start().await.unwrap();
    let (head, mut highest) = (yard.barn.store_state().unwrap(), 0);
    until("the last one has caught up", async || {
        let (site, state) = state_of(&second, "barn")?;
        check_lag(&site, head.position.sequence.0);
        highest = highest.max(site.lag_changes.unwrap_or(0));
        (state == head && site.lag_changes == Some(0)).then_some(())
    })
    .await;
    eprintln!(
        "{payloads} payloads; {} came while the one between was away; highest lag seen: {highest}",
        head.position.sequence.0 - before
    );
    until_all_equal(&yard, &second).await;
    yard.office.terminate().await.unwrap();
    second.terminate().await.unwrap();
    for office in [&yard.office, &second] {
        let report = office.run(&["verify", "barn"]).unwrap();
        assert!(report.contains(&head.fold_digest.to_string()), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_behind_a_mirror_equals_the_barn_although_the_one_between_was_away() {
    mirror_behind_mirror(PAYLOADS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "100,000 payloads; .ci/long runs it"]
async fn a_mirror_behind_a_mirror_of_a_large_barn_equals_it_although_the_one_between_was_away() {
    mirror_behind_mirror(PAYLOADS[1]).await;
}

/// A barn of a site, and a device that delivers to it.
struct SiteBarn {
    barn: Barn,
    device: Client,
}

impl SiteBarn {
    async fn start(directory: &Path) -> Self {
        let mut barn = Barn::new(&own_programs(), directory, &BarnSettings::default()).unwrap();
        barn.start().await.unwrap();
        let device = barn.client(&barn.key("chute-1", &["ingest"]).unwrap()).unwrap();
        Self { barn, device }
    }
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Returns the median time from a delivery at the barn to the change at the office, in milliseconds.
async fn median_lag_ms(barn: &SiteBarn, office: &Client, name: &str, reads: usize) -> f64 {
    let mut lags = Vec::with_capacity(reads);
    for n in 0..reads {
        let head = barn.barn.store_state().unwrap().position;
        until("the office is quiet", async || {
            let schema = office.get_json("/sites/third/api/sync/schema").await.ok()?;
            (schema["data"]["state"]["position"]["sequence"] == json!(head.sequence)).then_some(())
        })
        .await;
        let path = format!("/sites/third/api/sync/changes?wait=30&{}", position_text(&head));
        let begun = Instant::now();
        let waiting = office.get(&path, BLOB_TYPE);
        let text = json!({ "payload": format!("hxb:{name}:LF{name}{n}:UHF{name}{n}") });
        let (answer, page) = tokio::join!(barn.device.post_json("/api/lora/receive", &text), waiting);
        answer.unwrap().expect(201).unwrap();
        let page: Page = herd::wire::from_blob(&page.unwrap().expect(200).unwrap().body).unwrap();
        assert_eq!(page.changes.len(), 1);
        lags.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    lags.sort_by(f64::total_cmp);
    lags[lags.len() / 2]
}

async fn three_sites(payloads: u64, reads: usize) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut office = Office::new(&own_programs(), &at("office"), &OfficeSettings::default()).unwrap();
    office.start().await.unwrap();
    let third = SiteBarn::start(&at("third")).await;
    office.add_with(&third.barn.pair().unwrap(), &["--name", "third"]).unwrap();
    let client = office.client(&office.key("auditor", &["sync", "read"]).unwrap()).unwrap();
    until("the third is copied", async || state_of(&office, "third")).await;
    let alone = median_lag_ms(&third, &client, "ALONE", reads).await;

    let crawling = SiteBarn::start(&at("crawling")).await;
    fill(&crawling.device, "C", payloads).await;
    let link = NarrowLink::open(crawling.barn.address(), NarrowSettings::rate(CRAWL_BYTES_PER_S)).unwrap();
    let address = link.address().to_string();
    office.add_with(&crawling.barn.pair().unwrap(), &["--name", "crawling", "--address", &address]).unwrap();

    // An old card is put back, and the barn goes on.
    let mut diverged = SiteBarn::start(&at("diverged")).await;
    office.add_with(&diverged.barn.pair().unwrap(), &["--name", "diverged"]).unwrap();
    fill(&diverged.device, "D", ARRAY).await;
    diverged.barn.terminate().await.unwrap();
    copy_files(&at("diverged"), &at("old-card"));
    diverged.barn.start().await.unwrap();
    fill(&diverged.device, "E", ARRAY).await;
    let head = diverged.barn.store_state().unwrap();
    until("the office has what is lost next", async || {
        state_of(&office, "diverged").filter(|(_, state)| *state == head)
    })
    .await;
    diverged.barn.kill();
    copy_files(&at("old-card"), &at("diverged"));
    diverged.barn.start().await.unwrap();
    fill(&diverged.device, "F", ARRAY / 2).await;
    until("the site is stopped", async || state_of(&office, "diverged")?.0.stopped_because).await;

    let beside = median_lag_ms(&third, &client, "BESIDE", reads).await;
    let crawls = office.status().unwrap().sites.into_iter().find(|site| site.name == "crawling").unwrap();
    assert!(crawls.position.is_none(), "it was to crawl all the time: {crawls:?}");
    eprintln!(
        "lag of a site, median of {reads} reads: {alone:.2} ms alone, {beside:.2} ms beside one that crawls and one that \
         diverged: {:.2} times",
        beside / alone
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_crawls_and_one_that_diverged_hold_no_other_up() {
    three_sites(PAYLOADS[0], READS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; .ci/long runs it"]
async fn the_lag_of_a_site_beside_one_that_crawls_and_one_that_diverged() {
    three_sites(PAYLOADS[1], READS[1]).await;
}
