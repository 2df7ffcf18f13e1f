//! Status of a site: its link to the barn, its copies, and the counts of its follower.
//!
//! Pages, API clients and the `status` command all read [`SiteStatus`], so they cannot disagree about a site.

use super::view::{SiteState, SiteView};
use crate::follow::{Arrivals, FollowStatus, LinkState};
use herd::clock::iso_utc;
use herd::position::{Digest, Position, Sequence};
use herd::store::{Head, Reader};
use herd::wire::HealthFinding;
use serde::{Deserialize, Serialize};
use service::backup::BackupReport;
use service::remote::OpeningView;
use service::sync::divergence::Divergence;
use std::time::Duration;

/// Status of one site.
///
/// [`FollowStatus`] says what a sync is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteStatus {
    /// Name of the site.
    pub name: String,
    /// True if the site is followed, or about to be.
    pub running: bool,
    /// Interval of pulls while there is no live connection, in seconds.
    pub sync_interval_s: u64,
    /// Time of the last verified contact, in microseconds since the Unix epoch.
    pub last_sync_at_us: Option<i64>,
    /// Syncs that ended: the sum of the two below.
    pub total_syncs: u64,
    /// Syncs that succeeded.
    pub successful_syncs: u64,
    /// Syncs that failed, including connections that were lost.
    pub failed_syncs: u64,
    /// Changes received.
    pub total_records_synced: u64,
    /// State of the link to the barn, or of the barn: the worse of both.
    pub link: LinkState,
    /// The barn's findings about itself; `None` while they are unknown.
    pub barn_findings: Option<Vec<HealthFinding>>,
    /// The office's own nightly backups of the copy; `None` if no directory is set.
    pub backup: Option<BackupReport>,
    /// Durable head of the copy that is served.
    pub head: Option<Position>,
    /// Result of the last comparison of fold digests with the barn; `None` while the fold versions differ.
    pub digest_equal: Option<bool>,
    /// Fold version of the barn, as it last reported.
    pub barn_fold_version: Option<u32>,
    /// Head of the barn, as it last reported.
    pub barn_head: Option<u64>,
    /// Changes that the copy is behind the barn; `None` while that is unknown.
    pub lag_changes: Option<u64>,
    /// Changes that are stored in the copy and not in its tables yet.
    pub unfolded_changes: Option<u64>,
    /// Time of the barn's last report, in microseconds since the Unix epoch.
    pub barn_heard_at_us: Option<i64>,
    /// Arrivals of the latest changes.
    pub arrivals: Arrivals,
    /// Duplicates at the barn, as it last reported.
    pub duplicates: Option<BarnDuplicates>,
    /// Why replication has stopped, and what to do about it.
    pub stopped_because: Option<String>,
    /// True if the barn has refused the copy that is served, and has not agreed with it since: also while its successor is
    /// made, and while it is followed again.
    pub is_refused: bool,
    /// Both histories, if replication has stopped because they differ.
    pub diverged: Option<DivergedHistories>,
    /// Changes that only kept copies of this office hold, as far as they could be compared; `None` if that is unknown.
    pub only_here: Option<u64>,
    /// Why the tables do not follow the log, and what to do about it.
    pub blocked: Option<String>,
    /// Changes copied and changes in total, while a copy is made.
    pub copied: Option<(u64, u64)>,
    /// Progress of opening the complete copy, until it is served.
    pub opening: Option<OpeningView>,
}

/// A barn whose history differs from that of its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DivergedHistories {
    /// Difference between the two.
    pub divergence: Divergence,
    /// Head of the copy.
    pub own: Option<Position>,
    /// Head of the barn, if it has told.
    pub theirs: Option<Position>,
}

/// Duplicates at the barn. They never become changes, so a copy knows only what the barn reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BarnDuplicates {
    /// Total number.
    pub count: u64,
    /// Age of the barn's report, in milliseconds.
    pub age_ms: Option<u64>,
}

/// Status of a site as the `status` command prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSummary {
    /// Name of the site.
    pub name: String,
    /// True if the site is followed, or about to be.
    pub running: bool,
    /// State of the link to the barn, or of the barn, in a word: the worse of both.
    pub link: String,
    /// Sentence about what fails at the barn by its own report.
    pub barn_trouble: Option<String>,
    /// The barn's findings about itself; `None` while they are unknown.
    pub barn_findings: Option<Vec<HealthFinding>>,
    /// The office's own nightly backups of the copy; `None` if no directory is set.
    pub backup: Option<BackupReport>,
    /// Head of the copy that is served.
    pub position: Option<Position>,
    /// Last change in its tables.
    pub folded: Option<Sequence>,
    /// Fold digest after that change.
    pub fold_digest: Option<Digest>,
    /// Head of the barn, as it last reported.
    pub barn_head: Option<u64>,
    /// Changes that the copy is behind the barn; `None` while that is unknown.
    pub lag_changes: Option<u64>,
    /// Time of the barn's last report, ISO 8601 in UTC.
    pub barn_heard_at: Option<String>,
    /// Last error of the link.
    pub last_error: Option<String>,
    /// Result of the last comparison of fold digests with the barn; `None` while the fold versions differ.
    pub digest_equal: Option<bool>,
    /// Fold version of the barn, as it last reported.
    pub barn_fold_version: Option<u32>,
    /// Reason why replication is stopped until an operator decides.
    pub stopped_because: Option<String>,
    /// Number of changes that only kept copies of this office hold, as far as they could be compared; `None` if that is unknown.
    #[serde(default)]
    pub only_here: Option<u64>,
    /// Names of the kept copies that could not be compared, so that `only_here` leaves them out.
    #[serde(default)]
    pub uncompared_copies: Vec<String>,
    /// Reason why the tables do not follow the log.
    pub blocked: Option<String>,
    /// Changes copied and changes in total, while a copy is made.
    pub copied: Option<(u64, u64)>,
    /// Progress of opening the complete copy, until it is served.
    pub opening: Option<OpeningView>,
}

impl SiteStatus {
    pub(super) fn new(site: &SiteView, sync_interval: Duration) -> Self {
        let state = site.state();
        let head = state.shown.as_ref().map(Reader::head);
        Self::at_head(site, state, head, sync_interval)
    }

    /// Returns the status with this head of the copy that is served, which goes on meanwhile.
    fn at_head(site: &SiteView, state: SiteState, head: Option<Head>, sync_interval: Duration) -> Self {
        let follow = site.follow_status();
        let barn_head = follow.barn.map(|heard| heard.barn.head.0);
        let own_position = head.as_ref().map(|head| head.position);
        let own_head = own_position.map(|position| position.sequence);
        let duplicates = follow.barn.map(|heard| heard.aged());
        Self {
            name: site.name.to_string(),
            running: state.stopped_because.is_none(),
            sync_interval_s: sync_interval.as_secs(),
            last_sync_at_us: follow.last_sync_at_us,
            total_syncs: follow.total_syncs(),
            successful_syncs: follow.successful_syncs,
            failed_syncs: follow.failed_syncs,
            total_records_synced: follow.total_records_synced,
            link: link_state(&state, &follow),
            barn_findings: follow.barn_findings(),
            backup: site.backup(),
            lag_changes: own_head.and_then(|own| follow.lag_changes(own)),
            unfolded_changes: head.as_ref().map(Head::unfolded),
            blocked: head.as_ref().and_then(|head| blocked(head, &follow)),
            head: head.map(|head| head.position),
            digest_equal: follow.digest_equal,
            barn_fold_version: follow.barn_fold_version,
            barn_head,
            barn_heard_at_us: follow.barn.map(|heard| heard.at_us),
            duplicates: duplicates.map(|barn| BarnDuplicates { count: barn.duplicates, age_ms: barn.age_ms }),
            copied: copied(&state, site.head_to_copy()),
            opening: state.opening(),
            only_here: state.only_here,
            is_refused: follow.is_refused,
            diverged: follow.diverged.filter(|_| state.stopped_because.is_some()).map(|divergence| DivergedHistories {
                divergence,
                own: own_position,
                theirs: follow.refused_by,
            }),
            stopped_because: state.stopped_because,
            arrivals: follow.arrivals,
        }
    }

    /// Returns what fails at the barn by its own report, in a sentence; `None` if nothing does, or that is unknown.
    pub fn barn_trouble(&self) -> Option<String> {
        let failing = self.barn_findings.iter().flatten().filter(|finding| finding.failing);
        let texts: Vec<_> = failing.map(|finding| format!("{}: {}", finding.part, finding.text)).collect();
        (!texts.is_empty()).then(|| format!("connected, but the barn reports: {}", texts.join("; ")))
    }
}

impl SiteSummary {
    pub(super) fn new(site: &SiteView, sync_interval: Duration) -> Self {
        let state = site.state();
        let head = state.shown.as_ref().map(Reader::head);
        let uncompared_copies = state.uncompared.iter().map(ToString::to_string).collect();
        let status = SiteStatus::at_head(site, state, head.clone(), sync_interval);
        let follow = site.follow_status();
        Self {
            barn_trouble: status.barn_trouble(),
            barn_findings: status.barn_findings,
            backup: status.backup,
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
            digest_equal: status.digest_equal,
            barn_fold_version: status.barn_fold_version,
            stopped_because: status.stopped_because,
            only_here: status.only_here,
            uncompared_copies,
            blocked: status.blocked,
            copied: status.copied,
            opening: status.opening,
        }
    }
}

/// Returns the state that an operator must know first: stopped, then opening (nothing is shown or followed until then),
/// then away (also while a copy is made), then a barn that reports a failure, then copying.
fn link_state(state: &SiteState, follow: &FollowStatus) -> LinkState {
    match follow.link {
        _ if state.stopped_because.is_some() => LinkState::Stopped,
        _ if state.opening().is_some() => LinkState::Opening,
        LinkState::Away => LinkState::Away,
        _ if follow.is_barn_failing() => LinkState::Unwell,
        _ if state.building.is_some() || state.shown.is_none() => LinkState::Copying,
        LinkState::Live => LinkState::Live,
        // A follower that has ended restarts soon; if it does not, the site's task sets `stopped_because`.
        LinkState::Pulling | LinkState::Stopped | LinkState::Unwell | LinkState::Copying | LinkState::Opening => {
            LinkState::Pulling
        }
    }
}

/// Returns why the tables do not show all of the log, cannot be trusted to, or do not go on.
fn blocked(head: &Head, follow: &FollowStatus) -> Option<String> {
    match &head.blocked {
        Some(reason) => Some(reason.to_string()),
        None if follow.no_room.is_some() => follow.no_room.clone(),
        None if follow.digest_equal == Some(false) => Some(
            "the tables here differ from the barn's although the logs are equal: run `verify` here and at the barn"
                .to_owned(),
        ),
        None => None,
    }
}

/// Returns the progress of the copy that is being made. The total is never below the number of changes copied.
fn copied(state: &SiteState, barn_head: Option<u64>) -> Option<(u64, u64)> {
    let copied = state.building.as_ref()?.head().position.sequence.0;
    Some((copied, barn_head.unwrap_or(copied).max(copied)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{BarnReport, HealthReport};
    use herd::position::StoreId;
    use herd::store::{MemoryDisk, Store};
    use herd::testing::TestBarn;
    use herd::wire::{BarnHead, BarnHealth};
    use tokio::sync::watch;
    use tokio::time::Instant;

    fn reader() -> Reader {
        Store::open_replica(&MemoryDisk::default(), StoreId([1; 16])).unwrap().reader()
    }

    fn status(link: LinkState, state: SiteState) -> SiteStatus {
        status_of(FollowStatus { link, ..FollowStatus::default() }, state)
    }

    fn status_of(follow: FollowStatus, state: SiteState) -> SiteStatus {
        let (_, receiver) = watch::channel(follow);
        let site = SiteView::new("barn".parse().unwrap(), receiver);
        site.change(|own| *own = state);
        SiteStatus::new(&site, Duration::from_secs(10))
    }

    /// Catches a status that says "copying" or "live" although an operator must act, or the barn is unreachable.
    #[test]
    fn the_link_shows_the_most_urgent_state() {
        let complete = || SiteState { shown: Some(reader()), ..SiteState::default() };
        let building = || SiteState { building: Some(reader()), ..complete() };
        let stopped = || SiteState { stopped_because: Some("x".into()), ..building() };
        let unopened = || SiteState { has_complete: true, ..SiteState::default() };
        for (follower, state, site) in [
            (LinkState::Live, complete(), LinkState::Live),
            (LinkState::Pulling, complete(), LinkState::Pulling),
            (LinkState::Live, building(), LinkState::Copying),
            (LinkState::Pulling, SiteState::default(), LinkState::Copying),
            (LinkState::Away, building(), LinkState::Away),
            (LinkState::Away, stopped(), LinkState::Stopped),
            (LinkState::Stopped, complete(), LinkState::Pulling),
            (LinkState::Pulling, unopened(), LinkState::Opening),
            (LinkState::Pulling, SiteState { stopped_because: Some("x".into()), ..unopened() }, LinkState::Stopped),
            (LinkState::Away, SiteState { building: Some(reader()), ..unopened() }, LinkState::Away),
        ] {
            assert_eq!(status(follower, state).link, site, "{follower:?}");
        }
        assert!(!status(LinkState::Live, stopped()).running);
    }

    /// Catches an office that says "live" of a barn which itself reports that it takes no read, and one that calls a barn
    /// unwell for a note, or for what it said before it went away.
    #[test]
    fn a_live_link_to_a_barn_that_reports_a_failure_is_unwell() {
        let follow = |link, failing| {
            let finding = HealthFinding { part: "reads".into(), failing, text: "no read was taken".into() };
            let health = BarnHealth::of_barn(vec![finding]);
            let health = Some(HealthReport { health, at: Instant::now() });
            FollowStatus { link, health, ..FollowStatus::default() }
        };
        let complete = || SiteState { shown: Some(reader()), ..SiteState::default() };
        let unwell = status_of(follow(LinkState::Live, true), complete());
        assert_eq!(unwell.link, LinkState::Unwell);
        let trouble = "connected, but the barn reports: reads: no read was taken";
        assert_eq!(unwell.barn_trouble().as_deref(), Some(trouble));
        assert_eq!(status_of(follow(LinkState::Pulling, true), complete()).link, LinkState::Unwell);
        let building = SiteState { building: Some(reader()), ..complete() };
        assert_eq!(status_of(follow(LinkState::Live, true), building).link, LinkState::Unwell);

        let noted = status_of(follow(LinkState::Live, false), complete());
        assert_eq!((noted.link, noted.barn_trouble()), (LinkState::Live, None));
        assert_eq!(noted.barn_findings.unwrap().len(), 1);
        let away = status_of(follow(LinkState::Away, true), complete());
        assert_eq!((away.link, away.barn_findings), (LinkState::Away, None));
    }

    /// Catches an unfinished copy that is reported as the served one, and a copy of more than all.
    #[test]
    fn progress_is_reported_while_a_copy_is_made() {
        let building = SiteState { building: Some(reader()), ..SiteState::default() };
        let status = status(LinkState::Pulling, building);
        assert_eq!((status.copied, status.head), (Some((0, 0)), None));
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:A:LF2:UHF2"]);
        let building = SiteState { building: Some(barn.reader()), ..SiteState::default() };
        for (barn_head, copied) in [(None, (3, 3)), (Some(2), (3, 3)), (Some(9), (3, 9))] {
            assert_eq!(super::copied(&building, barn_head), Some(copied));
        }
        assert_eq!(super::copied(&SiteState::default(), Some(9)), None);
    }

    /// Catches tables that stand still or cannot be trusted while the status shows nothing of it.
    #[test]
    fn what_blocks_the_tables_is_told() {
        let head = reader().head();
        let of = |no_room: Option<&str>, digest_equal| {
            let no_room = no_room.map(str::to_owned);
            blocked(&head, &FollowStatus { digest_equal, no_room, ..FollowStatus::default() })
        };
        assert_eq!((of(None, None), of(None, Some(true))), (None, None));
        assert_eq!(of(Some("the disk is full"), Some(false)).as_deref(), Some("the disk is full"));
        assert!(
            of(None, Some(false)).is_some_and(|why| why.contains("differ from the barn's") && why.contains("`verify`"))
        );
    }

    /// Catches a summary that has another value than the page, or one in the place of another.
    #[tokio::test(start_paused = true)]
    async fn status_and_summary_have_what_the_follower_and_the_copy_report() {
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:A:LF2:UHF2"]);
        let reported = BarnHead { head: Sequence(8), age_ms: Some(10), duplicates: 4 };
        let follow = FollowStatus {
            link: LinkState::Live,
            successful_syncs: 5,
            failed_syncs: 2,
            total_records_synced: 9,
            last_sync_at_us: Some(11),
            barn: Some(BarnReport { barn: reported, at_us: 1_705_314_920_000_000, at: Instant::now() }),
            digest_equal: Some(true),
            barn_fold_version: Some(77),
            last_error: Some("it broke".into()),
            diverged: Some(Divergence::Forked),
            refused_by: Some(barn.reader().position_at(Sequence(1)).unwrap().unwrap()),
            ..FollowStatus::default()
        };
        let (_, receiver) = watch::channel(follow);
        let site = SiteView::new("barn".parse().unwrap(), receiver);
        site.change(|state| (state.shown, state.only_here) = (Some(barn.reader()), Some(6)));
        tokio::time::advance(Duration::from_millis(5)).await;
        let status = SiteStatus::new(&site, Duration::from_secs(10));
        assert_eq!((status.sync_interval_s, status.last_sync_at_us), (10, Some(11)));
        assert_eq!((status.total_syncs, status.successful_syncs, status.failed_syncs), (7, 5, 2));
        assert_eq!((status.total_records_synced, status.lag_changes, status.barn_head), (9, Some(5), Some(8)));
        assert_eq!(status.duplicates, Some(BarnDuplicates { count: 4, age_ms: Some(15) }));
        assert_eq!((status.unfolded_changes, status.diverged, status.blocked.clone()), (Some(0), None, None));

        let summary = SiteSummary::new(&site, Duration::from_secs(10));
        let head = barn.reader().head();
        assert_eq!((summary.name.as_str(), summary.running, summary.link.as_str()), ("barn", true, "live"));
        assert_eq!((summary.position, summary.folded), (Some(head.position), Some(head.folded)));
        assert_eq!((summary.fold_digest, summary.barn_head), (Some(head.fold_digest), Some(8)));
        assert_eq!((summary.lag_changes, summary.only_here), (Some(5), Some(6)));
        assert_eq!(summary.barn_heard_at.as_deref(), Some("2024-01-15T10:35:20.000Z"));
        assert_eq!(summary.last_error.as_deref(), Some("it broke"));
        assert_eq!((summary.digest_equal, summary.barn_fold_version), (Some(true), Some(77)));

        site.change(|state| state.stopped_because = Some("another history".into()));
        let stopped = SiteStatus::new(&site, Duration::from_secs(10));
        let theirs = site.follow_status().refused_by;
        assert_eq!(
            stopped.diverged,
            Some(DivergedHistories { divergence: Divergence::Forked, own: Some(head.position), theirs })
        );
        assert_eq!(
            SiteSummary::new(&site, Duration::from_secs(10)).stopped_because.as_deref(),
            Some("another history")
        );
    }
}
