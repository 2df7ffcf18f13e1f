//! The loop that moves packets from a radio to the recorder; one task per radio.
//!
//! # Decisions
//!
//! - **The loop holds one packet, and takes the next one only once that is durable.** Waiting is the back-pressure: the
//!   packets that a slow disk cannot take wait in the radio.
//! - **The loop stamps the packet with the wall clock.** A packet of a radio carries monotonic time only. The wall clock
//!   is a seam, and a driver is no place for it.
//! - **The state of a radio comes from the radio alone, even while it hands over packets.** A chip that died a second ago
//!   still has packets in its queue. Taken as signs of life, they would hide that it is deaf.
//! - **A shutdown records the packet in hand and those that wait in the radio, all at once and for up to 0.7 s.** The driver
//!   empties its chip ahead of the recorder, so those packets were received completely. What cannot be recorded is counted
//!   in the log.
//! - **A packet is shown to `listen` before it is recorded.** A packet that a full disk refuses, or a duplicate, is on the
//!   air all the same, and `listen` is there to show the air.

use crate::receipt_log::log_receipt;
use crate::recorder::{RecordError, Recorder};
use crate::tap::{ReceivedPacket, Tap};
use futures::FutureExt as _;
use futures::future::ready;
use herd::change::Origin;
use herd::clock::{Clock, RawReading};
use herd::store::Incoming;
use radio::sx127x::Transmitter;
use radio::{Counters, Health, Packet, Radio, RadioError};
use service::lifecycle::Shutdown;
use service::supervisor::{Probe, ProbeTarget};
use std::convert::Infallible;
use std::future::Future;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

mod handover;
#[cfg(test)]
mod tests;

/// Delay before a failed radio is asked again, or a packet that could not be recorded is tried again.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Interval of warnings of a store that cannot write. A disk may be full for days, and a card keeps its warnings on itself.
const WARNING_INTERVAL: Duration = Duration::from_secs(3_600);
/// Length of the header that the library `RadioHead` puts before a payload.
const RADIOHEAD_BYTES: usize = 4;
/// Starts of the payloads that readers send.
const PAYLOAD_STARTS: [&[u8]; 3] = [b"hxb:", b"hxe:", b"event:"];

/// Labels that the packets of a radio are recorded with, and what belongs to no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Name of the radio in the settings.
    pub name: String,
    /// Group of the readers that the radio receives.
    pub reader_group: String,
    /// Number of bytes in front of each payload that its readers' library adds, and that are left out.
    pub strip_bytes: u8,
}

/// State of a radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RadioState {
    /// The radio receives, or would if there were a packet.
    Listening,
    /// The radio receives, but something costs packets or soon will. Holds a note with the remedy.
    Degraded(String),
    /// The radio is being set up for the first time and does not receive yet. Holds what it waits for.
    Starting(String),
    /// The radio does not receive; its set-up or the call is being retried. Holds the error and its remedy.
    Failing(String),
    /// The script of the radio is over. This is not an error.
    Ended,
}

impl RadioState {
    /// Returns the state as one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Listening | Self::Degraded(_) => "listening",
            Self::Starting(_) => "starting",
            Self::Failing(_) => "failing",
            Self::Ended => "ended",
        }
    }

    /// Returns why the radio does not receive, unless its script is over; or the note about a radio that does.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Degraded(why) | Self::Starting(why) | Self::Failing(why) => Some(why),
            Self::Listening | Self::Ended => None,
        }
    }

    /// Returns true if the radio does not receive, although its script is not over.
    pub fn is_failing(&self) -> bool {
        matches!(self, Self::Starting(_) | Self::Failing(_))
    }

    /// Returns true if there is a note about a radio that receives.
    pub fn is_degraded(&self) -> bool {
        matches!(self, Self::Degraded(_))
    }
}

impl From<&Health> for RadioState {
    fn from(health: &Health) -> Self {
        match health {
            Health::Listening => Self::Listening,
            Health::Degraded(note) => Self::Degraded(note.clone()),
            Health::Starting(why) => Self::Starting(why.clone()),
            Health::Failing(why) => Self::Failing(why.clone()),
        }
    }
}

/// View of a radio whose loop is running.
#[derive(Clone, Debug)]
pub struct RadioHandle {
    /// Name of the radio in the settings.
    pub name: String,
    /// State of the radio.
    pub state: watch::Receiver<RadioState>,
    /// Counters of the radio, and the fill level of its queue.
    pub counters: Counters,
    /// Transmitter of the radio, if it is a chip; reports the remaining air time.
    pub transmitter: Option<Transmitter>,
    /// Liveness probe of the radio's loop.
    pub probe: Arc<Probe>,
}

/// The loop of one radio, except for the radio itself.
#[derive(Clone)]
pub struct ReceiveLoop {
    /// Labels for the packets.
    pub channel: Channel,
    /// Recorder of the packets.
    pub recorder: Recorder,
    /// Clock that stamps the packets.
    pub clock: Arc<dyn Clock>,
    /// Tap that shows the packets before they are recorded.
    pub tap: Tap,
    /// Shutdown of the process; a dropped trigger counts as a request.
    pub shutdown: Shutdown,
}

/// Reason why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The script of the radio is over.
    RadioClosed,
    /// The radio has crashed, and the process ends with it: a restart makes a new one.
    RadioCrashed,
    /// The process shuts down. The packet in hand and those in the radio are recorded if that was possible, else counted.
    Stopped,
    /// The writer ended, and the process ends with it.
    WriterEnded,
}

impl ReceiveLoop {
    /// Receives and records until the radio or the writer ends, or the shutdown is requested.
    ///
    /// A packet that cannot be recorded now (a full disk) is kept and retried. `state` follows the radio's own report at
    /// once, also while a packet waits. The `probe_target` answers liveness probes wherever the loop waits, for a packet or
    /// for the disk.
    pub async fn run(
        self,
        mut radio: impl Radio,
        state: watch::Sender<RadioState>,
        mut probe_target: ProbeTarget,
    ) -> ReceiveEnd {
        let publisher = StatePublisher { channel: self.channel.name.clone(), health: radio.health(), state };
        tokio::select! {
            biased;
            end = self.receive_all(&mut radio, &publisher, &mut probe_target) => end,
            never = publisher.follow() => match never {},
        }
    }

    async fn receive_all(
        &self,
        radio: &mut impl Radio,
        publisher: &StatePublisher,
        probe_target: &mut ProbeTarget,
    ) -> ReceiveEnd {
        let mut knows_header = self.channel.strip_bytes > 0;
        loop {
            let Some(received) = probe_target.answer_while(self.until_shutdown(radio.receive())).await else {
                return self.hand_over(radio, None).await;
            };
            let packet = match received {
                Ok(packet) => packet,
                Err(error) => {
                    if let Some(end) = publisher.end_after(&error) {
                        return end;
                    }
                    probe_target.answer_while(self.pause()).await;
                    continue;
                }
            };
            publisher.publish_health();
            if !knows_header && has_radiohead_header(&packet.bytes) {
                knows_header = true;
                self.warn_of_header();
            }
            let mut recording = self.record(packet).boxed();
            match probe_target.answer_while(self.until_shutdown(&mut recording)).await {
                Some(Ok(())) => {}
                Some(Err(error)) => return self.hand_over(radio, Some(ready(Err(error)).boxed())).await,
                None => return self.hand_over(radio, Some(recording)).await,
            }
        }
    }

    fn warn_of_header(&self) {
        tracing::warn!(
            channel = self.channel.name,
            remedy = "set `strip_bytes = 4` for this radio",
            "packets begin with the four bytes of RadioHead, and are recorded as rejections"
        );
    }

    /// Returns what the future returns, or `None` if the shutdown is requested first.
    async fn until_shutdown<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => None,
            output = future => Some(output),
        }
    }

    /// Returns once the packet is durable. Retries while the store cannot write, but not once the shutdown is requested.
    async fn record(&self, packet: Packet) -> Result<(), RecordError> {
        let channel = self.channel.name.as_str();
        let incoming = stamp(&self.channel, &*self.clock, packet);
        self.tap.show(ReceivedPacket::from(&incoming));
        let mut warned = None;
        loop {
            match self.recorder.record_packet(incoming.clone()).await {
                Ok(receipt) => {
                    log_receipt(channel, incoming.origin.rssi_dbm, &receipt);
                    return Ok(());
                }
                Err(error @ (RecordError::Disk(_) | RecordError::TablesBehind { .. }))
                    if !self.shutdown.is_requested() =>
                {
                    let cause = discriminant(&error);
                    if warned.is_none_or(|(of, at): (_, Instant)| of != cause || at.elapsed() >= WARNING_INTERVAL) {
                        warned = Some((cause, Instant::now()));
                        tracing::warn!(channel, %error, "packet queued: the store cannot write");
                    }
                    self.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the retry delay, or for the shutdown.
    async fn pause(&self) {
        tokio::select! {
            () = self.shutdown.requested() => {}
            () = tokio::time::sleep(RETRY_DELAY) => {}
        }
    }
}

/// Publishes the state of a radio.
struct StatePublisher {
    channel: String,
    health: watch::Receiver<Health>,
    state: watch::Sender<RadioState>,
}

impl StatePublisher {
    /// Publishes the radio's own report: a failing radio may still hand over packets that it received before.
    fn publish_health(&self) {
        let state = RadioState::from(&*self.health.borrow());
        self.publish(state);
    }

    /// Publishes a state. Wakes the receivers only if it is new.
    fn publish(&self, state: RadioState) {
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
    }

    /// Publishes and logs the failure of a radio. Returns the end of receiving; `None` if the radio is tried again.
    fn end_after(&self, error: &RadioError) -> Option<ReceiveEnd> {
        let (state, end) = match error {
            RadioError::Closed => {
                tracing::info!(channel = self.channel, "radio ended: its script is over");
                (RadioState::Ended, Some(ReceiveEnd::RadioClosed))
            }
            RadioError::Crashed { .. } => {
                tracing::error!(channel = self.channel, %error, "radio crashed: not receiving");
                (RadioState::Failing(error.to_string()), Some(ReceiveEnd::RadioCrashed))
            }
            error => {
                tracing::warn!(channel = self.channel, %error, "radio failed; retrying");
                (RadioState::Failing(error.to_string()), None)
            }
        };
        self.publish(state);
        end
    }

    /// Publishes and logs each change of the radio's own report. That a radio is being set up for the first time is not
    /// worth a line.
    async fn follow(&self) -> Infallible {
        let mut health = self.health.clone();
        health.mark_changed();
        while health.changed().await.is_ok() {
            let state = RadioState::from(&*health.borrow_and_update());
            let previous = self.state.borrow().clone();
            match (&state, previous) {
                (RadioState::Failing(why), _) => {
                    tracing::warn!(channel = self.channel, why, "radio failing: not receiving");
                }
                (RadioState::Degraded(note), previous) if previous != state => {
                    tracing::warn!(channel = self.channel, note, "radio degraded: still receiving");
                }
                (RadioState::Listening, RadioState::Degraded(_)) => {
                    tracing::info!(channel = self.channel, "radio no longer degraded");
                }
                (RadioState::Listening, RadioState::Starting(_)) => {
                    tracing::info!(channel = self.channel, "radio listening");
                }
                (RadioState::Listening, RadioState::Failing(_)) => {
                    tracing::info!(channel = self.channel, "radio listening again");
                }
                _ => {}
            }
            self.publish(state);
        }
        // The radio is gone; the next call for a packet reports that.
        std::future::pending().await
    }
}

/// Adds the origin of a packet, and the time at which it was received. That may be a while ago if a commit stalled.
pub fn stamp(channel: &Channel, clock: &dyn Clock, packet: Packet) -> Incoming {
    let age = Instant::now().saturating_duration_since(packet.received_at);
    let now = clock.read();
    let at = RawReading {
        received_at_us: now.received_at_us.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(0)),
        since_boot_ms: now.since_boot_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0)),
        ..now
    };
    let origin = Origin {
        channel: channel.name.as_str().into(),
        rssi_dbm: packet.rssi_dbm,
        snr_quarter_db: packet.snr_quarter_db,
        frequency_error_hz: packet.frequency_error_hz,
        reader_group: channel.reader_group.as_str().into(),
        reader_era: 0,
    };
    Incoming { raw: payload_of(packet.bytes, channel.strip_bytes), origin, at }
}

/// Returns the payload behind the bytes that a library added. A packet that has no more than those is left as it is, so
/// that it is kept and shown.
fn payload_of(mut bytes: Vec<u8>, strip_bytes: u8) -> Vec<u8> {
    let strip = usize::from(strip_bytes);
    if bytes.len() > strip {
        bytes.drain(..strip);
    }
    bytes
}

/// Returns true if a packet looks as if the library `RadioHead` had sent it: four bytes that are not text (to, from, id,
/// flags), and then a payload.
fn has_radiohead_header(bytes: &[u8]) -> bool {
    let Some((header, payload)) = bytes.split_at_checked(RADIOHEAD_BYTES) else { return false };
    !header.iter().all(u8::is_ascii_graphic) && PAYLOAD_STARTS.iter().any(|start| payload.starts_with(start))
}
