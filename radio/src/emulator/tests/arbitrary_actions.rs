//! Arbitrary sequences of actions by host, world and bad luck.
//!
//! They catch a panic, an air that never becomes quiet, and a tally that disagrees with its verdicts.

use super::*;
use crate::emulator::{DeadBus, Faults, LostEdges, ReaderOptions, StuckLine};
use proptest::prelude::*;

/// An action of a host, the world or bad luck on a chip.
#[derive(Clone, Debug)]
enum Action {
    Frame(Vec<u8>),
    Mode(u8),
    Transmit(Vec<u8>, u8, f64, bool),
    Send(Vec<u8>),
    Pass(u32),
    Reset,
    BrownOut(u16),
    Faults(u8),
}

fn action() -> impl Strategy<Value = Action> {
    let payload = || prop::collection::vec(any::<u8>(), 1..=255);
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Action::Frame),
        4 => (0..8_u8).prop_map(Action::Mode),
        4 => (payload(), 7..=12_u8, -140.0..10.0_f64, any::<bool>()).prop_map(|(payload, factor, dbm, crc)| {
            Action::Transmit(payload, factor, dbm, crc)
        }),
        2 => payload().prop_map(Action::Send),
        4 => (0..400_000_u32).prop_map(Action::Pass),
        1 => Just(Action::Reset),
        1 => any::<u16>().prop_map(Action::BrownOut),
        1 => (0..8_u8).prop_map(Action::Faults),
    ]
}

fn faults(kind: u8) -> Faults {
    let none = Faults::default();
    match kind {
        0 => Faults { dead_bus: Some(DeadBus::Ones), ..none },
        1 => Faults { failing_bus: true, ..none },
        2 => Faults { stuck_dio0: Some(StuckLine::High), ..none },
        3 => Faults { lost_edges: Some(LostEdges::PerMille(300)), ..none },
        4 => Faults { no_tx_done: true, ..none },
        _ => none,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_actions_leave_a_running_air_and_a_consistent_ledger(actions in prop::collection::vec(action(), 1..60)) {
        let air = Air::default();
        let mut host = Host::listening(&air);
        let reader = air.reader(ReaderOptions::default());
        for action in actions {
            match action {
                // A failing bus returns an error.
                Action::Frame(mut words) => drop(host.spi.transfer(&mut words).map(<[u8]>::len)),
                Action::Mode(mode) => _ = host.spi.write(&[0x81, 0x80 | mode]),
                Action::Transmit(payload, factor, rssi_dbm, crc) => {
                    let modulation = modulation(factor, Bandwidth::Khz125);
                    let transmission = Transmission { payload, modulation, rssi_dbm, crc, ..Transmission::default() };
                    air.transmit(transmission, Duration::ZERO).unwrap();
                }
                Action::Send(payload) => _ = reader.send(&payload),
                Action::Pass(us) => air.pass(Duration::from_micros(u64::from(us))),
                Action::Reset => host.chip.reset_spontaneously(),
                Action::BrownOut(ms) => host.chip.brown_out(Duration::from_millis(u64::from(ms))),
                Action::Faults(kind) => host.chip.set_faults(faults(kind)),
            }
        }
        host.chip.set_faults(Faults::default());
        air.pass_until_quiet(ms(1_000_000));
        let (verdicts, tally) = (host.chip.verdicts(), host.chip.tally());
        prop_assert_eq!(tally.total(), verdicts.len() as u64);
        for fate in Fate::ALL {
            prop_assert_eq!(tally.of(fate), verdicts.iter().filter(|verdict| verdict.fate == fate).count() as u64);
        }
        prop_assert_eq!(tally.of(Fate::Receiving), 0, "nothing is received on a quiet air");
        let counts = reader.counts();
        prop_assert_eq!(counts.given, counts.sent + counts.refused + counts.given_up);
    }
}

#[test]
fn end_of_the_clock_does_not_panic() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    air.pass(Duration::MAX);
    host.receive(Transmission::of(*b"a"));
    air.pass(Duration::MAX);
    host.chip.brown_out(Duration::MAX);
    assert_eq!(host.wait(Duration::ZERO), Wake::TimedOut);
}
