//! Random loss and corruption, and the verdicts on them.
//!
//! An error here would make the ledger of a simulated radio disagree with what was on the air.

use super::*;
use crate::emulator::AirOptions;

const SEED: u64 = 99;
const TRANSMISSIONS: u64 = 200;

/// Returns the fates of 200 transmissions with these probabilities.
fn fates(loss: f64, corruption: f64) -> Vec<Fate> {
    let air = Air::new(AirOptions { seed: SEED, loss, corruption, ..AirOptions::default() });
    let mut host = Host::listening(&air);
    for _ in 0..TRANSMISSIONS {
        host.receive(Transmission::default());
        let _ = host.last_packet();
        host.clear_flags();
    }
    host.fates()
}

fn count(fates: &[Fate], fate: Fate) -> usize {
    fates.iter().filter(|one| **one == fate).count()
}

#[test]
fn loss_and_corruption_hit_their_shares_and_are_exact_at_0_and_1() {
    println!("seed {SEED}");
    let mixed = fates(0.2, 0.25);
    // 40 are lost, and a quarter of the other 160 corrupted; each within four standard deviations (5.7 and 5.5).
    assert!(count(&mixed, Fate::TooWeak).abs_diff(40) < 23, "{mixed:?}");
    assert!(count(&mixed, Fate::CrcBad).abs_diff(40) < 23, "{mixed:?}");
    assert_eq!(count(&fates(0.0, 0.0), Fate::Read), 200);
    assert_eq!(count(&fates(1.0, 1.0), Fate::TooWeak), 200);
    assert_eq!(count(&fates(0.0, 1.0), Fate::CrcBad), 200);
}

#[test]
fn higher_loss_hits_the_same_transmissions_and_more() {
    println!("seed {SEED}");
    let (better, worse) = (fates(0.1, 0.0), fates(0.4, 0.0));
    let pairs = || better.iter().zip(&worse);
    assert!(pairs().all(|(better, worse)| *better == Fate::Read || better == worse));
    assert!(pairs().any(|(better, worse)| better != worse));
}

#[test]
fn transmission_can_set_its_own_snr() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission { snr_db: Some(-3.25), ..Transmission::default() });
    assert_eq!(host.read(Register::PktSnrValue).cast_signed(), -13);
    host.receive(Transmission { snr_db: Some(-8.0), ..Transmission::default() });
    assert_eq!(host.fates(), [Fate::Unread, Fate::TooWeak]);
}

#[test]
fn taking_verdicts_stops_at_the_first_open_one_and_keeps_the_tally() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission { corrupted: true, ..Transmission::default() });
    host.receive(Transmission::of("unread"));
    host.receive(Transmission { corrupted: true, ..Transmission::default() });
    let taken = |host: &Host| -> Vec<_> {
        host.chip.take_final_verdicts().into_iter().map(|verdict| (verdict.transmission.0, verdict.fate)).collect()
    };
    assert_eq!(taken(&host), [(0, Fate::CrcBad)]);
    assert_eq!(taken(&host), []);
    // The second payload starts after the single byte of the first.
    host.write(Register::FifoAddrPtr, 1);
    host.read_burst(Register::Fifo, 6);
    assert_eq!(taken(&host), [(1, Fate::Read), (2, Fate::CrcBad)]);
    assert_eq!((host.chip.tally().total(), host.chip.tally().of(Fate::CrcBad), host.fates().len()), (3, 2, 0));
}
