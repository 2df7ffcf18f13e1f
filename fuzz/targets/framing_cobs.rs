//! Fuzzes COBS frames with a CRC.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| contract::check(Framing::Cobs, false, bytes));
