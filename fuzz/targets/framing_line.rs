//! Fuzzes lines in transparent mode.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| contract::check(Framing::Line, false, bytes));
