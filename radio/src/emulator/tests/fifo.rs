use super::*;

#[test]
fn a_burst_stays_at_the_fifo_and_its_pointer_goes_on_and_wraps() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::FifoAddrPtr, 0xFE);
    host.write_burst(Register::Fifo, &[1, 2, 3]);
    assert_eq!(host.read(Register::FifoAddrPtr), 0x01);
    host.write(Register::FifoAddrPtr, 0xFE);
    assert_eq!(host.read_burst(Register::Fifo, 3), [1, 2, 3]);
    host.write(Register::FifoAddrPtr, 0x00);
    assert_eq!(host.read(Register::Fifo), 3);
}

#[test]
fn the_pointer_goes_on_with_the_fifo_alone() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::FifoAddrPtr, 0x10);
    host.read_burst(Register::ModemConfig1, 5);
    assert_eq!(host.read(Register::FifoAddrPtr), 0x10);
}

#[test]
fn sleep_loses_what_is_in_it_and_cannot_reach_it() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::FifoAddrPtr, 0);
    host.write_burst(Register::Fifo, b"kept");
    host.mode(SLEEP);
    host.write(Register::FifoAddrPtr, 0);
    assert_eq!(host.read_burst(Register::Fifo, 4), [0; 4]);
    host.write(Register::FifoAddrPtr, 0);
    host.write_burst(Register::Fifo, b"lost");
    host.mode(STANDBY);
    host.write(Register::FifoAddrPtr, 0);
    assert_eq!(host.read_burst(Register::Fifo, 4), [0; 4]);
}

#[test]
fn packets_are_appended_from_the_base_on_and_wrap() {
    let air = Air::default();
    let mut host = Host::set_to(&air, "barn", &Modulation::default());
    host.write(Register::FifoRxBaseAddr, 0x20);
    host.mode(RECEIVE);
    let mut starts = Vec::new();
    for byte in 0..4 {
        host.hear(Transmission::of([byte; 100]));
        starts.push(host.read(Register::FifoRxCurrentAddr));
        assert_eq!(host.last_packet(), [byte; 100]);
    }
    // 0x20, and 100 more each time, modulo 256.
    assert_eq!(starts, [32, 132, 232, 76]);
    assert_eq!(host.fates(), [Fate::Read; 4]);
    host.mode(STANDBY);
    host.mode(RECEIVE);
    host.hear(Transmission::of(*b"a"));
    assert_eq!(host.read(Register::FifoRxCurrentAddr), 0x20, "a new stay begins at the base");
}

#[test]
fn the_registers_speak_of_the_last_packet_alone() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission::of(*b"first"));
    host.hear(Transmission::of(*b"second!"));
    assert_eq!(host.last_packet(), b"second!");
    assert_eq!(host.fates(), [Fate::Unread, Fate::Read]);
    host.write(Register::FifoAddrPtr, 0);
    assert_eq!(host.read_burst(Register::Fifo, 5), b"first", "the one before is still in the FIFO");
    assert_eq!(host.fates(), [Fate::Read, Fate::Read]);
}

#[test]
fn a_packet_that_is_not_read_in_time_is_overwritten() {
    let mut host = Host::listening(&Air::default());
    for byte in 0..3 {
        host.hear(Transmission::of([byte; 120]));
    }
    assert_eq!(host.fates(), [Fate::Overwritten, Fate::Unread, Fate::Unread]);
    assert_eq!(host.chip.tally().of(Fate::Overwritten), 1);
}

#[test]
fn a_packet_is_overwritten_while_the_next_one_comes_in_not_at_its_end() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.hear(Transmission::of([1; 200]));
    let modulation = Modulation::default();
    air.transmit(Transmission::of([2; 200]), Duration::ZERO).unwrap();
    air.pass(modulation.air_time(200) / 2);
    assert_eq!(host.flags() & RX_DONE, RX_DONE, "of the first");
    assert_eq!(host.fates()[0], Fate::Overwritten);
    let read = host.last_packet();
    assert_eq!((read[0], read[199]), (2, 1), "both packets at once");
}

#[test]
fn a_packet_read_in_part_is_not_read() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission::of(*b"whole"));
    host.write(Register::FifoAddrPtr, 0);
    host.read_burst(Register::Fifo, 4);
    assert_eq!(host.fates(), [Fate::Unread]);
    host.read(Register::Fifo);
    assert_eq!(host.fates(), [Fate::Read]);
}

#[test]
fn sleep_and_reset_wipe_what_was_not_read() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission::of(*b"a"));
    host.mode(SLEEP);
    host.mode(RECEIVE);
    host.hear(Transmission::of(*b"b"));
    host.chip.reset_spontaneously();
    assert_eq!(host.fates(), [Fate::Wiped, Fate::Wiped]);
    assert_eq!(host.chip.tally().flagged_good(), 2);
}
