//! Lines in transparent mode, with a byte of strength behind each.
#![no_main]

use radio::serial::framing::{Framing, proof};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proof::holds(Framing::Line, true, bytes));
