//! Senders in the field: packets without a CRC, with another LowDataRateOptimize, with inverted IQ, off frequency.

use super::barn::{BEGIN, Barn, PATIENCE, listening, packet, start_with, until};
use radio::emulator::Transmission;
use radio::lora::{Bandwidth, LowDataRateOptimize, Modulation, SpreadingFactor};
use radio::sx127x::{CrcPolicy, Settings, Sx127x};
use radio::{Health, Radio};
use std::time::Duration;
use tokio::time::timeout;

/// Schedules transmissions 100 ms apart, the first one soon.
fn send(barn: &Barn, transmissions: impl IntoIterator<Item = Transmission>) {
    let mut at = barn.air.now() + BEGIN;
    for transmission in transmissions {
        barn.air.transmit(transmission, at).unwrap();
        at += Duration::from_millis(100);
    }
}

fn without_crc(payload: &[u8]) -> Transmission {
    Transmission { crc: false, ..Transmission::of(payload) }
}

/// Waits until the radio reports a note that contains a text.
async fn noted(radio: &Sx127x, text: &str) {
    let mut health = radio.health();
    let wanted = |health: &Health| matches!(health, Health::Degraded(note) if note.contains(text));
    timeout(PATIENCE, health.wait_for(wanted)).await.expect("the radio notes it in time").unwrap();
}

#[tokio::test]
async fn packets_without_a_crc_are_counted_and_named_after_sixteen_in_a_row() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    send(&barn, (0..15).map(|_| without_crc(b"hxb:LOT7:1:2")));
    until("15 are counted", || radio.counters().read().without_crc == 15).await;
    assert_eq!(*radio.health().borrow(), Health::Listening);
    send(&barn, (0..25).map(|_| without_crc(b"hxb:LOT7:1:2")));
    noted(&radio, "CRC").await;
    until("40 are counted", || radio.counters().read().without_crc == 40).await;
    let counts = radio.counters().read();
    assert_eq!((counts.received, counts.crc_errors, counts.malformed), (0, 0, 0));
    barn.send_in(BEGIN, b"with a CRC");
    assert_eq!(packet(&mut radio).await.bytes, b"with a CRC");
    listening(&radio).await;
}

#[tokio::test]
async fn a_missing_crc_is_no_note_while_others_have_it() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    send(&barn, (0..40).map(|n| if n % 16 == 15 { Transmission::of(*b"good") } else { without_crc(b"neighbor") }));
    for _ in 0..2 {
        assert_eq!(packet(&mut radio).await.bytes, b"good");
    }
    until("all are counted", || radio.counters().read().without_crc == 38).await;
    assert_eq!(*radio.health().borrow(), Health::Listening);
}

#[tokio::test]
async fn an_optional_crc_delivers_packets_without_one_and_still_drops_wrong_ones() {
    let barn = Barn::new(1);
    let settings = Settings { crc: CrcPolicy::Optional, ..Settings::listening(Modulation::default()) };
    let mut radio = start_with(barn.chip.board(), settings);
    listening(&radio).await;
    let wrong = Transmission { corrupted: true, ..Transmission::of(*b"spoiled") };
    send(&barn, [without_crc(b"hxb:1:1:1"), wrong, without_crc(b"hxb:2:2:2"), Transmission::of(*b"hxb:3:3:3")]);
    for expected in [b"hxb:1:1:1", b"hxb:2:2:2", b"hxb:3:3:3"] {
        assert_eq!(packet(&mut radio).await.bytes, expected);
    }
    let counts = radio.counters().read();
    assert_eq!((counts.received, counts.without_crc, counts.crc_errors), (3, 2, 1));
    assert_eq!(*radio.health().borrow(), Health::Listening);
}

/// Sends a packet with one setting of LowDataRateOptimize to a radio with another. Returns true if it arrives.
async fn hears_low_data_rate(modulation: Modulation, sender: bool, ours: LowDataRateOptimize) -> bool {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation { low_data_rate_optimize: ours, ..modulation });
    listening(&radio).await;
    let low_data_rate_optimize = Some(sender);
    send(&barn, [Transmission { modulation, low_data_rate_optimize, ..Transmission::of(*b"hxb:LOT7:1:2") }]);
    until("the packet is over", || {
        let counts = radio.counters().read();
        counts.crc_errors == 1 || barn.chip.tally().flagged_good() == 1
    })
    .await;
    if radio.counters().read().crc_errors == 1 {
        return false;
    }
    packet(&mut radio).await.bytes == b"hxb:LOT7:1:2"
}

#[tokio::test]
async fn low_data_rate_optimize_is_what_the_readers_use_and_not_what_the_data_sheet_says() {
    let long_symbols = |factor| Modulation {
        spreading_factor: SpreadingFactor::new(factor).unwrap(),
        bandwidth: Bandwidth::Khz125,
        ..Modulation::default()
    };
    for (factor, sender, ours, hears) in [
        (12, true, LowDataRateOptimize::Auto, true),
        (12, false, LowDataRateOptimize::Auto, false),
        (12, false, LowDataRateOptimize::Off, true),
        (11, false, LowDataRateOptimize::Off, true),
        (9, true, LowDataRateOptimize::Auto, false),
        (9, true, LowDataRateOptimize::On, true),
        (7, false, LowDataRateOptimize::On, false),
    ] {
        let found = hears_low_data_rate(long_symbols(factor), sender, ours).await;
        assert_eq!(found, hears, "SF{factor}, sender {sender}, ours {ours:?}");
    }
}

#[tokio::test]
async fn inverted_iq_is_heard_only_by_a_radio_that_expects_it() {
    for (sender, ours, bandwidth) in [
        (true, true, Bandwidth::Khz125),
        (true, true, Bandwidth::Khz500),
        (false, true, Bandwidth::Khz125),
        (true, false, Bandwidth::Khz125),
    ] {
        let barn = Barn::new(1);
        let modulation = Modulation { bandwidth, ..Modulation::default() };
        let mut radio = barn.radio(Modulation { invert_iq: ours, ..modulation });
        listening(&radio).await;
        let sent = Transmission { inverted_iq: sender, modulation, ..Transmission::of(*b"hxb:LOT7:1:2") };
        send(&barn, [sent]);
        if sender == ours {
            assert_eq!(packet(&mut radio).await.bytes, b"hxb:LOT7:1:2");
        } else {
            until("the packet is over", || barn.chip.tally().total() == 1).await;
            assert_eq!(radio.counters().read().received, 0);
        }
        assert_eq!(radio.counters().read().rebuilt, 0);
    }
}

#[tokio::test]
async fn readers_far_off_frequency_are_noted_with_the_frequency_to_set() {
    for (bandwidth, error_hz) in
        [(Bandwidth::Khz125, 25_000), (Bandwidth::Khz125, -22_000), (Bandwidth::Khz250, 50_000)]
    {
        let barn = Barn::new(1);
        let modulation = Modulation { bandwidth, ..Modulation::default() };
        let mut radio = barn.radio(modulation);
        listening(&radio).await;
        let packet_off =
            Transmission { modulation, frequency_error_hz: error_hz, ..Transmission::of(*b"hxb:LOT7:1:2") };
        send(&barn, (0..20).map(|_| packet_off.clone()));
        for _ in 0..20 {
            packet(&mut radio).await;
        }
        noted(&radio, "`frequency_hz = ").await;
    }
}

#[tokio::test]
async fn a_neighbor_whose_sync_word_is_close_is_heard_and_another_is_not() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    let with_word = |sync_word, payload: &[u8]| Transmission {
        modulation: Modulation { sync_word, ..Modulation::default() },
        ..Transmission::of(payload)
    };
    send(&barn, [with_word(0x34, b"LoRaWAN"), with_word(0x1F, b"neighbor"), with_word(0x12, b"ours")]);
    assert_eq!(packet(&mut radio).await.bytes, b"neighbor");
    assert_eq!(packet(&mut radio).await.bytes, b"ours");
    assert_eq!(barn.chip.tally().total(), 3);
}
