//! Faults of a chip and of its wires.
//!
//! A fault that behaves differently from the field would make the recovery of a driver look proven when it is not.

use super::*;
use crate::emulator::{BusDownError, DeadBus, Faults, LostEdges, StuckLine};

fn faulty(faults: Faults) -> Host {
    let host = Host::listening(&Air::default());
    host.chip.set_faults(faults);
    host
}

#[test]
fn dead_bus_reads_one_value_everywhere_and_drops_writes() {
    for (dead, byte) in [(DeadBus::Ones, 0xFF), (DeadBus::Zeros, 0x00)] {
        let mut host = faulty(Faults { dead_bus: Some(dead), ..Faults::default() });
        assert_eq!(host.read(Register::Version), byte);
        host.set_mode(SLEEP);
        assert_eq!(host.op_mode(), byte);
        host.chip.set_faults(Faults::default());
        assert_eq!(host.op_mode(), 0x80 | RECEIVE, "no write arrived");
        host.receive(Transmission::of(*b"a"));
        assert_eq!(host.last_packet(), b"a", "the chip went on receiving");
    }
}

#[test]
fn failing_bus_returns_errors() {
    let mut host = faulty(Faults { failing_bus: true, ..Faults::default() });
    assert_eq!(host.spi.transfer(&mut [0x42, 0]), Err(BusDownError));
    assert_eq!(host.spi.write(&[0x81, 0]), Err(BusDownError));
}

#[test]
fn unknown_version_changes_no_other_register() {
    let mut host = faulty(Faults { version: Some(0x22), ..Faults::default() });
    assert_eq!(host.read(Register::Version), 0x22);
    assert_eq!(host.read(Register::SyncWord), 0x12);
}

#[test]
fn line_stuck_low_gives_no_edge() {
    let mut host = faulty(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() });
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    assert_eq!(host.flags() & RX_DONE, RX_DONE, "the flag is set");
}

#[test]
fn line_stuck_high_gives_one_edge_and_then_none() {
    let mut host = faulty(Faults { stuck_dio0: Some(StuckLine::High), ..Faults::default() });
    assert_eq!(host.wait(ms(1)), Wake::Edge);
    host.receive(Transmission::of(*b"a"));
    host.clear_flags();
    assert!(host.chip.dio0_is_high());
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    host.chip.set_faults(Faults::default());
    assert!(!host.chip.dio0_is_high());
}

/// Returns for each of `packets` packets whether it gave an edge.
fn edges_of(lost_edges: LostEdges, packets: u32) -> Vec<bool> {
    let mut host = faulty(Faults { lost_edges: Some(lost_edges), ..Faults::default() });
    (0..packets)
        .map(|_| {
            host.receive(Transmission::of(*b"a"));
            let edge = host.wait(ms(1)) == Wake::Edge;
            host.clear_flags();
            edge
        })
        .collect()
}

#[test]
fn every_nth_edge_is_lost() {
    assert_eq!(edges_of(LostEdges::EveryNth(3), 6), [true, true, false, true, true, false]);
    assert_eq!(edges_of(LostEdges::EveryNth(1), 2), [false, false]);
    assert_eq!(edges_of(LostEdges::EveryNth(0), 2), [true, true]);
}

#[test]
fn randomly_lost_edges_are_the_same_in_each_run() {
    let first = edges_of(LostEdges::PerMille(200), 500);
    assert_eq!(first, edges_of(LostEdges::PerMille(200), 500));
    let lost = first.iter().filter(|edge| !**edge).count();
    // 100 are expected; five standard deviations are 45.
    assert!((55..=145).contains(&lost), "{lost} of 500 lost");
}

#[test]
fn spontaneous_reset_is_silent_and_ends_the_reception() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    air.transmit(packet_with(Modulation::default()), Duration::ZERO).unwrap();
    air.pass(ms(30));
    host.chip.reset_spontaneously();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    assert_eq!(host.op_mode(), 0x09);
    assert_eq!(host.fates(), [Fate::NotListening]);
}

#[test]
fn brown_out_resets_the_chip_and_silences_it_until_power_returns() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.chip.brown_out(ms(50));
    air.pass(ms(49));
    assert_eq!(host.read(Register::Version), 0x00);
    host.set_mode(SLEEP);
    air.pass(ms(1));
    assert_eq!(host.op_mode(), 0x09, "writes without power did not arrive");
}

#[test]
fn missing_tx_done_leaves_the_chip_in_transmit_mode_until_the_next_mode_change() {
    let air = Air::default();
    let mut host = Host::in_standby(&air, "reader", &Modulation::default());
    host.chip.set_faults(Faults { no_tx_done: true, ..Faults::default() });
    host.send(b"a");
    air.pass(ms(10_000));
    assert_eq!((host.flags(), host.op_mode()), (0, 0x80 | TRANSMIT));
    host.chip.set_faults(Faults::default());
    host.set_mode(STANDBY);
    host.send(b"a");
    air.pass(ms(100));
    assert_eq!(host.flags(), TX_DONE);
}
