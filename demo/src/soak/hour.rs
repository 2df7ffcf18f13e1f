//! An hour of payloads, cuts, stops, kills, resyncs, verifications, exports and revoked keys.

use super::ledger::{Ledger, fetch_contents};
use super::pair::{NewPair, Pair, Place};
use super::samples::{Sample, Sampler, Stretch, growth_faults};
use super::senders::{SENDERS, Senders, lock};
use super::storm::{Aftermath, Readers, Storm, Tallies, office_key, sender_key};
use super::tables::{count_table, incident_table, seconds, size_table};
use super::{Outcome, SoakError};
use crate::processes::{Client, Programs};
use herd::store::grouped;
use service::harness::NarrowSettings;
use service::lifecycle::{ShutdownTrigger, print_notice};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Maximum time until the office equals the barn after the last payload.
const EQUAL_LIMIT: Duration = Duration::from_secs(300);
/// Quiet time before the last samples: within a minute, what verifications and resyncs need is given back.
const REST: Duration = Duration::from_secs(60);
/// Time of the last samples.
const QUIET: Duration = Duration::from_secs(30);
/// Quarter whose sizes the end is compared with: the second, which is the first without restarts. A process of the first one
/// lives for a minute, and has not filled its caches.
const BASE: usize = 1;
/// Interval of the progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(60);

/// Everything that was noted until the end of the payloads.
struct Record {
    ledger: Ledger,
    tallies: Tallies,
    aftermath: Aftermath,
}

/// Runs an hour, or another duration. The seed decides about payloads and incidents.
pub(super) async fn hour(
    programs: &Programs,
    directory: &Path,
    duration: Duration,
    seed: u64,
) -> Result<Outcome, SoakError> {
    print_notice(format_args!("seed {seed}: `--seed {seed}` draws the same payloads and incidents again"));
    let mut pair = NewPair::create(programs, directory)?.start(NarrowSettings::OPEN).await?;
    pair.pair(&office_key(1)).await?;
    let (readers, clients) = (readers(&pair).await?, sender_clients(&pair).await?);
    let (start, shutdown, tallies) = (Instant::now(), ShutdownTrigger::default(), Arc::<Mutex<Tallies>>::default());
    let senders = Senders::start(clients, seed);
    let progress =
        ProgressLine { ledger: senders.ledger(), tallies: tallies.clone(), duration, next_at: Duration::ZERO };
    let sampling = tokio::spawn(Sampler::new(&pair).run(shutdown.signal(), progress.into_look()));
    let mut aftermath = Storm::new(&mut pair, &senders, &readers, tallies.clone(), seed).run(duration).await;
    let (ledger, faults) = senders.finish().await?;
    aftermath.faults.extend(faults);
    let settled = settle(&mut pair, duration).await;
    let quiet_from = start.elapsed().saturating_sub(QUIET.min(duration / 4));
    shutdown.request();
    let samples = sampling.await.map_err(SoakError::panicked)?;
    match settled {
        Ok(()) => aftermath.faults.extend(judge(&mut pair, &ledger, &readers).await),
        Err(error) => aftermath.faults.push(format!("the office did not become equal: {error}")),
    }
    let tallies = lock(&tallies).clone();
    let stretches = Stretch::split(&samples, duration, quiet_from);
    Ok(Record { ledger, tallies, aftermath }.outcome(duration, seed, &stretches))
}

async fn readers(pair: &Pair) -> Result<Readers, SoakError> {
    let clients =
        [pair.client(Place::Barn, "reader", "sync").await?, pair.client(Place::Office, "reader", "sync").await?];
    Ok(Readers { clients, after: pair.barn_state()?.position })
}

async fn sender_clients(pair: &Pair) -> Result<Vec<Client>, SoakError> {
    let mut clients = Vec::new();
    for sender in 0..SENDERS {
        clients.push(pair.client(Place::Barn, &sender_key(sender), "ingest").await?);
    }
    Ok(clients)
}

/// Waits until both ends are equal, and then until they have given back what they do not need any more.
async fn settle(pair: &mut Pair, duration: Duration) -> Result<(), SoakError> {
    pair.wait_until_equal(EQUAL_LIMIT).await?;
    sleep(REST.min(duration / 4) + QUIET.min(duration / 4)).await;
    Ok(())
}

/// Compares the ledger with both logs, stops both processes, and verifies their files. Returns the claims that fail.
async fn judge(pair: &mut Pair, ledger: &Ledger, readers: &Readers) -> Vec<String> {
    let mut faults = ledger.faults();
    for place in Place::BOTH {
        match fetch_contents(&readers.clients[place as usize], &readers.after).await {
            Ok(contents) => faults.extend(ledger.compare(place.name(), &contents)),
            Err(error) => faults.push(format!("the log of the {} cannot be read: {error}", place.name())),
        }
    }
    faults.extend(pair.judge(EQUAL_LIMIT).await);
    faults
}

impl Record {
    fn outcome(self, duration: Duration, seed: u64, stretches: &[Stretch]) -> Outcome {
        let Self { ledger, tallies, aftermath: Aftermath { exports, mut faults } } = self;
        faults.extend(growth_faults(stretches, BASE));
        let head = format!(
            "Soak of {} s, seed {seed}: {} payloads sent, {} of them kept; {} incidents.\n\n",
            seconds(duration),
            grouped(ledger.sent() as u64),
            grouped(ledger.kept() as u64),
            tallies.values().map(|tally| tally.count).sum::<u64>(),
        );
        let tables = [
            head,
            size_table(stretches),
            incident_table(&tallies),
            count_table("answers", ledger.counts()),
            count_table("exports", &exports),
        ];
        Outcome { text: tables.concat(), faults }
    }
}

/// The line that shows each minute how a soak goes.
struct ProgressLine {
    ledger: Arc<Mutex<Ledger>>,
    tallies: Arc<Mutex<Tallies>>,
    duration: Duration,
    next_at: Duration,
}

impl ProgressLine {
    fn into_look(mut self) -> impl FnMut(&Sample) + Send + 'static {
        move |sample| {
            if sample.at >= self.next_at {
                self.next_at += PROGRESS_INTERVAL;
                self.show(sample);
            }
        }
    }

    fn show(&self, sample: &Sample) {
        let (sent, kept) = {
            let ledger = lock(&self.ledger);
            (ledger.sent() as u64, ledger.kept() as u64)
        };
        let incidents: u64 = lock(&self.tallies).values().map(|tally| tally.count).sum();
        print_notice(format_args!(
            "{} of {} s: {} payloads sent, {} kept, {incidents} incidents; {}; {}",
            sample.at.as_secs(),
            self.duration.as_secs(),
            grouped(sent),
            grouped(kept),
            sample.describe(Place::Barn),
            sample.describe(Place::Office),
        ));
    }
}
