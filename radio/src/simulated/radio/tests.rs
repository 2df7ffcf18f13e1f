//! Tests of a whole simulated radio. The air's clock runs free, so an hour of traffic passes in moments.

use super::*;
use crate::emulator::{Fate, Tally};
use crate::simulated::schedule::Schedule;
use crate::simulated::yard::READERS;
use crate::simulated::{LedgerCounts, RSSI_DBM, SNR_QUARTER_DB, ScriptLine, summary_path};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const SEED: u64 = 4_711;

fn traffic() -> Traffic {
    Traffic { seed: SEED, count: Some(60), rate_per_s: 20.0, ..Traffic::default() }
}

fn radio_of(traffic: &Traffic) -> Simulated {
    println!("seed {}", traffic.seed);
    Simulated::from_traffic(traffic.clone()).unwrap().with_pace(Pace::Free)
}

fn radio_of_script(lines: Vec<ScriptLine>) -> Simulated {
    Simulated::from_script(Script::new(lines).unwrap()).with_pace(Pace::Free)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn tally(radio: &Simulated) -> Tally {
    radio.run.as_ref().unwrap().account.tally()
}

/// Receives all packets until the radio ends. With `cancel`, futures of `receive` are dropped after random times.
async fn receive_all(radio: &mut Simulated, mut cancel: Option<ChaCha12Rng>) -> Vec<Packet> {
    let mut packets = Vec::new();
    loop {
        let timeout_us = cancel.as_mut().map_or(u64::MAX / 1_000, |rng| rng.random_range(0..2_000));
        match timeout(Duration::from_micros(timeout_us), radio.receive()).await {
            Err(_) => {}
            Ok(Ok(packet)) => packets.push(packet),
            Ok(Err(RadioError::Closed)) => return packets,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
}

/// A packet without its time, so that two runs can be compared.
type TimelessPacket = (Vec<u8>, Option<i16>, Option<i16>, Option<i32>);

fn without_times(packets: Vec<Packet>) -> Vec<TimelessPacket> {
    let without_time = |packet: Packet| {
        let Packet { bytes, rssi_dbm, snr_quarter_db, frequency_error_hz, .. } = packet;
        (bytes, rssi_dbm, snr_quarter_db, frequency_error_hz)
    };
    packets.into_iter().map(without_time).collect()
}

fn receive_traffic(traffic: &Traffic, cancel: Option<ChaCha12Rng>) -> (Vec<TimelessPacket>, LedgerCounts) {
    run(async {
        let mut radio = radio_of(traffic);
        (without_times(receive_all(&mut radio, cancel).await), radio.ledger().counts())
    })
}

fn assert_balanced(counts: LedgerCounts) {
    assert_eq!(counts.sent, counts.lost_in_air + counts.heard, "{counts:?}");
}

#[test]
fn the_same_seed_gives_the_same_packets_with_the_same_signal_strengths() {
    let (first, counts) = receive_traffic(&traffic(), None);
    assert!(first.len() > 60, "{counts:?}");
    assert_eq!((first.clone(), counts), receive_traffic(&traffic(), None));
    let another = receive_traffic(&Traffic { seed: SEED + 1, ..traffic() }, None).0;
    let shared = first.iter().filter(|packet| another.iter().any(|other| other.0 == packet.0)).count();
    assert_eq!(shared, 0, "two seeds share payloads");
}

/// Catches readers that transmit over each other, and an air that has to carry more than it can.
#[tokio::test]
async fn nine_in_ten_payloads_arrive_at_twenty_per_second_and_default_settings() {
    let traffic = Traffic { rate_per_s: 20.0, count: Some(600), ..Traffic::default() };
    let mut radio = radio_of(&traffic);
    let packets = receive_all(&mut radio, None).await;
    let distinct: HashSet<_> = packets.into_iter().map(|packet| packet.bytes).collect();
    let (tally, counts) = (tally(&radio), radio.ledger().counts());
    let fates: Vec<_> = Fate::ALL.into_iter().map(|fate| (fate, tally.of(fate))).filter(|fate| fate.1 > 0).collect();
    println!(
        "{} of 600 payloads received at {MODULATION:?}, speed {}: {counts:?}, {fates:?}",
        distinct.len(),
        traffic.speed()
    );
    assert!(distinct.len() >= 540, "{}", distinct.len());
    assert_eq!(tally.total(), counts.sent);
}

#[test]
fn a_radio_ends_even_if_the_air_loses_every_packet() {
    let (packets, counts) = receive_traffic(&Traffic { loss: 1.0, ..traffic() }, None);
    assert_eq!(packets.len(), 0);
    assert_eq!(counts.sent, counts.lost_in_air);
    assert!(counts.sent > 0);
}

#[tokio::test]
async fn loss_and_corruption_are_near_the_configured_ones() {
    let mut radio = radio_of(&Traffic { count: Some(600), loss: 0.2, corruption: 0.1, ..traffic() });
    let received = receive_all(&mut radio, None).await.len() as u64;
    let (tally, counts, counters) = (tally(&radio), radio.ledger().counts(), radio.counters().read());
    println!("{counts:?} {tally:?}");
    // Of about 900 transmissions 20 % fade and 8 % are corrupted, each within five standard deviations.
    let assert_near = |found: u64, share: f64, tolerance: f64| {
        #[expect(clippy::cast_precision_loss, reason = "counts of hundreds")]
        let expected = share * counts.sent as f64;
        #[expect(clippy::cast_precision_loss, reason = "counts of hundreds")]
        let found = found as f64;
        assert!((found - expected).abs() < tolerance, "{found} is not {expected} +- {tolerance}");
    };
    assert_near(tally.of(Fate::TooWeak), 0.2, 60.0);
    assert_near(tally.of(Fate::CrcBad), 0.08, 41.0);
    assert_eq!(counters.crc_errors, tally.of(Fate::CrcBad));
    assert_eq!((received, received), (counts.heard, counters.received));
    assert_eq!((counters.rescued, counters.rebuilt, counters.malformed), (0, 0, 0));
}

#[tokio::test]
async fn the_ledger_balances_at_every_moment_and_on_every_thread() {
    let mut radio = radio_of(&traffic());
    let ledger = radio.ledger();
    let (is_over, watched) = (Arc::new(AtomicBool::new(false)), ledger.clone());
    let over = is_over.clone();
    let watched = std::thread::spawn(move || {
        while !over.load(Relaxed) {
            assert_balanced(watched.counts());
            std::thread::yield_now();
        }
    });
    let mut delivered = 0;
    while radio.receive().await.is_ok() {
        delivered += 1;
        assert_eq!(ledger.counts().heard, delivered);
    }
    is_over.store(true, Relaxed);
    watched.join().unwrap();
}

#[tokio::test]
async fn a_closed_radio_stays_closed() {
    let mut radio = radio_of(&Traffic { count: Some(1), ..traffic() });
    receive_all(&mut radio, None).await;
    let counts = radio.ledger().counts();
    for _ in 0..3 {
        assert!(matches!(radio.receive().await, Err(RadioError::Closed)));
    }
    assert_eq!(radio.ledger().counts(), counts);
}

#[tokio::test]
async fn an_empty_script_ends_at_once() {
    assert_eq!(receive_all(&mut radio_of_script(Vec::new()), None).await.len(), 0);
}

/// Catches an air that goes on while the driver's buffer is full, and so loses packets.
#[tokio::test]
async fn the_air_waits_for_a_slow_receiver_and_no_packet_is_lost() {
    let lines = (0..crate::sx127x::MAX_QUEUED_PACKETS + 50).map(|n| ScriptLine::new(0, n.to_string()));
    let mut radio = radio_of_script(lines.collect());
    assert_eq!(radio.receive().await.unwrap().bytes, b"0");
    let driver_buffer_is_full = async {
        while radio.run.as_ref().unwrap().account.tally().of(Fate::Read) < crate::sx127x::MAX_QUEUED_PACKETS as u64 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), driver_buffer_is_full).await.unwrap();
    let packets = receive_all(&mut radio, None).await;
    for (packet, n) in packets.iter().zip(1..) {
        assert_eq!(packet.bytes, n.to_string().as_bytes());
    }
    assert_eq!(packets.len(), crate::sx127x::MAX_QUEUED_PACKETS + 49);
}

#[tokio::test]
async fn a_radio_that_always_has_a_packet_lets_other_tasks_run() {
    let lines = (0..600).map(|n| ScriptLine::new(0, n.to_string()));
    let mut radio = radio_of_script(lines.collect());
    radio.receive().await.unwrap();
    let driver_has_a_backlog = async {
        while tally(&radio).of(Fate::Read) < 590 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), driver_has_a_backlog).await.unwrap();
    let other = tokio::spawn(async { tokio::task::yield_now().await });
    let mut received = 0_u32;
    while !other.is_finished() {
        radio.receive().await.unwrap();
        received += 1;
        assert!(received < 500, "the other task never ran");
    }
}

#[tokio::test]
async fn a_script_is_played_as_written() {
    let weak = ScriptLine { rssi_dbm: -117, snr_quarter_db: -28, ..ScriptLine::new(0, "weak") };
    let corrupted = ScriptLine { corrupted: true, ..ScriptLine::new(0, "corrupted") };
    let strong = ScriptLine { rssi_dbm: -30, snr_quarter_db: 41, ..ScriptLine::new(1_500, vec![0x80; 255]) };
    let mut radio = radio_of_script(vec![ScriptLine::new(10, "usual"), weak, corrupted, strong]);
    let packets = without_times(receive_all(&mut radio, None).await);
    let expected = [
        (b"usual".to_vec(), Some(-80), Some(36), Some(0)),
        (b"weak".to_vec(), Some(-117), Some(-28), Some(0)),
        (vec![0x80; 255], Some(-30), Some(41), Some(0)),
    ];
    assert_eq!(packets, expected);
    assert_eq!(radio.ledger().counts(), LedgerCounts { sent: 4, lost_in_air: 1, heard: 3 });
    assert_eq!(radio.counters().read().crc_errors, 1);
}

#[test]
fn every_allowed_rssi_is_reported_to_1_db_and_every_allowed_snr_exactly() {
    let by_rssi = RSSI_DBM.map(|rssi_dbm| ScriptLine { rssi_dbm, ..ScriptLine::new(0, "a") });
    let by_snr = SNR_QUARTER_DB.map(|snr_quarter_db| ScriptLine { snr_quarter_db, ..ScriptLine::new(0, "a") });
    let lines: Vec<_> = by_rssi.chain(by_snr).collect();
    let packets = run(async { receive_all(&mut radio_of_script(lines.clone()), None).await });
    assert_eq!(packets.len(), lines.len());
    for (packet, line) in packets.iter().zip(&lines) {
        assert!(packet.rssi_dbm.unwrap().abs_diff(line.rssi_dbm) <= 1, "{packet:?} {line:?}");
        assert_eq!(packet.snr_quarter_db, Some(line.snr_quarter_db));
    }
}

/// Catches a driver that loses a packet which the chip flagged good, even if all other counts look right.
#[tokio::test]
async fn a_good_packet_that_the_driver_does_not_deliver_is_detected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heard");
    let lines = ["a", "b", "c"].map(|payload| ScriptLine::new(0, payload));
    let mut radio = radio_of_script(lines.to_vec()).with_ledger(&path).unwrap();
    assert_eq!(radio.receive().await.unwrap().bytes, b"a");
    // Takes a packet from the driver without the radio's knowledge.
    radio.run.as_mut().unwrap().driver.next_uncounted().await.unwrap();
    assert_eq!(radio.receive().await.unwrap().bytes, b"c");
    for _ in 0..2 {
        let error = radio.receive().await.unwrap_err();
        let expected = AccountError { read: 3, unread: 0, delivered: 2 };
        assert!(matches!(error, RadioError::Unaccounted(found) if found == expected), "{error}");
    }
    drop(radio);
    assert!(!summary_path(&path).exists(), "a summary was written although the counts are wrong");
}

/// Catches a driver that delivers the right number of packets, but with other bytes.
#[tokio::test]
async fn a_packet_that_the_driver_altered_is_detected() {
    let mut radio = radio_of_script(["a", "b"].map(|payload| ScriptLine::new(0, payload)).to_vec());
    assert_eq!(radio.receive().await.unwrap().bytes, b"a");
    let run = radio.run.as_mut().unwrap();
    run.driver.next_uncounted().await.unwrap();
    run.account.note_delivered(b"x");
    let text = radio.receive().await.unwrap_err().to_string();
    assert!(text.contains("2 were read") && text.contains("other bytes"), "{text}");
}

#[tokio::test]
async fn a_packet_is_in_the_ledger_before_it_is_delivered_and_the_summary_follows_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heard");
    let mut radio = radio_of(&traffic()).with_ledger(&path).unwrap();
    let mut expected = String::new();
    while let Ok(packet) = radio.receive().await {
        expected.extend(packet.bytes.iter().map(|byte| format!("{byte:02x}")));
        expected.push('\n');
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
    let LedgerCounts { sent, lost_in_air, heard } = radio.ledger().counts();
    assert_eq!(expected.lines().count() as u64, heard);
    let summary = fs::read_to_string(summary_path(&path)).unwrap();
    assert_eq!(summary, format!("sent {sent}\nlost_in_air {lost_in_air}\nheard {heard}\n"));
}

#[tokio::test]
async fn a_radio_dropped_in_the_middle_writes_its_summary_and_counts_undelivered_packets_as_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heard");
    let lines = (0..300).map(|n| ScriptLine::new(0, n.to_string()));
    let mut radio = radio_of_script(lines.collect()).with_ledger(&path).unwrap();
    for _ in 0..20 {
        radio.receive().await.unwrap();
    }
    assert!(!summary_path(&path).exists());
    let a_hundred_are_read = async {
        while tally(&radio).of(Fate::Read) < 100 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), a_hundred_are_read).await.unwrap();
    let ledger = radio.ledger();
    assert_eq!(ledger.counts(), LedgerCounts { sent: 20, lost_in_air: 0, heard: 20 });
    drop(radio);
    let LedgerCounts { sent, lost_in_air, heard } = ledger.counts();
    assert_balanced(ledger.counts());
    assert!(lost_in_air >= 80 && heard == 20, "{:?}", ledger.counts());
    let summary = fs::read_to_string(summary_path(&path)).unwrap();
    assert_eq!(summary, format!("sent {sent}\nlost_in_air {lost_in_air}\nheard {heard}\n"));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 20);
}

#[tokio::test]
async fn a_packet_that_cannot_be_recorded_waits_uncounted() {
    // Every write to this device fails with "no space left".
    let mut radio = radio_of_script(vec![ScriptLine::new(0, "kept")]);
    radio.file = Some(LedgerFile::unchecked(Path::new("/dev/full")).unwrap());
    for _ in 0..2 {
        let error = radio.receive().await.unwrap_err();
        assert!(matches!(&error, RadioError::Ledger(error) if error.path == Path::new("/dev/full")), "{error}");
        assert_eq!(radio.ledger().counts(), LedgerCounts::default());
        assert_eq!(radio.counters().read().received, 0);
    }
    radio.file = None;
    assert_eq!(radio.receive().await.unwrap().bytes, b"kept");
    assert_eq!(radio.counters().read().received, 1);
}

/// Catches packets that depend on the pace. The pace itself is covered by the tests of the air.
#[test]
fn the_same_packets_are_received_in_real_time() {
    let traffic = Traffic { count: Some(8), rate_per_s: 400.0, ..traffic() };
    let mut in_real_time = Simulated::from_traffic(traffic.clone()).unwrap();
    assert_eq!(in_real_time.pace, Pace::RealTime { speed: 40.0 });
    let packets = run(async { receive_all(&mut in_real_time, None).await });
    assert_eq!(without_times(packets), receive_traffic(&traffic, None).0);
}

/// Returns the numbers of the payloads that arrive. There are no repeats, and hardly a collision.
fn arrived(traffic: &Traffic) -> Vec<u64> {
    let (packets, _) = receive_traffic(traffic, None);
    let has_arrived = |payload: &[u8]| packets.iter().any(|packet| packet.0 == payload);
    let sent = Schedule::new(traffic).filter(|sent| has_arrived(&sent.payload));
    sent.map(|sent| sent.number).collect()
}

/// Catches an air that fades the same packets whatever the seed is.
#[test]
fn another_seed_loses_other_packets() {
    let thin = Traffic { rate_per_s: 0.5, repeats_mean: 0.0, loss: 0.5, corruption: 0.0, ..traffic() };
    let other = Traffic { seed: SEED + 1, ..thin.clone() };
    assert_ne!(arrived(&thin), arrived(&other));
}

/// Catches readers whose signals never change: animals walk between them and the barn.
#[tokio::test]
async fn the_signal_of_a_reader_fades() {
    let packets = receive_all(&mut radio_of(&traffic()), None).await;
    let strengths: HashSet<_> = packets.iter().map(|packet| packet.rssi_dbm).collect();
    assert!(strengths.len() > 2 * READERS, "{strengths:?}");
}

/// Catches an air that runs free although it is to run in real time: nobody would hear a demo, and a day would be a moment.
#[tokio::test]
async fn an_air_in_real_time_is_never_ahead_of_it() {
    let traffic = Traffic { count: Some(3), loss: 0.0, ..traffic() };
    let due = Schedule::new(&traffic).map(|sent| Duration::from_micros(sent.due_us).div_f64(traffic.speed()));
    let script = Script::new(vec![ScriptLine::new(200, "first"), ScriptLine::new(200, "last")]).unwrap();
    for (mut radio, at_least) in [
        (Simulated::from_traffic(traffic.clone()).unwrap(), due.max().unwrap()),
        (Simulated::from_script(script), Duration::from_millis(400)),
    ] {
        let began = Instant::now();
        assert!(!receive_all(&mut radio, None).await.is_empty());
        assert!(began.elapsed() >= at_least, "{:?} of {at_least:?}", began.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn dropped_futures_lose_and_repeat_no_packet(seed: u64, cancel_seed: u64, rate_per_s in 0.5..200.0) {
        let traffic = Traffic { seed, rate_per_s, count: Some(40), ..Traffic::default() };
        let cancel = ChaCha12Rng::seed_from_u64(cancel_seed);
        prop_assert_eq!(receive_traffic(&traffic, Some(cancel)), receive_traffic(&traffic, None));
    }

    #[test]
    fn the_ledger_balances_for_any_air(seed: u64, loss in 0.0..=1.0, corruption in 0.0..=1.0, repeats_mean in 0.0..=2.0) {
        let traffic = Traffic { seed, loss, corruption, repeats_mean, count: Some(30), ..Traffic::default() };
        let (packets, counts) = receive_traffic(&traffic, None);
        assert_balanced(counts);
        prop_assert_eq!(counts.heard, packets.len() as u64);
        prop_assert!((25..=90).contains(&counts.sent));
    }
}
