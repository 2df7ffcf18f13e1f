//! Fuzzes lines in transparent mode, with an RSSI byte after each.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| contract::check(Framing::Line, true, bytes));
