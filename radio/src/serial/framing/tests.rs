//! What holds for every framing: any stream of good frames with noise between them, however it is split, gives exactly
//! the good ones; and nothing at all breaks a decoder.

use proptest::collection::vec;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::proof::{holds, written};
use super::*;

const SEED: u64 = 20_261_125;
/// Of each property. A case holds thousands of bytes.
const CASES: u32 = 80;
/// Bytes that mean something to one of the framings, so that chance meets them.
const TELLING: &[u8] = b"+RCV=,-:\r\nEVT0123456789P2X\x00\x01\xff";

fn any_frame(framing: Framing, rssi_byte: bool) -> impl Strategy<Value = Frame> {
    let has_ratio = matches!(framing, Framing::Reyax | Framing::Rak);
    (vec(any_byte(), 1..=MAX_PAYLOAD_BYTES), -130_i16..=-1, -20_i16..=12).prop_map(
        move |(mut payload, rssi_dbm, snr_db)| {
            if framing == Framing::Line {
                // What a line cannot carry.
                payload.retain(|byte| *byte != b'\n');
                payload.push(b'.');
                payload.truncate(MAX_PAYLOAD_BYTES - 1);
                payload.push(b'.');
            }
            Frame {
                payload,
                rssi_dbm: (rssi_byte || has_ratio).then_some(rssi_dbm),
                snr_quarter_db: has_ratio.then_some(snr_db * 4),
            }
        },
    )
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), proptest::sample::select(TELLING)]
}

/// What may stand between two good frames without being one, or a part of one, itself.
fn noise(framing: Framing, rssi_byte: bool) -> BoxedStrategy<Vec<u8>> {
    let strength: &[u8] = if rssi_byte { b"\xc4" } else { b"" };
    let line = |bytes: Vec<u8>| [bytes.as_slice(), b"\n", strength].concat();
    match framing {
        // Every line is a payload, but an empty and an overlong one.
        Framing::Line => {
            let overlong = vec(any_byte().prop_filter("a line end", |byte| *byte != b'\n'), MAX_PAYLOAD_BYTES + 2..600);
            prop_oneof![Just(line(Vec::new())), Just(line(vec![b'\r'])), overlong.prop_map(line)].boxed()
        }
        // The mark of a report is torn wherever chance made one; a plus begins it.
        Framing::Reyax | Framing::Rak => vec(any_byte().prop_filter("a mark", |byte| *byte != b'+'), 0..600).boxed(),
        // Up to the next delimiter, which a frame brings along: too short for a payload and a CRC of two bytes.
        Framing::Cobs => vec(any_byte(), 0..3).boxed(),
    }
}

fn stream(framing: Framing, rssi_byte: bool) -> impl Strategy<Value = (Vec<Frame>, Vec<Vec<u8>>)> {
    let part = (any_frame(framing, rssi_byte), noise(framing, rssi_byte));
    (noise(framing, rssi_byte), vec(part, 0..8)).prop_map(move |(first_noise, parts)| {
        let (frames, noises): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let pieces = frames.iter().zip(noises).flat_map(|(frame, noise)| [written(framing, frame), noise]);
        let bytes = std::iter::once(first_noise).chain(pieces).collect();
        (frames, bytes)
    })
}

/// Frames alone, in order.
fn frames_of(found: Vec<Found>) -> Vec<Frame> {
    let frame = |found| match found {
        Found::Frame(frame) => Some(frame),
        _ => None,
    };
    found.into_iter().filter_map(frame).collect()
}

fn heard(decoder: &mut Decoder, bytes: &[u8], splits: &[usize]) -> Vec<Frame> {
    let (mut rest, mut found, mut split) = (bytes, Vec::new(), splits.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*split.next().unwrap()));
        found.extend(decoder.push(piece));
        rest = after;
    }
    found.extend(decoder.give_up());
    frames_of(found)
}

fn exactly_the_good_ones(framing: Framing, rssi_byte: bool) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(CASES));
    let inputs = (stream(framing, rssi_byte), vec(1_usize..40, 1..20));
    let outcome = runner.run(&inputs, |((frames, pieces), splits)| {
        let mut decoder = Decoder::new(framing, rssi_byte);
        prop_assert_eq!(heard(&mut decoder, &pieces.concat(), &splits), frames);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{framing:?}, rssi_byte {rssi_byte}: {error}"));
}

#[test]
fn any_split_of_lines_and_noise_gives_exactly_the_good_ones() {
    exactly_the_good_ones(Framing::Line, false);
    exactly_the_good_ones(Framing::Line, true);
}

#[test]
fn any_split_of_reyax_reports_and_noise_gives_exactly_the_good_ones() {
    exactly_the_good_ones(Framing::Reyax, false);
}

#[test]
fn any_split_of_cobs_frames_and_noise_gives_exactly_the_good_ones() {
    exactly_the_good_ones(Framing::Cobs, false);
}

#[test]
fn any_split_of_rak_reports_and_noise_gives_exactly_the_good_ones() {
    exactly_the_good_ones(Framing::Rak, false);
}

/// Bytes that are nearly what a modem writes: good frames, some of their bytes changed, lost or doubled.
fn mutated(framing: Framing, chance: &mut ChaCha12Rng, bytes: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes + 600);
    while stream.len() < bytes {
        let payload = (0..chance.random_range(0..=300)).map(|_| any_byte_of(chance)).collect();
        let frame = Frame { payload, rssi_dbm: Some(-70), snr_quarter_db: Some(8) };
        for byte in written(framing, &frame) {
            match chance.random_range(0..300) {
                0 => stream.push(any_byte_of(chance)),
                1 => {}
                2 => stream.extend([byte, byte]),
                _ => stream.push(byte),
            }
        }
    }
    stream
}

fn any_byte_of(chance: &mut ChaCha12Rng) -> u8 {
    if chance.random() { chance.random() } else { TELLING[chance.random_range(0..TELLING.len())] }
}

/// What the fuzz targets do, without a fuzzer: a million bytes for each framing, in streams of up to 4,000.
#[test]
fn a_million_mutated_bytes_break_no_decoder() {
    println!("seed {SEED}");
    let mut chance = ChaCha12Rng::seed_from_u64(SEED);
    for (framing, rssi_byte) in Framing::ALL.map(|framing| (framing, false)).into_iter().chain([(Framing::Line, true)])
    {
        let mut bytes = 0;
        while bytes < 1_000_000 {
            let length = chance.random_range(1..4_000);
            let stream = mutated(framing, &mut chance, length);
            holds(framing, rssi_byte, &stream);
            bytes += stream.len();
        }
    }
}

/// Noise by chance ends soon in one of the bytes that mean something; a line that is stuck does not.
#[test]
fn an_endless_stream_of_one_byte_behind_any_beginning_is_held_in_bounds() {
    let beginnings: [&[u8]; 8] =
        [b"", b"+", b"+RCV=", b"+RCV=1,255,", b"+RCV=1,5,HELLO,", b"+EVT:RXP2P:", b"\x05", b"\xff"];
    for framing in Framing::ALL {
        for (beginning, byte) in
            beginnings.iter().flat_map(|beginning| TELLING.iter().map(move |byte| (beginning, byte)))
        {
            let mut decoder = Decoder::new(framing, true);
            decoder.push(beginning);
            for _ in 0..100 {
                decoder.push(&[*byte; 20]);
                assert!(decoder.held_bytes() <= MAX_HELD_BYTES, "{framing:?}: {byte} behind {beginning:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_bytes_break_no_decoder(bytes in vec(any_byte(), 0..2_000), rssi_byte: bool) {
        for framing in Framing::ALL {
            holds(framing, rssi_byte, &bytes);
        }
    }

    #[test]
    fn any_cut_frame_costs_itself_alone(cut in 1_usize..300, at in 0_usize..Framing::ALL.len()) {
        let framing = Framing::ALL[at];
        let frame = |text: &str| Frame { payload: text.into(), rssi_dbm: None, snr_quarter_db: None };
        let first = written(framing, &frame("hxb:first:L:U"));
        let mut decoder = Decoder::new(framing, false);
        let mut found = decoder.push(&first[..cut.min(first.len() - 1)]);
        found.extend(decoder.give_up());
        found.extend(decoder.push(&written(framing, &frame("hxb:second:L:U"))));
        let payloads: Vec<_> = frames_of(found).into_iter().map(|frame| frame.payload).collect();
        prop_assert_eq!(payloads, [b"hxb:second:L:U".to_vec()]);
    }
}
