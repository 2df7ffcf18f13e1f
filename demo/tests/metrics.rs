//! Metrics of the real processes: their names are an interface, and both pages are OpenMetrics.
//!
//! Would catch: a name that is altered or lost in passing, a page that a scraper refuses, and a radio or a site that
//! is not told of.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod openmetrics;
mod yard;

use demo::processes::{BarnSettings, Client};
use openmetrics::Exposition;
use std::path::PathBuf;
use yard::{Yard, own_programs, until};

/// Set to 1 to write the files anew in place of comparing with them.
const BLESS: &str = "HERDLINX_BLESS";

/// A radio that is heard now and then.
const RADIO: &str = "[[radio]]\nname = \"alley\"\nkind = \"simulated\"\n";

async fn scraped(visitor: &Client) -> Exposition {
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

#[tokio::test(flavor = "multi_thread")]
async fn barn_and_office_tell_their_metrics_under_the_names_that_they_always_had() {
    let settings = |_: &std::path::Path| BarnSettings { radios: RADIO.to_owned(), ..BarnSettings::default() };
    let yard = Yard::open(&own_programs(), settings).await;
    let (at_barn, at_office) = (yard.barn.visitor().unwrap(), yard.office.visitor().unwrap());
    assert_eq!(yard.deliver("hxb:LOT:LF1:UHF1").await.0, 201);

    let barn = scraped(&at_barn).await;
    compare_names("barn", &barn);
    let alley = [("radio", "alley")];
    assert_eq!(barn.value("herdlinx_radio_rescues_total", &alley), Some(0.0), "a simulated radio misses nothing");
    assert_eq!(barn.value("herdlinx_radio_failing", &alley), Some(0.0));
    assert!(barn.value("herdlinx_disk_free_bytes", &[]) > Some(0.0));
    until("a packet of the radio", async || {
        (scraped(&at_barn).await.value("herdlinx_radio_packets_total", &alley) > Some(0.0)).then_some(())
    })
    .await;

    let site = [("site", "barn")];
    let office = until("the office to follow live", async || {
        let page = scraped(&at_office).await;
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
    assert_eq!(scraped(&at_barn).await.value("herdlinx_sync_followers", &[]), Some(1.0));
}
