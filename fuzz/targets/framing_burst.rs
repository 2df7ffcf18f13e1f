//! Fuzzes bursts in transparent mode, with and without a strength byte.
#![no_main]

use radio::serial::framing::{Framing, contract};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    contract::check(Framing::Burst, false, bytes);
    contract::check(Framing::Burst, true, bytes);
});
