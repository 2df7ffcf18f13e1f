//! Properties of every framing. A stream of good frames with noise between them gives exactly the good frames, however
//! it is split. No input breaks a decoder.

use super::contract::{check, encode};
use super::*;
use crate::MAX_PAYLOAD_BYTES;
use proptest::collection::vec;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

const SEED: u64 = 20_261_125;
/// Framings that mark the ends of a frame in the bytes.
const DELIMITED: [Framing; 4] = [Framing::Line, Framing::Reyax, Framing::Cobs, Framing::Rak];
/// Cases per property. A case has thousands of bytes.
const CASES: u32 = 80;
/// Bytes with a meaning in one of the framings. Drawing from them makes random input hit the interesting paths.
const SPECIAL_BYTES: &[u8] = b"+RCV=,-:\r\nEVT0123456789P2X\x00\x01\xff";

fn any_frame(framing: Framing, rssi_byte: bool) -> impl Strategy<Value = Frame> {
    let has_snr = matches!(framing, Framing::Reyax | Framing::Rak);
    (vec(any_byte(), 1..=MAX_PAYLOAD_BYTES), -128_i16..=-1, -20_i16..=12).prop_map(
        move |(mut payload, rssi_dbm, snr_db)| {
            if framing == Framing::Line {
                // A line cannot carry a line end.
                payload.retain(|byte| !matches!(byte, b'\n' | b'\r'));
                payload.push(b'.');
                payload.truncate(MAX_PAYLOAD_BYTES - 1);
                payload.push(b'.');
            }
            Frame {
                payload,
                rssi_dbm: (rssi_byte || has_snr).then_some(rssi_dbm),
                snr_quarter_db: has_snr.then_some(snr_db * 4),
            }
        },
    )
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), proptest::sample::select(SPECIAL_BYTES)]
}

/// Bytes that may stand between two good frames without being a frame or a part of one.
fn noise(framing: Framing, rssi_byte: bool) -> BoxedStrategy<Vec<u8>> {
    let rssi: &[u8] = if rssi_byte { b"\xc4" } else { b"" };
    let line = |bytes: Vec<u8>| [bytes.as_slice(), b"\n", rssi].concat();
    match framing {
        // Every line is a payload, except an empty or an overlong one.
        Framing::Line => {
            let overlong = vec(
                any_byte().prop_filter("a line end", |byte| !matches!(byte, b'\n' | b'\r')),
                MAX_PAYLOAD_BYTES + 2..600,
            );
            prop_oneof![Just(line(Vec::new())), Just(line(vec![b'\r'])), overlong.prop_map(line)].boxed()
        }
        // Without a plus there is no mark, so the noise contains no report.
        Framing::Reyax | Framing::Rak => vec(any_byte().prop_filter("a mark", |byte| *byte != b'+'), 0..600).boxed(),
        // Up to the delimiter of the next frame, this is too short for a payload and a CRC of two bytes.
        Framing::Cobs => vec(any_byte(), 0..3).boxed(),
        // Only a pause separates bursts, which these streams do not have.
        Framing::Burst => Just(Vec::new()).boxed(),
    }
}

fn stream(framing: Framing, rssi_byte: bool) -> impl Strategy<Value = (Vec<Frame>, Vec<Vec<u8>>)> {
    let part = (any_frame(framing, rssi_byte), noise(framing, rssi_byte));
    (noise(framing, rssi_byte), vec(part, 0..8)).prop_map(move |(first_noise, parts)| {
        let (frames, noises): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let pieces = frames.iter().zip(noises).flat_map(|(frame, noise)| [encode(framing, frame), noise]);
        let bytes = std::iter::once(first_noise).chain(pieces).collect();
        (frames, bytes)
    })
}

/// Returns the frames among the items, in order.
fn frames_of(items: Vec<Item>) -> Vec<Frame> {
    let frame = |item| match item {
        Item::Frame(frame) => Some(frame),
        _ => None,
    };
    items.into_iter().filter_map(frame).collect()
}

fn decode(decoder: &mut Decoder, bytes: &[u8], splits: &[usize]) -> Vec<Frame> {
    let (mut rest, mut items, mut split) = (bytes, Vec::new(), splits.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*split.next().unwrap()));
        items.extend(decoder.push(piece));
        rest = after;
    }
    items.extend(decoder.flush());
    frames_of(items)
}

fn gives_exactly_the_good_frames(framing: Framing, rssi_byte: bool) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(CASES));
    let inputs = (stream(framing, rssi_byte), vec(1_usize..40, 1..20));
    let outcome = runner.run(&inputs, |((frames, pieces), splits)| {
        let mut decoder = Decoder::new(framing, rssi_byte);
        prop_assert_eq!(decode(&mut decoder, &pieces.concat(), &splits), frames);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{framing:?}, rssi_byte {rssi_byte}: {error}"));
}

#[test]
fn any_split_of_lines_and_noise_gives_exactly_the_good_frames() {
    gives_exactly_the_good_frames(Framing::Line, false);
    gives_exactly_the_good_frames(Framing::Line, true);
}

#[test]
fn any_split_of_reyax_reports_and_noise_gives_exactly_the_good_frames() {
    gives_exactly_the_good_frames(Framing::Reyax, false);
}

#[test]
fn any_split_of_cobs_frames_and_noise_gives_exactly_the_good_frames() {
    gives_exactly_the_good_frames(Framing::Cobs, false);
}

#[test]
fn any_split_of_rak_reports_and_noise_gives_exactly_the_good_frames() {
    gives_exactly_the_good_frames(Framing::Rak, false);
}

/// Returns frames as a modem writes them, with a few bytes changed, lost or doubled.
fn mutated_stream(framing: Framing, rng: &mut ChaCha12Rng, bytes: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes + 600);
    while stream.len() < bytes {
        let payload = (0..rng.random_range(0..=300)).map(|_| random_byte(rng)).collect();
        let frame = Frame { payload, rssi_dbm: Some(-70), snr_quarter_db: Some(8) };
        for byte in encode(framing, &frame) {
            match rng.random_range(0..300) {
                0 => stream.push(random_byte(rng)),
                1 => {}
                2 => stream.extend([byte, byte]),
                _ => stream.push(byte),
            }
        }
    }
    stream
}

fn random_byte(rng: &mut ChaCha12Rng) -> u8 {
    if rng.random() { rng.random() } else { SPECIAL_BYTES[rng.random_range(0..SPECIAL_BYTES.len())] }
}

/// Catches a decoder that fails on broken bytes, as the fuzz targets do, without a fuzzer: a million bytes per framing, in
/// streams of up to 4,000.
#[test]
fn a_million_mutated_bytes_break_no_decoder() {
    println!("seed {SEED}");
    let mut rng = ChaCha12Rng::seed_from_u64(SEED);
    let with_rssi = [(Framing::Line, true), (Framing::Burst, true)];
    for (framing, rssi_byte) in Framing::ALL.map(|framing| (framing, false)).into_iter().chain(with_rssi) {
        let mut bytes = 0;
        while bytes < 1_000_000 {
            let length = rng.random_range(1..4_000);
            let stream = mutated_stream(framing, &mut rng, length);
            check(framing, rssi_byte, &stream);
            bytes += stream.len();
        }
    }
}

/// Catches a buffer that grows on a stuck line. Random noise soon contains a byte with a meaning, a stuck line does
/// not.
#[test]
fn an_endless_stream_of_one_byte_after_any_beginning_takes_bounded_memory() {
    let beginnings: [&[u8]; 8] =
        [b"", b"+", b"+RCV=", b"+RCV=1,255,", b"+RCV=1,5,HELLO,", b"+EVT:RXP2P:", b"\x05", b"\xff"];
    for framing in Framing::ALL {
        for (beginning, byte) in
            beginnings.iter().flat_map(|beginning| SPECIAL_BYTES.iter().map(move |byte| (beginning, byte)))
        {
            let mut decoder = Decoder::new(framing, true);
            decoder.push(beginning);
            for _ in 0..100 {
                decoder.push(&[*byte; 20]);
                assert!(decoder.buffer_bytes() <= MAX_BUFFER_BYTES, "{framing:?}: {byte} after {beginning:?}");
            }
        }
    }
}

/// Catches a decoder that counts less than it holds, so that no test sees it grow.
#[test]
fn a_decoder_counts_what_it_holds() {
    for framing in Framing::ALL {
        let frame = Frame { payload: vec![b'x'; 200], rssi_dbm: Some(-73), snr_quarter_db: Some(28) };
        let mut decoder = Decoder::new(framing, false);
        assert_eq!(decoder.push(&encode(framing, &frame)[..150]), []);
        assert!(decoder.buffer_bytes() >= 100, "{framing:?}: {}", decoder.buffer_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_bytes_break_no_decoder(bytes in vec(any_byte(), 0..2_000), rssi_byte: bool) {
        for framing in Framing::ALL {
            check(framing, rssi_byte, &bytes);
        }
    }

    #[test]
    fn a_truncated_frame_costs_no_other_frame(cut in 1_usize..300, at in 0_usize..DELIMITED.len()) {
        let framing = DELIMITED[at];
        let frame = |text: &str| Frame { payload: text.into(), rssi_dbm: None, snr_quarter_db: None };
        let first = encode(framing, &frame("hxb:first:L:U"));
        let mut decoder = Decoder::new(framing, false);
        let mut items = decoder.push(&first[..cut.min(first.len() - 2)]);
        items.extend(decoder.flush());
        items.extend(decoder.push(&encode(framing, &frame("hxb:second:L:U"))));
        let payloads: Vec<_> = frames_of(items).into_iter().map(|frame| frame.payload).collect();
        prop_assert_eq!(payloads, [b"hxb:second:L:U".to_vec()]);
    }
}
