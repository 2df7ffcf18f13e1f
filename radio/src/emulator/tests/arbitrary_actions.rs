use proptest::prelude::*;

use super::super::{DeadBus, Faults, LostEdges, ReaderOptions, StuckLine};
use super::*;

/// What a host, the world and bad luck can do to a chip.
#[derive(Debug, Clone)]
enum Deed {
    Frame(Vec<u8>),
    Mode(u8),
    Transmit(Vec<u8>, u8, f64, bool),
    Give(Vec<u8>),
    Pass(u32),
    Reset,
    BrownOut(u16),
    Faults(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    let payload = || prop::collection::vec(any::<u8>(), 1..=255);
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Deed::Frame),
        4 => (0..8_u8).prop_map(Deed::Mode),
        4 => (payload(), 7..=12_u8, -140.0..10.0_f64, any::<bool>()).prop_map(|(payload, factor, dbm, crc)| {
            Deed::Transmit(payload, factor, dbm, crc)
        }),
        2 => payload().prop_map(Deed::Give),
        4 => (0..400_000_u32).prop_map(Deed::Pass),
        1 => Just(Deed::Reset),
        1 => any::<u16>().prop_map(Deed::BrownOut),
        1 => (0..8_u8).prop_map(Deed::Faults),
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
    fn whatever_is_done_to_it_the_air_goes_on_and_its_ledger_adds_up(deeds in prop::collection::vec(deed(), 1..60)) {
        let air = Air::default();
        let mut host = Host::listening(&air);
        let reader = air.reader(ReaderOptions::default());
        for deed in deeds {
            match deed {
                // A failing bus refuses.
                Deed::Frame(mut words) => drop(host.spi.transfer(&mut words).map(<[u8]>::len)),
                Deed::Mode(mode) => _ = host.spi.write(&[0x81, 0x80 | mode]),
                Deed::Transmit(payload, factor, rssi_dbm, crc) => {
                    let modulation = modulation(factor, Bandwidth::Khz125);
                    let transmission = Transmission { payload, modulation, rssi_dbm, crc, ..Transmission::default() };
                    air.transmit(transmission, Duration::ZERO).unwrap();
                }
                Deed::Give(payload) => _ = reader.send(&payload),
                Deed::Pass(us) => air.pass(Duration::from_micros(u64::from(us))),
                Deed::Reset => host.chip.reset_spontaneously(),
                Deed::BrownOut(ms) => host.chip.brown_out(Duration::from_millis(u64::from(ms))),
                Deed::Faults(kind) => host.chip.set_faults(faults(kind)),
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
fn the_end_of_time_is_no_end_of_the_program() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    air.pass(Duration::MAX);
    host.hear(Transmission::of(*b"a"));
    air.pass(Duration::MAX);
    host.chip.brown_out(Duration::MAX);
    assert_eq!(host.wait(Duration::ZERO), Wake::TimedOut);
}
