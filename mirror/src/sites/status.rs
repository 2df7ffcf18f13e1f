//! How a site stands, for pages, programs and operators: the follower's own counts, and where the copies stand.

use super::running::Sites;
use super::shown::{Shown, SiteState};
use crate::follow::{self, FollowStatus};
use crate::pages::{HeardDuplicates, LinkState, Office, SiteStatus};
use herd::clock::iso_utc;
use herd::position::{Digest, Position, Sequence};
use herd::store::{Head, Reader, grouped};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A site as the `status` command prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSummary {
    /// Its name.
    pub name: String,
    /// True if it is followed, or about to be.
    pub running: bool,
    /// State of the link to the barn, in a word.
    pub link: String,
    /// Head of the copy that is shown.
    pub position: Option<Position>,
    /// Last change in its tables.
    pub folded: Option<Sequence>,
    /// Fold digest after that change.
    pub fold_digest: Option<Digest>,
    /// Head of the barn, as it last reported.
    pub barn_head: Option<u64>,
    /// Changes that the copy is behind the barn.
    pub lag_changes: Option<u64>,
    /// Time of the barn's last report, ISO 8601 in UTC.
    pub barn_heard_at: Option<String>,
    /// Last error of the link.
    pub last_error: Option<String>,
    /// Result of the last comparison of fold digests with the barn.
    pub digest_equal: Option<bool>,
    /// Reason why replication is stopped until an operator decides.
    pub stopped_because: Option<String>,
    /// Reason why the tables do not follow the log.
    pub blocked: Option<String>,
    /// Changes copied and changes in total, while a copy is made.
    pub copied: Option<(u64, u64)>,
}

impl Office for Sites {
    fn sites(&self) -> Vec<String> {
        self.names()
    }

    fn reader(&self, site: &str) -> Option<Reader> {
        Self::reader(self, site)
    }

    fn status(&self, site: &str) -> Option<SiteStatus> {
        self.shown(site).map(|shown| site_status(&shown, self.sync_interval()))
    }
}

impl Sites {
    /// How all sites stand, in a line for whoever says `systemctl status`.
    pub fn status_line(&self) -> String {
        let shown: Vec<_> = self.names().iter().filter_map(|name| self.shown(name)).collect();
        if shown.is_empty() {
            return "no barn is paired: say `herdlinx-mirror add`".to_owned();
        }
        shown.iter().map(|shown| words(shown, self.sync_interval())).collect::<Vec<_>>().join("; ")
    }

    /// Returns a site as the `status` command prints it.
    pub fn summary(&self, site: &str) -> Option<SiteSummary> {
        let shown = self.shown(site)?;
        let status = site_status(&shown, self.sync_interval());
        let head = shown.state().shown.map(|reader| reader.head());
        let follow = shown.follow_status();
        Some(SiteSummary {
            name: status.name,
            running: status.running,
            link: status.link.as_str().to_owned(),
            position: status.head,
            folded: head.as_ref().map(|head| head.folded),
            fold_digest: head.as_ref().map(|head| head.fold_digest),
            barn_head: status.barn_head,
            lag_changes: status.lag_changes,
            barn_heard_at: status.barn_heard_at_us.map(iso_utc),
            last_error: follow.last_error,
            digest_equal: follow.digest_equal,
            stopped_because: status.stopped_because,
            blocked: status.blocked,
            copied: status.copied,
        })
    }
}

/// What must be known first: why nothing comes, or how far it is behind.
fn words(shown: &Shown, sync_interval: Duration) -> String {
    let site = site_status(shown, sync_interval);
    let SiteStatus { name, link, .. } = &site;
    if let Some(at) = shown.state().opening.and_then(|step| step.at) {
        return format!("{name}: {at}");
    }
    let held = site.head.map_or("nothing yet".to_owned(), |head| format!("change {}", grouped(head.sequence.0)));
    let at = format!("{name} {}, {held}", link.as_str());
    match (&site.stopped_because, &site.blocked, site.copied, site.lag_changes) {
        (Some(why), ..) | (None, Some(why), ..) => format!("{at}: {why}"),
        (None, None, Some((come, of)), _) => format!("{at}, {} of {} copied", grouped(come), grouped(of)),
        (None, None, None, Some(behind)) => format!("{at}, {} behind", grouped(behind)),
        (None, None, None, None) => at,
    }
}

pub(super) fn site_status(shown: &Shown, sync_interval: Duration) -> SiteStatus {
    let (state, follow) = (shown.state(), shown.follow_status());
    let head = state.shown.as_ref().map(Reader::head);
    let barn_head = follow.barn.map(|heard| heard.barn.head.0);
    let here = head.as_ref().map(|head| head.position.sequence.0);
    SiteStatus {
        name: shown.name.to_string(),
        running: state.stopped_because.is_none(),
        sync_interval_s: sync_interval.as_secs(),
        last_sync_time: follow.last_sync_at_us,
        total_syncs: follow.total_syncs,
        successful_syncs: follow.successful_syncs,
        failed_syncs: follow.failed_syncs,
        total_records_synced: follow.total_records_synced,
        link: link_state(&state, &follow),
        lag_changes: barn_head.zip(here).map(|(barn, here)| barn.saturating_sub(here)),
        blocked: head.as_ref().and_then(|head| blocked(head, &follow)),
        head: head.map(|head| head.position),
        barn_head,
        barn_heard_at_us: follow.barn.map(|heard| heard.at_us),
        duplicates: follow
            .barn
            .map(|heard| heard.passed_on())
            .map(|barn| HeardDuplicates { count: barn.duplicates, age_ms: barn.age_ms }),
        copied: copied(&state, barn_head),
        stopped_because: state.stopped_because,
    }
}

/// A barn that is away is told as that, also while a copy of it is being made.
fn link_state(state: &SiteState, follow: &FollowStatus) -> LinkState {
    match follow.link {
        _ if state.stopped_because.is_some() => LinkState::Stopped,
        follow::LinkState::Away => LinkState::Away,
        _ if state.building.is_some() || state.shown.is_none() => LinkState::Copying,
        follow::LinkState::Live => LinkState::Live,
        // A follower that has ended is about to be started again, or its task says why not.
        follow::LinkState::Pulling | follow::LinkState::Stopped => LinkState::Pulling,
    }
}

/// Why the tables cannot be trusted to show all of the log.
fn blocked(head: &Head, follow: &FollowStatus) -> Option<String> {
    match &head.blocked {
        Some(why) => Some(why.to_string()),
        None if follow.digest_equal == Some(false) => Some(
            "the tables here differ from the barn's although the logs are equal: run `verify` here and at the barn"
                .to_owned(),
        ),
        None => None,
    }
}

fn copied(state: &SiteState, barn_head: Option<u64>) -> Option<(u64, u64)> {
    let come = state.building.as_ref()?.head().position.sequence.0;
    Some((come, barn_head.unwrap_or(come).max(come)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::shown::OpeningStep;
    use herd::position::StoreId;
    use herd::store::{MemoryDisk, Store};
    use herd::wire::BarnHead;
    use tokio::sync::watch;
    use tokio::time::Instant;

    fn reader() -> Reader {
        Store::open_replica(&MemoryDisk::default(), StoreId([1; 16])).unwrap().reader()
    }

    fn status(link: follow::LinkState, state: SiteState) -> SiteStatus {
        let (_, seen) = watch::channel(FollowStatus { link, ..FollowStatus::default() });
        let shown = Shown::new("barn".parse().unwrap(), seen);
        shown.change(|own| *own = state);
        site_status(&shown, Duration::from_secs(10))
    }

    #[test]
    fn the_link_is_told_by_what_an_operator_must_know_first() {
        use follow::LinkState as Link;
        let whole = || SiteState { shown: Some(reader()), ..SiteState::default() };
        let building = || SiteState { building: Some(reader()), ..whole() };
        let stopped = || SiteState { stopped_because: Some("x".into()), ..building() };
        for (link, state, told) in [
            (Link::Live, whole(), LinkState::Live),
            (Link::Pulling, whole(), LinkState::Pulling),
            (Link::Live, building(), LinkState::Copying),
            (Link::Pulling, SiteState::default(), LinkState::Copying),
            (Link::Away, building(), LinkState::Away),
            (Link::Away, stopped(), LinkState::Stopped),
            (Link::Stopped, whole(), LinkState::Pulling),
        ] {
            assert_eq!(status(link, state).link, told, "{link:?}");
        }
        assert!(!status(Link::Live, stopped()).running);
    }

    #[test]
    fn the_line_of_a_site_tells_first_what_must_be_known_first() {
        let told = |link, state: SiteState, barn_head: Option<u64>| {
            let barn = barn_head.map(|head| BarnHead { head: Sequence(head), age_ms: None, duplicates: 0 });
            let barn = barn.map(|barn| follow::Heard { barn, at_us: 0, at: Instant::now() });
            let (_, seen) = watch::channel(FollowStatus { link, barn, ..FollowStatus::default() });
            let shown = Shown::new("north".parse().unwrap(), seen);
            shown.change(|own| *own = state);
            words(&shown, Duration::from_secs(10))
        };
        let whole = || SiteState { shown: Some(reader()), ..SiteState::default() };
        let live = follow::LinkState::Live;
        assert_eq!(told(live, whole(), Some(1_234)), "north live, change 0, 1,234 behind");
        assert_eq!(told(live, whole(), None), "north live, change 0");
        let building = SiteState { building: Some(reader()), ..SiteState::default() };
        assert_eq!(told(live, building, Some(5_000)), "north copying, nothing yet, 0 of 5,000 copied");
        let stopped = SiteState { stopped_because: Some("another history".into()), ..whole() };
        assert_eq!(told(live, stopped, Some(7)), "north stopped, change 0: another history");
        let opening =
            SiteState { opening: Some(OpeningStep::now(Some("folding the tables".into()))), ..SiteState::default() };
        assert_eq!(told(live, opening, None), "north: folding the tables");
    }

    #[test]
    fn a_copy_under_way_is_counted_and_a_whole_one_is_not() {
        let building = SiteState { building: Some(reader()), ..SiteState::default() };
        let status = status(follow::LinkState::Pulling, building);
        assert_eq!((status.copied, status.head), (Some((0, 0)), None));
    }
}
