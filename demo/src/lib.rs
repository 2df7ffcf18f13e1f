//! A whole barn and office on simulated hardware.
pub mod bench;
pub mod world;
