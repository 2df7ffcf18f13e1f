use super::super::{AirError, Faults, MAX_QUEUED_PAYLOADS, Poisson, ReaderOptions};
use super::*;

#[test]
fn a_reader_sends_what_it_is_given_in_its_order() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    for text in ["first", "second", "third"] {
        reader.send(text.as_bytes()).unwrap();
    }
    let mut heard = Vec::new();
    for _ in 0..3 {
        assert_eq!(barn.wait(ms(1_000)), Wake::Edge);
        heard.push(String::from_utf8(barn.last_packet()).unwrap());
        barn.clear_flags();
    }
    assert_eq!(heard, ["first", "second", "third"]);
    air.pass_until_quiet(ms(1_000));
    assert_eq!((reader.counts().sent, reader.counts().waiting), (3, 0));
}

#[test]
fn a_reader_waits_while_the_channel_is_busy_in_a_preamble_and_in_the_middle() {
    for after_ms in [2, 60] {
        let air = Air::default();
        let barn = Host::listening(&air);
        let reader = air.reader(ReaderOptions::default());
        air.transmit(Transmission::of([1; 100]), Duration::ZERO).unwrap();
        air.pass(ms(after_ms));
        reader.send(b"later").unwrap();
        air.pass_until_quiet(ms(10_000));
        assert_eq!(barn.fates(), [Fate::Unread, Fate::Unread], "{after_ms} ms");
        assert!(reader.counts().found_busy > 0);
    }
}

#[test]
fn a_reader_waits_for_a_preamble_that_is_too_weak_to_be_measured() {
    let air = Air::default();
    let barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    air.set_path_loss_db(&barn.chip, reader.chip(), 134.0);
    // 3 dB under the noise, as what the reader itself sends is.
    air.transmit(Transmission { rssi_dbm: -120.0, ..Transmission::of([1; 100]) }, Duration::ZERO).unwrap();
    air.pass(ms(2));
    reader.send(b"later").unwrap();
    air.pass(ms(10));
    assert_eq!(reader.counts().found_busy, 1);
}

#[test]
fn a_reader_that_does_not_listen_talks_into_others() {
    let air = Air::default();
    let barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions { listen_before_talk: false, ..ReaderOptions::default() });
    air.transmit(Transmission::of([1; 100]), Duration::ZERO).unwrap();
    air.pass(ms(60));
    reader.send(b"at once").unwrap();
    air.pass_until_quiet(ms(10_000));
    assert_eq!(barn.fates(), [Fate::CrcBad, Fate::Collided]);
}

#[test]
fn a_reader_keeps_so_many_payloads_and_says_when_it_cannot() {
    let air = Air::default();
    let reader = air.reader(ReaderOptions::default());
    let given: Vec<_> = (0..=MAX_QUEUED_PAYLOADS).map(|_| reader.send(b"a")).collect();
    assert_eq!(given.iter().filter(|given| given.is_ok()).count(), MAX_QUEUED_PAYLOADS);
    assert_eq!(given.last(), Some(&Err(AirError::ReaderFull)));
    assert_eq!(reader.send(b""), Err(AirError::PayloadLength(0)));
    air.pass_until_quiet(ms(60_000));
    assert_eq!(reader.counts().sent, MAX_QUEUED_PAYLOADS as u64);
    assert_eq!(reader.counts().refused, 1);
}

#[test]
fn a_reader_gives_up_what_it_cannot_send_and_goes_on() {
    let air = Air::default();
    let reader = air.reader(ReaderOptions::default());
    reader.chip().set_faults(Faults { no_tx_done: true, ..Faults::default() });
    reader.send(b"lost").unwrap();
    air.pass(ms(1_000));
    assert_eq!(reader.counts().given_up, 1);
    reader.chip().set_faults(Faults::default());
    reader.send(b"a").unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!((reader.counts().sent, reader.counts().waiting), (1, 0));
}

#[test]
fn a_channel_that_is_never_free_costs_payloads_and_not_the_reader() {
    let air = Air::default();
    let reader = air.reader(ReaderOptions::default());
    let jam = |n: u64| (ms(400 * n), Transmission::of([0; 255]));
    air.feed((0..100).map(jam));
    reader.send(b"never").unwrap();
    air.pass(ms(39_000));
    assert_eq!(reader.counts().given_up, 1);
    air.pass(ms(5_000));
    reader.send(b"now").unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(reader.counts().sent, 1);
}

#[test]
fn a_chip_that_resets_in_the_middle_is_set_up_again() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    reader.send(&[1; 100]).unwrap();
    air.pass(ms(50));
    reader.chip().reset_spontaneously();
    air.pass(ms(1_000));
    reader.send(b"again").unwrap();
    air.pass_until_quiet(ms(1_000));
    assert_eq!(barn.last_packet(), b"again");
}

#[test]
fn readers_are_heard_off_by_their_crystals_within_what_those_are_allowed() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let mut errors = std::collections::HashSet::new();
    for seed in 0..20 {
        let reader = air.reader(ReaderOptions { seed, crystal_ppm: 10.0, ..ReaderOptions::default() });
        reader.send(b"a").unwrap();
        air.pass_until_quiet(ms(1_000));
        let bytes = barn.read_burst(Register::FeiMsb, 3);
        let steps = (i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) << 4) >> 12;
        let error_hz = f64::from(steps) * f64::from(1 << 24) / 32e6 / 4.0;
        assert!(error_hz.abs() <= 9_200.0, "{error_hz} Hz");
        errors.insert(steps);
    }
    assert!(errors.len() > 15, "each has its own");
}

#[test]
fn a_feed_gives_payloads_at_their_times() {
    let air = Air::default();
    let mut barn = Host::listening(&air);
    let reader = air.reader(ReaderOptions::default());
    let times: Vec<Duration> = Poisson::new(3, 2.0).take(20).collect();
    reader.feed(times.clone().into_iter().map(|at| (at, b"a".to_vec())));
    for given in times {
        assert_eq!(barn.wait(ms(10_000)), Wake::Edge);
        assert!(air.now() > given);
        barn.clear_flags();
        barn.last_packet();
    }
    assert_eq!(barn.chip.tally().of(Fate::Read), 20);
}
