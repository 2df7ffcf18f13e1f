//! The emulated air loses what theory says it must, and readers that listen lose less.
//!
//! `cargo test -p herdlinx-radio --test emulator_aloha -- --nocapture` prints seeds and figures.

use std::collections::HashSet;
use std::time::Duration;

use embedded_hal_02::blocking::spi::{Transfer, Write};
use radio::board::{EdgeLine, Wake};
use radio::emulator::{Air, Chip, Poisson, Reader, ReaderCounts, ReaderOptions, Register, Transmission, Verdict};
use radio::lora::{Bandwidth, Modulation};
use radio::simulated::Traffic;

/// A chip with someone at its wires who knows the four registers that it takes to hear.
struct Barn {
    chip: Chip,
}

impl Barn {
    fn listening(air: &Air, modulation: &Modulation) -> Self {
        let barn = Self { chip: air.chip("barn") };
        barn.write(Register::OpMode, &[0x80]);
        let carrier = ((u64::from(modulation.frequency_hz) << 19) / 32_000_000).to_be_bytes();
        barn.write(Register::FrfMsb, &carrier[5..]);
        let bandwidth = if modulation.bandwidth == Bandwidth::Khz500 { 0x92 } else { 0x72 };
        barn.write(Register::ModemConfig1, &[bandwidth]);
        barn.write(Register::OpMode, &[0x85]);
        barn
    }

    fn write(&self, register: Register, values: &[u8]) {
        let words: Vec<u8> = std::iter::once(register as u8 | 0x80).chain(values.iter().copied()).collect();
        self.chip.spi02().write(&words).expect("an emulated bus");
    }

    fn read(&self, register: Register, bytes: u8) -> Vec<u8> {
        let mut words = vec![0; usize::from(bytes) + 1];
        words[0] = register as u8;
        self.chip.spi02().transfer(&mut words).expect("an emulated bus");
        words.split_off(1)
    }

    /// The packet that is there now, if its CRC is right.
    fn take(&self) -> Option<Vec<u8>> {
        let flags = self.read(Register::IrqFlags, 1)[0];
        self.write(Register::IrqFlags, &[0xFF]);
        let start = self.read(Register::FifoRxCurrentAddr, 1)[0];
        let length = self.read(Register::RxNbBytes, 1)[0];
        self.write(Register::FifoAddrPtr, &[start]);
        let bytes = self.read(Register::Fifo, length);
        (flags & 0x60 == 0x40).then_some(bytes)
    }
}

const SEED: u64 = 20_261_125;
const TRANSMISSIONS: usize = 20_000;
const BATCHES: usize = 100;
const PAYLOAD_BYTES: u8 = 200;

/// Share of good ones and its standard error, from the spread between batches: neighbors share their collisions, so
/// that single transmissions are not independent.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn share_of_good(verdicts: &[Verdict]) -> (f64, f64) {
    let shares: Vec<f64> = verdicts
        .chunks_exact(verdicts.len() / BATCHES)
        .map(|batch| batch.iter().filter(|verdict| verdict.fate.is_flagged_good()).count() as f64 / batch.len() as f64)
        .collect();
    let batches = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / batches;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (batches - 1.0);
    (mean, (variance / batches).sqrt())
}

/// What a receiver makes of two senders that talk whenever they like, so many packets a second together.
fn two_senders(rate_per_s: f64) -> Vec<Verdict> {
    let air = Air::default();
    let barn = Barn::listening(&air, &Modulation::default());
    for sender in 0..2 {
        let times = Poisson::new(SEED + sender, rate_per_s / 2.0).take(TRANSMISSIONS / 2);
        let begin = air.now();
        air.feed(times.map(move |at| (begin + at, Transmission::of([0; PAYLOAD_BYTES as usize]))));
    }
    air.pass_until_quiet(Duration::from_secs(10_000_000));
    barn.chip.verdicts()
}

#[test]
fn two_senders_of_equal_power_lose_what_theory_says() {
    let modulation = Modulation::default();
    let air_time_s = modulation.air_time(PAYLOAD_BYTES).as_secs_f64();
    // The first three symbols of a preamble may be lost, so a little less than twice the air time is at stake.
    let symbols_s = 3.0 * 128.0 / 125_000.0;
    println!(
        "seed {SEED}, {TRANSMISSIONS} transmissions of {PAYLOAD_BYTES} bytes at SF7/125 kHz, {air_time_s:.4} s each"
    );
    for load in [0.05, 0.1, 0.25, 0.5, 1.0] {
        let rate_per_s = load / air_time_s;
        let expected = (-2.0 * load).exp();
        let exact = (-rate_per_s * (2.0 * air_time_s - symbols_s)).exp();
        let (found, error) = share_of_good(&two_senders(rate_per_s));
        println!(
            "load {load:.2}: e^(-2 lambda T) = {expected:.4}, less 3 symbols {exact:.4}, found {found:.4}, three standard errors {:.4}",
            3.0 * error
        );
        assert!((found - expected).abs() <= 3.0 * error, "load {load}: {found} for {expected}");
    }
}

/// What came of payloads that readers were given.
struct Heard {
    given: usize,
    distinct: usize,
    air_time: Duration,
    readers: Vec<ReaderCounts>,
}

const READERS: usize = 4;
const PAYLOADS_PER_S: f64 = 20.0;
const PAYLOADS: usize = 4_000;

/// Four readers are given chute traffic in turn, at random times, and send each payload once: what chute traffic
/// fills of the channel leaves no room for repeats.
fn chute(listens: bool) -> Heard {
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let air = Air::default();
    let barn = Barn::listening(&air, &modulation);
    let traffic = Traffic { seed: SEED, rate_per_s: PAYLOADS_PER_S, ..Traffic::default() };
    let payloads: Vec<Vec<u8>> = traffic.payloads().take(PAYLOADS).collect();
    let distinct: HashSet<&Vec<u8>> = payloads.iter().collect();
    let times: Vec<Duration> = Poisson::new(SEED, PAYLOADS_PER_S).take(PAYLOADS).collect();
    let readers: Vec<Reader> = (0..READERS)
        .map(|place| {
            let options = ReaderOptions {
                modulation,
                listen_before_talk: listens,
                seed: place as u64,
                ..ReaderOptions::default()
            };
            let reader = air.reader(options);
            let turns = times.iter().copied().zip(payloads.iter().cloned()).skip(place).step_by(READERS);
            reader.feed(turns.collect::<Vec<_>>().into_iter());
            reader
        })
        .collect();
    let mut dio0 = barn.chip.dio0();
    let mut heard = HashSet::new();
    while !air.is_quiet() {
        if dio0.wait(Duration::from_millis(6)).expect("an emulated line") == Wake::Edge {
            heard.extend(barn.take());
        }
    }
    assert!(heard.iter().all(|payload| distinct.contains(payload)), "nothing is heard that was not sent");
    Heard {
        given: distinct.len(),
        distinct: heard.len(),
        air_time: payloads
            .iter()
            .map(|payload| modulation.air_time(u8::try_from(payload.len()).unwrap_or(u8::MAX)))
            .sum(),
        readers: readers.iter().map(Reader::counts).collect(),
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn readers_that_listen_before_they_talk_are_heard_nine_times_in_ten() {
    println!("seed {SEED}, {READERS} readers, {PAYLOADS_PER_S} payloads a second, each sent once, SF7/500 kHz");
    let shares = [true, false].map(|listens| {
        let Heard { given, distinct, air_time, readers } = chute(listens);
        let share = distinct as f64 / given as f64;
        let load = air_time.as_secs_f64() * PAYLOADS_PER_S / PAYLOADS as f64;
        let sum = |count: fn(&ReaderCounts) -> u64| readers.iter().map(count).sum::<u64>();
        let (busy, given_up, refused) = (sum(|of| of.found_busy), sum(|of| of.given_up), sum(|of| of.refused));
        println!(
            "listening {listens}: {distinct} of {given} payloads heard, {share:.4}, at a load of {load:.2}; \
             busy {busy} times, given up {given_up}, refused {refused}"
        );
        share
    });
    assert!(shares[0] >= 0.9, "with listening");
    assert!(shares[1] < 0.5, "without listening the same traffic must fail, or this shows nothing");
}

#[test]
fn one_seed_gives_one_course_of_readers_too() {
    let course = || {
        let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
        let air = Air::default();
        let barn = Barn::listening(&air, &modulation);
        for place in 0..READERS {
            let reader = air.reader(ReaderOptions { modulation, seed: place as u64, ..ReaderOptions::default() });
            let times = Poisson::new(SEED + place as u64, 8.0).take(100);
            reader.feed(times.map(move |at| (at, vec![u8::try_from(place).unwrap(); 30])));
        }
        air.pass_until_quiet(Duration::from_secs(1_000));
        barn.chip.verdicts()
    };
    let first = course();
    assert!(first.len() > 300);
    assert_eq!(first, course());
}
