//! Lines in transparent mode, with a byte of strength behind each.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| contract::check(Framing::Line, true, bytes));
