//! The loop that joins a radio and the recorder; one task for each radio.
//!
//! It holds one packet at a time and waits until that one is durable before it asks for the next: waiting is the
//! back-pressure, and what a slow disk cannot take waits in the radio.

use crate::judged::log_judged;
use crate::recorder::{RecordError, Recorder};
use crate::tap::{Heard, Tap};
use futures::FutureExt as _;
use herd::change::Origin;
use herd::clock::{Clock, RawReading};
use herd::store::Incoming;
use radio::sx127x::Transmitter;
use radio::{Counters, Health, Packet, Radio, RadioError};
use service::lifecycle::Shutdown;
use service::supervisor::{Probe, ProbeTarget};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After so long a radio that failed, or a payload that could not be kept, is tried again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// When the process stops, a radio hands over for so long what it has heard: less than the second that it has for it.
const HANDS_OVER_WITHIN: Duration = Duration::from_millis(700);

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
    /// It does not hear and is set up or asked again; what is wrong and what to do.
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

    /// What is wrong, where something is.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Failing(why) => Some(why),
            Self::Listening | Self::Ended => None,
        }
    }
}

impl From<&Health> for RadioState {
    fn from(health: &Health) -> Self {
        match health {
            Health::Listening => Self::Listening,
            Health::Failing(why) => Self::Failing(why.clone()),
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
    /// Where it may transmit: what it still may.
    pub transmitter: Option<Transmitter>,
    /// Asks its loop whether it goes round.
    pub asker: Arc<Probe>,
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
    /// Where they are shown to whoever looks, before they are kept.
    pub tap: Tap,
    /// Says when to stop; a sender that is gone says so too.
    pub shutdown: Shutdown,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The radio has ended by its own script.
    RadioClosed,
    /// The process stops. The packet in hand and those that waited in the radio are recorded where that was possible.
    Stopped,
    /// The writer has ended, and the process ends with it.
    WriterEnded,
}

/// Receives and records until the radio has ended, the writer has, or `shutdown` says so. A packet that cannot be
/// kept now (a full disk) stays in hand and is tried again. What the radio says of itself is in `state` at once, also
/// while a packet waits. Whether the loop goes round, the `answerer` tells: it answers wherever the loop waits, for a
/// packet as for the disk.
pub async fn run(
    mut radio: impl Radio,
    receiving: Receiving,
    state: watch::Sender<RadioState>,
    mut answerer: ProbeTarget,
) -> ReceiveEnd {
    let told = Told { channel: receiving.channel.name.clone(), health: radio.health(), state };
    tokio::select! {
        biased;
        end = hear(&mut radio, &receiving, &told, &mut answerer) => end,
        never = told.follow() => match never {},
    }
}

async fn hear(radio: &mut impl Radio, receiving: &Receiving, told: &Told, answerer: &mut ProbeTarget) -> ReceiveEnd {
    loop {
        let Some(heard) = answerer.answer_while(receiving.next_packet(radio)).await else {
            return receiving.record_waiting(radio).await;
        };
        match heard {
            Ok(packet) => {
                told.as_the_radio_says();
                if let Err(end) = answerer.answer_while(receiving.record(packet)).await {
                    return end;
                }
            }
            Err(RadioError::Closed) => {
                tracing::info!(channel = told.channel, "the radio has ended by its own script");
                told.say(RadioState::Ended);
                return ReceiveEnd::RadioClosed;
            }
            Err(error) => {
                tracing::warn!(channel = told.channel, %error, "the radio failed and is asked again");
                told.say(RadioState::Failing(error.to_string()));
                answerer.answer_while(receiving.pause()).await;
            }
        }
    }
}

/// How a radio is, for those who look.
struct Told {
    channel: String,
    health: watch::Receiver<Health>,
    state: watch::Sender<RadioState>,
}

impl Told {
    /// Says what the radio says of itself: one that fails may still hand over what it heard before.
    fn as_the_radio_says(&self) {
        let state = RadioState::from(&*self.health.borrow());
        self.say(state);
    }

    /// Wakes those who look only where it is new.
    fn say(&self, state: RadioState) {
        self.state.send_if_modified(|known| {
            let news = *known != state;
            *known = state;
            news
        });
    }

    /// Says each change of what the radio says of itself, and logs it.
    async fn follow(&self) -> Infallible {
        let mut health = self.health.clone();
        health.mark_changed();
        while health.changed().await.is_ok() {
            let state = RadioState::from(&*health.borrow_and_update());
            let was = self.state.borrow().clone();
            match &state {
                RadioState::Failing(why) => tracing::warn!(channel = self.channel, why, "the radio does not hear"),
                _ if was.why().is_some() => tracing::info!(channel = self.channel, "the radio listens again"),
                _ => {}
            }
            self.say(state);
        }
        // The radio is gone, and says so where it is asked for packets.
        std::future::pending().await
    }
}

impl Receiving {
    /// What the radio hears next; none where the process stops first.
    async fn next_packet(&self, radio: &mut impl Radio) -> Option<Result<Packet, RadioError>> {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => None,
            heard = radio.receive() => Some(heard),
        }
    }

    /// The process stops: what the radio has heard by now is recorded, and nothing that is still to come.
    async fn record_waiting(&self, radio: &mut impl Radio) -> ReceiveEnd {
        let until = Instant::now() + HANDS_OVER_WITHIN;
        while Instant::now() < until {
            let Some(Ok(packet)) = radio.receive().now_or_never() else { break };
            if let Err(end) = self.record(packet).await {
                return end;
            }
        }
        ReceiveEnd::Stopped
    }

    /// Keeps the packet in hand until it is durable.
    async fn record(&self, packet: Packet) -> Result<(), ReceiveEnd> {
        let channel = self.channel.name.as_str();
        let incoming = stamp(&self.channel, &*self.clock, packet);
        self.tap.show(Heard::from(&incoming));
        loop {
            let error = match self.recorder.record(incoming.clone()).await {
                Ok(receipt) => {
                    log_judged(channel, incoming.origin.rssi_dbm, &receipt);
                    return Ok(());
                }
                Err(error) => error,
            };
            let end = match error {
                RecordError::Disk(_) | RecordError::TablesBehind { .. } if !self.shutdown.is_requested() => {
                    tracing::warn!(channel, %error, "a packet waits, as it cannot be kept now");
                    self.pause().await;
                    continue;
                }
                RecordError::Failed(_) | RecordError::Ended => ReceiveEnd::WriterEnded,
                _ => ReceiveEnd::Stopped,
            };
            tracing::error!(channel, %error, "the program ends with one packet that was heard and could not be kept");
            return Err(end);
        }
    }

    /// Until it is time to try again, or to stop.
    async fn pause(&self) {
        tokio::select! {
            () = self.shutdown.requested() => {}
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

/// With its origin, and with the time at which it was heard, which may be a while ago if a commit stalled.
pub fn stamp(channel: &Channel, clock: &dyn Clock, packet: Packet) -> Incoming {
    let age = Instant::now().saturating_duration_since(packet.received_at);
    let now = clock.read();
    let at = RawReading {
        received_at_us: now.received_at_us.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(0)),
        since_boot_ms: now.since_boot_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0)),
        ..now
    };
    let origin = Origin {
        channel: channel.name.clone(),
        rssi_dbm: packet.rssi_dbm,
        snr_quarter_db: packet.snr_quarter_db,
        frequency_error_hz: packet.frequency_error_hz,
        reader_group: channel.reader_group.clone(),
        reader_era: 0,
    };
    Incoming { raw: packet.bytes, origin, at }
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
