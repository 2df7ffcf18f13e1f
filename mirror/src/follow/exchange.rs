//! One exchange with the source: catch up by pulls, then live, until something interrupts it.

use super::handover::{Applying, StoreHandle, WriterGone};
use super::status::{FollowStatus, Heard, LinkState, tables_equal};
use super::{FollowEnd, FollowSettings};
use bytes::Bytes;
use herd::clock::Clock;
use herd::position::Position;
use herd::store::{ApplyError, ApplyReceipt, StoreError};
use herd::wire::{
    Acknowledgement, BarnHead, BlobError, BlobKind, Heartbeat, MAX_BLOB_BYTES, MAX_PAGE_CHANGES, Page, blob_kind,
    from_blob, to_blob,
};
use service::sync::divergence::{Divergence, classify};
use service::sync::link::{CHANGES_PATH, LIVE_PATH, Link, LinkError, LinkResponse, LiveChannel, LiveResponse};
use service::sync::live::{HEARTBEAT_INTERVAL, SILENCE_TIMEOUT};
use service::sync::query::{ChangesQuery, position_text};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A pull that is not answered within this time is given up, milliseconds.
const PULL_TIMEOUT_MS: u64 = 30_000;
/// An opening that is not answered within this time is given up, milliseconds.
const OPEN_TIMEOUT_MS: u64 = 10_000;
/// Pages that are fetched while earlier ones are being applied.
const PAGES_AHEAD: usize = 2;

/// What ended an exchange.
pub(super) enum Interrupted {
    /// Try again after a while; the text says what happened.
    Again(String),
    /// There is no simple going on.
    Diverged(Divergence),
    /// The copy has no writer any more.
    WriterGone,
}

impl From<LinkError> for Interrupted {
    fn from(error: LinkError) -> Self {
        Self::Again(error.to_string())
    }
}

impl From<BlobError> for Interrupted {
    fn from(error: BlobError) -> Self {
        Self::Again(error.to_string())
    }
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Again(error.to_string())
    }
}

impl From<WriterGone> for Interrupted {
    fn from(_: WriterGone) -> Self {
        Self::WriterGone
    }
}

pub(super) struct Exchange<L> {
    pub(super) link: L,
    pub(super) store: StoreHandle,
    pub(super) settings: FollowSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: watch::Sender<FollowStatus>,
    /// Whether the connection was of any use since this was last looked at.
    pub(super) worked: bool,
}

/// A live connection while it is open.
struct Live<C> {
    channel: C,
    applying: VecDeque<(Position, Applying)>,
    last_heard: Instant,
    last_checked: Instant,
}

impl<L: Link> Exchange<L> {
    /// Catches up and follows; returns only when interrupted.
    pub(super) async fn follow_once(&mut self) -> Interrupted {
        self.status.send_modify(|status| status.link = LinkState::Pulling);
        if let Err(interrupted) = self.catch_up(false).await {
            return interrupted;
        }
        match self.live().await {
            Ok(()) => Interrupted::Again("the barn closed the connection".to_owned()),
            Err(interrupted) => interrupted,
        }
    }

    /// Pulls page after page until the source has no more; the next page is on its way while one is applied.
    async fn catch_up(&mut self, fresh: bool) -> Result<u64, Interrupted> {
        let mut from = self.store.reader().head().position;
        let mut applying = VecDeque::with_capacity(PAGES_AHEAD);
        let mut pulled = 0;
        loop {
            self.status.send_modify(|status| status.total_syncs += 1);
            let page = match self.pull(from, fresh).await {
                Ok(page) => page,
                Err(refused) => {
                    // Where the page before is not good, the question for this one was wrong: that comes first.
                    self.finish(&mut applying, 0).await?;
                    return Err(refused);
                }
            };
            // After a page without changes nothing is asked at once: what came since is brought by the live connection.
            let more = !page.changes.is_empty() && page.end.head > page.end.end.sequence;
            let end = page.end.end;
            pulled += page.changes.len() as u64;
            if page.changes.is_empty() {
                self.note_success(0);
            } else {
                applying.push_back(self.store.begin_apply(page.into_run()).await?);
            }
            self.finish(&mut applying, if more { PAGES_AHEAD - 1 } else { 0 }).await?;
            if !more {
                return Ok(pulled);
            }
            from = end;
        }
    }

    /// Waits for the oldest pages until no more than `keep` are being applied.
    async fn finish(&mut self, applying: &mut VecDeque<Applying>, keep: usize) -> Result<(), Interrupted> {
        while applying.len() > keep {
            let Some(oldest) = applying.pop_front() else { break };
            self.applied(oldest.await)?;
        }
        Ok(())
    }

    async fn pull(&mut self, from: Position, fresh: bool) -> Result<Page, Interrupted> {
        // Nothing held yet is asked for with the history's identity all the same: a barn that holds another history
        // must say so, and not fill this copy with it.
        let query = ChangesQuery { position: Some(from), limit: MAX_PAGE_CHANGES, wait_s: 0 };
        let path = format!("{CHANGES_PATH}{}", query.to_text());
        let answer = self.link.get(&path, fresh, MAX_BLOB_BYTES, PULL_TIMEOUT_MS).await?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        let page: Page = from_blob(&answer.body)?;
        if page.after != from {
            return Err(Interrupted::Again(format!("asked for what follows {from}, got what follows {}", page.after)));
        }
        if page.changes.is_empty() && page.end.end != from {
            return Err(Interrupted::Again(format!("a page without changes leads from {from} to {}", page.end.end)));
        }
        self.heard(page.end.barn);
        Ok(page)
    }

    /// What a refusal means.
    fn refused(&self, answer: &LinkResponse) -> Interrupted {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let held = body.get("held").and_then(|held| serde_json::from_value::<Position>(held.clone()).ok());
        match held {
            Some(held) if answer.status == 409 => match classify(self.store.reader(), &held) {
                Ok(divergence) => Interrupted::Diverged(divergence),
                Err(error) => error.into(),
            },
            _ => {
                let message = body.get("message").and_then(serde_json::Value::as_str).unwrap_or("it gave no reason");
                let message: String = message.chars().take(300).collect();
                Interrupted::Again(format!("the barn refused with status {}: {message}", answer.status))
            }
        }
    }

    async fn live(&mut self) -> Result<(), Interrupted> {
        let from = self.store.reader().head().position;
        let path = format!("{LIVE_PATH}?{}", position_text(&from));
        let channel = match self.link.open_live(&path, OPEN_TIMEOUT_MS).await? {
            LiveResponse::Open(channel) => channel,
            LiveResponse::Refused(answer) => return Err(self.refused(&answer)),
        };
        self.status.send_modify(|status| {
            status.link = LinkState::Live;
            status.last_error = None;
        });
        let now = Instant::now();
        let mut live = Live { channel, applying: VecDeque::new(), last_heard: now, last_checked: now };
        let mut beat = interval(HEARTBEAT_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                applied = oldest(&mut live.applying), if !live.applying.is_empty() => {
                    let (end, outcome) = applied;
                    self.applied(outcome)?;
                    live.channel.send(to_blob(&Acknowledgement { durable: end }).into()).await?;
                }
                blob = live.channel.receive() => match blob? {
                    Some(blob) => self.take(&mut live, &blob).await?,
                    None => return Ok(()),
                },
                _ = beat.tick() => self.beat(&mut live).await?,
            }
        }
    }

    async fn take<C: LiveChannel>(&mut self, live: &mut Live<C>, blob: &Bytes) -> Result<(), Interrupted> {
        live.last_heard = Instant::now();
        match blob_kind(blob)? {
            BlobKind::Page => {
                let page: Page = from_blob(blob)?;
                self.status.send_modify(|status| status.total_syncs += 1);
                self.heard(page.end.barn);
                let end = page.end.end;
                live.applying.push_back((end, self.store.begin_apply(page.into_run()).await?));
            }
            BlobKind::Heartbeat => {
                let heartbeat: Heartbeat = from_blob(blob)?;
                self.worked = true;
                self.heard(heartbeat.barn);
                self.compare(&heartbeat);
            }
            other => return Err(BlobError::Kind { found: other as u8, expected: BlobKind::Page as u8 }.into()),
        }
        Ok(())
    }

    /// Shows a sign of life, and looks whether the other side does.
    async fn beat<C: LiveChannel>(&mut self, live: &mut Live<C>) -> Result<(), Interrupted> {
        if live.last_heard.elapsed() >= SILENCE_TIMEOUT {
            return Err(Interrupted::Again("the barn was silent".to_owned()));
        }
        let since = live.last_heard.max(live.last_checked);
        if since.elapsed() >= self.settings.sync_interval && live.applying.is_empty() {
            live.last_checked = Instant::now();
            if self.catch_up(true).await? > 0 {
                return Err(Interrupted::Again("the live connection was dead while the barn had changes".to_owned()));
            }
        }
        let barn = self.status.borrow().barn.map_or_else(BarnHead::default, |heard| heard.passed_on());
        let heartbeat = Heartbeat::new(&self.store.reader().head(), barn);
        Ok(live.channel.send(to_blob(&heartbeat).into()).await?)
    }

    fn applied(
        &mut self,
        outcome: Result<Result<ApplyReceipt, ApplyError>, tokio::sync::oneshot::error::RecvError>,
    ) -> Result<(), Interrupted> {
        match outcome {
            Ok(Ok(applied)) => {
                self.note_success(applied.changes);
                Ok(())
            }
            Ok(Err(ApplyError::Diverged { theirs, .. })) => {
                Err(Interrupted::Diverged(classify(self.store.reader(), &theirs)?))
            }
            Ok(Err(error)) => Err(Interrupted::Again(error.to_string())),
            Err(_) => Err(Interrupted::WriterGone),
        }
    }

    fn heard(&mut self, barn: BarnHead) {
        let heard = Heard { barn, at_us: self.clock.read().received_at_us, at: Instant::now() };
        self.status.send_modify(|status| status.barn = Some(heard));
    }

    fn compare(&self, theirs: &Heartbeat) {
        let own = self.store.reader().head();
        let Some(equal) = tables_equal(&own, theirs) else { return };
        if !equal {
            tracing::error!(folded = %own.folded, "the tables differ from the barn's though the logs are equal");
        }
        self.status.send_modify(|status| status.digest_equal = Some(equal));
    }

    fn note_success(&mut self, changes: u64) {
        // Only what was proved: a source whose pages prove nothing is asked less and less often.
        self.worked = true;
        let now_us = self.clock.read().received_at_us;
        self.status.send_modify(|status| {
            status.successful_syncs += 1;
            status.total_records_synced += changes;
            status.last_sync_at_us = Some(now_us);
            status.last_error = None;
        });
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
                status.diverged = Some(divergence);
                status.last_error = Some(divergence.to_string());
            }
        });
    }
}

/// Waits for the oldest apply. Cancel-safe: it is taken out only once it is done.
async fn oldest(
    applying: &mut VecDeque<(Position, Applying)>,
) -> (Position, Result<Result<ApplyReceipt, ApplyError>, tokio::sync::oneshot::error::RecvError>) {
    let Some((end, first)) = applying.front_mut() else { return std::future::pending().await };
    let (end, outcome) = (*end, first.await);
    applying.pop_front();
    (end, outcome)
}
