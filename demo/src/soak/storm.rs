//! Incidents one after the other, and the recovery from each.
//!
//! # Decisions
//!
//! - **Half of the time has no restarts.** In the second and the last quarter both processes live on, so that memory or
//!   descriptors that they never give back show in the samples.
//! - **Some incidents come before the recovery from the last one**, because a kill during a resync over a slow link is
//!   another case than each of them alone.

use super::SoakError;
use super::deck::{Deck, Incident};
use super::exports::Exports;
use super::pair::{COMMAND_LIMIT, CatchUp, End, Pair, Place};
use super::senders::{SENDERS, Senders, lock};
use crate::processes::{Client, ProcessError};
use herd::position::Position;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use service::harness::{HarnessError, NarrowSettings};
use service::lifecycle::Exit;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Maximum time of an incident. The longest is a verification, or a reader that waits for another one.
const INCIDENT_LIMIT: Duration = Duration::from_secs(300);
/// Maximum time until the office has caught up after an incident, a resync included.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(180);
/// One incident in this number is followed by the next at once.
const AT_ONCE_IN: u32 = 3;
/// One resync in this number is canceled.
const CANCEL_IN: u32 = 4;
/// Rate of a slow link, bytes per second. The traffic of the senders takes half of it.
const SLOW: NarrowSettings = NarrowSettings::rate(30_000);
const FLAPPING: NarrowSettings = NarrowSettings::cut_every(20_000);

/// Durations in milliseconds, between which the seed draws.
type Span = RangeInclusive<u64>;
/// Pause before the next incident.
const PAUSE_MS: Span = 500..=6_000;
/// Pause before an incident that does not wait for the recovery.
const SHORT_PAUSE_MS: Span = 0..=2_000;
/// Duration of bad weather. Both ends notice a silent link after 15 s.
const WEATHER_MS: Span = 2_000..=25_000;
/// Time between the end of a process and its next start.
const AWAY_MS: Span = 0..=3_000;
/// Time between the revocation of a key and a new one.
const WITHOUT_KEY_MS: Span = 500..=3_000;
/// Time between a resync and its cancellation.
const UNTIL_CANCEL_MS: Span = 0..=1_000;

/// Incidents of one kind, and the recoveries from them that were waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    /// Number of commands that the process refused, as it may.
    pub(super) refused: u64,
    pub(super) catch_ups: Vec<CatchUp>,
}

/// Incidents by kind.
pub(super) type Tallies = BTreeMap<Incident, Tally>;

/// Clients that read the whole log, at the barn and at the office, and where they start.
pub(super) struct Readers {
    pub(super) clients: [Client; 2],
    pub(super) after: Position,
}

/// A storm under way.
pub(super) struct Storm<'a> {
    pair: &'a mut Pair,
    senders: &'a Senders,
    readers: &'a Readers,
    rng: ChaCha12Rng,
    deck: Deck,
    exports: Exports,
    /// Number of keys that the office has had.
    office_keys: u32,
    tallies: Arc<Mutex<Tallies>>,
    faults: Vec<String>,
}

/// Outcome of a storm.
pub(super) struct Aftermath {
    /// Number of exports by outcome.
    pub(super) exports: BTreeMap<&'static str, u64>,
    pub(super) faults: Vec<String>,
}

/// Returns the name of a key of the office.
pub(super) fn office_key(number: u32) -> String {
    format!("office-{number}")
}

/// Returns the name of a sender's key.
pub(super) fn sender_key(sender: usize) -> String {
    format!("sender-{sender}")
}

impl<'a> Storm<'a> {
    pub(super) fn new(
        pair: &'a mut Pair,
        senders: &'a Senders,
        readers: &'a Readers,
        tallies: Arc<Mutex<Tallies>>,
        seed: u64,
    ) -> Self {
        let (rng, deck, exports) = (ChaCha12Rng::seed_from_u64(seed), Deck::default(), Exports::default());
        Self { pair, senders, readers, rng, deck, exports, office_keys: 1, tallies, faults: Vec::new() }
    }

    /// Lets incidents happen for `duration`. The link is open at the end.
    pub(super) async fn run(mut self, duration: Duration) -> Aftermath {
        let start = Instant::now();
        while start.elapsed() < duration {
            let quarter = start.elapsed().as_millis() * 4 / duration.as_millis().max(1);
            let incident = self.deck.draw(&mut self.rng, quarter.is_multiple_of(2));
            if let Err(error) = self.go_through(incident).await {
                self.faults.push(format!("the storm ended early, in \"{incident}\": {error}"));
                break;
            }
        }
        self.pair.link.set(NarrowSettings::OPEN);
        let (exports, faults) = self.exports.finish().await;
        self.faults.extend(faults);
        Aftermath { exports, faults: self.faults }
    }

    /// Lets an incident happen, and mostly waits for the recovery.
    async fn go_through(&mut self, incident: Incident) -> Result<(), SoakError> {
        lock(&self.tallies).entry(incident).or_default().count += 1;
        let happened = timeout(INCIDENT_LIMIT, self.let_happen(incident)).await;
        happened.unwrap_or_else(|_| {
            Err(HarnessError::Timeout { what: incident.to_string(), after: INCIDENT_LIMIT }.into())
        })?;
        if self.one_in(AT_ONCE_IN) {
            self.pause(SHORT_PAUSE_MS).await;
            return Ok(());
        }
        self.pair.link.set(NarrowSettings::OPEN);
        match self.pair.catch_up(CATCH_UP_LIMIT, |_| ()).await? {
            Some(catch_up) => lock(&self.tallies).entry(incident).or_default().catch_ups.push(catch_up),
            None => self.faults.push(format!("the office had not caught up {CATCH_UP_LIMIT:?} after \"{incident}\"")),
        }
        self.pause(PAUSE_MS).await;
        Ok(())
    }

    async fn let_happen(&mut self, incident: Incident) -> Result<(), SoakError> {
        match incident {
            Incident::Cut => self.pair.link.cut(),
            Incident::Down => self.change_weather(NarrowSettings::DOWN).await,
            Incident::Silence => self.change_weather(NarrowSettings::SILENT).await,
            Incident::Slowness => self.change_weather(SLOW).await,
            Incident::Flapping => self.change_weather(FLAPPING).await,
            Incident::Stop(place) => self.restart(place, End::Stop).await?,
            Incident::Kill(place) => self.restart(place, End::Kill).await?,
            Incident::Resync => self.resync().await?,
            Incident::Verification(place) => {
                let verified = self.pair.verify(place).await;
                self.expect(Incident::Verification(place), verified)?;
            }
            Incident::Export(place) => {
                let Readers { clients, after } = self.readers;
                self.exports.begin(clients[place as usize].clone(), *after).await;
            }
            Incident::SenderKey => self.renew_sender_key().await?,
            Incident::OfficeKey => self.renew_office_key().await?,
        }
        Ok(())
    }

    async fn change_weather(&mut self, weather: NarrowSettings) {
        self.pair.link.set(weather);
        self.pause(WEATHER_MS).await;
    }

    async fn restart(&mut self, place: Place, end: End) -> Result<(), SoakError> {
        self.faults.extend(self.pair.end(place, end).await?);
        self.pause(AWAY_MS).await;
        self.pair.start(place).await
    }

    async fn resync(&mut self) -> Result<(), SoakError> {
        let started = self.pair.resync().await;
        self.expect(Incident::Resync, started)?;
        if self.one_in(CANCEL_IN) {
            self.pause(UNTIL_CANCEL_MS).await;
            let canceled = self.pair.cancel_resync().await;
            self.expect(Incident::Resync, canceled)?;
        }
        Ok(())
    }

    async fn renew_sender_key(&mut self) -> Result<(), SoakError> {
        let sender = self.rng.random_range(0..SENDERS);
        let key = sender_key(sender);
        self.pair.run(Place::Barn, COMMAND_LIMIT, &["key", "revoke", &key]).await?;
        self.pause(WITHOUT_KEY_MS).await;
        self.senders.replace_client(sender, self.pair.client(Place::Barn, &key, "ingest").await?);
        Ok(())
    }

    async fn renew_office_key(&mut self) -> Result<(), SoakError> {
        // To pair, the office has to reach the barn.
        self.pair.link.set(NarrowSettings::OPEN);
        self.pair.run(Place::Barn, COMMAND_LIMIT, &["key", "revoke", &office_key(self.office_keys)]).await?;
        self.pause(WITHOUT_KEY_MS).await;
        self.office_keys += 1;
        self.pair.pair(&office_key(self.office_keys)).await
    }

    /// Counts a command that was refused, and notes one that failed in another way as a fault. Any other error ends the
    /// storm.
    fn expect<T>(&mut self, incident: Incident, command: Result<T, ProcessError>) -> Result<(), SoakError> {
        match command {
            Ok(_) => {}
            Err(ProcessError::Command { status, .. }) if status.code() == Some(Exit::Refused as i32) => {
                lock(&self.tallies).entry(incident).or_default().refused += 1;
            }
            Err(error @ ProcessError::Command { .. }) => self.faults.push(format!("{incident}: {error}")),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn one_in(&mut self, number: u32) -> bool {
        self.rng.random_range(0..number) == 0
    }

    async fn pause(&mut self, span: Span) {
        sleep(Duration::from_millis(self.rng.random_range(span))).await;
    }
}
