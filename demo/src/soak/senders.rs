//! Programs that deliver payloads over HTTPS, and note every answer.
//!
//! Each has a yard of its own. With one yard for all, a program may overtake another, so that a tag is removed before it is
//! attached. Such an event is rejected, and accepted if it is sent again: two changes of one text, and no fault.

use super::SoakError;
use super::ledger::{Answer, Ledger};
use crate::bench::lag::RECEIVE_PATH;
use crate::processes::Client;
use radio::simulated::{Payloads, Traffic};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::json;
use service::lifecycle::{Shutdown, ShutdownTrigger};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Number of programs, each with a key and connections of its own.
pub(super) const SENDERS: usize = 4;
/// Longest pause between two calls of a program.
const MAX_PAUSE_MS: u64 = 200;
/// Maximum number of payloads in an array.
const MAX_ARRAY_PAYLOADS: usize = 20;
/// One call in this number delivers an array.
const ARRAY_IN: u32 = 8;
/// One payload in this number is sent once more after its answer.
const REPEAT_IN: u32 = 20;
/// One call without an answer in this number is not repeated.
const GIVE_UP_IN: u32 = 8;
/// Pause before a call is repeated.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Maximum time for which a call is repeated.
const RETRY_LIMIT: Duration = Duration::from_secs(180);

/// Programs at work.
pub(super) struct Senders {
    ledger: Arc<Mutex<Ledger>>,
    clients: Vec<watch::Sender<Client>>,
    shutdown: ShutdownTrigger,
    tasks: JoinSet<Vec<String>>,
}

impl Senders {
    /// Starts a program for each client. The seed decides about payloads and pauses.
    pub(super) fn start(clients: Vec<Client>, seed: u64) -> Self {
        let (ledger, shutdown) = (Arc::default(), ShutdownTrigger::default());
        let mut tasks = JoinSet::new();
        let clients: Vec<_> = clients.into_iter().map(watch::Sender::new).collect();
        for (lane, client) in (1_u64..).zip(&clients) {
            let seed = seed.wrapping_mul(SENDERS as u64).wrapping_add(lane);
            let sender = Sender {
                client: client.subscribe(),
                payloads: Traffic { seed, ..Traffic::default() }.payloads(),
                ledger: Arc::clone(&ledger),
                rng: ChaCha12Rng::seed_from_u64(seed),
                faults: Vec::new(),
            };
            tasks.spawn(sender.send_until(shutdown.signal()));
        }
        Self { ledger, clients, shutdown, tasks }
    }

    /// Returns the ledger, which grows meanwhile.
    pub(super) fn ledger(&self) -> Arc<Mutex<Ledger>> {
        Arc::clone(&self.ledger)
    }

    /// Gives a program a client with another key.
    pub(super) fn replace_client(&self, sender: usize, client: Client) {
        if let Some(of_sender) = self.clients.get(sender) {
            of_sender.send_replace(client);
        }
    }

    /// Lets each program finish its call, and returns the ledger and the faults of all.
    pub(super) async fn finish(mut self) -> Result<(Ledger, Vec<String>), SoakError> {
        self.shutdown.request();
        let mut faults = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            faults.extend(ended.map_err(SoakError::panicked)?);
        }
        let ledger = lock(&self.ledger).clone();
        Ok((ledger, faults))
    }
}

/// Locks a ledger or another thing that several tasks share.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Sender {
    client: watch::Receiver<Client>,
    payloads: Payloads,
    ledger: Arc<Mutex<Ledger>>,
    rng: ChaCha12Rng,
    faults: Vec<String>,
}

impl Sender {
    async fn send_until(mut self, shutdown: Shutdown) -> Vec<String> {
        while !shutdown.is_requested() {
            let count = if self.one_in(ARRAY_IN) { self.rng.random_range(2..=MAX_ARRAY_PAYLOADS) } else { 1 };
            let texts = self.next_texts(count);
            self.send(&texts).await;
            if self.one_in(REPEAT_IN) {
                self.send(&texts[..1]).await;
            }
            sleep(Duration::from_millis(self.rng.random_range(0..=MAX_PAUSE_MS))).await;
        }
        self.faults
    }

    fn one_in(&mut self, number: u32) -> bool {
        self.rng.random_range(0..number) == 0
    }

    /// Takes the next payloads of the yard. Some malformed ones are no text, which JSON cannot carry.
    fn next_texts(&mut self, count: usize) -> Vec<String> {
        self.payloads.by_ref().filter_map(|payload| String::from_utf8(payload).ok()).take(count).collect()
    }

    /// Repeats a call until the barn has decided about each payload. Some calls without an answer are given up.
    async fn send(&mut self, texts: &[String]) {
        let begun = Instant::now();
        loop {
            let answers = self.call(texts).await;
            if answers.iter().all(Answer::is_final) {
                return;
            }
            if answers.contains(&Answer::Unknown) && self.one_in(GIVE_UP_IN) {
                return;
            }
            if begun.elapsed() > RETRY_LIMIT {
                self.faults.push(format!("{texts:?} were not accepted within {RETRY_LIMIT:?}: {answers:?}"));
                return;
            }
            sleep(RETRY_DELAY).await;
        }
    }

    async fn call(&mut self, texts: &[String]) -> Vec<Answer> {
        let body = match texts {
            [one] => json!({ "payload": one }),
            several => json!({ "payloads": several }),
        };
        let client = self.client.borrow_and_update().clone();
        let reply = client.post_json(RECEIVE_PATH, &body).await;
        let answers = Answer::of(reply.as_ref().ok(), texts.len());
        let mut ledger = lock(&self.ledger);
        texts.iter().zip(&answers).for_each(|(text, answer)| ledger.note(text, answer));
        answers
    }
}
