//! A driver that is held up: what it could not read in time is lost, and nothing wrong comes in its place.

use std::time::Duration;

use embedded_hal_02::blocking::spi::{Transfer, Write};
use radio::Radio;
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Air, Board02, BusDown, Dio0, EmulatedDelay, Fate, Reset, Spi02, Transmission};
use radio::lora::Modulation;

use super::barn::{Barn, listening, packet, start};

/// `RegFifoAddrPtr`, as it is written: next the FIFO is read.
const POINT_INTO_FIFO: u8 = 0x8D;

/// A bus on which the driver is held up once, between the registers of a packet and its bytes.
#[derive(Debug)]
struct LateBus {
    bus: Spi02,
    air: Air,
    late: Option<Duration>,
}

impl Transfer<u8> for LateBus {
    type Error = BusDown;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDown> {
        self.bus.transfer(words)
    }
}

impl Write<u8> for LateBus {
    type Error = BusDown;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDown> {
        if words[0] == POINT_INTO_FIFO
            && let Some(late) = self.late.take()
        {
            self.air.pass(late);
        }
        self.bus.write(words)
    }
}

struct LateBoard {
    board: Board02,
    air: Air,
    late: Duration,
}

impl Board for LateBoard {
    type Bus = LateBus;
    type BusError = BusDown;
    type Reset = Reset;
    type Dio0 = Dio0;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus: LateBus { bus, air: self.air.clone(), late: Some(self.late) }, reset, dio0, delay })
    }
}

/// Two packets of 200 bytes, one right after the other: the second begins to lie over the first after 56 bytes. The
/// driver is late by so many per cent of the second one. Gives what came first, and what became of the first packet.
async fn first_of_two_when_late(late_percent: u32) -> (Vec<u8>, Fate, u64) {
    let barn = Barn::new(1);
    let air_time = Modulation::default().air_time(200);
    let late = air_time * late_percent / 100;
    let board = LateBoard { board: barn.chip.board(), air: barn.air.clone(), late };
    let mut radio = start(board, Modulation::default(), None);
    listening(&radio).await;
    let begin = barn.air.now() + Duration::from_secs(1);
    barn.air.transmit(Transmission::of([1; 200]), begin).unwrap();
    barn.air.transmit(Transmission::of([2; 200]), begin + air_time).unwrap();
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
