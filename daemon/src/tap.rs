//! What the radios heard last, for whoever looks on (`herdlinxd listen`).
//!
//! Who looks on is a number, not a queue: packets are numbered, the last [`KEPT_PACKETS`] are kept, and whoever asks
//! after a number that is gone is told how many were missed. So a slow one holds nothing up, the recorder least of all.

use herd::store::Incoming;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// So many packets are kept to be looked at: of 255 bytes each, less than 200 KiB.
pub const KEPT_PACKETS: usize = 256;
/// Whoever asks while nothing is new is answered after so long, to ask again.
pub const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// One packet as a radio heard it, whether or not it was then kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The radio's name in the settings.
    pub channel: String,
    /// When, by the clock of this machine, in microseconds since 1970 UTC.
    pub at_us: i64,
    /// Strength in dBm, where the modem tells it.
    pub rssi_dbm: Option<i16>,
    /// Signal to noise ratio in quarters of a dB.
    pub snr_quarter_db: Option<i16>,
    /// Frequency of the sender minus that of the radio.
    pub frequency_error_hz: Option<i32>,
    /// The payload.
    #[serde(rename = "hex", serialize_with = "as_hex", deserialize_with = "of_hex")]
    pub bytes: Vec<u8>,
}

impl From<&Incoming> for Heard {
    fn from(Incoming { raw, origin, at }: &Incoming) -> Self {
        Self {
            channel: origin.channel.clone(),
            at_us: at.received_at_us,
            rssi_dbm: origin.rssi_dbm,
            snr_quarter_db: origin.snr_quarter_db,
            frequency_error_hz: origin.frequency_error_hz,
            bytes: raw.clone(),
        }
    }
}

fn as_hex<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&hex::encode(bytes))
}

fn of_hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// The packets after a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapPage {
    /// In the order in which they were received.
    pub packets: Vec<Heard>,
    /// How many came before these and after the number asked for, and are gone.
    pub missed: u64,
    /// The number to ask after next.
    pub last: u64,
}

/// The place where packets are shown. Clones are one place.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    kept: Mutex<VecDeque<Arc<Heard>>>,
    /// The number of the newest, counted from 1.
    last: watch::Sender<u64>,
}

impl Tap {
    /// Shows a packet to whoever looks on. Waits for nobody.
    pub fn show(&self, heard: Heard) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_PACKETS {
            kept.pop_front();
        }
        kept.push_back(Arc::new(heard));
        // Under the lock, so that a number and what is kept are of one moment.
        self.0.last.send_modify(|last| *last += 1);
    }

    /// The number of the newest packet, 0 before the first.
    pub fn last(&self) -> u64 {
        *self.0.last.borrow()
    }

    /// What came after `number`; waits for the first of it, at most [`LOOK_WITHIN`]. Cancel-safe.
    ///
    /// A number that was not given out yet is of a process that is gone: all that is kept came after it.
    pub async fn after(&self, number: u64) -> TapPage {
        let mut last = self.0.last.subscribe();
        let news = last.wait_for(|last| *last != number);
        // Without news the answer is empty; the sender is this tap's own, and cannot be gone.
        let _nothing_new = timeout(LOOK_WITHIN, news).await.is_err();
        self.seen_after(number)
    }

    fn seen_after(&self, number: u64) -> TapPage {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last();
        let number = if number > last { 0 } else { number };
        let since = last - number;
        let shown = usize::try_from(since).unwrap_or(usize::MAX).min(kept.len());
        let packets = kept.range(kept.len() - shown..).map(|packet| (**packet).clone()).collect();
        TapPage { packets, missed: since - shown as u64, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(n: u32) -> Heard {
        Heard {
            channel: "radio1".into(),
            at_us: 0,
            rssi_dbm: Some(-80),
            snr_quarter_db: None,
            frequency_error_hz: None,
            bytes: n.to_be_bytes().to_vec(),
        }
    }

    fn numbers(seen: &TapPage) -> Vec<u32> {
        seen.packets.iter().map(|heard| u32::from_be_bytes(heard.bytes[..].try_into().unwrap())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_looks_on_sees_each_packet_once_and_in_order() {
        let tap = Tap::default();
        tap.show(heard(1));
        let begun_at = tap.last();
        tap.show(heard(2));
        tap.show(heard(3));
        let seen = tap.after(begun_at).await;
        assert_eq!((numbers(&seen), seen.missed, seen.last), (vec![2, 3], 0, 3));
        let looking = tokio::spawn({
            let tap = tap.clone();
            async move { tap.after(3).await }
        });
        tokio::task::yield_now().await;
        tap.show(heard(4));
        assert_eq!(numbers(&looking.await.unwrap()), [4]);
    }

    /// Catches a tap that waits for the slowest, that grows, or that hides what was lost.
    #[tokio::test(start_paused = true)]
    async fn a_slow_one_is_told_how_many_it_missed_and_no_more_than_the_last_are_kept() {
        let tap = Tap::default();
        (1..=1_000).for_each(|n| tap.show(heard(n)));
        let seen = tap.after(10).await;
        assert_eq!((seen.packets.len(), seen.missed, seen.last), (KEPT_PACKETS, 990 - KEPT_PACKETS as u64, 1_000));
        assert_eq!(numbers(&seen)[..2], [745, 746]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_heard_the_answer_is_empty_after_a_while() {
        let tap = Tap::default();
        assert_eq!(tap.after(0).await, TapPage { packets: vec![], missed: 0, last: 0 });
        tap.show(heard(1));
        assert_eq!(numbers(&tap.after(17).await), [1], "of a process that is gone");
    }
}
