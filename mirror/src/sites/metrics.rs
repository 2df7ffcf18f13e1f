//! What the office tells at `/metrics`: of each site by its name.

use super::running::Sites;
use crate::follow::{FollowStatus, LinkState};
use herd::store::Reader;
use service::lifecycle::free_disk;
use service::metrics::{Collector, DescriptorEncoder, Families, Family, NO_LABELS, encode_deliveries, encode_stores};
use service::sync::{Served as _, SyncCounts};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

const SYNCS: Family = Family::new("syncs", "Pulls, and pages that came live, by how they ended.");
const RECORDS: Family = Family::new("synced", "Changes that were new here.").in_unit("changes");
const LAG: Family = Family::new("lag", "The barn's head, as it was last heard, less the head here.").in_unit("changes");
const HEARD: Family = Family::new("barn_heard_age", "How old what is known of the barn is.").in_unit("seconds");
const EQUAL: Family = Family::new("tables_equal", "1 where barn and office made the same tables, 0 where not.");
const LIVE: Family = Family::new("site_live", "1 while each change comes as it is committed, else 0.");
const FOLLOWED: Family = Family::new("site_followed", "0 where somebody has to decide before it goes on, else 1.");
const DISK_FREE: Family = Family::new("disk_free", "Free for an ordinary user where the copies are.").in_unit("bytes");

/// What is asked at each scrape.
#[derive(Debug)]
pub struct OfficeMetrics {
    sites: Arc<Sites>,
    state_dir: PathBuf,
}

/// A site at one moment.
struct Seen {
    name: String,
    shown: Option<Reader>,
    followed: bool,
    status: FollowStatus,
    delivered: SyncCounts,
}

type Labels<'a> = [(&'static str, &'a str); 1];

impl Seen {
    fn labels(&self) -> Labels<'_> {
        [("site", &self.name)]
    }
}

impl OfficeMetrics {
    /// Those of all sites, whose copies lie below `state_dir`.
    pub fn new(sites: Arc<Sites>, state_dir: PathBuf) -> Self {
        Self { sites, state_dir }
    }

    fn seen(&self) -> Vec<Seen> {
        let shown = |name: String| {
            let site = self.sites.shown(&name)?;
            let state = site.state();
            let (status, delivered) = (site.follow_status(), site.sync_stats().counts());
            Some(Seen { name, shown: state.shown, followed: state.stopped_because.is_none(), status, delivered })
        };
        self.sites.names().into_iter().filter_map(shown).collect()
    }
}

impl Collector for OfficeMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let seen = self.seen();
        let copies: Vec<_> = seen.iter().filter_map(|site| Some((site.labels(), site.shown.clone()?))).collect();
        encode_stores(&mut families, &copies)?;
        syncs(&mut families, &seen)?;
        links(&mut families, &seen)?;
        let delivered: Vec<_> = seen.iter().map(|site| (site.labels(), site.delivered)).collect();
        encode_deliveries(&mut families, &delivered)?;
        // A file system that does not answer has no value here.
        let disk = free_disk(&self.state_dir).inspect_err(|error| tracing::warn!(%error, "no value for the metrics"));
        families.gauges(DISK_FREE, disk.iter().map(|disk| (NO_LABELS, disk.free_bytes)))
    }
}

fn syncs(families: &mut Families<'_>, seen: &[Seen]) -> fmt::Result {
    let ends = seen.iter().flat_map(|site| {
        let status = &site.status;
        [("succeeded", status.successful_syncs), ("failed", status.failed_syncs)]
            .map(|(outcome, count)| ([("site", site.name.as_str()), ("outcome", outcome)], count))
    });
    families.counters(SYNCS, ends)?;
    families.counters(RECORDS, seen.iter().map(|site| (site.labels(), site.status.total_records_synced)))
}

/// What is not known has no value, rather than one that somebody could take for good news.
fn links(families: &mut Families<'_>, seen: &[Seen]) -> fmt::Result {
    families.gauges(LAG, seen.iter().filter_map(|site| Some((site.labels(), lag_changes(site)?))))?;
    let heard = |site: &Seen| {
        let age_ms = site.status.barn?.passed_on().age_ms?;
        Some(std::time::Duration::from_millis(age_ms).as_secs_f64())
    };
    families.gauges(HEARD, seen.iter().filter_map(|site| Some((site.labels(), heard(site)?))))?;
    let equal = seen.iter().filter_map(|site| Some((site.labels(), u32::from(site.status.digest_equal?))));
    families.gauges(EQUAL, equal)?;
    families.gauges(LIVE, seen.iter().map(|site| (site.labels(), u32::from(site.status.link == LinkState::Live))))?;
    families.gauges(FOLLOWED, seen.iter().map(|site| (site.labels(), u32::from(site.followed))))
}

fn lag_changes(site: &Seen) -> Option<u64> {
    let (barn, here) = (site.status.barn?.barn.head, site.shown.as_ref()?.head().position.sequence);
    Some(barn.0.saturating_sub(here.0))
}
