//! The loop between a radio and the recorder: no lost packet, right stamps, the true state of the radio. The handover at a
//! shutdown has tests of its own.

use super::*;
use crate::disk::{DiskGauge, DiskSpace};
use crate::test_world::{WALL_US, World};
use herd::decide::Rules;
use herd::position::Sequence;
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Air, Board02, Transmission};
use radio::lora::Modulation;
use radio::simulated::LedgerError;
use radio::sx127x::{CrcPolicy, Settings as ChipSettings, Sx127x};
use radio::{Health, HealthReporter};
use service::harness::{LogRecorder, TIMEOUT};
use service::lifecycle::ShutdownTrigger;
use service::supervisor::probe;
use std::sync::atomic::{AtomicU64, Ordering};

/// A radio that receives a scan after each pause of the test's clock, and then ends.
struct ScanRadio {
    remaining: std::ops::Range<usize>,
    pause: Duration,
}

impl Radio for ScanRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        tokio::time::sleep(self.pause).await;
        let n = self.remaining.next().ok_or(RadioError::Closed)?;
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

fn scans(count: usize, pause_ms: u64) -> ScanRadio {
    ScanRadio { remaining: 0..count, pause: Duration::from_millis(pause_ms) }
}

pub(super) fn receive_loop(world: &World, shutdown: &ShutdownTrigger) -> ReceiveLoop {
    let channel = Channel { name: "radio1".into(), reader_group: "main".into(), strip_bytes: 0 };
    ReceiveLoop {
        channel,
        recorder: world.recorder.clone(),
        clock: world.clock.clone(),
        tap: Tap::default(),
        shutdown: shutdown.signal(),
    }
}

/// The target of a probe that is never sent.
pub(super) fn unprobed() -> ProbeTarget {
    probe().1
}

pub(super) fn listening() -> (watch::Sender<RadioState>, watch::Receiver<RadioState>) {
    watch::channel(RadioState::Listening)
}

#[tokio::test(start_paused = true)]
async fn packets_are_recorded_in_order_with_their_origin_and_the_end_of_a_script_is_not_a_failure() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, seen)) = (ShutdownTrigger::default(), listening());
    assert_eq!(receive_loop(&world, &shutdown).run(scans(20, 10), state, unprobed()).await, ReceiveEnd::RadioClosed);
    assert_eq!(*seen.borrow(), RadioState::Ended);
    for n in 0..20 {
        let received = world.received(n + 2);
        assert_eq!(received.raw, format!("hxb:LOT1:LF{n}:UHF{n}").as_bytes());
        assert_eq!((received.origin.channel.as_str(), received.origin.rssi_dbm), ("radio1", Some(-80)));
    }
}

/// Catches a loop that drops its packet when the recorder refuses it: the first one would be missing.
#[tokio::test(start_paused = true)]
async fn a_packet_that_a_full_disk_refuses_is_retried_until_there_is_room() {
    let free = Arc::new(AtomicU64::new(0));
    let measured = free.clone();
    let disk = DiskGauge::new(move || Ok(DiskSpace { free_bytes: measured.load(Ordering::Relaxed), needed_bytes: 1 }));
    let world = World::new(Rules::default(), disk);
    let shutdown = ShutdownTrigger::default();
    let mut task = tokio::spawn(receive_loop(&world, &shutdown).run(scans(3, 0), listening().0, unprobed()));
    let mut status = world.recorder.status();
    tokio::select! {
        refused = status.wait_for(|status| status.last_error.is_some()) => drop(refused.unwrap()),
        ended = &mut task => panic!("a full disk took every packet: {ended:?}"),
    }
    assert_eq!(world.reader.head().position.sequence, Sequence(1));
    free.store(1, Ordering::Relaxed);
    assert_eq!(task.await.unwrap(), ReceiveEnd::RadioClosed);
    assert_eq!(world.received(2).raw, b"hxb:LOT1:LF0:UHF0");
    assert_eq!(world.reader.head().position.sequence, Sequence(4));
}

/// Catches a full disk that writes a line each second for days, to the card that it is on.
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_warned_of_once_an_hour() {
    let full = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
    let world = World::new(Rules::default(), full);
    let (shutdown, (log, _recording)) = (ShutdownTrigger::default(), LogRecorder::start());
    let task = tokio::spawn(receive_loop(&world, &shutdown).run(scans(1, 0), listening().0, unprobed()));
    tokio::time::sleep(WARNING_INTERVAL + WARNING_INTERVAL / 2).await;
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
    let warnings = log.take().into_iter().filter(|line| line.starts_with("WARN packet queued")).count();
    assert_eq!(warnings, 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_radio_that_receives_nothing() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    let task = tokio::spawn(receive_loop(&world, &shutdown).run(scans(2, 3_600_000), listening().0, unprobed()));
    tokio::task::yield_now().await;
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_writer_ends_the_loop() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    world.writer.abort();
    assert!(world.writer.await.unwrap_err().is_cancelled());
    let receive_loop = ReceiveLoop {
        channel: Channel { name: "radio1".into(), reader_group: "main".into(), strip_bytes: 0 },
        recorder: world.recorder,
        clock: world.clock,
        tap: Tap::default(),
        shutdown: shutdown.signal(),
    };
    assert_eq!(receive_loop.run(scans(2, 0), listening().0, unprobed()).await, ReceiveEnd::WriterEnded);
}

/// Catches a stamp of the time at which the packet was written instead of received.
#[tokio::test(start_paused = true)]
async fn a_delayed_packet_is_stamped_with_the_time_of_its_reception() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    world.clock.pass(Duration::from_secs(9));
    let receive_loop = receive_loop(&world, &ShutdownTrigger::default());
    let received_at = Instant::now();
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let (rssi_dbm, snr_quarter_db, frequency_error_hz) = (Some(-97), Some(-7), Some(1_200));
    let packet = Packet { bytes: vec![1], rssi_dbm, snr_quarter_db, frequency_error_hz, received_at };
    let Incoming { origin, at, .. } = stamp(&receive_loop.channel, &*receive_loop.clock, packet);
    assert_eq!((at.since_boot_ms, at.received_at_us), (7_500, WALL_US + 7_500_000));
    assert_eq!((origin.rssi_dbm, origin.snr_quarter_db), (rssi_dbm, snr_quarter_db));
    assert_eq!((origin.frequency_error_hz, origin.reader_group.as_str()), (frequency_error_hz, "main"));
}

/// A radio whose second call fails.
struct FailingRadio {
    scans: ScanRadio,
    calls: usize,
}

impl Radio for FailingRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        self.calls += 1;
        if self.calls == 2 {
            let (operation, source) = ("write the ledger", std::io::Error::other("no room"));
            return Err(LedgerError { operation, path: "/ledger".into(), source }.into());
        }
        self.scans.receive().await
    }

    fn counters(&self) -> Counters {
        self.scans.counters()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.scans.health()
    }
}

/// Catches a radio that is given up after one failure, that is asked without a pause, or whose failure nobody sees.
#[tokio::test(start_paused = true)]
async fn a_radio_that_fails_is_reported_and_asked_again_after_a_pause() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, mut seen)) = (ShutdownTrigger::default(), listening());
    let (radio, start) = (FailingRadio { scans: scans(2, 10), calls: 0 }, Instant::now());
    let task = tokio::spawn(receive_loop(&world, &shutdown).run(radio, state, unprobed()));
    let failing = seen.wait_for(RadioState::is_failing).await.unwrap().clone();
    assert!(failing.why().unwrap().contains("no room"), "{failing:?}");
    assert_eq!(task.await.unwrap(), ReceiveEnd::RadioClosed);
    assert!((RETRY_DELAY..2 * RETRY_DELAY).contains(&start.elapsed()), "the clock of the test is paused");
    assert_eq!(world.received(3).raw, b"hxb:LOT1:LF1:UHF1");
}

/// Catches a status whose receivers wake up at each packet.
#[test]
fn a_state_is_published_only_if_it_is_new() {
    let (state, mut seen) = listening();
    let publisher = StatePublisher { channel: "radio1".into(), health: HealthReporter::default().subscribe(), state };
    publisher.publish(RadioState::Listening);
    assert!(!seen.has_changed().unwrap());
    publisher.publish(RadioState::Ended);
    assert!(seen.has_changed().unwrap() && *seen.borrow_and_update() == RadioState::Ended);
}

/// A radio whose packets and health a test controls.
#[derive(Debug)]
pub(super) struct ControlledRadio {
    pub(super) packets: tokio::sync::mpsc::Receiver<Packet>,
    pub(super) counters: Counters,
    pub(super) health: HealthReporter,
}

impl Radio for ControlledRadio {
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

pub(super) fn packet(text: &str) -> Packet {
    Packet {
        bytes: text.into(),
        rssi_dbm: None,
        snr_quarter_db: None,
        frequency_error_hz: None,
        received_at: Instant::now(),
    }
}

/// Catches a failing radio that is reported as listening because it hands over packets that it received before.
#[tokio::test(start_paused = true)]
async fn the_state_of_a_radio_is_its_own_report_even_while_it_hands_over_packets() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, mut seen)) = (ShutdownTrigger::default(), listening());
    let (to_radio, packets) = tokio::sync::mpsc::channel(1);
    let health = HealthReporter::default();
    let radio = ControlledRadio { packets, counters: Counters::default(), health: health.clone() };
    let failing = Health::Failing("the chip is gone".into());
    health.report(failing.clone());
    let task = tokio::spawn(receive_loop(&world, &shutdown).run(radio, state, unprobed()));
    let reported =
        seen.wait_for(|state| *state == RadioState::Failing("the chip is gone".into())).await.unwrap().clone();
    assert_eq!(reported.why(), Some("the chip is gone"));

    to_radio.send(packet("hxb:LOT1:LF1:UHF1")).await.unwrap();
    to_radio.send(packet("hxb:LOT1:LF2:UHF2")).await.unwrap();
    world.recorder.status().wait_for(|status| status.totals.accepted == 1).await.unwrap();
    assert_eq!(*seen.borrow(), reported);

    health.report(Health::Listening);
    seen.wait_for(|state| *state == RadioState::Listening).await.unwrap();
    health.report(failing);
    seen.wait_for(|state| *state == reported).await.unwrap();
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
}

/// Catches a tap that shows only recorded packets: a listener wants to see everything on the air.
#[tokio::test(start_paused = true)]
async fn a_packet_is_shown_before_it_is_recorded() {
    let full = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
    let world = World::new(Rules::default(), full);
    let shutdown = ShutdownTrigger::default();
    let receive_loop = receive_loop(&world, &shutdown);
    let tap = receive_loop.tap.clone();
    let task = tokio::spawn(receive_loop.run(scans(2, 0), listening().0, unprobed()));
    let page = tap.after(0).await;
    assert_eq!(page.packets[0].bytes, b"hxb:LOT1:LF0:UHF0");
    assert_eq!((page.packets.len(), world.reader.head().position.sequence), (1, Sequence(1)));
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
}

/// Catches a header that is kept in front of every payload, and a packet that is lost because it has nothing else.
#[test]
fn the_bytes_that_a_library_adds_are_left_out() {
    for (strip_bytes, sent, kept) in [
        (4, b"\xff\xff\x00\x00hxb:A:B:C".as_slice(), b"hxb:A:B:C".as_slice()),
        (4, b"\xff\xff\x00\x00", b"\xff\xff\x00\x00"),
        (4, b"abc", b"abc"),
        (1, b"!hxb:A:B:C", b"hxb:A:B:C"),
        (0, b"\xff\xff\x00\x00hxb:A:B:C", b"\xff\xff\x00\x00hxb:A:B:C"),
    ] {
        assert_eq!(payload_of(sent.to_vec(), strip_bytes), kept, "{strip_bytes} of {sent:?}");
    }
}

#[test]
fn a_header_of_radiohead_is_recognized_and_text_is_not_taken_for_one() {
    for bytes in
        [b"\xff\xff\x00\x00hxb:A:B:C".as_slice(), b"\x01\x02\x2a\x00hxe:A:B:C", b"\xff\xff\x07\x00event:hxbind1"]
    {
        assert!(has_radiohead_header(bytes), "{bytes:?}");
    }
    for bytes in
        [b"hxb:hxb:A:B:C".as_slice(), b"hxb:A:B:C", b"\xff\xff\x00\x00", b"abcdhxb:A:B", b"", b"\xff\xff\x00\x00noise"]
    {
        assert!(!has_radiohead_header(bytes), "{bytes:?}");
    }
}

/// Runs the loop on an emulated chip whose air carries these transmissions, 100 ms apart, until the state matches.
async fn state_after(
    settings: ChipSettings,
    sent: impl Iterator<Item = Transmission>,
    matches: impl Fn(&RadioState) -> bool,
) -> (World, RadioState) {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, mut seen)) = (ShutdownTrigger::default(), listening());
    let air = Air::default();
    let chip = air.chip("barn");
    for (number, transmission) in (10..).zip(sent) {
        air.transmit(transmission, Duration::from_millis(100) * number).unwrap();
    }
    let radio = Sx127x::start("radio1", chip.board(), settings).unwrap();
    let task = tokio::spawn(receive_loop(&world, &shutdown).run(radio, state, unprobed()));
    let found = tokio::time::timeout(TIMEOUT, seen.wait_for(matches)).await.expect("the state comes").unwrap().clone();
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
    (world, found)
}

/// Catches a barn that drops every packet of its readers and looks healthy.
#[tokio::test]
async fn forty_packets_without_a_crc_are_named_in_the_state_of_the_radio() {
    let without_crc = |n| Transmission { crc: false, ..Transmission::of(format!("hxb:LOT1:LF{n}:UHF{n}")) };
    let settings = ChipSettings::listening(Modulation::default());
    let (world, state) = state_after(settings, (0..40).map(without_crc), RadioState::is_degraded).await;
    assert!(state.why().unwrap().contains("have no CRC"), "{state:?}");
    assert!(!state.is_failing() && state.word() == "listening");
    assert_eq!(world.reader.head().position.sequence, Sequence(1), "none was recorded");
}

#[tokio::test]
async fn packets_without_a_crc_are_recorded_if_it_is_optional() {
    let without_crc = |n| Transmission { crc: false, ..Transmission::of(format!("hxb:LOT1:LF{n}:UHF{n}")) };
    let settings = ChipSettings { crc: CrcPolicy::Optional, ..ChipSettings::listening(Modulation::default()) };
    // Readers far off frequency, so that there is a state to wait for.
    let sent = (0..40).map(|n| Transmission { crc: n >= 20, frequency_error_hz: 25_000, ..without_crc(n) });
    let (world, state) = state_after(settings, sent, RadioState::is_degraded).await;
    assert!(state.why().unwrap().contains("`frequency_hz = 915025"), "{state:?}");
    assert_eq!(world.received(2).raw, b"hxb:LOT1:LF0:UHF0");
    assert!(world.reader.head().position.sequence > Sequence(20));
}

/// A board on which the driver panics.
struct PanickingBoard;

impl Board for PanickingBoard {
    type Bus = <Board02 as Board>::Bus;
    type BusError = <Board02 as Board>::BusError;
    type Reset = <Board02 as Board>::Reset;
    type Dio0 = <Board02 as Board>::Dio0;
    type Delay = <Board02 as Board>::Delay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        panic!("a defect of the driver");
    }
}

/// Catches a barn that is deaf for ever and healthy, because the crash of its driver passes for the end of a script.
#[tokio::test]
async fn a_crash_of_the_driver_is_not_the_end_of_a_script() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let (shutdown, (state, seen)) = (ShutdownTrigger::default(), listening());
    let radio = Sx127x::start("radio1", PanickingBoard, ChipSettings::listening(Modulation::default())).unwrap();
    assert_eq!(receive_loop(&world, &shutdown).run(radio, state, unprobed()).await, ReceiveEnd::RadioCrashed);
    assert!(seen.borrow().is_failing(), "{:?}", seen.borrow());
}
