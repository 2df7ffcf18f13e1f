//! Losses on the emulated air: they match the theory of pure ALOHA, and readers that listen lose less.
//!
//! An error in the collision rules of the air would show here as too many or too few losses.
//! `cargo test -p herdlinx-radio --test emulator_aloha -- --nocapture` prints seeds and figures.

use embedded_hal_02::blocking::spi::{Transfer, Write};
use radio::board::{EdgeLine, Wake};
use radio::emulator::{Air, Chip, Poisson, Reader, ReaderCounts, ReaderOptions, Register, Transmission, Verdict};
use radio::lora::{Bandwidth, Modulation};
use radio::simulated::Traffic;
use std::collections::HashSet;
use std::time::Duration;

/// A chip with a minimal host, which sets the four registers that reception needs.
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

    /// Reads the current packet. Returns `None` if its CRC is wrong.
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

/// Returns the share of good packets and its standard error.
///
/// The error comes from the spread between batches. Single transmissions are not independent, because neighbors share
/// their collisions.
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

/// Returns the verdicts on two senders that transmit at random times, with this rate together.
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
fn two_senders_of_equal_power_lose_what_theory_predicts() {
    let modulation = Modulation::default();
    let air_time_s = modulation.air_time(PAYLOAD_BYTES).as_secs_f64();
    // The first three symbols of a preamble may be lost, so the vulnerable time is a little less than twice the air time.
    let symbols_s = 3.0 * 128.0 / 125_000.0;
    println!(
        "seed {SEED}, {TRANSMISSIONS} transmissions of {PAYLOAD_BYTES} bytes at SF7/125 kHz, {air_time_s:.4} s each"
    );
    for load in [0.05, 0.1, 0.25, 0.5, 1.0] {
        let rate_per_s = load / air_time_s;
        let expected = (-2.0 * load).exp();
        let exact = (-rate_per_s * (2.0 * air_time_s - symbols_s)).exp();
        let (measured, error) = share_of_good(&two_senders(rate_per_s));
        println!(
            "load {load:.2}: e^(-2 lambda T) = {expected:.4}, less 3 symbols {exact:.4}, measured {measured:.4}, three standard errors {:.4}",
            3.0 * error
        );
        assert!((measured - expected).abs() <= 3.0 * error, "load {load}: {measured}, expected {expected}");
    }
}

/// Result of a run with readers.
struct ChuteRun {
    /// Distinct payloads given to the readers.
    given: usize,
    /// Distinct payloads that the barn heard.
    heard: usize,
    /// Air time of all payloads.
    air_time: Duration,
    readers: Vec<ReaderCounts>,
}

const READERS: usize = 4;
const PAYLOADS_PER_S: f64 = 20.0;
const PAYLOADS: usize = 4_000;

/// Lets four readers send chute traffic in turn, at random times.
///
/// Each payload is sent once, because chute traffic leaves no room in the channel for repeats.
fn run_chute(listen_before_talk: bool) -> ChuteRun {
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let air = Air::default();
    let barn = Barn::listening(&air, &modulation);
    let traffic = Traffic { seed: SEED, rate_per_s: PAYLOADS_PER_S, ..Traffic::default() };
    let payloads: Vec<Vec<u8>> = traffic.payloads().take(PAYLOADS).collect();
    let distinct: HashSet<&Vec<u8>> = payloads.iter().collect();
    let times: Vec<Duration> = Poisson::new(SEED, PAYLOADS_PER_S).take(PAYLOADS).collect();
    let readers: Vec<Reader> = (0..READERS)
        .map(|place| {
            let options =
                ReaderOptions { modulation, listen_before_talk, seed: place as u64, ..ReaderOptions::default() };
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
    assert!(heard.iter().all(|payload| distinct.contains(payload)), "every payload heard was sent");
    ChuteRun {
        given: distinct.len(),
        heard: heard.len(),
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
    println!("seed {SEED}, {READERS} readers, {PAYLOADS_PER_S} payloads per second, each sent once, SF7/500 kHz");
    let shares = [true, false].map(|listens| {
        let ChuteRun { given, heard, air_time, readers } = run_chute(listens);
        let share = heard as f64 / given as f64;
        let load = air_time.as_secs_f64() * PAYLOADS_PER_S / PAYLOADS as f64;
        let sum = |count: fn(&ReaderCounts) -> u64| readers.iter().map(count).sum::<u64>();
        let (busy, given_up, refused) =
            (sum(|counts| counts.found_busy), sum(|counts| counts.given_up), sum(|counts| counts.refused));
        println!(
            "listening {listens}: {heard} of {given} payloads heard, {share:.4}, at a load of {load:.2}; \
             busy {busy} times, given up {given_up}, refused {refused}"
        );
        share
    });
    assert!(shares[0] >= 0.9, "with listening");
    assert!(shares[1] < 0.5, "the same traffic fails without listening, or the test proves nothing");
}

#[test]
fn equal_seeds_replay_readers_exactly() {
    let run = || {
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
    let first = run();
    assert!(first.len() > 300);
    assert_eq!(first, run());
}
