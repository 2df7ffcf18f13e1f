//! A scrape over the metrics of this crate.
//!
//! Catches a family that is missing, has another name, or shows another value than its own.

use super::*;
use crate::backup::{BackupReport, VerifiedBackup, encode_backups};
use crate::door::serve::cap::Cap;
use crate::door::serve::connections::Connections;
use crate::sync::SyncCounts;
use axum::body::Body;
use axum::http::{Request, header};
use herd::fold::FOLD_VERSION;
use herd::position::Sequence;
use herd::testing::TestBarn;
use herd::wire::WIRE_VERSION;
use std::fmt;
use std::net::Ipv4Addr;
use tower::ServiceExt as _;

/// The metrics of a store, of its deliveries and of its backups.
#[derive(Debug)]
struct Site(Vec<([(&'static str, &'static str); 1], herd::store::Reader)>);

fn backup(age_s: Option<u64>) -> BackupReport {
    let last = VerifiedBackup { file: "/stick/north.backup".into(), bytes: 900, change: Sequence(7), age_s };
    BackupReport {
        directory: "/stick".into(),
        last: Some(last),
        overdue: false,
        running: false,
        failing: true,
        failure: None,
        verified: 11,
        failed: 12,
        warning: None,
    }
}

impl Collector for Site {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        encode_stores(&mut families, &self.0)?;
        let delivered = SyncCounts { pages: 21, changes: 22, events: 23, followers: 24, listeners: 25 };
        encode_deliveries(&mut families, &[([("site", "north")], delivered)])?;
        let none = BackupReport { last: None, failing: false, ..backup(None) };
        let south = [("site", "south")];
        let west = [("site", "west")];
        encode_backups(&mut families, &[([("site", "north")], backup(Some(60))), (south, none), (west, backup(None))])
    }
}

/// The samples that follow the version, in their order.
const SAMPLES: [&str; 23] = [
    r#"herdlinx_connections{authenticated="yes"} 0"#,
    r#"herdlinx_connections{authenticated="no"} 0"#,
    "herdlinx_answers_waiting_bytes 0",
    r#"herdlinx_head_sequence{site="north"} 3"#,
    r#"herdlinx_folded_sequence{site="north"} 3"#,
    r#"herdlinx_missed_events{site="north"} 3"#,
    r#"herdlinx_sync_pages_total{site="north"} 21"#,
    r#"herdlinx_sync_changes_total{site="north"} 22"#,
    r#"herdlinx_sync_followers{site="north"} 24"#,
    r#"herdlinx_events_told_total{site="north"} 23"#,
    r#"herdlinx_event_listeners{site="north"} 25"#,
    r#"herdlinx_backup_age_seconds{site="north"} 60"#,
    r#"herdlinx_backup_size_bytes{site="north"} 900"#,
    r#"herdlinx_backup_size_bytes{site="west"} 900"#,
    r#"herdlinx_backups_verified_total{site="north"} 11"#,
    r#"herdlinx_backups_verified_total{site="south"} 11"#,
    r#"herdlinx_backups_verified_total{site="west"} 11"#,
    r#"herdlinx_backups_failed_total{site="north"} 12"#,
    r#"herdlinx_backups_failed_total{site="south"} 12"#,
    r#"herdlinx_backups_failed_total{site="west"} 12"#,
    r#"herdlinx_backup_failing{site="north"} 1"#,
    r#"herdlinx_backup_failing{site="south"} 0"#,
    r#"herdlinx_backup_failing{site="west"} 1"#,
];

async fn scrape(accept: &str) -> (String, String) {
    let barn =
        TestBarn::with_payloads(&["event:hxbchi000117|weight:267.3|lid:1", "event:hxbchi000121|weight:270|lid:1"]);
    let site = Site(vec![([("site", "north")], barn.reader())]);
    let process = ProcessMetrics::new("herdlinxd", "1.2.3");
    let connections = Connections::default();
    for (hits, cap) in (1..).zip(Cap::ALL) {
        (0..hits).for_each(|_| connections.count(cap, Ipv4Addr::LOCALHOST.into()));
    }
    let routes = router(vec![Box::new(process), Box::new(connections), Box::new(site)]);
    let request = Request::get(METRICS_PATH).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let response = routes.oneshot(request).await.unwrap();
    let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (media_type, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn each_family_has_its_value() {
    let (media_type, page) = scrape("*/*").await;
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let (caps, samples): (Vec<_>, Vec<_>) = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_uptime_"))
        .partition(|line| line.starts_with("herdlinx_cap_hits_total"));
    let build = format!(
        r#"herdlinx_build_info{{program="herdlinxd",version="1.2.3",fold_version="{FOLD_VERSION}",wire_version="{WIRE_VERSION}"}} 1"#
    );
    assert_eq!((samples[0], &samples[1..]), (build.as_str(), &SAMPLES[..]));
    let hits = |(hits, cap): (u32, Cap)| format!(r#"herdlinx_cap_hits_total{{limit="{}"}} {hits}"#, cap.name());
    assert_eq!(caps, (1..).zip(Cap::ALL).map(hits).collect::<Vec<_>>());
    assert!(
        page.lines().any(|line| line.starts_with("herdlinx_uptime_seconds ")) && page.ends_with("# EOF\n"),
        "{page}"
    );
}

#[tokio::test]
async fn the_older_format_is_sent_if_the_request_names_it() {
    let (media_type, page) = scrape("text/plain").await;
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(page.contains("# TYPE herdlinx_sync_pages_total counter\n") && !page.contains("# EOF"), "{page}");
}
