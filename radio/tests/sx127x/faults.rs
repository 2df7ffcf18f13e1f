//! Failing chips and lines: each is reported with its type, counted, and recovered from once the cause is gone.

use super::barn::{BEGIN, Barn, failing, listening, packet, start, until};
use embedded_hal_02::blocking::spi::Write;
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Board02, DeadBus, Faults, LostEdges, Register, StuckLine, Transmission};
use radio::lora::{Bandwidth, Modulation};
use radio::sx127x::{ChipError, LineCheck, MAX_QUEUED_PACKETS, Settings, Sx127x, examine};
use radio::{Health, Radio, RadioError};
use std::sync::{Arc, Weak};
use std::time::Duration;

fn last_error(radio: &Sx127x) -> Arc<ChipError> {
    radio.last_error().borrow().clone().expect("there was an error")
}

/// Checks that a listening radio reports faults with the expected error, and that it recovers and counts once they end.
async fn fails_and_recovers(faults: Faults, is_expected: impl Fn(&ChipError) -> bool) {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    barn.chip.set_faults(faults);
    let sentence = failing(&radio).await;
    println!("{sentence}");
    assert!(is_expected(&last_error(&radio)), "{:?}", last_error(&radio));
    barn.chip.set_faults(Faults::default());
    listening(&radio).await;
    assert!(radio.counters().read().rebuilt > 0);
    barn.send_in(BEGIN, b"well again");
    assert_eq!(packet(&mut radio).await.bytes, b"well again");
}

#[tokio::test]
async fn the_radio_recovers_from_a_bus_of_ones() {
    let faults = Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() };
    fails_and_recovers(faults, |error| matches!(error, ChipError::Dead { byte: 0xFF, .. })).await;
}

#[tokio::test]
async fn the_radio_recovers_from_a_bus_of_zeros() {
    let faults = Faults { dead_bus: Some(DeadBus::Zeros), ..Faults::default() };
    fails_and_recovers(faults, |error| matches!(error, ChipError::Dead { byte: 0x00, .. })).await;
}

#[tokio::test]
async fn the_radio_recovers_from_transfers_that_the_system_refuses() {
    let faults = Faults { failing_bus: true, ..Faults::default() };
    fails_and_recovers(faults, |error| matches!(error, ChipError::Bus { .. })).await;
}

#[tokio::test]
async fn the_radio_recovers_once_an_unsupported_chip_is_replaced() {
    let faults = Faults { version: Some(0x22), ..Faults::default() };
    fails_and_recovers(faults, |error| matches!(error, ChipError::UnsupportedVersion { version: 0x22 })).await;
}

#[tokio::test]
async fn a_spontaneous_reset_is_found_without_traffic() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    for times in 1..=3 {
        barn.chip.reset_spontaneously();
        until("the chip is set up again", || radio.counters().read().rebuilt == times).await;
        assert!(matches!(*last_error(&radio), ChipError::UnexpectedReset));
        listening(&radio).await;
        barn.send_in(BEGIN, &[9; 20]);
        assert_eq!(packet(&mut radio).await.bytes, [9; 20]);
    }
}

#[tokio::test]
async fn a_changed_setting_is_found_without_traffic() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    // Like interference on the wires. The mode does not show it.
    barn.chip.spi02().write(&[0x80 | Register::SyncWord as u8, 0x55]).unwrap();
    until("the chip is set up again", || radio.counters().read().rebuilt == 1).await;
    assert!(matches!(*last_error(&radio), ChipError::Register { found: 0x55, expected: 0x12, .. }));
    barn.send_in(BEGIN, b"in tune again");
    assert_eq!(packet(&mut radio).await.bytes, b"in tune again");
}

#[tokio::test]
async fn a_recorder_that_takes_no_packets_loses_none() {
    const PACKETS: usize = MAX_QUEUED_PACKETS + 300;
    let barn = Barn::new(1);
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let each = modulation.air_time(2) + Duration::from_millis(1);
    let mut at = BEGIN;
    for number in 0..PACKETS {
        let payload = u16::try_from(number).unwrap().to_le_bytes();
        barn.air.transmit(Transmission { modulation, ..Transmission::of(payload) }, at).unwrap();
        at += each;
    }
    let mut radio = barn.radio(modulation);
    air_stops(&barn).await;
    assert!(barn.air.now() < at, "the radio did not wait for room");
    for number in 0..PACKETS {
        assert_eq!(packet(&mut radio).await.bytes, u16::try_from(number).unwrap().to_le_bytes());
    }
}

/// Waits until the air's clock stops, because the driver waits for room.
async fn air_stops(barn: &Barn) {
    let mut last = (barn.air.now(), 0);
    until("the radio waits for room", || {
        let now = barn.air.now();
        last = if now > last.0 || now < BEGIN { (now, 0) } else { (now, last.1 + 1) };
        last.1 > 50
    })
    .await;
}

#[tokio::test]
async fn the_radio_recovers_from_a_brown_out() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    barn.chip.brown_out(Duration::from_secs(2));
    until("the chip is set up again", || radio.counters().read().rebuilt == 1).await;
    assert!(matches!(*last_error(&radio), ChipError::Dead { byte: 0, .. }), "{:?}", last_error(&radio));
    listening(&radio).await;
    barn.send_in(BEGIN, b"light again");
    assert_eq!(packet(&mut radio).await.bytes, b"light again");
}

/// Checks that a radio with this fault of DIO0 receives all of 40 packets, reports the fault, and never stops
/// listening.
async fn receives_all_by_polling(faults: Faults, least_rescued: u64) {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    barn.chip.set_faults(faults);
    for number in 0..40_u8 {
        barn.send_in(BEGIN + Duration::from_millis(150) * u32::from(number), &[number; 50]);
    }
    for number in 0..40_u8 {
        assert_eq!(packet(&mut radio).await.bytes, [number; 50]);
    }
    assert!(matches!(*last_error(&radio), ChipError::SilentDio0 { .. }), "{:?}", last_error(&radio));
    assert_eq!(*radio.health().borrow(), Health::Listening);
    // A rescue is counted at the end of its look; the packet may be delivered before.
    until("all rescues are counted", || radio.counters().read().rescued >= least_rescued).await;
    assert_eq!(radio.counters().read().rebuilt, 0);
}

#[tokio::test]
async fn a_dio0_stuck_high_loses_no_packet() {
    // One edge comes when the line rises.
    receives_all_by_polling(Faults { stuck_dio0: Some(StuckLine::High), ..Faults::default() }, 39).await;
}

#[tokio::test]
async fn a_dio0_stuck_low_loses_no_packet() {
    receives_all_by_polling(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() }, 40).await;
}

#[tokio::test]
async fn losing_every_edge_loses_no_packet() {
    receives_all_by_polling(Faults { lost_edges: Some(LostEdges::EveryNth(1)), ..Faults::default() }, 40).await;
}

#[tokio::test]
async fn nothing_is_counted_as_rescued_if_no_edge_is_lost() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    for number in 0..40_u8 {
        barn.send_in(BEGIN + Duration::from_millis(150) * u32::from(number), &[number; 50]);
    }
    for number in 0..40_u8 {
        assert_eq!(packet(&mut radio).await.bytes, [number; 50]);
    }
    assert_eq!(radio.counters().read().rescued, 0);
}

/// A board that connects after some failures. Panics if `refusals_left` is `None`.
struct LateBoard {
    refusals_left: Option<u32>,
    board: Board02,
}

impl Board for LateBoard {
    type Bus = <Board02 as Board>::Bus;
    type BusError = <Board02 as Board>::BusError;
    type Reset = <Board02 as Board>::Reset;
    type Dio0 = <Board02 as Board>::Dio0;
    type Delay = <Board02 as Board>::Delay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let refusals_left = self.refusals_left.as_mut().expect("this test needs a panic");
        if *refusals_left > 0 {
            *refusals_left -= 1;
            return Err(BoardError::NoSpi { path: "/dev/spidev9.9".to_owned() });
        }
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus, reset, dio0, delay })
    }
}

#[tokio::test]
async fn a_board_that_does_not_exist_yet_is_reported_and_awaited() {
    let barn = Barn::new(1);
    let radio = start(LateBoard { refusals_left: Some(2), board: barn.chip.board() }, Modulation::default(), None);
    until(
        "the radio reports the missing device",
        || matches!(&*radio.health().borrow(), Health::Failing(sentence) if sentence.contains("/dev/spidev9.9")),
    )
    .await;
    assert!(matches!(*last_error(&radio), ChipError::Board(BoardError::NoSpi { .. })));
    listening(&radio).await;
}

#[tokio::test]
async fn a_dropped_radio_leaves_the_chip_in_sleep() {
    let barn = Barn::new(1);
    let radio = barn.radio(Modulation::default());
    listening(&radio).await;
    drop(radio);
    assert_eq!(barn.chip.register(Register::OpMode) & 0x87, 0x80);
}

#[tokio::test]
async fn dropping_a_radio_ends_its_thread_in_every_state() {
    for faults in [
        Faults::default(),
        Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() },
        Faults { failing_bus: true, ..Faults::default() },
        Faults { stuck_dio0: Some(StuckLine::High), ..Faults::default() },
    ] {
        let barn = Barn::new(1);
        let (board, alive) = tracked(&barn);
        barn.chip.set_faults(faults);
        let radio = start(board, Modulation::default(), None);
        if faults.dead_bus.is_some() || faults.failing_bus {
            failing(&radio).await;
        } else {
            listening(&radio).await;
        }
        assert!(alive.upgrade().is_some());
        drop(radio);
        // The thread owned the board.
        assert!(alive.upgrade().is_none());
    }
}

#[tokio::test]
async fn dropping_a_radio_that_waits_for_room_ends_its_thread() {
    let barn = Barn::new(1);
    for number in 0..=MAX_QUEUED_PACKETS {
        barn.send_in(BEGIN + Duration::from_millis(50) * u32::try_from(number).unwrap(), b"?");
    }
    let (board, alive) = tracked(&barn);
    let radio = start(board, Modulation::default(), None);
    air_stops(&barn).await;
    drop(radio);
    assert!(alive.upgrade().is_none());
}

#[tokio::test]
async fn a_panic_of_the_thread_is_reported_and_is_not_the_end_of_a_script() {
    let barn = Barn::new(1);
    let mut radio = start(LateBoard { refusals_left: None, board: barn.chip.board() }, Modulation::default(), None);
    for _ in 0..2 {
        assert!(matches!(radio.receive().await, Err(RadioError::Crashed { .. })));
    }
    until(
        "the radio reports the defect",
        || matches!(&*radio.health().borrow(), Health::Failing(why) if why.contains("defect")),
    )
    .await;
}

fn tracked(barn: &Barn) -> (TrackedBoard, Weak<()>) {
    let board = TrackedBoard { board: barn.chip.board(), alive: Arc::default() };
    let alive = Arc::downgrade(&board.alive);
    (board, alive)
}

/// A board whose lifetime a test can observe.
struct TrackedBoard {
    board: Board02,
    alive: Arc<()>,
}

impl Board for TrackedBoard {
    type Bus = <Board02 as Board>::Bus;
    type BusError = <Board02 as Board>::BusError;
    type Reset = <Board02 as Board>::Reset;
    type Dio0 = <Board02 as Board>::Dio0;
    type Delay = <Board02 as Board>::Delay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus, reset, dio0, delay })
    }
}

#[test]
fn an_examination_reports_lines_and_noise() {
    let barn = Barn::new(1);
    let settings = Settings::listening(Modulation::default());
    let found = examine(&mut barn.chip.board(), &settings).unwrap();
    println!("{found:?}");
    assert_eq!((found.reset, found.dio0), (LineCheck::Works, LineCheck::Works));
    assert_eq!(barn.chip.register(Register::OpMode) & 0x87, 0x80);

    barn.chip.set_faults(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() });
    let found = examine(&mut barn.chip.board10(), &settings).unwrap();
    assert_eq!((found.reset, found.dio0), (LineCheck::Works, LineCheck::Dead));

    barn.chip.set_faults(Faults { dead_reset: true, ..Faults::default() });
    let found = examine(&mut barn.chip.board(), &settings).unwrap();
    assert_eq!((found.reset, found.dio0), (LineCheck::Dead, LineCheck::Works));

    barn.chip.set_faults(Faults { dead_bus: Some(DeadBus::Zeros), ..Faults::default() });
    assert!(matches!(examine(&mut barn.chip.board(), &settings), Err(ChipError::Dead { byte: 0, .. })));
}
