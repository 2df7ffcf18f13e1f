//! Transmission, and activity detection before it.
//!
//! An error here would hide a driver that sends the wrong bytes, or waits for a TxDone that it never cleared.

use super::*;

#[test]
fn packet_travels_from_chip_to_chip_and_both_report_it() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
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
fn payload_is_taken_from_the_transmit_base_address() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
    reader.write(Register::FifoTxBaseAddr, 0xF0);
    reader.send(&[7; 32]);
    air.pass_until_quiet(ms(1_000));
    assert_eq!(barn.last_packet(), [7; 32], "wrapped at the end of the FIFO");
}

#[test]
fn tx_done_stays_set_so_dio0_gives_one_edge() {
    let air = Air::default();
    let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
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
fn aborted_transmission_is_received_with_a_wrong_crc() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
    reader.send(&[1; 100]);
    air.pass(ms(60));
    reader.set_mode(STANDBY);
    air.pass_until_quiet(ms(1_000));
    assert_eq!(barn.flags(), RX_DONE | VALID_HEADER | CRC_ERROR);
    assert_eq!(reader.flags(), 0, "no TxDone");
}

#[test]
fn received_power_is_the_amplifier_setting_minus_the_path_loss() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
    // 17 dBm at the boosted output, 20 dBm with its high-power setting, 9.2 dBm at the other output.
    let mut received_dbm = Vec::new();
    for (pa, dac, loss_db) in [(0x8F, 0x84, 100.0), (0x8F, 0x87, 100.0), (0x4B, 0x84, 100.0), (0x8F, 0x84, 80.0)] {
        air.set_path_loss_db(&barn.chip, &reader.chip, loss_db);
        reader.write(Register::PaConfig, pa);
        reader.write(Register::PaDac, dac);
        reader.send(b"a");
        air.pass_until_quiet(ms(1_000));
        received_dbm.push(-157.0 + f64::from(barn.read(Register::PktRssiValue)) * 16.0 / 15.0);
    }
    for (actual, expected) in received_dbm.iter().zip([-83.0, -80.0, -90.8, -63.0]) {
        assert!((actual - expected).abs() < 0.6, "{actual} dBm, expected {expected} dBm");
    }
}

#[test]
fn activity_detection_finds_a_preamble_but_not_the_middle_of_a_packet() {
    let air = Air::default();
    for (after_ms, flags) in [(3, CAD_DONE | CAD_DETECTED), (40, CAD_DONE)] {
        let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
        reader.write(Register::DioMapping1, 0x80);
        air.transmit(Transmission::of([1; 100]), air.now()).unwrap();
        air.pass(ms(after_ms));
        reader.set_mode(DETECT);
        assert_eq!(reader.wait(ms(10)), Wake::Edge);
        assert_eq!(reader.flags(), flags, "after {after_ms} ms");
        assert_eq!(reader.op_mode(), 0x80 | STANDBY);
        air.pass_until_quiet(ms(1_000));
    }
}

#[test]
fn activity_detection_misses_other_chirps_and_signals_below_the_noise() {
    let air = Air::default();
    for transmission in [
        packet_with(modulation(8, Bandwidth::Khz125)),
        packet_with(modulation(7, Bandwidth::Khz250)),
        Transmission { rssi_dbm: -130.0, ..Transmission::default() },
    ] {
        let mut reader = Host::in_standby(&air, "reader", &Modulation::default());
        air.transmit(transmission, air.now()).unwrap();
        air.pass(ms(1));
        reader.set_mode(DETECT);
        air.pass_until_quiet(ms(1_000));
        assert_eq!(reader.flags(), CAD_DONE);
    }
}
