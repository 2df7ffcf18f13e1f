//! The search for a prepared barn: a task that introduces the office again and again until the barn pairs.

use super::{PreparedSite, PreparedSummary};
use crate::link::introduce;
use herd::clock::Clock;
use herd::pairing::{Fingerprint, Pairing};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// First wait between two tries. The barn may be starting.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait between two tries. People who have just plugged in a barn look at a page that must change soon.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The identity by which this office introduces itself to a barn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeIdentity {
    /// Public key of its HTTPS server.
    pub fingerprint: Fingerprint,
    /// Name of the office, which becomes the name of its API key at the barn.
    pub name: String,
}

/// The end of a search: a barn that has paired becomes a site.
pub(in crate::sites) trait PairingTarget: Send + Sync + 'static {
    /// Turns the prepared barn into a site, unless it was removed in the meantime. Returns why it cannot.
    fn complete(&self, prepared: PreparedSite, pairing: Pairing) -> impl Future<Output = Result<(), String>> + Send;
}

/// State of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sites) struct SearchStatus {
    pub(super) tries: u64,
    pub(super) expired: bool,
    pub(super) last_error: Option<String>,
}

/// A running search. Dropping it ends its task at the next wait, and never while a barn becomes a site.
#[derive(Debug)]
pub(in crate::sites) struct Search {
    prepared: PreparedSite,
    status: watch::Receiver<SearchStatus>,
    _end: ShutdownTrigger,
}

impl Search {
    /// Starts to search.
    pub(in crate::sites) fn start(
        prepared: PreparedSite,
        identity: OfficeIdentity,
        clock: Arc<dyn Clock>,
        target: Arc<impl PairingTarget>,
    ) -> Self {
        let (end, (sender, status)) = (ShutdownTrigger::default(), watch::channel(SearchStatus::default()));
        let task = SearchTask { target, clock, prepared: prepared.clone(), identity, status: sender };
        tokio::spawn(task.run(end.signal()));
        Self { prepared, status, _end: end }
    }

    pub(in crate::sites) fn summary(&self) -> PreparedSummary {
        self.prepared.summary(&self.status.borrow())
    }

    /// Returns the search in a few words, for the status line.
    pub(in crate::sites) fn words(&self) -> String {
        let waiting = format!("waiting for the barn of {}", self.prepared.name);
        let status = self.status.borrow();
        match &status.last_error {
            _ if status.expired => format!("{waiting}: its code is too old, prepare it again"),
            Some(error) => format!("{waiting}: {error}"),
            None => waiting,
        }
    }
}

struct SearchTask<T> {
    target: Arc<T>,
    clock: Arc<dyn Clock>,
    prepared: PreparedSite,
    identity: OfficeIdentity,
    status: watch::Sender<SearchStatus>,
}

impl<T: PairingTarget> SearchTask<T> {
    async fn run(self, end: Shutdown) {
        let mut wait = FIRST_WAIT;
        loop {
            if self.prepared.is_expired(self.clock.read().received_at_us) {
                self.status.send_modify(|status| status.expired = true);
                return;
            }
            let introduction = self.prepared.introduction(&self.identity);
            let introduced = tokio::select! {
                biased;
                () = end.requested() => return,
                introduced = introduce(&self.prepared.addresses, &introduction) => introduced,
            };
            let failure = match introduced {
                // Not canceled: a barn that becomes a site becomes one whole.
                Ok(pairing) => match self.target.complete(self.prepared.clone(), pairing).await {
                    Ok(()) => return,
                    Err(reason) => reason,
                },
                Err(error) => error.to_string(),
            };
            self.note(failure);
            tokio::select! {
                biased;
                () = end.requested() => return,
                () = sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Publishes a failure, and logs it unless it is the same as before.
    fn note(&self, failure: String) {
        let is_new = self.status.borrow().last_error.as_ref() != Some(&failure);
        if is_new {
            tracing::info!(site = %self.prepared.name, reason = failure, "the prepared barn has not paired yet");
        }
        self.status.send_modify(|status| {
            status.tries += 1;
            status.last_error = Some(failure);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::PREPARED_LIFETIME_DAYS;
    use super::*;
    use herd::pairing::PairingCode;
    use herd::randomness::SeededRandomness;
    use herd::testing::ManualClock;
    use tokio::time::Instant;

    /// No barn pairs in these tests.
    struct Nobody;

    impl PairingTarget for Nobody {
        async fn complete(&self, _: PreparedSite, _: Pairing) -> Result<(), String> {
            Err("no barn pairs here".to_owned())
        }
    }

    /// Catches a barn that is asked without a pause or too rarely, a code that is tried for ever, and a search that hides both.
    #[tokio::test(start_paused = true)]
    async fn a_barn_is_looked_for_at_growing_intervals_until_its_code_is_too_old() {
        let clock = Arc::new(ManualClock::default());
        let key = PairingCode::generate(&mut SeededRandomness::new(1)).unwrap().key();
        // Without an address, each try fails at once.
        let (name, addresses) = ("north".parse().unwrap(), Vec::new());
        let prepared = PreparedSite { name, key, addresses, prepared_at_us: 0, office: None };
        let identity = OfficeIdentity { fingerprint: Fingerprint([1; 32]), name: "desk".to_owned() };
        let mut search = Search::start(prepared, identity, clock.clone(), Arc::new(Nobody));
        assert_eq!(search.words(), "waiting for the barn of north");
        let (mut waits, mut last) = (Vec::new(), Instant::now());
        for tries in 1..=7 {
            search.status.wait_for(|status| status.tries == tries).await.unwrap();
            waits.push(last.elapsed().as_secs());
            last = Instant::now();
        }
        assert_eq!(waits, [0, 5, 10, 20, 40, 60, 60]);
        assert!(
            search.words().starts_with("waiting for the barn of north: cannot reach the barn"),
            "{}",
            search.words()
        );
        let summary = search.summary();
        assert_eq!((summary.name.as_str(), summary.tries, summary.expired), ("north", 7, false));
        assert!(summary.last_error.is_some_and(|error| error.contains("no address is known")));

        clock.change(|reading| reading.received_at_us = PREPARED_LIFETIME_DAYS * 86_400_000_000 + 1);
        search.status.wait_for(|status| status.expired).await.unwrap();
        assert_eq!(search.words(), "waiting for the barn of north: its code is too old, prepare it again");
        assert!(search.status.changed().await.is_err(), "it is not tried any more");
        assert_eq!(search.summary().tries, 7);
    }
}
