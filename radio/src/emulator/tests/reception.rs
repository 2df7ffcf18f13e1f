//! Reception: flags, DIO0, registers and timeouts.
//!
//! An error here would hide a driver that delivers corrupt packets or waits for an edge that never comes.

use super::*;

#[test]
fn good_packet_raises_dio0_and_reports_its_crc() {
    let mut host = Host::listening(&Air::default());
    host.air.transmit(packet_with(Modulation::default()), Duration::ZERO).unwrap();
    assert_eq!(host.wait(ms(1_000)), Wake::Edge);
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
    assert_eq!(host.read(Register::HopChannel) & 0x40, 0x40);
    assert_eq!(host.last_packet(), b"hxb:LOT7:1:2");
}

#[test]
fn packet_ends_after_its_air_time() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    let air_time = Modulation::default().air_time(12);
    let begin = air.now();
    air.transmit(packet_with(Modulation::default()), begin).unwrap();
    assert_eq!(host.wait(ms(1_000)), Wake::Edge);
    assert_eq!(air.now().saturating_sub(begin), air_time);
}

#[test]
fn corrupt_packet_is_flagged_bad_with_its_bytes_in_the_fifo() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission { corrupted: true, ..packet_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER | CRC_ERROR);
    let bytes = host.last_packet();
    assert_eq!(bytes.len(), 12);
    assert_ne!(bytes, b"hxb:LOT7:1:2");
    assert_eq!(host.fates(), [Fate::CrcBad]);
}

#[test]
fn packet_without_a_crc_raises_no_error_even_if_corrupt() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission { crc: false, corrupted: true, ..packet_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
    assert_eq!(host.read(Register::HopChannel) & 0x40, 0);
    assert_eq!(host.fates(), [Fate::WithoutCrc]);
}

#[test]
fn without_a_header_the_receiver_uses_its_own_length() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::ModemConfig1, 0x73);
    host.write(Register::PayloadLength, 12);
    host.set_mode(RECEIVE);
    host.receive(Transmission { explicit_header: false, ..packet_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE, "without a header there is no header flag");
    assert_eq!(host.last_packet(), b"hxb:LOT7:1:2");
    host.clear_flags();
    host.write(Register::PayloadLength, 11);
    host.set_mode(STANDBY);
    host.set_mode(RECEIVE);
    host.receive(Transmission { explicit_header: false, ..packet_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE | CRC_ERROR, "with a different length");
    assert_eq!(host.last_packet().len(), 11);
}

#[test]
fn packet_over_the_maximum_length_is_dropped_at_its_header() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::MaxPayloadLength, 11);
    host.set_mode(RECEIVE);
    host.receive(packet_with(Modulation::default()));
    assert_eq!(host.flags(), 0);
    host.write(Register::MaxPayloadLength, 12);
    host.receive(packet_with(Modulation::default()));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
}

#[test]
fn stale_flag_keeps_dio0_high_so_the_next_packet_gives_no_edge() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.wait(ms(1)), Wake::Edge);
    host.receive(Transmission::of(*b"b"));
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    host.clear_flags();
    host.receive(Transmission::of(*b"c"));
    assert_eq!(host.wait(ms(1)), Wake::Edge);
}

#[test]
fn dio0_shows_the_flag_it_is_mapped_to() {
    let mut host = Host::listening(&Air::default());
    host.write(Register::DioMapping1, 0x40);
    host.receive(Transmission::of(*b"a"));
    assert!(!host.chip.dio0_is_high(), "RxDone, mapped to TxDone");
    host.write(Register::DioMapping1, 0x00);
    assert!(host.chip.dio0_is_high());
    assert_eq!(host.wait(ms(1)), Wake::Edge, "the mapping itself raised the line");
    host.write(Register::DioMapping1, 0xC0);
    assert!(!host.chip.dio0_is_high(), "mapped to nothing");
}

#[test]
fn requesting_dio0_discards_earlier_edges() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission::of(*b"a"));
    host.dio0 = host.chip.dio0();
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
}

#[test]
fn single_reception_times_out_unless_it_finds_a_preamble() {
    let air = Air::default();
    let mut host = Host::in_standby(&air, "barn", &Modulation::default());
    host.write(Register::SymbTimeoutLsb, 20);
    host.set_mode(RECEIVE_SINGLE);
    // 20 symbols of 1.024 ms.
    air.pass(ms(20));
    assert_eq!(host.flags(), 0);
    air.pass(ms(1));
    assert_eq!(host.flags(), RX_TIMEOUT);
    assert_eq!(host.op_mode(), 0x80 | STANDBY);
    host.clear_flags();
    host.set_mode(RECEIVE_SINGLE);
    air.transmit(packet_with(Modulation::default()), air.now() + ms(15)).unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
}

#[test]
fn single_reception_that_loses_its_packet_times_out_at_once() {
    let air = Air::default();
    let mut host = Host::in_standby(&air, "barn", &Modulation::default());
    host.write(Register::SymbTimeoutLsb, 0xFF);
    host.set_mode(RECEIVE_SINGLE);
    let begin = air.now();
    for offset in [0, 14] {
        air.transmit(packet_with(Modulation::default()), begin + ms(offset)).unwrap();
    }
    air.pass(ms(25));
    assert_eq!(host.flags(), RX_TIMEOUT);
}

#[test]
fn late_receiver_needs_five_symbols_of_the_preamble() {
    let air = Air::default();
    for (late_us, fate) in [(2_900, Fate::Unread), (3_200, Fate::NotListening)] {
        let mut host = Host::in_standby(&air, "barn", &Modulation::default());
        air.transmit(packet_with(Modulation::default()), air.now()).unwrap();
        // Of the eight symbols of 1.024 ms, the fourth begins at 3.072 ms.
        air.pass(Duration::from_micros(late_us));
        host.set_mode(RECEIVE);
        air.pass_until_quiet(ms(1_000));
        assert_eq!(host.fates(), [fate], "{late_us} us late");
    }
}

#[test]
fn leaving_the_receive_mode_ends_a_reception() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    air.transmit(packet_with(Modulation::default()), Duration::ZERO).unwrap();
    air.pass(ms(20));
    assert_eq!(host.fates(), [Fate::Receiving]);
    host.set_mode(STANDBY);
    host.set_mode(RECEIVE);
    air.pass_until_quiet(ms(1_000));
    assert_eq!(host.flags() & RX_DONE, 0);
    assert_eq!(host.fates(), [Fate::NotListening]);
}

#[test]
fn headers_and_packets_are_counted_since_the_mode_was_entered() {
    let mut host = Host::listening(&Air::default());
    for corrupted in [false, true, false] {
        host.receive(Transmission { corrupted, ..Transmission::of(*b"a") });
    }
    assert_eq!(host.read_burst(Register::RxHeaderCntMsb, 4), [0, 3, 0, 2]);
    host.set_mode(STANDBY);
    host.set_mode(RECEIVE);
    assert_eq!(host.read_burst(Register::RxHeaderCntMsb, 4), [0, 0, 0, 0]);
}

#[test]
fn modem_status_follows_the_reception() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    assert_eq!(host.read(Register::ModemStat), 0x14);
    air.transmit(packet_with(Modulation::default()), Duration::ZERO).unwrap();
    air.pass(ms(5));
    assert_eq!(host.read(Register::ModemStat), 0x05);
    air.pass(ms(10));
    assert_eq!(host.read(Register::ModemStat), 0x07);
    air.pass(ms(10));
    assert_eq!(host.read(Register::ModemStat), 0x2F, "header decoded, coding rate 4/5");
}
