//! Events between two transfers of the driver: it is delayed, or the module is unplugged.

use super::barn::{BEGIN, Barn, PATIENCE, listening, packet, start};
use super::frame_hooks::{FrameHooks, HookedBoard};
use radio::Radio;
use radio::emulator::{Chip, DeadBus, Fate, Faults, Transmission};
use radio::lora::{Bandwidth, Modulation};
use radio::sx127x::{TransmitError, TransmitSettings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::timeout;

/// Write of `RegFifoAddrPtr`, right before the FIFO is read.
const SET_FIFO_POINTER: u8 = 0x8D;
/// Write of the transmit mode.
const TRANSMIT: [u8; 2] = [0x81, 0x83];

type Event = Box<dyn FnOnce(&Chip) + Send>;

/// An event that happens once, after the first write that starts with `after`.
struct Interruption {
    chip: Chip,
    after: &'static [u8],
    event: Option<Event>,
}

impl FrameHooks for Interruption {
    fn after_write(&mut self, words: &[u8]) {
        if words.starts_with(self.after)
            && let Some(event) = self.event.take()
        {
            event(&self.chip);
        }
    }
}

fn interrupted(
    chip: &Chip,
    after: &'static [u8],
    event: impl FnOnce(&Chip) + Send + 'static,
) -> HookedBoard<Interruption> {
    let interruption = Interruption { chip: chip.clone(), after, event: Some(Box::new(event)) };
    HookedBoard::new(chip, interruption)
}

/// Sends two packets of 200 bytes, one right after the other: the second starts to overwrite the first after 56 bytes.
/// The driver is late by a percentage of the second packet. Returns the first delivered payload, the fate of the first
/// packet, and the count of malformed ones.
async fn first_of_two_when_late(late_percent: u32) -> (Vec<u8>, Fate, u64) {
    let barn = Barn::new(1);
    let air_time = Modulation::default().air_time(200);
    let late = air_time * late_percent / 100;
    // Scheduled before the driver starts, which would let time pass between the two.
    barn.air.transmit(Transmission::of([1; 200]), BEGIN).unwrap();
    barn.air.transmit(Transmission::of([2; 200]), BEGIN + air_time).unwrap();
    let board = interrupted(&barn.chip, &[SET_FIFO_POINTER], move |chip| chip.air().pass(late));
    let mut radio = start(board, Modulation::default(), None);
    let first = packet(&mut radio).await.bytes;
    (first, barn.chip.verdicts()[0].fate, radio.counters().read().malformed)
}

#[tokio::test]
async fn a_packet_that_the_next_one_has_started_to_overwrite_is_not_delivered() {
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
async fn a_packet_that_the_next_one_has_not_reached_yet_is_delivered() {
    for late_percent in [0, 10, 25] {
        let (first, fate, malformed) = first_of_two_when_late(late_percent).await;
        assert_eq!((first.as_slice(), fate, malformed), ([1; 200].as_slice(), Fate::Read, 0), "{late_percent} %");
    }
}

#[tokio::test]
async fn a_transmission_from_an_unplugged_module_is_not_reported_as_sent() {
    for dead in [DeadBus::Ones, DeadBus::Zeros] {
        let barn = Barn::new(1);
        let faults = Faults { dead_bus: Some(dead), ..Faults::default() };
        let board = interrupted(&barn.chip, &TRANSMIT, move |chip| chip.set_faults(faults));
        let radio = start(board, Modulation::default(), Some(TransmitSettings { power_dbm: 14 }));
        listening(&radio).await;
        let outcome = timeout(PATIENCE, radio.transmitter().transmit(b"gone")).await.expect("the request is answered");
        assert!(matches!(outcome, Err(TransmitError::NotListening(_))), "{dead:?}: {outcome:?}");
    }
}

/// Delays the driver at random, before any transfer and for up to the length of a packet.
struct RandomDelays {
    chip: Chip,
    rng: ChaCha12Rng,
}

impl FrameHooks for RandomDelays {
    fn before_frame(&mut self) {
        if self.rng.random_range(0..30) == 0 {
            self.chip.air().pass(Duration::from_micros(self.rng.random_range(0..120_000)));
        }
    }
}

/// Schedules packets of random length, one right after the other, every third one with a wrong CRC. Each repeats its
/// number, so that a mix of two packets is recognized. Returns the good payloads, and the end of the last packet.
fn plan(barn: &Barn, modulation: Modulation, rng: &mut ChaCha12Rng) -> (HashSet<Vec<u8>>, Duration) {
    let (mut good, mut at) = (HashSet::new(), BEGIN);
    for number in 0..2_000_u16 {
        let mut payload = number.to_le_bytes().repeat(rng.random_range(1..=127));
        payload.truncate(rng.random_range(2..=254));
        let corrupted = number % 3 == 0;
        let air_time = modulation.air_time(u8::try_from(payload.len()).unwrap());
        if !corrupted {
            good.insert(payload.clone());
        }
        barn.air.transmit(Transmission { modulation, corrupted, ..Transmission::of(payload) }, at).unwrap();
        at += air_time + Duration::from_micros(rng.random_range(0..500));
    }
    (good, at)
}

#[tokio::test]
async fn a_randomly_delayed_driver_delivers_only_good_packets_and_each_once() {
    for seed in 0..5 {
        let barn = Barn::new(seed);
        let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
        let (good, end) = plan(&barn, modulation, &mut ChaCha12Rng::seed_from_u64(seed));
        let delays = RandomDelays { chip: barn.chip.clone(), rng: ChaCha12Rng::seed_from_u64(seed) };
        let board = HookedBoard::new(&barn.chip, delays);
        let mut radio = start(board, modulation, None);
        let mut delivered = HashSet::new();
        loop {
            match timeout(Duration::from_millis(100), radio.receive()).await {
                Ok(packet) => {
                    let bytes = packet.unwrap().bytes;
                    assert!(good.contains(&bytes), "never sent: {bytes:02x?}");
                    assert!(delivered.insert(bytes.clone()), "delivered twice: {bytes:02x?}");
                }
                Err(_) if barn.air.now() > end => break,
                Err(_) => {}
            }
        }
        let tally = barn.chip.tally();
        let delivered = delivered.len();
        println!("{delivered} delivered; {:?}; {tally:?}", radio.counters().read());
        assert!(delivered > 300 && tally.of(Fate::Overwritten) > 50, "the driver was delayed too much or too little");
        assert_eq!(radio.counters().read().rebuilt, 0);
    }
}
