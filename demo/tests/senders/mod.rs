//! Devices that deliver payloads, each of them until it is answered, and remember what they were told.

use crate::yard::{PATIENCE, deliver};
use demo::processes::Client;
use serde_json::{Value, json};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// So many deliver at a time.
const SENDERS: usize = 4;
/// Every so many calls, a sender delivers an array.
const ARRAY_EVERY: u64 = 8;
/// Payloads of an array.
const ARRAY_PAYLOADS: u64 = 20;
/// A device does not hammer a barn that does not answer.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// What became of the payloads.
#[derive(Debug, Default)]
pub(crate) struct Yields {
    /// Answered as stored.
    pub(crate) stored: Vec<String>,
    /// Told to be held already: an earlier try was kept and its answer lost.
    pub(crate) found_again: Vec<String>,
}

impl Yields {
    /// All that must be in the log.
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.stored.iter().chain(&self.found_again)
    }
}

/// Devices at work.
pub(crate) struct Senders {
    stop: ShutdownTrigger,
    stored: watch::Receiver<u64>,
    tasks: JoinSet<Yields>,
}

impl Senders {
    pub(crate) fn start(device: &Client) -> Self {
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let (counting, stored) = watch::channel(0);
        let mut tasks = JoinSet::new();
        for lane in 0..SENDERS {
            let sender = Sender { lane, device: device.clone(), stored: counting.clone(), yields: Yields::default() };
            tasks.spawn(sender.send_until(stopping.clone()));
        }
        Self { stop, stored, tasks }
    }

    /// Counts the payloads that were answered as stored.
    pub(crate) fn stored(&self) -> watch::Receiver<u64> {
        self.stored.clone()
    }

    /// Lets each finish the call in hand, and gives what they were told.
    pub(crate) async fn finish(mut self) -> Yields {
        self.stop.request();
        let mut all = Yields::default();
        while let Some(one) = self.tasks.join_next().await {
            let Yields { stored, found_again } = one.unwrap();
            all.stored.extend(stored);
            all.found_again.extend(found_again);
        }
        all
    }
}

struct Sender {
    lane: usize,
    device: Client,
    stored: watch::Sender<u64>,
    yields: Yields,
}

impl Sender {
    async fn send_until(mut self, stopping: Shutdown) -> Yields {
        let lane = self.lane;
        let text = |n: u64| format!("hxb:LANE{lane}:LF{lane}-{n}:UHF{lane}-{n}");
        let mut next = 0;
        for call in 1_u64.. {
            if stopping.is_requested() {
                break;
            }
            let count = if call.is_multiple_of(ARRAY_EVERY) { ARRAY_PAYLOADS } else { 1 };
            self.send((next..next + count).map(text).collect()).await;
            next += count;
        }
        self.yields
    }

    /// Delivers until there is an answer for all of them.
    async fn send(&mut self, texts: Vec<String>) {
        let begun = Instant::now();
        loop {
            if let Some(statuses) = self.try_once(&texts).await {
                for (text, status) in texts.into_iter().zip(statuses) {
                    self.note(text, &status);
                }
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{texts:?} are not taken");
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// The status word of each; none where no answer came, or the barn said that it cannot.
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
                self.yields.stored.push(text);
                self.stored.send_modify(|count| *count += 1);
            }
            Some("duplicate") => self.yields.found_again.push(text),
            _ => panic!("{text}: {status}"),
        }
    }
}
