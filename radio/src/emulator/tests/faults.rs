use super::super::{BusDownError, DeadBus, Faults, LostEdges, StuckLine};
use super::*;

fn faulty(faults: Faults) -> Host {
    let host = Host::listening(&Air::default());
    host.chip.set_faults(faults);
    host
}

#[test]
fn a_dead_bus_reads_one_value_everywhere_and_takes_nothing() {
    for (dead, byte) in [(DeadBus::Ones, 0xFF), (DeadBus::Zeros, 0x00)] {
        let mut host = faulty(Faults { dead_bus: Some(dead), ..Faults::default() });
        assert_eq!(host.read(Register::Version), byte);
        host.mode(SLEEP);
        assert_eq!(host.mode_now(), byte);
        host.chip.set_faults(Faults::default());
        assert_eq!(host.mode_now(), 0x80 | RECEIVE, "nothing arrived");
        host.hear(Transmission::of(*b"a"));
        assert_eq!(host.last_packet(), b"a", "it went on receiving");
    }
}

#[test]
fn a_failing_bus_gives_errors() {
    let mut host = faulty(Faults { failing_bus: true, ..Faults::default() });
    assert_eq!(host.spi.transfer(&mut [0x42, 0]), Err(BusDownError));
    assert_eq!(host.spi.write(&[0x81, 0]), Err(BusDownError));
}

#[test]
fn a_foreign_version_is_read_and_nothing_else_is_foreign() {
    let mut host = faulty(Faults { version: Some(0x22), ..Faults::default() });
    assert_eq!(host.read(Register::Version), 0x22);
    assert_eq!(host.read(Register::SyncWord), 0x12);
}

#[test]
fn a_line_stuck_low_gives_no_edge() {
    let mut host = faulty(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() });
    host.hear(Transmission::of(*b"a"));
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    assert_eq!(host.flags() & RX_DONE, RX_DONE, "the flag is there");
}

#[test]
fn a_line_stuck_high_gives_one_edge_and_then_none() {
    let mut host = faulty(Faults { stuck_dio0: Some(StuckLine::High), ..Faults::default() });
    assert_eq!(host.wait(ms(1)), Wake::Edge);
    host.hear(Transmission::of(*b"a"));
    host.clear_flags();
    assert!(host.chip.dio0_is_high());
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    host.chip.set_faults(Faults::default());
    assert!(!host.chip.dio0_is_high());
}

/// Which of so many packets gave an edge.
fn edges_of(lost_edges: LostEdges, packets: u32) -> Vec<bool> {
    let mut host = faulty(Faults { lost_edges: Some(lost_edges), ..Faults::default() });
    (0..packets)
        .map(|_| {
            host.hear(Transmission::of(*b"a"));
            let edge = host.wait(ms(1)) == Wake::Edge;
            host.clear_flags();
            edge
        })
        .collect()
}

#[test]
fn each_third_edge_is_lost_where_that_is_the_fault() {
    assert_eq!(edges_of(LostEdges::EveryNth(3), 6), [true, true, false, true, true, false]);
    assert_eq!(edges_of(LostEdges::EveryNth(1), 2), [false, false]);
    assert_eq!(edges_of(LostEdges::EveryNth(0), 2), [true, true]);
}

#[test]
fn edges_lost_by_chance_are_the_same_ones_in_each_run() {
    let first = edges_of(LostEdges::PerMille(200), 500);
    assert_eq!(first, edges_of(LostEdges::PerMille(200), 500));
    let lost = first.iter().filter(|edge| !**edge).count();
    // 100 expected; five standard deviations are 45.
    assert!((55..=145).contains(&lost), "{lost} of 500 lost");
}

#[test]
fn a_reset_by_itself_is_not_told_and_stops_the_reception() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    air.transmit(sent_with(Modulation::default()), Duration::ZERO).unwrap();
    air.pass(ms(30));
    host.chip.reset_spontaneously();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    assert_eq!(host.mode_now(), 0x09);
    assert_eq!(host.fates(), [Fate::NotListening]);
}

#[test]
fn after_a_brown_out_the_chip_is_as_new_but_does_not_answer_before_power_is_back() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.chip.brown_out(ms(50));
    air.pass(ms(49));
    assert_eq!(host.read(Register::Version), 0x00);
    host.mode(SLEEP);
    air.pass(ms(1));
    assert_eq!(host.mode_now(), 0x09, "what was written meanwhile did not arrive");
}

#[test]
fn a_txdone_that_never_comes_leaves_the_chip_sending_until_it_is_told_otherwise() {
    let air = Air::default();
    let mut host = Host::set_to(&air, "reader", &Modulation::default());
    host.chip.set_faults(Faults { no_tx_done: true, ..Faults::default() });
    host.send(b"a");
    air.pass(ms(10_000));
    assert_eq!((host.flags(), host.mode_now()), (0, 0x80 | TRANSMIT));
    host.chip.set_faults(Faults::default());
    host.mode(STANDBY);
    host.send(b"a");
    air.pass(ms(100));
    assert_eq!(host.flags(), TX_DONE);
}
