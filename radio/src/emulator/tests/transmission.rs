use super::*;

#[test]
fn a_packet_goes_from_chip_to_chip_and_both_say_so() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::set_to(&air, "reader", &Modulation::default());
    reader.write(Register::DioMapping1, 0x40);
    let begin = air.now();
    reader.send(b"hxb:LOT7:1:2");
    assert_eq!(reader.wait(ms(1_000)), Wake::Edge);
    assert!(air.now().saturating_sub(begin) > Modulation::default().air_time(12));
    assert_eq!(reader.flags(), TX_DONE);
    assert_eq!(barn.last_packet(), b"hxb:LOT7:1:2");
    assert_eq!(barn.fates(), [Fate::Read]);
}

#[test]
fn what_is_sent_lies_at_its_base() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::set_to(&air, "reader", &Modulation::default());
    reader.write(Register::FifoTxBaseAddr, 0xF0);
    reader.send(&[7; 32]);
    air.pass_until_quiet(ms(1_000));
    assert_eq!(barn.last_packet(), [7; 32], "over the end of the FIFO");
}

#[test]
fn txdone_is_not_cleared_by_itself_so_that_dio0_gives_one_edge() {
    let air = Air::default();
    let mut reader = Host::set_to(&air, "reader", &Modulation::default());
    reader.write(Register::DioMapping1, 0x40);
    reader.send(b"a");
    assert_eq!(reader.wait(ms(1_000)), Wake::Edge);
    reader.send(b"b");
    assert_eq!(reader.wait(ms(1_000)), Wake::TimedOut);
    reader.clear_flags();
    reader.send(b"c");
    assert_eq!(reader.wait(ms(1_000)), Wake::Edge);
}

#[test]
fn a_sender_that_stops_leaves_a_wrong_crc() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::set_to(&air, "reader", &Modulation::default());
    reader.send(&[1; 100]);
    air.pass(ms(60));
    reader.mode(STANDBY);
    air.pass_until_quiet(ms(1_000));
    assert_eq!(barn.flags(), RX_DONE | VALID_HEADER | CRC_ERROR);
    assert_eq!(reader.flags(), 0, "no TxDone");
}

#[test]
fn power_is_what_the_amplifier_is_set_to_less_the_path() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::set_to(&air, "reader", &Modulation::default());
    // 17 dBm at the boosted output, 20 dBm with the high-power setting, 8.6 dBm at the other output.
    let mut found = Vec::new();
    for (pa, dac, loss_db) in [(0x8F, 0x84, 100.0), (0x8F, 0x87, 100.0), (0x4B, 0x84, 100.0), (0x8F, 0x84, 80.0)] {
        air.set_path_loss_db(&barn.chip, &reader.chip, loss_db);
        reader.write(Register::PaConfig, pa);
        reader.write(Register::PaDac, dac);
        reader.send(b"a");
        air.pass_until_quiet(ms(1_000));
        found.push(-157.0 + f64::from(barn.read(Register::PktRssiValue)) * 16.0 / 15.0);
    }
    for (found, expected) in found.iter().zip([-83.0, -80.0, -90.8, -63.0]) {
        assert!((found - expected).abs() < 0.6, "{found} dBm, expected {expected} dBm");
    }
}

#[test]
fn a_preamble_is_detected_and_the_middle_of_a_packet_is_not() {
    let air = Air::default();
    for (after_ms, found) in [(3, CAD_DONE | CAD_DETECTED), (40, CAD_DONE)] {
        let mut reader = Host::set_to(&air, "reader", &Modulation::default());
        reader.write(Register::DioMapping1, 0x80);
        air.transmit(Transmission::of([1; 100]), air.now()).unwrap();
        air.pass(ms(after_ms));
        reader.mode(DETECT);
        assert_eq!(reader.wait(ms(10)), Wake::Edge);
        assert_eq!(reader.flags(), found, "after {after_ms} ms");
        assert_eq!(reader.mode_now(), 0x80 | STANDBY);
        air.pass_until_quiet(ms(1_000));
    }
}

#[test]
fn a_preamble_of_other_chirps_or_below_the_noise_is_not_detected() {
    let air = Air::default();
    for transmission in [
        sent_with(modulation(8, Bandwidth::Khz125)),
        sent_with(modulation(7, Bandwidth::Khz250)),
        Transmission { rssi_dbm: -130.0, ..Transmission::default() },
    ] {
        let mut reader = Host::set_to(&air, "reader", &Modulation::default());
        air.transmit(transmission, air.now()).unwrap();
        air.pass(ms(1));
        reader.mode(DETECT);
        air.pass_until_quiet(ms(1_000));
        assert_eq!(reader.flags(), CAD_DONE);
    }
}
