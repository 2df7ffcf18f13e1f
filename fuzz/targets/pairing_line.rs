//! Fuzzes the line that pairs an office with a barn.
//!
//! The first byte of an input selects its form: a text as it is, or the body of a line, which the target encodes. A line
//! that is accepted is within its limits, and written again it is read as the same pairing. No error shows the body.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuzz::seeds;
use herd::pairing::{MAX_ADDRESSES, MAX_LINE_BYTES, MAX_SITE_CHARS, Pairing};
use herd::position::StoreId;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(bytes));

const START: &str = "herdlinx:1:";
/// Length from which a text is not in an error by chance.
const LONG_BYTES: usize = 100;

fn seeds() -> Vec<Vec<u8>> {
    let pairing = Pairing {
        site: "north barn".into(),
        addresses: vec!["192.168.1.20:5001".into(), "[fe80::1%eth0]:5001".into(), "barn.local:5001".into()],
        spki_sha256: [0xa5; 32],
        store: StoreId([7; 16]),
        key: format!("hxb_{}", "k".repeat(43)),
    };
    let line = pairing.to_string();
    let body = line.strip_prefix(START).and_then(|body| URL_SAFE_NO_PAD.decode(body).ok()).unwrap_or_default();
    vec![[b"\0", line.as_bytes()].concat(), [b"\x01", body.as_slice()].concat(), b"\0 herdlinx:2:AAAA\r\n".to_vec()]
}

fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, text)) => check_text(&String::from_utf8_lossy(text)),
        Some((_, body)) => check_text(&format!("{START}{}", URL_SAFE_NO_PAD.encode(body))),
        None => check_text(""),
    }
}

fn check_text(text: &str) {
    let pairing = match text.parse::<Pairing>() {
        Ok(pairing) => pairing,
        Err(error) => {
            assert!(text.len() < LONG_BYTES || !error.to_string().contains(text));
            return;
        }
    };
    assert_eq!(pairing.validate(), Ok(()));
    assert!((1..=MAX_SITE_CHARS).contains(&pairing.site.chars().count()));
    assert!((1..=MAX_ADDRESSES).contains(&pairing.addresses.len()));
    let line = pairing.to_string();
    assert!(line.len() <= MAX_LINE_BYTES && !line.contains(char::is_whitespace));
    assert_eq!(line.parse(), Ok(pairing.clone()));
    assert_eq!(format!(" {line}\r\n").parse(), Ok(pairing));
}
