//! What happens to a driver between two of its transfers: it is held up, or the module is pulled out.

use embedded_hal_02::blocking::spi::{Transfer, Write};
use radio::Radio;
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Board02, BusDown, Chip, DeadBus, Dio0, EmulatedDelay, Fate, Faults, Reset, Spi02, Transmission};
use radio::lora::Modulation;
use radio::sx127x::{TransmitError, TransmitSettings};
use tokio::time::timeout;

use super::barn::{BEGIN, Barn, PATIENCE, listening, packet, start};

/// `RegFifoAddrPtr`, as it is written: next the FIFO is read.
const POINT_INTO_FIFO: u8 = 0x8D;
/// The mode of transmitting, as it is written.
const TRANSMIT: [u8; 2] = [0x81, 0x83];

type Happening = Box<dyn FnOnce(&Chip) + Send>;

/// A bus on which something happens once, behind the first write that begins so.
struct InterruptedBus {
    bus: Spi02,
    chip: Chip,
    behind: &'static [u8],
    happening: Option<Happening>,
}

impl Transfer<u8> for InterruptedBus {
    type Error = BusDown;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDown> {
        self.bus.transfer(words)
    }
}

impl Write<u8> for InterruptedBus {
    type Error = BusDown;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDown> {
        self.bus.write(words)?;
        if words.starts_with(self.behind)
            && let Some(happening) = self.happening.take()
        {
            happening(&self.chip);
        }
        Ok(())
    }
}

struct InterruptedBoard {
    board: Board02,
    chip: Chip,
    behind: &'static [u8],
    happening: Option<Happening>,
}

impl InterruptedBoard {
    fn new(chip: &Chip, behind: &'static [u8], happening: impl FnOnce(&Chip) + Send + 'static) -> Self {
        Self { board: chip.board(), chip: chip.clone(), behind, happening: Some(Box::new(happening)) }
    }
}

impl Board for InterruptedBoard {
    type Bus = InterruptedBus;
    type BusError = BusDown;
    type Reset = Reset;
    type Dio0 = Dio0;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        let (chip, behind, happening) = (self.chip.clone(), self.behind, self.happening.take());
        Ok(Wiring { bus: InterruptedBus { bus, chip, behind, happening }, reset, dio0, delay })
    }
}

/// Two packets of 200 bytes, one right after the other: the second begins to lie over the first after 56 bytes. The
/// driver is late by so many per cent of the second one. Gives what came first, and what became of the first packet.
async fn first_of_two_when_late(late_percent: u32) -> (Vec<u8>, Fate, u64) {
    let barn = Barn::new(1);
    let air_time = Modulation::default().air_time(200);
    let late = air_time * late_percent / 100;
    // Before there is a driver, which would let time pass between the two.
    barn.air.transmit(Transmission::of([1; 200]), BEGIN).unwrap();
    barn.air.transmit(Transmission::of([2; 200]), BEGIN + air_time).unwrap();
    let board = InterruptedBoard::new(&barn.chip, &[POINT_INTO_FIFO], move |chip| chip.air().pass(late));
    let mut radio = start(board, Modulation::default(), None);
    let first = packet(&mut radio).await.bytes;
    (first, barn.chip.verdicts()[0].fate, radio.counters().read().malformed)
}

#[tokio::test]
async fn a_packet_that_the_next_one_had_begun_to_overwrite_is_not_delivered() {
    for late_percent in [50, 70, 99] {
        let (first, fate, malformed) = first_of_two_when_late(late_percent).await;
        assert_eq!(
            (first.as_slice(), fate, malformed),
            ([2; 200].as_slice(), Fate::Overwritten, 1),
            "{late_percent} %"
        );
    }
}

#[tokio::test]
async fn a_packet_that_the_next_one_had_not_reached_yet_is_delivered() {
    for late_percent in [0, 10, 25] {
        let (first, fate, malformed) = first_of_two_when_late(late_percent).await;
        assert_eq!((first.as_slice(), fate, malformed), ([1; 200].as_slice(), Fate::Read, 0), "{late_percent} %");
    }
}

#[tokio::test]
async fn a_transmission_from_a_module_that_is_pulled_out_is_not_said_to_have_left() {
    for dead in [DeadBus::Ones, DeadBus::Zeros] {
        let barn = Barn::new(1);
        let faults = Faults { dead_bus: Some(dead), ..Faults::default() };
        let board = InterruptedBoard::new(&barn.chip, &TRANSMIT, move |chip| chip.set_faults(faults));
        let radio = start(board, Modulation::default(), Some(TransmitSettings { power_dbm: 14 }));
        listening(&radio).await;
        let outcome = timeout(PATIENCE, radio.transmitter().transmit(b"gone")).await.expect("it is answered");
        assert!(matches!(outcome, Err(TransmitError::NotListening(_))), "{dead:?}: {outcome:?}");
    }
}
