//! What holds for a whole simulated radio. Time is paused, so that hours of traffic pass in moments.

use std::collections::HashSet;
use std::fs;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use tokio::time::timeout;

use super::*;

const SEED: u64 = 4_711;
const SECOND_US: u128 = 1_000_000;

fn traffic() -> Traffic {
    Traffic { seed: SEED, count: Some(500), ..Traffic::default() }
}

fn radio_of(traffic: &Traffic) -> Simulated {
    Simulated::of_traffic(traffic.clone()).unwrap()
}

/// A runtime whose clock stands still until all wait for it, for tests that are no `tokio::test`.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// All packets to the end of the radio. With `cancel`, futures of `receive` are dropped after times by chance.
async fn hear_all(radio: &mut Simulated, mut cancel: Option<ChaCha12Rng>) -> Vec<Packet> {
    let mut packets = Vec::new();
    loop {
        let patience_us = cancel.as_mut().map_or(u64::MAX / 1_000, |chance| chance.random_range(0..400_000));
        match timeout(Duration::from_micros(patience_us), radio.receive()).await {
            Err(_) => {}
            Ok(Ok(packet)) => packets.push(packet),
            Ok(Err(RadioError::Closed)) => return packets,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
}

/// A packet without its instant but with its time since `start`, so that two runs can be compared.
type Heard = (u128, Vec<u8>, Option<i16>, Option<i16>, Option<i32>);

fn since(start: Instant, packets: Vec<Packet>) -> Vec<Heard> {
    let heard = |packet: Packet| {
        let Packet { bytes, rssi_dbm, snr_quarter_db, frequency_error_hz, received_at } = packet;
        ((received_at - start).as_micros(), bytes, rssi_dbm, snr_quarter_db, frequency_error_hz)
    };
    packets.into_iter().map(heard).collect()
}

fn heard_of(traffic: &Traffic, cancel: Option<ChaCha12Rng>) -> (Vec<Heard>, LedgerCounts) {
    run(async {
        let mut radio = radio_of(traffic);
        let start = Instant::now();
        let heard = since(start, hear_all(&mut radio, cancel).await);
        (heard, radio.ledger().counts())
    })
}

fn assert_balanced(counts: LedgerCounts) {
    assert_eq!(counts.sent, counts.lost_in_air + counts.heard, "{counts:?}");
}

#[test]
fn the_same_seed_gives_the_same_packets_at_the_same_times() {
    println!("seed {SEED}");
    let (first, counts) = heard_of(&traffic(), None);
    assert!(first.len() > 400, "{counts:?}");
    assert_eq!((first.clone(), counts), heard_of(&traffic(), None));
    let another = heard_of(&Traffic { seed: SEED + 1, ..traffic() }, None).0;
    let shared = first.iter().filter(|heard| another.iter().any(|other| other.1 == heard.1)).count();
    assert_eq!(shared, 0, "two seeds over one barn share payloads");
}

#[test]
fn without_loss_and_corruption_all_that_is_sent_is_heard() {
    let (heard, counts) = heard_of(&Traffic { loss: 0.0, corruption: 0.0, ..traffic() }, None);
    assert_eq!(counts, LedgerCounts { sent: heard.len() as u64, lost_in_air: 0, heard: heard.len() as u64 });
    let distinct: HashSet<_> = heard.into_iter().map(|heard| heard.1).collect();
    assert_eq!(distinct, traffic().payloads().take(500).collect());
}

#[test]
fn an_air_that_loses_all_lets_the_radio_end_all_the_same() {
    let (heard, counts) = heard_of(&Traffic { loss: 1.0, ..traffic() }, None);
    assert!(heard.is_empty());
    assert_eq!(counts.sent, counts.lost_in_air);
    assert!(counts.sent >= 500);
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_pinned_seed_is_near_the_given_one() {
    println!("seed {SEED}");
    let mut radio = radio_of(&Traffic { count: Some(20_000), ..traffic() });
    let heard = hear_all(&mut radio, None).await.len() as u64;
    let counts = radio.ledger().counts();
    let crc_errors = radio.counters().read().crc_errors;
    // 20,000 payloads, each sent 1.5 times in the mean, of which 4 % are lost and 1.92 % corrupted.
    assert!(counts.sent.abs_diff(30_000) < 500, "{counts:?}");
    assert!((counts.lost_in_air - crc_errors).abs_diff(1_200) < 200, "{counts:?}");
    assert!(crc_errors.abs_diff(576) < 130, "{crc_errors}");
    assert_eq!((heard, heard), (counts.heard, radio.counters().read().received));
}

#[tokio::test(start_paused = true)]
async fn the_ledger_balances_at_every_moment() {
    let mut radio = radio_of(&traffic());
    let ledger = radio.ledger();
    let mut delivered = 0;
    while radio.receive().await.is_ok() {
        delivered += 1;
        let counts = ledger.counts();
        assert_balanced(counts);
        assert_eq!(counts.heard, delivered);
    }
    assert_balanced(ledger.counts());
}

#[tokio::test(start_paused = true)]
async fn a_closed_radio_stays_closed() {
    let mut radio = radio_of(&Traffic { count: Some(1), ..traffic() });
    hear_all(&mut radio, None).await;
    let counts = radio.ledger().counts();
    for _ in 0..3 {
        assert!(matches!(radio.receive().await, Err(RadioError::Closed)));
    }
    assert_eq!(radio.ledger().counts(), counts);
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_finds_all_packets_waiting_with_the_times_they_were_heard_at() {
    let (expected, _) = heard_of_here(&traffic(), Duration::ZERO).await;
    let (late, counts) = heard_of_here(&traffic(), Duration::from_secs(3)).await;
    assert_eq!(late, expected);
    assert_balanced(counts);
}

async fn heard_of_here(traffic: &Traffic, pause: Duration) -> (Vec<Heard>, LedgerCounts) {
    let mut radio = radio_of(traffic);
    let (start, mut packets) = (Instant::now(), Vec::new());
    while let Ok(packet) = radio.receive().await {
        packets.push(packet);
        tokio::time::sleep(pause).await;
    }
    (since(start, packets), radio.ledger().counts())
}

#[tokio::test(start_paused = true)]
async fn a_fast_traffic_keeps_its_rate_on_the_clock() {
    let traffic = Traffic { rate_per_s: 100_000.0, seconds: Some(1.0), count: None, repeats_mean: 0.0, ..traffic() };
    let mut radio = radio_of(&traffic);
    let start = Instant::now();
    hear_all(&mut radio, None).await;
    assert!(start.elapsed() <= Duration::from_millis(1_001), "{:?}", start.elapsed());
    // The last pen may be cut by the end, with what it is ahead of its time: 200 animals at most.
    assert!(radio.ledger().counts().sent.abs_diff(100_000) < 1_000, "{:?}", radio.ledger().counts());
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_is_always_ready_lets_other_tasks_run() {
    let mut radio = radio_of(&Traffic { rate_per_s: 100_000.0, count: None, loss: 0.5, ..traffic() });
    radio.receive().await.unwrap();
    // A backlog of a million packets: nothing below ever waits for the clock.
    tokio::time::advance(Duration::from_secs(10)).await;
    let other = tokio::spawn(async { tokio::task::yield_now().await });
    let mut received = 0_u32;
    while !other.is_finished() {
        radio.receive().await.unwrap();
        received += 1;
        assert!(received < 10_000, "the other task never ran");
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_is_heard_at_its_times_and_ends() {
    let script: Script = "+10 a\n+0 b\n+1500 c".parse().unwrap();
    let mut radio = Simulated::of_script(script);
    let start = Instant::now();
    let heard = since(start, hear_all(&mut radio, None).await);
    let times: Vec<_> = heard.iter().map(|heard| (heard.0, heard.1.as_slice())).collect();
    assert_eq!(times, [(10_000, b"a".as_slice()), (10_000, b"b"), (1_510_000, b"c")]);
    assert_eq!(radio.ledger().counts(), LedgerCounts { sent: 3, lost_in_air: 0, heard: 3 });
}

#[tokio::test(start_paused = true)]
async fn the_record_holds_a_packet_before_it_is_delivered_and_the_summary_stands_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heard");
    let mut radio = radio_of(&Traffic { count: Some(50), ..traffic() }).with_ledger(&path).unwrap();
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

#[tokio::test(start_paused = true)]
async fn a_radio_that_is_dropped_in_the_middle_leaves_its_summary_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heard");
    let mut radio = radio_of(&traffic()).with_ledger(&path).unwrap();
    for _ in 0..20 {
        radio.receive().await.unwrap();
    }
    assert!(!summary_path(&path).exists());
    let LedgerCounts { sent, lost_in_air, heard } = radio.ledger().counts();
    drop(radio);
    let summary = fs::read_to_string(summary_path(&path)).unwrap();
    assert_eq!(summary, format!("sent {sent}\nlost_in_air {lost_in_air}\nheard {heard}\n"));
    assert_eq!((heard, fs::read_to_string(&path).unwrap().lines().count()), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_cannot_be_recorded_waits_uncounted() {
    // Every write to this device fails for want of space.
    let mut radio = radio_of(&Traffic { loss: 0.0, corruption: 0.0, ..traffic() });
    let expected = traffic().payloads().next().unwrap();
    radio.record = Some(Record::unchecked(Path::new("/dev/full")).unwrap());
    for _ in 0..2 {
        let error = radio.receive().await.unwrap_err();
        assert!(matches!(&error, RadioError::Ledger(error) if error.path == Path::new("/dev/full")), "{error}");
        assert_eq!(radio.ledger().counts(), LedgerCounts::default());
        assert_eq!(radio.counters().read().received, 0);
    }
    radio.record = None;
    assert_eq!(radio.receive().await.unwrap().bytes, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn dropped_futures_lose_nothing_and_repeat_nothing(seed: u64, cancel_seed: u64, rate_per_s in 0.5..200.0) {
        let traffic = Traffic { seed, rate_per_s, count: Some(150), ..Traffic::default() };
        let cancel = ChaCha12Rng::seed_from_u64(cancel_seed);
        prop_assert_eq!(heard_of(&traffic, Some(cancel)), heard_of(&traffic, None));
    }

    #[test]
    fn the_ledger_balances_for_any_air(seed: u64, loss in 0.0..=1.0, corruption in 0.0..=1.0, repeats_mean in 0.0..=2.0) {
        let traffic = Traffic { seed, loss, corruption, repeats_mean, count: Some(100), ..Traffic::default() };
        let (heard, counts) = heard_of(&traffic, None);
        assert_balanced(counts);
        prop_assert_eq!(counts.heard, heard.len() as u64);
        prop_assert!((100..=300).contains(&counts.sent));
    }

    #[test]
    fn nothing_is_sent_from_the_end_on(seed: u64, seconds in 0.0..60.0) {
        let traffic = Traffic { seed, seconds: Some(seconds), ..Traffic::default() };
        let (heard, _) = heard_of(&traffic, None);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "60 s at most")]
        let end_us = (seconds * 1e6) as u128;
        prop_assert!(heard.iter().all(|heard| heard.0 < end_us && end_us <= 60 * SECOND_US));
    }
}
