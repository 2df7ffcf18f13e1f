//! Tests of the pages through the router, with the `Accept` headers of browsers and programs.

mod animals;
mod clocks;
mod corrections;
mod effects;
mod figures;
mod form_answers;
mod form_copies;
mod form_logins;
mod forms;
mod html;
mod json;
mod lists;
mod live;
mod login;
mod owners;
mod reprocess;
mod search;
mod sites;
mod status;
mod users;

use super::{Browsers, Conventions, login_routes, router};
use crate::people::People;
use crate::sites::{
    Arrivals, BarnDuplicates, Catalogs, DivergedHistories, LinkState, Office, PreparedSummary, SiteDetails, SiteStatus,
};
use crate::zone::Zone;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use herd::change::Origin;
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::fold::FOLD_VERSION;
use herd::payload::WeightUnit;
use herd::position::StoreId;
use herd::randomness::SeededRandomness;
use herd::store::{Incoming, LocalFile, MemoryDisk, Reader, Store};
use herd::testing::ManualClock;
use herd::wire::HealthFinding;
use serde_json::Value;
use service::lifecycle::{FreeDisk, Shutdown, ShutdownTrigger};
use service::remote::OpeningView;
use service::sync::NotServedError;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// The only script of a page.
const OUR_SCRIPT: &str = "<script src=\"/assets/office.js\" defer></script>";

/// Returns a page without our own script.
fn without_our_script(page: &str) -> String {
    page.replacen(OUR_SCRIPT, "", 1)
}

/// Returns conventions with this unit, and UTC.
fn conventions(weight_unit: WeightUnit) -> Conventions {
    Conventions { weight_unit, zone: Zone::UTC }
}

/// Start of the day: 2026-01-15T10:00:00Z.
const START_US: i64 = 1_768_471_200_000_000;
/// Time between payloads: longer than the repeat window, so that no payload counts as a duplicate.
const STEP_MS: u64 = 61_000;
/// Limit for the body of a response; every page of these tests is smaller.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Payloads of one day in a small yard.
const PAYLOADS: [&str; 13] = [
    "hxb:LOT 7/A:124000224161433:E2801160600002044310B2E2",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "event:hxbpai000001|lf:0900000000000003|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
    "event:hxbchi000117|weight:267.3|lid:1",
    "event:hxbchi000121|weight:NaN|lid:1",
    "event:hxbrep000001|old_lf:0900000000000003|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged",
    "hxb:LOT2024-001:LF_EAR_0099:STRANGE",
    "hxb:LOT1:LF1:UHF1",
    "hxb:LOT1:LF2:UHF2",
    "hxe:LOT1:LF1:UHF1",
    "invalid:<script>alert(1)</script>",
    "hxb:BATCH001:LF123",
    "hxb:<b>bold</b>:LFB:UHFB",
];

/// Returns the arrival time of the `n`th payload.
fn at(n: u64) -> RawReading {
    let since_boot_ms = n * STEP_MS;
    let received_at_us = START_US + i64::try_from(since_boot_ms).unwrap() * 1_000;
    RawReading { received_at_us, synchronized: true, since_boot_ms }
}

fn filled_store(payloads: &[&str]) -> Store {
    store_filled_at(payloads, at)
}

/// Returns a store whose `n`th payload arrived at `at(n)`.
fn store_filled_at(payloads: &[&str], at: impl Fn(u64) -> RawReading) -> Store {
    let clock = ClockReading { received_at_us: START_US, synchronized: true, boot: 1, since_boot_ms: 0 };
    let mut store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([7; 16])).unwrap();
    for (payload, at) in payloads.iter().zip((1..).map(at)) {
        let origin =
            Origin { channel: "radio1".into(), rssi_dbm: Some(-97), reader_group: "main".into(), ..Origin::default() };
        store.append(&[Incoming { raw: payload.as_bytes().to_vec(), origin, at }]).unwrap();
    }
    store
}

/// An office whose sites all show the same store.
struct TestOffice {
    sites: Vec<&'static str>,
    /// A writer is no part of an office, and cannot be shared.
    store: Mutex<Store>,
    has_copy: bool,
    /// Why there is no copy, if there is none.
    reason: NotServedError,
    prepared: Vec<PreparedSummary>,
    /// Findings of the barns about themselves.
    findings: Vec<HealthFinding>,
    /// Arrivals of the latest changes.
    arrivals: Arrivals,
    diverged: Option<DivergedHistories>,
    /// Changes that only kept copies hold.
    only_here: Option<u64>,
    /// Ends the sites.
    shutdown: ShutdownTrigger,
    catalogs: Arc<Catalogs>,
    /// Changes the status of each site.
    adjust: fn(&mut SiteStatus),
}

impl TestOffice {
    /// Creates an office that shows the day of a small yard.
    fn new(sites: &[&'static str]) -> Self {
        let (store, reason) = (Mutex::new(filled_store(&PAYLOADS)), NotServedError::NoCopy);
        Self {
            sites: sites.to_vec(),
            store,
            has_copy: true,
            reason,
            prepared: Vec::new(),
            findings: Vec::new(),
            arrivals: Arrivals::default(),
            diverged: None,
            only_here: Some(0),
            shutdown: ShutdownTrigger::default(),
            catalogs: Arc::default(),
            adjust: |_| {},
        }
    }
}

impl Office for TestOffice {
    fn sites(&self) -> Vec<String> {
        self.sites.iter().map(ToString::to_string).collect()
    }

    fn first_site(&self) -> Option<String> {
        self.sites.first().map(ToString::to_string)
    }

    fn reader(&self, _: &str) -> Result<Reader, NotServedError> {
        if self.has_copy { Ok(self.store.lock().unwrap().reader()) } else { Err(self.reason.clone()) }
    }

    fn catalogs(&self) -> Arc<Catalogs> {
        self.catalogs.clone()
    }

    fn status(&self, site: &str) -> Option<SiteStatus> {
        let head = self.store.lock().unwrap().head().position;
        let (link, opening) = match &self.reason {
            _ if self.diverged.is_some() => (LinkState::Stopped, None),
            _ if self.findings.iter().any(|finding| finding.failing) => (LinkState::Unwell, None),
            _ if self.has_copy => (LinkState::Live, None),
            NotServedError::Opening(text) => {
                (LinkState::Opening, Some(OpeningView { text: text.clone(), percent: Some(35) }))
            }
            _ => (LinkState::Copying, None),
        };
        let status = || SiteStatus {
            name: site.to_owned(),
            running: true,
            sync_interval_s: 10,
            last_sync_at_us: last_sync_at_us(site),
            total_syncs: 100,
            successful_syncs: 99,
            failed_syncs: 1,
            total_records_synced: 1_500,
            link,
            barn_findings: Some(self.findings.clone()),
            backup: None,
            digest_equal: self.has_copy.then_some(true),
            barn_fold_version: Some(FOLD_VERSION),
            head: self.has_copy.then_some(head),
            barn_head: Some(head.sequence.0),
            lag_changes: Some(0),
            unfolded_changes: Some(0),
            barn_heard_at_us: Some(now_us() - 3_000_000),
            duplicates: Some(BarnDuplicates { count: 1_234, age_ms: Some(3_000) }),
            arrivals: self.arrivals.clone(),
            stopped_because: self.diverged.map(|both| both.divergence.to_string()),
            is_refused: self.diverged.is_some(),
            diverged: self.diverged,
            only_here: self.only_here,
            blocked: None,
            copied: (link == LinkState::Copying).then_some((12_000, 1_000_000)),
            opening: opening.clone(),
        };
        let mut status = self.sites.contains(&site).then(status)?;
        (self.adjust)(&mut status);
        Some(status)
    }

    fn details(&self, site: &str) -> Option<SiteDetails> {
        self.sites.contains(&site).then(|| SiteDetails {
            addresses: vec!["herdlinx-<north>.local:5001".to_owned()],
            trust: "its key, pinned: 0f0f".to_owned(),
            store: StoreId([7; 16]),
            paired_at_us: START_US,
            disk: Some(FreeDisk { free_bytes: 12_340_000_000, total_bytes: 64_000_000_000 }),
        })
    }

    fn shutdown(&self, site: &str) -> Option<Shutdown> {
        self.sites.contains(&site).then(|| self.shutdown.signal())
    }

    fn prepared(&self) -> Vec<PreparedSummary> {
        self.prepared.clone()
    }
}

/// Returns the time of the last contact with a site: an hour earlier with `south`, and none with `new`.
fn last_sync_at_us(site: &str) -> Option<i64> {
    let latest_us = 1_705_314_920_000_000;
    match site {
        "south" => Some(latest_us - 3_600_000_000),
        "new" => None,
        _ => Some(latest_us),
    }
}

/// Returns the time of [`clock`], an hour after the first payload.
fn now_us() -> i64 {
    START_US + 3_600_000_000
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(RawReading { received_at_us: now_us(), synchronized: true, since_boot_ms: 0 }))
}

fn office_of(sites: &[&'static str], has_copy: bool) -> Router {
    office_with(filled_store(&PAYLOADS), sites, has_copy)
}

fn office_with(store: Store, sites: &[&'static str], has_copy: bool) -> Router {
    office_from(TestOffice { store: Mutex::new(store), has_copy, ..TestOffice::new(sites) })
}

fn office_preparing(sites: &[&'static str], prepared: &[PreparedSummary]) -> Router {
    office_from(TestOffice { prepared: prepared.to_vec(), ..TestOffice::new(sites) })
}

/// Returns an office whose copy is not served, for this reason.
fn office_without(reason: NotServedError) -> Router {
    office_from(TestOffice { has_copy: false, reason, ..TestOffice::new(&["barn"]) })
}

/// Returns an office whose barns report this of a part of theirs.
fn office_reporting(sites: &[&'static str], finding: HealthFinding) -> Router {
    office_from(TestOffice { findings: vec![finding], ..TestOffice::new(sites) })
}

fn office_from(office: TestOffice) -> Router {
    office_reading(office, conventions(WeightUnit::Kg))
}

/// Returns an office whose people have these conventions.
fn office_reading(office: TestOffice, conventions: Conventions) -> Router {
    pages_of(Arc::new(office), conventions)
}

/// Returns the pages of an office without users.
fn pages_of(office: Arc<dyn Office>, conventions: Conventions) -> Router {
    let local = LocalFile::open_in(&MemoryDisk::default()).unwrap();
    let people = People::load(local, clock(), SeededRandomness::new(1)).unwrap();
    let browsers = Browsers::new(Arc::new(people), 5000);
    router(office, clock(), conventions, &browsers).merge(login_routes(browsers))
}

fn office() -> Router {
    office_of(&["barn"], true)
}

struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl TestResponse {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).expect("the header is present").to_str().unwrap()
    }
}

async fn get(router: &Router, path: &str, accept: &str) -> TestResponse {
    let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), MAX_PAGE_BYTES).await.unwrap();
    TestResponse { status, headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn json(path: &str) -> Value {
    json_of(&office(), path).await
}

async fn json_of(office: &Router, path: &str) -> Value {
    let response = get(office, path, "application/json").await;
    assert_eq!(response.status, StatusCode::OK, "{path}: {}", response.body);
    response.json()
}

async fn html(path: &str) -> String {
    html_of(&office(), path).await
}

async fn html_of(office: &Router, path: &str) -> String {
    let response = get(office, path, BROWSER).await;
    assert_eq!(response.status, StatusCode::OK, "{path}: {}", response.body);
    response.body
}
