//! The readers at the chute.

use super::barn::BarnMachine;
use super::chance::Chance;
use super::plant::Plant;
use super::seams::{Seams, lock};
use radio::simulated::{Payloads, Traffic};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Longest time between two payloads, milliseconds.
const MAX_PAUSE_MS: u64 = 250;

/// The readers at the chute. They send some payloads twice, half of them over the air.
pub(super) struct Readers {
    payloads: Payloads,
    chance: Chance,
    next_at: Instant,
    latest: Option<Vec<u8>>,
    seams: Seams,
}

impl Readers {
    pub(super) fn new(seed: u64, seams: Seams) -> Self {
        let traffic = Traffic { seed, ..Traffic::default() };
        let (payloads, chance) = (traffic.payloads(), Chance::new(!seed));
        Self { payloads, chance, next_at: Instant::now(), latest: None, seams }
    }

    /// Waits for the time of the next payload, sends it to the barn, and returns what became of it. Cancel-safe before the
    /// payload is sent.
    pub(super) async fn next(&mut self, barn: &BarnMachine) -> String {
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + Duration::from_millis(self.chance.below(MAX_PAUSE_MS));
        let repeat = self.chance.percent(20);
        let Some(payload) = self.latest.take().filter(|_| repeat).or_else(|| self.payloads.next()) else {
            return std::future::pending().await;
        };
        self.latest = Some(payload.clone());
        lock(&self.seams.ledger).note_sent(&payload);
        if self.chance.percent(50) {
            barn.send_packet(payload);
            return "a packet".to_owned();
        }
        if self.seams.has(Plant::EarlyReceipt) {
            lock(&self.seams.ledger).note_promise(&payload);
        }
        format!("{:?}", barn.send_call(payload).await)
    }
}
