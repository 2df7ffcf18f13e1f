//! Reports of Reyax modules.
#![no_main]

use radio::serial::framing::{Framing, proof};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proof::holds(Framing::Reyax, false, bytes));
