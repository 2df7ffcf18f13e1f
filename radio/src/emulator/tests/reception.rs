use super::*;

#[test]
fn a_good_packet_raises_dio0_and_says_that_it_has_a_crc() {
    let mut host = Host::listening(&Air::default());
    host.air.transmit(sent_with(Modulation::default()), Duration::ZERO).unwrap();
    assert_eq!(host.wait(ms(1_000)), Wake::Edge);
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
    assert_eq!(host.read(Register::HopChannel) & 0x40, 0x40);
    assert_eq!(host.last_packet(), b"hxb:LOT7:1:2");
}

#[test]
fn a_packet_is_done_when_its_air_time_is_over() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    let air_time = Modulation::default().air_time(12);
    let begin = air.now();
    air.transmit(sent_with(Modulation::default()), begin).unwrap();
    assert_eq!(host.wait(ms(1_000)), Wake::Edge);
    assert_eq!(air.now().saturating_sub(begin), air_time);
}

#[test]
fn a_corrupt_packet_is_flagged_bad_with_its_bytes_in_the_fifo() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission { corrupted: true, ..sent_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER | CRC_ERROR);
    let bytes = host.last_packet();
    assert_eq!(bytes.len(), 12);
    assert_ne!(bytes, b"hxb:LOT7:1:2");
    assert_eq!(host.fates(), [Fate::CrcBad]);
}

#[test]
fn a_packet_without_a_crc_raises_no_error_whatever_is_in_it() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission { crc: false, corrupted: true, ..sent_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
    assert_eq!(host.read(Register::HopChannel) & 0x40, 0);
    assert_eq!(host.fates(), [Fate::WithoutCrc]);
}

#[test]
fn without_a_header_the_receiver_takes_the_length_it_was_told() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::ModemConfig1, 0x73);
    host.write(Register::PayloadLength, 12);
    host.mode(RECEIVE);
    host.hear(Transmission { explicit_header: false, ..sent_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE, "no header, no flag of one");
    assert_eq!(host.last_packet(), b"hxb:LOT7:1:2");
    host.clear_flags();
    host.write(Register::PayloadLength, 11);
    host.mode(STANDBY);
    host.mode(RECEIVE);
    host.hear(Transmission { explicit_header: false, ..sent_with(Modulation::default()) });
    assert_eq!(host.flags(), RX_DONE | CRC_ERROR, "told another length");
    assert_eq!(host.last_packet().len(), 11);
}

#[test]
fn a_header_that_promises_more_than_is_allowed_is_dropped() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::MaxPayloadLength, 11);
    host.mode(RECEIVE);
    host.hear(sent_with(Modulation::default()));
    assert_eq!(host.flags(), 0);
    host.write(Register::MaxPayloadLength, 12);
    host.hear(sent_with(Modulation::default()));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
}

#[test]
fn a_stale_flag_keeps_dio0_high_so_that_the_next_packet_gives_no_edge() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission::of(*b"a"));
    assert_eq!(host.wait(ms(1)), Wake::Edge);
    host.hear(Transmission::of(*b"b"));
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
    host.clear_flags();
    host.hear(Transmission::of(*b"c"));
    assert_eq!(host.wait(ms(1)), Wake::Edge);
}

#[test]
fn dio0_shows_the_flag_that_it_is_mapped_to() {
    let mut host = Host::listening(&Air::default());
    host.write(Register::DioMapping1, 0x40);
    host.hear(Transmission::of(*b"a"));
    assert!(!host.chip.dio0_is_high(), "RxDone, mapped to TxDone");
    host.write(Register::DioMapping1, 0x00);
    assert!(host.chip.dio0_is_high());
    assert_eq!(host.wait(ms(1)), Wake::Edge, "the mapping itself raised the line");
    host.write(Register::DioMapping1, 0xC0);
    assert!(!host.chip.dio0_is_high(), "mapped to nothing");
}

#[test]
fn a_line_requested_anew_does_not_tell_of_edges_before() {
    let mut host = Host::listening(&Air::default());
    host.hear(Transmission::of(*b"a"));
    host.dio0 = host.chip.dio0();
    assert_eq!(host.wait(ms(1)), Wake::TimedOut);
}

#[test]
fn a_single_reception_times_out_after_its_symbols_unless_it_has_found_a_preamble() {
    let air = Air::default();
    let mut host = Host::set_to(&air, "barn", &Modulation::default());
    host.write(Register::SymbTimeoutLsb, 20);
    host.mode(RECEIVE_SINGLE);
    // 20 symbols of 1.024 ms.
    air.pass(ms(20));
    assert_eq!(host.flags(), 0);
    air.pass(ms(1));
    assert_eq!(host.flags(), RX_TIMEOUT);
    assert_eq!(host.mode_now(), 0x80 | STANDBY);
    host.clear_flags();
    host.mode(RECEIVE_SINGLE);
    air.transmit(sent_with(Modulation::default()), air.now() + ms(15)).unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
}

#[test]
fn a_single_reception_that_loses_its_packet_times_out_at_once() {
    let air = Air::default();
    let mut host = Host::set_to(&air, "barn", &Modulation::default());
    host.write(Register::SymbTimeoutLsb, 0xFF);
    host.mode(RECEIVE_SINGLE);
    let begin = air.now();
    for offset in [0, 14] {
        air.transmit(sent_with(Modulation::default()), begin + ms(offset)).unwrap();
    }
    air.pass(ms(25));
    assert_eq!(host.flags(), RX_TIMEOUT);
}

#[test]
fn a_receiver_that_comes_in_the_middle_of_a_preamble_needs_five_symbols_of_it() {
    let air = Air::default();
    for (late_us, fate) in [(2_900, Fate::Unread), (3_200, Fate::NotListening)] {
        let mut host = Host::set_to(&air, "barn", &Modulation::default());
        air.transmit(sent_with(Modulation::default()), air.now()).unwrap();
        // Eight symbols of 1.024 ms: the fourth begins at 3.072 ms.
        air.pass(Duration::from_micros(late_us));
        host.mode(RECEIVE);
        air.pass_until_quiet(ms(1_000));
        assert_eq!(host.fates(), [fate], "{late_us} us late");
    }
}

#[test]
fn leaving_the_receive_mode_ends_a_reception() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    air.transmit(sent_with(Modulation::default()), Duration::ZERO).unwrap();
    air.pass(ms(20));
    assert_eq!(host.fates(), [Fate::Receiving]);
    host.mode(STANDBY);
    host.mode(RECEIVE);
    air.pass_until_quiet(ms(1_000));
    assert_eq!(host.flags() & RX_DONE, 0);
    assert_eq!(host.fates(), [Fate::NotListening]);
}

#[test]
fn headers_and_packets_are_counted_within_a_stay() {
    let mut host = Host::listening(&Air::default());
    for corrupted in [false, true, false] {
        host.hear(Transmission { corrupted, ..Transmission::of(*b"a") });
    }
    assert_eq!(host.read_burst(Register::RxHeaderCntMsb, 4), [0, 3, 0, 2]);
    host.mode(STANDBY);
    host.mode(RECEIVE);
    assert_eq!(host.read_burst(Register::RxHeaderCntMsb, 4), [0, 0, 0, 0]);
}

#[test]
fn the_modem_tells_how_far_it_is() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    assert_eq!(host.read(Register::ModemStat), 0x14);
    air.transmit(sent_with(Modulation::default()), Duration::ZERO).unwrap();
    air.pass(ms(5));
    assert_eq!(host.read(Register::ModemStat), 0x05);
    air.pass(ms(10));
    assert_eq!(host.read(Register::ModemStat), 0x07);
    air.pass(ms(10));
    assert_eq!(host.read(Register::ModemStat), 0x2F, "header known, 4/5");
}
