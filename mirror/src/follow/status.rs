//! The status that a follower publishes.

use super::arrivals::Arrivals;
use herd::fold::FOLD_VERSION;
use herd::position::{Position, Sequence};
use herd::store::Head;
use herd::wire::{BarnHead, BarnHealth, HealthFinding, Heartbeat};
use serde::Serialize;
use service::sync::divergence::Divergence;
use std::time::Duration;
use tokio::time::Instant;

/// State of the link to a barn.
///
/// A follower reports every state but `Unwell`, `Copying` and `Opening`. The status of a site (`sites::SiteStatus`) adds
/// what the site's copies and its task know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// No live connection: changes are fetched by pulls.
    #[default]
    Pulling,
    /// Connected: each change arrives as the barn commits it.
    Live,
    /// Connected, but the barn reports that a part of it fails.
    Unwell,
    /// The barn is unreachable, or its replies are invalid.
    Away,
    /// Following has ended. For a site: replication has stopped until an operator decides.
    Stopped,
    /// The first copy of the barn, or a new one, is being made.
    Copying,
    /// The complete copy is being opened, before it can be served and followed into.
    Opening,
}

impl LinkState {
    /// Returns the name in JSON and in the style sheet.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulling => "pulling",
            Self::Live => "live",
            Self::Unwell => "unwell",
            Self::Away => "away",
            Self::Stopped => "stopped",
            Self::Copying => "copying",
            Self::Opening => "opening",
        }
    }
}

/// Status of a follower.
///
/// A sync is a pull or a page received live, counted when it ends. A connection that is lost, or that the barn refuses, is
/// a failed sync: from then on nothing arrives, whether or not a pull was under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// State of the link to the barn.
    pub link: LinkState,
    /// Syncs that succeeded.
    pub successful_syncs: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Changes received that were new to the copy.
    pub total_records_synced: u64,
    /// Time of the last contact that showed the barn to agree with the copy, in microseconds since the Unix epoch: a
    /// sync, or on a quiet link a heartbeat.
    pub last_sync_at_us: Option<i64>,
    /// Arrivals of the latest changes.
    pub arrivals: Arrivals,
    /// The last report about the barn.
    pub barn: Option<BarnReport>,
    /// The barn's last report of its health. A barn of the first release sends none.
    pub health: Option<HealthReport>,
    /// Result of the last comparison of tables with the barn, which is possible only at the same sequence. `None` if there
    /// was none yet, or if the barn folds in another version: what held before its upgrade says nothing about it now.
    pub digest_equal: Option<bool>,
    /// Fold version in the barn's last heartbeat.
    pub barn_fold_version: Option<u32>,
    /// True if the follower is that of another copy than the served one. How the served one compares with the barn is unknown
    /// then.
    pub is_of_other_copy: bool,
    /// True if the barn has refused the served copy, and has not agreed with it since.
    pub is_refused: bool,
    /// Why nothing more is copied for now; `None` if there is room.
    pub no_room: Option<String>,
    /// Error of the last attempt, or `None` if it succeeded.
    pub last_error: Option<String>,
    /// The divergence that ended the follower.
    pub diverged: Option<Divergence>,
    /// Head of the source when it refused the position of the copy.
    pub refused_by: Option<Position>,
}

/// Maximum age of a report of the barn from which its lag and its health are known: six heartbeats, which it may take through
/// several mirrors.
pub const MAX_REPORT_AGE: Duration = Duration::from_secs(30);

/// The last report about the barn, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarnReport {
    /// The reported state.
    pub barn: BarnHead,
    /// Arrival by this machine's wall clock, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Arrival by the monotonic clock, which nobody can set.
    pub at: Instant,
}

impl BarnReport {
    /// Returns the reported state with its age increased by the time since the report, for passing it on.
    pub fn aged(&self) -> BarnHead {
        let since_ms = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        BarnHead { age_ms: self.barn.age_ms.map(|age| age.saturating_add(since_ms)), ..self.barn }
    }
}

/// The barn's last report of its health, and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// The report, with the age that it had on arrival.
    pub health: BarnHealth,
    /// Arrival by the monotonic clock.
    pub at: Instant,
}

impl HealthReport {
    /// Returns the report with its age increased by the time since its arrival, for passing it on.
    pub fn aged(&self) -> BarnHealth {
        self.health.clone().aged(u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl FollowStatus {
    /// Returns what the barn reports to fail or to need a look. `None` while that is unknown: without a connection, from a
    /// barn of the first release, or if the last report is older than [`MAX_REPORT_AGE`].
    pub fn barn_findings(&self) -> Option<Vec<HealthFinding>> {
        let health = self.health.as_ref().filter(|_| self.is_connected())?.aged();
        let is_current = Duration::from_millis(health.age_ms?) <= MAX_REPORT_AGE;
        is_current.then_some(health.findings)
    }

    /// Returns true if the barn reports that a part of it fails.
    pub fn is_barn_failing(&self) -> bool {
        self.barn_findings().is_some_and(|findings| findings.iter().any(|finding| finding.failing))
    }

    fn is_connected(&self) -> bool {
        matches!(self.link, LinkState::Live | LinkState::Pulling)
    }

    /// Returns the number of syncs that ended.
    pub fn total_syncs(&self) -> u64 {
        self.successful_syncs.saturating_add(self.failed_syncs)
    }

    /// Returns the number of changes that the served copy, with this head, is behind the barn. `None` while that is unknown:
    /// without a connection, if the last report of the barn itself is older than [`MAX_REPORT_AGE`], or if another copy is
    /// followed.
    pub fn lag_changes(&self, own: Sequence) -> Option<u64> {
        let barn = self.barn.filter(|_| self.is_connected() && !self.is_of_other_copy)?.aged();
        let is_current = Duration::from_millis(barn.age_ms?) <= MAX_REPORT_AGE;
        is_current.then(|| barn.head.0.saturating_sub(own.0))
    }

    /// Continues with the follower of a new copy: in its state, with the sums of the counts.
    pub(crate) fn continue_with(&mut self, new: Self) {
        *self = Self {
            successful_syncs: self.successful_syncs.saturating_add(new.successful_syncs),
            failed_syncs: self.failed_syncs.saturating_add(new.failed_syncs),
            total_records_synced: self.total_records_synced.saturating_add(new.total_records_synced),
            last_sync_at_us: self.last_sync_at_us.max(new.last_sync_at_us),
            ..new
        };
    }

    /// Continues with the follower of a copy that is being made, beside a served one that is not followed any more.
    pub(crate) fn continue_with_other_copy(&mut self, new: Self) {
        let is_refused = self.is_refused;
        self.continue_with(Self { is_of_other_copy: true, digest_equal: None, is_refused, ..new });
    }

    /// Compares the tables with the barn's, and notes the result. Returns it if both are at the same change and of the
    /// same fold version.
    pub(super) fn compare_tables(&mut self, own: &Head, theirs: &Heartbeat) -> Option<bool> {
        self.barn_fold_version = Some(theirs.fold_version);
        if theirs.fold_version != FOLD_VERSION {
            self.digest_equal = None;
            return None;
        }
        let equal = (own.folded == theirs.folded)
            .then(|| own.fold_digest == theirs.fold_digest && own.position.store == theirs.position.store);
        self.digest_equal = equal.or(self.digest_equal);
        equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::testing::TestBarn;

    fn heard(head: u64, age_ms: Option<u64>) -> FollowStatus {
        let barn = BarnHead { head: Sequence(head), age_ms, duplicates: 0 };
        let barn = Some(BarnReport { barn, at_us: 0, at: Instant::now() });
        FollowStatus { link: LinkState::Live, barn, ..FollowStatus::default() }
    }

    /// Catches a lag of 0 that nobody knows of, and one of the mirror between that is shown as the barn's.
    #[tokio::test(start_paused = true)]
    async fn the_lag_is_unknown_without_a_recent_report_of_the_barn_itself() {
        let own = Sequence(7);
        assert_eq!(FollowStatus::default().lag_changes(own), None, "no report yet");
        assert_eq!(heard(7, None).lag_changes(own), None, "a mirror that has not heard the barn");
        assert_eq!(heard(9, Some(29_000)).lag_changes(own), Some(2), "the barn's head through a mirror");
        assert_eq!(heard(7, Some(31_000)).lag_changes(own), None, "a mirror whose barn is away");
        let live = heard(7, Some(0));
        assert_eq!(live.lag_changes(own), Some(0));
        assert_eq!(FollowStatus { link: LinkState::Away, ..live.clone() }.lag_changes(own), None);
        tokio::time::advance(MAX_REPORT_AGE).await;
        assert_eq!(live.lag_changes(own), Some(0));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(live.lag_changes(own), None);
    }

    /// Catches a health that is shown as the barn's although it is old, or the barn is away, or never told it.
    #[tokio::test(start_paused = true)]
    async fn the_health_is_unknown_without_a_current_report() {
        let findings = vec![HealthFinding { part: "disk".into(), failing: true, text: "make room".into() }];
        let report = |age_ms| {
            let health = BarnHealth { age_ms, findings: findings.clone(), omitted: 0 };
            Some(HealthReport { health, at: Instant::now() })
        };
        let live = FollowStatus { link: LinkState::Live, health: report(Some(0)), ..FollowStatus::default() };
        assert_eq!(live.barn_findings().as_ref(), Some(&findings));
        let known = |status: FollowStatus| status.barn_findings().is_some();
        assert!(!known(FollowStatus { health: None, ..live.clone() }), "a barn of the first release");
        assert!(!known(FollowStatus { health: report(None), ..live.clone() }), "a mirror that was not told");
        assert!(known(FollowStatus { health: report(Some(30_000)), ..live.clone() }), "through a mirror");
        assert!(!known(FollowStatus { health: report(Some(30_001)), ..live.clone() }));
        assert!(!known(FollowStatus { link: LinkState::Away, ..live.clone() }));
        tokio::time::advance(MAX_REPORT_AGE).await;
        assert!(known(live.clone()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!known(live));
    }

    /// Catches counts that a swapped copy loses.
    #[test]
    fn the_follower_of_a_new_copy_continues_the_counts() {
        let mut status = FollowStatus { successful_syncs: 5, failed_syncs: 2, ..heard(1, None) };
        (status.total_records_synced, status.is_refused) = (9, true);
        let new =
            FollowStatus { successful_syncs: 3, total_records_synced: 4, last_sync_at_us: Some(1), ..heard(2, None) };
        status.continue_with(new.clone());
        assert_eq!((status.total_syncs(), status.failed_syncs, status.total_records_synced), (10, 2, 13));
        assert_eq!((status.barn, status.last_sync_at_us), (new.barn, Some(1)));
        assert!(!status.is_of_other_copy && !status.is_refused, "it was swapped in");
    }

    /// Catches an office that still calls its tables equal after the barn's upgrade, one that calls them different, and
    /// one whose result flickers while it is a few changes behind.
    #[test]
    fn tables_of_another_fold_version_are_neither_equal_nor_different() {
        let mut barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]);
        let own = barn.reader().head();
        let same = Heartbeat::new(&own, BarnHead::default());
        let other = Heartbeat { fold_version: FOLD_VERSION + 1, ..same };
        let damaged = Heartbeat { fold_digest: herd::position::Digest([9; 32]), ..same };
        barn.record("hxb:A:LF2:UHF2");
        let ahead = Heartbeat::new(&barn.reader().head(), BarnHead::default());

        let mut status = FollowStatus::default();
        let mut note = |theirs: &Heartbeat| {
            let compared = status.compare_tables(&own, theirs);
            (compared, status.digest_equal, status.barn_fold_version.unwrap() - FOLD_VERSION)
        };
        assert_eq!(note(&ahead), (None, None, 0), "not compared yet");
        assert_eq!(note(&same), (Some(true), Some(true), 0));
        assert_eq!(note(&ahead), (None, Some(true), 0), "the last result");
        assert_eq!(note(&other), (None, None, 1));
        assert_eq!(note(&ahead), (None, None, 0));
        assert_eq!(note(&damaged), (Some(false), Some(false), 0));
        assert_eq!(note(&other), (None, None, 1));
    }
}
