//! The promises of [`Radio`] as checks that any radio can be put through.
//!
//! A test says, with a closure, how to make a radio of its kind that is about to hear given [`SentPacket`] transmissions:
//! by a script, by an emulated chip, by a serial line. [`check`] then holds it to each promise in turn.
//!
//! Waits are real where the clock is: at most [`PATIENCE`] for each packet, and [`SILENCE`] after the last.

use crate::{Counters, MAX_PAYLOAD_BYTES, Packet, Radio, RadioError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a packet that is on the air may take to be delivered.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing more must come, when all has been delivered.
pub const SILENCE: Duration = Duration::from_millis(50);
/// Transmissions of one check; also the bound of the attempts at each packet in the check of cancel safety.
const TRANSMISSIONS: usize = 60;
/// The longest time after which a future of `receive` is dropped.
const DROP_WITHIN_US: u64 = 4_000;

/// One transmission that the radio under test is about to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// 1..=255 bytes.
    pub payload: Vec<u8>,
    /// Whether its CRC will be right.
    pub crc_ok: bool,
}

/// A promise that a radio did not keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// A packet that was on the air did not come.
    #[error("packet {number}, counted from 0, did not come within {PATIENCE:?}")]
    Missing {
        /// Its place among the good ones.
        number: usize,
    },
    /// A packet came that is not the next good one: a length, CRC, order or cancel-safety promise is broken.
    #[error("packet {number}, counted from 0, holds {found:02x?}; {expected:02x?} was sent")]
    Different {
        /// Its place among the good ones.
        number: usize,
        /// What was sent.
        expected: Vec<u8>,
        /// What came.
        found: Vec<u8>,
    },
    /// Something came after the last good one.
    #[error("a packet came that was not sent, or came twice: {0:02x?}")]
    Surplus(Vec<u8>),
    /// The radio gave an error in place of a packet, or an error other than `Closed` at the end.
    #[error("the radio failed at packet {number}, counted from 0: {error}")]
    Failed {
        /// The place, among the good ones, of the packet that was due.
        number: usize,
        /// What the radio said.
        error: RadioError,
    },
    /// `received_at` went back, or is of the future.
    #[error("packet {number}, counted from 0, was received before the one ahead of it, or in the future")]
    Time {
        /// Its place among the good ones.
        number: usize,
    },
    /// A closed radio was open again.
    #[error("the radio said that it is closed, and then delivered or said something else")]
    Reopened,
    /// A counter is not what was sent.
    #[error("the radio counted {counted} packets as {counter}; {sent} were sent")]
    Counted {
        /// Which counter.
        counter: &'static str,
        /// What it says.
        counted: u64,
        /// What it should say.
        sent: u64,
    },
}

/// Holds a kind of radio to every promise of [`Radio`]. The seed moves payloads and points of cancellation.
pub async fn check<R, F>(seed: u64, mut radio_that_hears: impl FnMut(Vec<SentPacket>) -> F) -> Result<(), ContractError>
where
    R: Radio,
    F: Future<Output = R>,
{
    let mut chance = ChaCha12Rng::seed_from_u64(seed);
    for on_air in [every_length(&mut chance), good_and_bad(&mut chance)] {
        let mut radio = radio_that_hears(on_air.clone()).await;
        check_delivery(&mut radio, &on_air, None).await?;
        let mut radio = radio_that_hears(on_air.clone()).await;
        check_delivery(&mut radio, &on_air, Some(&mut chance)).await?;
    }
    Ok(())
}

/// The radio delivers the good ones of `on_air`, whole, once and in order, counts both kinds, and then is silent.
///
/// With `cancel`, futures of `receive` are dropped again and again after a time by chance.
pub async fn check_delivery(
    radio: &mut impl Radio,
    on_air: &[SentPacket],
    mut cancel: Option<&mut ChaCha12Rng>,
) -> Result<(), ContractError> {
    let counters = radio.counters();
    let good = on_air.iter().filter(|sent| sent.crc_ok);
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
    is_silent(radio, good.clone().count()).await?;
    counts(&counters, good.count(), on_air.len())
}

async fn next_packet(
    radio: &mut impl Radio,
    number: usize,
    cancel: Option<&mut ChaCha12Rng>,
) -> Result<Packet, ContractError> {
    let failed = |error| ContractError::Failed { number, error };
    if let Some(chance) = cancel {
        for _ in 0..TRANSMISSIONS {
            let patience = Duration::from_micros(chance.random_range(0..=DROP_WITHIN_US));
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

/// Nothing comes. Closed is silent too, and then for ever.
async fn is_silent(radio: &mut impl Radio, number: usize) -> Result<(), ContractError> {
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

fn counts(counters: &Counters, good: usize, sent: usize) -> Result<(), ContractError> {
    let counted = counters.read();
    let pairs = [("received", counted.received, good), ("crc_errors", counted.crc_errors, sent - good)];
    for (counter, counted, sent) in pairs {
        let sent = sent as u64;
        if counted != sent {
            return Err(ContractError::Counted { counter, counted, sent });
        }
    }
    Ok(())
}

/// Shortest and longest among them, any byte in any place.
fn every_length(chance: &mut ChaCha12Rng) -> Vec<SentPacket> {
    let lengths = [1, 2, 127, 128, MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES];
    let mut payload = |length| SentPacket { payload: (0..length).map(|_| chance.random()).collect(), crc_ok: true };
    lengths.into_iter().map(&mut payload).collect()
}

/// Good and bad in turn by chance, bad ones also at both ends.
fn good_and_bad(chance: &mut ChaCha12Rng) -> Vec<SentPacket> {
    let is_end = |n| n == 0 || n == TRANSMISSIONS - 1;
    let mut sent = |n| SentPacket {
        payload: format!("packet {n}").into_bytes(),
        crc_ok: !is_end(n) && chance.random_range(0..4) > 0,
    };
    (0..TRANSMISSIONS).map(&mut sent).collect()
}

#[cfg(test)]
mod tests;
