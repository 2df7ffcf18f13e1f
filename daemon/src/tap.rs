//! The latest packets of the radios, for `herdlinxd listen`.
//!
//! Decision: a listener is a number, not a queue. Packets are numbered, and the last [`RECENT_PACKETS`] are kept. A
//! listener asks again and again for the packets after a number, and learns how many it missed. A stream to each
//! listener would need a queue for each, and a slow listener would hold up the radios or the recorder.

use herd::store::Incoming;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Number of packets that are kept. At 255 bytes each they take less than 200 KiB.
pub const RECENT_PACKETS: usize = 256;
/// Time after which a request is answered even though there is no new packet.
pub const POLL_TIMEOUT: Duration = Duration::from_secs(2);

/// A packet as a radio received it, recorded or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedPacket {
    /// Name of the radio in the settings.
    pub channel: String,
    /// Arrival by the clock of this machine, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Signal strength in dBm, if the modem reports it.
    pub rssi_dbm: Option<i16>,
    /// Signal-to-noise ratio in quarters of a dB, if the modem reports it.
    pub snr_quarter_db: Option<i16>,
    /// Frequency of the sender minus that of the radio, if the modem reports it.
    pub frequency_error_hz: Option<i32>,
    /// The payload.
    #[serde(rename = "hex", serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub bytes: Vec<u8>,
}

impl From<&Incoming> for ReceivedPacket {
    fn from(Incoming { raw, origin, at }: &Incoming) -> Self {
        Self {
            channel: origin.channel.to_string(),
            at_us: at.received_at_us,
            rssi_dbm: origin.rssi_dbm,
            snr_quarter_db: origin.snr_quarter_db,
            frequency_error_hz: origin.frequency_error_hz,
            bytes: raw.clone(),
        }
    }
}

fn to_hex<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&hex::encode(bytes))
}

fn from_hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// The packets after a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapPage {
    /// Packets in the order in which they were received.
    pub packets: Vec<ReceivedPacket>,
    /// Number of packets between the requested number and the first of these that are no longer kept.
    pub missed: u64,
    /// Number to ask for next.
    pub last: u64,
}

/// A buffer of the latest packets. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<PacketBuffer>);

#[derive(Debug, Default)]
struct PacketBuffer {
    packets: Mutex<VecDeque<Arc<ReceivedPacket>>>,
    /// Number of the newest packet, counted from 1.
    last: watch::Sender<u64>,
}

impl Tap {
    /// Adds a packet and wakes the listeners. Never waits.
    pub fn show(&self, packet: ReceivedPacket) {
        let mut packets = self.0.packets.lock().unwrap_or_else(PoisonError::into_inner);
        if packets.len() == RECENT_PACKETS {
            packets.pop_front();
        }
        packets.push_back(Arc::new(packet));
        // Under the lock, so that the number always matches the buffer.
        self.0.last.send_modify(|last| *last += 1);
    }

    /// Returns the number of the newest packet, or 0 before the first.
    pub fn last(&self) -> u64 {
        *self.0.last.borrow()
    }

    /// Returns the packets after `number`. Waits for the first of them for up to [`POLL_TIMEOUT`]. Cancel-safe.
    ///
    /// A number beyond the newest comes from an earlier process, so all packets in the buffer are after it.
    pub async fn after(&self, number: u64) -> TapPage {
        let mut last = self.0.last.subscribe();
        let changed = last.wait_for(|last| *last != number);
        // After a timeout the page is empty. The sender lives as long as this tap, so waiting cannot fail otherwise.
        let _timed_out = timeout(POLL_TIMEOUT, changed).await.is_err();
        self.page_after(number)
    }

    fn page_after(&self, number: u64) -> TapPage {
        let packets = self.0.packets.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last();
        let number = if number > last { 0 } else { number };
        let since = last - number;
        let count = usize::try_from(since).unwrap_or(usize::MAX).min(packets.len());
        let page = packets.range(packets.len() - count..).map(|packet| (**packet).clone()).collect();
        TapPage { packets: page, missed: since - count as u64, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u32) -> ReceivedPacket {
        ReceivedPacket {
            channel: "radio1".into(),
            at_us: 0,
            rssi_dbm: Some(-80),
            snr_quarter_db: None,
            frequency_error_hz: None,
            bytes: n.to_be_bytes().to_vec(),
        }
    }

    fn numbers(page: &TapPage) -> Vec<u32> {
        page.packets.iter().map(|packet| u32::from_be_bytes(packet.bytes[..].try_into().unwrap())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_gets_each_packet_once_and_in_order() {
        let tap = Tap::default();
        tap.show(packet(1));
        let start = tap.last();
        tap.show(packet(2));
        tap.show(packet(3));
        let page = tap.after(start).await;
        assert_eq!((numbers(&page), page.missed, page.last), (vec![2, 3], 0, 3));
        let listener = tokio::spawn({
            let tap = tap.clone();
            async move { tap.after(3).await }
        });
        tokio::task::yield_now().await;
        tap.show(packet(4));
        assert_eq!(numbers(&listener.await.unwrap()), [4]);
    }

    /// Catches a tap that waits for the slowest listener, grows without limit, or hides missed packets.
    #[tokio::test(start_paused = true)]
    async fn a_slow_listener_learns_how_many_packets_it_missed() {
        let tap = Tap::default();
        (1..=1_000).for_each(|n| tap.show(packet(n)));
        let page = tap.after(10).await;
        assert_eq!((page.packets.len(), page.missed, page.last), (RECENT_PACKETS, 990 - RECENT_PACKETS as u64, 1_000));
        assert_eq!(numbers(&page)[..2], [745, 746]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_packets_the_page_is_empty_after_the_timeout() {
        let tap = Tap::default();
        assert_eq!(tap.after(0).await, TapPage { packets: vec![], missed: 0, last: 0 });
        tap.show(packet(1));
        assert_eq!(tap.after(1).await, TapPage { packets: vec![], missed: 0, last: 1 });
        assert_eq!(numbers(&tap.after(17).await), [1], "the number of an earlier process");
    }
}
