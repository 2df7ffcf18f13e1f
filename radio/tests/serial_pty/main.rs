//! Serial modems through the real way in: a port opened by its path, which is a pseudo terminal.
//!
//! What a pseudo terminal is not: it has no speed, and loses no bytes when nobody reads.
#![allow(clippy::unwrap_used, reason = "what should not fail in a test fails the test")]

mod modem;

use std::time::Duration;

use radio::contract::{SentPacket, check, check_delivery};
use radio::serial::PortError;
use radio::serial::framing::Framing;
use radio::{AnyRadio, Health, Radio, RadioCounters};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use modem::{Modem, Plugged, Socket, fails_with, heard, of_payload, until};

const SEED: u64 = 25_112_026;

/// COBS alone carries a CRC on the line, and so can show a packet whose CRC is wrong.
#[tokio::test]
async fn a_modem_with_cobs_keeps_every_promise() {
    for seed in 0..3 {
        println!("seed {seed}");
        check(seed, async |on_air| Plugged::with(Framing::Cobs, &cobs_of(&on_air))).await.unwrap();
    }
}

fn cobs_of(on_air: &[SentPacket]) -> Vec<u8> {
    let frame = |sent: &SentPacket| {
        let mut frame = of_payload(Framing::Cobs, &sent.payload);
        if !sent.crc_ok {
            // A byte of the payload, made another one that is no delimiter.
            frame[2] = if frame[2] == b'x' { b'y' } else { b'x' };
        }
        frame
    };
    on_air.iter().flat_map(frame).collect()
}

/// The promises but the one on CRCs: a modem says nothing about a packet whose CRC is wrong.
#[tokio::test]
async fn the_other_modems_keep_every_promise_that_does_not_speak_of_crcs() {
    println!("seed {SEED}");
    let mut chance = ChaCha12Rng::seed_from_u64(SEED);
    for framing in [Framing::Line, Framing::Reyax, Framing::Rak] {
        let on_air = payloads_for(framing, &mut chance);
        let bytes: Vec<u8> = on_air.iter().flat_map(|sent| of_payload(framing, &sent.payload)).collect();
        check_delivery(&mut Plugged::with(framing, &bytes), &on_air, None).await.unwrap();
        check_delivery(&mut Plugged::with(framing, &bytes), &on_air, Some(&mut chance)).await.unwrap();
    }
}

/// The shortest and the longest among them, with any byte in any place that the framing can carry.
fn payloads_for(framing: Framing, chance: &mut ChaCha12Rng) -> Vec<SentPacket> {
    let lengths = [1, 2, 127, 254, 255].into_iter().chain((0..40).map(|n| n % 20 + 1));
    let mut sent = |length| SentPacket { payload: payload_for(framing, length, chance), crc_ok: true };
    lengths.map(&mut sent).collect()
}

fn payload_for(framing: Framing, length: usize, chance: &mut ChaCha12Rng) -> Vec<u8> {
    let mut payload = vec![0; length];
    chance.fill_bytes(&mut payload);
    if framing == Framing::Line {
        for byte in &mut payload {
            *byte = if matches!(*byte, b'\n' | b'\r') { b'.' } else { *byte };
        }
    }
    payload
}

#[tokio::test]
async fn a_session_with_noise_and_any_pieces_yields_exactly_the_good_ones() {
    println!("seed {SEED}");
    let mut chance = ChaCha12Rng::seed_from_u64(SEED);
    for framing in Framing::ALL {
        let payloads: Vec<_> = (0..300).map(|n| payload_for(framing, 1 + (n * 7) % 255, &mut chance)).collect();
        let mut stream = noise(framing, &mut chance);
        for payload in &payloads {
            stream.extend(of_payload(framing, payload));
            stream.extend(noise(framing, &mut chance));
        }
        yields(framing, stream, &payloads, chance.random()).await;
    }
}

async fn yields(framing: Framing, stream: Vec<u8>, payloads: &[Vec<u8>], seed: u64) {
    let socket = Socket::new();
    let (modem, mut radio) = (socket.plug_in(), AnyRadio::from(socket.radio(framing, false)));
    // A thread of its own, which a test that fails need not wait for.
    let writing = std::thread::spawn(move || write_in_pieces(modem, &stream, seed));
    for (number, payload) in payloads.iter().enumerate() {
        assert_eq!(heard(&mut radio).await.bytes, *payload, "{framing:?}, frame {number}");
    }
    let _modem = writing.join().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), radio.receive()).await.is_err(), "{framing:?}");
    let counted = radio.counters().read();
    assert_eq!((counted.received, counted.rebuilt), (300, 0), "{framing:?}");
    assert!(counted.malformed > 20, "{framing:?}: {counted:?}");
}

/// Single bytes, halves of frames, and several at once.
fn write_in_pieces(mut modem: Modem, stream: &[u8], seed: u64) -> Modem {
    let (mut chance, mut rest) = (ChaCha12Rng::seed_from_u64(seed), stream);
    while !rest.is_empty() {
        let most = [1, 10, 100, 1_000][chance.random_range(0..4)];
        let (piece, after) = rest.split_at(rest.len().min(chance.random_range(1..=most)));
        modem.write(piece);
        rest = after;
    }
    modem
}

/// Nothing, empty frames, an overlong frame, or what no modem of that kind writes.
fn noise(framing: Framing, chance: &mut ChaCha12Rng) -> Vec<u8> {
    let end: &[u8] = if framing == Framing::Cobs { b"\0" } else { b"\r\n" };
    let mut any = vec![0; chance.random_range(1..100)];
    chance.fill_bytes(&mut any);
    match (chance.random_range(0..5), framing) {
        (0, _) => [end, end].concat(),
        (1, _) => [&vec![b'x'; chance.random_range(700..1_500)], end].concat(),
        (2, Framing::Reyax) => b"+RCV=1,200,HELLO,-40,9\r\n+ERR=4\r\n+RCV=x\r\n".to_vec(),
        (2, Framing::Rak) => b"+EVT:RXP2P:-60:9:4G\r\nAT_ERROR\r\n+EVT:RXP2P:".to_vec(),
        (2, Framing::Cobs) => b"\0\x05ab\0\x01\x01\x00".to_vec(),
        (3, Framing::Reyax | Framing::Rak) => any.into_iter().filter(|byte| *byte != b'+').collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_strength_behind_a_line_and_in_a_report_is_delivered() {
    let socket = Socket::new();
    let (mut modem, mut radio) = (socket.plug_in(), socket.radio(Framing::Line, true));
    modem.write(b"hxb:A:B:C\r\n\xc4");
    let packet = heard(&mut radio).await;
    assert_eq!((packet.bytes.as_slice(), packet.rssi_dbm), (b"hxb:A:B:C".as_slice(), Some(-60)));
    let (mut modem, mut radio) = (socket.plug_in(), socket.radio(Framing::Reyax, false));
    modem.write(b"+RCV=50,5,HELLO,-99,9\r\n");
    let packet = heard(&mut radio).await;
    assert_eq!((packet.rssi_dbm, packet.snr_quarter_db, packet.frequency_error_hz), (Some(-99), Some(36), None));
}

#[tokio::test]
async fn unplugged_in_mid_frame_and_plugged_in_again_loses_only_the_frame_that_was_cut() {
    for framing in Framing::ALL {
        let socket = Socket::new();
        let (mut modem, mut radio) = (socket.plug_in(), socket.radio(framing, false));
        let cut = of_payload(framing, b"hxb:cut:B:C");
        // In one write, so that the half is in the radio when the whole one before it has come.
        modem.write(&[of_payload(framing, b"hxb:first:B:C"), cut[..cut.len() / 2].to_vec()].concat());
        assert_eq!(heard(&mut radio).await.bytes, b"hxb:first:B:C", "{framing:?}");
        assert_eq!(*radio.health().borrow(), Health::Listening);
        drop(modem);
        let mut modem = socket.plug_in();
        modem.write(&of_payload(framing, b"hxb:second:B:C"));
        assert_eq!(heard(&mut radio).await.bytes, b"hxb:second:B:C", "{framing:?}");
        assert_eq!(*radio.health().borrow(), Health::Listening);
        let expected = RadioCounters { received: 2, malformed: 1, rebuilt: 1, ..RadioCounters::default() };
        assert_eq!(radio.counters().read(), expected, "{framing:?}");
    }
}

#[tokio::test]
async fn a_port_that_is_pulled_out_is_said_until_it_is_back() {
    let socket = Socket::new();
    let modem = socket.plug_in();
    let mut radio = socket.radio(Framing::Line, false);
    until(&mut radio, |health| *health == Health::Listening).await;
    socket.is_empty();
    drop(modem);
    until(&mut radio, fails_with("unplugged")).await;
    until(&mut radio, fails_with("does not exist")).await;
    let _modem = socket.plug_in();
    until(&mut radio, |health| *health == Health::Listening).await;
    assert_eq!(radio.counters().read().rebuilt, 1);
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_said_and_heard_when_it_is_free() {
    let socket = Socket::new();
    let mut modem = socket.plug_in();
    let mut first = socket.radio(Framing::Line, false);
    until(&mut first, |health| *health == Health::Listening).await;
    let probe = socket.settings(Framing::Line, false).probe().await;
    assert!(matches!(probe, Err(PortError::Busy { .. })), "{probe:?}");
    let mut second = socket.radio(Framing::Line, false);
    until(&mut second, fails_with("in use by another program")).await;
    drop(first);
    until(&mut second, |health| *health == Health::Listening).await;
    modem.write(b"hxb:A:B:C\n");
    assert_eq!(heard(&mut second).await.bytes, b"hxb:A:B:C");
    drop(second);
}

#[tokio::test]
async fn a_probe_says_what_is_wrong_and_leaves_the_port_free() {
    let socket = Socket::new();
    let settings = socket.settings(Framing::Line, false);
    assert!(matches!(settings.probe().await, Err(PortError::Missing { .. })));
    let _modem = socket.plug_in();
    settings.probe().await.unwrap();
    settings.probe().await.unwrap();
}
