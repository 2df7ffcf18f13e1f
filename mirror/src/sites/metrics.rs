//! Metrics of the office, labeled with the name of the site.
//!
//! A value that is unknown is left out. A placeholder such as 0 could be taken for good news.

use super::running_sites::Sites;
use crate::follow::{FollowStatus, LinkState};
use herd::store::Reader;
use herd::wire::HealthFinding;
use service::backup::{BackupReport, encode_backups};
use service::lifecycle::free_disk;
use service::metrics::{Collector, DescriptorEncoder, Families, Family, NO_LABELS, encode_deliveries, encode_stores};
use service::sync::{Served as _, SyncCounts};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

const SYNCS: Family = Family::new("syncs", "Pulls and live pages, by outcome.");
const RECORDS: Family = Family::new("synced", "Changes received from the barn.").in_unit("changes");
const LAG: Family =
    Family::new("lag", "Changes that the copy is behind the barn, while the barn reports.").in_unit("changes");
const HEARD: Family = Family::new("barn_heard_age", "Age of the barn's last report.").in_unit("seconds");
const EQUAL: Family = Family::new("tables_equal", "1 if the tables of barn and office are equal, 0 if they differ.");
const LIVE: Family =
    Family::new("site_live", "1 while changes arrive over a live connection and the barn reports no failure, else 0.");
const BARN_FAILING: Family =
    Family::new("barn_failing", "Number of findings of the barn about parts of it that fail, while it reports.");
const BARN_FINDING: Family =
    Family::new("barn_finding", "1 for a part that fails by the barn's report, 0 for one that it has a note about.");
const FOLLOWED: Family =
    Family::new("site_followed", "0 while replication is stopped until an operator decides, else 1.");
const ONLY_HERE: Family =
    Family::new("only_here", "Changes that only kept copies of this office hold, of those that could be compared.")
        .in_unit("changes");
const CATALOG: Family =
    Family::new("catalog", "Memory of the index for lists and searches, once a page has needed it.").in_unit("bytes");
const DISK_FREE: Family =
    Family::new("disk_free", "Free space on the file system of the copies, for an unprivileged user.").in_unit("bytes");

/// Collector of the office's metrics.
#[derive(Debug)]
pub struct OfficeMetrics {
    sites: Arc<Sites>,
    state_dir: PathBuf,
}

/// Values of one site at the time of a scrape.
struct SiteSample {
    name: String,
    copy: Option<Reader>,
    followed: bool,
    only_here: Option<u64>,
    status: FollowStatus,
    delivered: SyncCounts,
    backup: Option<BackupReport>,
}

type Labels<'a> = [(&'static str, &'a str); 1];

impl SiteSample {
    fn labels(&self) -> Labels<'_> {
        [("site", &self.name)]
    }
}

impl OfficeMetrics {
    /// Creates the collector for all sites; their copies are below `state_dir`.
    pub fn new(sites: Arc<Sites>, state_dir: PathBuf) -> Self {
        Self { sites, state_dir }
    }

    fn sample(&self) -> Vec<SiteSample> {
        let sample = |name: String| {
            let site = self.sites.view(&name)?;
            let state = site.state();
            let (status, delivered) = (site.follow_status(), site.sync_stats().counts());
            let (followed, backup, only_here) = (state.stopped_because.is_none(), site.backup(), state.only_here);
            Some(SiteSample { name, copy: state.shown, followed, only_here, status, delivered, backup })
        };
        self.sites.names().into_iter().filter_map(sample).collect()
    }
}

impl Collector for OfficeMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let sites = self.sample();
        let copies: Vec<_> = sites.iter().filter_map(|site| Some((site.labels(), site.copy.clone()?))).collect();
        encode_stores(&mut families, &copies)?;
        encode_syncs(&mut families, &sites)?;
        encode_links(&mut families, &sites)?;
        let delivered: Vec<_> = sites.iter().map(|site| (site.labels(), site.delivered)).collect();
        encode_deliveries(&mut families, &delivered)?;
        let catalogs = self.sites.catalogs.bytes();
        families.gauges(CATALOG, catalogs.iter().map(|(site, bytes)| ([("site", site.as_str())], *bytes as u64)))?;
        let backups: Vec<_> = sites.iter().filter_map(|site| Some((site.labels(), site.backup.clone()?))).collect();
        encode_backups(&mut families, &backups)?;
        // A file system that cannot be read leaves the value out.
        let disk = free_disk(&self.state_dir)
            .inspect_err(|error| tracing::warn!(%error, "cannot read the free disk space; the metric is left out"));
        families.gauges(DISK_FREE, disk.iter().map(|disk| (NO_LABELS, disk.free_bytes)))
    }
}

fn encode_syncs(families: &mut Families<'_>, sites: &[SiteSample]) -> fmt::Result {
    let outcomes = sites.iter().flat_map(|site| {
        let status = &site.status;
        [("succeeded", status.successful_syncs), ("failed", status.failed_syncs)]
            .map(|(outcome, count)| ([("site", site.name.as_str()), ("outcome", outcome)], count))
    });
    families.counters(SYNCS, outcomes)?;
    families.counters(RECORDS, sites.iter().map(|site| (site.labels(), site.status.total_records_synced)))
}

fn encode_links(families: &mut Families<'_>, sites: &[SiteSample]) -> fmt::Result {
    families.gauges(LAG, sites.iter().filter_map(|site| Some((site.labels(), lag_changes(site)?))))?;
    let age_s = |site: &SiteSample| {
        let age_ms = site.status.barn?.aged().age_ms?;
        Some(std::time::Duration::from_millis(age_ms).as_secs_f64())
    };
    families.gauges(HEARD, sites.iter().filter_map(|site| Some((site.labels(), age_s(site)?))))?;
    let equal = sites.iter().filter_map(|site| Some((site.labels(), u32::from(site.status.digest_equal?))));
    families.gauges(EQUAL, equal)?;
    let findings: Vec<_> =
        sites.iter().filter_map(|site| Some((site.labels(), site.status.barn_findings()?))).collect();
    let failing = |findings: &[HealthFinding]| findings.iter().filter(|finding| finding.failing).count() as u64;
    families.gauges(BARN_FAILING, findings.iter().map(|(labels, findings)| (*labels, failing(findings))))?;
    families.gauges(BARN_FINDING, by_part(&findings))?;
    let is_live = |site: &SiteSample| site.status.link == LinkState::Live && !site.status.is_barn_failing();
    families.gauges(LIVE, sites.iter().map(|site| (site.labels(), u32::from(is_live(site)))))?;
    families.gauges(FOLLOWED, sites.iter().map(|site| (site.labels(), u32::from(site.followed))))?;
    families.gauges(ONLY_HERE, sites.iter().filter_map(|site| Some((site.labels(), site.only_here?))))
}

/// Returns a value for each part of each site. Findings of one part are one value: a scrape has no labels twice.
fn by_part<'a>(sites: &'a [(Labels<'a>, Vec<HealthFinding>)]) -> BTreeMap<[(&'static str, &'a str); 2], u32> {
    let mut parts = BTreeMap::new();
    for ([site], findings) in sites {
        for finding in findings {
            let value: &mut u32 = parts.entry([*site, ("part", finding.part.as_str())]).or_default();
            *value = (*value).max(u32::from(finding.failing));
        }
    }
    parts
}

fn lag_changes(site: &SiteSample) -> Option<u64> {
    site.status.lag_changes(site.copy.as_ref()?.head().position.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{BarnReport, HealthReport};
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use herd::position::Sequence;
    use herd::testing::TestBarn;
    use herd::wire::{BarnHead, BarnHealth};
    use tokio::time::Instant;
    use tower::ServiceExt as _;

    /// Collects the metrics of these samples.
    struct Samples(Vec<fn() -> SiteSample>);

    impl fmt::Debug for Samples {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Samples")
        }
    }

    impl Collector for Samples {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let (mut families, samples) =
                (Families::new(encoder), self.0.iter().map(|sample| sample()).collect::<Vec<_>>());
            encode_syncs(&mut families, &samples)?;
            encode_links(&mut families, &samples)
        }
    }

    fn sample(name: &str, followed: bool, status: FollowStatus) -> SiteSample {
        let copy = (name != "new").then(|| TestBarn::with_payloads(&["hxb:L:A:U1"]).reader());
        let only_here = followed.then_some(3);
        SiteSample {
            name: name.to_owned(),
            copy,
            followed,
            only_here,
            status,
            delivered: SyncCounts::default(),
            backup: None,
        }
    }

    fn live(name: &str, findings: &[(&str, bool)]) -> SiteSample {
        let barn = BarnHead { head: Sequence(9), age_ms: Some(1_500), duplicates: 0 };
        let finding = |(part, failing): &(&str, bool)| HealthFinding {
            part: (*part).into(),
            failing: *failing,
            text: "x".into(),
        };
        let health = BarnHealth { age_ms: Some(0), findings: findings.iter().map(finding).collect(), omitted: 0 };
        let status = FollowStatus {
            link: LinkState::Live,
            successful_syncs: 5,
            failed_syncs: 2,
            total_records_synced: 7,
            digest_equal: Some(true),
            barn: Some(BarnReport { barn, at_us: 0, at: Instant::now() }),
            health: Some(HealthReport { health, at: Instant::now() }),
            ..FollowStatus::default()
        };
        sample(name, true, status)
    }

    /// Catches an alert that never fires because a value is wrong, is that of another site, or stands for an unknown one.
    #[tokio::test(start_paused = true)]
    async fn each_site_has_its_values_and_what_is_unknown_is_left_out() {
        let samples = Samples(vec![
            || live("north", &[("radio1", false)]),
            || live("unwell", &[("disk", false), ("disk", true), ("disk", false), ("reads", true)]),
            || SiteSample {
                status: FollowStatus { digest_equal: None, ..live("new", &[]).status },
                ..live("new", &[])
            },
            || {
                let status =
                    FollowStatus { link: LinkState::Stopped, digest_equal: Some(false), ..FollowStatus::default() };
                sample("stopped", false, status)
            },
        ]);
        let router = service::metrics::router(vec![Box::new(samples)]);
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let body = to_bytes(router.oneshot(request).await.unwrap().into_body(), 100_000).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let of = |site: &str| {
            let label = format!("site=\"{site}\"");
            let own = lines.iter().filter(|line| line.contains(&label));
            own.map(|line| line.trim_start_matches("herdlinx_").replace(&label, "")).collect::<Vec<_>>()
        };
        let counts =
            ["syncs_total{,outcome=\"succeeded\"} 5", "syncs_total{,outcome=\"failed\"} 2", "synced_changes_total{} 7"];
        let north = [
            "lag_changes{} 7",
            "barn_heard_age_seconds{} 1.5",
            "tables_equal{} 1",
            "barn_failing{} 0",
            "barn_finding{,part=\"radio1\"} 0",
            "site_live{} 1",
            "site_followed{} 1",
            "only_here_changes{} 3",
        ];
        assert_eq!(of("north"), [&counts[..], &north].concat(), "{text}");
        for line in
            ["barn_failing{} 2", "barn_finding{,part=\"disk\"} 1", "barn_finding{,part=\"reads\"} 1", "site_live{} 0"]
        {
            assert_eq!(of("unwell").iter().filter(|own| *own == line).count(), 1, "{line}: {text}");
        }
        let unknown = ["lag", "tables_equal"];
        assert!(!of("new").iter().any(|line| unknown.iter().any(|name| line.starts_with(name))), "no copy yet: {text}");
        let stopped = ["tables_equal{} 0", "site_live{} 0", "site_followed{} 0"];
        assert_eq!(of("stopped")[3..], stopped, "{text}");
    }
}
