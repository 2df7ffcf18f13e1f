//! Fuzzes the one-time code of a card, and the JSON in which office and barn prove it to each other.
//!
//! The first byte of an input selects its form: a text, the secret of a code and a typo in it, a request, or an answer. A
//! code that is accepted is written and read as the same code. A typo is noticed. What is no proof of a code is not taken
//! for one, and a request or an answer that is read is written as the same.
#![no_main]

use fuzz::seeds;
use herd::pairing::{
    BarnFacts, CodeKey, Fingerprint, Fingerprints, PairAnswer, PairRequest, PairingCode, PairingCodeError,
};
use herd::position::StoreId;
use herd::randomness::{Randomness, RandomnessError, SeededRandomness};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(bytes));

const ENDS: Fingerprints = Fingerprints { barn: Fingerprint([0xb0; 32]), office: Fingerprint([0x0f; 32]) };
/// Characters of a code.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Random bytes that the fuzzer selects.
struct ChosenBytes<'a>(&'a [u8]);

impl Randomness for ChosenBytes<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        for (to, from) in bytes.iter_mut().zip(self.0) {
            *to = *from;
        }
        Ok(())
    }
}

/// Returns a code that nobody else has.
fn code(randomness: &mut dyn Randomness) -> PairingCode {
    PairingCode::generate(randomness).unwrap_or_else(|error| panic!("the bytes are there: {error}"))
}

fn key() -> CodeKey {
    code(&mut SeededRandomness::new(1)).key()
}

fn facts() -> BarnFacts {
    let addresses = vec!["192.168.1.20:5001".into(), "herdlinx-north.local:5001".into()];
    BarnFacts { site: "north".into(), store: StoreId([7; 16]), addresses }
}

fn seeds() -> Vec<Vec<u8>> {
    let text = code(&mut SeededRandomness::new(2)).to_string();
    let json = |form: u8, json: serde_json::Result<String>| [&[form][..], json.unwrap_or_default().as_bytes()].concat();
    vec![
        [b"\0", text.as_bytes()].concat(),
        [b"\0", text.to_uppercase().replace('-', "\u{2013}").as_bytes()].concat(),
        [b"\x01", &[7; 24][..]].concat(),
        json(2, serde_json::to_string(&PairRequest::new(&key(), &ENDS, "front-desk"))),
        json(3, serde_json::to_string(&PairAnswer::new(&key(), &ENDS, facts()))),
    ]
}

fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, text)) => check_text(&String::from_utf8_lossy(text)),
        Some((1, secret)) => check_typo(secret),
        Some((2, json)) => check_request(json),
        Some((_, json)) => check_answer(json),
        None => check_text(""),
    }
}

fn check_text(text: &str) {
    match text.parse::<PairingCode>() {
        Ok(code) => assert_eq!(code.to_string().parse(), Ok(code)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_typo(bytes: &[u8]) {
    let code = code(&mut ChosenBytes(bytes));
    let mut text = code.to_string().into_bytes();
    let [place, with, ..] = bytes else { return };
    let place = "pair-".len() + usize::from(*place) % (text.len() - "pair-".len());
    let with = ALPHABET[usize::from(*with) % ALPHABET.len()];
    if text[place] == b'-' || text[place] == with {
        return;
    }
    text[place] = with;
    let read = String::from_utf8_lossy(&text).parse::<PairingCode>();
    // Two codes share their check bits once in a million, and a fuzzer may find two.
    assert!(read.is_err_and(|error| error == PairingCodeError::WrongCheck) || has_equal_check(&text, &code));
}

/// Returns whether the last four characters, the check bits, are those of the code.
fn has_equal_check(text: &[u8], code: &PairingCode) -> bool {
    text.ends_with(&code.to_string().as_bytes()[45..])
}

fn check_request(json: &[u8]) {
    let Some(request) = check_json::<PairRequest>(json) else { return };
    let expected = PairRequest::new(&key(), &Fingerprints { office: request.office, ..ENDS }, &request.office_name);
    assert_eq!(request.proves(&key(), ENDS.barn), request.proof == expected.proof);
    assert!(!request.proves(&key(), ENDS.office), "a proof holds for another barn");
}

fn check_answer(json: &[u8]) {
    let Some(answer) = check_json::<PairAnswer>(json) else { return };
    let PairAnswer { site, store, addresses, proof, .. } = answer.clone();
    let honest = PairAnswer::new(&key(), &ENDS, BarnFacts { site, store, addresses });
    let verified = answer.verify(&key(), &ENDS, "hxb_key".to_owned());
    assert!(verified.is_err() || proof == honest.proof);
    if let Ok(pairing) = verified {
        assert_eq!(pairing.validate(), Ok(()));
    }
}

/// Reads a value, and checks that it is written and read as the same one.
fn check_json<T: Serialize + DeserializeOwned + Debug + PartialEq>(json: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&value).unwrap_or_else(|error| panic!("{value:?} cannot be written: {error}"));
    assert_eq!(serde_json::from_slice::<T>(&written).ok().as_ref(), Some(&value));
    Some(value)
}
