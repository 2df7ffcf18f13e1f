//! A whole barn and office on simulated hardware.
pub mod world;
