//! Which register contents become a packet, on a chip that is only memory.

use super::*;
use crate::sx127x::tests::array_chip::{bench, put_packet};
use proptest::prelude::*;

#[test]
fn a_packet_that_wraps_in_the_fifo_is_delivered_whole_and_its_flags_are_cleared() {
    let mut bench = bench();
    put_packet(&bench.array);
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(1));
    let packet = bench.packets.try_recv().unwrap();
    assert_eq!(packet.bytes, [1, 2, 3]);
    assert_eq!(packet.snr_quarter_db, Some(-20));
    assert_eq!(packet.rssi_dbm, Some(-105));
    assert_eq!(packet.frequency_error_hz, Some(-1_311));
    assert_eq!(bench.array.holds(Register::IrqFlags), 0);
}

#[test]
fn packets_with_a_wrong_crc_no_crc_or_no_bytes_are_counted_and_not_delivered() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.array.set(Register::IrqFlags, IrqFlags::RX_DONE | IrqFlags::PAYLOAD_CRC_ERROR);
    bench.chip.drain(&mut bench.link).unwrap();
    put_packet(&bench.array);
    bench.array.set(Register::HopChannel, 0);
    bench.chip.drain(&mut bench.link).unwrap();
    put_packet(&bench.array);
    bench.array.set(Register::RxNbBytes, 0);
    bench.chip.drain(&mut bench.link).unwrap();
    let counted = bench.link.counters.read();
    assert_eq!((counted.crc_errors, counted.without_crc, counted.malformed), (1, 1, 1));
    assert!(bench.packets.try_recv().is_err());
}

#[test]
fn a_packet_from_a_chip_that_failed_during_the_read_is_not_delivered() {
    for failed_mode in [0x09, 0x81, 0xFF] {
        let mut bench = bench();
        put_packet(&bench.array);
        bench.array.state().after_bursts = vec![(Register::Fifo, vec![(Register::OpMode, failed_mode)])];
        assert!(bench.chip.drain(&mut bench.link).is_err());
        assert!(bench.packets.try_recv().is_err());
    }
}

#[test]
fn a_packet_that_ends_during_a_read_is_delivered_next() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.array.state().fifo[1] = 9;
    bench.array.state().after_bursts = vec![(
        Register::Fifo,
        vec![
            (Register::FifoRxCurrentAddr, 1),
            (Register::RxNbBytes, 1),
            (Register::RxHeaderCntLsb, 1),
            (Register::IrqFlags, IrqFlags::RX_DONE),
        ],
    )];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(2));
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [1, 2, 3]);
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [9]);
}

/// Catches a packet that is delivered twice.
#[test]
fn a_packet_that_overtook_the_previous_one_is_delivered_once() {
    let mut bench = bench();
    put_packet(&bench.array);
    // Its flag was set after the first one's was cleared, while the registers were read. The registers are its own.
    bench.array.state().after_bursts =
        vec![(Register::FifoRxCurrentAddr, vec![(Register::IrqFlags, IrqFlags::RX_DONE)])];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(1));
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [1, 2, 3]);
    assert!(bench.packets.try_recv().is_err());
    assert_eq!(bench.link.counters.read().malformed, 0);
}

#[test]
fn a_packet_that_ends_between_a_look_and_the_clearing_is_kept() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.array.set(Register::IrqFlags, IrqFlags::TX_DONE);
    bench.array.state().after_bursts =
        vec![(Register::OpMode, vec![(Register::IrqFlags, IrqFlags::TX_DONE | IrqFlags::RX_DONE)])];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(1));
}

#[test]
fn a_bad_packet_that_ends_between_two_looks_is_counted_as_bad() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.array.state().after_bursts =
        vec![(Register::OpMode, vec![(Register::IrqFlags, IrqFlags::RX_DONE | IrqFlags::PAYLOAD_CRC_ERROR)])];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(1));
    assert!(bench.packets.try_recv().is_err());
    assert_eq!(bench.link.counters.read().crc_errors, 1);
}

#[test]
fn a_packet_whose_crc_verdict_was_cleared_unseen_is_not_delivered() {
    let mut bench = bench();
    put_packet(&bench.array);
    // It ended between the look and the clearing of its flags.
    let unseen = vec![(Register::FifoRxCurrentAddr, 1), (Register::RxNbBytes, 1)];
    bench.array.state().after_bursts = vec![(Register::OpMode, Vec::new()), (Register::OpMode, unseen)];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(0));
    assert!(bench.packets.try_recv().is_err());
    assert_eq!(bench.link.counters.read().malformed, 2, "this packet and the one before it are counted");
}

#[test]
fn a_packet_whose_flag_is_set_in_the_middle_of_a_look_is_delivered() {
    let mut bench = bench();
    put_packet(&bench.array);
    // The first look shows the position of the previous packet and the flag of this one.
    bench.array.set(Register::FifoRxCurrentAddr, 77);
    bench.array.state().after_bursts = vec![(Register::OpMode, vec![(Register::FifoRxCurrentAddr, 254)])];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(1));
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [1, 2, 3]);
}

#[test]
fn a_crc_verdict_that_is_set_before_rx_done_is_kept() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.array.set(Register::IrqFlags, IrqFlags::PAYLOAD_CRC_ERROR);
    let both = IrqFlags::RX_DONE | IrqFlags::PAYLOAD_CRC_ERROR;
    bench.array.state().after_bursts = vec![(Register::OpMode, vec![(Register::IrqFlags, both)])];
    bench.chip.drain(&mut bench.link).unwrap();
    assert!(bench.packets.try_recv().is_err());
    assert_eq!(bench.link.counters.read().crc_errors, 1);
}

#[test]
fn registers_read_while_a_packet_ended_are_not_used() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.array.state().fifo[1] = 9;
    // The burst began on the first packet and ended on the second: it has the position of one and the length of the
    // other.
    bench.array.set(Register::RxNbBytes, 1);
    let second = vec![(Register::FifoRxCurrentAddr, 1), (Register::IrqFlags, IrqFlags::RX_DONE)];
    bench.array.state().after_bursts = vec![(Register::FifoRxCurrentAddr, second)];
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Clear(1));
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [9]);
    assert!(bench.packets.try_recv().is_err());
    assert_eq!(bench.link.counters.read().malformed, 1, "the first packet is counted");
}

/// Reads a packet of three bytes at 254, 255 and 0, after which the chip shows these registers. Returns whether the
/// packet is delivered, and the count of malformed ones.
fn delivery_when_chip_shows(state: u8, written_at: u8, flags: u8) -> (bool, u64) {
    let mut bench = bench();
    put_packet(&bench.array);
    let shown = vec![(Register::ModemStat, state), (Register::FifoRxByteAddr, written_at), (Register::IrqFlags, flags)];
    bench.array.state().after_bursts = vec![(Register::Fifo, shown)];
    bench.chip.drain(&mut bench.link).unwrap();
    (bench.packets.try_recv().is_ok(), bench.link.counters.read().malformed)
}

#[test]
fn a_packet_is_delivered_until_a_byte_of_the_next_one_overwrites_it() {
    // The next packet begins at 1 and reaches this one at 254.
    for written_at in [0, 1, 100, 253] {
        assert_eq!(delivery_when_chip_shows(0x0F, written_at, 0), (true, 0), "{written_at}");
    }
    for written_at in [254, 255] {
        assert_eq!(delivery_when_chip_shows(0x0F, written_at, 0), (false, 1), "{written_at}");
    }
}

#[test]
fn without_an_incoming_packet_the_last_written_position_does_not_matter() {
    for state in [0x14, 0x10, 0x05, 0x07, 0x0B] {
        assert_eq!(delivery_when_chip_shows(state, 254, 0), (true, 0), "{state:#04x}");
    }
}

/// Reads the same packet, after which another one has ended and one more may be incoming. Returns true if it is
/// delivered.
fn is_delivered_when_another_ended(headers: u8, (start, length): (u8, u8), state: u8, written_at: u8) -> bool {
    let mut bench = bench();
    put_packet(&bench.array);
    let shown = vec![
        (Register::IrqFlags, IrqFlags::RX_DONE),
        (Register::FifoRxCurrentAddr, start),
        (Register::RxNbBytes, length),
        (Register::RxHeaderCntLsb, headers),
        (Register::ModemStat, state),
        (Register::FifoRxByteAddr, written_at),
    ];
    bench.array.state().after_bursts = vec![(Register::Fifo, shown)];
    bench.chip.drain(&mut bench.link).unwrap();
    bench.packets.try_recv().unwrap().bytes == [1, 2, 3]
}

#[test]
fn a_packet_is_delivered_until_later_ones_overwrite_it() {
    assert!(is_delivered_when_another_ended(1, (1, 253), 0x14, 253));
    assert!(!is_delivered_when_another_ended(1, (1, 254), 0x14, 254));
    assert!(is_delivered_when_another_ended(2, (1, 100), 0x0F, 253));
    assert!(!is_delivered_when_another_ended(2, (1, 100), 0x0F, 254));
    // If more than one ended, the lengths of those between are unknown, wherever the last one begins.
    assert!(!is_delivered_when_another_ended(2, (21, 20), 0x14, 40));
    assert!(!is_delivered_when_another_ended(3, (1, 20), 0x14, 20));
}

#[test]
fn flags_that_cannot_be_cleared_are_an_error_and_not_an_endless_loop() {
    for flags in [IrqFlags::RX_DONE, IrqFlags::TX_DONE, 0x01] {
        let mut bench = bench();
        put_packet(&bench.array);
        bench.array.set(Register::IrqFlags, flags);
        bench.array.state().frozen = Some(Register::IrqFlags);
        let before = bench.array.state().frames;
        let found = bench.chip.drain(&mut bench.link);
        assert!(matches!(found, Err(ChipError::FlagsStuck { .. })), "{found:?}");
        assert!(bench.array.state().frames - before < 100);
        // Nothing is delivered again and again.
        assert!(bench.packets.try_recv().is_err());
    }
}

#[test]
fn a_closed_queue_ends_the_drain() {
    let mut bench = bench();
    put_packet(&bench.array);
    drop(bench.packets);
    assert_eq!(bench.chip.drain(&mut bench.link).unwrap(), DrainOutcome::Shutdown);
}

proptest! {
    /// Catches a drain that never ends, or that delivers what its counters do not account for, for any registers.
    #[test]
    fn no_register_content_breaks_a_drain(
        registers in proptest::array::uniform32(any::<u8>()), flags: u8, mode in prop_oneof![Just(0x85_u8), any::<u8>()]
    ) {
        let mut bench = bench();
        {
            let mut state = bench.array.state();
            state.registers[0x10..0x30].copy_from_slice(&registers);
            state.registers[usize::from(Register::IrqFlags.address())] = flags;
            state.registers[usize::from(Register::OpMode.address())] = mode;
        }
        if let Ok(DrainOutcome::Clear(found)) = bench.chip.drain(&mut bench.link) {
            let counted = bench.link.counters.read();
            let delivered = u64::from(bench.packets.try_recv().is_ok());
            prop_assert_eq!(delivered + counted.crc_errors + counted.without_crc + counted.malformed, u64::from(found));
        } else {
            prop_assert!(bench.packets.try_recv().is_err());
        }
    }
}
