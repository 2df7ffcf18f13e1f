//! A session with the source: catches up by pulls, then follows live until something interrupts it.

use super::arrivals::Arrival;
use super::contact::Contact;
use super::page_size::PageSize;
use super::room::NoRoomError;
use super::row_fetch::{MendAttempts, RowFetch, next_fetched_row};
use super::status::{BarnReport, FollowStatus, HealthReport, LinkState};
use super::writer::{PendingApply, StoreHandle, WriterEndedError};
use super::{FollowEnd, FollowSettings};
use bytes::Bytes;
use herd::clock::Clock;
use herd::position::Position;
use herd::store::{ApplyError, ApplyReceipt, ChangeRun, StoreError};
use herd::wire::{
    Acknowledgment, BarnHead, BarnHealth, BlobError, BlobKind, HealthFinding, Heartbeat, Page, blob_kind, from_blob,
    to_blob,
};
use service::sheet::visible;
use service::sync::divergence::{Divergence, classify};
use service::sync::link::{LIVE_PATH, Link, LinkError, LinkResponse, LiveChannel, LiveResponse};
use service::sync::live::{HEARTBEAT_INTERVAL, SILENCE_TIMEOUT};
use service::sync::query::position_text;
use service::sync::refusal::Refusal;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Timeout for opening the live connection, in milliseconds.
const OPEN_TIMEOUT_MS: u64 = 10_000;

/// Reason why a page was not applied.
pub(super) enum PageError {
    /// The store rejected the page, or failed.
    Apply(ApplyError),
    /// The writer has ended.
    WriterEnded,
}

/// Reason why a session ended.
pub(super) enum Interruption {
    /// An error to retry after a wait, with its cause.
    Retry(String),
    /// There is no room for further changes.
    NoRoom(NoRoomError),
    /// The copy cannot simply follow the source.
    Diverged(Divergence),
    /// The writer of the copy has ended.
    WriterEnded,
}

impl From<NoRoomError> for Interruption {
    fn from(error: NoRoomError) -> Self {
        Self::NoRoom(error)
    }
}

impl From<LinkError> for Interruption {
    fn from(error: LinkError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<BlobError> for Interruption {
    fn from(error: BlobError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<WriterEndedError> for Interruption {
    fn from(_: WriterEndedError) -> Self {
        Self::WriterEnded
    }
}

/// The state of a follower over all its connections.
pub(super) struct Session<L> {
    pub(super) link: Arc<L>,
    pub(super) store: StoreHandle,
    pub(super) settings: FollowSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: watch::Sender<FollowStatus>,
    pub(super) contact: Contact,
    /// True if a connection made progress since the last reset of the backoff.
    pub(super) has_progress: bool,
    /// Size of the next page of a pull.
    pub(super) page_size: PageSize,
    /// Changes of a page that was cut, until the source has proved them.
    pub(super) unproved: Option<ChangeRun>,
    pub(super) mends: MendAttempts,
}

/// A page from a live connection that is being applied.
struct PendingPage {
    end: Position,
    /// `true` if the source had nothing after the page when it sent it.
    is_latest: bool,
    apply: PendingApply,
}

/// An open live connection.
struct LiveConnection<C> {
    channel: C,
    /// Pages being applied, oldest first.
    pending: VecDeque<PendingPage>,
    last_received: Instant,
    last_checked: Instant,
    /// The damaged row that is being fetched.
    fetch: Option<RowFetch>,
}

impl<L: Link + 'static> Session<L> {
    /// Creates the state of a follower that has not connected yet.
    pub(super) fn new(
        link: L,
        store: StoreHandle,
        settings: FollowSettings,
        clock: Arc<dyn Clock>,
        status: watch::Sender<FollowStatus>,
    ) -> Self {
        Self {
            link: Arc::new(link),
            store,
            settings,
            clock,
            status,
            contact: Contact::default(),
            has_progress: false,
            page_size: PageSize::default(),
            unproved: None,
            mends: MendAttempts::default(),
        }
    }

    /// Catches up, then follows live. Returns only when interrupted.
    pub(super) async fn follow_once(&mut self) -> Interruption {
        self.status.send_modify(|status| status.link = LinkState::Pulling);
        if let Err(interruption) = self.catch_up(false).await {
            return interruption;
        }
        if let Err(interruption) = self.mend_copy().await {
            return interruption;
        }
        match self.follow_live().await {
            Ok(()) => Interruption::Retry("the barn closed the connection".to_owned()),
            Err(interruption) => interruption,
        }
    }

    /// Returns what a refusal by the source means: a divergence, or an error to retry.
    pub(super) fn interruption_of(&self, answer: &LinkResponse) -> Interruption {
        let Refusal { held, message } = Refusal::of(&answer.body);
        match held.filter(|_| answer.status == 409).map(|held| self.diverge(&held)) {
            Some(Ok(divergence)) => Interruption::Diverged(divergence),
            Some(Err(error)) => error.into(),
            None => {
                Interruption::Retry(format!("the barn refused the request with status {}: {message}", answer.status))
            }
        }
    }

    /// Classifies a divergence from a source with this head, and notes both.
    fn diverge(&self, theirs: &Position) -> Result<Divergence, StoreError> {
        let divergence = classify(self.store.reader(), theirs)?;
        self.status.send_modify(|status| status.refused_by = Some(*theirs));
        Ok(divergence)
    }

    /// Follows the live connection until the source closes it.
    async fn follow_live(&mut self) -> Result<(), Interruption> {
        let from = self.store.reader().head().position;
        let path = format!("{LIVE_PATH}?{}", position_text(&from));
        let channel = match self.link.open_live(&path, OPEN_TIMEOUT_MS).await? {
            LiveResponse::Open(channel) => channel,
            LiveResponse::Refused(answer) => return Err(self.interruption_of(&answer)),
        };
        self.status.send_modify(|status| {
            status.link = LinkState::Live;
            status.last_error = None;
        });
        let now = Instant::now();
        let (pending, fetch) = (VecDeque::new(), None);
        let mut live = LiveConnection { channel, pending, last_received: now, last_checked: now, fetch };
        let mut heartbeat = interval(HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                (end, is_latest, outcome) = next_outcome(&mut live.pending), if !live.pending.is_empty() => {
                    self.note_apply(outcome, is_latest)?;
                    live.channel.send(to_blob(&Acknowledgment { durable: end }).into()).await?;
                }
                blob = live.channel.receive() => match blob? {
                    Some(blob) => self.receive(&mut live, &blob).await?,
                    None => return Ok(()),
                },
                row = next_fetched_row(&mut live.fetch), if live.fetch.is_some() => self.mend_row(row).await?,
                _ = heartbeat.tick() => self.send_heartbeat(&mut live).await?,
            }
        }
    }

    async fn receive<C: LiveChannel>(
        &mut self,
        live: &mut LiveConnection<C>,
        blob: &Bytes,
    ) -> Result<(), Interruption> {
        live.last_received = Instant::now();
        match blob_kind(blob)? {
            BlobKind::Page => {
                let page: Page = from_blob(blob)?;
                self.store.check_room()?;
                self.note_report(page.end.barn);
                let end = page.end.end;
                let is_latest = page.end.head == end.sequence;
                let apply = self.store.begin_apply(page.into_run()).await?;
                live.pending.push_back(PendingPage { end, is_latest, apply });
            }
            BlobKind::Heartbeat => {
                let heartbeat: Heartbeat = from_blob(blob)?;
                self.compare_logs(&heartbeat.position)?;
                self.note_report(heartbeat.barn);
                self.compare_tables(&heartbeat);
            }
            BlobKind::BarnHealth => self.note_health(from_blob(blob)?),
            other => return Err(BlobError::Kind { found: other as u8, expected: BlobKind::Page as u8 }.into()),
        }
        Ok(())
    }

    /// Sends a heartbeat, unless the source has been silent for too long or the connection turns out to be dead.
    async fn send_heartbeat<C: LiveChannel>(&mut self, live: &mut LiveConnection<C>) -> Result<(), Interruption> {
        // A long message on a slow link is no silence.
        let last_byte_at = live.channel.last_byte_at();
        live.last_received = last_byte_at.map_or(live.last_received, |at| at.max(live.last_received));
        if live.last_received.elapsed() >= SILENCE_TIMEOUT {
            return Err(Interruption::Retry("the barn was silent".to_owned()));
        }
        let since = live.last_received.max(live.last_checked);
        if since.elapsed() >= self.settings.sync_interval && live.pending.is_empty() {
            live.last_checked = Instant::now();
            if self.catch_up(true).await? > 0 {
                return Err(Interruption::Retry(
                    "the live connection is dead: a pull on a new one found changes".to_owned(),
                ));
            }
        }
        if live.fetch.is_none() {
            live.fetch = self.begin_fetch();
        }
        let barn = self.status.borrow().barn.map_or_else(BarnHead::default, |report| report.aged());
        let heartbeat = Heartbeat::new(&self.store.reader().head(), barn);
        Ok(live.channel.send(to_blob(&heartbeat).into()).await?)
    }

    /// Notes the outcome of a page. `is_live` tells whether the source sent it as soon as it had recorded its last change.
    pub(super) fn note_apply(
        &mut self,
        outcome: Result<ApplyReceipt, PageError>,
        is_live: bool,
    ) -> Result<(), Interruption> {
        match outcome {
            Ok(receipt) => {
                self.note_arrival(&receipt, is_live);
                self.note_success(receipt.changes);
                Ok(())
            }
            Err(PageError::Apply(ApplyError::Diverged { theirs, .. })) => {
                Err(Interruption::Diverged(self.diverge(&theirs)?))
            }
            Err(PageError::Apply(error)) => Err(Interruption::Retry(error.to_string())),
            Err(PageError::WriterEnded) => Err(Interruption::WriterEnded),
        }
    }

    pub(super) fn note_report(&mut self, barn: BarnHead) {
        let report = BarnReport { barn, at_us: self.clock.read().received_at_us, at: Instant::now() };
        self.status.send_modify(|status| status.barn = Some(report));
    }

    /// Notes what the barn reports of itself. Its words are shown on terminals and in the log, so hidden characters of them
    /// are escaped.
    fn note_health(&self, health: BarnHealth) {
        let mut health = health.bounded();
        for HealthFinding { part, text, .. } in &mut health.findings {
            (*part, *text) = (visible(part), visible(text));
        }
        let failing = failing_parts(&health);
        let report = HealthReport { health, at: Instant::now() };
        let previous = self.status.borrow().health.as_ref().map(|report| failing_parts(&report.health));
        self.status.send_modify(|status| status.health = Some(report));
        match previous.unwrap_or_default() {
            previous if previous == failing => {}
            _ if failing.is_empty() => tracing::info!("sync: the barn reports no failure any more"),
            _ => tracing::warn!(failing = failing.join(", "), "sync: the barn reports a failure; its status says more"),
        }
    }

    /// Compares the source's position with that of the copy, which may be behind.
    fn compare_logs(&mut self, theirs: &Position) -> Result<(), Interruption> {
        let own = self.store.reader().head().position;
        if *theirs == own {
            self.has_progress = true;
            self.note_contact();
            return Ok(());
        }
        if theirs.store != own.store || theirs.sequence == own.sequence {
            // The next pull sends the position of the copy, and learns what happened.
            return Err(Interruption::Retry(format!(
                "the barn is at {theirs}, which is not on the history of the copy"
            )));
        }
        Ok(())
    }

    /// Notes that the source has just shown that it agrees with the copy.
    fn note_contact(&mut self) {
        self.contact.note_sign_of_life();
        let now_us = self.clock.read().received_at_us;
        self.status.send_modify(|status| (status.last_sync_at_us, status.is_refused) = (Some(now_us), false));
    }

    fn compare_tables(&self, theirs: &Heartbeat) {
        let own = self.store.reader().head();
        let mut equal = None;
        self.status.send_modify(|status| equal = status.compare_tables(&own, theirs));
        if equal == Some(false) {
            tracing::error!(folded = %own.folded, "tables differ from the barn's although the logs are equal");
        }
    }

    fn note_arrival(&self, receipt: &ApplyReceipt, is_live: bool) {
        if receipt.changes > 0 {
            let (through, at_us) = (receipt.position.sequence, self.clock.read().received_at_us);
            let arrival = Arrival { through, at_us, is_live };
            self.status.send_modify(|status| status.arrivals.add(arrival, receipt.changes));
        }
    }

    pub(super) fn note_success(&mut self, changes: u64) {
        // Only verified progress resets the backoff: a source whose pages do not verify is asked less and less often.
        self.has_progress |= changes > 0;
        self.note_contact();
        self.status.send_modify(|status| {
            status.successful_syncs += 1;
            status.total_records_synced += changes;
            status.last_error = None;
        });
    }

    /// Notes that nothing more is copied for now. The barn is not to blame, so this is no failed sync.
    pub(super) fn note_no_room(&self, why: &NoRoomError) {
        let why = why.to_string();
        self.status.send_modify(|status| {
            status.link = LinkState::Pulling;
            if status.no_room.is_none() {
                tracing::error!(%why, "sync: no room for further changes; the copy stays as it is");
            }
            status.no_room = Some(why);
        });
    }

    /// Checks that there is room for further changes, and notes if there is again.
    pub(super) fn check_room(&self) -> Result<(), NoRoomError> {
        self.store.check_room()?;
        self.status.send_if_modified(|status| {
            let is_new = status.no_room.take().is_some();
            if is_new {
                tracing::info!("sync: there is room again; the copy goes on");
            }
            is_new
        });
        Ok(())
    }

    pub(super) fn note_failure(&self, why: &str) {
        self.status.send_modify(|status| {
            status.link = LinkState::Away;
            status.failed_syncs += 1;
            status.last_error = Some(why.to_owned());
        });
    }

    pub(super) fn note_end(&self, end: FollowEnd) {
        self.status.send_modify(|status| {
            status.link = LinkState::Stopped;
            if let FollowEnd::Diverged(divergence) = end {
                status.failed_syncs += 1;
                (status.diverged, status.is_refused) = (Some(divergence), true);
                status.last_error = Some(divergence.to_string());
            }
        });
    }
}

/// Returns the names of the parts that the barn reports to fail.
fn failing_parts(health: &BarnHealth) -> Vec<String> {
    health.findings.iter().filter(|finding| finding.failing).map(|finding| finding.part.clone()).collect()
}

/// Waits for the oldest pending page, and removes it. Cancel-safe: a page stays in the queue until its result is there.
async fn next_outcome(pending: &mut VecDeque<PendingPage>) -> (Position, bool, Result<ApplyReceipt, PageError>) {
    let Some(PendingPage { end, is_latest, apply }) = pending.front_mut() else { return std::future::pending().await };
    let (end, is_latest, outcome) = (*end, *is_latest, outcome_of(apply).await);
    pending.pop_front();
    (end, is_latest, outcome)
}

/// Waits for the outcome of a page. Cancel-safe.
pub(super) async fn outcome_of(pending: &mut PendingApply) -> Result<ApplyReceipt, PageError> {
    match pending.await {
        Ok(applied) => applied.map_err(PageError::Apply),
        Err(_) => Err(PageError::WriterEnded),
    }
}
