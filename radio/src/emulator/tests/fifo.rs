//! The FIFO: its pointer, and the packets that it keeps or loses.
//!
//! An error here would hide a driver that mixes up packets, or blame one for a packet that it has read.

use super::*;

#[test]
fn burst_stays_at_the_fifo_and_its_pointer_advances_and_wraps() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::FifoAddrPtr, 0xFE);
    host.write_burst(Register::Fifo, &[1, 2, 3]);
    assert_eq!(host.read(Register::FifoAddrPtr), 0x01);
    host.write(Register::FifoAddrPtr, 0xFE);
    assert_eq!(host.read_burst(Register::Fifo, 3), [1, 2, 3]);
    host.write(Register::FifoAddrPtr, 0x00);
    assert_eq!(host.read(Register::Fifo), 3);
}

#[test]
fn pointer_advances_on_fifo_access_only() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::FifoAddrPtr, 0x10);
    host.read_burst(Register::ModemConfig1, 5);
    assert_eq!(host.read(Register::FifoAddrPtr), 0x10);
}

#[test]
fn sleep_wipes_the_fifo_and_blocks_access() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::FifoAddrPtr, 0);
    host.write_burst(Register::Fifo, b"kept");
    host.set_mode(SLEEP);
    host.write(Register::FifoAddrPtr, 0);
    assert_eq!(host.read_burst(Register::Fifo, 4), [0; 4]);
    host.write(Register::FifoAddrPtr, 0);
    host.write_burst(Register::Fifo, b"lost");
    host.set_mode(STANDBY);
    host.write(Register::FifoAddrPtr, 0);
    assert_eq!(host.read_burst(Register::Fifo, 4), [0; 4]);
}

#[test]
fn packets_are_appended_from_the_base_and_wrap() {
    let air = Air::default();
    let mut host = Host::in_standby(&air, "barn", &Modulation::default());
    host.write(Register::FifoRxBaseAddr, 0x20);
    host.set_mode(RECEIVE);
    let mut starts = Vec::new();
    for byte in 0..4 {
        host.receive(Transmission::of([byte; 100]));
        starts.push(host.read(Register::FifoRxCurrentAddr));
        assert_eq!(host.last_packet(), [byte; 100]);
    }
    // From 0x20 in steps of 100, modulo 256.
    assert_eq!(starts, [32, 132, 232, 76]);
    assert_eq!(host.fates(), [Fate::Read; 4]);
    host.set_mode(STANDBY);
    host.set_mode(RECEIVE);
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.read(Register::FifoRxCurrentAddr), 0x20, "a new receive mode starts at the base");
}

#[test]
fn registers_describe_the_last_packet_only() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission::of(*b"first"));
    host.receive(Transmission::of(*b"second!"));
    assert_eq!(host.last_packet(), b"second!");
    assert_eq!(host.fates(), [Fate::Unread, Fate::Read]);
    host.write(Register::FifoAddrPtr, 0);
    assert_eq!(host.read_burst(Register::Fifo, 5), b"first", "the previous packet is still in the FIFO");
    assert_eq!(host.fates(), [Fate::Read, Fate::Read]);
}

#[test]
fn unread_packet_is_overwritten() {
    let mut host = Host::listening(&Air::default());
    for byte in 0..3 {
        host.receive(Transmission::of([byte; 120]));
    }
    assert_eq!(host.fates(), [Fate::Overwritten, Fate::Unread, Fate::Unread]);
    assert_eq!(host.chip.tally().of(Fate::Overwritten), 1);
}

#[test]
fn packet_is_overwritten_while_the_next_one_arrives_not_at_its_end() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.receive(Transmission::of([1; 200]));
    let modulation = Modulation::default();
    air.transmit(Transmission::of([2; 200]), Duration::ZERO).unwrap();
    air.pass(modulation.air_time(200) / 2);
    assert_eq!(host.flags() & RX_DONE, RX_DONE, "from the first packet");
    assert_eq!(host.fates()[0], Fate::Overwritten);
    let read = host.last_packet();
    assert_eq!((read[0], read[199]), (2, 1), "a mixture of both packets");
}

#[test]
fn partly_read_packet_counts_as_unread() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission::of(*b"whole"));
    host.write(Register::FifoAddrPtr, 0);
    host.read_burst(Register::Fifo, 4);
    assert_eq!(host.fates(), [Fate::Unread]);
    host.read(Register::Fifo);
    assert_eq!(host.fates(), [Fate::Read]);
}

#[test]
fn sleep_and_reset_wipe_unread_packets() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission::of(*b"a"));
    host.set_mode(SLEEP);
    host.set_mode(RECEIVE);
    host.receive(Transmission::of(*b"b"));
    host.chip.reset_spontaneously();
    assert_eq!(host.fates(), [Fate::Wiped, Fate::Wiped]);
    assert_eq!(host.chip.tally().flagged_good(), 2);
}
