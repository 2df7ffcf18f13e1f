//! Times at which the readers get their payloads: first transmissions and repeats, on the air's clock.

use super::payloads::Payloads;
use super::rng::{Stream, rng};
use super::traffic::{MAX_REPEATS, Traffic};
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Delay between a transmission and its repeat, in microseconds.
///
/// Even the last repeat falls well within the 60 s in which a barn takes the same text for a repeat.
const REPEAT_DELAY_US: RangeInclusive<u64> = 30_000..=300_000;

/// Share of a pen's time in which its animals are read. For the rest the alley is empty, until the next pen comes.
const BUSY_SHARE: f64 = 0.8;

/// A payload and the time at which a reader gets it. Ordered by time, then by payload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScheduledPayload {
    /// Time since the start, on the air's clock.
    pub(super) due_us: u64,
    /// Number of the payload, from 0. Repeats have the number of the first transmission.
    pub(super) number: u64,
    pub(super) payload: Arc<[u8]>,
}

/// Transmissions of valid traffic, in order of time.
#[derive(Debug)]
pub(super) struct Schedule {
    traffic: Traffic,
    /// Rate on the air's clock, which may run faster than real time.
    rate_per_s: f64,
    end_us: Option<u64>,
    payloads: Payloads,
    rng: ChaCha12Rng,
    /// Number of payloads taken from `payloads`.
    taken: u64,
    next_first: Option<ScheduledPayload>,
    /// Pending repeats. Bounded by the rate: two for each payload of the last 0.6 s.
    repeats: BinaryHeap<Reverse<ScheduledPayload>>,
}

impl Schedule {
    pub(super) fn new(traffic: &Traffic) -> Self {
        let speed = traffic.speed();
        Self {
            rate_per_s: traffic.rate_per_s / speed,
            end_us: traffic.seconds.map(|seconds| whole_us(seconds * speed * 1e6)),
            payloads: traffic.payloads(),
            rng: rng(traffic.seed, Stream::Times),
            taken: 0,
            next_first: None,
            repeats: BinaryHeap::new(),
            traffic: traffic.clone(),
        }
    }

    /// Takes the next payload and schedules its first transmission. Returns `None` at the end of the traffic.
    fn take_payload(&mut self) -> Option<ScheduledPayload> {
        if self.traffic.count.is_some_and(|count| self.taken >= count) {
            return None;
        }
        let payload = self.payloads.next()?.into();
        let number = self.taken;
        self.taken += 1;
        Some(ScheduledPayload { due_us: self.first_due_us(number), number, payload })
    }

    /// Returns the time of the first transmission of a payload.
    ///
    /// A pen starts exactly at the time that the rate gives it, so the schedule never drifts. Within a pen, reads come
    /// at random times, slightly faster than the rate.
    #[expect(clippy::cast_precision_loss, reason = "counts of payloads stay far below 2^53")]
    fn first_due_us(&mut self, number: u64) -> u64 {
        let first = self.payloads.first_of_pen();
        let within: f64 = (number - first) as f64 + self.rng.random::<f64>();
        whole_us((first as f64 + within * BUSY_SHARE) / self.rate_per_s * 1e6)
    }

    fn schedule_repeats(&mut self, first: &ScheduledPayload) {
        let probability = self.traffic.repeats_mean / f64::from(MAX_REPEATS);
        let mut repeat = first.clone();
        for _ in 0..MAX_REPEATS {
            let delay_us = self.rng.random_range(REPEAT_DELAY_US);
            if self.rng.random::<f64>() < probability {
                repeat.due_us += delay_us;
                self.repeats.push(Reverse(repeat.clone()));
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = ScheduledPayload;

    /// Returns the next transmission. Once `None`, always `None`.
    fn next(&mut self) -> Option<ScheduledPayload> {
        if self.next_first.is_none() {
            self.next_first = self.take_payload();
        }
        let repeat_due_us = self.repeats.peek().map(|Reverse(repeat)| repeat.due_us);
        let first_due_us = self.next_first.as_ref().map(|first| first.due_us);
        let due_us = [repeat_due_us, first_due_us].into_iter().flatten().min()?;
        if self.end_us.is_some_and(|end_us| due_us >= end_us) {
            return None;
        }
        if repeat_due_us == Some(due_us) {
            return self.repeats.pop().map(|Reverse(repeat)| repeat);
        }
        let first = self.next_first.take()?;
        self.schedule_repeats(&first);
        Some(first)
    }
}

/// Converts a time to whole microseconds. Validation keeps it within the range of a `u64`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never negative")]
fn whole_us(us: f64) -> u64 {
    us as u64
}

#[cfg(test)]
mod tests;
