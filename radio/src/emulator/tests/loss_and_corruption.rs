//! What the air takes by chance, and what it is told to take.

use super::*;
use crate::emulator::AirOptions;

const SEED: u64 = 99;
const TRANSMISSIONS: u64 = 200;

/// The fates of two hundred transmissions on such an air.
fn fates(loss: f64, corruption: f64) -> Vec<Fate> {
    let air = Air::new(AirOptions { seed: SEED, loss, corruption, ..AirOptions::default() });
    let mut host = Host::listening(&air);
    for _ in 0..TRANSMISSIONS {
        host.hear(Transmission::default());
        let _ = host.last_packet();
        host.clear_flags();
    }
    host.fates()
}

fn count(fates: &[Fate], fate: Fate) -> usize {
    fates.iter().filter(|found| **found == fate).count()
}

#[test]
fn loss_and_corruption_take_their_shares_and_the_ends_are_exact() {
    println!("seed {SEED}");
    let found = fates(0.2, 0.25);
    // 40 and a quarter of the other 160, each within four standard deviations (5.7 and 5.5).
    assert!(count(&found, Fate::TooWeak).abs_diff(40) < 23, "{found:?}");
    assert!(count(&found, Fate::CrcBad).abs_diff(40) < 23, "{found:?}");
    assert_eq!(count(&fates(0.0, 0.0), Fate::Read), 200);
    assert_eq!(count(&fates(1.0, 1.0), Fate::TooWeak), 200);
    assert_eq!(count(&fates(0.0, 1.0), Fate::CrcBad), 200);
}

#[test]
fn a_worse_air_takes_the_same_transmissions_and_more() {
    println!("seed {SEED}");
    let (better, worse) = (fates(0.1, 0.0), fates(0.4, 0.0));
    let pairs = || better.iter().zip(&worse);
    assert!(pairs().all(|(better, worse)| *better == Fate::Read || better == worse));
    assert!(pairs().any(|(better, worse)| better != worse));
}

#[test]
fn a_transmission_may_bring_its_own_ratio() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission { snr_db: Some(-3.25), ..Transmission::default() });
    assert_eq!(host.read(Register::PktSnrValue).cast_signed(), -13);
    host.hear(Transmission { snr_db: Some(-8.0), ..Transmission::default() });
    assert_eq!(host.fates(), [Fate::Unread, Fate::TooWeak]);
}

#[test]
fn verdicts_are_taken_up_to_the_first_that_may_change_and_stay_in_the_tally() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission { corrupted: true, ..Transmission::default() });
    host.hear(Transmission::of("unread"));
    host.hear(Transmission { corrupted: true, ..Transmission::default() });
    let taken = |host: &Host| -> Vec<_> {
        host.chip.take_final_verdicts().into_iter().map(|verdict| (verdict.transmission.0, verdict.fate)).collect()
    };
    assert_eq!(taken(&host), [(0, Fate::CrcBad)]);
    assert_eq!(taken(&host), []);
    // The bytes of the second stand behind the one byte of the first.
    host.write(Register::FifoAddrPtr, 1);
    host.read_burst(Register::Fifo, 6);
    assert_eq!(taken(&host), [(1, Fate::Read), (2, Fate::CrcBad)]);
    assert_eq!((host.chip.tally().total(), host.chip.tally().of(Fate::CrcBad), host.fates().len()), (3, 2, 0));
}
