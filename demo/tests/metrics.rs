//! Metrics of the real processes: their names are an interface, and both pages are valid OpenMetrics.
//!
//! Catches: a name that changed or disappeared by accident, a page that a scraper rejects, and a radio or a site that
//! has no metrics.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod openmetrics;
mod yard;

use demo::processes::{Barn, BarnSettings, Client};
use openmetrics::Exposition;
use std::path::PathBuf;
use yard::{Yard, own_programs, until};

/// Environment variable: 1 rewrites the golden files instead of comparing with them.
const BLESS: &str = "HERDLINX_BLESS";

/// A simulated radio that receives a packet now and then.
const RADIO: &str = "[[radio]]\nname = \"alley\"\nkind = \"simulated\"\n";

async fn scrape(visitor: &Client) -> Exposition {
    let answer = visitor.get("/metrics", "application/openmetrics-text").await.unwrap().expect(200).unwrap();
    Exposition::parse(&answer.text()).unwrap()
}

fn compare_names(process: &str, page: &Exposition) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/metrics_{process}.txt"));
    if std::env::var(BLESS).is_ok_and(|bless| bless == "1") {
        return std::fs::write(&file, page.names()).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap();
    assert_eq!(page.names(), golden, "the names differ from {}; set {BLESS}=1 if they are meant to", file.display());
}

/// Catches an exemption for this machine, and a format that older scrapers ask for in vain.
#[tokio::test]
async fn scrapers_on_this_machine_need_a_key_and_older_ones_get_their_format() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&own_programs(), &directory.path().join("barn"), &BarnSettings::default()).unwrap();
    barn.start().await.unwrap();
    let reader = barn.client(&barn.key("prometheus", &["read"]).unwrap()).unwrap();
    assert_eq!(barn.visitor().unwrap().get("/metrics", "*/*").await.unwrap().status, 401);
    let answer = reader.get("/metrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1").await.unwrap().expect(200).unwrap();
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let page = answer.text();
    assert!(page.contains("# TYPE herdlinx_commits_total counter\nherdlinx_commits_total "), "{page}");
    assert!(!page.contains("# EOF") && !page.contains("# UNIT"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn barn_and_office_expose_their_metrics_under_the_established_names() {
    let settings = |_: &std::path::Path| BarnSettings { radios: RADIO.to_owned(), ..BarnSettings::default() };
    let yard = Yard::open(&own_programs(), settings).await;
    let (at_barn, at_office) = (yard.barn.reader().unwrap(), yard.office.reader().unwrap());
    assert_eq!(yard.deliver("hxb:LOT:LF1:UHF1").await.0, 201);

    let barn = scrape(&at_barn).await;
    compare_names("barn", &barn);
    let alley = [("radio", "alley")];
    assert_eq!(barn.value("herdlinx_radio_rescues_total", &alley), Some(0.0), "a simulated radio misses nothing");
    assert_eq!(barn.value("herdlinx_radio_failing", &alley), Some(0.0));
    assert!(barn.value("herdlinx_disk_free_bytes", &[]) > Some(0.0));
    until("the radio receives a packet", async || {
        (scrape(&at_barn).await.value("herdlinx_radio_packets_total", &alley) > Some(0.0)).then_some(())
    })
    .await;

    let site = [("site", "barn")];
    let office = until("the office follows live", async || {
        let page = scrape(&at_office).await;
        let all = page.value("herdlinx_site_live", &site) == Some(1.0)
            && page.value("herdlinx_tables_equal", &site) == Some(1.0)
            && page.value("herdlinx_synced_changes_total", &site) > Some(1.0);
        all.then_some(page)
    })
    .await;
    compare_names("office", &office);
    for name in ["lag_changes", "barn_heard_age_seconds", "head_sequence", "folded_sequence", "missed_events"] {
        assert!(office.value(&format!("herdlinx_{name}"), &site).is_some(), "{name}");
    }
    let succeeded = [("site", "barn"), ("outcome", "succeeded")];
    assert!(office.value("herdlinx_syncs_total", &succeeded) > Some(0.0));
    assert_eq!(scrape(&at_barn).await.value("herdlinx_sync_followers", &[]), Some(1.0));
}
