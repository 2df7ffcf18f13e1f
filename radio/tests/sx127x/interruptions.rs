//! What happens to a driver between two of its transfers: it is held up, or the module is pulled out.

use super::barn::{BEGIN, Barn, PATIENCE, listening, packet, start};
use super::frame_hooks::{AroundFrames, WatchedFrames};
use radio::Radio;
use radio::emulator::{Chip, DeadBus, Fate, Faults, Transmission};
use radio::lora::{Bandwidth, Modulation};
use radio::sx127x::{TransmitError, TransmitSettings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::timeout;

/// `RegFifoAddrPtr`, as it is written: next the FIFO is read.
const POINT_INTO_FIFO: u8 = 0x8D;
/// The mode of transmitting, as it is written.
const TRANSMIT: [u8; 2] = [0x81, 0x83];

type Happening = Box<dyn FnOnce(&Chip) + Send>;

/// Something that happens once, behind the first write that begins so.
struct Interruption {
    chip: Chip,
    behind: &'static [u8],
    happening: Option<Happening>,
}

impl AroundFrames for Interruption {
    fn has_written(&mut self, words: &[u8]) {
        if words.starts_with(self.behind)
            && let Some(happening) = self.happening.take()
        {
            happening(&self.chip);
        }
    }
}

fn interrupted(
    chip: &Chip,
    behind: &'static [u8],
    happening: impl FnOnce(&Chip) + Send + 'static,
) -> WatchedFrames<Interruption> {
    let interruption = Interruption { chip: chip.clone(), behind, happening: Some(Box::new(happening)) };
    WatchedFrames::new(chip, interruption)
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
    let board = interrupted(&barn.chip, &[POINT_INTO_FIFO], move |chip| chip.air().pass(late));
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
        let board = interrupted(&barn.chip, &TRANSMIT, move |chip| chip.set_faults(faults));
        let radio = start(board, Modulation::default(), Some(TransmitSettings { power_dbm: 14 }));
        listening(&radio).await;
        let outcome = timeout(PATIENCE, radio.transmitter().transmit(b"gone")).await.expect("it is answered");
        assert!(matches!(outcome, Err(TransmitError::NotListening(_))), "{dead:?}: {outcome:?}");
    }
}

/// Holds the driver up by chance, before any transfer and for as long as a packet lasts.
struct HoldUps {
    chip: Chip,
    chance: ChaCha12Rng,
}

impl AroundFrames for HoldUps {
    fn before_frame(&mut self) {
        if self.chance.random_range(0..30) == 0 {
            self.chip.air().pass(Duration::from_micros(self.chance.random_range(0..120_000)));
        }
    }
}

/// Packets of any length one right after the other, each of one byte again and again, so that no part of one is a part
/// of another; every third one with a wrong CRC. Gives which ones are good, and when the last one is over.
fn plan(barn: &Barn, modulation: Modulation, chance: &mut ChaCha12Rng) -> (HashSet<Vec<u8>>, Duration) {
    let (mut good, mut at) = (HashSet::new(), BEGIN);
    for number in 0..2_000_u16 {
        let mut payload = number.to_le_bytes().repeat(chance.random_range(1..=127));
        payload.truncate(chance.random_range(2..=254));
        let corrupted = number % 3 == 0;
        let air_time = modulation.air_time(u8::try_from(payload.len()).unwrap());
        if !corrupted {
            good.insert(payload.clone());
        }
        barn.air.transmit(Transmission { modulation, corrupted, ..Transmission::of(payload) }, at).unwrap();
        at += air_time + Duration::from_micros(chance.random_range(0..500));
    }
    (good, at)
}

#[tokio::test]
async fn however_a_driver_is_held_up_what_comes_is_good_and_comes_once() {
    for seed in 0..5 {
        let barn = Barn::new(seed);
        let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
        let (good, end) = plan(&barn, modulation, &mut ChaCha12Rng::seed_from_u64(seed));
        let hold_ups = HoldUps { chip: barn.chip.clone(), chance: ChaCha12Rng::seed_from_u64(seed) };
        let board = WatchedFrames::new(&barn.chip, hold_ups);
        let mut radio = start(board, modulation, None);
        let mut delivered = HashSet::new();
        loop {
            match timeout(Duration::from_millis(100), radio.receive()).await {
                Ok(packet) => {
                    let bytes = packet.unwrap().bytes;
                    assert!(good.contains(&bytes), "never sent so: {bytes:02x?}");
                    assert!(delivered.insert(bytes.clone()), "came twice: {bytes:02x?}");
                }
                Err(_) if barn.air.now() > end => break,
                Err(_) => {}
            }
        }
        let tally = barn.chip.tally();
        let delivered = delivered.len();
        println!("{delivered} delivered; {:?}; {tally:?}", radio.counters().read());
        assert!(delivered > 300 && tally.of(Fate::Overwritten) > 50, "the driver was held up too much, or hardly ever");
        assert_eq!(radio.counters().read().rebuilt, 0);
    }
}
