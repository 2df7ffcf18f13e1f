//! Reports of a RAK3172.
#![no_main]

use radio::serial::framing::{Framing, proof};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proof::holds(Framing::Rak, false, bytes));
