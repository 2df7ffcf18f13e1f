//! When the readers are given what they send: first transmissions and repeats, on the air's clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{Payloads, Stream};
use crate::settings::{SettingsError, check_range};

/// How often a reader repeats a payload at most.
const MAX_REPEATS: u32 = 2;
/// Time between a transmission and its repeat: with the last repeat well inside the 60 s in which a barn takes the
/// same text for a repeat.
const REPEAT_AFTER_US: std::ops::RangeInclusive<u64> = 30_000..=300_000;

/// So many transmissions a second go through the air at [`MODULATION`](super::MODULATION), so that readers that listen
/// before they talk find room: the payloads of a yard hold it for 38 ms each in the mean.
const CARRIED_PER_S: f64 = 15.0;

/// A pen is read in this share of its time; then the alley is empty until the next one comes.
const BUSY_SHARE: f64 = 0.8;

/// The traffic of a whole yard, made from a seed.
///
/// The payloads are those of [`payloads`](Traffic::payloads), whatever the other values are. Where readers are given more
/// than the air carries, all of it is played faster, see [`speed`](Traffic::speed).
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Same seed, same traffic. Runs over one barn need seeds that differ modulo 100,000.
    pub seed: u64,
    /// Distinct payloads a second, on the long run: 0.001..=100,000.
    pub rate_per_s: f64,
    /// How often a payload is sent again, in the mean: 0..=2.
    pub repeats_mean: f64,
    /// Probability that a transmission fades away on its way, besides those that collide: 0..=1.
    pub loss: f64,
    /// Probability that a transmission that arrives does so with a wrong CRC: 0..=1.
    pub corruption: f64,
    /// Malformed payloads for each well-formed one: 0..=1.
    pub malformed: f64,
    /// Ends after so many distinct payloads and their repeats.
    pub count: Option<u64>,
    /// Readers are given nothing from this time on, in seconds after the first `receive`: 0..=1,000,000,000.
    pub seconds: Option<f64>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            seed: 1,
            rate_per_s: 5.0,
            repeats_mean: 0.5,
            loss: 0.04,
            corruption: 0.02,
            malformed: 0.01,
            count: None,
            seconds: None,
        }
    }
}

impl Traffic {
    /// The distinct payloads alone, without time and air: infinite, and as fast as they can be made.
    pub fn payloads(&self) -> Payloads {
        Payloads::new(self.seed, self.malformed)
    }

    /// How fast the air's clock goes, as a multiple of real time: 1, or more where more than 15 transmissions a second
    /// are asked for. A yard of many payloads is an ordinary one played faster, not a denser one: the air of a denser
    /// one would carry nothing.
    pub fn speed(&self) -> f64 {
        (self.rate_per_s * (1.0 + self.repeats_mean) / CARRIED_PER_S).max(1.0)
    }

    /// Names the first value that is out of its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check_range("rate_per_s", self.rate_per_s, 0.001..=100_000.0)?;
        check_range("repeats_mean", self.repeats_mean, 0.0..=f64::from(MAX_REPEATS))?;
        check_range("loss", self.loss, 0.0..=1.0)?;
        check_range("corruption", self.corruption, 0.0..=1.0)?;
        check_range("malformed", self.malformed, 0.0..=1.0)?;
        check_range("seconds", self.seconds.unwrap_or(0.0), 0.0..=1_000_000_000.0)
    }
}

/// A payload that a reader is given.
#[derive(Debug)]
pub(super) struct Transmission {
    /// After the begin, on the air's clock.
    pub(super) due_us: u64,
    /// Of the payload, from 0. Repeats have that of the first.
    pub(super) number: u64,
    pub(super) payload: Arc<[u8]>,
}

/// All transmissions of some valid traffic, in the order of their time.
#[derive(Debug)]
pub(super) struct Transmissions {
    traffic: Traffic,
    /// On the air's clock.
    rate_per_s: f64,
    end_us: Option<u64>,
    payloads: Payloads,
    chance: ChaCha12Rng,
    begun: u64,
    upcoming: Option<Sending>,
    /// Bounded by the rate: two repeats for each payload of the last 0.6 s.
    repeats: BinaryHeap<Reverse<Sending>>,
}

/// A payload and when it is sent. The order is that of time, then of the payloads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sending {
    due_us: u64,
    number: u64,
    payload: Arc<[u8]>,
}

impl Transmissions {
    pub(super) fn new(traffic: &Traffic) -> Self {
        let speed = traffic.speed();
        let mut chance = ChaCha12Rng::seed_from_u64(traffic.seed);
        chance.set_stream(Stream::Times as u64);
        Self {
            rate_per_s: traffic.rate_per_s / speed,
            end_us: traffic.seconds.map(|seconds| whole_us(seconds * speed * 1e6)),
            payloads: traffic.payloads(),
            chance,
            begun: 0,
            upcoming: None,
            repeats: BinaryHeap::new(),
            traffic: traffic.clone(),
        }
    }

    /// The next payload that has not been sent yet.
    fn next_first(&mut self) -> Option<Sending> {
        if self.traffic.count.is_some_and(|count| self.begun >= count) {
            return None;
        }
        let payload = self.payloads.next()?.into();
        let number = self.begun;
        self.begun += 1;
        Some(Sending { due_us: self.first_due_us(number), number, payload })
    }

    /// Pens begin exactly on the rate, so that the schedule never drifts; within a pen readings come by chance, a
    /// little faster than the rate.
    #[expect(clippy::cast_precision_loss, reason = "counts of payloads stay far below 2^53")]
    fn first_due_us(&mut self, number: u64) -> u64 {
        let first = self.payloads.first_of_pen();
        let within: f64 = (number - first) as f64 + self.chance.random::<f64>();
        whole_us((first as f64 + within * BUSY_SHARE) / self.rate_per_s * 1e6)
    }

    fn plan_repeats(&mut self, sent: &Sending) {
        let probability = self.traffic.repeats_mean / f64::from(MAX_REPEATS);
        let mut repeat = sent.clone();
        for _ in 0..MAX_REPEATS {
            let delay_us = self.chance.random_range(REPEAT_AFTER_US);
            if self.chance.random::<f64>() < probability {
                repeat.due_us += delay_us;
                self.repeats.push(Reverse(repeat.clone()));
            }
        }
    }

    fn next_sending(&mut self) -> Option<Sending> {
        if self.upcoming.is_none() {
            self.upcoming = self.next_first();
        }
        let repeat_due_us = self.repeats.peek().map(|Reverse(repeat)| repeat.due_us);
        let first_due_us = self.upcoming.as_ref().map(|first| first.due_us);
        let due_us = [repeat_due_us, first_due_us].into_iter().flatten().min()?;
        if self.end_us.is_some_and(|end_us| due_us >= end_us) {
            return None;
        }
        if repeat_due_us == Some(due_us) {
            return self.repeats.pop().map(|Reverse(repeat)| repeat);
        }
        let first = self.upcoming.take()?;
        self.plan_repeats(&first);
        Some(first)
    }
}

impl Iterator for Transmissions {
    type Item = Transmission;

    /// Once `None`, always `None`.
    fn next(&mut self) -> Option<Transmission> {
        let Sending { due_us, number, payload } = self.next_sending()?;
        Some(Transmission { due_us, number, payload })
    }
}

/// Whole microseconds of a time that validation has kept within what a `u64` holds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never negative")]
fn whole_us(us: f64) -> u64 {
    us as u64
}

#[cfg(test)]
mod tests;
