//! Modems at a serial line.

pub mod framing;
