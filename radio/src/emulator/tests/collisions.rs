//! Collisions and capture.
//!
//! A wrong rule here would change how many packets a simulated barn loses without any fault of its driver.

use super::*;

/// Returns the fates of two packets at one receiver. The second begins `later_ms` after the first and is stronger by
/// `stronger_db`.
fn fates_of_two(later_ms: u64, stronger_db: f64, second: Modulation) -> Vec<Fate> {
    let air = Air::default();
    let host = Host::listening(&air);
    air.transmit(packet_with(Modulation::default()), Duration::ZERO).unwrap();
    let transmission = Transmission { rssi_dbm: -80.0 + stronger_db, ..packet_with(second) };
    air.transmit(transmission, air.now() + ms(later_ms)).unwrap();
    air.pass_until_quiet(ms(10_000));
    host.fates()
}

// 12 bytes at SF7 take 46.3 ms: 12.5 ms of preamble, 8.2 ms of header, and the payload.

#[test]
fn packets_of_equal_strength_destroy_each_other() {
    let same = Modulation::default();
    assert_eq!(fates_of_two(0, 0.0, same), [Fate::Collided, Fate::Collided]);
    assert_eq!(fates_of_two(5, 0.0, same), [Fate::Collided, Fate::Collided], "in the preamble");
    assert_eq!(fates_of_two(14, 0.0, same), [Fate::Collided, Fate::Collided], "in the header");
    assert_eq!(fates_of_two(30, 0.0, same), [Fate::CrcBad, Fate::Collided], "in the payload");
    assert_eq!(fates_of_two(50, 0.0, same), [Fate::Unread, Fate::Unread], "one after the other");
}

#[test]
fn back_to_back_packets_do_not_collide() {
    let air = Air::default();
    let host = Host::listening(&air);
    let begin = air.now();
    for place in 0..3 {
        air.transmit(packet_with(Modulation::default()), begin + Modulation::default().air_time(12) * place).unwrap();
    }
    air.pass_until_quiet(ms(10_000));
    assert_eq!(host.fates(), [Fate::Unread; 3]);
}

#[test]
fn first_packet_survives_one_that_is_6_db_weaker_but_not_5_db() {
    let same = Modulation::default();
    assert_eq!(fates_of_two(30, -6.0, same), [Fate::Unread, Fate::Collided]);
    assert_eq!(fates_of_two(30, -5.0, same), [Fate::CrcBad, Fate::Collided]);
}

#[test]
fn second_packet_is_captured_if_6_db_stronger_and_within_the_first_preamble() {
    let same = Modulation::default();
    assert_eq!(fates_of_two(5, 6.0, same), [Fate::Collided, Fate::Unread]);
    assert_eq!(fates_of_two(5, 5.0, same), [Fate::Collided, Fate::Collided]);
    assert_eq!(
        fates_of_two(30, 6.0, same),
        [Fate::CrcBad, Fate::Collided],
        "after the preamble the receiver stays with the first"
    );
}

#[test]
fn other_spreading_factors_and_channels_do_not_collide() {
    let other_factor = modulation(8, Bandwidth::Khz125);
    let other_channel = Modulation { frequency_hz: 915_200_000, ..Modulation::default() };
    assert_eq!(fates_of_two(20, 20.0, other_factor), [Fate::Unread, Fate::OtherSettings]);
    assert_eq!(fates_of_two(20, 20.0, other_channel), [Fate::Unread, Fate::OtherSettings]);
}

#[test]
fn other_sync_word_is_not_heard_but_still_disturbs() {
    let other_network = Modulation { sync_word: 0x34, ..Modulation::default() };
    assert_eq!(fates_of_two(30, 0.0, other_network), [Fate::CrcBad, Fate::OtherSettings]);
}

#[test]
fn collisions_are_decided_at_each_receiver() {
    let air = Air::default();
    let (near_one, near_other) = (Host::listening(&air), Host::listening(&air));
    let mut senders = ["one", "other"].map(|name| Host::in_standby(&air, name, &Modulation::default()));
    let [one, other] = &mut senders;
    for (sender, near, far) in [(&*one, &near_one, &near_other), (&*other, &near_other, &near_one)] {
        air.set_path_loss_db(&sender.chip, &near.chip, 80.0);
        air.set_path_loss_db(&sender.chip, &far.chip, 110.0);
    }
    one.send(b"from the one");
    other.send(b"from another");
    air.pass_until_quiet(ms(1_000));
    assert_eq!(near_one.fates(), [Fate::Unread, Fate::Collided]);
    assert_eq!(near_other.fates(), [Fate::Collided, Fate::Unread]);
}
