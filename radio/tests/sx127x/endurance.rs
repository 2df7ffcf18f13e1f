//! A long day: edges lost, the recorder stalled, the chip resetting itself. Nothing that the chip flagged good is
//! lost, and nothing comes twice.

use super::barn::{BEGIN, Barn, PATIENCE, start};
use super::frame_hooks::{AroundFrames, WatchedFrames};
use radio::emulator::{Chip, Fate, Faults, LostEdges, Transmission};
use radio::lora::{Bandwidth, Modulation};
use radio::{Radio, RadioCounters};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const SEED: u64 = 20_260_131;
/// One edge in so many does not come.
const EDGE_LOST_EACH: u32 = 50;
/// The chip resets itself once in so many packets that were read.
const RESET_EACH: u32 = 5_000;
/// The recorder stalls once in so many packets, in the mean.
const STALL_EACH: u32 = 500;
/// So long, on the air's clock, as an SD card does.
const STALL: Duration = Duration::from_secs(1);
/// Frames of chip select that a packet takes, about: a reset comes at any of them.
const FRAMES_OF_A_PACKET: u32 = 8;

/// The address of the FIFO: what is read there is a packet.
const FIFO: u8 = 0x00;

/// How often each payload came.
type Delivered = HashMap<Vec<u8>, u32>;

/// Resets a chip between any two frames, and knows what that tore.
struct Trouble {
    chip: Chip,
    chance: ChaCha12Rng,
    packets_until: u32,
    frames_until: Option<u32>,
    resets: u64,
    /// What the last frame read from the FIFO, if it did.
    just_read: Option<Vec<u8>>,
    /// Packets that were read whole, and the reset came before anyone could see that they were.
    torn: Vec<Vec<u8>>,
}

impl AroundFrames for Trouble {
    fn before_frame(&mut self) {
        let due = self.frames_until.is_some_and(|frames| frames == 0);
        self.frames_until = self.frames_until.filter(|_| !due).map(|frames| frames - 1);
        let just_read = self.just_read.take();
        if due {
            self.torn.extend(just_read);
            self.resets += 1;
            self.packets_until = RESET_EACH;
            self.chip.reset_spontaneously();
        }
    }

    fn has_read(&mut self, address: u8, values: &[u8]) {
        if address == FIFO {
            self.packet_was_read(values);
        }
    }
}

impl Trouble {
    fn packet_was_read(&mut self, bytes: &[u8]) {
        self.just_read = Some(bytes.to_vec());
        self.packets_until -= u32::from(self.packets_until > 0);
        if self.packets_until == 0 && self.frames_until.is_none() {
            self.frames_until = Some(self.chance.random_range(0..2 * FRAMES_OF_A_PACKET));
        }
    }
}

/// Plans packets of 8 to 50 bytes, each with its number, one after the other. Gives when the last one is over.
fn plan(barn: &Barn, modulation: Modulation, packets: u32, chance: &mut ChaCha12Rng) -> Duration {
    let mut at = BEGIN;
    for number in 0..packets {
        let mut payload = number.to_le_bytes().to_vec();
        payload.extend((4..chance.random_range(8..=50)).map(|_| chance.random::<u8>()));
        let air_time = modulation.air_time(u8::try_from(payload.len()).unwrap());
        barn.air.transmit(Transmission { modulation, ..Transmission::of(payload) }, at).unwrap();
        at += air_time + Duration::from_micros(chance.random_range(100..8_000));
    }
    at
}

async fn day(packets: u32) -> RadioCounters {
    let barn = Barn::new(SEED);
    let mut chance = ChaCha12Rng::seed_from_u64(SEED);
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let end = plan(&barn, modulation, packets, &mut chance);
    barn.chip.set_faults(Faults { lost_edges: Some(LostEdges::EveryNth(EDGE_LOST_EACH)), ..Faults::default() });
    let trouble = Trouble {
        chip: barn.chip.clone(),
        chance: ChaCha12Rng::seed_from_u64(SEED + 1),
        packets_until: RESET_EACH,
        frames_until: None,
        resets: 0,
        just_read: None,
        torn: Vec::new(),
    };
    let board = WatchedFrames::new(&barn.chip, trouble);
    let trouble = board.around();
    let mut radio = start(board, modulation, None);
    let mut delivered = Delivered::default();
    let mut stalls = 0;
    loop {
        match timeout(Duration::from_millis(100), radio.receive()).await {
            Ok(packet) => *delivered.entry(packet.unwrap().bytes).or_default() += 1,
            Err(_) if barn.air.now() > end => break,
            Err(_) => {}
        }
        if chance.random_range(0..STALL_EACH) == 0 {
            // From no packet waiting, as after a commit that went well; else the air itself would wait for room.
            while let Ok(packet) = timeout(Duration::ZERO, radio.receive()).await {
                *delivered.entry(packet.unwrap().bytes).or_default() += 1;
            }
            stall(&barn, end).await;
            stalls += 1;
        }
    }
    let counted = radio.counters().read();
    drop(radio);
    let trouble = trouble.lock().unwrap();
    let tally = barn.chip.tally();
    let (resets, torn) = (trouble.resets, trouble.torn.len());
    println!("{packets} packets, {stalls} stalls, {resets} resets that tore {torn}; {counted:?}; {tally:?}");
    assert!(stalls > 10, "the recorder hardly ever stalled");
    judge(&barn.chip, &delivered, &trouble);
    assert_eq!(tally.total(), u64::from(packets));
    assert_eq!((tally.of(Fate::Overwritten), tally.of(Fate::Collided)), (0, 0));
    assert_eq!(counted.rebuilt, trouble.resets);
    assert_eq!((counted.crc_errors, counted.malformed), (0, 0));
    counted
}

/// The recorder takes nothing for a second of the air's time.
async fn stall(barn: &Barn, end: Duration) {
    let until = (barn.air.now() + STALL).min(end);
    let waited = timeout(PATIENCE, async {
        while barn.air.now() < until {
            sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("the air goes on while the recorder stalls");
}

/// Each packet that the chip flagged good came once, but for those that a reset wiped or tore; nothing else came.
fn judge(chip: &Chip, delivered: &Delivered, trouble: &Trouble) {
    let mut due = 0;
    for verdict in chip.verdicts().into_iter().filter(|verdict| verdict.fate.is_flagged_good()) {
        let times = delivered.get(&*verdict.payload).copied().unwrap_or(0);
        let is_lost_to_reset =
            verdict.fate == Fate::Wiped || trouble.torn.iter().any(|torn| **torn == *verdict.payload);
        let expected = u32::from(!is_lost_to_reset);
        assert_eq!(times, expected, "{verdict:?}");
        due += usize::from(expected > 0);
    }
    assert_eq!(delivered.len(), due, "something came that was not flagged good");
}

#[tokio::test]
async fn a_long_day_loses_nothing_that_the_chip_flagged_good() {
    let counted = day(100_000).await;
    // An edge that did come is no rescue, even where it came while the radio was looking.
    let lost_edges = 100_000 / u64::from(EDGE_LOST_EACH);
    assert!((lost_edges / 2..=lost_edges).contains(&counted.rescued), "{counted:?}");
    assert!(counted.rebuilt >= 10, "{counted:?}");
}
