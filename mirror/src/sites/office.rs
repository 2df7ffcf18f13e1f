//! The sites of this office as the pages and the operator see them.
//!
//! The pages know the office by the trait [`Office`] alone, so that their tests need no running sites.

use super::catalogs::Catalogs;
use super::details::SiteDetails;
use super::prepared::PreparedSummary;
use super::running_sites::Sites;
use super::status::{SiteStatus, SiteSummary};
use super::view::SiteView;
use herd::store::{Reader, grouped};
use service::backup::BackupReport;
use service::lifecycle::Shutdown;
use service::sync::NotServedError;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// The sites that this office follows.
pub trait Office: Send + Sync {
    /// Returns the names of the paired sites, in the order in which they are listed.
    fn sites(&self) -> Vec<String>;

    /// Returns the site that was paired first. Links from before the second pairing lead to it.
    fn first_site(&self) -> Option<String>;

    /// Returns the copy of a site, or the reason why there is none at the moment.
    fn reader(&self, site: &str) -> Result<Reader, NotServedError>;

    /// Returns the catalogs of the copies.
    fn catalogs(&self) -> Arc<Catalogs>;

    /// Returns the status of a site, or `None` if no such site is paired.
    fn status(&self, site: &str) -> Option<SiteStatus>;

    /// Returns the details of a site, or `None` if no such site is paired or the list of sites cannot be read. Reads the disk.
    fn details(&self, site: &str) -> Option<SiteDetails>;

    /// Returns the signal by which a site ends, or `None` if no such site is paired.
    fn shutdown(&self, site: &str) -> Option<Shutdown>;

    /// Returns the barns that were prepared and have not paired, in order.
    fn prepared(&self) -> Vec<PreparedSummary>;
}

impl Office for Sites {
    fn sites(&self) -> Vec<String> {
        self.names()
    }

    fn first_site(&self) -> Option<String> {
        self.first_name()
    }

    fn reader(&self, site: &str) -> Result<Reader, NotServedError> {
        Self::reader(self, site)
    }

    fn catalogs(&self) -> Arc<Catalogs> {
        self.catalogs.clone()
    }

    fn status(&self, site: &str) -> Option<SiteStatus> {
        self.view(site).map(|view| SiteStatus::new(&view, self.sync_interval()))
    }

    fn details(&self, site: &str) -> Option<SiteDetails> {
        Self::details(self, site)
    }

    fn shutdown(&self, site: &str) -> Option<Shutdown> {
        Self::shutdown(self, site)
    }

    fn prepared(&self) -> Vec<PreparedSummary> {
        Self::prepared(self)
    }
}

impl Sites {
    /// Returns the state of all sites in one line, for `systemctl status`.
    pub fn status_line(&self) -> String {
        let sites: Vec<_> = self.names().iter().filter_map(|name| self.view(name)).collect();
        let searches = self.search_words();
        if sites.is_empty() && searches.is_empty() {
            return "no barn is paired: run `herdlinx-mirror add`, or `prepare` for a barn's card".to_owned();
        }
        let lines = sites.iter().map(|site| status_line(site, self.sync_interval()));
        lines.chain(searches).collect::<Vec<_>>().join("; ")
    }

    /// Returns the status of a site as the `status` command prints it, or `None` if no such site is paired.
    pub fn summary(&self, site: &str) -> Option<SiteSummary> {
        self.view(site).map(|view| SiteSummary::new(&view, self.sync_interval()))
    }
}

/// Returns one site's part of the line: why it stands still if it does, else its progress or its lag.
fn status_line(site: &SiteView, sync_interval: Duration) -> String {
    let status = SiteStatus::new(site, sync_interval);
    let SiteStatus { name, link, .. } = &status;
    if let Some(step) = site.state().opening.and_then(|step| step.view) {
        return format!("{name}: {}", step.text);
    }
    let head = status.head.map_or("no copy yet".to_owned(), |head| format!("change {}", grouped(head.sequence.0)));
    let mut state = format!("{name} {}, {head}", link.as_str());
    if let Some(unfolded) = status.unfolded_changes.filter(|unfolded| *unfolded > 0) {
        let _infallible = write!(state, ", {} of them not shown yet", grouped(unfolded));
    }
    let reason = status.stopped_because.clone().or_else(|| status.blocked.clone()).or_else(|| status.barn_trouble());
    let line = match (reason, status.copied, status.lag_changes) {
        (Some(reason), ..) => format!("{state}: {reason}"),
        (None, Some((copied, total)), _) => format!("{state}, {} of {} copied", grouped(copied), grouped(total)),
        (None, None, Some(lag)) => format!("{state}, {} behind", grouped(lag)),
        (None, None, None) => state,
    };
    match status.backup.as_ref().and_then(BackupReport::note) {
        Some(note) => format!("{line}; backup of {name}: {note}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{BarnReport, FollowStatus, LinkState};
    use crate::sites::view::{OpeningStep, SiteState};
    use herd::position::{Sequence, StoreId};
    use herd::store::{MemoryDisk, OpenProgress, Store};
    use herd::wire::BarnHead;
    use tokio::sync::watch;
    use tokio::time::Instant;

    fn reader() -> Reader {
        Store::open_replica(&MemoryDisk::default(), StoreId([1; 16])).unwrap().reader()
    }

    fn line(state: SiteState, barn_head: Option<u64>) -> String {
        let barn = barn_head.map(|head| BarnHead { head: Sequence(head), age_ms: Some(0), duplicates: 0 });
        let barn = barn.map(|barn| BarnReport { barn, at_us: 0, at: Instant::now() });
        let (_, receiver) = watch::channel(FollowStatus { link: LinkState::Live, barn, ..FollowStatus::default() });
        let site = SiteView::new("north".parse().unwrap(), receiver);
        site.change(|own| *own = state);
        status_line(&site, Duration::from_secs(10))
    }

    /// Catches a line that shows a number while the reason for a standstill stays hidden.
    #[test]
    fn the_status_line_shows_the_most_urgent_fact() {
        let complete = || SiteState { shown: Some(reader()), ..SiteState::default() };
        assert_eq!(line(complete(), Some(1_234)), "north live, change 0, 1,234 behind");
        assert_eq!(line(complete(), None), "north live, change 0");
        let building = SiteState { building: Some(reader()), ..SiteState::default() };
        assert_eq!(line(building, Some(5_000)), "north copying, no copy yet, 0 of 5,000 copied");
        let stopped = SiteState { stopped_because: Some("another history".into()), ..complete() };
        assert_eq!(line(stopped, Some(7)), "north stopped, change 0: another history");
        let folding = OpenProgress::Folding { folded: Sequence(7_000), of: Sequence(20_000) };
        let folding = SiteState { opening: Some(OpeningStep::at(&folding)), ..SiteState::default() };
        assert_eq!(line(folding, None), "north: the copy of 20,000 changes is being folded again, 35 % done");
        let both = SiteState { building: Some(reader()), ..complete() };
        assert_eq!(line(both, Some(5_000)), "north copying, change 0, 0 of 5,000 copied");
    }
}
