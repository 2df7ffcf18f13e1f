//! The contract of [`Radio`] as checks for any kind of radio.
//!
//! A test passes a closure that makes a radio of its kind, about to receive given [`SentPacket`]s: from a script, an
//! emulated chip or a serial line. [`check`] then verifies each point of the contract.
//!
//! Waits are real if the clock is: at most [`PATIENCE`] for each packet, and [`SILENCE`] after the last.

use crate::{Counters, MAX_PAYLOAD_BYTES, Packet, Radio, RadioError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Timeout for the delivery of a packet that is on the air.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Time after the last packet in which no further packet may come.
pub const SILENCE: Duration = Duration::from_millis(50);
/// Number of transmissions of one check. Also bounds the attempts at each packet in the check of cancel safety.
const TRANSMISSIONS: usize = 60;
/// Longest time after which a future of `receive` is dropped.
const DROP_WITHIN_US: u64 = 4_000;

/// A packet that the radio under test is about to receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// The payload, 1..=255 bytes.
    pub payload: Vec<u8>,
    /// False if the packet is sent with a wrong CRC.
    pub crc_ok: bool,
}

/// A point of the contract that a radio violated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// A packet that was on the air was not delivered.
    #[error("packet {number} (from 0) was not delivered within {PATIENCE:?}")]
    Missing {
        /// Index among the good packets.
        number: usize,
    },
    /// A packet is not the next good one: length, integrity, order or cancel safety is violated.
    #[error("packet {number} (from 0) is {found:02x?} instead of {expected:02x?}")]
    Different {
        /// Index among the good packets.
        number: usize,
        /// The payload sent.
        expected: Vec<u8>,
        /// The payload delivered.
        found: Vec<u8>,
    },
    /// A packet was delivered after the last good one.
    #[error("a packet was delivered twice or was never sent: {0:02x?}")]
    Surplus(Vec<u8>),
    /// The radio returned an error instead of a packet, or an error other than `Closed` at the end.
    #[error("the radio failed at packet {number} (from 0): {error}")]
    Failed {
        /// Index of the expected packet among the good ones.
        number: usize,
        /// The error of the radio.
        error: RadioError,
    },
    /// `received_at` decreased, or is in the future.
    #[error("the reception time of packet {number} (from 0) is before that of the previous packet, or in the future")]
    Time {
        /// Index among the good packets.
        number: usize,
    },
    /// A closed radio returned something other than `Closed`.
    #[error("the radio returned something else after `Closed`")]
    Reopened,
    /// A counter does not match the packets sent.
    #[error("the counter {counter} is {found} instead of {expected}")]
    Counter {
        /// Name of the counter.
        counter: &'static str,
        /// Value of the counter.
        found: u64,
        /// Number of packets sent of that kind.
        expected: u64,
    },
}

/// Checks a kind of radio against the contract of [`Radio`]. The seed determines payloads and points of cancellation.
pub async fn check<R, F>(seed: u64, mut radio_receiving: impl FnMut(Vec<SentPacket>) -> F) -> Result<(), ContractError>
where
    R: Radio,
    F: Future<Output = R>,
{
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    for sent in [every_length(&mut rng), good_and_bad(&mut rng)] {
        let mut radio = radio_receiving(sent.clone()).await;
        check_delivery(&mut radio, &sent, None).await?;
        let mut radio = radio_receiving(sent.clone()).await;
        check_delivery(&mut radio, &sent, Some(&mut rng)).await?;
    }
    Ok(())
}

/// Checks that a radio delivers the good packets of `sent` whole, once and in order, counts both kinds, and is then
/// silent.
///
/// With `cancel`, futures of `receive` are dropped repeatedly after random times.
pub async fn check_delivery(
    radio: &mut impl Radio,
    sent: &[SentPacket],
    mut cancel: Option<&mut ChaCha12Rng>,
) -> Result<(), ContractError> {
    let counters = radio.counters();
    let good = sent.iter().filter(|sent| sent.crc_ok);
    let mut last_received_at = None;
    for (number, sent) in good.clone().enumerate() {
        let packet = next_packet(radio, number, cancel.as_deref_mut()).await?;
        if packet.bytes != sent.payload {
            return Err(ContractError::Different { number, expected: sent.payload.clone(), found: packet.bytes });
        }
        if last_received_at > Some(packet.received_at) || packet.received_at > Instant::now() {
            return Err(ContractError::Time { number });
        }
        last_received_at = Some(packet.received_at);
    }
    check_silence(radio, good.clone().count()).await?;
    check_counters(&counters, good.count(), sent.len())
}

async fn next_packet(
    radio: &mut impl Radio,
    number: usize,
    cancel: Option<&mut ChaCha12Rng>,
) -> Result<Packet, ContractError> {
    let failed = |error| ContractError::Failed { number, error };
    if let Some(rng) = cancel {
        for _ in 0..TRANSMISSIONS {
            let patience = Duration::from_micros(rng.random_range(0..=DROP_WITHIN_US));
            if let Ok(outcome) = timeout(patience, radio.receive()).await {
                return outcome.map_err(failed);
            }
        }
    }
    match timeout(PATIENCE, radio.receive()).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(ContractError::Missing { number }),
    }
}

/// Checks that no packet comes. A closed radio is silent too, and must stay closed.
async fn check_silence(radio: &mut impl Radio, number: usize) -> Result<(), ContractError> {
    match timeout(SILENCE, radio.receive()).await {
        Err(_) => Ok(()),
        Ok(Ok(packet)) => Err(ContractError::Surplus(packet.bytes)),
        Ok(Err(RadioError::Closed)) => match timeout(PATIENCE, radio.receive()).await {
            Ok(Err(RadioError::Closed)) => Ok(()),
            _ => Err(ContractError::Reopened),
        },
        Ok(Err(error)) => Err(ContractError::Failed { number, error }),
    }
}

fn check_counters(counters: &Counters, good: usize, sent: usize) -> Result<(), ContractError> {
    let counters = counters.read();
    let pairs = [("received", counters.received, good), ("crc_errors", counters.crc_errors, sent - good)];
    for (counter, found, expected) in pairs {
        let expected = expected as u64;
        if found != expected {
            return Err(ContractError::Counter { counter, found, expected });
        }
    }
    Ok(())
}

/// Generates payloads of the shortest, the longest and other lengths, with random bytes.
fn every_length(rng: &mut ChaCha12Rng) -> Vec<SentPacket> {
    let lengths = [1, 2, 127, 128, MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES];
    let mut packet = |length| SentPacket { payload: (0..length).map(|_| rng.random()).collect(), crc_ok: true };
    lengths.into_iter().map(&mut packet).collect()
}

/// Generates good and bad packets in random order, with bad ones at both ends.
fn good_and_bad(rng: &mut ChaCha12Rng) -> Vec<SentPacket> {
    let is_end = |n| n == 0 || n == TRANSMISSIONS - 1;
    let mut packet = |n| SentPacket {
        payload: format!("packet {n}").into_bytes(),
        crc_ok: !is_end(n) && rng.random_range(0..4) > 0,
    };
    (0..TRANSMISSIONS).map(&mut packet).collect()
}

#[cfg(test)]
mod tests;
