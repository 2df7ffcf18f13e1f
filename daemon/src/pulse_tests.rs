//! What is alive and what is not: the shipped loop and the shipped writer, on a clock that jumps.

use super::*;
use crate::disk::{DiskGauge, Room};
use crate::receive::{self, Channel, RadioState, ReceiveEnd, Receiving};
use crate::recorder::{QUEUE_PAYLOADS, RecorderSeams};
use crate::tap::Tap;
use crate::worlds::{HandClock, World, scan, store_on};
use herd::decide::Rules;
use herd::store::{LOG_FILE, MemoryDisk};
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

/// How a radio behaves.
#[derive(Clone, Copy)]
enum Hears {
    Nothing,
    /// A packet whenever it is asked.
    Always,
    /// It fails each time.
    Fails,
    /// Its script is over.
    NoMore,
}

impl Radio for Hears {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Always => Ok(Packet {
                bytes: b"hxb:LOT1:LF1:UHF1".to_vec(),
                rssi_dbm: None,
                snr_quarter_db: None,
                frequency_error_hz: None,
                received_at: Instant::now(),
            }),
            Self::Fails => Err(RadioError::Ledger(LedgerError {
                operation: "write the ledger",
                path: "/ledger".into(),
                source: std::io::Error::other("no room"),
            })),
            Self::NoMore => Err(RadioError::Closed),
        }
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn health(&self) -> watch::Receiver<Health> {
        HealthReporter::default().subscribe()
    }
}

/// A barn with one radio, and the switch that stops it.
struct Barn {
    pulse: Pulse,
    _stop: ShutdownTrigger,
}

/// The loop of a radio as a future, and the barn that asks it.
fn barn(recorder: &Recorder, hears: Hears) -> (Barn, impl Future<Output = ReceiveEnd> + use<>) {
    let stop = ShutdownTrigger::default();
    let (state, seen) = watch::channel(RadioState::Listening);
    let (asker, answerer) = probe();
    let receiving = Receiving {
        channel: Channel { name: "chute".into(), reader_group: "main".into() },
        recorder: recorder.clone(),
        clock: Arc::new(HandClock::default()),
        tap: Tap::default(),
        shutdown: stop.signal(),
    };
    let listened = ListenedRadio {
        name: "chute".into(),
        state: seen,
        counters: Counters::default(),
        transmitter: None,
        asker: Arc::new(asker),
    };
    let pulse = Pulse::new(recorder.clone(), vec![listened]);
    (Barn { pulse, _stop: stop }, receive::run(hears, receiving, state, answerer))
}

/// The longest time without a sign of life, the one from the last to the end among them.
async fn longest_gap(pulse: &Pulse, over: Duration) -> Duration {
    let signs = Arc::new(Mutex::new(vec![Instant::now()]));
    let told = signs.clone();
    let supervisor = Supervisor::from_fn(move |word| {
        assert_eq!(word, Notification::Alive);
        told.lock().unwrap().push(Instant::now());
    });
    tokio::select! {
        never = feed_watchdog(supervisor, WATCHDOG, |within| pulse.clone().silent(within)) => match never {},
        () = sleep(over) => {}
    }
    let mut signs = signs.lock().unwrap();
    signs.push(Instant::now());
    signs.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

async fn longest_gap_of(hears: Hears, disk: DiskGauge, over: Duration) -> Duration {
    let world = World::new(Rules::default(), disk);
    let (barn, hearing) = barn(&world.recorder, hears);
    let _hearing = tokio::spawn(hearing);
    longest_gap(&barn.pulse, over).await
}

#[tokio::test(start_paused = true)]
async fn a_day_without_a_packet_is_alive() {
    let gap = longest_gap_of(Hears::Nothing, DiskGauge::plenty(), DAY).await;
    assert!(gap <= WATCHDOG.period, "{gap:?}");
}

/// Catches a loop that answers only while it waits for the radio: it holds one packet and tries again and again.
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_alive() {
    let full = DiskGauge::new(|| Ok(Room { free_bytes: 0, needed_bytes: 1 }));
    let gap = longest_gap_of(Hears::Always, full, HOUR).await;
    assert!(gap <= WATCHDOG.period, "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_radio_is_alive_and_so_is_one_whose_script_is_over() {
    for hears in [Hears::Fails, Hears::NoMore] {
        let gap = longest_gap_of(hears, DiskGauge::plenty(), HOUR).await;
        assert!(gap <= WATCHDOG.period, "{gap:?}");
    }
}

/// Catches a probe that needs a place that payloads take: a flood would look like a writer that hangs.
#[tokio::test(start_paused = true)]
async fn a_queue_without_room_is_alive() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let _room = world.recorder.hold_all_room().await;
    let (barn, hearing) = barn(&world.recorder, Hears::Always);
    let _hearing = tokio::spawn(hearing);
    let gap = longest_gap(&barn.pulse, HOUR).await;
    assert!(gap <= WATCHDOG.period, "{gap:?}");
}

/// Catches a probe that overtakes what waits: it would say "alive" while nothing is worked off.
#[tokio::test]
async fn a_probe_takes_its_turn_between_two_groups() {
    let (recorder, writer) =
        Recorder::on_this_task(store_on(&MemoryDisk::default(), Rules::default()), seams()).unwrap();
    // Queued in this order before the writer is polled: without the probe the two would be one group.
    let all = async { tokio::join!(recorder.record(scan(1)), recorder.probe(), recorder.record(scan(2))) };
    tokio::select! {
        biased;
        (before, (), after) = all => assert!(before.is_ok() && after.is_ok()),
        _ = writer => panic!("the writer has ended"),
    }
    assert_eq!(recorder.status().borrow().counts.groups, 2);
}

#[tokio::test]
async fn however_often_it_is_asked_one_probe_waits_and_takes_no_place_of_a_payload() {
    let (recorder, writer) =
        Recorder::on_this_task(store_on(&MemoryDisk::default(), Rules::default()), seams()).unwrap();
    let mut probes: Vec<_> = (0..100).map(|_| recorder.probe().boxed()).collect();
    for probe in &mut probes {
        assert!(probe.now_or_never().is_none());
    }
    assert_eq!(recorder.queued(), 0);
    let mut payloads: Vec<_> = (0..QUEUE_PAYLOADS).map(|n| recorder.record(scan(n)).boxed()).collect();
    for payload in &mut payloads {
        assert!(payload.now_or_never().is_none(), "there is a place for each");
    }
    let _writer = tokio::spawn(writer);
    join_all(probes).await;
    assert!(payloads.pop().unwrap().await.is_ok());
}

#[tokio::test]
async fn a_loop_that_does_not_go_round_is_named() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (barn, hearing) = barn(&world.recorder, Hears::Nothing);
    // Nobody polls it.
    assert_eq!(barn.pulse.silent(Duration::from_millis(10)).await, ["the loop of `chute`"]);
    drop(hearing);
}

/// Catches signs of life that come from a timer, or from a queue that takes things in and works nothing off.
#[tokio::test(start_paused = true)]
async fn a_writer_whose_commit_never_returns_is_not_alive_and_lives_again_when_it_does() {
    let disk = MemoryDisk::default();
    let (recorder, mut writer) = Recorder::on_thread(store_on(&disk, Rules::default()), seams()).unwrap();
    let held = disk.hold_syncs(LOG_FILE).expect("a store has a log");
    let mut stuck = recorder.record(scan(1)).boxed();
    assert!((&mut stuck).now_or_never().is_none());
    let (barn, hearing) = barn(&recorder, Hears::Nothing);
    let _hearing = tokio::spawn(hearing);
    assert_eq!(longest_gap(&barn.pulse, HOUR).await, HOUR, "there was a sign of life");
    assert_eq!(barn.pulse.clone().silent(WATCHDOG.probe_timeout()).await, ["the writer"]);

    drop(held);
    tokio::time::resume();
    assert!(stuck.await.is_ok());
    assert_eq!(barn.pulse.silent(Duration::from_secs(10)).await, [""; 0]);
    recorder.stop();
    writer.ended().await.unwrap();
}

fn seams() -> RecorderSeams {
    RecorderSeams { disk: DiskGauge::plenty(), local: None }
}
