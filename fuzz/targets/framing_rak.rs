//! Fuzzes packet reports of a RAK3172.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| contract::check(Framing::Rak, false, bytes));
