//! Packets of readers that send otherwise than most, and chips that an earlier program left in disorder: the driver on an
//! emulated chip, the barn's receive loop and recorder, and the copy of an office that follows.
//!
//! Catches: a payload that the radio of such a barn loses, or one of a neighbor that it takes, on its way to the office.

use super::pair::Pair;
use super::router_barn::clock;
use daemon::receive::{Channel, RadioState, ReceiveEnd, ReceiveLoop};
use daemon::tap::Tap;
use embedded_hal_02::blocking::spi::Write as _;
use herd::change::Change;
use herd::position::Sequence;
use radio::emulator::{Air, Chip, ChipOptions, Faults, Transmission, WiredLines};
use radio::lora::{Bandwidth, LowDataRateOptimize, Modulation, SpreadingFactor};
use radio::sx127x::{CrcPolicy, Settings, Sx127x};
use service::harness::wait_until;
use service::lifecycle::ShutdownTrigger;
use service::supervisor::probe;
use std::time::Duration;
use tokio::sync::watch;

/// Time between two transmissions on the air's clock. It is longer than a packet at SF12.
const SPACING: Duration = Duration::from_secs(3);

/// Transmissions to a barn with these settings, and those of them that the office has in the end.
struct Case {
    name: &'static str,
    settings: Settings,
    wired: WiredLines,
    /// Brings the chip into its first state.
    prepare: fn(&Chip),
    sent: Vec<Transmission>,
    /// Payloads in their order. The last transmission is always among them, so that a test knows the end.
    kept: Vec<String>,
    /// Part of the note about the radio at the end; `None` if there must be none.
    note: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, settings: Settings, sent: Vec<Transmission>, kept: &[&str]) -> Self {
        let kept = kept.iter().map(|&payload| payload.to_owned()).collect();
        Self { name, settings, wired: WiredLines::ALL, prepare: |_| (), sent, kept, note: None }
    }
}

fn default_settings() -> Settings {
    Settings::listening(Modulation::default())
}

fn with(modulation: Modulation) -> Settings {
    Settings::listening(modulation)
}

/// Sends everything of a case, and returns the payloads that the office then has of it.
async fn at_the_office(pair: &Pair, case: &Case) -> Vec<String> {
    let before = pair.barn.reader.head().position.sequence.0;
    let air = Air::default();
    let chip = air.chip(ChipOptions { tcxo: case.settings.tcxo, ..ChipOptions::named("barn") });
    let board = chip.board_with(case.wired);
    (case.prepare)(&chip);
    for (number, transmission) in (1..).zip(&case.sent) {
        air.transmit(transmission.clone(), SPACING * number).unwrap();
    }
    let radio = Sx127x::start("radio1", board, case.settings).unwrap();
    let (shutdown, state) = (ShutdownTrigger::default(), watch::Sender::new(RadioState::Listening));
    let mut states = state.subscribe();
    let receive_loop = ReceiveLoop {
        channel: Channel { name: "radio1".into(), reader_group: "main".into(), strip_bytes: 0 },
        recorder: pair.barn.recorder.clone(),
        clock: clock(),
        tap: Tap::default(),
        shutdown: shutdown.signal(),
    };
    let receiving = tokio::spawn(receive_loop.run(radio, state, probe().1));
    let last = case.kept.last().unwrap();
    let has_last = async || payloads(pair, before).last().is_some_and(|payload| payload == last).then_some(());
    wait_until(case.name, has_last).await.unwrap();
    match case.note {
        Some(text) => {
            let is_noted =
                async || states.borrow_and_update().why().is_some_and(|note| note.contains(text)).then_some(());
            wait_until(case.name, is_noted).await.unwrap();
        }
        None => assert_eq!(*states.borrow(), RadioState::Listening, "{}", case.name),
    }
    shutdown.request();
    assert_eq!(receiving.await.unwrap(), ReceiveEnd::Stopped);
    pair.wait_until_equal(case.name).await;
    payloads(pair, before)
}

/// Returns the payloads that the office has after a change.
fn payloads(pair: &Pair, after: u64) -> Vec<String> {
    let changes = (after + 1..).map_while(|n| pair.office.change(Sequence(n)).unwrap());
    let raw = changes.filter_map(|bytes| match Change::from_bytes(&bytes).unwrap() {
        Change::Received(received) => Some(received.raw),
        _ => None,
    });
    raw.map(|raw| String::from_utf8(raw).unwrap()).collect()
}

async fn check(cases: Vec<Case>) {
    let pair = Pair::new().await;
    for case in cases {
        assert_eq!(at_the_office(&pair, &case).await, case.kept, "{}", case.name);
    }
}

#[tokio::test]
async fn packets_without_a_crc_arrive_where_the_settings_say_so() {
    let without = |payload: &str| Transmission { crc: false, ..Transmission::of(payload) };
    let wrong = Transmission { corrupted: true, ..Transmission::of("hxb:A:982000000000009:U9") };
    let optional = Settings { crc: CrcPolicy::Optional, ..default_settings() };
    let sent = |a: &str, b: &str, c: &str| vec![without(a), without(b), wrong.clone(), Transmission::of(c)];
    let (one, two, three) = ("hxb:A:982000000000001:U1", "hxb:A:982000000000002:U2", "hxb:A:982000000000003:U3");
    let (four, five, six) = ("hxb:A:982000000000004:U4", "hxb:A:982000000000005:U5", "hxb:A:982000000000006:U6");
    check(vec![
        Case::new("optional", optional, sent(one, two, three), &[one, two, three]),
        Case::new("required", default_settings(), sent(four, five, six), &[six]),
    ])
    .await;
}

#[tokio::test]
async fn readers_with_other_settings_arrive_where_the_radio_has_the_same() {
    let modulation = Modulation::default();
    let slow = Modulation { spreading_factor: SpreadingFactor::new(9).unwrap(), ..modulation };
    let optimized = |payload: &str| Transmission {
        modulation: slow,
        low_data_rate_optimize: Some(true),
        ..Transmission::of(payload)
    };
    let plain = |payload: &str| Transmission { modulation: slow, ..Transmission::of(payload) };
    let inverted = |payload: &str| Transmission { inverted_iq: true, ..Transmission::of(payload) };
    let on = Modulation { low_data_rate_optimize: LowDataRateOptimize::On, ..slow };
    let invert = Modulation { invert_iq: true, ..modulation };
    let (one, two, three) = ("hxb:B:982000000000001:U1", "hxb:B:982000000000002:U2", "hxb:B:982000000000003:U3");
    let (four, five, six) = ("hxb:B:982000000000004:U4", "hxb:B:982000000000005:U5", "hxb:B:982000000000006:U6");
    let (oscillator, seven) = (Settings { tcxo: true, ..default_settings() }, "hxb:B:982000000000007:U7");
    check(vec![
        Case::new("optimized", with(on), vec![plain(one), optimized(two)], &[two]),
        Case::new("not optimized", with(slow), vec![optimized(one), plain(three)], &[three]),
        Case::new("inverted", with(invert), vec![Transmission::of(four), inverted(five)], &[five]),
        Case::new("not inverted", with(modulation), vec![inverted(four), Transmission::of(six)], &[six]),
        Case::new("an oscillator", oscillator, vec![Transmission::of(seven)], &[seven]),
    ])
    .await;
}

#[tokio::test]
async fn neighbors_far_words_and_far_frequencies_are_told_apart() {
    let of_word = |sync_word, payload: &str| Transmission {
        modulation: Modulation { sync_word, ..Modulation::default() },
        ..Transmission::of(payload)
    };
    let off = |frequency_error_hz, payload: &str| Transmission { frequency_error_hz, ..Transmission::of(payload) };
    let (one, two, three) = ("hxb:C:982000000000001:U1", "hxb:C:982000000000002:U2", "hxb:C:982000000000003:U3");
    let (four, five, six) = ("hxb:C:982000000000004:U4", "hxb:C:982000000000005:U5", "hxb:C:982000000000006:U6");
    check(vec![
        Case::new(
            "sync words",
            default_settings(),
            vec![of_word(0x34, one), of_word(0x1F, two), of_word(0x12, three)],
            &[two, three],
        ),
        Case::new(
            "frequencies",
            default_settings(),
            vec![off(25_000, four), off(-22_000, five), off(0, six)],
            &[four, five, six],
        ),
    ])
    .await;
}

/// Puts a chip whose RESET is dead into LoRa sleep mode and writes one register, as an earlier program did.
fn leave(chip: &Chip, register: u8, value: u8) {
    chip.set_faults(Faults { dead_reset: true, ..Faults::default() });
    let mut bus = chip.spi02();
    for frame in [[0x81, 0x00], [0x81, 0x80], [0x80 | register, value]] {
        bus.write(&frame).unwrap();
    }
}

/// Returns a case whose readers all send off this frequency, so many packets that the radio may judge.
fn off_frequency(
    name: &'static str,
    bandwidth: Bandwidth,
    frequency_error_hz: i32,
    note: Option<&'static str>,
) -> Case {
    let modulation = Modulation { bandwidth, ..Modulation::default() };
    let kept: Vec<_> = (1..=20).map(|n| format!("hxb:{name}:9820000000000{n:02}:U{n}")).collect();
    let of = |payload: &String| Transmission { modulation, frequency_error_hz, ..Transmission::of(payload.as_bytes()) };
    let sent = kept.iter().map(of).collect();
    Case { kept, note, ..Case::new(name, with(modulation), sent, &[]) }
}

#[tokio::test]
async fn readers_far_off_frequency_lose_nothing_and_the_radio_names_the_frequency_to_set() {
    check(vec![
        off_frequency("125 kHz, above", Bandwidth::Khz125, 25_000, Some("`frequency_hz = ")),
        off_frequency("62.5 kHz, below", Bandwidth::Khz62_5, -12_000, Some("`frequency_hz = ")),
        off_frequency("250 kHz, above", Bandwidth::Khz250, 50_000, Some("`frequency_hz = ")),
        off_frequency("125 kHz, near", Bandwidth::Khz125, 15_000, None),
    ])
    .await;
}

#[tokio::test]
async fn modules_without_some_wires_lose_nothing() {
    let sent = ["hxb:D:982000000000001:U1", "hxb:D:None:U2", "event:hxbchi000001|lf:982000000000001|weight:300"];
    let cases = WiredLines::PARTIAL.map(|wired| {
        let name = match wired {
            WiredLines { dio0: true, .. } => "no RESET",
            WiredLines { reset: true, .. } => "no DIO0",
            _ => "neither",
        };
        Case { wired, ..Case::new(name, default_settings(), sent.map(Transmission::of).to_vec(), &sent) }
    });
    for case in cases {
        check(vec![case]).await;
    }
}

#[tokio::test]
async fn the_leftovers_of_an_earlier_program_lose_nothing() {
    let case = |name, prepare: fn(&Chip), payload: &'static str| Case {
        prepare,
        ..Case::new(name, default_settings(), vec![Transmission::of(payload)], &[payload])
    };
    check(vec![
        case("a short maximum length", |chip| leave(chip, 0x23, 0x0A), "hxb:D:982000000000002:U2"),
        case("a symbol timeout of 0", |chip| leave(chip, 0x1F, 0x00), "hxb:D:982000000000003:U3"),
        case("inverted IQ", |chip| leave(chip, 0x33, 0x66), "hxb:D:982000000000004:U4"),
    ])
    .await;
}
