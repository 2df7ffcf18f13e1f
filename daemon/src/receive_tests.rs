//! What holds for a radio that is joined to the recorder.

use super::*;
use crate::disk::{DiskGauge, Room};
use crate::worlds::{WALL_US, World};
use herd::decide::Rules;
use herd::position::Sequence;
use radio::{Health, HealthReporter};
use service::lifecycle::ShutdownTrigger;
use service::supervisor::probe;
use std::sync::atomic::{AtomicU64, Ordering};

/// A radio that hears a scan each time a pause is over, on the clock that a test may stop, and then ends.
struct Scans {
    left: std::ops::Range<usize>,
    pause: Duration,
}

impl Radio for Scans {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        tokio::time::sleep(self.pause).await;
        let n = self.left.next().ok_or(RadioError::Closed)?;
        Ok(Packet {
            bytes: format!("hxb:LOT1:LF{n}:UHF{n}").into(),
            rssi_dbm: Some(-80),
            snr_quarter_db: None,
            frequency_error_hz: None,
            received_at: Instant::now(),
        })
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn health(&self) -> watch::Receiver<Health> {
        HealthReporter::default().subscribe()
    }
}

fn scans(count: usize, pause_ms: u64) -> Scans {
    Scans { left: 0..count, pause: Duration::from_millis(pause_ms) }
}

fn receiving(world: &World, shutdown: &ShutdownTrigger) -> Receiving {
    let channel = Channel { name: "radio1".into(), reader_group: "main".into() };
    Receiving {
        channel,
        recorder: world.recorder.clone(),
        clock: world.clock.clone(),
        tap: Tap::default(),
        shutdown: shutdown.signal(),
    }
}

/// A loop that nobody asks whether it lives.
fn unasked() -> ProbeTarget {
    probe().1
}

fn listening() -> (watch::Sender<RadioState>, watch::Receiver<RadioState>) {
    watch::channel(RadioState::Listening)
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_is_kept_in_order_with_its_origin_and_the_end_of_a_script_is_no_failure() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, seen)) = (ShutdownTrigger::default(), listening());
    assert_eq!(run(scans(20, 10), receiving(&world, &shutdown), state, unasked()).await, ReceiveEnd::RadioClosed);
    assert_eq!(*seen.borrow(), RadioState::Ended);
    for n in 0..20 {
        let received = world.received(n + 2);
        assert_eq!(received.raw, format!("hxb:LOT1:LF{n}:UHF{n}").as_bytes());
        assert_eq!((received.origin.channel.as_str(), received.origin.rssi_dbm), ("radio1", Some(-80)));
    }
}

/// Catches a loop that drops its packet when the recorder refuses it: number 1 would be missing.
#[tokio::test(start_paused = true)]
async fn a_packet_that_the_full_disk_refuses_stays_in_hand_until_there_is_room() {
    let free = Arc::new(AtomicU64::new(0));
    let seen = free.clone();
    let disk = DiskGauge::new(move || Ok(Room { free_bytes: seen.load(Ordering::Relaxed), needed_bytes: 1 }));
    let world = World::new(Rules::default(), disk);
    let shutdown = ShutdownTrigger::default();
    let task = tokio::spawn(run(scans(3, 0), receiving(&world, &shutdown), listening().0, unasked()));
    world.recorder.status().wait_for(|status| status.trouble.is_some()).await.unwrap();
    assert_eq!(world.reader.head().position.sequence, Sequence(1));
    free.store(1, Ordering::Relaxed);
    assert_eq!(task.await.unwrap(), ReceiveEnd::RadioClosed);
    assert_eq!(world.received(2).raw, b"hxb:LOT1:LF0:UHF0");
    assert_eq!(world.reader.head().position.sequence, Sequence(4));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_radio_that_hears_nothing() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    let task = tokio::spawn(run(scans(2, 3_600_000), receiving(&world, &shutdown), listening().0, unasked()));
    tokio::task::yield_now().await;
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_has_ended_ends_the_loop() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    world.ended.abort();
    assert!(world.ended.await.unwrap_err().is_cancelled());
    let receiving = Receiving {
        channel: Channel { name: "radio1".into(), reader_group: "main".into() },
        recorder: world.recorder,
        clock: world.clock,
        tap: Tap::default(),
        shutdown: shutdown.signal(),
    };
    assert_eq!(run(scans(2, 0), receiving, listening().0, unasked()).await, ReceiveEnd::WriterEnded);
}

/// Catches a stamp taken when the packet was written instead of when it was heard.
#[tokio::test(start_paused = true)]
async fn a_packet_that_waited_is_stamped_with_the_time_at_which_it_was_heard() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    world.clock.since_boot_ms.store(9_000, Ordering::Relaxed);
    let receiving = receiving(&world, &ShutdownTrigger::default());
    let heard = Instant::now();
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let packet =
        Packet { bytes: vec![1], rssi_dbm: None, snr_quarter_db: None, frequency_error_hz: None, received_at: heard };
    let at = stamp(&receiving.channel, &*receiving.clock, packet).at;
    assert_eq!((at.since_boot_ms, at.received_at_us), (7_500, WALL_US + 7_500_000));
}

/// Hears what a test sends it, and is as the test says.
struct Held {
    packets: tokio::sync::mpsc::Receiver<Packet>,
    counters: Counters,
    health: HealthReporter,
}

impl Radio for Held {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        self.packets.recv().await.ok_or(RadioError::Closed)
    }

    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}

fn packet(text: &str) -> Packet {
    Packet {
        bytes: text.into(),
        rssi_dbm: None,
        snr_quarter_db: None,
        frequency_error_hz: None,
        received_at: Instant::now(),
    }
}

/// Catches a failing radio that is told as listening because it hands over what it had heard before.
#[tokio::test(start_paused = true)]
async fn a_radio_is_told_as_it_says_itself_and_what_it_hands_over_does_not_make_it_well() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, mut seen)) = (ShutdownTrigger::default(), listening());
    let (to_radio, packets) = tokio::sync::mpsc::channel(1);
    let health = HealthReporter::default();
    let held = Held { packets, counters: Counters::default(), health: health.clone() };
    let failing = Health::Failing("the chip is gone".into());
    health.report(failing.clone());
    let task = tokio::spawn(run(held, receiving(&world, &shutdown), state, unasked()));
    let said = seen.wait_for(|state| *state == RadioState::Failing("the chip is gone".into())).await.unwrap().clone();
    assert_eq!(said.why(), Some("the chip is gone"));

    to_radio.send(packet("hxb:LOT1:LF1:UHF1")).await.unwrap();
    to_radio.send(packet("hxb:LOT1:LF2:UHF2")).await.unwrap();
    world.recorder.status().wait_for(|status| status.counts.kept == 1).await.unwrap();
    assert_eq!(*seen.borrow(), said);

    health.report(Health::Listening);
    seen.wait_for(|state| *state == RadioState::Listening).await.unwrap();
    health.report(failing);
    seen.wait_for(|state| *state == said).await.unwrap();
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
}

/// Catches a stop that throws away what the driver has taken from its chip already.
#[tokio::test(start_paused = true)]
async fn what_waits_in_the_radio_when_the_process_stops_is_recorded() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    shutdown.request();
    let (to_radio, packets) = tokio::sync::mpsc::channel(5);
    for n in 1..=5 {
        to_radio.send(packet(&format!("hxb:LOT1:LF{n}:UHF{n}"))).await.unwrap();
    }
    let held = Held { packets, counters: Counters::default(), health: HealthReporter::default() };
    assert_eq!(run(held, receiving(&world, &shutdown), listening().0, unasked()).await, ReceiveEnd::Stopped);
    assert_eq!(world.reader.head().position.sequence, Sequence(6));
    assert_eq!(world.received(6).raw, b"hxb:LOT1:LF5:UHF5");
}

/// Catches a tap that only shows what was kept: whoever listens wants to see what the air brings.
#[tokio::test(start_paused = true)]
async fn what_is_heard_is_shown_before_it_is_kept() {
    let full = DiskGauge::new(|| Ok(Room { free_bytes: 0, needed_bytes: 1 }));
    let world = World::new(Rules::default(), full);
    let shutdown = ShutdownTrigger::default();
    let receiving = receiving(&world, &shutdown);
    let tap = receiving.tap.clone();
    let task = tokio::spawn(run(scans(2, 0), receiving, listening().0, unasked()));
    let shown = tap.after(0).await;
    assert_eq!(shown.packets[0].bytes, b"hxb:LOT1:LF0:UHF0");
    assert_eq!((shown.packets.len(), world.reader.head().position.sequence), (1, Sequence(1)));
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
}
