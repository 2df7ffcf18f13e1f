//! Readers: listening before talking, the queue, and recovery.
//!
//! A reader that stops or talks over others would make the traffic of a simulated yard unlike that of a real one.

use super::*;
use crate::emulator::{AirError, Faults, MAX_QUEUED_PAYLOADS, Poisson, ReaderOptions};

#[test]
fn reader_sends_payloads_in_order() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    for text in ["first", "second", "third"] {
        reader.send(text.as_bytes()).unwrap();
    }
    let mut heard = Vec::new();
    for _ in 0..3 {
        assert_eq!(barn.wait(ms(1_000)), Wake::Edge);
        heard.push(String::from_utf8(barn.last_packet()).unwrap());
        barn.clear_flags();
    }
    assert_eq!(heard, ["first", "second", "third"]);
    air.pass_until_quiet(ms(1_000));
    assert_eq!((reader.counts().sent, reader.counts().waiting), (3, 0));
}

#[test]
fn reader_waits_for_a_preamble_and_for_the_middle_of_a_packet() {
    for after_ms in [2, 60] {
        let air = Air::default();
        let barn = Host::listening(&air);
        let reader = air.reader(ReaderOptions::default());
        air.transmit(Transmission::of([1; 100]), Duration::ZERO).unwrap();
        air.pass(ms(after_ms));
        reader.send(b"later").unwrap();
        air.pass_until_quiet(ms(10_000));
        assert_eq!(barn.fates(), [Fate::Unread, Fate::Unread], "{after_ms} ms");
        assert!(reader.counts().found_busy > 0);
    }
}

#[test]
fn reader_waits_for_a_preamble_too_weak_to_measure() {
    let air = Air::default();
    let barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    air.set_path_loss_db(&barn.chip, reader.chip(), 134.0);
    // 3 dB below the noise, like the reader's own packets at the barn.
    air.transmit(Transmission { rssi_dbm: -120.0, ..Transmission::of([1; 100]) }, Duration::ZERO).unwrap();
    air.pass(ms(2));
    reader.send(b"later").unwrap();
    air.pass(ms(10));
    assert_eq!(reader.counts().found_busy, 1);
}

#[test]
fn reader_without_listening_talks_over_others() {
    let air = Air::default();
    let barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions { listen_before_talk: false, ..ReaderOptions::default() });
    air.transmit(Transmission::of([1; 100]), Duration::ZERO).unwrap();
    air.pass(ms(60));
    reader.send(b"at once").unwrap();
    air.pass_until_quiet(ms(10_000));
    assert_eq!(barn.fates(), [Fate::CrcBad, Fate::Collided]);
}

#[test]
fn full_queue_refuses_a_payload() {
    let air = Air::default();
    let reader = air.reader(ReaderOptions::default());
    let results: Vec<_> = (0..=MAX_QUEUED_PAYLOADS).map(|_| reader.send(b"a")).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), MAX_QUEUED_PAYLOADS);
    assert_eq!(results.last(), Some(&Err(AirError::ReaderFull)));
    assert_eq!(reader.send(b""), Err(AirError::PayloadLength(0)));
    air.pass_until_quiet(ms(60_000));
    assert_eq!(reader.counts().sent, MAX_QUEUED_PAYLOADS as u64);
    assert_eq!(reader.counts().refused, 1);
}

#[test]
fn reader_gives_up_a_payload_without_tx_done_and_continues() {
    let air = Air::default();
    let reader = air.reader(ReaderOptions::default());
    reader.chip().set_faults(Faults { no_tx_done: true, ..Faults::default() });
    reader.send(b"lost").unwrap();
    air.pass(ms(1_000));
    assert_eq!(reader.counts().given_up, 1);
    reader.chip().set_faults(Faults::default());
    reader.send(b"a").unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!((reader.counts().sent, reader.counts().waiting), (1, 0));
}

#[test]
fn busy_channel_costs_a_payload_but_does_not_stop_the_reader() {
    let air = Air::default();
    let reader = air.reader(ReaderOptions::default());
    let jam = |n: u64| (ms(400 * n), Transmission::of([0; 255]));
    air.feed((0..100).map(jam));
    reader.send(b"never").unwrap();
    air.pass(ms(39_000));
    assert_eq!(reader.counts().given_up, 1);
    air.pass(ms(5_000));
    reader.send(b"now").unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(reader.counts().sent, 1);
}

#[test]
fn chip_that_resets_during_a_packet_is_set_up_again() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    reader.send(&[1; 100]).unwrap();
    air.pass(ms(50));
    reader.chip().reset_spontaneously();
    air.pass(ms(1_000));
    reader.send(b"again").unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(barn.last_packet(), b"again");
}

#[test]
fn crystal_errors_differ_between_readers_and_stay_within_their_limit() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut errors = std::collections::HashSet::new();
    for seed in 0..20 {
        let reader = air.reader(ReaderOptions { seed, crystal_ppm: 10.0, ..ReaderOptions::default() });
        reader.send(b"a").unwrap();
        air.pass_until_quiet(ms(1_000));
        let bytes = barn.read_burst(Register::FeiMsb, 3);
        let steps = (i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) << 4) >> 12;
        let error_hz = f64::from(steps) * f64::from(1 << 24) / 32e6 / 4.0;
        assert!(error_hz.abs() <= 9_200.0, "{error_hz} Hz");
        errors.insert(steps);
    }
    assert!(errors.len() > 15, "readers have different errors");
}

#[test]
fn feed_delivers_payloads_at_their_times() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    let times: Vec<Duration> = Poisson::new(3, 2.0).take(20).collect();
    reader.feed(times.clone().into_iter().map(|at| (at, b"a".to_vec())));
    for due in times {
        assert_eq!(barn.wait(ms(10_000)), Wake::Edge);
        assert!(air.now() > due);
        barn.clear_flags();
        barn.last_packet();
    }
    assert_eq!(barn.chip.tally().of(Fate::Read), 20);
}
