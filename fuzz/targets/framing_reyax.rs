//! Fuzzes packet reports of Reyax modules.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| contract::check(Framing::Reyax, false, bytes));
