//! The loop that joins a radio and the recorder; one task for each radio.
//!
//! It holds one packet at a time and waits until that one is durable before it asks for the next: waiting is the
//! back-pressure, and what a slow disk cannot take waits in the radio.

use crate::recorder::{RecordError, Recorder};
use herd::change::Origin;
use herd::clock::{Clock, RawReading};
use herd::store::Incoming;
use radio::{Counters, Packet, Radio, RadioError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After so long a radio that failed, or a payload that could not be kept, is tried again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a radio's packets are filed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The radio's name in the settings.
    pub name: String,
    /// The readers that it hears.
    pub reader_group: String,
}

/// How a radio is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RadioState {
    /// It hears, or would if there were anything.
    Listening,
    /// It failed and is asked again; what it said.
    Failing(String),
    /// Its script is over. Nothing is wrong with it.
    Ended,
}

impl RadioState {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Failing(_) => "failing",
            Self::Ended => "ended",
        }
    }
}

/// A radio that is listened to, for those who look.
#[derive(Clone, Debug)]
pub struct ListenedRadio {
    /// Its name in the settings.
    pub name: String,
    /// How it is.
    pub state: watch::Receiver<RadioState>,
    /// What it counts.
    pub counters: Counters,
}

/// What one radio's loop needs besides the radio.
#[derive(Clone)]
pub struct Receiving {
    /// What its packets are filed under.
    pub channel: Channel,
    /// Where they go.
    pub recorder: Recorder,
    /// What stamps them.
    pub clock: Arc<dyn Clock>,
    /// Says when to stop; a sender that is gone says so too.
    pub shutdown: watch::Receiver<bool>,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The radio has ended by its own script.
    RadioClosed,
    /// The process stops. The packet in hand, if there was one, is recorded where that was possible.
    Stopped,
    /// The writer has ended, and the process ends with it.
    WriterEnded,
}

/// Receives and records until the radio has ended, the writer has, or `shutdown` says so. A packet that cannot be
/// kept now (a full disk) stays in hand and is tried again.
pub async fn run(mut radio: impl Radio, receiving: Receiving, state: watch::Sender<RadioState>) -> ReceiveEnd {
    let mut shutdown = receiving.shutdown.clone();
    loop {
        let heard = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return ReceiveEnd::Stopped,
            heard = radio.receive() => heard,
        };
        match heard {
            Ok(packet) => {
                state
                    .send_if_modified(|state| std::mem::replace(state, RadioState::Listening) != RadioState::Listening);
                if let Err(end) = receiving.record(packet).await {
                    return end;
                }
            }
            Err(RadioError::Closed) => {
                tracing::info!(radio = receiving.channel.name, "the radio has ended by its own script");
                state.send_replace(RadioState::Ended);
                return ReceiveEnd::RadioClosed;
            }
            Err(error) => {
                tracing::warn!(radio = receiving.channel.name, %error, "the radio failed and is asked again");
                state.send_replace(RadioState::Failing(error.to_string()));
                receiving.pause().await;
            }
        }
    }
}

impl Receiving {
    /// Keeps the packet in hand until it is durable.
    async fn record(&self, packet: Packet) -> Result<(), ReceiveEnd> {
        let radio = self.channel.name.as_str();
        let incoming = self.stamp(packet);
        loop {
            let error = match self.recorder.record(incoming.clone()).await {
                Ok(receipt) => {
                    tracing::debug!(radio, ?receipt, "a packet was recorded");
                    return Ok(());
                }
                Err(error) => error,
            };
            let end = match error {
                RecordError::Disk(_) | RecordError::TablesBehind { .. } if !*self.shutdown.borrow() => {
                    tracing::warn!(radio, %error, "a packet waits, as it cannot be kept now");
                    self.pause().await;
                    continue;
                }
                RecordError::Failed(_) | RecordError::Ended => ReceiveEnd::WriterEnded,
                _ => ReceiveEnd::Stopped,
            };
            tracing::error!(radio, %error, "the program ends with one packet that was heard and could not be kept");
            return Err(end);
        }
    }

    /// With the time at which it was heard, which may be a while ago if a commit stalled.
    fn stamp(&self, packet: Packet) -> Incoming {
        let age = Instant::now().saturating_duration_since(packet.received_at);
        let now = self.clock.read();
        let at = RawReading {
            received_at_us: now.received_at_us.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(0)),
            since_boot_ms: now.since_boot_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0)),
            ..now
        };
        let origin = Origin {
            channel: self.channel.name.clone(),
            rssi_dbm: packet.rssi_dbm,
            snr_quarter_db: packet.snr_quarter_db,
            frequency_error_hz: packet.frequency_error_hz,
            reader_group: self.channel.reader_group.clone(),
            reader_era: 0,
        };
        Incoming { raw: packet.bytes, origin, at }
    }

    /// Until it is time to try again, or to stop.
    async fn pause(&self) {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
