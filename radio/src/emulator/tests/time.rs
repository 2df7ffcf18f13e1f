//! The clock: when time passes, and for whom it stands still.
//!
//! An error here would lose packets because the machine is slow, hang a waiting driver, or break replay from a seed.

use super::*;
use crate::emulator::{AirError, AirOptions, ChipOptions, Pace, Poisson};
use embedded_hal_02::blocking::delay::DelayMs;
use std::sync::{Arc, Barrier};
use std::time::Instant;

#[test]
fn time_passes_only_in_transfers_delays_and_waits() {
    let air = Air::default();
    let mut host = Host::in_standby(&air, "barn", &Modulation::default());
    let begin = air.now();
    assert_eq!(air.now(), begin);
    host.read_burst(Register::FrfMsb, 3);
    assert_eq!(air.now().saturating_sub(begin), Duration::from_micros(14), "4 bytes at 8 MHz and 10 us for the call");
    host.chip.delay().delay_ms(10_u8);
    assert_eq!(air.now().saturating_sub(begin), Duration::from_micros(10_014));
    assert_eq!(host.wait(ms(5)), Wake::TimedOut);
    assert_eq!(air.now().saturating_sub(begin), Duration::from_micros(15_014));
}

#[test]
fn edge_between_two_waits_is_not_lost() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.receive(Transmission::of(*b"a"));
    air.pass(ms(1_000));
    let before = air.now();
    assert_eq!(host.wait(ms(1_000)), Wake::Edge);
    assert_eq!(air.now(), before, "at once");
}

#[test]
fn quiet_air_waits_until_somebody_acts() {
    const ROUNDS: u32 = 20;
    let air = Air::default();
    let mut host = Host::listening(&air);
    let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            let begin = host.air.now();
            let wake = host.wait(Duration::from_secs(3_600));
            sender.send((wake, host.air.now().saturating_sub(begin))).unwrap();
            host.clear_flags();
        }
    });
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            air.transmit(Transmission::of(*b"a"), Duration::ZERO).unwrap();
        } else {
            reader.send(b"a");
        }
        let (wake, took) = receiver.recv_timeout(Duration::from_secs(10)).expect("the waiting thread is woken");
        assert_eq!(wake, Wake::Edge);
        assert!(took <= Modulation::default().air_time(1) + ms(1), "time stood still until somebody acted");
    }
    waiter.join().unwrap();
}

#[test]
fn clock_is_never_ahead_of_real_time() {
    let speed = 20.0;
    let air = Air::new(AirOptions { pace: Pace::RealTime { speed }, ..AirOptions::default() });
    let started = Instant::now();
    let mut host = Host::listening(&air);
    for n in 0..10 {
        air.transmit(Transmission::of(*b"a"), ms(100 * n)).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(host.wait(ms(1_000)), Wake::Edge);
        host.clear_flags();
        let ahead = air.now().as_secs_f64() - (started.elapsed().as_secs_f64() + 0.002) * speed;
        assert!(ahead <= 0.0, "{ahead} s ahead");
    }
    assert!(air.now() > ms(900));
}

#[test]
fn equal_seeds_replay_exactly() {
    let run = || {
        let air = Air::new(AirOptions { seed: 42, fading_db: 8.0, ..AirOptions::default() });
        let mut host = Host::listening(&air);
        let times = Poisson::new(5, 12.0);
        air.feed(times.enumerate().map(|(n, at)| {
            let transmission = Transmission { rssi_dbm: -115.0, ..Transmission::of(n.to_be_bytes()) };
            (at, transmission)
        }));
        while air.now() < ms(40_000) {
            if host.wait(ms(50)) == Wake::Edge {
                host.clear_flags();
                host.last_packet();
            }
        }
        host.chip.verdicts()
    };
    let first = run();
    assert_eq!(first, run());
    let kinds: std::collections::HashSet<Fate> = first.iter().map(|verdict| verdict.fate).collect();
    assert!(kinds.len() >= 4, "a run with few kinds of fates proves little: {kinds:?}");
}

#[test]
fn payload_that_does_not_fit_is_refused() {
    let air = Air::default();
    for bytes in [0, 256] {
        let refused = air.transmit(Transmission::of(vec![0; bytes]), Duration::ZERO);
        assert_eq!(refused, Err(AirError::PayloadLength(bytes)));
    }
}

#[test]
fn ledger_keeps_a_limited_number_of_verdicts_and_counts_all() {
    let air = Air::default();
    let chip = air.chip(ChipOptions { max_verdicts: 1, ..ChipOptions::named("barn") });
    let none = air.chip(ChipOptions { max_verdicts: 0, ..ChipOptions::named("other") });
    for n in 0..600 {
        air.transmit(Transmission::of(*b"a"), ms(100 * n)).unwrap();
    }
    air.pass_until_quiet(ms(100_000));
    assert_eq!(chip.tally().of(Fate::NotListening), 600);
    assert_eq!(chip.verdicts().len(), 512, "the minimum of a ledger");
    assert_eq!(chip.verdicts().last().map(|verdict| verdict.transmission.0), Some(599));
    assert_eq!((none.verdicts().len(), none.tally().total()), (0, 0));
}

#[test]
fn time_stands_still_for_each_of_two_drivers() {
    const PACKETS: u64 = 300;
    let air = Air::default();
    let hosts = [Host::listening(&air), Host::listening(&air)];
    // The FIFO holds two of these packets. A driver for which time does not stand still loses some.
    air.feed((0..PACKETS).map(|n| (ms(500 + 190 * n), Transmission::of([1; 100]))));
    let chips = [hosts[0].chip.clone(), hosts[1].chip.clone()];
    let both_have_waited = Arc::new(Barrier::new(2));
    let drivers = hosts.map(|mut host| {
        let both_have_waited = both_have_waited.clone();
        std::thread::spawn(move || {
            host.wait(Duration::ZERO);
            both_have_waited.wait();
            while host.chip.tally().total() < PACKETS || host.chip.tally().of(Fate::Receiving) > 0 {
                if host.wait(ms(20)) == Wake::Edge {
                    host.clear_flags();
                    // Takes real time, but no time on the air.
                    std::thread::yield_now();
                    host.last_packet();
                }
            }
        })
    });
    for driver in drivers {
        driver.join().unwrap();
    }
    for chip in chips {
        assert_eq!(chip.tally().of(Fate::Read), PACKETS, "{:?}", chip.tally());
    }
}

#[test]
fn absent_driver_does_not_stop_the_air() {
    let air = Air::default();
    let (mut absent, mut here) = (Host::listening(&air), Host::listening(&air));
    std::thread::scope(|scope| {
        // This driver has waited once and never comes back, although it still exists.
        scope.spawn(move || {
            absent.wait(Duration::ZERO);
            std::mem::forget(absent);
        });
    });
    here.receive(Transmission::of(*b"a"));
    assert_eq!(here.wait(ms(100)), Wake::Edge);
    here.clear_flags();
    air.transmit(Transmission::of(*b"b"), Duration::ZERO).unwrap();
    assert_eq!(here.wait(ms(1_000)), Wake::Edge);
}

/// Catches a clock that lags behind during a quiet wait. A program behind the kernel would find the chip silent although it
/// has waited long enough after a reset.
#[cfg(feature = "devices")]
#[test]
fn catching_up_brings_a_clock_to_real_time_but_not_at_the_free_pace() {
    use embedded_hal_02::digital::v2::OutputPin;

    let fast = AirOptions { pace: Pace::RealTime { speed: 1e9 }, ..AirOptions::default() };
    for (options, version_after) in [(fast, 0x12), (AirOptions::default(), 0x00)] {
        let air = Air::new(options);
        let mut host = Host::in_standby(&air, "barn", &Modulation::default());
        let mut reset = host.chip.reset();
        let (Ok(()), Ok(())) = (reset.set_low(), reset.set_high());
        assert_eq!(host.read(Register::Version), 0x00, "{options:?}");
        air.catch_up();
        assert_eq!(host.read(Register::Version), version_after, "{options:?}");
    }
}
