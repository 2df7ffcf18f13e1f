//! Reads over HTTPS that were not recorded as events: counts by kind, lines in the log, and a finding if none is taken.
//!
//! # Decisions
//!
//! - **Every answer on the paths of payloads counts, also one that no route gave.** The reads of a sender with a wrong key, or
//!   of one whose bodies find no room, are missing like those that the route refuses.
//! - **The kinds are the codes of the answers.** What a sender got can be found in the log and in the metrics. The list is
//!   fixed, so that no caller makes a scrape grow.
//! - **A rejection counts, and a duplicate does not.** A rejected payload is recorded and is no event, so a person has to look
//!   at it. What a duplicate repeats is in the log.
//! - **The log has one line a minute for each kind**, as for the limits of the server, by the same [`Hits`].
//! - **A barn that takes no read for minutes is not well**, however few calls there are: `streak` has the limits. Anybody in
//!   the network can bring that about on a barn that no sender uses. The finding names the address, and a caller who tries
//!   keys for minutes is worth a look, too.

mod kind;
mod outcome;
mod streak;

pub(crate) use outcome::CallOutcome;

use super::PAYLOAD_PATHS;
use kind::RefusalKind;
use service::door::auth::Caller;
use service::door::reply::Refusal;
use service::door::serve::hits::{HitReport, Hits};
use service::door::serve::observer::{AnswerObserver, ObservedAnswer};
use service::lifecycle::Shutdown;
use service::sheet::visible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streak::Streak;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Interval at which the log is brought up to date with refusals that came too soon after the last line.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A read that was refused or rejected.
#[derive(Clone, Debug)]
struct RefusedRead {
    kind: RefusalKind,
    peer: IpAddr,
    /// Name of the sender's key, if it is known.
    key: Option<Arc<str>>,
    /// The sentence of the answer. Hidden characters of what it quotes are escapes.
    why: String,
}

impl RefusedRead {
    /// Returns the sender in words.
    fn who(&self) -> String {
        match &self.key {
            Some(key) => format!("{} with the key `{key}`", self.peer),
            None => self.peer.to_string(),
        }
    }
}

/// The refusals since the process started. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ReadRefusals(Arc<Mutex<Ledger>>);

#[derive(Debug, Default)]
struct Ledger {
    kinds: [Hits<RefusedRead>; RefusalKind::COUNT],
    streak: Streak,
}

impl Ledger {
    /// Counts reads of one call, and returns the hits that the log has to report.
    fn add(&mut self, count: u64, read: RefusedRead) -> Option<HitReport<RefusedRead>> {
        let hits = &mut self.kinds[read.kind.index()];
        hits.add(count, read);
        hits.take_report(Instant::now())
    }
}

impl ReadRefusals {
    /// Returns the number of refused reads by the code of their answers. A call that was refused as a whole counts once.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let ledger = self.ledger();
        RefusalKind::all().map(|kind| (kind.code(), ledger.kinds[kind.index()].total())).collect()
    }

    /// Returns what a person should know if every read of some minutes was refused.
    pub fn finding(&self) -> Option<String> {
        self.ledger().streak.finding(Instant::now())
    }

    /// Logs the refusals that came too soon after the last line of their kind, until the shutdown.
    pub async fn report(self, shutdown: Shutdown) {
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                _ = checks.tick() => self.log_due(),
            }
        }
    }

    fn log_due(&self) {
        let now = Instant::now();
        let due: Vec<_> = self.ledger().kinds.iter_mut().filter_map(|hits| hits.take_report(now)).collect();
        due.iter().for_each(log);
    }

    /// Counts the reads of one call that were refused, unless there are none.
    fn count(&self, outcome: &CallOutcome, peer: IpAddr, key: impl Fn() -> Option<Arc<str>>) {
        let mut ledger = self.ledger();
        let mut reports = Vec::new();
        for (kind, count, why) in &outcome.refused {
            let read = RefusedRead { kind: *kind, peer, key: key(), why: visible(why.trim_end_matches('.')) };
            if !outcome.is_any_taken {
                ledger.streak.add(Instant::now(), read.clone());
            }
            reports.extend(ledger.add(*count, read));
        }
        if outcome.is_any_taken {
            ledger.streak.end();
        }
        drop(ledger);
        reports.iter().for_each(log);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswerObserver for ReadRefusals {
    fn observe(&self, answer: ObservedAnswer<'_>) {
        if !PAYLOAD_PATHS.contains(&answer.path) {
            return;
        }
        let extensions = answer.response.extensions();
        let refusal = extensions.get::<Refusal>();
        let key = || match extensions.get::<Caller>() {
            Some(caller) => Some(caller.name().into()),
            None => refusal.and_then(|refusal| refusal.key.clone()),
        };
        let outcome = extensions.get::<CallOutcome>().cloned().or_else(|| {
            let status = answer.response.status();
            let (code, why) = match refusal {
                Some(refusal) => (refusal.code, refusal.message.clone()),
                None if status.is_success() => return None,
                None => ("other", format!("the answer was {status}")),
            };
            let mut outcome = CallOutcome::default();
            outcome.add_refused(code, why);
            Some(outcome)
        });
        if let Some(outcome) = outcome {
            self.count(&outcome, answer.peer, key);
        }
    }
}

fn log(HitReport { count, last }: &HitReport<RefusedRead>) {
    let RefusedRead { kind, peer, key, why } = last;
    let (channel, kind, advice) = (key.as_deref(), kind.code(), kind.advice());
    tracing::warn!(count, last_peer = %peer, channel, kind, "reads over HTTPS not recorded as events: {why}; {advice}");
}

#[cfg(test)]
mod tests;
