//! Our air times compared to a second implementation, `air_time.py`, which was written from the data sheet alone.
//!
//! This catches a symbol too many, a missing LowDataRateOptimize, and rounding errors that add up. The air time budget
//! and the deadline for emptying the FIFO depend on these values.

use radio::lora::{Bandwidth, CodingRate, Modulation, SpreadingFactor};
use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

/// Our values are truncated to nanoseconds; theirs have floating-point errors of some parts in 10^15.
const ROUNDING_S: f64 = 2e-9;
const ROUNDING_SHARE: f64 = 1e-14;
/// Number of cases: 6 factors, 10 bandwidths and 4 rates, each with every length and with four lengths at three other
/// preambles.
const CASES: usize = 6 * 10 * 4 * (255 + 3 * 4);

struct Case {
    modulation: Modulation,
    payload_bytes: u8,
    seconds: f64,
}

#[test]
fn air_times_match_the_second_implementation() {
    let table = expected_table();
    let mut seen = HashSet::new();
    for line in table.lines() {
        let Case { modulation, payload_bytes, seconds } =
            parse(line).unwrap_or_else(|| panic!("cannot parse the case: {line}"));
        let ours = modulation.air_time(payload_bytes).as_secs_f64();
        assert!((ours - seconds).abs() <= ROUNDING_S + seconds * ROUNDING_SHARE, "{line}: ours is {ours} s");
        seen.insert((modulation, payload_bytes));
    }
    assert_eq!(seen.len(), CASES, "every case occurs once");
}

#[test]
fn air_times_match_documented_values() {
    for (factor, bandwidth, payload_bytes, expected_ms) in [
        (7, Bandwidth::Khz125, 50, 97.5),
        (7, Bandwidth::Khz500, 50, 24.4),
        (12, Bandwidth::Khz125, 50, 2302.0),
        (7, Bandwidth::Khz125, 16, 51.5),
        (7, Bandwidth::Khz500, 16, 12.9),
    ] {
        let spreading_factor = SpreadingFactor::new(factor).unwrap();
        let modulation = Modulation { spreading_factor, bandwidth, ..Modulation::default() };
        let ms = modulation.air_time(payload_bytes).as_secs_f64() * 1e3;
        assert!((ms - expected_ms).abs() <= 0.05, "SF{factor} {bandwidth:?} {payload_bytes} B: {ms} ms");
    }
}

#[test]
fn the_longest_packet_does_not_overflow() {
    let modulation = Modulation {
        spreading_factor: SpreadingFactor::SF12,
        bandwidth: Bandwidth::Khz7_8,
        coding_rate: CodingRate::FourEighths,
        preamble_symbols: u16::MAX,
        ..Modulation::default()
    };
    // 65,539.25 preamble symbols and 8 + 51 * 8 payload symbols, of 4,096 chips each at 7.8 kHz.
    let expected_s = (65_539.25 + 8.0 + 51.0 * 8.0) * 4_096.0 / 7_800.0;
    let found = modulation.air_time(u8::MAX);
    assert!((found.as_secs_f64() - expected_s).abs() < 1e-6, "{found:?} is not {expected_s} s");
    assert!(found > Duration::from_secs(9 * 3_600));
}

fn expected_table() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/air_time.py");
    let output = Command::new("python3").arg(script).output().unwrap_or_else(|error| {
        panic!(
            "cannot run python3, which calculates the expected air times ({error}): install Python 3; its standard \
             library is enough (Debian: apt-get install python3-minimal)"
        )
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed: {stderr}");
    String::from_utf8(output.stdout).expect("the table is UTF-8")
}

fn parse(line: &str) -> Option<Case> {
    let mut words = line.split(' ');
    let spreading_factor = SpreadingFactor::new(words.next()?.parse().ok()?)?;
    let bandwidth = Bandwidth::from_hz(words.next()?.parse().ok()?)?;
    let coding_rate = CodingRate::from_denominator(words.next()?.parse().ok()?)?;
    let preamble_symbols = words.next()?.parse().ok()?;
    let payload_bytes = words.next()?.parse().ok()?;
    let seconds = words.next()?.parse().ok()?;
    let modulation = Modulation { spreading_factor, bandwidth, coding_rate, preamble_symbols, ..Modulation::default() };
    words.next().is_none().then_some(Case { modulation, payload_bytes, seconds })
}
