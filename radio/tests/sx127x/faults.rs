//! Chips and lines that fail: each by its type, counted, survived, and over when the cause is.

use super::barn::{BEGIN, Barn, failing, listening, packet, start, until};
use embedded_hal_02::blocking::spi::Write;
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Board02, DeadBus, Faults, LostEdges, Register, StuckLine, Transmission};
use radio::lora::{Bandwidth, Modulation};
use radio::sx127x::{ChipError, MAX_QUEUED_PACKETS, Sx127x, examine};
use radio::{Health, Radio, RadioError};
use std::sync::{Arc, Weak};
use std::time::Duration;

fn last_error(radio: &Sx127x) -> Arc<ChipError> {
    radio.last_error().borrow().clone().expect("there was a fault")
}

/// Breaks a listening radio, looks at what it says, mends it, and sees that it hears and has counted.
async fn breaks_and_mends(faults: Faults, is_it: impl Fn(&ChipError) -> bool) {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    barn.chip.set_faults(faults);
    let sentence = failing(&radio).await;
    println!("{sentence}");
    assert!(is_it(&last_error(&radio)), "{:?}", last_error(&radio));
    barn.chip.set_faults(Faults::default());
    listening(&radio).await;
    assert!(radio.counters().read().rebuilt > 0);
    barn.send_in(BEGIN, b"well again");
    assert_eq!(packet(&mut radio).await.bytes, b"well again");
}

#[tokio::test]
async fn a_bus_of_ones_is_told_and_survived() {
    let faults = Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() };
    breaks_and_mends(faults, |fault| matches!(fault, ChipError::Dead { byte: 0xFF, .. })).await;
}

#[tokio::test]
async fn a_bus_of_zeros_is_told_and_survived() {
    let faults = Faults { dead_bus: Some(DeadBus::Zeros), ..Faults::default() };
    breaks_and_mends(faults, |fault| matches!(fault, ChipError::Dead { byte: 0x00, .. })).await;
}

#[tokio::test]
async fn a_bus_that_the_system_refuses_is_told_and_survived() {
    let faults = Faults { failing_bus: true, ..Faults::default() };
    breaks_and_mends(faults, |fault| matches!(fault, ChipError::Bus { .. })).await;
}

#[tokio::test]
async fn another_chip_is_told_and_its_exchange_is_survived() {
    let faults = Faults { version: Some(0x22), ..Faults::default() };
    breaks_and_mends(faults, |fault| matches!(fault, ChipError::UnsupportedVersion { version: 0x22 })).await;
}

#[tokio::test]
async fn a_chip_that_resets_itself_is_found_while_nothing_comes() {
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
async fn a_setting_that_is_lost_is_found_while_nothing_comes() {
    let barn = Barn::new(1);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    // As by a disturbance on the wires, which the mode does not show.
    barn.chip.spi02().write(&[0x80 | Register::SyncWord as u8, 0x55]).unwrap();
    until("the chip is set up again", || radio.counters().read().rebuilt == 1).await;
    assert!(matches!(*last_error(&radio), ChipError::Register { found: 0x55, expected: 0x12, .. }));
    barn.send_in(BEGIN, b"in tune again");
    assert_eq!(packet(&mut radio).await.bytes, b"in tune again");
}

#[tokio::test]
async fn a_recorder_that_takes_nothing_is_waited_for_and_loses_nothing() {
    const MORE_THAN_WAIT: usize = MAX_QUEUED_PACKETS + 300;
    let barn = Barn::new(1);
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let each = modulation.air_time(2) + Duration::from_millis(1);
    let mut at = BEGIN;
    for number in 0..MORE_THAN_WAIT {
        let payload = u16::try_from(number).unwrap().to_le_bytes();
        barn.air.transmit(Transmission { modulation, ..Transmission::of(payload) }, at).unwrap();
        at += each;
    }
    let mut radio = barn.radio(modulation);
    air_stands_still(&barn).await;
    assert!(barn.air.now() < at, "the radio went on without room");
    for number in 0..MORE_THAN_WAIT {
        assert_eq!(packet(&mut radio).await.bytes, u16::try_from(number).unwrap().to_le_bytes());
    }
}

/// Waits until the driver uses the air no more: it waits for room.
async fn air_stands_still(barn: &Barn) {
    let mut last = (barn.air.now(), 0);
    until("the radio waits for room", || {
        let now = barn.air.now();
        last = if now > last.0 || now < BEGIN { (now, 0) } else { (now, last.1 + 1) };
        last.1 > 50
    })
    .await;
}

#[tokio::test]
async fn a_brown_out_is_told_and_survived() {
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

/// With this wrong with DIO0, the radio hears all of 40 packets, says what is wrong, and never stops listening.
async fn hears_all_by_looking(faults: Faults, least_rescued: u64) {
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
    // A packet is counted as rescued when its look is over, and may be delivered before.
    until("all rescues are counted", || radio.counters().read().rescued >= least_rescued).await;
    assert_eq!(radio.counters().read().rebuilt, 0);
}

#[tokio::test]
async fn with_a_line_stuck_high_all_is_heard() {
    // One edge comes when it sticks.
    hears_all_by_looking(Faults { stuck_dio0: Some(StuckLine::High), ..Faults::default() }, 39).await;
}

#[tokio::test]
async fn with_a_line_stuck_low_all_is_heard() {
    hears_all_by_looking(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() }, 40).await;
}

#[tokio::test]
async fn with_every_edge_lost_all_is_heard() {
    hears_all_by_looking(Faults { lost_edges: Some(LostEdges::EveryNth(1)), ..Faults::default() }, 40).await;
}

#[tokio::test]
async fn with_no_edge_lost_nothing_is_counted_as_rescued() {
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

/// A board that is there after some attempts only, or panics.
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
        let refusals_left = self.refusals_left.as_mut().expect("a defect, as this test wants it");
        if *refusals_left > 0 {
            *refusals_left -= 1;
            return Err(BoardError::NoSpi { path: "/dev/spidev9.9".to_owned() });
        }
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus, reset, dio0, delay })
    }
}

#[tokio::test]
async fn a_board_that_is_not_there_yet_is_told_and_waited_for() {
    let barn = Barn::new(1);
    let radio = start(LateBoard { refusals_left: Some(2), board: barn.chip.board() }, Modulation::default(), None);
    until(
        "it says what is missing",
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
async fn a_radio_that_is_dropped_ends_its_thread_whatever_it_is_at() {
    for faults in [
        Faults::default(),
        Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() },
        Faults { failing_bus: true, ..Faults::default() },
        Faults { stuck_dio0: Some(StuckLine::High), ..Faults::default() },
    ] {
        let barn = Barn::new(1);
        let (board, alive) = watched(&barn);
        barn.chip.set_faults(faults);
        let radio = start(board, Modulation::default(), None);
        if faults.dead_bus.is_some() || faults.failing_bus {
            failing(&radio).await;
        } else {
            listening(&radio).await;
        }
        assert!(alive.upgrade().is_some());
        drop(radio);
        // The board lived on the thread.
        assert!(alive.upgrade().is_none());
    }
}

#[tokio::test]
async fn a_radio_that_is_dropped_while_it_waits_for_room_ends_its_thread() {
    let barn = Barn::new(1);
    for number in 0..=MAX_QUEUED_PACKETS {
        barn.send_in(BEGIN + Duration::from_millis(50) * u32::try_from(number).unwrap(), b"?");
    }
    let (board, alive) = watched(&barn);
    let radio = start(board, Modulation::default(), None);
    air_stands_still(&barn).await;
    drop(radio);
    assert!(alive.upgrade().is_none());
}

#[tokio::test]
async fn a_thread_that_dies_of_a_defect_is_told_and_closes_the_radio() {
    let barn = Barn::new(1);
    let mut radio = start(LateBoard { refusals_left: None, board: barn.chip.board() }, Modulation::default(), None);
    assert!(matches!(radio.receive().await, Err(RadioError::Closed)));
    until("it says so", || matches!(&*radio.health().borrow(), Health::Failing(why) if why.contains("defect"))).await;
}

fn watched(barn: &Barn) -> (Watched, Weak<()>) {
    let board = Watched { board: barn.chip.board(), alive: Arc::default() };
    let alive = Arc::downgrade(&board.alive);
    (board, alive)
}

/// A board of which a test can tell whether it still lives.
struct Watched {
    board: Board02,
    alive: Arc<()>,
}

impl Board for Watched {
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
fn an_examination_tells_of_lines_and_noise() {
    let barn = Barn::new(1);
    let modulation = Modulation::default();
    let found = examine(&mut barn.chip.board(), &modulation).unwrap();
    println!("{found:?}");
    assert!(found.reset_works && found.dio0_works);
    assert_eq!(barn.chip.register(Register::OpMode) & 0x87, 0x80);

    barn.chip.set_faults(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() });
    let found = examine(&mut barn.chip.board10(), &modulation).unwrap();
    assert!(found.reset_works && !found.dio0_works);

    barn.chip.set_faults(Faults { dead_bus: Some(DeadBus::Zeros), ..Faults::default() });
    assert!(matches!(examine(&mut barn.chip.board(), &modulation), Err(ChipError::Dead { byte: 0, .. })));
}
