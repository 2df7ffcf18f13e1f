//! Devices that deliver each payload until it is answered, and remember the answers.

use crate::yard::deliver;
use demo::processes::Client;
use serde_json::{Value, json};
use service::harness::TIMEOUT;
use service::lifecycle::{Shutdown, ShutdownTrigger};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Devices that deliver at the same time.
const SENDERS: usize = 4;
/// A device delivers an array in every call whose number is a multiple of this.
const ARRAY_EVERY: u64 = 8;
/// Payloads in an array.
const ARRAY_PAYLOADS: u64 = 20;
/// Delay before a call without an answer is repeated, so that devices do not flood a barn that is down.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// Payloads that the barn must hold, by the answer that confirmed them.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Answered as stored.
    pub(crate) stored: Vec<String>,
    /// Answered as duplicates: an earlier try was recorded, and its answer was lost.
    pub(crate) duplicates: Vec<String>,
}

impl Deliveries {
    /// Returns all payloads that must be in the log.
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.stored.iter().chain(&self.duplicates)
    }
}

/// Devices at work.
pub(crate) struct Senders {
    shutdown: ShutdownTrigger,
    stored: watch::Receiver<u64>,
    tasks: JoinSet<Deliveries>,
}

impl Senders {
    pub(crate) fn start(device: &Client) -> Self {
        let shutdown = ShutdownTrigger::default();
        let (count, stored) = watch::channel(0);
        let mut tasks = JoinSet::new();
        for lane in 0..SENDERS {
            let sender =
                Sender { lane, device: device.clone(), stored: count.clone(), deliveries: Deliveries::default() };
            tasks.spawn(sender.send_until(shutdown.signal()));
        }
        Self { shutdown, stored, tasks }
    }

    /// Returns a running count of the payloads that were answered as stored.
    pub(crate) fn stored(&self) -> watch::Receiver<u64> {
        self.stored.clone()
    }

    /// Lets each device finish its current call, and returns the deliveries of all.
    pub(crate) async fn finish(mut self) -> Deliveries {
        self.shutdown.request();
        let mut all = Deliveries::default();
        while let Some(one) = self.tasks.join_next().await {
            let Deliveries { stored, duplicates } = one.unwrap();
            all.stored.extend(stored);
            all.duplicates.extend(duplicates);
        }
        all
    }
}

struct Sender {
    lane: usize,
    device: Client,
    stored: watch::Sender<u64>,
    deliveries: Deliveries,
}

impl Sender {
    async fn send_until(mut self, shutdown: Shutdown) -> Deliveries {
        let lane = self.lane;
        let text = |n: u64| format!("hxb:LANE{lane}:LF{lane}-{n}:UHF{lane}-{n}");
        let mut next = 0;
        for call in 1_u64.. {
            if shutdown.is_requested() {
                break;
            }
            let count = if call.is_multiple_of(ARRAY_EVERY) { ARRAY_PAYLOADS } else { 1 };
            self.send((next..next + count).map(text).collect()).await;
            next += count;
        }
        self.deliveries
    }

    /// Repeats the call until every payload is answered.
    async fn send(&mut self, texts: Vec<String>) {
        let begun = Instant::now();
        loop {
            if let Some(statuses) = self.try_once(&texts).await {
                for (text, status) in texts.into_iter().zip(statuses) {
                    self.note(text, &status);
                }
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{texts:?} are not accepted");
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Returns the status word of each payload, or `None` if no answer came or the barn answered 503.
    async fn try_once(&self, texts: &[String]) -> Option<Vec<Value>> {
        let body = match texts {
            [one] => json!({ "payload": one }),
            several => json!({ "payloads": several }),
        };
        let (status, mut answer) = deliver(&self.device, &body).await?;
        match status {
            200 => {
                let Value::Array(results) = answer["results"].take() else { panic!("{answer}") };
                Some(results.into_iter().map(|mut one| one["status"].take()).collect())
            }
            201 | 409 => Some(vec![answer["status"].take()]),
            503 => None,
            _ => panic!("{status}: {answer}"),
        }
    }

    fn note(&mut self, text: String, status: &Value) {
        match status.as_str() {
            Some("stored") => {
                self.deliveries.stored.push(text);
                self.stored.send_modify(|count| *count += 1);
            }
            Some("duplicate") => self.deliveries.duplicates.push(text),
            _ => panic!("{text}: {status}"),
        }
    }
}
