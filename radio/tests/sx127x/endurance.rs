//! A long day: edges are lost, the recorder stalls, and the chip resets itself. No packet that the chip flagged as good
//! is lost or delivered twice.

use super::barn::{BEGIN, Barn, PATIENCE, start};
use super::frame_hooks::{FrameHooks, HookedBoard};
use radio::emulator::{Chip, Fate, Faults, LostEdges, Transmission};
use radio::lora::{Bandwidth, Modulation};
use radio::{Radio, RadioCounters};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const SEED: u64 = 20_260_131;
/// Interval of lost edges: one in this many is lost.
const EDGES_PER_LOSS: u32 = 50;
/// Number of packets read between two spontaneous resets of the chip.
const PACKETS_PER_RESET: u32 = 5_000;
/// Mean number of packets between two stalls of the recorder.
const PACKETS_PER_STALL: u32 = 500;
/// Length of a stall on the air's clock, as with an SD card.
const STALL: Duration = Duration::from_secs(1);
/// Approximate number of chip-select frames per packet. A reset happens at any of them.
const FRAMES_PER_PACKET: u32 = 8;

/// Address of the FIFO. A burst read there is a packet.
const FIFO: u8 = 0x00;

/// Number of deliveries of each payload.
type DeliveryCounts = HashMap<Vec<u8>, u32>;

/// Resets a chip between frames, and records which packets that damaged.
struct Resets {
    chip: Chip,
    rng: ChaCha12Rng,
    packets_left: u32,
    frames_left: Option<u32>,
    count: u64,
    /// The packet that the last frame read, if it read one.
    last_read: Option<Vec<u8>>,
    /// Packets that were read completely right before a reset, so that the driver could not verify them.
    torn: Vec<Vec<u8>>,
}

impl FrameHooks for Resets {
    fn before_frame(&mut self) {
        let due = self.frames_left.is_some_and(|frames| frames == 0);
        self.frames_left = self.frames_left.filter(|_| !due).map(|frames| frames - 1);
        let last_read = self.last_read.take();
        if due {
            self.torn.extend(last_read);
            self.count += 1;
            self.packets_left = PACKETS_PER_RESET;
            self.chip.reset_spontaneously();
        }
    }

    fn after_read(&mut self, address: u8, values: &[u8]) {
        if address == FIFO {
            self.record_packet(values);
        }
    }
}

impl Resets {
    fn record_packet(&mut self, bytes: &[u8]) {
        self.last_read = Some(bytes.to_vec());
        self.packets_left -= u32::from(self.packets_left > 0);
        if self.packets_left == 0 && self.frames_left.is_none() {
            self.frames_left = Some(self.rng.random_range(0..2 * FRAMES_PER_PACKET));
        }
    }
}

/// Schedules packets of 8 to 50 bytes, each with its number, one after the other. Returns the end of the last one.
fn plan(barn: &Barn, modulation: Modulation, packets: u32, rng: &mut ChaCha12Rng) -> Duration {
    let mut at = BEGIN;
    for number in 0..packets {
        let mut payload = number.to_le_bytes().to_vec();
        payload.extend((4..rng.random_range(8..=50)).map(|_| rng.random::<u8>()));
        let air_time = modulation.air_time(u8::try_from(payload.len()).unwrap());
        barn.air.transmit(Transmission { modulation, ..Transmission::of(payload) }, at).unwrap();
        at += air_time + Duration::from_micros(rng.random_range(100..8_000));
    }
    at
}

async fn day(packets: u32) -> RadioCounters {
    let barn = Barn::new(SEED);
    let mut rng = ChaCha12Rng::seed_from_u64(SEED);
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let end = plan(&barn, modulation, packets, &mut rng);
    barn.chip.set_faults(Faults { lost_edges: Some(LostEdges::EveryNth(EDGES_PER_LOSS)), ..Faults::default() });
    let resets = Resets {
        chip: barn.chip.clone(),
        rng: ChaCha12Rng::seed_from_u64(SEED + 1),
        packets_left: PACKETS_PER_RESET,
        frames_left: None,
        count: 0,
        last_read: None,
        torn: Vec::new(),
    };
    let board = HookedBoard::new(&barn.chip, resets);
    let resets = board.hooks();
    let mut radio = start(board, modulation, None);
    let mut delivered = DeliveryCounts::default();
    let mut stalls = 0;
    loop {
        match timeout(Duration::from_millis(100), radio.receive()).await {
            Ok(packet) => *delivered.entry(packet.unwrap().bytes).or_default() += 1,
            Err(_) if barn.air.now() > end => break,
            Err(_) => {}
        }
        if rng.random_range(0..PACKETS_PER_STALL) == 0 {
            // Start from an empty queue, as after a successful commit. Otherwise the air would wait for room.
            while let Ok(packet) = timeout(Duration::ZERO, radio.receive()).await {
                *delivered.entry(packet.unwrap().bytes).or_default() += 1;
            }
            stall(&barn, end).await;
            stalls += 1;
        }
    }
    let counters = radio.counters().read();
    drop(radio);
    let resets = resets.lock().unwrap();
    let tally = barn.chip.tally();
    let (count, torn) = (resets.count, resets.torn.len());
    println!("{packets} packets, {stalls} stalls, {count} resets that damaged {torn} packets; {counters:?}; {tally:?}");
    assert!(stalls > 10, "the recorder stalled too rarely");
    check_deliveries(&barn.chip, &delivered, &resets);
    assert_eq!(tally.total(), u64::from(packets));
    assert_eq!((tally.of(Fate::Overwritten), tally.of(Fate::Collided)), (0, 0));
    assert_eq!(counters.rebuilt, resets.count);
    assert_eq!((counters.crc_errors, counters.malformed), (0, 0));
    counters
}

/// Waits for a second of the air's time without taking packets.
async fn stall(barn: &Barn, end: Duration) {
    let until = (barn.air.now() + STALL).min(end);
    let waited = timeout(PATIENCE, async {
        while barn.air.now() < until {
            sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("the air runs while the recorder stalls");
}

/// Checks that each packet flagged as good was delivered once, except for those that a reset wiped or damaged, and that
/// nothing else was delivered.
fn check_deliveries(chip: &Chip, delivered: &DeliveryCounts, resets: &Resets) {
    let mut expected_total = 0;
    for verdict in chip.verdicts().into_iter().filter(|verdict| verdict.fate.is_flagged_good()) {
        let found = delivered.get(&*verdict.payload).copied().unwrap_or(0);
        let is_lost_to_reset = verdict.fate == Fate::Wiped || resets.torn.iter().any(|torn| **torn == *verdict.payload);
        let expected = u32::from(!is_lost_to_reset);
        assert_eq!(found, expected, "{verdict:?}");
        expected_total += usize::from(expected > 0);
    }
    assert_eq!(delivered.len(), expected_total, "a packet was delivered that was not flagged as good");
}

#[tokio::test]
async fn a_long_day_loses_no_packet_that_the_chip_flagged_as_good() {
    let counters = day(100_000).await;
    // A packet with an edge is not a rescue, even if the edge came while the radio was polling.
    let lost_edges = 100_000 / u64::from(EDGES_PER_LOSS);
    assert!((lost_edges / 2..=lost_edges).contains(&counters.rescued), "{counters:?}");
    assert!(counters.rebuilt >= 10, "{counters:?}");
}
