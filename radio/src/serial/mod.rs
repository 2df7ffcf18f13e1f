//! Modems at a serial line.
