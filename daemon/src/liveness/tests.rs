//! States that count as alive or not, with the production loop and writer on a paused clock.

use super::*;
use crate::disk::{DiskGauge, DiskSpace};
use crate::receive::{Channel, RadioState, ReceiveEnd, ReceiveLoop};
use crate::recorder::{QUEUE_PAYLOADS, RecorderSeams};
use crate::tap::Tap;
use crate::test_world::{World, clock, scan, store_on};
use herd::decide::Rules;
use herd::store::{JOURNAL_FILE, MemoryDisk};
use radio::simulated::LedgerError;
use radio::{Counters, Health, HealthReporter, Packet, Radio, RadioError};
use service::lifecycle::ShutdownTrigger;
use service::supervisor::{Notification, Supervisor, Watchdog, feed_watchdog, probe};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const WATCHDOG: Watchdog = Watchdog { period: Duration::from_secs(30) };
const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);
/// Number of packets that no barn asks for without room. A busy radio that goes on would stop the paused clock for ever.
const MAX_PACKETS: u32 = 1_000;

/// A radio with one kind of behavior.
#[derive(Clone, Copy)]
enum StubRadio {
    Silent,
    /// Returns a packet at each call, as many as this. A barn that cannot take any asks for a few.
    Busy(u32),
    /// Fails at each call.
    Failing,
    /// Its script is over.
    Closed,
}

impl Radio for StubRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        match self {
            Self::Silent => std::future::pending().await,
            Self::Busy(left) => {
                *left = left.checked_sub(1).expect("the barn takes packets, and is to have no room for them");
                Ok(Packet {
                    bytes: b"hxb:LOT1:LF1:UHF1".to_vec(),
                    rssi_dbm: None,
                    snr_quarter_db: None,
                    frequency_error_hz: None,
                    received_at: Instant::now(),
                })
            }
            Self::Failing => Err(RadioError::Ledger(LedgerError {
                operation: "write the ledger",
                path: "/ledger".into(),
                source: std::io::Error::other("no room"),
            })),
            Self::Closed => Err(RadioError::Closed),
        }
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn health(&self) -> watch::Receiver<Health> {
        HealthReporter::default().subscribe()
    }
}

/// The check of a barn with one radio, and the trigger that keeps the radio's loop running.
struct Barn {
    check: LivenessCheck,
    _shutdown: ShutdownTrigger,
}

/// Returns the check, and the loop of its radio as a future.
fn barn(recorder: &Recorder, radio: StubRadio) -> (Barn, impl Future<Output = ReceiveEnd> + use<>) {
    let shutdown = ShutdownTrigger::default();
    let (state, state_receiver) = watch::channel(RadioState::Listening);
    let (probe, probe_target) = probe();
    let receive_loop = ReceiveLoop {
        channel: Channel { name: "chute".into(), reader_group: "main".into(), strip_bytes: 0 },
        recorder: recorder.clone(),
        clock: Arc::new(clock()),
        tap: Tap::default(),
        shutdown: shutdown.signal(),
    };
    let handle = RadioHandle {
        name: "chute".into(),
        state: state_receiver,
        counters: Counters::default(),
        transmitter: None,
        probe: Arc::new(probe),
    };
    let check = LivenessCheck::new(recorder.clone(), vec![handle]);
    (Barn { check, _shutdown: shutdown }, receive_loop.run(radio, state, probe_target))
}

/// Returns the longest time without a sign of life, including the time between the last one and the end.
async fn longest_gap(check: &LivenessCheck, over: Duration) -> Duration {
    let signs = Arc::new(Mutex::new(vec![Instant::now()]));
    let recorded = signs.clone();
    let supervisor = Supervisor::from_fn(move |notification| {
        assert_eq!(notification, Notification::Alive);
        recorded.lock().unwrap().push(Instant::now());
    });
    tokio::select! {
        never = feed_watchdog(supervisor, WATCHDOG, |within| check.clone().unresponsive(within)) => match never {},
        () = sleep(over) => {}
    }
    let mut signs = signs.lock().unwrap();
    signs.push(Instant::now());
    signs.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

async fn longest_gap_with(radio: StubRadio, disk: DiskGauge, over: Duration) -> Duration {
    let world = World::new(Rules::default(), disk);
    let (barn, receiving) = barn(&world.recorder, radio);
    let receiving = tokio::spawn(receiving);
    let gap = longest_gap(&barn.check, over).await;
    if receiving.is_finished() {
        receiving.await.expect("the loop has not panicked");
    }
    gap
}

#[tokio::test(start_paused = true)]
async fn a_barn_without_packets_is_alive_all_day() {
    let gap = longest_gap_with(StubRadio::Silent, DiskGauge::plenty(), DAY).await;
    assert!(gap <= WATCHDOG.period, "{gap:?}");
}

/// Catches a loop that answers probes only while it waits for the radio: here it retries one packet again and again.
#[tokio::test(start_paused = true)]
async fn a_barn_with_a_full_disk_is_alive() {
    let full = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
    let gap = longest_gap_with(StubRadio::Busy(MAX_PACKETS), full, HOUR).await;
    assert!(gap <= WATCHDOG.period, "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_barn_is_alive_with_a_dead_radio_and_after_the_end_of_a_script() {
    for radio in [StubRadio::Failing, StubRadio::Closed] {
        let gap = longest_gap_with(radio, DiskGauge::plenty(), HOUR).await;
        assert!(gap <= WATCHDOG.period, "{gap:?}");
    }
}

/// Catches a probe that needs the room of payloads: a flood would look like a stuck writer.
#[tokio::test(start_paused = true)]
async fn a_barn_with_a_full_queue_is_alive() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let _room = world.recorder.take_all_room().await;
    let (barn, receiving) = barn(&world.recorder, StubRadio::Busy(MAX_PACKETS));
    let _receiving = tokio::spawn(receiving);
    let gap = longest_gap(&barn.check, HOUR).await;
    assert!(gap <= WATCHDOG.period, "{gap:?}");
}

/// Catches a probe that overtakes queued payloads: it would report a live writer while the queue stands still.
#[tokio::test]
async fn a_probe_is_answered_in_turn() {
    let (recorder, writer) =
        Recorder::on_this_task(store_on(&MemoryDisk::default(), Rules::default()), seams()).unwrap();
    // All three are queued before the writer is polled. Without the probe the payloads would form one group.
    let all = async { tokio::join!(recorder.record(scan(1)), recorder.probe(), recorder.record(scan(2))) };
    tokio::select! {
        biased;
        (before, (), after) = all => assert!(before.is_ok() && after.is_ok()),
        _ = writer => panic!("the writer has ended"),
    }
    assert_eq!(recorder.status().borrow().totals.groups, 2);
}

#[tokio::test]
async fn at_most_one_probe_is_queued_and_it_takes_no_room_of_payloads() {
    let (recorder, writer) =
        Recorder::on_this_task(store_on(&MemoryDisk::default(), Rules::default()), seams()).unwrap();
    let mut probes: Vec<_> = (0..100).map(|_| recorder.probe().boxed()).collect();
    for probe in &mut probes {
        assert!(probe.now_or_never().is_none());
    }
    assert_eq!(recorder.queued(), 0);
    let mut payloads: Vec<_> = (0..QUEUE_PAYLOADS).map(|n| recorder.record(scan(n)).boxed()).collect();
    for payload in &mut payloads {
        assert!(payload.now_or_never().is_none(), "there is room for each");
    }
    let _writer = tokio::spawn(writer);
    join_all(probes).await;
    assert!(payloads.pop().unwrap().await.is_ok());
}

#[tokio::test]
async fn a_stuck_loop_is_named() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (barn, receiving) = barn(&world.recorder, StubRadio::Silent);
    // The loop is never polled.
    assert_eq!(barn.check.unresponsive(Duration::from_millis(10)).await, ["the loop of `chute`"]);
    drop(receiving);
}

/// Catches signs of life from a timer, or from a queue that accepts tasks but never runs them.
#[tokio::test(start_paused = true)]
async fn a_stuck_commit_is_not_alive_until_it_returns() {
    let disk = MemoryDisk::default();
    let (recorder, mut writer) = Recorder::on_thread(store_on(&disk, Rules::default()), seams()).unwrap();
    let held = disk.hold_syncs(JOURNAL_FILE).expect("a store has a log");
    let mut stuck = recorder.record(scan(1)).boxed();
    assert!((&mut stuck).now_or_never().is_none());
    let (barn, receiving) = barn(&recorder, StubRadio::Silent);
    let _receiving = tokio::spawn(receiving);
    assert_eq!(longest_gap(&barn.check, HOUR).await, HOUR, "there was a sign of life");
    assert_eq!(barn.check.clone().unresponsive(WATCHDOG.probe_timeout()).await, ["the writer"]);

    drop(held);
    tokio::time::resume();
    assert!(stuck.await.is_ok());
    assert_eq!(barn.check.unresponsive(Duration::from_secs(10)).await, [""; 0]);
    recorder.shut_down();
    writer.ended().await.unwrap();
}

fn seams() -> RecorderSeams {
    RecorderSeams { disk: DiskGauge::plenty(), local: None }
}
